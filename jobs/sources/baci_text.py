"""Text as CEPII publishes it: yearly lines t,i,j,k,v,q and the two code lists.

Values and quantities are padded with blanks to 15 characters with three decimals, a quantity that
is not reported is `NA`, padded alike; years, countries and products are bare, and lines end in LF.
Lines are made all at once: digits of four decimals come from a table, each line is laid out at full
width, and the bytes that nothing was written to are dropped.
"""

from __future__ import annotations

import csv
import io
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from functools import cache

import numpy as np
from numpy.typing import ArrayLike, NDArray

HEADER = b"t,i,j,k,v,q\n"
WIDTH = 15
LARGEST = 10**11
"""Values and quantities have at most 11 digits before the point."""
MOST_COUNTRIES = 2**15

FOUR_DIGITS, PRODUCT_DIGITS = 10_000, 6

Words = NDArray[np.uint32]

_NUMBER = np.dtype([("high", "V3"), ("middle", "u4"), ("low", "u4"), ("decimals", "u4")])
_LINE = np.dtype(
    [
        ("year", "S5"), ("exporter", "S6"), ("importer", "S6"), ("product", "S6"), ("comma", "S1"),
        ("value", "V15"), ("comma_2", "S1"), ("quantity", "V15"), ("end", "S1"),
    ]
)  # fmt: skip


def lines(
    year: int,
    exporters: ArrayLike,
    importers: ArrayLike,
    products: ArrayLike,
    values_kusd: ArrayLike,
    quantities_t: ArrayLike,
) -> bytes:
    """Return one line a flow, without header, in the order given.

    Args:
        year: four digits.
        exporters: BACI's numeric codes, shape (n,), 0 to 32767.
        importers: the same.
        products: six characters each, shape (n,), or one for all flows.
        values_kusd: thousand USD, shape (n,), 0 to 1e11, rounded to three decimals.
        quantities_t: metric tons, the same; NaN = not reported.

    Raises:
        ValueError: a code, value or quantity that BACI's layout cannot hold.
    """
    values = _thousandths(values_kusd, "value")
    tons = np.asarray(quantities_t, np.float64)
    missing = np.isnan(tons)
    quantities = _thousandths(np.where(missing, 0.0, tons), "quantity")
    line = np.zeros(values.size, _LINE)
    line["year"] = f"{year:04d},".encode()
    line["exporter"] = _countries(exporters)
    line["importer"] = _countries(importers)
    line["product"] = _products(products)
    line["comma"] = line["comma_2"] = b","
    line["value"] = _padded(values)
    line["quantity"] = _padded(quantities)
    line["quantity"][missing] = b"NA".rjust(WIDTH)
    line["end"] = b"\n"
    text = line.view(np.uint8)
    return text[text != 0].tobytes()


def country_list(countries: Iterable[tuple[int, str, str, str]]) -> bytes:
    """Return `country_codes_V*.csv` from code, name, ISO2 and ISO3 of each country."""
    header = ("country_code", "country_name", "country_iso2", "country_iso3")
    return _csv([header, *countries])


def product_list(products: Mapping[str, str]) -> bytes:
    """Return `product_codes_HS*_V*.csv` from the description of each product."""
    return _csv([("code", "description"), *products.items()])


def _csv(rows: Iterable[Iterable[object]]) -> bytes:
    text = io.StringIO()
    csv.writer(text, lineterminator="\n").writerows(rows)
    return text.getvalue().encode()


def _thousandths(amounts: ArrayLike, name: str) -> NDArray[np.int64]:
    given = np.asarray(amounts, np.float64)
    fits = (given >= 0) & (given < LARGEST)
    if not fits.all():
        raise ValueError(
            f"found a {name} of {given[~fits][0]}; expected 0 to {LARGEST:,}, "
            "for BACI has 11 digits before the point and no sign"
        )
    return np.rint(given * 1000).astype(np.int64)


def _padded(thousandths: NDArray[np.int64]) -> NDArray[np.void]:
    """Write numbers to WIDTH characters with three decimals, blanks before; shape (n,), V15."""
    table = _tables()
    whole, decimals = np.divmod(thousandths, 1000)
    rest, low = np.divmod(whole, FOUR_DIGITS)
    high, middle = np.divmod(rest, FOUR_DIGITS)
    text = np.empty(thousandths.size, _NUMBER)
    text["high"] = table.high[high]
    text["middle"] = table.middle[middle + FOUR_DIGITS * (high == 0)]
    text["low"] = table.low[low + FOUR_DIGITS * (rest == 0)]
    text["decimals"] = table.decimals[decimals]
    return text.view(f"V{WIDTH}")


@dataclass(frozen=True)
class _Tables:
    """Digits as bytes. middle and low: 0000 to 9999, then the same with blanks before."""

    high: NDArray[np.void]
    middle: Words
    low: Words
    decimals: Words
    country: NDArray[np.bytes_]


@cache
def _tables() -> _Tables:
    zeros = [f"{number:04d}" for number in range(FOUR_DIGITS)]
    blanks = [f"{number:4d}" for number in range(FOUR_DIGITS)]
    return _Tables(
        high=_bytes(["   ", *(f"{number:3d}" for number in range(1, 1000))]).view("V3"),
        middle=_bytes([*zeros, "    ", *blanks[1:]]).view(np.uint32),
        low=_bytes([*zeros, *blanks]).view(np.uint32),
        decimals=_bytes([f".{number:03d}" for number in range(1000)]).view(np.uint32),
        country=_bytes([f"{code}," for code in range(MOST_COUNTRIES)]),
    )


def _bytes(texts: list[str]) -> NDArray[np.bytes_]:
    return np.array(texts, "S")


def _countries(codes: ArrayLike) -> NDArray[np.bytes_]:
    """Return country codes as text with the comma after them, shape (n,)."""
    given = np.asarray(codes, np.int64)
    fits = (given >= 0) & (given < MOST_COUNTRIES)
    if not fits.all():
        raise ValueError(
            f"found the country code {given[~fits][0]}; expected 0 to {MOST_COUNTRIES - 1:,}"
        )
    return _tables().country[given]


def _products(codes: ArrayLike) -> NDArray[np.bytes_]:
    given = np.asarray(codes, "S")
    if given.size and (np.char.str_len(given) != PRODUCT_DIGITS).any():
        wrong = given[np.char.str_len(given) != PRODUCT_DIGITS].ravel()[0].decode()
        raise ValueError(f"found the product {wrong!r}; expected {PRODUCT_DIGITS} characters")
    return given
