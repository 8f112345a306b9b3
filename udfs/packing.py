"""Flows of a product-year as arrays: packed from rows of trade, merged across files.

The functions Spark calls between `trade` and `trade_matrices`. Packing happens where the rows are
read, so the shuffle moves one row for each product and file, and no row order is relied on.
"""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

Batches = Iterator[pa.RecordBatch]

MATRIX = pa.schema(
    [
        ("year", pa.int32()),
        ("product", pa.string()),
        ("exporters", pa.list_(pa.int16())),
        ("importers", pa.list_(pa.int16())),
        ("values", pa.list_(pa.float64())),
    ]
)
ROWS_PER_PACK = 2**20
"""Flows packed at a time: bounds memory, and keeps the pieces of a product few."""


def pack(batches: Batches) -> Batches:
    """Turn rows (year, product, exporter, importer, value_kusd) into one row a product-year.

    A product-year may come out in several pieces; `merge` joins them.
    """
    held: list[pa.RecordBatch] = []
    rows = 0
    for batch in batches:
        held.append(batch)
        rows += batch.num_rows
        if rows >= ROWS_PER_PACK:
            yield _packed(pa.Table.from_batches(held))
            held, rows = [], 0
    if rows:
        yield _packed(pa.Table.from_batches(held))


def _packed(table: pa.Table) -> pa.RecordBatch:
    product = table.column("product").combine_chunks()
    product = product if pa.types.is_dictionary(product.type) else product.dictionary_encode()
    names = product.dictionary
    years = table.column("year").to_numpy()
    group = years.astype(np.int64) * len(names) + product.indices.to_numpy()
    order = np.arange(group.size)
    if (np.diff(group) < 0).any():
        order = np.argsort(group, kind="stable")
        group = group[order]
    starts = np.flatnonzero(np.diff(group, prepend=-1))
    offsets = pa.array(np.append(starts, group.size).astype(np.int32))

    def lists(name: str) -> pa.Array:
        return pa.ListArray.from_arrays(offsets, pa.array(table.column(name).to_numpy()[order]))

    return pa.RecordBatch.from_arrays(
        [
            pa.array((group[starts] // len(names)).astype(np.int32)),
            names.take(pa.array(group[starts] % len(names))),
            lists("exporter"),
            lists("importer"),
            lists("value_kusd"),
        ],
        schema=MATRIX,
    )


def merge(batches: Batches) -> Batches:
    """Join the pieces of each product-year and sort its flows by importer, then exporter.

    Expects rows sorted by (year, product), pieces of one key following each other.
    """
    pending: pa.RecordBatch | None = None
    for batch in batches:
        if not batch.num_rows:
            continue
        whole = batch if pending is None else _joined([pending, batch])
        last = _first_of_last_key(whole)
        pending = whole.slice(last)
        if last:
            yield _merged(whole.slice(0, last))
    if pending is not None:
        yield _merged(pending)


def _joined(batches: list[pa.RecordBatch]) -> pa.RecordBatch:
    return pa.Table.from_batches(batches).combine_chunks().to_batches()[0]


def _key_starts(batch: pa.RecordBatch) -> NDArray[np.int64]:
    """Return the rows at which a new (year, product) begins."""
    years, products = batch.column("year"), batch.column("product")
    same_year = pc.equal(years.slice(1), years.slice(0, len(years) - 1))
    same_product = pc.equal(products.slice(1), products.slice(0, len(products) - 1))
    same = pc.and_(same_year, same_product).to_numpy(zero_copy_only=False)
    return np.append(0, np.flatnonzero(~same.astype(np.bool_)) + 1)


def _first_of_last_key(batch: pa.RecordBatch) -> int:
    return int(_key_starts(batch)[-1])


def _merged(batch: pa.RecordBatch) -> pa.RecordBatch:
    starts = _key_starts(batch)
    exporters, importers, values = (
        batch.column(name).flatten().to_numpy() for name in ("exporters", "importers", "values")
    )
    lengths = pc.list_value_length(batch.column("values")).to_numpy()
    sizes = np.add.reduceat(lengths, starts)
    matrix = np.repeat(np.arange(starts.size), sizes)
    key = (matrix << 32) | (importers.astype(np.int64) << 16) | exporters.astype(np.int64)
    if (np.diff(key) < 0).any():
        order = np.argsort(key, kind="stable")
        exporters, importers, values = exporters[order], importers[order], values[order]
    offsets = pa.array(np.append(0, np.cumsum(sizes)).astype(np.int32))
    first = pa.array(starts)
    return pa.RecordBatch.from_arrays(
        [
            batch.column("year").take(first),
            batch.column("product").take(first),
            pa.ListArray.from_arrays(offsets, pa.array(exporters)),
            pa.ListArray.from_arrays(offsets, pa.array(importers)),
            pa.ListArray.from_arrays(offsets, pa.array(values)),
        ],
        schema=MATRIX,
    )
