"""Rows of the warehouse for the page; a table that no job has written yet has none."""

from __future__ import annotations

import pandas as pd

from jobs.tables import Table
from jobs.warehouse import Warehouse


def rows(
    warehouse: Warehouse,
    table: Table,
    where: str = "true",
    columns: tuple[str, ...] = (),
) -> pd.DataFrame:
    """Return the rows of a table that meet an SQL condition, in the order of its key.

    Only the columns named, or all. A table that was not written has its columns and no rows.
    """
    names = columns or tuple(column.name for column in table.columns)
    if not warehouse.exists(table):
        return pd.DataFrame(columns=list(names))
    found = warehouse.read(table).where(where).select(*names).toPandas()
    key = [name for name in table.key if name in names]
    return found.sort_values(key, ignore_index=True) if key else found


def quoted(values: tuple[str, ...] | list[str]) -> str:
    """Return texts as an SQL list; they are codes of this project, checked elsewhere."""
    return ", ".join("'" + value.replace("'", "''") + "'" for value in values) or "null"
