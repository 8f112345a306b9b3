"""What went in, what was refused and what was filled in, from the tables alone."""

from __future__ import annotations

from typing import Any

from pyspark.sql import functions as F

from jobs.tables import INDICATORS, PRODUCTS, REJECTS, SOURCES, STABILITY
from jobs.warehouse import Warehouse


def coverage(warehouse: Warehouse) -> dict[str, Any]:
    """Return the account of files, rejects, filled scores and products."""
    sources = warehouse.read(SOURCES).where("kind = 'baci'").orderBy("year").toPandas()
    rejects = (
        warehouse.read(REJECTS)
        .groupBy("reason")
        .agg(F.count("*").alias("rows"), F.sum("value_kusd").alias("value_kusd"))
        .orderBy(F.desc("rows"))
        .toPandas()
    )
    scores = warehouse.read(STABILITY)
    filled = scores.groupBy("pv_source").count().orderBy(F.desc("count")).toPandas()
    editions = (
        scores.where("edition is not null")
        .groupBy("edition")
        .agg(F.min("year").alias("first"), F.max("year").alias("last"))
        .orderBy("first", "edition")
        .toPandas()
    )
    return {
        "editions": editions,
        "sources": sources,
        "rejects": rejects,
        "filled": filled,
        "filled_total": int(filled["count"].sum()),
        "products_loaded": warehouse.read(INDICATORS).select("product").distinct().count(),
        "products_listed": warehouse.read(PRODUCTS).count(),
        "years": (int(sources["year"].min()), int(sources["year"].max())),
    }
