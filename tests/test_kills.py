"""Runs that end badly, and what the next run makes of them.

Where a process dies, programs are started as users start them and lose their whole family of
processes to SIGKILL. The reference is the same work, done in one go in another process.
"""

import os
import random
import shutil
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from urllib.parse import unquote

import pyarrow.compute as pc
import pyarrow.parquet as pq
import pytest
from deltalake import DeltaTable

from conf.problem import Problem
from conf.settings import load
from jobs.pipeline import all_jobs, execute, needed_for
from jobs.tables import STABILITY, TRADE, TRADE_MATRICES, Table
from jobs.warehouse import Warehouse
from tests.processes import (
    BACI,
    PROGRAM,
    ROOT,
    SHORT_LIVED,
    SPARK_HOME,
    WGI,
    YEARS,
    difference,
    rows,
    running,
    undisturbed,
)

pytestmark = pytest.mark.spark

SEED = 20_210
# What a run says on its way; after each, it is killed so many times.
KILLS_AFTER = {
    r"^\[1/4\] ingest": 2,
    r"_Y2021_.* rows = ": 2,
    r"_Y2022_.* rows = ": 4,
    r"^\[2/4\] trade_matrices": 1,
    r"^\[3/4\] stability": 1,
    r"^\[4/4\] indicators": 2,
}
LONGEST_WAIT = 3.0  # seconds from those words to the kill: about the time between two of them
LEAST_KILLED = 10  # of the dozen; a run that is nearly done may end first
LEFT_FREE = 20_000  # bytes on the small disk: less than a year of indicators
SAMPLE = {"baci": str(BACI), "wgi": str(WGI), "years": YEARS}


@pytest.fixture(scope="module")
def reference(spark, tmp_path_factory) -> Path:
    return undisturbed(spark, tmp_path_factory.getbasetemp() / "undisturbed")


@pytest.fixture
def copy(reference, tmp_path) -> Path:
    """The same warehouse, to do harm to."""
    return shutil.copytree(reference, tmp_path / "copy")


@pytest.fixture(scope="module")
def run(spark):
    """Run jobs as the command line does, in the session of the tests."""

    def run_jobs(target: str, folder: Path, *, needs: bool = True, **given: object) -> None:
        settings = load({"warehouse": str(folder), **SAMPLE, **given}, environment={})
        warehouse = Warehouse(spark, settings.warehouse)
        with warehouse.writing(command=target):
            jobs = needed_for(target) if needs else [all_jobs()[target]]
            execute(jobs, warehouse, settings)

    return run_jobs


# Killed


def started(folder: Path, log: str):
    """Start the pipeline up to the indicators, in local mode, as a program of its own."""
    (folder / "program.py").write_text(PROGRAM)
    environ = {
        "PATH": os.environ["PATH"],
        "HOME": str(folder),
        "SPARK_CONF_DIR": str(ROOT / "conf"),
        "SPARK_LOCAL_IP": "127.0.0.1",
        "PYSPARK_PYTHON": sys.executable,
        "PYTHONPATH": str(ROOT),
    } | {name: os.environ[name] for name in ("JAVA_HOME",) if name in os.environ}
    options = ["--master", "local[2]", "--driver-java-options", SHORT_LIVED]
    given = [word for name, value in SAMPLE.items() for word in (f"--{name}", value)]
    place = ["--warehouse", folder / "warehouse", "--unpack-mb", "1"]  # one year at a time
    command = [SPARK_HOME / "bin" / "spark-submit", *options, folder / "program.py"]
    return running([*command, "indicators", *given, *place], folder / log, environ, folder)


def test_a_dozen_kills_at_random_moments_leave_no_trace(tmp_path, reference):
    chance, killed = random.Random(SEED), 0
    for number, words in enumerate(w for w, times in KILLS_AFTER.items() for _ in range(times)):
        with started(tmp_path, f"log {number}") as program:
            program.until_it_says(words)
            killed += not program.ends_within(chance.uniform(0, LONGEST_WAIT))
    assert killed >= LEAST_KILLED

    with started(tmp_path, "last log") as last:
        last.until_it_says(r"^\[1/4\] ingest")
        assert last.until_it_ends() == 0, last.output
    assert difference(reference, tmp_path / "warehouse") == []
    assert not (tmp_path / "warehouse" / ".staging").exists()


def test_of_two_runs_at_once_one_is_refused_and_the_other_comes_to_no_harm(tmp_path, reference):
    with started(tmp_path, "first") as first:
        first.until_it_says(r"^\[1/4\] ingest")
        with started(tmp_path, "second") as second:
            assert second.until_it_ends() != 0
        assert first.process.poll() is None
        assert "Another run is writing to" in second.output
        assert first.until_it_ends() == 0, first.output
    assert difference(reference, tmp_path / "warehouse") == []


# Years that were staged and not committed


