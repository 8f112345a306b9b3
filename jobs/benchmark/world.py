"""Synthetic years in BACI's file format, as large as real ones, to measure on.

No truth is planted here: only size, sparsity and text are like those of the real cube. A few rows
of each kind that `ingest` must refuse lie among the good ones.
"""

from __future__ import annotations

import csv
import io
import zipfile
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray
from pyarrow import csv as arrow_csv

from conf.problem import Problem
from conf.settings import SAMPLE_BACI
from udfs.seeding import group_rng

RELEASE = "000000"
COUNTRIES = 226
LOG_FLOWS = (7.15, 1.05)
"""Mean and deviation of the logarithm of a product's flows in a year, as in the real cube."""
MOST_FLOWS = 30_000
LOG_SIZE, LOG_SELLING, LOG_BUYING = 1.8, 1.5, 0.7
"""Deviations: of a country's size, and of what it sells and buys of one product."""
LOG_VALUE = (3.0, 3.0)
"""Mean and deviation of the logarithm of a flow's value in thousand USD."""
MISSING_QUANTITIES = 0.04
FAULTS = ("self-trade", "unknown country", "unknown product", "negative", "not finite", "twice")
MOST_FAULTS = 50
"""Bad rows of each kind in a year."""
UNKNOWN_COUNTRY, UNKNOWN_PRODUCT = 32_000, "999998"
FIELD_WIDTH = 15
"""Values and quantities are padded to this width."""
ROWS_PER_BLOCK = 2**20


@dataclass(frozen=True)
class CodeLists:
    """The codes the world trades in, and the bundled release's lists as text."""

    countries: NDArray[np.int32]
    products: tuple[str, ...]
    country_text: bytes
    product_text: bytes


@dataclass
class Rows:
    """Columns of a year's file; values and quantities in thousandths, `product` an index."""

    exporter: NDArray[np.int32]
    importer: NDArray[np.int32]
    product: NDArray[np.int32]
    value: NDArray[np.int64]
    is_finite: NDArray[np.bool_]
    has_quantity: NDArray[np.bool_]


def code_lists(products: int) -> CodeLists:
    """Return the bundled lists and the codes of so many products."""
    with zipfile.ZipFile(SAMPLE_BACI) as archive:
        texts = {name.split("_")[0]: archive.read(name) for name in archive.namelist()}
    countries = [int(row["country_code"]) for row in _listed(texts["country"])]
    codes = [row["code"].zfill(6) for row in _listed(texts["product"])]
    if not 1 <= products <= len(codes):
        raise Problem(f"bench: found {products} products; expected 1 to {len(codes)}.")
    return CodeLists(
        np.array(countries[:COUNTRIES], np.int32),
        tuple(codes[:products]),
        texts["country"],
        texts["product"],
    )


def _listed(text: bytes) -> csv.DictReader[str]:
    return csv.DictReader(io.StringIO(text.decode("utf-8-sig")))


def write_lists(folder: Path, lists: CodeLists) -> None:
    """Write the country and product lists of the release."""
    folder.mkdir(parents=True, exist_ok=True)
    (folder / f"country_codes_V{RELEASE}.csv").write_bytes(lists.country_text)
    (folder / f"product_codes_HS92_V{RELEASE}.csv").write_bytes(lists.product_text)


def write_year(folder: Path, lists: CodeLists, year: int, seed: int = 1) -> int:
    """Write one year's file and return its number of rows; the same seed gives the same bytes."""
    rows = _with_faults(_flows(lists, year, seed), group_rng(seed, "faults", year))
    with (folder / f"BACI_HS92_Y{year}_V{RELEASE}.csv").open("wb") as file:
        file.write(b"t,i,j,k,v,q\n")
        for start in range(0, rows.product.size, ROWS_PER_BLOCK):
            _write(file, rows, slice(start, start + ROWS_PER_BLOCK), lists, year)
    return rows.product.size


