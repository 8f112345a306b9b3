"""Which trade data are loaded, and what became of every row?

Reads   a BACI zip or folder (t, i, j, k, v, q; thousand current USD, metric tons)
Writes  trade      (year, exporter, importer, product) -> value_kusd, quantity_t
        rejects    (file, line) -> year, reason, detail, text, value_kusd
        countries  (country) -> name, iso2, iso3, wgi_code
        products   (nomenclature, product) -> description
        sources    (path, sha256) -> the account of each file

Years pass in batches: the driver unpacks their text to `.staging` in the warehouse, Spark parses
the blocks, checks and packs them there, or generates the flows of a synthetic world that has a
recipe and no files. When every year's account closes, each table is replaced
in one commit, `sources` last. A killed run finds its staged years again.
"""

from __future__ import annotations

import dataclasses
import hashlib
import json
from collections.abc import Iterable, Sequence
from datetime import UTC, datetime
from math import ceil
from typing import Any

import numpy as np
from pyspark.sql import DataFrame, Row
from pyspark.sql import functions as F

from conf.problem import Problem, nearest
from conf.settings import Ingest, Settings
from jobs.progress import say
from jobs.sources import baci
from jobs.sources.baci_rows import (
    BLOCK_NAME,
    FLOW,
    PACKED_SCHEMA,
    SUMS,
    Codes,
    Reason,
    block_name,
    blocks_of,
    lines_of_blocks,
    merge_products,
    pack_blocks,
    unpack_trade,
)
from jobs.tables import COUNTRIES, PRODUCTS, REJECTS, SOURCES, TRADE
from jobs.warehouse import Slice, Warehouse
from jobs.world.straight import generated_flows
from udfs.stability import wgi_code
from udfs.world import SYNTHETIC

READS = ()
WRITES = (TRADE, REJECTS, COUNTRIES, PRODUCTS, SOURCES)
SETTINGS = ("ingest",)

STAGING = ".staging"
TEXT_PER_TASK = 48 * 2**20
"""Bytes of text behind one merging task; also sets the size of trade's files."""
SPACE_FACTOR = 1.5
"""Free disk asked for before the start, as a multiple of the text of the years in work."""
DOLLAR_TOLERANCE = 1e-9
"""Relative difference of two sums of the same doubles in different order (n eps < 1e-8 / 10)."""


@dataclasses.dataclass(frozen=True)
class Account:
    """What became of a file's rows and dollars (thousand USD)."""

    file: str
    year: int
    sha256: str
    fields: tuple[str, ...]
    rows: int
    rows_selected: int = 0
    rows_kept: int = 0
    rows_rejected: int = 0
    value_kusd: float = 0.0
    kept_kusd: float = 0.0
    rejected_kusd: float = 0.0

    def check(self, *, everything: bool) -> None:
        """Raise unless every row and dollar, or every selected one, is either kept or rejected."""
        expected = self.rows if everything else self.rows_selected
        rows = self.rows_kept + self.rows_rejected
        value = self.kept_kusd + self.rejected_kusd
        scale = max(self.kept_kusd, abs(self.rejected_kusd), 1.0)
        unequal = not abs(value - self.value_kusd) <= DOLLAR_TOLERANCE * scale
        if rows != expected or unequal:
            raise Problem(
                f"{self.file}: {expected:,} rows and {self.value_kusd:,.3f} thousand USD "
                f"went in, {rows:,} rows and {value:,.3f} came out; nothing was committed."
            )


def files(settings: Settings) -> dict[str, str]:
    """Digest of the BACI zip or folder."""
    return {"baci": baci.digest(_path(settings))}


def part(settings: Settings) -> Slice:
    """The years asked for that the release has."""
    release = baci.open_release(
        _path(settings), nomenclature=settings.ingest.nomenclature, years=settings.years
    )
    return {"year": tuple(release.years)}


