"""The warehouse: one folder of Delta tables, read by name and replaced atomically."""

from __future__ import annotations

import fcntl
import json
import os
import re
import warnings
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from typing import Any
from urllib.parse import unquote

from py4j.protocol import Py4JError
from pyspark.errors import PySparkException
from pyspark.sql import DataFrame, SparkSession
from pyspark.sql import functions as F

from conf.problem import Problem
from jobs.storage import Storage, absolute
from jobs.tables import TABLES, Table

Slice = Mapping[str, tuple[Any, ...]]
"""The part of a table a write replaces: column -> values; empty = the whole table."""

PROPERTIES = {
    "delta.enableDeletionVectors": "false",  # so that DuckDB, Polars and delta-rs can read
    "delta.logRetentionDuration": "interval 365 days",
    "delta.deletedFileRetentionDuration": "interval 30 days",
}


DICTIONARY = "parquet.enable.dictionary"
"""Delta hands a table's properties to the Parquet writer. In large tables doubles seldom repeat,
and to look for repetitions costs a fifth of the time of a write."""

SYNTHETIC_MARK = "SYNTHETIC.txt"
SYNTHETIC_PROPERTY = "trade_risk.synthetic"


@dataclass(frozen=True)
class Commit:
    """What a table's newest commit says of itself."""

    version: int
    metadata: dict[str, Any]


@dataclass
class Warehouse:
    """Tables under `root`, a local folder or any URI Spark can write.

    `metadata` goes into every commit: job, code, settings, versions of the tables read.
    """

    spark: SparkSession
    root: str
    metadata: dict[str, Any] = field(default_factory=dict)

    def __post_init__(self) -> None:
        """Make the root absolute: Delta takes no relative path for the name of a table."""
        self.root = absolute(self.spark, self.root)

    def with_metadata(self, metadata: dict[str, Any]) -> Warehouse:
        """Return the same warehouse for a job that writes `metadata` into its commits."""
        return replace(self, metadata=metadata)

    @property
    def files(self) -> Storage:
        """The folder itself."""
        return Storage(self.spark, self.root)

    @property
    def is_synthetic(self) -> bool:
        """True if its trade is generated, not real."""
        return self.files.get(SYNTHETIC_MARK) is not None

    def mark_synthetic(self) -> None:
        """Mark the warehouse before its first table, so that every table says so too."""
        self.files.put(b"Every number in this folder comes from generated trade.\n", SYNTHETIC_MARK)

    def path(self, table: Table) -> str:
        """Where a table lies."""
        return self.files.path(table.name)

    def exists(self, table: Table) -> bool:
        """True if the table has been written; creating it empty (version 0) is not enough."""
        return (self.version(table) or 0) > 0

    def read(self, table: Table) -> DataFrame:
        """Return the table's newest version."""
        if not self.exists(table):
            from jobs.pipeline import writer_of

            raise Problem(
                f"The warehouse {self.root} has no table {table.name}; "
                f"run `{writer_of(table)}` first (or `run`, which does all that is needed)."
            )
        return self.spark.read.format("delta").load(self.path(table))

    def sql_name(self, table: Table) -> str:
        """Return the table as SQL names it by path."""
        return f"delta.`{self.path(table).replace('`', '``')}`"

    def history(self, table: Table) -> Iterator[Commit]:
        """Yield what the commits of a table say of themselves, newest first.

        Read from Delta's log (`commitInfo`), since DESCRIBE HISTORY takes a Spark job.
        """
        log = f"{table.name}/_delta_log"
        names = [name for name in self.files.children(log) if re.fullmatch(r"\d{20}\.json", name)]
        for name in reversed(names):
            yield Commit(int(name[:20]), _user_metadata(self.files.get(f"{log}/{name}") or b""))

    def version(self, table: Table) -> int | None:
        """Return the newest version, None if there is no such table."""
        newest = next(self.history(table), None)
        return newest.version if newest else None

    def replace(self, table: Table, frame: DataFrame, part: Slice | None = None) -> None:
        """Replace the table, or exactly `part` of it, in one atomic commit.

        Readers see the old rows or the new ones; a rerun doubles nothing. A row outside `part`,
        a null in a required column or a broken check refuses the whole commit.
        """
        columns = [F.col(f"`{c.name}`").cast(c.type).alias(c.name) for c in table.columns]
        self._create(table)
        part = part or {}
        metadata = {**self.metadata, "slice": {name: list(values) for name, values in part.items()}}
        (
            frame.select(*columns)
            .write.format("delta")
            .mode("overwrite")
            .option("replaceWhere", _condition(part))
            .option("userMetadata", json.dumps(metadata, sort_keys=True))
            .save(self.path(table))
        )

    def replace_together(self, *writes: tuple[Table, DataFrame, Slice]) -> None:
        """Replace several tables at once, each as `replace` does; raise what any of them raises.

        Each has a commit of its own: small tables cost no time beside a large one.
        """
        with ThreadPoolExecutor(len(writes)) as pool:
            running = [pool.submit(self.replace, *write) for write in writes]
        for one in running:
            one.result()

    def _create(self, table: Table) -> None:
        version = self.version(table)
        new = self._new_columns(table) if version is not None else []
        if version is not None and not new:
            return
        if version:
            self._add_columns(table, new)
            return
        # What a killed CREATE left has no commit, yet would make "if not exists" do nothing.
        self.files.delete(table.name)
        properties = PROPERTIES | {
            f"delta.constraints.{name}": rule for name, rule in table.checks.items()
        }
        if self.is_synthetic:
            properties[SYNTHETIC_PROPERTY] = "true"
        if not table.has_statistics:
            properties["delta.dataSkippingNumIndexedCols"] = "0"
        properties |= {f"{DICTIONARY}#{path}": "false" for path in table.measures}
        listed = ", ".join(f"'{key}' = '{_escaped(value)}'" for key, value in properties.items())
        partition = (
            f"partitioned by ({', '.join(table.partition_by)})" if table.partition_by else ""
        )
        self.spark.sql(
            f"create table if not exists {self.sql_name(table)} ({table.ddl}) "
            f"using delta {partition} comment '{_escaped(table.comment)}' tblproperties ({listed})"
        )

    def _new_columns(self, table: Table) -> list[int]:
        """Return the places of the declared columns that the table does not have."""
        held = self.spark.read.format("delta").load(self.path(table)).columns
        return [n for n, column in enumerate(table.columns) if column.name not in held]

    def _add_columns(self, table: Table, new: Sequence[int]) -> None:
        """Give a table of an earlier revision of this project the columns that it lacks.

        In rows that are not replaced they are null until the job is run for those too, which it
        is, since its code has changed. Checks and properties stay those of the earlier revision.
        """
        if required := [table.columns[n].name for n in new if not table.columns[n].nullable]:
            raise Problem(
                f"{table.name} in {self.root} was made by another revision of this project and "
                f"has no {', '.join(required)}; delete {self.path(table)} and run again what wrote "
                "it, for all that it held."
            )
        for n in new:
            place = f"after {table.columns[n - 1].name}" if n else "first"
            self.spark.sql(
                f"alter table {self.sql_name(table)} add columns ({table.columns[n].ddl} {place})"
            )

    def register(self) -> list[Table]:
        """Name every table of the warehouse in the session's catalogue, in memory; return them."""
        present = [table for table in TABLES if self.exists(table)]
        for table in present:
            location = _escaped(self.path(table))
            self.spark.sql(
                f"create table if not exists {table.name} using delta location '{location}'"
            )
        return present

    @contextmanager
    def writing(self, *, command: str) -> Iterator[None]:
        """Hold the warehouse for one writer; a second one is refused with a sentence.

        The lock belongs to the process, so a kill frees it. On storage other than a file system
        there is no lock: Delta's own conflict detection refuses the later of two commits. What
        storage itself refuses is raised as a `Problem`.
        """
        with _faults_in_words(self.root), self._locked(command):
            yield

    @contextmanager
    def _locked(self, command: str) -> Iterator[None]:
        if not self.files.is_local:
            yield
            return
        self.files.folder.mkdir(parents=True, exist_ok=True)
        with open(self.files.folder / ".lock", "a+", encoding="utf-8") as lock:
            try:
                fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except OSError:
                lock.seek(0)
                raise Problem(
                    f"Another run is writing to {self.root} ({lock.read().strip() or 'unknown'}). "
                    "Wait until it ends, or give --warehouse another folder."
                ) from None
            lock.seek(0)
            lock.truncate()
            since = datetime.now(UTC).strftime("%Y-%m-%d %H:%M UTC")
            lock.write(f"{command}, process {os.getpid()}, since {since}\n")
            lock.flush()
            yield


