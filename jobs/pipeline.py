"""The order of jobs, and which of them have work to do.

A job is a module in a folder of `jobs/` that says what it `READS` and `WRITES`, on which
`SETTINGS` its result depends, which `files` from outside it uses, and has a
`run(warehouse, settings)`. Everything else follows: the order, what a job needs, and whether its
tables are still what it would write.
"""

from __future__ import annotations

import ast
import hashlib
import importlib
import json
import subprocess
import time
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from functools import cache
from graphlib import TopologicalSorter
from pathlib import Path
from types import ModuleType
from typing import Any

from conf.problem import Problem, nearest
from conf.settings import Settings, options
from jobs.discovery import job_files
from jobs.progress import Progress, say
from jobs.tables import Table
from jobs.warehouse import Slice, Warehouse

ROOT = Path(__file__).parent.parent
PACKAGES = ("jobs", "udfs", "conf")


@dataclass(frozen=True)
class Job:
    """One module of `jobs/` as the pipeline sees it."""

    name: str
    module: ModuleType

    @property
    def reads(self) -> tuple[Table, ...]:
        """Tables it reads."""
        return tuple(self.module.READS)

    @property
    def writes(self) -> tuple[Table, ...]:
        """Tables it writes."""
        return tuple(self.module.WRITES)

    @property
    def question(self) -> str:
        """First line of its docstring."""
        return (self.module.__doc__ or "").strip().splitlines()[0]

    def files(self, settings: Settings) -> dict[str, str]:
        """Digest of each outside file it reads."""
        function: Callable[[Settings], dict[str, str]] | None = getattr(self.module, "files", None)
        return function(settings) if function else {}

    def part(self, settings: Settings) -> Slice:
        """The part of its tables that these settings ask for; empty = all."""
        function: Callable[[Settings], Slice] | None = getattr(self.module, "part", None)
        return function(settings) if function else {}


@cache
def all_jobs() -> dict[str, Job]:
    """Return every job by name, in an order in which each follows those whose tables it reads."""
    loaded = {
        name: Job(name, importlib.import_module(file.module)) for name, file in job_files().items()
    }
    writer = {table.name: job.name for job in loaded.values() for table in job.writes}
    graph = {
        job.name: {writer[table.name] for table in job.reads if table.name in writer} - {job.name}
        for job in loaded.values()
    }
    return {name: loaded[name] for name in TopologicalSorter(graph).static_order()}


def writer_of(table: Table) -> str:
    """Return the name of the job that writes a table."""
    return next(job.name for job in all_jobs().values() if table in job.writes)


def needed_for(target: str) -> list[Job]:
    """Return a job and all it needs, in order."""
    everything = all_jobs()
    if target not in everything:
        raise Problem(
            f"No job is called {target!r}{nearest(target, everything)}; "
            f"there are {', '.join(everything)}."
        )
    wanted = {target}
    for job in reversed(list(everything.values())):
        if job.name in wanted:
            wanted |= {writer_of(table) for table in job.reads}
    return [job for job in everything.values() if job.name in wanted]


def code_digest(module: ModuleType) -> str:
    """Return a digest of the source of a module and of all project modules it imports."""
    seen: dict[str, str] = {}

    def visit(name: str) -> None:
        path = ROOT.joinpath(*name.split(".")).with_suffix(".py")
        if name in seen or not path.is_file():
            return
        source = path.read_text(encoding="utf-8")
        seen[name] = hashlib.sha256(source.encode()).hexdigest()
        for node in ast.walk(ast.parse(source)):
            if (
                isinstance(node, ast.ImportFrom)
                and node.module
                and node.module.split(".")[0] in PACKAGES
            ):
                visit(node.module)
                for alias in node.names:
                    visit(f"{node.module}.{alias.name}")

    visit(module.__name__)
    relevant = {name: digest for name, digest in seen.items() if name not in ORCHESTRATION}
    return hashlib.sha256(json.dumps(relevant, sort_keys=True).encode()).hexdigest()[:16]


