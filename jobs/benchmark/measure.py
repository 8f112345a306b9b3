"""Run a command in a process tree of its own; take its time, its memory and what it says of itself.

A measured program repeats its work and writes a `Record`: when each run began and ended, and
where its time went. Memory is watched from outside, over all processes of the tree.
"""

from __future__ import annotations

import json
import os
import platform
import re
import subprocess
import threading
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import asdict, dataclass, field
from pathlib import Path
from statistics import median
from typing import Any

import psutil

from conf.problem import Problem

SAMPLE_EVERY = 0.1
"""Seconds between two looks at the memory of a tree."""
FULL_LOOK_EVERY = 1.0
"""Seconds after which shared pages are counted again (8 ms a process, so not at every look)."""
LAST_LINES = 15
"""Lines of a failed program's output that are shown."""


@dataclass(frozen=True)
class Run:
    """One repetition: seconds since the epoch at its start and end, seconds by stage."""

    start: float
    end: float
    stages: dict[str, float]

    @property
    def seconds(self) -> float:
        """How long it took."""
        return self.end - self.start


@dataclass(frozen=True)
class Record:
    """What a measured program says of itself; `facts` are numbers that are no times."""

    runs: list[Run]
    stages: dict[str, float] = field(default_factory=dict)
    facts: dict[str, float] = field(default_factory=dict)

    def write(self, path: str | Path) -> None:
        """Write it where the measuring process looks for it."""
        Path(path).write_text(json.dumps(asdict(self)), encoding="utf-8")

    @classmethod
    def read(cls, path: Path) -> Record:
        """Read it back."""
        found = json.loads(path.read_text(encoding="utf-8"))
        return cls(**{**found, "runs": [Run(**run) for run in found["runs"]]})


@dataclass(frozen=True)
class Measured:
    """A measured program.

    seconds: median of the repeated runs, without the start of the program; first_seconds: from
    the start of the program to the end of its first run; cpu_seconds: of all its processes, median
    of the repeated runs; peak_bytes: largest memory of all its processes together until its last
    run ended; stages: median seconds by stage.
    """

    seconds: float
    first_seconds: float
    cpu_seconds: float
    peak_bytes: int
    stages: dict[str, float]
    facts: dict[str, float]


class Stopwatch:
    """Seconds by stage, summed where a stage comes again."""

    def __init__(self) -> None:
        """Start with no stage."""
        self.stages: dict[str, float] = {}

    @contextmanager
    def stage(self, name: str) -> Iterator[None]:
        """Time what happens inside."""
        start = time.perf_counter()
        try:
            yield
        finally:
            self.stages[name] = self.stages.get(name, 0.0) + time.perf_counter() - start


def repeated(work: Callable[[Stopwatch], None], times: int) -> list[Run]:
    """Do the same work several times."""
    runs = []
    for _ in range(times):
        watch, start = Stopwatch(), time.time()
        work(watch)
        runs.append(Run(start, time.time(), watch.stages))
    return runs


def measured(
    command: Sequence[str | Path],
    record: Path,
    *,
    cwd: Path,
    environment: Mapping[str, str],
) -> Measured:
    """Run a program that writes its `Record` to `record`, and measure its process tree.

    The tree is a process group of its own, so that Ctrl-C reaches this process alone; it is
    killed when this process is interrupted.
    """
    log = record.with_suffix(".log")
    start = time.time()
    with log.open("wb") as output:
        process = subprocess.Popen(
            [str(word) for word in command],
            cwd=cwd,
            env=dict(environment),
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )
    tree = Tree(process.pid)
    try:
        with tree:
            status = process.wait()
    except BaseException:
        kill_tree(process.pid)
        process.wait()
        raise
    if status != 0 or not record.exists():
        lines = log.read_text(encoding="utf-8", errors="replace").splitlines()[-LAST_LINES:]
        raise Problem(
            "\n".join(
                [f"bench: `{' '.join(map(str, command))}` ended with status {status}:", *lines]
            )
        )
    return _summed_up(Record.read(record), start, tree)


