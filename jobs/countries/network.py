"""Indicators on the products of a material's network, for countries and groups of countries."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import pandas as pd
from pyspark.sql import DataFrame, SparkSession
from pyspark.sql import functions as F
from pyspark.sql.types import StructField, StructType

from conf.regions import region_codes
from conf.settings import Settings
from jobs.indicators.years import of_years
from jobs.progress import say
from jobs.tables import TIERS, Table
from jobs.warehouse import Slice, Warehouse
from udfs.profiles import regions_of_group


def materials_part(settings: Settings) -> Slice:
    """The materials asked for; of these, all years are replaced together."""
    return {"material": settings.materials}


def network_products(warehouse: Warehouse, settings: Settings) -> DataFrame:
    """Return material, product and tier of the materials asked for."""
    tiers = warehouse.read(TIERS).where(F.col("material").isin(*settings.materials))
    return tiers.select("material", "product", "tier")


def within_network(frame: DataFrame, products: DataFrame, settings: Settings) -> DataFrame:
    """Return the rows of the products of each network, with material and tier, in the years."""
    return of_years(frame, settings).join(F.broadcast(products), "product")


def say_what_is_loaded(products: DataFrame, indicators: DataFrame) -> None:
    """Say how many products of each tier have trade, if any has none."""
    traded = indicators.select("product").distinct().withColumn("traded", F.lit(1))
    counted = (
        products.join(traded, "product", "left")
        .groupBy("material", "tier")
        .agg(F.count("*").alias("products"), F.count("traded").alias("traded"))
        .orderBy("material", "tier")
        .collect()
    )
    for material in sorted({row.material for row in counted}):
        rows = [row for row in counted if row.material == material]
        if any(row.traded < row.products for row in rows):
            found = ", ".join(f"tier {r.tier}: {r.traded} of {r.products}" for r in rows)
            say(f"{material}: only these products of the network have trade loaded: {found}")


def coded_members(members: DataFrame) -> DataFrame:
    """Return region_members with the code that stands for a region instead of its name."""
    coded = members.join(F.broadcast(_region_names(members.sparkSession)), "region")
    return coded.select(F.col("code").alias("region"), "country", "from_year", "to_year")


def with_regions(
    frame: DataFrame, members: DataFrame, *, means: list[str], sums: list[str], constant: list[str]
) -> DataFrame:
    """Append the rows of regions, one for each material, year and product.

    frame: material, year, product, country, exports_kusd and the columns named (see
    `udfs.profiles.region_rows`). members: see `coded_members`.
    """
    columns = ["material", "year", "product", "country", *means, *sums, *constant]
    rows = frame.select(*columns)
    build = regions_of_group(members.toPandas(), means=means, sums=sums, constant=constant)
    # All nullable: an indicator that every country has is undefined where no member exports.
    schema = StructType([StructField(field.name, field.dataType) for field in rows.schema])
    return rows.unionByName(rows.groupBy("material", "year").applyInPandas(build, schema))


def with_region_names(frame: DataFrame) -> DataFrame:
    """Add region: the name behind a negative country code, null for a country."""
    names = _region_names(frame.sparkSession).withColumnRenamed("code", "country")
    return frame.join(F.broadcast(names), "country", "left")


def driver_frame(spark: SparkSession, table: Table, parts: Sequence[pd.DataFrame]) -> DataFrame:
    """Return rows of a table that were made on the driver, with region where the table has it.

    Absent columns, None and NaN become null.
    """
    columns = [column for column in table.columns if column.name != "region"]
    names = [column.name for column in columns]
    schema = ", ".join(f"{column.name} {column.type}" for column in columns)
    rows = [
        tuple(None if pd.isna(value) else value for value in row)
        for each in parts
        for row in each.reindex(columns=names).astype(object).itertuples(index=False, name=None)
    ]
    whole = [at for at, column in enumerate(columns) if column.type in ("int", "smallint")]
    typed = [_with_integers(row, whole) for row in rows]
    frame = spark.createDataFrame(typed, schema)
    return with_region_names(frame) if len(columns) < len(table.columns) else frame


def _with_integers(row: tuple[Any, ...], places: list[int]) -> tuple[Any, ...]:
    values = list(row)
    for at in places:
        values[at] = None if values[at] is None else int(values[at])
    return tuple(values)


def _region_names(spark: SparkSession) -> DataFrame:
    codes = [(code, name) for name, code in region_codes().items()]
    return spark.createDataFrame(codes, "code smallint, region string")