ORCHESTRATION = {
    "jobs.pipeline",
    "jobs.discovery",
    "jobs.progress",
    "jobs.warehouse",
    "jobs.session",
    "jobs.tables",
    "conf.settings",
    "conf.problem",
}
"""Modules that decide how jobs run and not what they compute. A table's declaration counts by
itself (see `record`)."""


@cache
def code_revision() -> str:
    """Return the git revision of the checkout, with `+` where files differ, or unknown."""
    shipped = ROOT / "REVISION"
    if shipped.is_file():
        return shipped.read_text(encoding="utf-8").strip()
    try:
        revision = subprocess.run(
            ["git", "-C", str(ROOT), "describe", "--always", "--dirty=+", "--abbrev=12"],
            capture_output=True,
            text=True,
            timeout=10,
            check=True,
        )
    except (OSError, subprocess.SubprocessError):
        return "unknown"
    return revision.stdout.strip()


def record(job: Job, warehouse: Warehouse, settings: Settings) -> dict[str, Any]:
    """Return what a job's commits say of it: all on which its result depends, and a fingerprint."""
    relevant = {
        option.name: getattr(
            getattr(settings, option.section) if option.section else settings, option.name
        )
        for option in options()
        if option.changes_results
        and (option.section in job.module.SETTINGS or option.name in job.module.SETTINGS)
    }
    depends = {
        "job": job.name,
        "settings": relevant,
        "inputs": {table.name: warehouse.version(table) for table in job.reads},
        "files": job.files(settings),
        "code": code_digest(job.module),
        "tables": {table.name: repr(table) for table in job.writes},
    }
    text = json.dumps(depends, sort_keys=True, default=list)
    del depends["tables"]
    return {
        **json.loads(json.dumps(depends, default=list)),
        "fingerprint": hashlib.sha256(text.encode()).hexdigest(),
        "revision": code_revision(),
    }


def is_up_to_date(
    job: Job, warehouse: Warehouse, settings: Settings, wanted: dict[str, Any], part: Slice
) -> bool:
    """True if the newest commit that touches `part`, in every table, is what the job would write.

    A job that writes no table says itself whether what it wrote is current.
    """
    is_current: Callable[[Settings, str], bool] | None = getattr(job.module, "is_current", None)
    if is_current is not None:
        return is_current(settings, wanted["fingerprint"])
    return all(
        any(_settles(commit.metadata, wanted, part) for commit in _touching(warehouse, table, part))
        for table in job.writes
    )


def _touching(warehouse: Warehouse, table: Table, part: Slice) -> Iterable[Any]:
    """Yield the newest commit that wrote rows of `part`, if there is one."""
    for commit in warehouse.history(table):
        written = commit.metadata.get("slice")
        if written is None:
            if commit.version > 0:
                yield commit
                return
            continue
        if not written or not part or all(set(written.get(n, v)) & set(v) for n, v in part.items()):
            yield commit
            return


def _settles(metadata: dict[str, Any], wanted: dict[str, Any], part: Slice) -> bool:
    if metadata.get("fingerprint") != wanted["fingerprint"]:
        return False
    written = metadata.get("slice") or {}
    if not part:
        return not written
    return all(set(values) <= set(written.get(name, values)) for name, values in part.items())


def execute(targets: Sequence[Job], warehouse: Warehouse, settings: Settings) -> None:
    """Run the jobs in order, skipping those whose tables are up to date."""
    for number, job in enumerate(targets, start=1):
        title = f"[{number}/{len(targets)}] {job.name}"
        wanted = record(job, warehouse, settings)
        part = job.part(settings)
        if not settings.force and is_up_to_date(job, warehouse, settings, wanted, part):
            say(f"{title}: up to date")
            continue
        started = time.monotonic()
        with Progress(warehouse.spark, title, job.question):
            job.module.run(warehouse.with_metadata(wanted), settings)
        say(f"{title}: done in {time.monotonic() - started:.1f} s")
