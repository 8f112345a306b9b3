"""A real cluster on loopback: what is packaged runs where nothing is installed, and survives.

Master, workers and driver are processes of their own, in empty environments, from whose view the
checkout is hidden where the system allows it. One story, told once: a worker is lost in `ingest`,
the driver in `trade_matrices`; the same command is given again, a second worker is lost in
`indicators` and a third in `links`.
"""

import json
import os
import re
import shutil
import subprocess
import tarfile
import urllib.request
import zipfile
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import psutil
import pytest

from jobs.packaging import ENVIRONMENT, PIPELINE, build, elsewhere
from jobs.tables import LINKS
from tests.processes import (
    BACI,
    PROGRAM,
    ROOT,
    SHORT_LIVED,
    SPARK_HOME,
    TABLES,
    WGI,
    YEARS,
    Program,
    difference,
    python_and_java,
    rows,
    running,
    undisturbed,
    until,
)

pytestmark = pytest.mark.spark

WORKERS = 4
MATERIAL = "gallium"
# In a view of the file system of its own, an empty folder lies over the checkout.
HIDDEN = ["unshare", "--mount", "sh", "-c", 'mount -t tmpfs none "$0" && exec "$@"', str(ROOT)]
# Added to a program: where an executor finds its modules, and whether it sees the checkout.
ORIGINS = """
import importlib
import json
import os

from pyspark.sql import SparkSession


def origins(_):
    for name in ("udfs", "jobs.sources.baci_rows", "numpy", "pyarrow", "scipy", "pandas"):
        file = importlib.import_module(name).__file__
        yield "|".join((name, file, os.getcwd(), str(os.path.exists(CHECKOUT))))


context = SparkSession.builder.getOrCreate().sparkContext
print("ORIGINS", json.dumps(context.parallelize(range(1), 1).mapPartitions(origins).collect()))
"""


@dataclass
class Cluster:
    """A standalone cluster, and how to call things in its surroundings."""

    folder: Path
    package: Path
    environ: Mapping[str, str]
    prefix: Sequence[str]
    stack: ExitStack
    master: str = ""
    workers: tuple[Program, ...] = ()

    def start(self, name: str, command: Sequence[str | Path]) -> Program:
        """Start a program, whose output is `name` in the folder."""
        full = [*self.prefix, *command]
        log = self.folder / f"{name}.log"
        return self.stack.enter_context(running(full, log, self.environ, self.folder))

    def start_workers(self) -> None:
        """Start the master and its workers, and wait until they know each other."""
        spark_class = self.folder / "spark" / "bin" / "spark-class"
        here = ["--host", "127.0.0.1", "--webui-port", "0"]
        deploy = "org.apache.spark.deploy"
        call = [spark_class, f"{deploy}.master.Master", *here, "--port", "0"]
        master = self.start("master", call)
        self.master = master.until_it_says(r"Starting Spark master at (\S+)")[1]
        size = ["--cores", "1", "--memory", "1g"]
        self.workers = tuple(
            self.start(
                f"worker {n}",
                [
                    *(spark_class, f"{deploy}.worker.Worker", *here, *size),
                    *("--work-dir", self.folder / f"work {n}", self.master),
                ],
            )
            for n in range(WORKERS)
        )
        for worker in self.workers:
            worker.until_it_says("Successfully registered with master")

    def submit(self, name: str, program: str, *words: str) -> Program:
        """Start a program with what is packaged, as the printed command line does."""
        file = self.package / f"{name}.py"
        file.write_text(program)
        _, *options, _ = elsewhere(self.package, self.master)
        quick = ["--driver-java-options", SHORT_LIVED, "--conf", "spark.ui.enabled=true"]
        quick += ["--conf", "spark.ui.liveUpdate.period=0"]  # by default short tasks go unreported
        small = ["--conf", f"spark.executor.extraJavaOptions={SHORT_LIVED}"]
        small += ["--conf", "spark.executor.memory=600m", "--conf", "spark.ui.port=0"]
        submit = self.folder / "spark" / "bin" / "spark-submit"
        return self.start(name, [submit, *options, *quick, *small, file, *words])

    def kill_the_worker_of_a_task(self, driver: Program, job: str, stages: str) -> None:
        """Kill the worker that runs a task of the job, and see the driver miss it."""
        executor = until(
            lambda: self._kill_if_running(driver, job, stages), what=f"a task of {job}", seconds=300
        )
        driver.until_it_says(rf"Lost executor {executor} ", seconds=120)

    def _kill_if_running(self, driver: Program, job: str, stages: str) -> str | None:
        """Look for a task while executors stand still, since a short one would end meanwhile."""
        if not in_job(driver, job):
            return None
        executors = {
            number: (process, worker)
            for worker in self.workers
            for number, process in executors_of(worker).items()
        }
        with stopped([process for process, _ in executors.values()]):
            executor = running_task(driver, job, stages)
            # One that started after the listing runs on, and its task may end: look again.
            if executor not in executors:
                return None
            executors[executor][1].kill()
            return executor