@pytest.fixture(scope="module")
def died(run, tmp_path_factory) -> Path:
    """A warehouse in which an ingest of 2021 and 2022 died before its first commit."""

    def die(*_):
        raise KeyboardInterrupt

    folder = tmp_path_factory.mktemp("died") / "w"
    with pytest.MonkeyPatch.context() as patched:
        patched.setattr("jobs.sources.ingest._commit", die)
        with pytest.raises(KeyboardInterrupt):
            run("ingest", folder)
    assert (folder / ".staging").exists()
    return folder


@pytest.fixture
def staged(died, tmp_path) -> Path:
    """The same warehouse, to go on with."""
    return shutil.copytree(died, tmp_path / "w")


@pytest.mark.parametrize(
    "given", [{"years": "2020-2022"}, {"years": "2022-2023"}, {"unpack_mb": "1"}]
)
def test_staged_years_count_once_whatever_is_asked_for_next(run, staged, reference, given):
    run("ingest", staged, **given)
    assert not (staged / ".staging").exists()
    years = sorted(set(rows(staged, TRADE)["year"].to_pylist()))
    assert years == list(load(given | {"years": given.get("years", YEARS)}, environment={}).years)
    for year in {2021, 2022} & set(years):
        assert of_year(staged, TRADE, year).equals(of_year(reference, TRADE, year))


def of_year(warehouse: Path, table: Table, year: int):
    content = rows(warehouse, table)
    return content.filter(pc.equal(content["year"], year))


# Storage that fails


@contextmanager
def small_disk(folder: Path, size: str) -> Iterator[Path]:
    """A file system of this size, in memory."""
    folder.mkdir()
    mount = ["mount", "-t", "tmpfs", "-o", f"size={size}", "none", str(folder)]
    mounted = subprocess.run(mount, capture_output=True, text=True)
    if mounted.returncode:
        pytest.skip(f"a small file system cannot be mounted here: {mounted.stderr.strip()}")
    try:
        yield folder
    finally:
        subprocess.run(["umount", "--lazy", str(folder)], check=True)


def test_a_full_disk_is_a_sentence_and_the_tables_stay_as_they_were(run, copy, reference, tmp_path):
    with small_disk(tmp_path / "disk", "64m") as disk:
        warehouse = Path(shutil.move(copy, disk / "w"))
        ballast = disk / "ballast"
        ballast.write_bytes(bytes(shutil.disk_usage(disk).free - LEFT_FREE))
        with pytest.raises(Problem, match=r"The disk of .*/w is full, .* free some space and run"):
            run("indicators", warehouse, needs=False, force=True)
        assert difference(reference, warehouse) == []
        ballast.unlink()
        run("indicators", warehouse, needs=False, force=True)
        assert difference(reference, warehouse) == []


def test_too_little_room_for_what_is_read_is_said_before_the_start(run, tmp_path):
    with (
        small_disk(tmp_path / "disk", "1m") as disk,
        pytest.raises(Problem, match=r"GB free; the years in work need"),
    ):
        run("ingest", disk / "w")


def flip_a_bit_unseen(file: Path) -> None:
    """As a disk does, or a copy that leaves hidden files, Hadoop's checksums, behind."""
    columns = pq.read_metadata(file).row_group(0)
    every = [columns.column(n) for n in range(columns.num_columns)]
    column = next(c for c in every if c.path_in_schema.partition(".")[0] in ("pv", "values"))
    start = column.dictionary_page_offset or column.data_page_offset
    content = bytearray(file.read_bytes())
    content[start + column.total_compressed_size // 2] ^= 1  # amid the data, which have a checksum
    file.write_bytes(content)
    file.with_name(f".{file.name}.crc").unlink()


def cut_in_half(file: Path) -> None:
    file.write_bytes(file.read_bytes()[: file.stat().st_size // 2])


@pytest.mark.parametrize(
    ("table", "job"), [(TRADE_MATRICES, "trade_matrices"), (STABILITY, "stability")]
)
def test_a_damaged_file_is_named_with_the_job_that_mends_it(run, copy, reference, table, job):
    for harm in (flip_a_bit_unseen, cut_in_half, Path.unlink):
        damaged = largest_file(copy, table)
        harm(damaged)
        with pytest.raises(Problem, match=r"is damaged or gone") as error:
            run("indicators", copy, needs=False, force=True)
        assert damaged.name in str(error.value)
        assert f"a part of the table {table.name}" in str(error.value)
        assert f"`{job} --force`" in str(error.value)
        run(job, copy, needs=False, force=True)
        assert difference(reference, copy, [table]) == []
    run("indicators", copy, needs=False, force=True)
    assert difference(reference, copy) == []


def largest_file(warehouse: Path, table: Table) -> Path:
    """Return the largest file of the newest version of a table."""
    files = [Path(unquote(uri)) for uri in DeltaTable(str(warehouse / table.name)).file_uris()]
    return max(files, key=lambda file: file.stat().st_size)
