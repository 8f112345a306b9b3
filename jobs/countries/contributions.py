"""Who stands behind whose systemic trade risk, directly and through others?

Reads   trade_matrices  (year, product) -> exporters, importers, values
        stability       (country, year) -> pv
        tiers           (material, product) -> tier
Writes  contributions   (material, year, product, supplier, country) -> contribution, extraction
        influences      (material, year, product, supplier) -> both readings, as sum and as means
"""

from __future__ import annotations

import numpy as np
import pandas as pd
import pyarrow as pa
from pyspark.sql.pandas.types import to_arrow_schema
from pyspark.sql.types import StructType

from conf.settings import Settings
from jobs.countries.network import materials_part, network_products, within_network
from jobs.indicators.years import of_years
from jobs.session import rows_per_batch
from jobs.tables import CONTRIBUTIONS, INFLUENCES, STABILITY, TIERS, TRADE_MATRICES, Table
from jobs.warehouse import Warehouse
from udfs.contributions import contributions_of_batches, influences_of_batches

READS = (TRADE_MATRICES, STABILITY, TIERS)
WRITES = (CONTRIBUTIONS, INFLUENCES)
SETTINGS = ("years", "contribution_floor")

MATRICES_PER_BATCH = 64
"""Product-years handed to Python at once; each becomes up to 50,000 rows."""
MATRICES_PER_TASK = 100
"""Product-years inverted by one task, about 0.5 s; spread by hash, as neighbours are alike."""

part = materials_part


def stability_by_year(scores: pd.DataFrame) -> dict[int, np.ndarray]:
    """Return PV by country code for each year. scores: year, country, pv."""
    size = int(scores["country"].max()) + 1 if len(scores) else 0
    found: dict[int, np.ndarray] = {}
    for year, rows in scores.groupby("year"):
        found[int(year)] = np.full(size, np.nan)
        found[int(year)][rows["country"]] = rows["pv"]
    return found


def arrow(table: Table) -> pa.Schema:
    """Return the Arrow schema of what a function returns for a table."""
    return to_arrow_schema(StructType.fromDDL(table.result_schema))


def run(warehouse: Warehouse, settings: Settings) -> None:
    """Invert the product-years of the materials asked for, once for each table."""
    scores = of_years(warehouse.read(STABILITY).select("year", "country", "pv"), settings)
    stability = stability_by_year(scores.toPandas())
    products = network_products(warehouse, settings)
    matrices = within_network(warehouse.read(TRADE_MATRICES), products, settings)
    tasks = 1 + matrices.count() // MATRICES_PER_TASK
    spread = matrices.drop("tier").repartition(tasks, "material", "year", "product")
    floor = settings.countries.contribution_floor
    functions = (
        (CONTRIBUTIONS, contributions_of_batches(stability, arrow(CONTRIBUTIONS), floor=floor)),
        (INFLUENCES, influences_of_batches(stability, arrow(INFLUENCES))),
    )
    with rows_per_batch(warehouse.spark, MATRICES_PER_BATCH):
        for table, function in functions:
            rows = spread.mapInArrow(function, table.result_schema)
            warehouse.replace(table, rows, part(settings))
