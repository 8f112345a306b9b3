"""How exposed is each country in each product, to whom, and how far does instability reach it?

Reads   trade           (year, exporter, importer, product) -> value_kusd, for export totals
        trade_matrices  (year, product) -> exporters, importers, values
        stability       (country, year) -> pv, pv_source
Writes  indicators      (year, product, country) -> exposure, hhi, str, influence, rca, ...
"""

from __future__ import annotations

import numpy as np
import pandas as pd
from pyspark.sql import DataFrame
from pyspark.sql import functions as F
from pyspark.sql.pandas.types import to_arrow_schema
from pyspark.sql.types import StructType

from conf.problem import Problem
from conf.settings import Settings
from jobs.indicators.years import if_asked, of_years, refuse_absent, years_part
from jobs.session import rows_per_batch
from jobs.tables import INDICATORS, STABILITY, TRADE, TRADE_MATRICES
from jobs.warehouse import Warehouse
from udfs.systemic_risk import YearContext, indicators_of_batches

READS = (TRADE, TRADE_MATRICES, STABILITY)
WRITES = (INDICATORS,)
SETTINGS = ()

MATRICES_PER_BATCH = 256
"""Product-years handed to Python at once: some 0.5 million flows, 6 MB."""

part = years_part


def year_contexts(totals: pd.DataFrame, stability: pd.DataFrame) -> dict[int, YearContext]:
    """Return what the products of each year share, as arrays indexed by country code.

    totals: year, exporter, exports_kusd; stability: year, country, pv, pv_source.
    """
    size = int(max(totals["exporter"].max(), stability["country"].max())) + 1
    contexts: dict[int, YearContext] = {}
    for year, exports in totals.groupby("year"):
        scores = stability[stability["year"] == year]
        unscored = sorted(set(exports["exporter"]) - set(scores["country"]))
        if unscored:
            raise Problem(
                f"stability has no row for {len(unscored)} exporters of {year} "
                f"({', '.join(map(str, unscored[:5]))}); run `stability` for that year."
            )
        pv, imputed, exported = np.full(size, np.nan), np.ones(size, np.bool_), np.zeros(size)
        pv[scores["country"]] = scores["pv"]
        imputed[scores["country"]] = scores["pv_source"] != "observed"
        exported[exports["exporter"]] = exports["exports_kusd"]
        contexts[int(year)] = YearContext(pv, imputed, exported)
    return contexts


def loaded_contexts(warehouse: Warehouse, settings: Settings) -> dict[int, YearContext]:
    """Return the contexts of the years asked for, refusing a year that trade does not have."""
    trade = warehouse.read(TRADE)
    exports = if_asked(trade, settings).groupBy("year", "exporter")
    totals = exports.agg(F.sum("value_kusd").alias("exports_kusd")).toPandas()
    refuse_absent(totals["year"], trade, settings)
    scores = warehouse.read(STABILITY).select("year", "country", "pv", "pv_source")
    return year_contexts(totals, scores.toPandas())


def indicators(matrices: DataFrame, contexts: dict[int, YearContext]) -> DataFrame:
    """Return one row for each country that trades a product in a year."""
    schema = to_arrow_schema(StructType.fromDDL(INDICATORS.result_schema))
    return matrices.mapInArrow(indicators_of_batches(contexts, schema), INDICATORS.result_schema)


def run(warehouse: Warehouse, settings: Settings) -> None:
    """Recompute the years asked for and replace exactly those."""
    contexts = loaded_contexts(warehouse, settings)
    matrices = of_years(warehouse.read(TRADE_MATRICES), settings)
    with rows_per_batch(warehouse.spark, MATRICES_PER_BATCH):
        warehouse.replace(INDICATORS, indicators(matrices, contexts), part(settings))
