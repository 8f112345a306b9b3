"""What does each product-year look like as a matrix?

Reads   trade           (year, exporter, importer, product) -> value_kusd
Writes  trade_matrices  (year, product) -> exporters, importers, values

One row holds all flows of a product-year, so the numerics read it without a shuffle.
"""

from __future__ import annotations

from collections.abc import Mapping

from pyspark.sql import Column, DataFrame
from pyspark.sql import functions as F

from conf.settings import Settings
from jobs.indicators.years import if_asked, refuse_absent, years_part
from jobs.tables import TRADE, TRADE_MATRICES
from jobs.warehouse import Warehouse
from udfs.packing import merge, pack

READS = (TRADE,)
WRITES = (TRADE_MATRICES,)
SETTINGS = ()

FLOWS_PER_TASK = 3_000_000
"""Flows merged by one task (about 36 MB); also sets the size of the table's files."""
FRACTIONS = 2**16
"""Places that the products of a year are shuffled to."""

part = years_part


def matrices(
    flows: DataFrame, counts: Mapping[int, int], *, flows_per_task: int = FLOWS_PER_TASK
) -> DataFrame:
    """Return one row for each product-year of `flows`; counts: how many each year has."""
    columns = flows.select("year", "product", "exporter", "importer", "value_kusd")
    pieces = columns.mapInArrow(pack, TRADE_MATRICES.result_schema)
    # By number, since AQE would judge packed rows by their bytes and put them into one task.
    tasks = 1 + sum(counts.values()) // flows_per_task
    together = pieces.repartitionById(tasks, task_of(counts, tasks))
    return together.sortWithinPartitions("year", "product").mapInArrow(
        merge, TRADE_MATRICES.result_schema
    )


def task_of(counts: Mapping[int, int], tasks: int) -> Column:
    """Return the task of a product-year: years follow each other, their products are shuffled.

    So tasks have about as many flows, and each writes the files of few years, not of all.
    """
    if not counts:
        return F.lit(0)
    total, before = sum(counts.values()), 0
    within = F.pmod(F.hash("product"), F.lit(FRACTIONS)) / F.lit(FRACTIONS)
    place = F.lit(0.0)
    for year, flows in sorted(counts.items()):
        of_year = (F.lit(before) + within * F.lit(flows)) / F.lit(total)
        place = F.when(F.col("year") == year, of_year).otherwise(place)
        before += flows
    return F.least(F.floor(place * tasks), F.lit(tasks - 1)).cast("int")


def run(warehouse: Warehouse, settings: Settings) -> None:
    """Pack the flows of the years asked for and replace exactly those years."""
    trade = warehouse.read(TRADE)
    flows = if_asked(trade, settings)
    counts = {
        row.year: row.flows
        for row in flows.groupBy("year").agg(F.count("*").alias("flows")).collect()
    }
    refuse_absent(counts, trade, settings)
    warehouse.replace(TRADE_MATRICES, matrices(flows, counts), part(settings))
