"""Small CSV files that a user gives: their columns and keys are checked before anything is used."""

from __future__ import annotations

import csv
from collections.abc import Sequence
from pathlib import Path

import pandas as pd

from conf.problem import Problem


def read_given(path: str, expected: Sequence[str], key: Sequence[str] | None) -> pd.DataFrame:
    """Return the rows as text, with their line in the file as column `line`.

    Args:
        path: the file, CSV in UTF-8; empty lines are passed over.
        expected: columns it must have; it may have more.
        key: columns that together stand once; None = nothing need be unique.

    Raises:
        Problem: it cannot be read, is no CSV, lacks a column, or has a row of another length or a
            key twice.
    """
    try:
        text = Path(path).read_bytes().decode("utf-8-sig")
    except OSError as error:
        raise Problem(f"{path} cannot be read: {error.strerror}.") from None
    except UnicodeDecodeError as error:
        raise Problem(f"{path} is not a CSV file: {error}.") from None
    reader = csv.DictReader(text.splitlines(keepends=True), strict=True)
    rows = []
    try:
        columns = list(reader.fieldnames or ())
        for row in reader:
            if None in row or None in row.values():
                raise Problem(
                    f"{path}, line {reader.line_num}: found a row of another length than the "
                    f"header; expected {len(columns)} fields, {', '.join(columns)}."
                )
            rows.append({**row, "line": reader.line_num})
    except csv.Error as error:
        raise Problem(f"{path} is not a CSV file: {error}, line {reader.line_num}.") from None
    if absent := [name for name in expected if name not in columns]:
        raise Problem(
            f"{path}: no column {', '.join(absent)}; expected {', '.join(expected)}, "
            f"found {', '.join(columns)}."
        )
    table = pd.DataFrame(rows, columns=[*columns, "line"])
    if key and table.duplicated(list(key)).any():
        twice = table[table.duplicated(list(key))].iloc[0]
        raise Problem(
            f"{path}, line {twice['line']}: {', '.join(twice[list(key)])} stands a second time."
        )
    return table