def run(warehouse: Warehouse, settings: Settings) -> None:
    """Stage the years, close their accounts, and replace exactly those years."""
    release = baci.open_release(
        _path(settings), nomenclature=settings.ingest.nomenclature, years=settings.years
    )
    codes = _codes(release, settings.ingest)
    _mark_or_refuse_synthetic(warehouse, release)
    _refuse_mixing(warehouse, release, settings.ingest)
    staging = _staging_folder(warehouse, release, settings)
    _drop_other_stagings(warehouse, keep=staging)
    accounts: list[Account] = []
    staged: list[str] = []
    for years in _batches(release, most=settings.ingest.unpack_mb * 10**6):
        staged.append(f"{staging}/packed-{_label(years)}")
        accounts += _stage(warehouse, release, years, codes, staging)
        _report(accounts[-len(years) :])
    _commit(warehouse, release, settings, staging, staged, accounts, codes)


def _path(settings: Settings) -> str:
    if settings.ingest.baci is None:
        raise Problem(
            "No trade data: give --baci a zip from CEPII (BACI_HS07_V202501.zip) "
            "or a folder of its files."
        )
    return settings.ingest.baci


def _codes(release: baci.Release, options: Ingest) -> Codes:
    codes = Codes(
        fields=baci.FIELDS,
        products=tuple(release.products),
        countries=tuple(country.country for country in release.countries),
        wanted=options.products,
    )
    strange = [
        code for code in options.products if not any(p.startswith(code) for p in codes.products)
    ]
    if strange:
        hints = ", ".join(code + nearest(code, codes.products) for code in strange)
        raise Problem(f"--products: {release.nomenclature} has no {hints}.")
    return codes


def _mark_or_refuse_synthetic(warehouse: Warehouse, release: baci.Release) -> None:
    """Keep generated and real trade in warehouses of their own, --replace or not."""
    generated = release.release == SYNTHETIC
    if generated and not warehouse.is_synthetic and not warehouse.exists(SOURCES):
        warehouse.mark_synthetic()
    if generated != warehouse.is_synthetic:
        kinds = ("generated", "real") if generated else ("real", "generated")
        raise Problem(
            f"{release.archive} is {kinds[0]} trade and the warehouse {warehouse.root} is for "
            f"{kinds[1]} trade. They are never mixed, not even by --replace: give another "
            "--warehouse."
        )


def _refuse_mixing(warehouse: Warehouse, release: baci.Release, options: Ingest) -> None:
    """Refuse a second release, revision or selection of products in one warehouse."""
    if options.replace or not warehouse.exists(SOURCES):
        return
    loaded = warehouse.read(SOURCES).where("kind = 'baci'")
    now = (release.nomenclature, release.release, _selection(options))
    for row in loaded.select("nomenclature", "release", "selection").distinct().collect():
        if tuple(row) != now:
            raise Problem(
                f"The warehouse {warehouse.root} holds BACI {_in_words(*row)}; "
                f"{release.archive} is {_in_words(*now)}. They must not be mixed: give another "
                "--warehouse, or --replace to put the new one in place of the old."
            )


def _selection(options: Ingest) -> str:
    return ",".join(sorted(options.products)) or "all"


def _in_words(nomenclature: str, release: str, selection: str) -> str:
    return f"{nomenclature} V{release} ({selection if selection != 'all' else 'all products'})"


def _staging_folder(warehouse: Warehouse, release: baci.Release, settings: Settings) -> str:
    metadata = json.dumps([warehouse.metadata.get(k) for k in ("files", "code")], default=str)
    chosen = f"{release.nomenclature}{settings.ingest.products}"
    key = hashlib.sha256(f"{metadata}{chosen}".encode()).hexdigest()[:16]
    return f"{STAGING}/{key}"


def _drop_other_stagings(warehouse: Warehouse, *, keep: str) -> None:
    for name in warehouse.files.children(STAGING):
        if f"{STAGING}/{name}" != keep:
            warehouse.files.delete(f"{STAGING}/{name}")


