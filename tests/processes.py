"""Programs that tests start, watch and kill, and the comparison of what they wrote."""

from __future__ import annotations

import os
import re
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import TypeVar

import numpy as np
import psutil
import pyarrow as pa
import pyspark
from deltalake import DeltaTable

from conf.environment import find_java
from conf.settings import SAMPLE
from jobs.tables import INDICATORS, REJECTS, SOURCES, STABILITY, TRADE, TRADE_MATRICES, Table

ROOT = Path(__file__).parent.parent
SPARK_HOME = Path(pyspark.__file__).parent
BACI = SAMPLE / "BACI_HS92_V202601_raw_materials.zip"
WGI = SAMPLE / "wgi_political_stability.csv"
YEARS = "2021-2022"
TABLES = (SOURCES, TRADE, REJECTS, STABILITY, TRADE_MATRICES, INDICATORS)

# Less work for the compiler in runs of some seconds.
SHORT_LIVED = "-XX:TieredStopAtLevel=1 -XX:+UseSerialGC"

# The same sums in another order or by another kernel: some 10,000 terms, each 1e-16 off. Influence
# is a difference of two numbers above 1, so its error is absolute.
REORDERED = 1e-12

# Of another run; all the rest must be equal.
OF_THE_RUN = {"ingested_at", "archive"}

# The jobs up to a target in one session. `run` has all jobs of the project.
PROGRAM = '''
"""Run one job and all it needs."""

import sys

from conf.settings import load, parse_command_line
from jobs.pipeline import execute, needed_for
from jobs.session import start

values, (target,), _ = parse_command_line(sys.argv[1:])
settings = load(values)
warehouse = start(target, settings.warehouse)
with warehouse.writing(command=target):
    execute(needed_for(target), warehouse, settings)
'''

Found = TypeVar("Found")


def until(found: Callable[[], Found | None], *, what: str, seconds: float = 60) -> Found:
    """Ask again and again until there is an answer."""
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        if (answer := found()) is not None:
            return answer
        time.sleep(0.02)
    raise AssertionError(f"{what}: not within {seconds} s")


@dataclass
class Program:
    """A running program and the file that holds what it says."""

    process: subprocess.Popen[bytes]
    log: Path

    @property
    def output(self) -> str:
        """All it has said."""
        return self.log.read_text(encoding="utf-8", errors="replace")

    def until_it_says(self, pattern: str, seconds: float = 300) -> re.Match[str]:
        """Wait for a line that matches."""

        def said() -> re.Match[str] | None:
            ended = self.process.poll() is not None
            match = re.search(pattern, self.output, re.MULTILINE)
            assert match or not ended, f"ended without {pattern!r}:\n{self.output[-4000:]}"
            return match

        return until(said, what=f"{pattern!r} of\n{self.output[-4000:]}", seconds=seconds)

    def until_it_ends(self, seconds: float = 600) -> int:
        """Wait for its end; return its exit code."""
        return self.process.wait(seconds)

    def ends_within(self, seconds: float) -> bool:
        """Wait for its end, but not longer."""
        try:
            self.process.wait(seconds)
        except subprocess.TimeoutExpired:
            return False
        return True

    def kill(self) -> None:
        """SIGKILL it and all that descend from it, as when a machine is lost."""
        with self.process:
            kill_family(self.process.pid)


def kill_family(pid: int) -> None:
    """SIGKILL a process and its descendants."""
    try:
        parent = psutil.Process(pid)
        family = [parent, *parent.children(recursive=True)]
    except psutil.NoSuchProcess:
        return
    for process in family:
        try:
            process.kill()
        except psutil.NoSuchProcess:
            continue
    psutil.wait_procs(family[1:], timeout=10)


@contextmanager
def running(
    command: Sequence[str | Path], log: Path, environ: Mapping[str, str], cwd: Path
) -> Iterator[Program]:
    """Start a program in an environment of these variables alone; nothing of it outlives this."""
    with log.open("ab") as output:
        process = subprocess.Popen(
            command, stdout=output, stderr=output, stdin=subprocess.DEVNULL, cwd=cwd, env=environ
        )
    program = Program(process, log)
    try:
        yield program
    finally:
        program.kill()


def python_and_java(folder: Path) -> str:
    """Return a PATH with the system's tools, this Python without its packages, and Java."""
    folder.mkdir(exist_ok=True)
    version = "python{}.{}".format(*sys.version_info[:2])
    for name, target in (
        (version, Path(sys._base_executable)),
        ("java", find_java(os.environ) / "bin" / "java"),
    ):
        (folder / name).unlink(missing_ok=True)
        (folder / name).symlink_to(target.resolve())
    return f"{folder}:/usr/bin:/bin"


def difference(one: Path | str, other: Path | str, tables: Sequence[Table] = TABLES) -> list[str]:
    """Return a sentence for each column in which two warehouses differ."""
    found = []
    for table in tables:
        left, right = rows(one, table), rows(other, table)
        if left.num_rows != right.num_rows:
            found.append(f"{table.name}: {left.num_rows} rows and {right.num_rows}")
            continue
        found += [
            f"{table.name}.{name}"
            for name in left.column_names
            if not _equal(left[name].combine_chunks(), right[name].combine_chunks())
        ]
    return found


def rows(warehouse: Path | str, table: Table) -> pa.Table:
    """Return the newest version of a table, sorted by its key."""
    content = pa.table(DeltaTable(str(Path(warehouse) / table.name)).to_pyarrow_table())
    names = [column.name for column in table.columns if column.name not in OF_THE_RUN]
    return content.select(names).sort_by([(name, "ascending") for name in table.key])


def _equal(left: pa.Array, right: pa.Array) -> bool:
    if not pa.types.is_floating(left.type):
        return left.equals(right)
    one, other = (array.to_numpy(zero_copy_only=False) for array in (left, right))
    return bool(np.allclose(one, other, rtol=REORDERED, atol=REORDERED, equal_nan=True))


@cache
def undisturbed(spark: object, folder: Path, target: str = "indicators", **given: str) -> Path:
    """Return a warehouse in which a job, and all it needs, ran without disturbance."""
    from conf.settings import load
    from jobs.pipeline import execute, needed_for
    from jobs.warehouse import Warehouse

    sample = {"baci": str(BACI), "wgi": str(WGI), "years": YEARS}
    settings = load({"warehouse": str(folder), **sample, **given}, environment={})
    warehouse = Warehouse(spark, settings.warehouse)  # type: ignore[arg-type]
    execute(needed_for(target), warehouse, settings)
    return folder
