"""Rows of BACI text, parsed in blocks, packed by product, merged and unpacked again.

The functions Spark calls between text and `trade`. Flows travel packed, one binary value for all
flows of a product in a block, so that a shuffle moves thousands of rows and not millions.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray
from pyarrow import csv

FLOW = np.dtype(
    [
        ("importer", "<i2"),
        ("exporter", "<i2"),
        ("line", "<u4"),
        ("value", "<f8"),
        ("quantity", "<f8"),
    ]
)
"""One packed flow; quantity is NaN where the source says NA."""

Flows = NDArray[Any]
Batches = Iterator[pa.RecordBatch]


class Reason(StrEnum):
    """Why a row is not in trade."""

    FIELDS = "wrong number of fields"
    UNPARSABLE = "unparsable"
    YEAR = "wrong year"
    COUNTRY = "unknown country"
    PRODUCT = "unknown product"
    NEGATIVE = "negative value"
    NOT_FINITE = "value not finite"
    QUANTITY = "impossible quantity"
    SELF_TRADE = "self-trade"
    DUPLICATE = "duplicate key"


@dataclass(frozen=True, slots=True)
class Reject:
    """A row that is not in trade: where it stood, why, and its value where that can be read."""

    line: int
    reason: Reason
    detail: str
    text: str
    value_kusd: float | None


@dataclass(frozen=True)
class Codes:
    """What the release's lists allow, and the products that are wanted (None = all)."""

    fields: tuple[str, ...]
    products: tuple[str, ...]
    countries: tuple[int, ...]
    wanted: tuple[str, ...] = ()

    def selects(self, product: str) -> bool:
        """True if a product is wanted."""
        return not self.wanted or product.startswith(self.wanted)


@dataclass(frozen=True)
class Parsed:
    """A block's flows with their products (index into `Codes.products`), its rejects, its sums."""

    flows: Flows
    products: NDArray[np.int32]
    rejects: tuple[Reject, ...]
    rows_selected: int
    value_kusd: float


NA_MARKS = [" " * blanks + mark for blanks in range(24) for mark in ("NA", "")]
MOST_COUNTRIES = 2**15


def parse(text: bytes, *, first_line: int, year: int, codes: Codes) -> Parsed:
    """Parse whole lines of a BACI file; every row ends up in `flows`, in `rejects` or unselected.

    Clean blocks are read at once by Arrow; a block with any row that Arrow refuses is read row by
    row, so that the refusal names the row. Both ways give the same result on the same rows.
    """
    table = _read_at_once(text, codes)
    if table is None:
        return _parse_by_row(text, first_line, year, codes)
    return _parse_columns(table, text, first_line, year, codes)


def _read_at_once(text: bytes, codes: Codes) -> pa.Table | None:
    if b"x" in text or b"X" in text:  # Arrow would take 0x1F for a number
        return None
    text = text.replace(b'"', b"")  # as `_classify` does
    try:
        table = csv.read_csv(
            pa.BufferReader(text),
            read_options=csv.ReadOptions(
                column_names=codes.fields, use_threads=False, block_size=len(text) + 1
            ),
            parse_options=csv.ParseOptions(ignore_empty_lines=False, quote_char=False),
            convert_options=csv.ConvertOptions(
                column_types={
                    "t": pa.int32(),
                    "i": pa.int32(),
                    "j": pa.int32(),
                    "k": pa.dictionary(pa.int32(), pa.string()),
                    "v": pa.float64(),
                    "q": pa.float64(),
                },
                null_values=NA_MARKS,
                strings_can_be_null=False,
                quoted_strings_can_be_null=False,
            ),
        )
    except pa.ArrowInvalid:
        return None
    whole = table.num_rows == text.count(b"\n")
    required = sum(table.column(name).null_count for name in ("t", "i", "j", "v"))
    return table.combine_chunks() if whole and not required else None