def ask(driver: Program, path: str) -> Any:
    """Ask the driver's own web service; None where it has no answer yet."""
    port = driver.until_it_says(r"service 'SparkUI' on port (\d+)")[1]
    address = f"http://127.0.0.1:{port}/api/v1/applications"
    try:
        with urllib.request.urlopen(address, timeout=10) as answer:
            name = json.load(answer)[0]["id"]
        with urllib.request.urlopen(f"{address}/{name}/{path}", timeout=10) as answer:
            return json.load(answer)
    except (OSError, ValueError, LookupError):
        assert driver.process.poll() is None, driver.output[-4000:]
        return None


def running_task(driver: Program, job: str, stages: str) -> str | None:
    """Return the executor of a task that a stage of this kind runs now, in this job."""
    if not in_job(driver, job):
        return None
    for stage in ask(driver, "stages?status=active") or ():
        if stages in stage["name"] and stage["numActiveTasks"]:
            number = stage["stageId"]
            path = f"stages/{number}/{stage['attemptId']}/taskList?status=running"
            for task in ask(driver, path) or ():
                return str(task["executorId"])
    return None


def in_job(driver: Program, job: str) -> bool:
    """Whether the job is the last one of which the driver has said that it began."""
    titles = [line for line in driver.output.splitlines() if line.startswith("[")]
    return bool(titles) and f"] {job}" in titles[-1]


@contextmanager
def stopped(processes: Sequence[psutil.Process]) -> Iterator[None]:
    """Let processes stand still for a while."""
    for process in processes:
        with suppress(psutil.NoSuchProcess):
            process.suspend()
    try:
        yield
    finally:
        for process in processes:
            with suppress(psutil.NoSuchProcess):
                process.resume()


def executors_of(worker: Program) -> dict[str, psutil.Process]:
    """Return the executors that a worker has running, by number."""
    found = {}
    with suppress(psutil.NoSuchProcess):
        for child in psutil.Process(worker.process.pid).children():
            with suppress(psutil.NoSuchProcess):  # those of a lost driver are just ending
                command = child.cmdline()
                if "--executor-id" in command:
                    found[command[command.index("--executor-id") + 1]] = child
    return found


@pytest.fixture(scope="module")
def package(tmp_path_factory) -> Iterator[Path]:
    """What `package` writes, its two archives unpacked beside."""
    folder = tmp_path_factory.mktemp("package")
    build([str(folder)])
    with tarfile.open(folder / ENVIRONMENT) as archive:
        archive.extractall(folder / "env", filter="data")
    with zipfile.ZipFile(folder / PIPELINE) as archive:
        archive.extractall(folder / "pipeline")
    yield folder
    shutil.rmtree(folder)