def _summed_up(record: Record, start: float, tree: Tree) -> Measured:
    warm = record.runs[1:] or record.runs
    names = dict.fromkeys(name for run in warm for name in run.stages)
    return Measured(
        seconds=median(run.seconds for run in warm),
        first_seconds=record.runs[0].end - start,
        cpu_seconds=median(tree.cpu_at(run.end) - tree.cpu_at(run.start) for run in warm),
        peak_bytes=tree.peak_until(record.runs[-1].end),
        stages={name: median(run.stages.get(name, 0.0) for run in warm) for name in names}
        | record.stages,
        facts=record.facts,
    )


class Tree(threading.Thread):
    """Watch the memory and CPU time of a process and all below it while inside `with`.

    A page shared by several processes counts once (proportional set size, PSS) where the system
    tells it. Asking is slow, so between full looks PSS is estimated from the resident sets.
    """

    def __init__(self, pid: int) -> None:
        """Prepare to watch the tree that begins at `pid`."""
        super().__init__(daemon=True)
        self._root = pid
        self._ended = threading.Event()
        self._samples: list[tuple[float, int, float]] = [(time.time(), 0, 0.0)]

    def __enter__(self) -> Tree:
        """Start watching."""
        self.start()
        return self

    def __exit__(self, *_: object) -> None:
        """Stop watching."""
        self._ended.set()
        self.join()

    def peak_until(self, moment: float) -> int:
        """Return the largest sum, in bytes, seen until a moment (seconds since the epoch)."""
        return max(size for at, size, _ in self._samples if at <= moment + SAMPLE_EVERY)

    def cpu_at(self, moment: float) -> float:
        """Return the CPU seconds used until a moment, as of the nearest look."""
        return min(self._samples, key=lambda sample: abs(sample[0] - moment))[2]

    def run(self) -> None:
        """Look at the tree until told to stop."""
        shared, peak, next_full = 0, 0, 0.0
        while not self._ended.wait(SAMPLE_EVERY):
            processes = process_tree(self._root)
            resident = sum(_memory(process, "rss") for process in processes)
            size = resident - shared
            if size > peak or time.monotonic() > next_full:
                size = sum(_memory(process, "pss") for process in processes)
                shared, next_full = resident - size, time.monotonic() + FULL_LOOK_EVERY
            peak = max(peak, size)
            cpu = sum(_cpu_seconds(process) for process in processes)
            self._samples.append((time.time(), size, cpu))


def process_tree(pid: int) -> list[psutil.Process]:
    """Return a process and all below it, as far as they are alive."""
    try:
        root = psutil.Process(pid)
        return [root, *root.children(recursive=True)]
    except psutil.NoSuchProcess:
        return []


def _memory(process: psutil.Process, kind: str) -> int:
    with suppress(psutil.Error):
        if kind == "pss":
            full = process.memory_full_info()
            return int(getattr(full, "pss", full.rss))
        return int(process.memory_info().rss)
    return 0


def _cpu_seconds(process: psutil.Process) -> float:
    """Return user and system time of a process and of its children that have ended."""
    with suppress(psutil.Error):
        times = process.cpu_times()
        return float(sum(times[:4]))
    return 0.0


def kill_tree(pid: int) -> None:
    """Kill a process and all below it."""
    for process in process_tree(pid):
        with suppress(psutil.Error):
            process.kill()


def folder_bytes(folder: Path) -> int:
    """Return the size of all files in a folder."""
    return sum(path.stat().st_size for path in folder.rglob("*") if path.is_file())


def cores() -> int:
    """Return how many cores this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def machine() -> dict[str, Any]:
    """Return what the figures depend on: processor, memory, versions."""
    import duckdb
    import numpy as np
    import pyarrow as pa
    import pyspark

    return {
        "processor": _processor(),
        "cores": cores(),
        "memory_bytes": psutil.virtual_memory().total,
        "system": platform.platform(),
        "load": round(os.getloadavg()[0], 1),
        "python": platform.python_version(),
        "java": _java(),
        "spark": pyspark.__version__,
        "numpy": np.__version__,
        "pyarrow": pa.__version__,
        "duckdb": duckdb.__version__,
    }


def _java() -> str:
    with suppress(OSError):
        release = Path(os.environ.get("JAVA_HOME", ""), "release").read_text(encoding="utf-8")
        if found := re.search(r'^JAVA_VERSION="(.+)"', release, re.MULTILINE):
            return found[1]
    return "unknown"


def _processor() -> str:
    with suppress(OSError):
        for line in Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines():
            if line.startswith("model name"):
                return line.split(":", 1)[1].strip()
    return platform.processor() or platform.machine()