def _parse_columns(
    table: pa.Table, text: bytes, first_line: int, year: int, codes: Codes
) -> Parsed:
    def column(name: str) -> NDArray[Any]:
        return np.asarray(table.column(name).chunk(0).to_numpy(zero_copy_only=False))

    products = _product_numbers(table.column("k").chunk(0), codes)
    selected = products != UNSELECTED
    exporters, importers, years, values = column("i"), column("j"), column("t"), column("v")
    quantities = column("q")
    known = _is_known(codes)
    finite = np.isfinite(values)
    missing = np.isnan(quantities) & pc.is_null(table.column("q").chunk(0)).to_numpy(
        zero_copy_only=False
    )
    tests: list[tuple[Reason, NDArray[np.bool_]]] = [
        (Reason.YEAR, years != year),
        (Reason.COUNTRY, ~(_among(exporters, known) & _among(importers, known))),
        (Reason.PRODUCT, products == UNKNOWN),
        (Reason.NOT_FINITE, ~finite),
        (Reason.NEGATIVE, values < 0),
        (Reason.QUANTITY, ~missing & ~((quantities >= 0) & np.isfinite(quantities))),
        (Reason.SELF_TRADE, exporters == importers),
    ]
    bad = np.zeros(values.size, np.bool_)
    for _, failed in tests:
        bad |= failed
    bad &= selected
    good = selected & ~bad
    flows = np.empty(int(good.sum()), FLOW)
    flows["importer"], flows["exporter"] = importers[good], exporters[good]
    flows["line"] = first_line + np.flatnonzero(good)
    flows["value"], flows["quantity"] = values[good], quantities[good]
    return Parsed(
        flows=flows,
        products=products[good],
        rejects=_by_row(text, np.flatnonzero(bad), first_line, year, codes),
        rows_selected=int(selected.sum()),
        value_kusd=float(values[selected & finite].sum()),
    )


UNKNOWN, UNSELECTED = -1, -2


def _product_numbers(column: pa.DictionaryArray, codes: Codes) -> NDArray[np.int32]:
    number = {product: index for index, product in enumerate(codes.products)}
    meaning = np.array(
        [_product_number(text, number, codes) for text in column.dictionary.to_pylist()], np.int32
    )
    return meaning[column.indices.to_numpy()]


def _product_number(text: str, number: dict[str, int], codes: Codes) -> int:
    product = text.strip().zfill(6)
    if product not in number:
        return UNKNOWN
    return number[product] if codes.selects(product) else UNSELECTED


def _is_known(codes: Codes) -> NDArray[np.bool_]:
    known = np.zeros(MOST_COUNTRIES, np.bool_)
    known[list(codes.countries)] = True
    return known


def _among(countries: NDArray[Any], known: NDArray[np.bool_]) -> NDArray[np.bool_]:
    inside = (countries >= 0) & (countries < MOST_COUNTRIES)
    return np.asarray(inside & known[np.where(inside, countries, 0)])


_INTEGER = re.compile(r"-?\d{1,18}", re.ASCII)
_DECIMAL = re.compile(
    r"[+-]?((\d+\.?\d*|\.\d+)(e[+-]?\d+)?|nan|inf|infinity)", re.ASCII | re.IGNORECASE
)


def _parse_by_row(text: bytes, first_line: int, year: int, codes: Codes) -> Parsed:
    number = {product: index for index, product in enumerate(codes.products)}
    known = frozenset(codes.countries)
    flows: list[tuple[int, int, int, float, float]] = []
    products: list[int] = []
    rejects: list[Reject] = []
    selected, total = 0, 0.0
    for line, raw in enumerate(text.split(b"\n")[:-1], start=first_line):
        found = _classify(raw, line, year, codes, number, known)
        if found is None:
            continue
        selected += 1
        if isinstance(found, Reject):
            rejects.append(found)
            total += (
                found.value_kusd
                if found.value_kusd is not None and np.isfinite(found.value_kusd)
                else 0.0
            )
        else:
            product, flow = found
            products.append(product)
            flows.append(flow)
            total += flow[3]
    return Parsed(
        np.array(flows, FLOW), np.array(products, np.int32), tuple(rejects), selected, total
    )


