"""Does dependence hold back comparative advantage?

Reads   indicators          (year, product, country) -> rca, exposure, hhi, str, ...
        tiers               (material, product) -> tier
        edges               (material, input, output)
        strengths           (material, product, country) -> is_input
        country_clusters    (material, country) -> cluster
        contributions       (material, year, product, supplier, country) -> the diagonal
Writes  growth              (material, model, term) -> coefficient, std_error, p_value, ...
        growth_diagnostics  (material, model, kind, key) -> value, ..., note
"""

from __future__ import annotations

import pandas as pd
from pyspark.sql import DataFrame, SparkSession
from pyspark.sql import functions as F

from conf.problem import Problem
from conf.settings import Settings
from jobs.countries.network import materials_part, network_products, within_network
from jobs.indicators.years import of_years
from jobs.progress import say
from jobs.tables import (
    CONTRIBUTIONS,
    COUNTRY_CLUSTERS,
    EDGES,
    GROWTH,
    GROWTH_DIAGNOSTICS,
    INDICATORS,
    STRENGTHS,
    TIERS,
)
from jobs.warehouse import Warehouse
from udfs.growth_rows import DEFAULT, Options, models_of_material, not_fitted

READS = (INDICATORS, TIERS, EDGES, STRENGTHS, COUNTRY_CLUSTERS, CONTRIBUTIONS)
WRITES = (GROWTH, GROWTH_DIAGNOSTICS)
SETTINGS = ("years", "absent_rca", "growth_baseline", "growth_target")

MODELS = ", ".join(
    dict.fromkeys(
        f"{'variant' if table is GROWTH and column.name == 'kind' else column.name} {column.type}"
        for table in (GROWTH, GROWTH_DIAGNOSTICS)
        for column in table.columns
    )
)
"""Rows of both tables under one schema; `variant` is the kind of a model."""
NO_TRADE = "no product of the network is traded in the data loaded"

part = materials_part


def country_products(
    rows: DataFrame, strengths: DataFrame, clusters: DataFrame, diagonal: DataFrame
) -> DataFrame:
    """Return what the models need of each material, year, product and country; no regions.

    rows: indicators within the network. strengths: is_input. clusters: cluster of the country.
    diagonal: that of (I-V)^-1.
    """
    return (
        rows.join(diagonal, ["material", "year", "product", "country"], "left")
        .join(strengths, ["material", "product", "country"], "left")
        .join(F.broadcast(clusters), ["material", "country"], "left")
        .select(
            "material",
            "year",
            "product",
            "country",
            "tier",
            (F.col("imports_kusd") + F.col("exports_kusd")).alias("weight"),
            *("rca", "exposure", "hhi", "str", "diagonal"),
            F.coalesce("is_input", F.lit(False)).alias("is_input"),
            "cluster",
        )
    )


def refuse_years_not_loaded(loaded: list[int], settings: Settings) -> None:
    """Refuse windows with years that are not loaded."""
    for name in ("growth_baseline", "growth_target"):
        missing = sorted(set(getattr(settings.countries, name)) - set(loaded))
        if missing:
            raise Problem(
                f"--{name.replace('_', '-')}: {', '.join(map(str, missing))} not loaded; "
                f"expected years among {', '.join(map(str, loaded)) or 'none'}."
            )


def all_not_fitted(spark: SparkSession, materials: list[str], why: str) -> DataFrame:
    """Return a row of diagnostics for each material without a single model."""
    rows = pd.DataFrame([not_fitted(material, DEFAULT, why) for material in materials])
    columns = [name.split()[0] for name in MODELS.split(", ")]
    values = rows.reindex(columns=columns).astype(object)
    listed = values.where(values.notna(), None).values.tolist()
    return spark.createDataFrame(listed, MODELS)


def say_what_was_fitted(materials: tuple[str, ...], found: DataFrame) -> None:
    """Say for each material how many models there are, and why the default is not among them."""
    fitted = {
        row.material: row["count"]
        for row in found.where("term = 'const'").groupBy("material").count().collect()
    }
    reasons = {
        (row.material, row.model): row.note
        for row in found.where("kind = 'not_fitted'").select("material", "model", "note").collect()
    }
    for material in materials:
        missing = sum(name == material for name, _ in reasons)
        say(f"{material}: {fitted.get(material, 0)} models of growth fitted, {missing} not")
        if why := reasons.get((material, DEFAULT)):
            say(f"{material}: no default model ({DEFAULT}): {why}")


def run(warehouse: Warehouse, settings: Settings) -> None:
    """Fit all models of the materials asked for."""
    indicators = of_years(warehouse.read(INDICATORS), settings)
    exporting = indicators.where("exports_kusd > 0").select("year", "country").distinct().toPandas()
    refuse_years_not_loaded(sorted(set(exporting["year"].tolist())), settings)
    rows = country_products(
        within_network(indicators, network_products(warehouse, settings), settings),
        warehouse.read(STRENGTHS).select("material", "product", "country", "is_input"),
        warehouse.read(COUNTRY_CLUSTERS).select("material", "country", "cluster"),
        warehouse.read(CONTRIBUTIONS)
        .where("supplier = country")
        .select("material", "year", "product", "country", F.col("contribution").alias("diagonal")),
    )
    edges = warehouse.read(EDGES).select("material", "input", "output").toPandas()
    options = settings.countries
    fit_all = models_of_material(
        edges,
        exporting,
        Options(options.growth_baseline, options.growth_target, options.absent_rca),
        [name.split()[0] for name in MODELS.split(", ")],
    )
    found = rows.groupBy("material").applyInPandas(fit_all, MODELS).persist()  # read four times
    try:
        traded = {row.material for row in found.select("material").distinct().collect()}
        missing = [name for name in settings.materials if name not in traded]
        everything = (
            found.unionByName(all_not_fitted(warehouse.spark, missing, NO_TRADE))
            if missing
            else found
        )
        say_what_was_fitted(settings.materials, everything)
        terms = everything.where("term is not null").drop("kind")
        warehouse.replace(GROWTH, terms.withColumnRenamed("variant", "kind"), part(settings))
        warehouse.replace(GROWTH_DIAGNOSTICS, everything.where("kind is not null"), part(settings))
    finally:
        found.unpersist()
