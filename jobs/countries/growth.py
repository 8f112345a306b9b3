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
from pyspark.sql import DataFrame
from pyspark.sql import functions as F

from conf.problem import Problem
from conf.settings import Settings
from jobs.countries.network import driver_frame, materials_part, network_products, within_network
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


def say_what_was_fitted(materials: tuple[str, ...], found: pd.DataFrame) -> None:
    """Say for each material how many models there are, and why the default is not among them."""
    for material in materials:
        own = found[found["material"] == material]
        without = own[own["kind"] == "not_fitted"]
        fitted = int((own["term"] == "const").sum())
        say(f"{material}: {fitted} models of growth fitted, {len(without)} not")
        for why in without.loc[without["model"] == DEFAULT, "note"]:
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
    options = settings.countries
    columns = [name.split()[0] for name in MODELS.split(", ")]
    fit_all = models_of_material(
        warehouse.read(EDGES).select("material", "input", "output").toPandas(),
        exporting,
        Options(options.growth_baseline, options.growth_target, options.absent_rca),
        columns,
    )
    found = rows.groupBy("material").applyInPandas(fit_all, MODELS).toPandas()
    missing = sorted(set(settings.materials) - set(found["material"]))
    without = [not_fitted(material, DEFAULT, NO_TRADE) for material in missing]
    if without:
        lacking = pd.DataFrame(without, columns=columns, dtype=object)
        found = pd.concat([found.astype(object), lacking], ignore_index=True)
    say_what_was_fitted(settings.materials, found)
    terms = found[found["term"].notna()].drop(columns="kind").rename(columns={"variant": "kind"})
    others = found[found["kind"].notna()]
    spark, where = warehouse.spark, part(settings)
    warehouse.replace(GROWTH, driver_frame(spark, GROWTH, [terms]), where)
    warehouse.replace(GROWTH_DIAGNOSTICS, driver_frame(spark, GROWTH_DIAGNOSTICS, [others]), where)