def _by_row(
    text: bytes, rows: NDArray[np.int64], first_line: int, year: int, codes: Codes
) -> tuple[Reject, ...]:
    """Return the rejects of rows already known to be bad, in words."""
    if rows.size == 0:
        return ()
    ends = np.flatnonzero(np.frombuffer(text, np.uint8) == ord("\n"))
    number = {product: index for index, product in enumerate(codes.products)}
    known = frozenset(codes.countries)
    found = [
        _classify(
            text[ends[row - 1] + 1 if row else 0 : ends[row]],
            first_line + int(row),
            year,
            codes,
            number,
            known,
        )
        for row in rows
    ]
    return tuple(reject for reject in found if isinstance(reject, Reject))


def _classify(
    raw: bytes, line: int, year: int, codes: Codes, number: dict[str, int], known: frozenset[int]
) -> Reject | tuple[int, tuple[int, int, int, float, float]] | None:
    """Return a row's flow with its product, a reject, or None for a product that is not wanted."""
    text = raw.rstrip(b"\r").decode("utf-8", "backslashreplace")
    parts = [part.strip() for part in text.replace('"', "").split(",")]
    if len(parts) != len(codes.fields):
        return Reject(
            line, Reason.FIELDS, f"{len(parts)} fields; expected {len(codes.fields)}", text, None
        )
    row = dict(zip(codes.fields, parts, strict=True))
    value = float(row["v"]) if _DECIMAL.fullmatch(row["v"]) else None
    product = row["k"].zfill(6)
    if product in number and not codes.selects(product):
        return None

    def reject(reason: Reason, detail: str) -> Reject:
        readable = value if value is not None and np.isfinite(value) else None
        return Reject(line, reason, detail, text, readable)

    for name in ("t", "i", "j"):
        if not _INTEGER.fullmatch(row[name]):
            return reject(Reason.UNPARSABLE, f"{name} is {row[name]!r}; expected a whole number")
    if value is None:
        return reject(Reason.UNPARSABLE, f"v is {row['v']!r}; expected a number")
    missing = row["q"] in ("NA", "")
    if not missing and not _DECIMAL.fullmatch(row["q"]):
        return reject(Reason.UNPARSABLE, f"q is {row['q']!r}; expected a number or NA")
    quantity = np.nan if missing else float(row["q"])
    exporter, importer = int(row["i"]), int(row["j"])
    if int(row["t"]) != year:
        return reject(Reason.YEAR, f"t is {row['t']}; the file is for {year}")
    for name, country in (("i", exporter), ("j", importer)):
        if country not in known:
            return reject(Reason.COUNTRY, f"{name} is {country}, not in the country list")
    if product not in number:
        return reject(Reason.PRODUCT, f"k is {row['k']!r}, not in the product list")
    if not np.isfinite(value):
        return reject(Reason.NOT_FINITE, f"v is {row['v']}")
    if value < 0:
        return reject(Reason.NEGATIVE, f"v is {row['v']}")
    if not missing and not (quantity >= 0 and np.isfinite(quantity)):
        return reject(Reason.QUANTITY, f"q is {row['q']}")
    if exporter == importer:
        return reject(Reason.SELF_TRADE, f"i and j are both {exporter}")
    return number[product], (importer, exporter, line, value, quantity)


PACKED_SCHEMA = (
    "year int, product int, first_line bigint, flows binary, rows_selected bigint, "
    "value_kusd double, rejects array<struct<line:bigint,reason:string,detail:string,"
    "text:string,value_kusd:double>>"
)
"""Packed flows of one product in one block; product SUMS carries the block's sums and rejects."""
SUMS = -1
REJECT_TYPE = pa.list_(
    pa.struct(
        [
            ("line", pa.int64()),
            ("reason", pa.string()),
            ("detail", pa.string()),
            ("text", pa.string()),
            ("value_kusd", pa.float64()),
        ]
    )
)
PACKED = pa.schema(
    [
        ("year", pa.int32()),
        ("product", pa.int32()),
        ("first_line", pa.int64()),
        ("flows", pa.binary()),
        ("rows_selected", pa.int64()),
        ("value_kusd", pa.float64()),
        ("rejects", REJECT_TYPE),
    ]
)
BLOCK_NAME = re.compile(r"year=(?P<year>\d+)/first_line=(?P<first_line>\d+)\.txt$")


def block_name(year: int, first_line: int) -> str:
    """Return the file name under which a block is staged."""
    return f"year={year}/first_line={first_line}.txt"


