"""The programs measured beside the project: `python -m jobs.benchmark.child WORK TIMES RECORD ...`.

WORK is a name in `WORK` below; the words that follow are its arguments as NAME=VALUE.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Sequence
from pathlib import Path

import pyarrow.parquet as pq

from jobs.benchmark import kernel, link_peers, mineral_draws, peers
from jobs.benchmark.measure import Record, Stopwatch, folder_bytes, repeated


def duckdb_ingest(times: int, *, baci: str, years: str, out: str, cores: str) -> Record:
    """CSV -> trade, rejects, matrices with DuckDB and Arrow."""
    chosen = [int(year) for year in years.split(",")]

    def work(watch: Stopwatch) -> None:
        peers.duckdb_ingest(Path(baci), chosen, Path(out), cores=int(cores), watch=watch)

    runs = repeated(work, times)
    rows = sum(pq.read_metadata(f).num_rows for f in Path(out, "trade").rglob("*.parquet"))
    return Record(runs, facts={"written": folder_bytes(Path(out)), "rows": rows})


def duckdb_indicators(times: int, *, tables: str, stability: str, out: str, cores: str) -> Record:
    """Matrices -> indicators with DuckDB, Arrow and the project's kernel."""

    def work(watch: Stopwatch) -> None:
        peers.duckdb_indicators(
            Path(tables), Path(stability), Path(out), cores=int(cores), watch=watch
        )

    runs = repeated(work, times)
    return Record(runs, facts={"written": folder_bytes(Path(out))})


def pandas_indicators(times: int, *, trade: str, stability: str, out: str, every: str) -> Record:
    """Trade -> indicators with pandas and a dense inverse, for a part of the products."""

    def work(watch: Stopwatch) -> None:
        peers.pandas_indicators(
            Path(trade), Path(stability), Path(out), every=int(every), watch=watch
        )

    return Record(repeated(work, times), facts={"scale": int(every)})


def kernel_alone(times: int, *, tables: str, stability: str) -> Record:
    """The solve of single product-years."""
    folder = Path(tables)
    return kernel.measure(folder / "matrices", folder / "trade", Path(stability), times=times)


def numpy_links(times: int, *, indicators: str) -> Record:
    """Indicators -> tests of every pair, in one process, not written."""
    files, tested = link_peers.files_in(indicators), 0

    def work(watch: Stopwatch) -> None:
        nonlocal tested
        tested = link_peers.numpy_links(files, watch=watch)

    return Record(repeated(work, times), facts={"rows": tested})


def duckdb_links(times: int, *, indicators: str, out: str, every: str) -> Record:
    """Indicators -> tests of every pair in SQL, for a part of the inputs."""
    files = link_peers.files_in(indicators)

    def work(watch: Stopwatch) -> None:
        link_peers.duckdb_links(files, Path(out), every=int(every), watch=watch)

    return Record(repeated(work, times), facts={"scale": int(every)})


def networkx_draws(times: int, *, flows: str, every: str, cores: str) -> Record:
    """Flows of minerals -> indices of randomised networks, one call of networkx for each draw."""
    files = link_peers.files_in(flows)

    def work(watch: Stopwatch) -> None:
        mineral_draws.networkx_draws(files, every=int(every), cores=int(cores), watch=watch)

    return Record(repeated(work, times), facts={"scale": int(every)})


WORK: dict[str, Callable[..., Record]] = {
    work.__name__: work
    for work in (
        *(duckdb_ingest, duckdb_indicators, pandas_indicators, kernel_alone),
        *(numpy_links, duckdb_links, networkx_draws),
    )
}


def main(words: Sequence[str]) -> None:
    """Do the work and write its record."""
    name, times, record, *arguments = words
    options = dict(argument.split("=", 1) for argument in arguments)
    WORK[name](int(times), **options).write(record)


if __name__ == "__main__":
    main(sys.argv[1:])
