"""The same work as others would do it on one machine, without Spark.

DuckDB and Arrow with the project's kernel, on all cores, written for speed; pandas with a dense
inverse, on one process, as it is usually done. Both write Parquet with the columns of the
project's tables.
"""

from __future__ import annotations

import multiprocessing
import shutil
from collections.abc import Sequence
from itertools import pairwise
from pathlib import Path

import duckdb
import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq

from jobs.benchmark.measure import Stopwatch
from jobs.sources.baci_rows import Reason
from jobs.tables import INDICATORS
from udfs.systemic_risk import YearContext, indicators_of_batches

MATRIX_FILES = 8
"""Files of matrices a year, of equally many flows: what the processes share out among them."""
MATRICES_PER_BATCH = 256
ARROW_TYPES = {
    "int": pa.int32(),
    "smallint": pa.int16(),
    "string": pa.string(),
    "double": pa.float64(),
}
INDICATORS_SCHEMA = pa.schema([(c.name, ARROW_TYPES[c.type]) for c in INDICATORS.columns])
REPEATING = ["year", "product", "country", "damping"]
"""Columns for which a dictionary pays."""

LISTS = """
    create table countries as select country_code::int as country
        from read_csv('{folder}/country_codes_*.csv', all_varchar = true);
    create table products as
        select product, (row_number() over (order by product) - 1)::bigint as number
        from (select lpad(code, 6, '0') as product
              from read_csv('{folder}/product_codes_*.csv', all_varchar = true));
"""
READ = """
    create table raw as select * from read_csv(
        '{folder}/BACI_*_Y{year}_*.csv', header = true, delim = ',', quote = '',
        auto_detect = false, nullstr = ['NA', '             NA', ''], columns = {{
        't': 'int', 'i': 'int', 'j': 'int', 'k': 'varchar', 'v': 'double', 'q': 'double'}})
"""
CHECK = f"""
    create table checked as
    select raw.rowid + 2 as line, (number << 32) | (j << 16) | i as key, v, q,
        case when t is distinct from {{year}} then '{Reason.YEAR}'
             when exporters.country is null or importers.country is null then '{Reason.COUNTRY}'
             when number is null then '{Reason.PRODUCT}'
             when v is null then '{Reason.UNPARSABLE}'
             when not isfinite(v) then '{Reason.NOT_FINITE}'
             when v < 0 then '{Reason.NEGATIVE}'
             when q < 0 or not isfinite(q) then '{Reason.QUANTITY}'
             when i = j then '{Reason.SELF_TRADE}' end as reason,
        case when reason is not null then concat_ws(',', t, i, j, k, v, q) end as text
    from raw
        left join countries exporters on exporters.country = i
        left join countries importers on importers.country = j
        left join products on product = k
"""
SORT = """
    create table sorted as
    select key, line, v, q from checked where reason is null order by key, line
"""
TRADE = """
    copy (select (key & 65535)::smallint as exporter, ((key >> 16) & 65535)::smallint as importer,
                 product, v as value_kusd, q as quantity_t
          from sorted join products on number = key >> 32)
    to '{file}' (format parquet)
"""
TOTALS = """
    select year, exporter, sum(value_kusd) as exports from read_parquet('{trade}/*/*.parquet')
    group by year, exporter
"""
MATRICES = 'select year, product, exporters, importers, "values" from read_parquet(?)'


def duckdb_ingest(
    folder: Path, years: Sequence[int], out: Path, *, cores: int, watch: Stopwatch
) -> None:
    """Read BACI's text, and write `trade`, `rejects` and `matrices`, one year after the other.

    The same checks and reasons as `ingest`; a row that is no row of numbers refuses the file.
    """
    shutil.rmtree(out, ignore_errors=True)
    with duckdb.connect(config={"threads": cores}) as base:
        base.execute(LISTS.format(folder=folder))
        products = base.sql("select product from products order by number").to_arrow_table()
        for year in years:
            _ingest_year(base, folder, year, products.column(0).combine_chunks(), out, watch)


