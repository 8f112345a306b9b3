"""In which products of the network is each country strong, and what does it need for them?

Reads   indicators      (year, product, country) -> rca, exports_kusd
        tiers           (material, product) -> tier
        edges           (material, input, output)
        region_members  (region, country) -> from_year, to_year
Writes  strengths       (material, product, country) -> mean_rca, is_strength, is_input
"""

from __future__ import annotations

from typing import Literal

from pyspark.sql import Column, DataFrame, Window
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
from jobs.indicators.years import of_years
from jobs.tables import EDGES, INDICATORS, REGION_MEMBERS, STRENGTHS, TIERS
from jobs.warehouse import Warehouse

READS = (INDICATORS, TIERS, EDGES, REGION_MEMBERS)
WRITES = (STRENGTHS,)
SETTINGS = ("years", "strength_universe", "absent_rca")

part = materials_part

COLUMN_OF = {"cube": "mean_rca", "network": "mean_rca_network"}
"""Column that decides about strengths."""


def with_network_rca(rows: DataFrame) -> DataFrame:
    """Add rca_network: the Balassa index within the network; null where a total is zero."""

    def exports_of(*names: str) -> Column:
        return F.sum("exports_kusd").over(Window.partitionBy("material", "year", *names))

    own_share = F.col("exports_kusd") / F.nullif(exports_of("country"), F.lit(0.0))
    world_share = exports_of("product") / F.nullif(exports_of(), F.lit(0.0))
    return rows.withColumn("rca_network", own_share / F.nullif(world_share, F.lit(0.0)))


def export_years(exports: DataFrame, members: DataFrame) -> DataFrame:
    """Return in how many years each country, and each region, exports anything.

    exports: year, country, exports_kusd over all products loaded. members: see `coded_members`.
    """
    exporting = exports.where("exports_kusd > 0").select("country", "year").distinct()
    current = F.col("year").between(F.col("from_year"), F.coalesce("to_year", "year"))
    regions = exporting.join(F.broadcast(members), "country").where(current)
    together = exporting.unionByName(
        regions.select(F.col("region").alias("country"), "year").distinct()
    )
    return together.groupBy("country").agg(F.count("*").cast("int").alias("export_years"))


def mean_advantages(
    rows: DataFrame, exporting: DataFrame, *, absent: Literal["zero", "skip"]
) -> DataFrame:
    """Return mean_rca, mean_rca_network and years for each material, product and country.

    rows: material, year, product, country, rca, rca_network. exporting: see `export_years`. A
    year in which a country exports, but neither sells nor buys this product, counts as 0 or not at
    all (`absent`); one in which it only buys it counts as 0.
    """
    network_years = (
        rows.where("rca_network is not null")
        .groupBy("material", "country")
        .agg(F.countDistinct("year").alias("network_years"))
    )
    sums = rows.groupBy("material", "product", "country").agg(
        F.coalesce(F.sum("rca"), F.lit(0.0)).alias("rca"),
        F.coalesce(F.sum("rca_network"), F.lit(0.0)).alias("rca_network"),
        F.count("rca").cast("int").alias("rca_years"),
        F.count("rca_network").alias("rca_network_years"),
    )
    known = sums.join(exporting, "country", "left").join(
        network_years, ["material", "country"], "left"
    )
    years, within = (
        ("export_years", "network_years")
        if absent == "zero"
        else ("rca_years", "rca_network_years")
    )
    return known.select(
        "material",
        "product",
        "country",
        (F.col("rca") / F.nullif(F.col(years), F.lit(0))).alias("mean_rca"),
        (F.col("rca_network") / F.nullif(F.col(within), F.lit(0))).alias("mean_rca_network"),
        F.coalesce(years, F.lit(0)).alias("years"),
    )


def with_inputs(strengths: DataFrame, edges: DataFrame) -> DataFrame:
    """Add is_input: whether an edge leads from the product to a strength of the country."""
    outputs = strengths.where("is_strength").withColumnRenamed("product", "output")
    needed = (
        outputs.join(edges, ["material", "output"])
        .select("material", F.col("input").alias("product"), "country")
        .distinct()
        .withColumn("is_input", F.lit(True))
    )
    joined = strengths.join(needed, ["material", "product", "country"], "left")
    return joined.withColumn("is_input", F.coalesce("is_input", F.lit(False)))


def run(warehouse: Warehouse, settings: Settings) -> None:
    """Average the RCA of all years asked for and follow the edges one step back."""
    options = settings.countries
    indicators = of_years(warehouse.read(INDICATORS), settings)
    members = coded_members(warehouse.read(REGION_MEMBERS))
    products = network_products(warehouse, settings)
    rows = with_network_rca(within_network(indicators, products, settings))
    means = ["rca", "rca_network"]
    rows = with_regions(rows, members, means=means, sums=["exports_kusd"], constant=[])
    exporting = export_years(indicators, members)
    averaged = mean_advantages(rows, exporting, absent=options.absent_rca)
    advantage = F.col(COLUMN_OF[options.strength_universe])
    strengths = averaged.withColumn("is_strength", F.coalesce(advantage > 1, F.lit(False)))
    edges = warehouse.read(EDGES).select("material", "input", "output")
    found = with_region_names(with_inputs(strengths, edges))
    warehouse.replace(STRENGTHS, found, part(settings))
