"""How rows of `resource_flows` are shared out, and by which rules they become networks."""

from __future__ import annotations

from pyspark.sql import DataFrame

from conf.settings import Settings
from udfs.resource_rows import Rules

NETWORKS_PER_TASK = 100
"""Networks handed to one task: about a second of work."""


def rules(settings: Settings) -> Rules:
    """The rules that the settings ask for."""
    options = settings.minerals
    return Rules(options.share_filter, options.share_denominator, options.pagerank_form)


def spread(rows: DataFrame, *key: str, work: float = 1.0) -> DataFrame:
    """Share rows out by key over tasks; `work` is that of a row, in networks."""
    tasks = 1 + int(rows.count() * work) // NETWORKS_PER_TASK
    # A number, since AQE would judge the packed rows by bytes and merge them in one task.
    return rows.repartition(tasks, *key)
