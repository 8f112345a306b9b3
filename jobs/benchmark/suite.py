"""The measurements of `bench`, in order."""

from __future__ import annotations

import json
import os
import re
import shutil
import sys
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from urllib.parse import unquote

from deltalake import DeltaTable

from conf.problem import Problem
from conf.settings import ENVIRONMENT_PREFIX, SAMPLE_BACI, SAMPLE_WGI, Settings
from jobs.benchmark import compare, report
from jobs.benchmark.measure import Measured, cores, machine, measured
from jobs.benchmark.options import QUICK, Options, options, scratch
from jobs.progress import say
from jobs.sources.baci import open_release
from jobs.tables import (
    INDICATORS,
    LINKS,
    REJECTS,
    RESOURCE_FLOWS,
    STABILITY,
    TRADE,
    TRADE_MATRICES,
)

ROOT = Path(__file__).resolve().parents[2]
RUNS_OF_GROWTH, MANY_YEARS = 2, 8
"""Runs of each program on more than one year, a cold one and another; on many years one."""
OF_EVERY_STEP, ONCE = 4, 10
"""Programs measured for each number of years, and for a single year or none."""
PANDAS_LAYERS = 250
"""Product-years that pandas computes; the rest is scaled up."""
SQL_INPUTS = 50
"""Products that SQL tests as inputs; the rest is scaled up."""
NETWORKX_EVERY = 50
"""networkx indexes one of so many draws; the rest is scaled up."""


def run_suite(settings: Settings, words: Sequence[str]) -> None:
    """Measure everything, print it, and write it as JSON where that is asked for."""
    chosen = options(settings, words)
    spark_options, count = _spark_options()
    with scratch(settings.warehouse, chosen) as folder:
        found = Suite(folder, chosen, count, spark_options).measure()
    report.show(found)
    if chosen.json:
        chosen.json.write_text(report.as_json(found) + "\n", encoding="utf-8")
        say(f"The same as JSON: {chosen.json}")


SET_ANEW = ("spark.app.", "spark.submit.", "spark.pyspark.driver.", "spark.sql.warehouse.dir")
"""Settings of Spark that belong to one session."""


def _spark_options() -> tuple[list[str], int]:
    """Return the options this session was started with, for those it starts, and its cores."""
    from pyspark import SparkConf, SparkContext

    SparkContext._ensure_initialized()
    given = dict(SparkConf().getAll())
    master = given.get("spark.master", "local[*]")
    local = re.fullmatch(r"local(\[(\d+|\*)(, *\d+)?\])?", master)
    if local is None:
        raise Problem(
            f"bench measures one machine; found --master {master}, expected local[CORES]."
        )
    count = 1 if local[2] is None else cores() if local[2] == "*" else int(local[2])
    passed = {k: v for k, v in given.items() if not k.startswith(SET_ANEW)}
    passed["spark.master"] = f"local[{count}]"
    return [word for k, v in passed.items() for word in ("--conf", f"{k}={v}")], count


@dataclass(frozen=True)
class Source:
    """What a session reads, and where it keeps its tables."""

    baci: Path
    wgi: Path
    warehouse: Path