def _batches(release: baci.Release, *, most: int) -> list[list[int]]:
    """Split the years into batches of at most `most` bytes of text, but at least one year."""
    batches: list[list[int]] = []
    size = most + 1
    for year, file in release.years.items():
        if size + file.size > most:
            batches.append([])
            size = 0
        batches[-1].append(year)
        size += file.size
    return batches


def _label(years: Sequence[int]) -> str:
    return "-".join(map(str, years))


def _stage(
    warehouse: Warehouse,
    release: baci.Release,
    years: Sequence[int],
    codes: Codes,
    staging: str,
) -> list[Account]:
    """Unpack, parse, check and pack some years; return their accounts, found again after a kill."""
    packed = f"{staging}/packed-{_label(years)}"
    note = f"{staging}/account-{_label(years)}.json"
    if kept := warehouse.files.get(note):
        return [Account(**{**row, "fields": tuple(row["fields"])}) for row in json.loads(kept)]
    size = sum(release.years[year].size for year in years)
    _need_space(warehouse, size)
    warehouse.files.delete(packed)
    text = f"{staging}/text"
    warehouse.files.delete(text)
    if release.recipe is None:
        unpacked = [_unpack(warehouse, release.years[year], year, text) for year in years]
        by_year = {a.year: dataclasses.replace(codes, fields=a.fields) for a in unpacked}
        blocks, tasks = _read_blocks(warehouse, [text]), max(1, ceil(size / TEXT_PER_TASK))
        flows = _pack(warehouse, blocks, by_year, tasks)
    else:
        unpacked = [_promise(release.years[year], year, release.recipe) for year in years]
        flows = generated_flows(warehouse.spark, release.recipe, years, codes)
    flows.write.parquet(warehouse.files.path(packed))
    accounts = _close(warehouse, packed, unpacked, everything=not codes.wanted)
    _keep_texts_of_duplicates(warehouse, packed, text)
    warehouse.files.delete(text)
    warehouse.files.put(json.dumps([dataclasses.asdict(a) for a in accounts]).encode(), note)
    return accounts


def _need_space(warehouse: Warehouse, text: int) -> None:
    free = warehouse.files.free_bytes()
    if free is not None and free < SPACE_FACTOR * text:
        raise Problem(
            f"{warehouse.root} has {free / 1e9:.1f} GB free; the years in work need "
            f"{SPACE_FACTOR * text / 1e9:.1f} GB. Free some space or lower --unpack-mb."
        )


def _unpack(warehouse: Warehouse, file: baci.TextFile, year: int, text: str) -> Account:
    """Copy a year's lines to the staging folder in blocks, counting and hashing them."""
    total = hashlib.sha256()
    fields: tuple[str, ...] = ()
    rows = 0
    for piece in baci.blocks(file, seen=total.update):
        if isinstance(piece, baci.Block):
            warehouse.files.put(piece.text, f"{text}/{block_name(year, piece.first_line)}")
            rows += piece.rows
        else:
            fields = piece
    if rows == 0:
        raise Problem(f"{file.name} has a header and no rows; expected the flows of {year}.")
    return Account(file=file.name, year=year, sha256=total.hexdigest(), fields=fields, rows=rows)


def _promise(file: baci.TextFile, year: int, recipe: str) -> Account:
    """Open the account of a year that is generated: rows are counted as they are made."""
    digest = hashlib.sha256(f"{recipe}{year}".encode()).hexdigest()
    return Account(file=file.name, year=year, sha256=digest, fields=baci.FIELDS, rows=0)


def _read_blocks(warehouse: Warehouse, names: Sequence[str]) -> DataFrame:
    # Hive-style folders would be read as a column; the year is taken from the path instead.
    return (
        warehouse.spark.read.format("binaryFile")
        .option("recursiveFileLookup", "true")
        .load([warehouse.files.readable(name) for name in names])
        .select("path", "content")
    )


def _pack(
    warehouse: Warehouse, blocks: DataFrame, codes: dict[int, Codes], tasks: int
) -> DataFrame:
    parsed = blocks.mapInArrow(pack_blocks(codes), PACKED_SCHEMA)
    # A number, since AQE would judge these small rows by bytes and run the merge as one task.
    together = parsed.repartition(tasks, "year", "product")
    return together.sortWithinPartitions("year", "product", "first_line").mapInArrow(
        merge_products, PACKED_SCHEMA
    )