def _ingest_year(
    base: duckdb.DuckDBPyConnection,
    folder: Path,
    year: int,
    products: pa.Array,
    out: Path,
    watch: Stopwatch,
) -> None:
    with watch.stage("read"):
        base.execute(READ.format(folder=folder, year=year))
    with watch.stage("check"):
        base.execute(CHECK.format(year=year))
        base.execute("drop table raw")
        rejects = base.sql("select line, reason, text, v from checked where reason is not null")
        rejects = rejects.to_arrow_table()
    with watch.stage("sort"):
        base.execute(SORT)
        base.execute("drop table checked")
        again = _drop_repeated(base)
    with watch.stage("write rejects"):
        file = _file(out / "rejects" / f"year={year}")
        pq.write_table(pa.concat_tables([rejects, again.cast(rejects.schema)]), file)
    with watch.stage("write trade"):
        base.execute(TRADE.format(file=_file(out / "trade" / f"year={year}")))
    with watch.stage("trade_matrices"):
        flows = base.sql("select key, v from sorted").to_arrow_table().combine_chunks()
        base.execute("drop table sorted")
        _write_matrices(flows, year, products, out / "matrices")


def _file(folder: Path) -> Path:
    folder.mkdir(parents=True)
    return folder / "data.parquet"


def _drop_repeated(base: duckdb.DuckDBPyConnection) -> pa.Table:
    """Take rows whose key stands before out of `sorted`, and return them as rejects."""
    key = base.sql("select key from sorted").to_arrow_table().column(0).to_numpy()
    repeated = (np.flatnonzero(np.diff(key) == 0) + 1).tolist()
    chosen = f"rowid in (select unnest({repeated}::bigint[]))"
    rows = base.sql(
        f"select line, '{Reason.DUPLICATE}' as reason, '' as text, v from sorted where {chosen}"
    ).to_arrow_table()
    if repeated:
        base.execute(f"delete from sorted where {chosen}")
    return rows


def _write_matrices(flows: pa.Table, year: int, products: pa.Array, out: Path) -> None:
    """Write flows sorted by key as one row a product, without touching a value twice."""
    key = flows.column("key").chunk(0).to_numpy()
    number = key >> 32
    starts = np.flatnonzero(np.diff(number, prepend=-1))
    offsets = pa.array(np.append(starts, key.size).astype(np.int32))
    columns = {
        "year": pa.array(np.full(starts.size, year, np.int32)),
        "product": products.take(pa.array(number[starts])),
        "exporters": pa.ListArray.from_arrays(offsets, pa.array(key.astype(np.int16))),
        "importers": pa.ListArray.from_arrays(offsets, pa.array((key >> 16).astype(np.int16))),
        "values": pa.ListArray.from_arrays(offsets, flows.column("v").chunk(0)),
    }
    table = pa.table(columns)
    out.mkdir(parents=True, exist_ok=True)
    shares = np.linspace(0, key.size, MATRIX_FILES + 1)[1:-1]
    bounds = [0, *np.searchsorted(starts, shares), starts.size]
    for part, (first, last) in enumerate(pairwise(bounds)):
        pq.write_table(
            table.slice(first, last - first),
            out / f"year={year}-{part}.parquet",
            row_group_size=MATRICES_PER_BATCH,
            use_dictionary=False,
        )


def duckdb_indicators(
    tables: Path, stability: Path, out: Path, *, cores: int, watch: Stopwatch
) -> None:
    """Read matrices with DuckDB, solve with the project's kernel, write Parquet, on all cores."""
    shutil.rmtree(out, ignore_errors=True)
    out.mkdir(parents=True)
    with multiprocessing.get_context("fork").Pool(cores) as pool:
        with watch.stage("totals"):
            years = year_contexts(tables / "trade", stability, cores=cores)
        files = sorted((tables / "matrices").glob("*.parquet"), key=lambda f: -f.stat().st_size)
        tasks = [(file, out / file.name, years) for file in files]
        for stages in pool.imap_unordered(_solve_file, tasks):
            for name, seconds in stages.items():
                watch.stages[name] = watch.stages.get(name, 0.0) + seconds / cores