def pack_blocks(codes: dict[int, Codes]) -> Callable[[Batches], Batches]:
    """Build the function from (path, content) of staged blocks to packed flows; codes by year."""

    def pack_each(batches: Batches) -> Batches:
        for batch in batches:
            for path, content in zip(batch.column("path"), batch.column("content"), strict=True):
                place = BLOCK_NAME.search(path.as_py())
                assert place is not None, path
                year, first = int(place["year"]), int(place["first_line"])
                text = content.as_buffer().to_pybytes()
                yield pack(parse(text, first_line=first, year=year, codes=codes[year]), year, first)

    return pack_each


def pack(parsed: Parsed, year: int, first_line: int) -> pa.RecordBatch:
    """Return a row for each product of a block, and one for its sums and rejects."""
    order = np.argsort(parsed.products, kind="stable")
    products = parsed.products[order]
    starts = np.flatnonzero(np.diff(products, prepend=-1))
    flows = _binary(parsed.flows[order], np.append(starts, products.size))
    n = starts.size + 1
    rejects = [_as_dict(reject) for reject in parsed.rejects]
    return pa.RecordBatch.from_arrays(
        [
            pa.array(np.full(n, year), pa.int32()),
            pa.array(np.append(products[starts], SUMS), pa.int32()),
            pa.array(np.full(n, first_line), pa.int64()),
            pa.concat_arrays([flows, pa.nulls(1, pa.binary())]),
            pa.array([0] * (n - 1) + [parsed.rows_selected], pa.int64()),
            pa.array([0.0] * (n - 1) + [parsed.value_kusd], pa.float64()),
            pa.array([None] * (n - 1) + [rejects], REJECT_TYPE),
        ],
        schema=PACKED,
    )


def _binary(records: Flows, offsets: NDArray[Any]) -> pa.Array:
    """Return records[offsets[i]:offsets[i + 1]] as binary values, without copying them."""
    data = np.ascontiguousarray(records)
    ends = (np.asarray(offsets) * data.dtype.itemsize).astype(np.int32)
    return pa.Array.from_buffers(
        pa.binary(), ends.size - 1, [None, pa.py_buffer(ends), pa.py_buffer(data)]
    )


def _as_dict(reject: Reject) -> dict[str, object]:
    return {
        "line": reject.line,
        "reason": reject.reason.value,
        "detail": reject.detail,
        "text": reject.text,
        "value_kusd": reject.value_kusd,
    }


FLOWS_PER_MERGE = 2**20
"""Flows merged at a time: bounds memory and keeps the calls few."""


def merge_products(batches: Batches) -> Batches:
    """Merge the packed flows of each product-year, sorted by importer and exporter.

    Expects rows sorted by (year, product, first_line). Of rows with the same key the first in the
    file stays; the others become rejects whose text the caller fills in. A merged row has the
    value it kept in `value_kusd`.
    """
    keys: list[tuple[int, int]] = []
    pieces: list[Flows] = []
    held = 0
    for batch in batches:
        years, products = batch.column("year").to_numpy(), batch.column("product").to_numpy()
        flows = batch.column("flows")
        sums = batch.filter(pc.equal(batch.column("product"), SUMS))
        if sums.num_rows:
            yield sums
        for row in np.flatnonzero(products != SUMS):
            key = (int(years[row]), int(products[row]))
            if held >= FLOWS_PER_MERGE and key != keys[-1]:
                yield _merged(keys, pieces)
                keys, pieces, held = [], [], 0
            keys.append(key)
            pieces.append(np.frombuffer(flows[row].as_buffer(), FLOW))
            held += pieces[-1].size
    if keys:
        yield _merged(keys, pieces)