def _flows(lists: CodeLists, year: int, seed: int) -> Rows:
    """Draw a year, sorted by exporter, importer and product as CEPII sorts it."""
    size = group_rng(seed, "size").lognormal(0, LOG_SIZE, lists.countries.size)
    pairs, values = [], []
    for product in lists.products:
        drawn = _pairs_of_product(group_rng(seed, "flows", year, product), size)
        pairs.append(drawn[0])
        values.append(drawn[1])
    pair = np.concatenate(pairs)
    product = np.repeat(np.arange(len(pairs), dtype=np.int32), [p.size for p in pairs])
    order = np.argsort(pair, kind="stable")
    exporter, importer = np.divmod(pair[order], np.int32(lists.countries.size))
    rng = group_rng(seed, "quantities", year)
    return Rows(
        exporter=lists.countries[exporter],
        importer=lists.countries[importer],
        product=product[order],
        value=np.concatenate(values)[order],
        is_finite=np.ones(pair.size, np.bool_),
        has_quantity=rng.random(pair.size, np.float32) >= MISSING_QUANTITIES,
    )


def _pairs_of_product(
    rng: np.random.Generator, size: NDArray[np.float64]
) -> tuple[NDArray[np.int32], NDArray[np.int64]]:
    """Return the pairs (exporter * n + importer) that trade a product, and their values."""
    n = size.size
    most = min(MOST_FLOWS, n * (n - 1))
    flows = int(min(max(rng.lognormal(*LOG_FLOWS), 1), most))
    weight = np.outer(
        size * rng.lognormal(0, LOG_SELLING, n), size * rng.lognormal(0, LOG_BUYING, n)
    )
    np.fill_diagonal(weight, 0)
    with np.errstate(divide="ignore"):
        arrival = rng.standard_exponential(n * n) / weight.ravel()  # smallest = drawn first
    pair = np.argpartition(arrival, flows - 1)[:flows].astype(np.int32)
    value = np.rint(1000 * rng.lognormal(*LOG_VALUE, flows)).astype(np.int64)
    return pair, np.maximum(value, 1)


def faults_of_a_kind(rows: int) -> int:
    """Return how many bad rows of each kind lie in a year of so many rows."""
    return min(MOST_FAULTS, rows // (8 * len(FAULTS)))


def _with_faults(rows: Rows, rng: np.random.Generator) -> Rows:
    """Spoil some odd rows, each in one way; the even ones stay good."""
    n = rows.product.size
    count = faults_of_a_kind(n)
    spoilt = 2 * rng.choice(n // 2, (len(FAULTS), count), replace=False) + 1
    loops, strangers, unlisted, negative, infinite, twice = spoilt
    rows.importer[loops] = rows.exporter[loops]
    rows.importer[strangers] = UNKNOWN_COUNTRY
    rows.product[unlisted] = -1
    rows.value[negative] *= -1
    rows.is_finite[infinite] = False
    for column in (rows.exporter, rows.importer, rows.product):
        column[twice] = column[twice - 1]
    return rows


def _write(file: IO[bytes], rows: Rows, part: slice, lists: CodeLists, year: int) -> None:
    names = pa.array([*lists.products, UNKNOWN_PRODUCT])
    product = rows.product[part]
    values, quantities = rows.value[part], np.abs(rows.value[part]) // 3
    columns = {
        "t": pa.array(np.full(product.size, year, np.int16)),
        "i": pa.array(rows.exporter[part]),
        "j": pa.array(rows.importer[part]),
        "k": names.take(pa.array(product % len(names))),
        "v": _padded(values, rows.is_finite[part], "inf"),
        "q": _padded(quantities, rows.has_quantity[part], "NA"),
    }
    options = arrow_csv.WriteOptions(include_header=False, quoting_style="none")
    arrow_csv.write_csv(pa.table(columns), file, options)


def _padded(thousandths: NDArray[np.int64], is_number: NDArray[np.bool_], otherwise: str) -> Any:
    """Return numbers as text with three decimals, padded, with another word where there is none."""
    words = np.column_stack([thousandths, thousandths >> 63])  # low and high half of a decimal
    numbers = pa.Array.from_buffers(
        pa.decimal128(18, 3), thousandths.size, [None, pa.py_buffer(words)]
    )
    text = pc.if_else(pa.array(is_number), numbers.cast(pa.string()), otherwise)
    return pc.ascii_lpad(text, FIELD_WIDTH)