def _solve_file(task: tuple[Path, Path, dict[int, YearContext]]) -> dict[str, float]:
    """Solve one file's matrices; return the seconds of each stage in this process."""
    source, target, years = task
    watch = Stopwatch()
    solved = indicators_of_batches(years, INDICATORS_SCHEMA)
    with duckdb.connect(config={"threads": 1}) as base:
        reader = base.sql(MATRICES, params=[str(source)]).to_arrow_reader(MATRICES_PER_BATCH)
        writer = pq.ParquetWriter(target, INDICATORS_SCHEMA, use_dictionary=REPEATING)
        with writer:
            while True:
                with watch.stage("read"):
                    batch = next(reader, None)
                if batch is None:
                    return watch.stages
                with watch.stage("solve"):
                    rows = next(solved(iter([batch])))
                with watch.stage("write"):
                    writer.write_batch(rows)


def year_contexts(trade: Path, stability: Path, *, cores: int) -> dict[int, YearContext]:
    """Return export totals and stability scores by year, as arrays indexed by country code."""
    with duckdb.connect(config={"threads": cores}) as base:
        totals = base.sql(TOTALS.format(trade=trade)).df()
    scores = pd.read_parquet(stability)
    size = int(max(totals["exporter"].max(), scores["country"].max())) + 1
    found = {}
    for year, exports in totals.groupby("year"):
        of_year = scores[scores["year"] == year]
        pv, imputed, exported = np.full(size, np.nan), np.ones(size, np.bool_), np.zeros(size)
        pv[of_year["country"]] = of_year["pv"]
        imputed[of_year["country"]] = of_year["pv_source"] != "observed"
        exported[exports["exporter"]] = exports["exports"]
        found[int(year)] = YearContext(pv, imputed, exported)
    return found


def pandas_indicators(
    trade: Path, stability: Path, out: Path, *, every: int, watch: Stopwatch
) -> None:
    """Group trade by product and year and invert a dense matrix of all countries for each.

    Only every `every`-th product is computed; reading and totals are done in full.
    """
    with watch.stage("read"):
        flows = pd.read_parquet(trade)
        flows["year"] = flows["year"].astype(int)
        scores = pd.read_parquet(stability).set_index(["year", "country"]).sort_index()
        exports = flows.groupby(["year", "exporter"])["value_kusd"].sum()
        countries = np.union1d(flows["exporter"], flows["importer"])
        wanted = np.sort(flows["product"].unique())[::every]
        flows = flows[flows["product"].isin(wanted)]
    with watch.stage("groups"):
        found = []
        for (year, product), group in flows.groupby(["year", "product"]):
            rows = _dense(group, scores.loc[year].reindex(countries), exports[year])
            found.append(rows.assign(year=year, product=product))
        pd.concat(found).to_parquet(out)


def _dense(group: pd.DataFrame, scores: pd.DataFrame, country_exports: pd.Series) -> pd.DataFrame:
    countries = scores.index
    matrix = group.pivot(index="exporter", columns="importer", values="value_kusd")
    matrix = matrix.reindex(index=countries, columns=countries).fillna(0.0)
    imports, exports = matrix.sum(axis=0), matrix.sum(axis=1)
    share = matrix / imports
    v = share.fillna(0.0).mul(1 - scores["pv"] / 100, axis=0).fillna(0.0)
    inverse = np.linalg.inv(np.eye(len(countries)) - v.to_numpy())
    of_world = exports.sum() / country_exports.sum()
    buys = imports > 0
    rows = pd.DataFrame(
        {
            "country": countries,
            "imports_kusd": imports,
            "exports_kusd": exports,
            "exposure": imports / (imports + exports),
            "hhi": (share**2).sum().where(buys),
            "str": pd.Series(inverse.sum(axis=0), countries).where(buys),
            "influence": inverse.sum(axis=1) - inverse.diagonal(),
            "rca": exports / country_exports.reindex(countries) / of_world,
            "pv_imputed_share": share.mul(scores["pv_source"] != "observed", axis=0).sum(),
            "damping": 1.0,
        }
    )
    rows["pv_imputed_share"] = rows["pv_imputed_share"].where(buys)
    return rows[(imports + exports) > 0]