def _close(
    warehouse: Warehouse, packed: str, unpacked: Iterable[Account], *, everything: bool
) -> list[Account]:
    """Sum what was packed, by year, and check it against what was read."""
    frame = warehouse.spark.read.parquet(warehouse.files.readable(packed))
    sums, merged = F.col("product") == SUMS, F.col("product") != SUMS
    rejected = F.expr(
        "aggregate(coalesce(rejects, array()), 0D, (s, r) -> s + coalesce(r.value_kusd, 0D))"
    )
    found = {
        row.year: row.asDict()
        for row in frame.groupBy("year")
        .agg(
            F.sum("rows_selected").alias("rows_selected"),
            F.sum(F.when(sums, F.col("value_kusd"))).alias("value_kusd"),
            F.sum(F.length("flows") / FLOW.itemsize).cast("bigint").alias("rows_kept"),
            F.sum(F.when(merged, F.col("value_kusd"))).alias("kept_kusd"),
            F.sum(F.size(F.coalesce("rejects", F.array()))).alias("rows_rejected"),
            F.sum(rejected).alias("rejected_kusd"),
        )
        .fillna(0)
        .collect()
    }
    accounts = [_with_sums(account, found.get(account.year, {})) for account in unpacked]
    for account in accounts:
        account.check(everything=everything)
    return accounts


def _with_sums(account: Account, sums: dict[str, Any]) -> Account:
    """Enter what was packed; a year that was generated has the rows that were made."""
    summed = dataclasses.replace(account, **sums)
    return summed if summed.rows else dataclasses.replace(summed, rows=summed.rows_selected)


_TRADE_ROWS = TRADE.result_schema
_TEXTS = "year int, line bigint, text string"


def _keep_texts_of_duplicates(warehouse: Warehouse, packed: str, text: str) -> None:
    """Stage the text of rows found to be duplicates after they were packed."""
    duplicates = (
        warehouse.spark.read.parquet(warehouse.files.readable(packed))
        .select("year", F.explode("rejects").alias("r"))
        .where(F.col("r.reason") == Reason.DUPLICATE.value)
        .select("year", "r.line")
        .toPandas()
    )
    lines = {
        int(y): np.sort(group["line"].to_numpy(np.int64)) for y, group in duplicates.groupby("year")
    }
    holding = [
        f"{text}/{block_name(year, int(first_line))}"
        for year, wanted in lines.items()
        for first_line in blocks_of(wanted, _first_lines(warehouse, f"{text}/year={year}"))
    ]
    found = (
        _read_blocks(warehouse, holding).mapInArrow(lines_of_blocks(lines), _TEXTS)
        if holding
        else warehouse.spark.createDataFrame([], _TEXTS)
    )
    found.write.mode("overwrite").parquet(warehouse.files.path(f"{packed}-duplicates"))


def _first_lines(warehouse: Warehouse, folder: str) -> np.ndarray:
    places = (BLOCK_NAME.search(f"{folder}/{name}") for name in warehouse.files.children(folder))
    return np.sort([int(place["first_line"]) for place in places if place])


def _report(accounts: Iterable[Account]) -> None:
    for a in accounts:
        left = f", {a.rows - a.rows_selected:,} not selected" if a.rows != a.rows_selected else ""
        rows = f"{a.rows:,} rows = {a.rows_kept:,} in trade + {a.rows_rejected:,} rejected{left}"
        total, kept, rejected = (v / 1e6 for v in (a.value_kusd, a.kept_kusd, a.rejected_kusd))
        say(f"  {a.file}: {rows}; {total:,.3f} = {kept:,.3f} + {rejected:,.3f} billion USD")


