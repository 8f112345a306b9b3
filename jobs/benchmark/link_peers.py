"""The link test as others would do it on one machine, without Spark: NumPy alone, and SQL."""

from __future__ import annotations

import json
from pathlib import Path

import duckdb
import numpy as np

from jobs.benchmark.compare import parquet
from jobs.benchmark.measure import Stopwatch
from udfs.link_test import MIN_COUNTRIES, all_pairs, dense_trade, profiles

PREPARE = f"""
    create table traded as
        select product, country, imports_kusd as m, exports_kusd as e from ({{indicators}});
    create table sides as
        select product, (select count(distinct country) from traded) as n,
            count(*) filter (where m > 0) as importers, sum(m) as m, sum(m * m) as mm,
            count(*) filter (where e > 0) as exporters, sum(e) as e, sum(e * e) as ee
        from traded group by product;
    create table inputs as
        select * from (select *, row_number() over (order by product) - 1 as number from sides)
        where number % {{every}} = 0 and importers >= {MIN_COUNTRIES};
    create table outputs as select * from sides where exporters >= {MIN_COUNTRIES};
"""
TEST = """
    copy (
        with products as (
            select i.product as input, j.product as output, sum(i.m * j.e) as me
            from (select product, country, m from traded semi join inputs using (product)) i
            join (select product, country, e from traded where e > 0) j using (country)
            group by all
        ), correlations as (
            select i.product as input, j.product as output,
                (i.n * coalesce(me, 0) - i.m * j.e)
                / sqrt((i.n * i.mm - i.m * i.m) * (j.n * j.ee - j.e * j.e)) as rho
            from inputs i cross join outputs j
            left join products p on p.input = i.product and p.output = j.product
            where i.product <> j.product
        )
        select input, output, rho,
            avg(rho) over (partition by input) as null_mean,
            stddev_pop(rho) over (partition by input) as null_sd,
            count(*) over (partition by input order by rho desc
                range between unbounded preceding and current row)
                / count(*) over (partition by input) as p_value
        from correlations
    ) to '{out}' (format parquet)
"""


def duckdb_links(indicators: list[str], out: Path, *, every: int, watch: Stopwatch) -> None:
    """Test one of `every` products as input against all outputs, in SQL, and write Parquet."""
    with duckdb.connect() as base:
        with watch.stage("read"):
            base.execute(PREPARE.format(indicators=parquet(*indicators), every=every))
        with watch.stage("groups"):
            base.execute(TEST.format(out=str(out).replace("'", "''")))


def numpy_links(indicators: list[str], *, watch: Stopwatch) -> int:
    """Test every pair in one process with the project's kernel, write nothing; pairs tested."""
    with watch.stage("read"):
        query = f"select product, country, imports_kusd, exports_kusd from ({parquet(*indicators)})"
        with duckdb.connect() as base:
            _, _, trade = dense_trade(base.sql(query).df())
    with watch.stage("test"):
        tested = 0
        for block in all_pairs(profiles(trade)):
            tested += int(np.count_nonzero(np.isfinite(block.rho)))
    return tested


def files_in(listing: str) -> list[str]:
    """Return the Parquet files named in a JSON file."""
    found: list[str] = json.loads(Path(listing).read_text(encoding="utf-8"))
    return found
