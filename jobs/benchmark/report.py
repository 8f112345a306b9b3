"""The table that `bench` prints, and the same as JSON."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from typing import Any

from rich import box
from rich.console import Console
from rich.table import Table as Grid

from jobs.benchmark.compare import Agreement
from jobs.benchmark.measure import Measured

OURS = "this project"
DUCKDB = "DuckDB"
DUCKDB_KERNEL = "DuckDB + same kernel"
GROUP_BY = "Spark applyInPandas"
PANDAS = "pandas + dense inverse"
SQL = "DuckDB, in SQL"
NUMPY = "same kernel, one process, not written"
GENERATE, INGEST, INDICATORS = "generate", "ingest", "indicators"
LINKS, ALL_PAIRS = "link tests of candidates", "link tests of every pair"
DRAWS, NETWORKX = "randomised networks of minerals", "networkx, one call a draw"
COUNTED = {
    GENERATE: "rows",
    INGEST: "flows",
    INDICATORS: "flows",
    LINKS: "tests",
    ALL_PAIRS: "tests",
    DRAWS: "networks",
}
"""Sections in their order, and what their `flows` count."""
BY_GROUP = "indicators_by_group"
"""Table that the group-by way writes, with the columns of `indicators`."""
WIDTH = 124
"""Of the printed table; spark-submit hides how wide the terminal is."""


@dataclass(frozen=True)
class Row:
    """One thing measured.

    seconds: median of the repeated runs; first_seconds: from the start of the program to the end
    of its first run; cpu_seconds: of all its processes, in a run; flows: rows of trade that went
    through, tests of pairs of products, or networks; ratio: time of this project over this one's;
    stages: seconds by stage, as measured; scale: one of so many products, inputs or draws was
    computed, and the times above are scaled up; skew: slowest task over the median of its stage.
    """

    section: str
    what: str
    years: int
    seconds: float
    first_seconds: float
    cpu_seconds: float
    peak_bytes: int
    flows: int
    written_bytes: int | None = None
    ratio: float | None = None
    stages: dict[str, float] = field(default_factory=dict)
    scale: int = 1
    skew: float | None = None

    @property
    def flows_per_second(self) -> float:
        """What the section counts, in a second."""
        return self.flows / self.seconds


@dataclass(frozen=True)
class KernelRow:
    """One contestant on single product-years: seconds and operations a second."""

    what: str
    seconds: float
    flops: float
    ratio: float
    of_ceiling: float | None


@dataclass(frozen=True)
class Report:
    """All that was measured, on which machine and data, and what was found equal."""

    machine: dict[str, Any]
    data: dict[str, Any]
    rows: tuple[Row, ...]
    kernel: tuple[KernelRow, ...]
    agreements: tuple[Agreement, ...]


def row(
    section: str,
    what: str,
    years: int,
    found: Measured,
    *,
    flows: int,
    ours: Measured | None = None,
) -> Row:
    """Return the row of a measured program; `ours` is what it is compared with.

    A program that did a part says so in `scale`: its stage `groups` counts so many times.
    """
    scale = int(found.facts.get("scale", 1))
    missing = (scale - 1) * found.stages.get("groups", 0.0)
    written = found.facts.get("written")
    seconds = found.seconds + missing
    return Row(
        section=section,
        what=what,
        years=years,
        seconds=seconds,
        first_seconds=found.first_seconds + missing,
        cpu_seconds=found.cpu_seconds + missing,
        peak_bytes=found.peak_bytes,
        flows=flows,
        written_bytes=None if written is None else int(written),
        ratio=ours.seconds / seconds if ours else None,
        stages=found.stages,
        scale=scale,
        skew=found.facts.get("skew"),
    )


def kernel_rows(facts: Mapping[str, float]) -> tuple[KernelRow, ...]:
    """Return the contestants; the ceiling of each is a matrix product of its size."""
    kernel = facts["kernel seconds"]
    ceilings = {
        "kernel": "matmul of core",
        "inverse of core": "matmul of core",
        "dense inverse": "matmul of all",
    }
    names = {
        "kernel": "kernel, all indicators",
        "inverse of core": "  of it the inverse of the core",
        "dense inverse": "np.linalg.inv of all countries",
        "matmul of core": "matrix product, core's size",
        "matmul of all": "matrix product, all countries",
    }
    return tuple(
        KernelRow(
            what=title,
            seconds=facts[f"{name} seconds"],
            flops=facts[f"{name} flops"],
            ratio=kernel / facts[f"{name} seconds"],
            of_ceiling=facts[f"{name} flops"] / facts[f"{ceilings[name]} flops"]
            if name in ceilings
            else None,
        )
        for name, title in names.items()
    )


def as_json(report: Report) -> str:
    """Return the report as JSON."""
    found = asdict(report)
    for shown, measured in zip(found["rows"], report.rows, strict=True):
        shown["flows_per_second"] = measured.flows_per_second
    return json.dumps(found, indent=2)


def show(report: Report, console: Console | None = None) -> None:
    """Print the report."""
    console = console or Console(width=WIDTH, highlight=False, soft_wrap=True)
    m, d = report.machine, report.data
    console.print(
        f"\n{m['processor']}, {m['cores']} cores, {m['memory_bytes'] / 2**30:.0f} GiB; "
        f"Python {m['python']}, Java {m['java']}, Spark {m['spark']}, DuckDB {m['duckdb']}, "
        f"NumPy {m['numpy']}, PyArrow {m['pyarrow']}; load {m['load']} at the start.\n"
        f"Synthetic data: {d['products']:,} products, {d['flows_a_year']:,} flows a year.\n"
    )
    for section in COUNTED:
        rows = [r for r in report.rows if r.section == section]
        rows = [r for r in rows if r.years == rows[0].years]
        console.print(_comparison(section, rows))
        for r in rows:
            console.print(_where_time_goes(r))
    console.print(_kernel(report))
    grown = [r for r in report.rows if r.what in (OURS, DUCKDB, DUCKDB_KERNEL)]
    console.print(_growth([r for r in grown if COUNTED[r.section] == "flows"]))
    for found in report.agreements:
        console.print(
            f"Equal: {found.table} and that of {found.beside}, {found.rows:,} rows, "
            f"largest relative difference {found.difference:.1e}."
        )


def years_in_words(count: int) -> str:
    """Return 1 year, 2 years, ..."""
    return "1 year" if count == 1 else f"{count} years"


def _table(title: str, *columns: str) -> Grid:
    grid = Grid(title=title, title_justify="left", box=box.SIMPLE)
    for number, column in enumerate(columns):
        grid.add_column(column, justify="right" if number else "left", no_wrap=True)
    return grid


def _number(value: float | None, form: str, unit: float = 1.0) -> str:
    return "" if value is None else format(value / unit, form)


def _comparison(section: str, rows: Sequence[Row]) -> Grid:
    grid = _table(
        f"{section}, {years_in_words(rows[0].years)}",
        "",
        "seconds",
        "with start",
        "CPU s",
        f"{COUNTED[section]}/s",
        "peak GB",
        "written MB",
        "ours / this",
    )
    for r in rows:
        grid.add_row(
            r.what + (" (scaled up)" if r.scale > 1 else ""),
            f"{r.seconds:.1f}",
            f"{r.first_seconds:.1f}",
            f"{r.cpu_seconds:.1f}",
            f"{r.flows_per_second:,.0f}",
            f"{r.peak_bytes / 1e9:.2f}",
            _number(r.written_bytes, ".0f", 1e6),
            _number(r.ratio, ".2f"),
        )
    return grid


def _where_time_goes(r: Row) -> str:
    part = f" (1 of {r.scale})" if r.scale > 1 else ""
    listed = ", ".join(f"{name} {seconds:.2f}" for name, seconds in r.stages.items())
    skew = f"; slowest task {r.skew:.1f} times the median of its stage" if r.skew else ""
    return f"  {r.what}{part}, seconds: {listed or 'not told apart'}{skew}"


def _kernel(report: Report) -> Grid:
    d = report.data
    grid = _table(
        f"\nthe kernel, one thread, mean of {d['layers']:.0f} product-years; "
        f"{d['countries']:.0f} countries, {d['core']:.0f} of them in the core",
        "",
        "ms",
        "GFLOP/s",
        "of the ceiling",
        "kernel / this",
    )
    for r in report.kernel:
        grid.add_row(
            r.what,
            f"{r.seconds * 1e3:.3f}",
            f"{r.flops / 1e9:.1f}",
            _number(r.of_ceiling, ".0%"),
            f"{r.ratio:.2f}",
        )
    return grid


def _growth(rows: Sequence[Row]) -> Grid:
    grid = _table(
        "growth", "", "years", "seconds", "a year", "of one year's", "peak GB", "ours / this"
    )
    one_year = {(r.section, r.what): r.seconds for r in rows if r.years == 1}
    for r in sorted(rows, key=lambda r: (r.section != INGEST, r.what != OURS, r.years)):
        each = r.seconds / r.years
        grid.add_row(
            f"{r.section}, {r.what}",
            str(r.years),
            f"{r.seconds:.1f}",
            f"{each:.2f}",
            f"{each / one_year[r.section, r.what]:.2f}",
            f"{r.peak_bytes / 1e9:.2f}",
            _number(r.ratio, ".2f"),
        )
    return grid