NO_ROOM = re.compile(r"No space left on device|quota exceeded", re.IGNORECASE)
UNREADABLE = re.compile(r"FAILED_READ_FILE.*? reading file (?P<file>.+?\.parquet)")


@contextmanager
def _faults_in_words(root: str) -> Iterator[None]:
    """Raise a `Problem` for a full disk and for a data file that is damaged or gone."""
    try:
        with warnings.catch_warnings():
            # toPandas warns with the whole Java stack of the error that it raises next.
            warnings.filterwarnings("ignore", "toPandas attempted Arrow optimization")
            yield
    except (PySparkException, Py4JError, OSError) as error:
        if NO_ROOM.search(str(error)):
            raise Problem(
                f"The disk of {root} is full, or that of Spark's scratch folder "
                "(--conf spark.local.dir=FOLDER). Tables are as they were before the job that "
                "could not write; free some space and run the same command again."
            ) from error
        if found := UNREADABLE.search(str(error)):
            raise Problem(_unreadable(unquote(found["file"]), root)) from error
        raise


def _unreadable(file: str, root: str) -> str:
    name = file.partition(f"{root}/")[2].partition("/")[0]
    table = next((table for table in TABLES if table.name == name), None)
    if table is None:
        return f"{file} is damaged or gone."
    from jobs.pipeline import writer_of

    return (
        f"{file}, a part of the table {name}, is damaged or gone. Write the table again with "
        f"`{writer_of(table)} --force`, then run the same command again."
    )


def _user_metadata(log: bytes) -> dict[str, Any]:
    for line in log.splitlines():
        action = json.loads(line)
        if "commitInfo" in action:
            with suppress(ValueError, TypeError):
                found = json.loads(action["commitInfo"].get("userMetadata") or "")
                if isinstance(found, dict):
                    return found
    return {}


def _escaped(text: str) -> str:
    return text.replace("\\", "\\\\").replace("'", "\\'")


def _condition(part: Slice) -> str:
    if not part:
        return "true"
    return " and ".join(
        f"{name} in ({', '.join(map(_literal, values)) or 'null'})" for name, values in part.items()
    )


def _literal(value: Any) -> str:
    return str(value) if isinstance(value, int) else f"'{_escaped(str(value))}'"
