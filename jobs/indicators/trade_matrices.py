"""What does each product-year look like as a matrix?

Reads   trade           (year, exporter, importer, product) -> value_kusd
Writes  trade_matrices  (year, product) -> exporters, importers, values

One row holds all flows of a product-year, so the numerics read it without a shuffle.
"""

from __future__ import annotations

from pyspark.sql import DataFrame
from pyspark.sql import functions as F

from conf.settings import Settings
from jobs.indicators.years import of_years, years_part
from jobs.tables import TRADE, TRADE_MATRICES
from jobs.warehouse import Warehouse
from udfs.packing import merge, pack

READS = (TRADE,)
WRITES = (TRADE_MATRICES,)
SETTINGS = ()

FLOWS_PER_TASK = 3_000_000
"""Flows merged by one task (about 36 MB); also sets the size of the table's files."""

part = years_part


def matrices(flows: DataFrame, *, tasks: int) -> DataFrame:
    """Return one row for each product-year of `flows`."""
    columns = flows.select("year", "product", "exporter", "importer", "value_kusd")
    pieces = columns.mapInArrow(pack, TRADE_MATRICES.result_schema)
    # A number, since AQE would judge the packed rows by bytes and merge them in one task.
    together = pieces.repartition(tasks, "year", "product")
    return together.sortWithinPartitions("year", "product").mapInArrow(
        merge, TRADE_MATRICES.result_schema
    )


def run(warehouse: Warehouse, settings: Settings) -> None:
    """Pack the flows of the years asked for and replace exactly those years."""
    flows = of_years(warehouse.read(TRADE), settings)
    tasks = 1 + flows.agg(F.count("*")).first()[0] // FLOWS_PER_TASK  # type: ignore[index]
    warehouse.replace(TRADE_MATRICES, matrices(flows, tasks=tasks), part(settings))