def _commit(
    warehouse: Warehouse,
    release: baci.Release,
    settings: Settings,
    staging: str,
    staged: Sequence[str],
    accounts: Sequence[Account],
    codes: Codes,
) -> None:
    """Replace the tables, `sources` last; with --replace the whole of them, else these years.

    Until `sources` is written the job counts as not done, so the staged years are deleted before,
    the notes that vouch for them first: a kill anywhere leaves nothing that is trusted or in the
    way.
    """
    years = {"year": tuple(a.year for a in accounts)}
    part: Slice = {} if settings.ingest.replace else years
    packed, texts = (
        warehouse.spark.read.parquet(*(warehouse.files.readable(name + kind) for name in staged))
        for kind in ("", "-duplicates")
    )
    warehouse.replace_together(
        (TRADE, packed.mapInArrow(unpack_trade(codes.products), _TRADE_ROWS), part),
        (REJECTS, _rejects(warehouse, packed, texts, accounts), part),
        (COUNTRIES, _countries(warehouse, release), {}),
        (PRODUCTS, _products(warehouse, release), {}),
    )
    for name in warehouse.files.children(staging):
        if name.endswith(".json"):
            warehouse.files.delete(f"{staging}/{name}")
    warehouse.files.delete(STAGING)
    warehouse.replace(SOURCES, _sources(warehouse, release, settings.ingest, accounts, part))


def _rejects(
    warehouse: Warehouse, packed: DataFrame, texts: DataFrame, accounts: Sequence[Account]
) -> DataFrame:
    file_of = warehouse.spark.createDataFrame(
        [Row(year=a.year, file=a.file) for a in accounts], "year int, file string"
    )
    rows = packed.select("year", F.explode("rejects").alias("r")).select("year", "r.*")
    return (
        rows.join(F.broadcast(file_of), "year")
        .join(texts.withColumnRenamed("text", "found"), ["year", "line"], "left")
        .withColumn("text", F.coalesce("found", "text"))
    )


def _countries(warehouse: Warehouse, release: baci.Release) -> DataFrame:
    rows = [
        (c.country, c.name, c.iso2, c.iso3, wgi_code(c.iso3) if c.iso3 else None)
        for c in release.countries
    ]
    return warehouse.spark.createDataFrame(rows, COUNTRIES.result_schema)


def _products(warehouse: Warehouse, release: baci.Release) -> DataFrame:
    rows = [(release.nomenclature, code, text) for code, text in release.products.items()]
    return warehouse.spark.createDataFrame(rows, PRODUCTS.result_schema)


def _sources(
    warehouse: Warehouse,
    release: baci.Release,
    options: Ingest,
    accounts: Sequence[Account],
    part: Slice,
) -> DataFrame:
    """Return the table with these files in place of those of the same years and lists."""
    now = datetime.now(UTC)
    common = {
        "archive": release.archive,
        "nomenclature": release.nomenclature,
        "release": release.release,
        "selection": _selection(options),
        "ingested_at": now,
    }
    rows = [
        {
            **common,
            "path": a.file,
            "sha256": a.sha256,
            "kind": "baci",
            "year": a.year,
            "rows": a.rows,
            "rows_selected": a.rows_selected,
            "rows_rejected": a.rows_rejected,
            "value_kusd": a.value_kusd,
            "rejected_kusd": a.rejected_kusd,
        }
        for a in accounts
    ]
    for kind, file, count in (
        ("countries", release.country_file, len(release.countries)),
        ("products", release.product_file, len(release.products)),
    ):
        with file.open() as stream:
            sha256 = hashlib.file_digest(stream, "sha256").hexdigest()
        rows.append({**common, "path": file.name, "sha256": sha256, "kind": kind, "rows": count})
    names = [column.name for column in SOURCES.columns]
    new = warehouse.spark.createDataFrame(
        [tuple(row.get(name) for name in names) for row in rows], SOURCES.result_schema
    )
    if not part or not warehouse.exists(SOURCES):
        return new
    replaced = F.col("kind").isin("countries", "products") | F.col("year").isin(*part["year"])
    return warehouse.read(SOURCES).where(~F.coalesce(replaced, F.lit(False))).unionByName(new)
