"""Progress of long work: a bar in a terminal, plain lines in a log."""

from __future__ import annotations

import sys
import threading
import time
from types import TracebackType

from pyspark.sql import SparkSession
from rich.console import Console
from rich.markup import escape

CONSOLE = Console(highlight=False, soft_wrap=True)
LINE_EVERY = 15.0
"""Seconds between two lines in a log."""


def say(text: str) -> None:
    """Print a line for the user."""
    CONSOLE.print(text, markup=False)


def plain(text: str) -> str:
    """Return a text from data without what steers a terminal."""
    return "".join(c if c.isprintable() else "\ufffd" for c in text)


def cell(text: str) -> str:
    """Return a text from data for a cell or title of a table, where brackets would be markup."""
    return escape(plain(text))


class Progress:
    """Show stage, tasks done of all, elapsed time and an estimate while Spark works."""

    def __init__(self, spark: SparkSession, title: str, question: str = "") -> None:
        """Prepare to watch the session's jobs under this title."""
        self._tracker = spark.sparkContext.statusTracker()
        self._title = title
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._watch, daemon=True)
        say(f"{title}: {question}" if question else title)

    def __enter__(self) -> Progress:
        """Start watching."""
        self._started = time.monotonic()
        self._thread.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        """Stop watching and clear the bar."""
        self._stop.set()
        self._thread.join()

    def _watch(self) -> None:
        if CONSOLE.is_terminal:
            with CONSOLE.status(self._title) as status:
                while not self._stop.wait(0.5):
                    status.update(f"{self._title}  {self._line()}")
            return
        while not self._stop.wait(LINE_EVERY):
            print(f"{self._title}: {self._line()}", file=sys.stdout, flush=True)

    def _line(self) -> str:
        elapsed = time.monotonic() - self._started
        stages = [self._tracker.getStageInfo(stage) for stage in self._tracker.getActiveStageIds()]
        live = [stage for stage in stages if stage is not None]
        if not live:
            return f"{elapsed:.0f} s"
        done = sum(stage.numCompletedTasks for stage in live)
        total = sum(stage.numTasks for stage in live)
        bar = "#" * round(20 * done / max(total, 1))
        return f"[{bar:<20}] {done}/{total} tasks, {elapsed:.0f} s"
