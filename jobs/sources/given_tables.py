"""Small CSV files that a user gives: their columns and keys are checked before anything is used."""

from __future__ import annotations

import pandas as pd

from conf.problem import Problem


def read_given(path: str, expected: tuple[str, ...], key: tuple[str, ...] | None) -> pd.DataFrame:
    """Return the rows as text, with their line in the file as column `line`.

    Args:
        path: the file.
        expected: columns it must have; it may have more.
        key: columns that together stand once; None = nothing need be unique.

    Raises:
        Problem: it cannot be read, is no CSV, lacks a column, or has a key twice.
    """
    try:
        table = pd.read_csv(path, dtype=str, keep_default_na=False)
    except OSError as error:
        raise Problem(f"{path} cannot be read: {error.strerror}.") from None
    except (ValueError, UnicodeDecodeError) as error:
        raise Problem(f"{path} is not a CSV file: {error}.") from None
    if absent := [name for name in expected if name not in table]:
        raise Problem(
            f"{path}: no column {', '.join(absent)}; expected {', '.join(expected)}, "
            f"found {', '.join(map(str, table.columns))}."
        )
    table["line"] = table.index + 2
    if key and table.duplicated(list(key)).any():
        twice = table[table.duplicated(list(key))].iloc[0]
        raise Problem(
            f"{path}, line {twice['line']}: {', '.join(twice[list(key)])} stands a second time."
        )
    return table
