"""How dependent is each country on each product of the network, in one number?

Reads   indicators         (year, product, country) -> exposure, hhi, str
        tiers              (material, product) -> tier
Writes  dependency_scores  (material, year, product, country) -> score
        score_loadings     (material, indicator) -> loading, explained_variance, mean, sd, n, note
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np
from pyspark.sql import DataFrame, Row, SparkSession
from pyspark.sql import functions as F

from conf.settings import Settings
from jobs.countries.network import (
    materials_part,
    network_products,
    say_what_is_loaded,
    within_network,
)
from jobs.progress import say
from jobs.tables import DEPENDENCY_SCORES, INDICATORS, SCORE_LOADINGS, TIERS
from jobs.warehouse import Warehouse
from udfs.dependency import INDICATORS as PARTS
from udfs.dependency import Composite, composite

READS = (INDICATORS, TIERS)
WRITES = (DEPENDENCY_SCORES, SCORE_LOADINGS)
SETTINGS = ("years",)

part = materials_part


def composites(rows: DataFrame, materials: tuple[str, ...]) -> dict[str, Composite]:
    """Fit one score a material over all its rows that have every indicator."""
    pairs = [(a, b) for a in PARTS for b in PARTS]
    moments = (
        rows.dropna(subset=list(PARTS))
        .groupBy("material")
        .agg(
            F.count("*").alias("n"),
            *(F.avg(name).alias(name) for name in PARTS),
            *(F.covar_samp(a, b).alias(f"{a}_{b}") for a, b in pairs),
        )
    )
    found = {row.material: row for row in moments.collect()}
    return {name: _fitted(found.get(name)) for name in materials}


def _fitted(row: Row | None) -> Composite:
    if row is None:
        return composite(0, np.full(len(PARTS), np.nan), np.full((len(PARTS),) * 2, np.nan))
    mean = np.array([row[name] for name in PARTS], np.float64)
    covariance = np.array([[row[f"{a}_{b}"] for b in PARTS] for a in PARTS], np.float64)
    return composite(row.n, mean, covariance)


def scores(rows: DataFrame, fits: dict[str, Composite]) -> DataFrame:
    """Return the score of every row; null where an indicator or the fit is."""
    spark = rows.sparkSession
    weights = spark.createDataFrame(
        [
            (name, *map(_or_null, fit.mean), *map(_or_null, fit.weights))
            for name, fit in fits.items()
        ],
        "material string, "
        + ", ".join(f"{kind}_{name} double" for kind in ("mean", "weight") for name in PARTS),
    )
    terms = [(F.col(name) - F.col(f"mean_{name}")) * F.col(f"weight_{name}") for name in PARTS]
    scored = rows.join(F.broadcast(weights), "material")
    return scored.select("material", "year", "product", "country", sum(terms).alias("score"))  # type: ignore[union-attr]


def loadings(spark: SparkSession, fits: dict[str, Composite]) -> DataFrame:
    """Return one row for each material and indicator."""
    rows = [
        (
            name,
            indicator,
            _or_null(fit.loadings[k]),
            _or_null(fit.explained_variance),
            _or_null(fit.mean[k]),
            _or_null(fit.sd[k]),
            fit.n,
            fit.note.value if fit.note else None,
        )
        for name, fit in fits.items()
        for k, indicator in enumerate(PARTS)
    ]
    return spark.createDataFrame(rows, SCORE_LOADINGS.result_schema)


def _or_null(value: Any) -> float | None:
    return float(value) if math.isfinite(value) else None


def run(warehouse: Warehouse, settings: Settings) -> None:
    """Fit and score the materials asked for, over all their years together."""
    products = network_products(warehouse, settings)
    rows = within_network(warehouse.read(INDICATORS), products, settings)
    say_what_is_loaded(products, rows)
    fits = composites(rows, settings.materials)
    for name, fit in fits.items():
        if fit.note:
            say(f"{name}: dependency score: {fit.note}")
    warehouse.replace(DEPENDENCY_SCORES, scores(rows, fits), part(settings))
    warehouse.replace(SCORE_LOADINGS, loadings(warehouse.spark, fits), part(settings))