@dataclass
class Suite:
    """A benchmark in its folder; `rows` and `agreements` fill as it goes."""

    folder: Path
    options: Options
    cores: int
    spark_options: Sequence[str]
    done: int = 0
    rows: list[report.Row] = field(default_factory=list)
    agreements: list[compare.Agreement] = field(default_factory=list)

    @property
    def programs(self) -> int:
        """How many programs are measured in all."""
        return OF_EVERY_STEP * len(self.options.steps) + ONCE

    def measure(self) -> report.Report:
        """Measure everything."""
        surroundings = machine() | {"cores": self.cores}
        self._generate()
        for count in self.options.steps:
            self._measure_years(count)
        self._measure_draws()
        kernel = self._child(
            "kernel_alone", self.options.runs, tables=self._duckdb(1), stability=self._scores
        )
        data = {
            "products": self.options.products,
            "flows_a_year": next(r.flows for r in self.rows if r.section == report.INGEST),
            **{name: kernel.facts[name] for name in ("layers", "countries", "core")},
        }
        return report.Report(
            surroundings,
            data,
            tuple(self.rows),
            report.kernel_rows(kernel.facts),
            tuple(self.agreements),
        )

    @property
    def sample_years(self) -> Sequence[int]:
        """The years of the bundled sample whose minerals are drawn."""
        return tuple(open_release(str(SAMPLE_BACI)).years)

    @property
    def _baci(self) -> Path:
        return self.folder / "baci"

    @property
    def _scores(self) -> Path:
        return self.folder / "stability.parquet"

    @property
    def _pandas_rows(self) -> Path:
        return self.folder / "pandas.parquet"

    def _ours(self, years: int) -> Path:
        return self.folder / f"ours-{years}"

    def _duckdb(self, years: int) -> Path:
        return self.folder / f"duckdb-{years}"

    def _generate(self) -> None:
        """Measure the generation of all years, which the rest is measured on."""
        years = self.options.years
        found = self._session("generate", 1, years)
        self._add(report.GENERATE, len(years), int(found.facts["rows"]), found, {})

    def _measure_years(self, count: int) -> None:
        """Measure the first years: ours and DuckDB's; of a single year everybody's."""
        years = self.options.years[:count]
        growth = RUNS_OF_GROWTH if count < MANY_YEARS else 1
        runs = self.options.runs if count == 1 else min(self.options.runs, growth)
        ours = self._session("ingest", runs, years)
        flows = int(ours.facts["rows"])
        theirs = self._child(
            "duckdb_ingest",
            runs,
            baci=self._baci,
            years=",".join(map(str, years)),
            out=self._duckdb(count),
            cores=self.cores,
        )
        self._add(report.INGEST, count, flows, ours, {report.DUCKDB: theirs})

        _export(self._ours(count), self._scores)
        ours = self._session("indicators", runs, years)
        peers = {
            report.DUCKDB_KERNEL: self._child(
                "duckdb_indicators",
                runs,
                tables=self._duckdb(count),
                stability=self._scores,
                out=self._duckdb(count) / "indicators",
                cores=self.cores,
            )
        }
        if count == 1:
            peers[report.GROUP_BY] = self._session("group_by", runs, years)
            peers[report.PANDAS] = self._pandas()
            self._compare()
        self._add(report.INDICATORS, count, flows, ours, peers)
        if count == 1:
            self._measure_links()
        for used in (self._ours(count), self._duckdb(count)) if count > 1 else ():
            shutil.rmtree(used)

    def _add(
        self,
        section: str,
        years: int,
        flows: int,
        ours: Measured,
        peers: Mapping[str, Measured],
    ) -> None:
        self.rows.append(report.row(section, report.OURS, years, ours, flows=flows))
        for name, found in peers.items():
            self.rows.append(report.row(section, name, years, found, flows=flows, ours=ours))

    def _pandas(self) -> Measured:
        every = max(1, self.options.products // PANDAS_LAYERS)
        return self._child(
            "pandas_indicators",
            QUICK.runs,
            threads=None,
            trade=self._duckdb(1) / "trade",
            stability=self._scores,
            out=self._pandas_rows,
            every=every,
        )

    def _measure_links(self) -> None:
        """Measure the link tests on the first year, and compare those of every pair."""
        first = self.options.years[:1]
        ours = self._session("links", self.options.runs, first)
        self._add(report.LINKS, 1, int(ours.facts["rows"]), ours, {})
        ours = self._session("all_pairs", min(self.options.runs, RUNS_OF_GROWTH), first)
        out = self.folder / "links.parquet"
        every = max(1, self.options.products // SQL_INPUTS)
        runs, of_year = QUICK.runs, {"indicators": self._listing(INDICATORS.name, self._ours(1))}
        peers = {
            report.NUMPY: self._child("numpy_links", runs, threads=None, **of_year),
            report.SQL: self._child("duckdb_links", runs, **of_year, out=out, every=every),
        }
        self._add(report.ALL_PAIRS, 1, int(ours.facts["rows"]), ours, peers)
        mine = f"{compare.parquet(*self._files(LINKS.name))} where material = 'all'"
        self.agreements.append(compare.same_links(mine, compare.parquet(out), report.SQL))

    def _measure_draws(self) -> None:
        """Measure the randomised networks of the sample's minerals."""
        runs, years = min(self.options.runs, RUNS_OF_GROWTH), self.sample_years
        sample = Source(SAMPLE_BACI, SAMPLE_WGI, self.folder / "ours-sample")
        ours = self._session("randomised", runs, years, sample)
        theirs = self._child(
            "networkx_draws",
            QUICK.runs,
            flows=self._listing(RESOURCE_FLOWS.name, sample.warehouse),
            every=NETWORKX_EVERY,
            cores=self.cores,
        )
        self._add(
            report.DRAWS, len(years), int(ours.facts["rows"]), ours, {report.NETWORKX: theirs}
        )

    def _files(self, table: str, warehouse: Path | None = None) -> list[str]:
        """Return the Parquet files of a table, of the first year unless told otherwise."""
        folder = warehouse or self._ours(1)
        return [unquote(uri) for uri in DeltaTable(str(folder / table)).file_uris()]

    def _listing(self, table: str, warehouse: Path) -> Path:
        """Write the names of a table's files where a child reads them."""
        listing = self.folder / f"{table}.json"
        listing.write_text(json.dumps(self._files(table, warehouse)), encoding="utf-8")
        return listing

    def _session(
        self, work: str, runs: int, years: Sequence[int], source: Source | None = None
    ) -> Measured:
        """Run a part of `ours` as a user would, in a session of its own; on synthetic years."""
        count = len(years)
        record = self.folder / f"{work}-{count}.json"
        source = source or Source(self._baci, self._baci / "wgi.csv", self._ours(count))
        command = [
            ROOT / "spark-submit.sh",
            *self.spark_options,
            *("--conf", f"spark.local.dir={self.folder / 'spark'}"),
            *("bench", "session", work, str(runs), record),
            *("--warehouse", source.warehouse, "--baci", source.baci, "--wgi", source.wgi),
            *("--years", ",".join(map(str, years))),
            *("--world-products", str(self.options.products)),
        ]
        return self._measured(
            f"{work}, {report.years_in_words(count)}, on Spark", command, record, {}
        )

    def _child(
        self, work: str, runs: int, *, threads: int | None = 1, **arguments: object
    ) -> Measured:
        """Run a part of `child`, with so many threads of BLAS in each process (None = all)."""
        record = self.folder / f"{work}.json"
        words = [f"{name}={value}" for name, value in arguments.items()]
        command = [sys.executable, "-m", "jobs.benchmark.child", work, str(runs), record, *words]
        limits = {} if threads is None else {name: str(threads) for name in THREADS}
        return self._measured(work.replace("_", " "), command, record, limits)

    def _measured(
        self, title: str, command: Sequence[str | Path], record: Path, extra: dict[str, str]
    ) -> Measured:
        start = time.monotonic()
        found = measured(command, record, cwd=self.folder, environment=_environment() | extra)
        self.done += 1
        took = f"{found.seconds:.1f} s a run, {time.monotonic() - start:.0f} s in all"
        say(f"[{self.done}/{self.programs}] {title}: {took}")
        return found

    def _compare(self) -> None:
        """Compare the tables of a single year, ours with those of each peer."""
        duckdb = self._duckdb(1)
        trade, rejects, matrices, indicators, by_group = (
            compare.parquet(*self._files(name))
            for name in (
                *(t.name for t in (TRADE, REJECTS, TRADE_MATRICES, INDICATORS)),
                report.BY_GROUP,
            )
        )
        dense = compare.parquet(self._pandas_rows)
        of_pandas = f"{indicators} where product in (select product from ({dense}))"

        def theirs(name: str) -> str:
            return compare.parquet(f"{duckdb / name}/**/*.parquet")

        self.agreements += [
            compare.same_rows(TRADE, trade, theirs("trade"), report.DUCKDB),
            compare.same_rejects(rejects, theirs("rejects"), report.DUCKDB),
            compare.same_matrices(matrices, theirs("matrices"), report.DUCKDB),
            compare.same_rows(INDICATORS, indicators, theirs("indicators"), report.DUCKDB_KERNEL),
            compare.same_rows(INDICATORS, indicators, by_group, report.GROUP_BY),
            compare.same_rows(INDICATORS, of_pandas, dense, report.PANDAS),
        ]


def _export(warehouse: Path, target: Path) -> None:
    """Write the stability scores as one Parquet file, which the peers read."""
    DeltaTable(str(warehouse / STABILITY.name)).to_pandas().to_parquet(target)


THREADS = ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS")
OWN_VARIABLES = (ENVIRONMENT_PREFIX, "PYSPARK_", "_PYSPARK_", "SPARK_", *THREADS)
"""Beginnings of variables that say something to this session and not to those it starts."""


def _environment() -> dict[str, str]:
    kept = {k: v for k, v in os.environ.items() if not k.startswith(OWN_VARIABLES)}
    return kept | {"PYTHONPATH": str(ROOT)}
