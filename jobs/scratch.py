"""A folder for unfinished work that one process has to itself, and that is gone when it ends."""

from __future__ import annotations

import fcntl
import shutil
import signal
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from conf.problem import Problem

LOCK = "lock"


@contextmanager
def scratch_folder(folder: Path, what: str) -> Iterator[Path]:
    """Make the folder, empty it of what a killed process left, and remove it however this ends.

    `what` names the work to a second process, which is refused.
    """
    folder.mkdir(parents=True, exist_ok=True)
    before = signal.signal(signal.SIGTERM, signal.default_int_handler)
    with open(folder / LOCK, "w", encoding="utf-8") as lock:
        try:
            try:
                fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except OSError:
                raise Problem(f"{what} is running in {folder}; wait until it ends.") from None
            try:
                _empty(folder)
                yield folder
            finally:
                shutil.rmtree(folder, ignore_errors=True)
        finally:
            signal.signal(signal.SIGTERM, before)


def _empty(folder: Path) -> None:
    for left in folder.iterdir():
        if left.is_dir():
            shutil.rmtree(left)
        elif left.name != LOCK:
            left.unlink()
