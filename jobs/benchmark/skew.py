"""How unequal are the tasks of a stage? The slowest decides when it ends."""

from __future__ import annotations

from statistics import median
from typing import Any

from pyspark.sql import SparkSession

FEWEST_TASKS = 4
"""Stages of fewer tasks say nothing: half of them may be the first of their worker."""
SHORTEST_MEDIAN = 0.05
"""Seconds; what takes less is the start of a task and not its work."""
MOST_TASKS = 100_000


class Skew:
    """The stages of a session from a moment on."""

    def __init__(self, spark: SparkSession) -> None:
        """Begin here: earlier stages do not count."""
        self._store: Any = spark.sparkContext._jsc.sc().statusStore()
        self._seen = {stage.stageId() for stage in self._stages()}

    def largest(self) -> float:
        """Return the slowest task over the median of its stage, of all later stages; 1 if none."""
        later = (stage for stage in self._stages() if stage.stageId() not in self._seen)
        return max((self._of_stage(stage) for stage in later), default=1.0)

    def _stages(self) -> list[Any]:
        jobs = self._store.jobsList(None)
        ids = {
            jobs.apply(at).stageIds().apply(n)
            for at in range(jobs.size())
            for n in range(jobs.apply(at).stageIds().size())
        }
        return [self._store.lastStageAttempt(stage) for stage in sorted(ids)]

    def _of_stage(self, stage: Any) -> float:
        tasks = self._store.taskList(stage.stageId(), stage.attemptId(), MOST_TASKS)
        took = [tasks.apply(at).duration() for at in range(tasks.size())]
        seconds = [duration.get() / 1000 for duration in took if duration.isDefined()]
        if len(seconds) < FEWEST_TASKS or median(seconds) < SHORTEST_MEDIAN:
            return 1.0
        return max(seconds) / median(seconds)
