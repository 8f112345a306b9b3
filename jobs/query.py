"""Questions to the warehouse: SQL in the terminal, the table dictionary, the SQL server."""

from __future__ import annotations

import csv
import json
import os
import signal
import sys
import threading
from collections.abc import Iterable, Sequence
from typing import Any

from pyspark.errors import PySparkException
from pyspark.sql import DataFrame
from rich.console import Console
from rich.markup import escape
from rich.table import Table as Grid
from rich.text import Text

from conf.problem import Problem, nearest
from conf.settings import Settings
from jobs.pipeline import writer_of
from jobs.progress import say
from jobs.session import open_warehouse
from jobs.tables import TABLES, Table
from jobs.warehouse import Warehouse

MOST_ROWS_SHOWN = 1000
"""Rows printed as a table; csv and json print all."""
READING = ("select", "with", "show", "describe", "desc", "explain", "values", "from", "table")
"""First words of statements that change nothing."""


def run_query(settings: Settings, words: Sequence[str]) -> None:
    """Print the rows of one reading statement, as a table, csv or json."""
    if not words or len(words) > 2 or (len(words) == 2 and words[1] not in ("csv", "json")):
        raise Problem(
            'sql takes one quoted query and then, if wanted, csv or json: sql "select 1" csv'
        )
    query, style = words[0].strip().rstrip(";"), words[1] if len(words) == 2 else "table"
    first = query.lstrip("( \n\t").split(None, 1)[0].lower() if query.strip("( \n\t") else ""
    if first not in READING:
        raise Problem(
            f"sql reads and does not write; found a statement that starts with {first!r}, "
            f"expected one of {', '.join(READING)}."
        )
    warehouse = _existing(settings)
    try:
        frame = warehouse.spark.sql(query)
        _refuse_files(frame)
        _print(frame, style)
    except PySparkException as error:
        raise Problem(_query_fault(error)) from None


def _refuse_files(frame: DataFrame) -> None:
    """Refuse a statement whose plan is a command that writes (insert in a CTE and the like)."""
    plan = frame._jdf.queryExecution().analyzed().getClass().getSimpleName()
    if plan.startswith(
        ("Insert", "Create", "Overwrite", "Append", "Delete", "Update", "Merge", "Drop")
    ):
        raise Problem(f"sql reads and does not write; this statement is {plan}.")


def _print(frame: DataFrame, style: str) -> None:
    if style == "json":
        for row in frame.toLocalIterator():
            print(json.dumps(row.asDict(recursive=True), default=str, ensure_ascii=False))
        return
    if style == "csv":
        writer = csv.writer(sys.stdout)
        writer.writerow(frame.columns)
        for row in frame.toLocalIterator():
            writer.writerow("" if value is None else value for value in row)
        return
    rows = frame.limit(MOST_ROWS_SHOWN + 1).collect()
    grid = Grid(*map(escape, frame.columns))
    for row in rows[:MOST_ROWS_SHOWN]:
        grid.add_row(*(Text(_shown(value)) for value in row))
    Console(width=None if sys.stdout.isatty() else 200).print(grid)
    if len(rows) > MOST_ROWS_SHOWN:
        say(f"Only the first {MOST_ROWS_SHOWN:,} rows are shown; `sql QUERY csv` prints all.")


def _shown(value: Any) -> str:
    if value is None:
        return "null"
    return f"{value:.6g}" if isinstance(value, float) else str(value)


def _query_fault(error: PySparkException) -> str:
    lines = [line for line in str(error).splitlines() if line.strip()]
    text = lines[0] if lines else type(error).__name__
    missing = error.getMessageParameters() or {}
    name = (missing.get("relationName") or "").strip("`")
    hint = nearest(name, (table.name for table in TABLES)) if name else ""
    return f"The query cannot be answered: {text}{hint}"


def _existing(settings: Settings) -> Warehouse:
    warehouse = open_warehouse("sql", settings.warehouse)
    if not any(warehouse.exists(table) for table in TABLES):
        raise Problem(
            f"There are no tables in {settings.warehouse}; run ./spark-submit.sh first, "
            "or give the folder with --warehouse."
        )
    return warehouse


def print_tables(settings: Settings, words: Sequence[str]) -> None:
    """Print what each table holds; with names only those; `markdown` prints the declarations."""
    if list(words) == ["markdown"]:
        print(markdown(TABLES))
        return
    known = {table.name: table for table in TABLES}
    if wrong := [word for word in words if word not in known]:
        hints = ", ".join(f"{word!r}{nearest(word, known)}" for word in wrong)
        raise Problem(f"No table is called {hints}; there are {', '.join(known)}.")
    warehouse = open_warehouse("tables", settings.warehouse)
    for table in [known[word] for word in words] or TABLES:
        _print_table(warehouse, table)


def _print_table(warehouse: Warehouse, table: Table) -> None:
    newest = next(warehouse.history(table), None)
    if newest:
        rows = warehouse.read(table).count()
        made = newest.metadata
        maker = f"{made.get('job', '?')} at {made.get('revision', '?')}"
        state = f"{rows:,} rows, version {newest.version}, by {maker}"
    else:
        state = f"not there yet; `{writer_of(table)}` writes it"
    grid = Grid(
        "column",
        "type",
        "what it holds",
        title=f"{table.name}: {table.comment}",
        title_justify="left",
    )
    for column in table.columns:
        name = f"{column.name} *" if column.name in table.key else column.name
        grid.add_row(name, column.type, column.comment)
    Console(width=None if sys.stdout.isatty() else 160).print(grid)
    say(f"{state}\n")


def markdown(tables: Iterable[Table]) -> str:
    """Return the table dictionary as Markdown, from the declarations alone."""
    parts = []
    for table in tables:
        lines = [
            f"### `{table.name}`",
            "",
            table.comment,
            "",
            "| column | type | what it holds |",
            "| --- | --- | --- |",
        ]
        for column in table.columns:
            key = " *" if column.name in table.key else ""
            lines.append(
                f"| `{column.name}`{key} | {column.type} | {column.comment.replace('|', '/')} |"
            )
        parts.append("\n".join(lines))
    return "\n\n".join(parts)


def serve(settings: Settings) -> None:
    """Run Spark's Thrift server over the warehouse until interrupted."""
    warehouse = _existing(settings)
    spark = warehouse.spark
    jvm = spark._jvm
    assert jvm is not None
    port = spark.conf.get("spark.hadoop.hive.server2.thrift.port", "10000")
    host = spark.conf.get("spark.hadoop.hive.server2.thrift.bind.host", "localhost")
    for name, value in (
        ("hive.server2.thrift.port", port),
        ("hive.server2.thrift.bind.host", host),
        ("derby.stream.error.file", os.devnull),
    ):
        jvm.java.lang.System.setProperty(name, value)
    thrift = jvm.org.apache.spark.sql.hive.thriftserver.HiveThriftServer2
    server = thrift.startWithSparkSession(spark._jsparkSession, False)
    say(f"Serving {settings.warehouse} at jdbc:hive2://{host}:{port}/ (Ctrl-C ends it).")
    ended = threading.Event()
    for name in (signal.SIGINT, signal.SIGTERM):
        signal.signal(name, lambda *_: ended.set())
    ended.wait()
    server.stop()