def _merged(keys: Sequence[tuple[int, int]], pieces: Sequence[Flows]) -> pa.RecordBatch:
    """Join pieces, those of one key following each other; each key comes out once."""
    years, products = np.array(keys).T
    new = (np.diff(years, prepend=-1) != 0) | (np.diff(products, prepend=-1) != 0)
    matrix = np.repeat(np.cumsum(new) - 1, [piece.size for piece in pieces])
    flows = np.concatenate(pieces)
    key = (
        matrix << 32 | flows["importer"].astype(np.int64) << 16 | flows["exporter"].astype(np.int64)
    )
    order = np.argsort(key, kind="stable")  # stable: of equal keys the lower line stays first
    flows, key, matrix = flows[order], key[order], matrix[order]
    again = np.diff(key, prepend=-1) == 0
    rejects: list[list[dict[str, object]]] = [[] for _ in range(int(new.sum()))]
    for row in np.flatnonzero(again):
        first = flows[np.searchsorted(key, key[row])]
        rejects[matrix[row]].append(_as_dict(_duplicate(flows[row], first)))
    flows, matrix = flows[~again], matrix[~again]
    n = len(rejects)
    return pa.RecordBatch.from_arrays(
        [
            pa.array(years[new], pa.int32()),
            pa.array(products[new], pa.int32()),
            pa.array(np.zeros(n), pa.int64()),
            _binary(flows, np.searchsorted(matrix, np.arange(n + 1))),
            pa.array(np.zeros(n), pa.int64()),
            pa.array(np.bincount(matrix, flows["value"], n)),
            pa.array(rejects, REJECT_TYPE),
        ],
        schema=PACKED,
    )


def _duplicate(flow: Any, first: Any) -> Reject:
    detail = f"same exporter, importer and product as line {first['line']}"
    return Reject(int(flow["line"]), Reason.DUPLICATE, detail, "", float(flow["value"]))


def unpack_trade(products: Sequence[str]) -> Callable[[Batches], Batches]:
    """Build the function from packed flows to rows of `trade`."""
    names = pa.array(products, pa.string())

    def unpack(batches: Batches) -> Batches:
        for batch in batches:
            kept = batch.filter(pc.not_equal(batch.column("product"), SUMS))
            if not kept.num_rows:
                continue
            column = kept.column("flows")
            flows = np.concatenate([np.frombuffer(value.as_buffer(), FLOW) for value in column])
            sizes = pc.binary_length(column).to_numpy() // FLOW.itemsize
            rows = np.repeat(np.arange(kept.num_rows), sizes)
            yield pa.RecordBatch.from_arrays(
                [
                    pa.array(kept.column("year").to_numpy()[rows]),
                    pa.array(np.ascontiguousarray(flows["exporter"])),
                    pa.array(np.ascontiguousarray(flows["importer"])),
                    names.take(pa.array(kept.column("product").to_numpy()[rows])),
                    pa.array(np.ascontiguousarray(flows["value"])),
                    pa.array(np.ascontiguousarray(flows["quantity"]), from_pandas=True),
                ],
                names=["year", "exporter", "importer", "product", "value_kusd", "quantity_t"],
            )

    return unpack


def blocks_of(lines: NDArray[np.int64], first_lines: NDArray[np.int64]) -> NDArray[np.int64]:
    """Return the first lines of the blocks that hold any of `lines`; both sorted."""
    holding = np.searchsorted(first_lines, lines, side="right") - 1
    return first_lines[np.unique(holding)]


def lines_of_blocks(wanted: dict[int, NDArray[np.int64]]) -> Callable[[Batches], Batches]:
    """Build the function from staged blocks to the text of the wanted lines, by year."""

    def find(batches: Batches) -> Batches:
        for batch in batches:
            for path, content in zip(batch.column("path"), batch.column("content"), strict=True):
                place = BLOCK_NAME.search(path.as_py())
                assert place is not None, path
                year, first = int(place["year"]), int(place["first_line"])
                texts = content.as_buffer().to_pybytes().split(b"\n")
                lines = wanted.get(year, np.empty(0, np.int64))
                inside = lines[(lines >= first) & (lines < first + len(texts) - 1)]
                yield pa.RecordBatch.from_arrays(
                    [
                        pa.array(np.full(inside.size, year), pa.int32()),
                        pa.array(inside, pa.int64()),
                        pa.array(
                            [
                                texts[n - first].rstrip(b"\r").decode("utf-8", "backslashreplace")
                                for n in inside
                            ],
                            pa.string(),
                        ),
                    ],
                    names=["year", "line", "text"],
                )

    return find
