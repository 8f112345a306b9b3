"""Questions to the warehouse: SQL in the terminal, the table dictionary, the SQL server."""

from __future__ import annotations

import csv
import json
import os
import re
import signal
import sys
import threading
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any

from py4j.protocol import Py4JJavaError
from pyspark.errors import PySparkException
from pyspark.sql import DataFrame, Row, SparkSession
from pyspark.sql import functions as F
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
"""First words of statements that change nothing, unless one that writes follows them."""
BEFORE_FIRST_WORD = re.compile(r"(?:[\s(]|--[^\n]*(?:\n|$)|/\*.*?\*/)*", re.DOTALL)
WRITING = {
    "Insert": "insert",
    "Overwrite": "insert",
    "Append": "insert",
    "Delete": "delete",
    "Update": "update",
    "Merge": "merge",
}
"""Beginnings of Spark's names for statements that may follow `with` and `from`."""


def run_query(settings: Settings, words: Sequence[str]) -> None:
    """Print the rows of one reading statement, as a table, csv or json."""
    if not words or len(words) > 2 or (len(words) == 2 and words[1] not in ("csv", "json")):
        raise Problem(
            'sql takes one quoted query and then, if wanted, csv or json: sql "select 1" csv'
        )
    query, style = words[0].strip().rstrip(";"), words[1] if len(words) == 2 else "table"
    first = (query[BEFORE_FIRST_WORD.match(query).end() :].split(None, 1) or [""])[0].lower()
    if first not in READING:
        raise Problem(
            f"sql reads and does not write; found a statement that starts with {first[:80]!r}, "
            f"expected one of {', '.join(READING)}."
        )
    warehouse = _existing(settings)
    try:
        _refuse_writing(warehouse.spark, query)
        with _no_other_files(warehouse.spark):
            frame = warehouse.spark.sql(query)
        _print(frame, style)
    except (PySparkException, Py4JJavaError) as error:
        raise Problem(_query_fault(error)) from None


def _refuse_writing(spark: SparkSession, query: str) -> None:
    """Refuse what only the parsed statement shows; Spark would carry it out when given it."""
    for node in _nodes(spark._jsparkSession.sessionState().sqlParser().parsePlan(query)):
        if verb := next((WRITING[start] for start in WRITING if node.startswith(start)), ""):
            raise Problem(f"sql reads and does not write; found {verb} in the statement.")
        if "PathBased" in node:
            raise Problem("sql reads the tables of the warehouse, by name; found a path.")


def _nodes(plan: Any) -> Iterator[str]:
    """Yield the name of each part of a parsed statement."""
    yield plan.getClass().getSimpleName()
    children = plan.children()
    for number in range(children.size()):
        yield from _nodes(children.apply(number))


@contextmanager
def _no_other_files(spark: SparkSession) -> Iterator[None]:
    """Keep statements from naming files as tables, such as csv.`/etc/passwd`."""
    before = spark.conf.get("spark.sql.runSQLOnFiles")
    spark.conf.set("spark.sql.runSQLOnFiles", "false")
    try:
        yield
    finally:
        spark.conf.set("spark.sql.runSQLOnFiles", before)


def _print(frame: DataFrame, style: str) -> None:
    if style == "json":
        whole = F.to_json(F.struct("*"), {"ignoreNullFields": "false"})
        for row in frame.select(whole).toLocalIterator():
            print(row[0])
        return
    if style == "csv":
        writer = csv.writer(sys.stdout)
        writer.writerow(frame.columns)
        for row in frame.toLocalIterator():
            writer.writerow(map(_csv_cell, row))
        return
    rows = frame.limit(MOST_ROWS_SHOWN + 1).collect()
    grid = Grid(*(escape(_shown(name)) for name in frame.columns))
    for row in rows[:MOST_ROWS_SHOWN]:
        grid.add_row(*(Text(_shown(value)) for value in row))
    Console(width=None if sys.stdout.isatty() else 200).print(grid)
    if len(rows) > MOST_ROWS_SHOWN:
        say(f"Only the first {MOST_ROWS_SHOWN:,} rows are shown; `sql QUERY csv` prints all.")


def _csv_cell(value: Any) -> Any:
    """Return a value as csv holds it: null empty, what has parts as JSON."""
    if isinstance(value, Row):
        value = value.asDict(recursive=True)
    if isinstance(value, list | dict):
        return json.dumps(value, default=str, ensure_ascii=False)
    return "" if value is None else value


def _shown(value: Any) -> str:
    """Return a value as the table shows it, without what would steer the terminal."""
    if value is None:
        return "null"
    text = f"{value:.6g}" if isinstance(value, float) else str(value)
    return re.sub(r"[\x00-\x08\x0b-\x1f\x7f-\x9f]", lambda found: repr(found[0])[1:-1], text)


def _query_fault(error: PySparkException | Py4JJavaError) -> str:
    if isinstance(error, Py4JJavaError):
        cause = error.java_exception
        while cause.getCause() is not None:
            cause = cause.getCause()
        message = cause.getMessage()
    else:
        if "relationName" in (missing := error.getMessageParameters() or {}):
            return _no_such_table(missing["relationName"])
        message = str(error)
    lines = [line for line in (message or "").splitlines() if line.strip()]
    return f"The query cannot be answered: {lines[0] if lines else type(error).__name__}"


def _no_such_table(name: str) -> str:
    bare = name.rpartition("`.`")[2].strip("`")
    known = {table.name: table for table in TABLES}
    if name == f"`{bare}`" and bare in known:
        return f"The warehouse has no table {bare} yet; run `{writer_of(known[bare])}` first."
    return (
        f"The warehouse has no table {name}{nearest(bare, known)}; "
        "sql reads its tables, by name, and no other files."
    )


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
