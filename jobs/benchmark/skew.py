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
        """Begin here: stages of earlier jobs do not count."""
        self._store: Any = spark.sparkContext._jsc.sc().statusStore()
        self._earlier = {job.jobId() for job in self._jobs()}

    def largest(self) -> float:
        """Return the slowest task over the median of its stage, of all later stages; 1 if none."""
        later = [job.stageIds() for job in self._jobs() if job.jobId() not in self._earlier]
        stages = {ids.apply(at) for ids in later for at in range(ids.size())}
        return max((self._of_stage(stage) for stage in stages), default=1.0)

    def _jobs(self) -> list[Any]:
        jobs = self._store.jobsList(None)
        return [jobs.apply(at) for at in range(jobs.size())]

    def _of_stage(self, number: int) -> float:
        stage = self._store.lastStageAttempt(number)
        tasks = self._store.taskList(number, stage.attemptId(), MOST_TASKS)
        took = [tasks.apply(at).duration() for at in range(tasks.size())]
        seconds = [duration.get() / 1000 for duration in took if duration.isDefined()]
        if len(seconds) < FEWEST_TASKS or median(seconds) < SHORTEST_MEDIAN:
            return 1.0
        return max(seconds) / median(seconds)
