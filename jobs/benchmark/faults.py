"""Bad rows for `ingest` to refuse, added to synthetic years: a few of each kind."""

from __future__ import annotations

from collections.abc import Callable
from itertools import islice
from pathlib import Path

EACH = 50
"""Bad rows of each kind in a year, which must have as many."""
EXPORTER, IMPORTER, PRODUCT, VALUE = 1, 2, 3, 4
"""Places of fields in a line t,i,j,k,v,q."""
Fields = list[str]


def _with(place: int, text: str) -> Callable[[Fields], Fields]:
    return lambda row: [*row[:place], text, *row[place + 1 :]]


FAULTS: dict[str, Callable[[Fields], Fields]] = {
    "self-trade": lambda row: _with(IMPORTER, row[EXPORTER])(row),
    "unknown country": _with(IMPORTER, "32000"),
    "unknown product": _with(PRODUCT, "999998"),
    "negative": lambda row: _with(VALUE, f"-{row[VALUE].strip()}")(row),
    "not finite": _with(VALUE, "inf"),
    "twice": lambda row: row,
}
"""What each does to the fields of a good row."""


def add_faults(file: Path) -> int:
    """Append spoilt copies of a year's first rows; return how many."""
    with file.open(encoding="ascii") as text:
        next(text)
        rows = [line.rstrip("\n").split(",") for line in islice(text, EACH)]
    spoilt = [",".join(spoil(row)) for spoil in FAULTS.values() for row in rows]
    with file.open("a", encoding="ascii") as text:
        text.writelines(f"{line}\n" for line in spoilt)
    return len(spoilt)
