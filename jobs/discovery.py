"""Jobs as they lie in the folders of `jobs/`, found without importing any of them."""

from __future__ import annotations

import ast
import pkgutil
from dataclasses import dataclass
from pathlib import Path

import jobs


@dataclass(frozen=True, slots=True)
class JobFile:
    """Where a job's code lies, and the question in the first line of its docstring."""

    module: str
    question: str


def job_files() -> dict[str, JobFile]:
    """Return every module that declares what it WRITES, by the job's name."""
    found: dict[str, JobFile] = {}
    root = Path(jobs.__path__[0])
    for folder in pkgutil.iter_modules([str(root)]):
        for module in pkgutil.iter_modules([str(root / folder.name)]) if folder.ispkg else ():
            source = (root / folder.name / f"{module.name}.py").read_text(encoding="utf-8")
            if "\nWRITES" in source:
                doc = ast.get_docstring(ast.parse(source)) or ""
                question = doc.partition("\n")[0]
                found[module.name] = JobFile(f"jobs.{folder.name}.{module.name}", question)
    return found