@pytest.fixture(scope="module")
def cluster(package, tmp_path_factory) -> Iterator[Cluster]:
    """Spark in a folder elsewhere, without Delta, and workers that have nothing else."""
    folder = tmp_path_factory.mktemp("cluster")
    left_out = shutil.ignore_patterns("delta-s*.jar", "__pycache__")
    shutil.copytree(SPARK_HOME, folder / "spark", copy_function=link, ignore=left_out)
    environ = {
        "PATH": python_and_java(folder / "bin"),
        "HOME": str(folder),
        "SPARK_HOME": str(folder / "spark"),
        "SPARK_LOCAL_IP": "127.0.0.1",
    }
    with ExitStack() as stack:
        made = Cluster(folder, package, environ, HIDDEN if can_hide() else [], stack)
        made.start_workers()
        yield made
    shutil.rmtree(folder)


def link(source: str, target: str) -> None:
    try:
        os.link(source, target)
    except OSError:  # on another file system
        shutil.copy2(source, target)


def can_hide() -> bool:
    """Whether the system lets this user hide a folder from the processes it starts."""
    tried = subprocess.run([*HIDDEN, "test", "!", "-e", str(ROOT / "jobs")], capture_output=True)
    return tried.returncode == 0


@dataclass
class Story:
    """What the two runs said, and the warehouse they left."""

    first: str
    second: str
    warehouse: Path


@pytest.fixture(scope="module")
def story(cluster) -> Story:
    sample = cluster.package / "pipeline" / "conf" / "sample"
    words = ["links", "--baci", str(sample / BACI.name), "--wgi", str(sample / WGI.name)]
    words += ["--years", YEARS, "--materials", MATERIAL]
    words += ["--warehouse", str(cluster.folder / "warehouse")]

    first = cluster.submit("first", PROGRAM, *words)
    cluster.kill_the_worker_of_a_task(first, "ingest", "")
    until(lambda: running_task(first, "trade_matrices", ""), what="trade_matrices", seconds=600)
    first.kill()

    ask_origins = ORIGINS.replace("CHECKOUT", repr(str(ROOT / "jobs")))
    second = cluster.submit("second", PROGRAM + ask_origins, *words)
    cluster.kill_the_worker_of_a_task(second, "indicators", "save")
    cluster.kill_the_worker_of_a_task(second, "links", "save")
    assert second.until_it_ends() == 0, second.output[-4000:]
    return Story(first.output, second.output, cluster.folder / "warehouse")


@pytest.fixture(scope="module")
def reference(spark, tmp_path_factory) -> Path:
    base = tmp_path_factory.getbasetemp()
    so_far = undisturbed(spark, base / "undisturbed")
    folder = shutil.copytree(so_far, base / "undisturbed links")
    return undisturbed(spark, folder, "links", materials=MATERIAL)


def test_tables_are_those_of_local_mode_though_three_workers_and_the_driver_died(story, reference):
    assert difference(reference, story.warehouse, (*TABLES, LINKS)) == []
    assert rows(reference, LINKS).num_rows > 0
    assert not (story.warehouse / ".staging").exists()


def test_a_driver_that_died_is_run_again_and_resumes(story):
    assert "ingest: done in" in story.first
    assert "ingest: up to date" in story.second
    assert "trade_matrices: done in" in story.second


def test_one_worker_is_left(story, cluster):
    assert sum(worker.process.poll() is None for worker in cluster.workers) == 1
    assert "Lost executor" in story.first
    assert story.second.count("Lost executor") >= 2


def test_executors_take_code_and_packages_from_what_spark_unpacked(cluster, story):
    told = json.loads(re.search(r"^ORIGINS (.*)$", story.second, re.MULTILINE)[1])
    assert told
    for name, file, work, sees_checkout in (line.split("|") for line in told):
        assert file.startswith(f"{work}/"), name
        assert not cluster.prefix or sees_checkout == "False"


def test_the_packaged_command_line_answers_without_spark(cluster):
    python = cluster.package / "env" / "bin" / "python"
    told = cluster.start("check", [python, "-m", "jobs", "check", "demo", "--years", YEARS])
    assert told.until_it_ends() == 0, told.output
    asked = cluster.start("help", [python, "-m", "jobs", "--help"])
    assert asked.until_it_ends() == 0
    assert "indicators" in asked.output
