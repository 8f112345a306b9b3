"""What is the dependency profile of every country and region, year by year?

Reads   indicators         (year, product, country) -> exposure, hhi, str, influence, ...
        dependency_scores  (material, year, product, country) -> score
        strengths          (material, product, country) -> is_input
        tiers              (material, product) -> tier
        region_members     (region, country) -> from_year, to_year
Writes  profiles           (material, country, year, feature) -> value, weight, ..., reason
        profiles_wide      (material, country, year) -> one column a feature
"""

from __future__ import annotations

from pyspark.sql import DataFrame
from pyspark.sql import functions as F

from conf.settings import Settings
from jobs.countries.network import (
    coded_members,
    materials_part,
    network_products,
    with_region_names,
    with_regions,
    within_network,
)
from jobs.progress import say
from jobs.tables import (
    DEPENDENCY_SCORES,
    INDICATORS,
    PROFILES,
    PROFILES_WIDE,
    REGION_MEMBERS,
    STRENGTHS,
    TIERS,
)
from jobs.warehouse import Warehouse
from udfs.profiles import AVERAGED, FEATURE_NAMES, profiles_of_group

READS = (INDICATORS, DEPENDENCY_SCORES, STRENGTHS, TIERS, REGION_MEMBERS)
WRITES = (PROFILES, PROFILES_WIDE)
SETTINGS = ("years",)

CELLS = (
    "material string, country int, year int, feature string, value double, weight double, "
    "missing_share double, imputed_share double, reason string"
)

part = materials_part


def cells(rows: DataFrame, inputs: DataFrame) -> DataFrame:
    """Return every cell of every profile.

    rows: material, year, product, country, tier, imports_kusd, exports_kusd, indicators.
    inputs: material, product, country, is_input.
    """
    marked = rows.join(inputs, ["material", "product", "country"], "left").select(
        "material",
        "year",
        "product",
        "country",
        "tier",
        (F.col("imports_kusd") + F.col("exports_kusd")).alias("weight"),
        F.coalesce("is_input", F.lit(False)).alias("is_input"),
        "pv_imputed_share",
        *AVERAGED,
    )
    return marked.groupBy("material", "year").applyInPandas(profiles_of_group(), CELLS)


def wide(profiles: DataFrame) -> DataFrame:
    """Return profiles with one column a feature."""
    rows = profiles.groupBy("material", "country", "region", "year")
    return rows.pivot("feature", list(FEATURE_NAMES)).agg(F.first("value"))


def run(warehouse: Warehouse, settings: Settings) -> None:
    """Average over the network of each material asked for, in all years asked for."""
    products = network_products(warehouse, settings)
    rows = within_network(warehouse.read(INDICATORS), products, settings).join(
        warehouse.read(DEPENDENCY_SCORES), ["material", "year", "product", "country"], "left"
    )
    rows = with_regions(
        rows,
        coded_members(warehouse.read(REGION_MEMBERS)),
        means=[*AVERAGED, "pv_imputed_share"],
        sums=["imports_kusd", "exports_kusd"],
        constant=["tier"],
    )
    inputs = warehouse.read(STRENGTHS).select("material", "product", "country", "is_input")
    warehouse.replace(PROFILES, with_region_names(cells(rows, inputs)), part(settings))
    written = warehouse.read(PROFILES).where(F.col("material").isin(*settings.materials))
    warehouse.replace(PROFILES_WIDE, wide(written), part(settings))
    say_what_is_missing(written)


def say_what_is_missing(profiles: DataFrame) -> None:
    """Say for each material how many cells have no value, and why."""
    counted = profiles.groupBy("material", "reason").count().orderBy("material", "reason").collect()
    for material in sorted({row.material for row in counted}):
        rows = {row.reason: row["count"] for row in counted if row.material == material}
        total = sum(rows.values())
        for reason, number in rows.items():
            if reason is not None:
                say(f"{material}: {number:,} of {total:,} cells have no value: {reason}")
