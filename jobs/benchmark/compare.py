"""Are the tables of two ways the same? No one may be fast by being wrong."""

from __future__ import annotations

from dataclasses import dataclass

import duckdb

from conf.problem import Problem
from jobs.tables import Table

TOLERANCE = 1e-9
"""Largest relative difference: both sides are double precision, summed in another order."""
SMALLEST = 1e-3
"""Below it a difference counts as absolute: influence is 0 for a country that sells nothing."""


@dataclass(frozen=True)
class Agreement:
    """Two tables found equal: rows compared, and the largest relative difference of a number."""

    table: str
    beside: str
    rows: int
    difference: float


def same_rows(table: Table, ours: str, theirs: str, beside: str) -> Agreement:
    """Compare all columns of two relations, row by row of the table's key.

    `ours` and `theirs` are SQL relations; raises `Problem` unless they agree to `TOLERANCE`.
    """
    numbers = [c.name for c in table.columns if c.type == "double"]
    differences = [
        f"max(case when a.{n} is not distinct from b.{n} then 0 "
        f"else coalesce(abs(a.{n} - b.{n}) / greatest(abs(a.{n}), abs(b.{n}), {SMALLEST}), "
        f"'infinity'::double) end)"
        for n in numbers
    ]
    key = ", ".join(table.key)
    alone = f"count(*) filter (where a.{numbers[0]} is null or b.{numbers[0]} is null)"
    found = _first(
        f"select count(*), {alone}, greatest({', '.join(differences)}) "
        f"from ({ours}) a full join ({theirs}) b using ({key})"
    )
    return _agreed(table.name, beside, *found)


def same_rejects(ours: str, theirs: str, beside: str) -> Agreement:
    """Compare year, line and reason of two `rejects`."""
    one, other = (f"select year, line, reason from ({side})" for side in (ours, theirs))
    found = _first(
        f"select (select count(*) from ({one})), "
        f"(select count(*) from (({one} except all {other}) union all ({other} except all {one}))),"
        " 0.0"
    )
    return _agreed("rejects", beside, *found)


def same_matrices(ours: str, theirs: str, beside: str) -> Agreement:
    """Compare the lists of two `trade_matrices`, which hold the same numbers bit by bit."""
    unequal = " or ".join(
        f'a."{name}" is distinct from b."{name}"' for name in ("exporters", "importers", "values")
    )
    found = _first(
        f"select count(*), count(*) filter (where {unequal}), 0.0 "
        f"from ({ours}) a full join ({theirs}) b using (year, product)"
    )
    return _agreed("trade_matrices", beside, *found)


def same_links(ours: str, theirs: str, beside: str) -> Agreement:
    """Compare the tests of the inputs that the other side has; pairs that cannot be tested lack."""
    names = ("rho", "null_mean", "null_sd", "p_value")
    differences = ", ".join(f"max(abs(a.{n} - b.{n}) / greatest(abs(a.{n}), 1))" for n in names)
    found = _first(
        "select count(*), count(*) filter (where a.rho is null or b.rho is null), "
        f"greatest({differences}) from (select * from ({ours}) where rho is not null "
        f"and input in (select input from ({theirs}))) a "
        f"full join ({theirs}) b using (input, output)"
    )
    return _agreed("links", beside, *found)


def parquet(*files: object) -> str:
    """Return Parquet files as a relation; a year that stands in a folder's name is a column."""
    listed = ", ".join("'" + str(file).replace("'", "''") + "'" for file in files)
    return f"select * from read_parquet([{listed}], hive_partitioning = true)"


def _first(query: str) -> tuple[int, int, float]:
    with duckdb.connect() as base:
        return base.sql(query).fetchall()[0]


def _agreed(table: str, beside: str, rows: int, alone: int, difference: float) -> Agreement:
    if rows == 0 or alone or not difference <= TOLERANCE:
        raise Problem(
            f"bench: {table} and that of {beside} differ: of {rows:,} rows {alone:,} stand on one "
            f"side only or differ in kind, and the largest relative difference is {difference}; "
            f"expected at most {TOLERANCE}."
        )
    return Agreement(table, beside, rows, float(difference))
