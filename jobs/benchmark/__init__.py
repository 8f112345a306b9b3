"""How fast is it, how much memory does it take, how does it grow, and how do others do?

    bench [quick|full] [products N] [runs N] [json PATH] [--years 2015-2018]

Everything is measured in one run on a synthetic world: its generation; ingest and indicators beside
DuckDB with the same kernel, Spark's group-by and pandas with a dense inverse; the link tests of
candidates and of every pair of products beside SQL; randomised networks of the sample's minerals
beside networkx; the kernel by itself; growth over 1, 2, 4, ... years. `full` measures one year and
the whole cube of 17. Each program runs in a process tree of its own, and the tables of all are
compared.
"""

from __future__ import annotations

from collections.abc import Sequence

from conf.settings import Settings


def run(settings: Settings, words: Sequence[str]) -> None:
    """Measure and print; `bench session ...` is the part of it that runs in a Spark session."""
    if words and words[0] == "session":
        from jobs.benchmark.ours import run_session

        run_session(settings, words[1:])
        return
    from jobs.benchmark.suite import run_suite

    run_suite(settings, words)
