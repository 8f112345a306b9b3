"""The materials a run is about, their seeds, and frames of their rows."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace

import pandas as pd
import pyarrow as pa
from pyspark.sql import DataFrame, SparkSession
from pyspark.sql import functions as F
from pyspark.sql.pandas.types import to_arrow_schema
from pyspark.sql.types import StructType

from conf.materials import Material, material
from conf.problem import Problem
from conf.settings import Settings
from jobs.tables import PRODUCTS, Table
from jobs.warehouse import Slice, Warehouse
from udfs.matching import TextEmbedding, index_of_descriptions, nearest, normalise_line


@dataclass(frozen=True)
class ProductList:
    """The products of the release: code -> description, of one HS revision."""

    nomenclature: str
    descriptions: Mapping[str, str]


def materials_part(settings: Settings) -> Slice:
    """The materials asked for."""
    return {"material": settings.materials}


def of_materials(frame: DataFrame, settings: Settings) -> DataFrame:
    """Return the rows of the materials asked for."""
    return frame.where(F.col("material").isin(*settings.materials))


def chosen_materials(settings: Settings) -> list[Material]:
    """Return the materials asked for, with the depth and the votes of the settings if given."""
    network = settings.network
    return [
        replace(one, depth=network.depth or one.depth, votes=network.votes or one.votes)
        for one in map(material, settings.materials)
    ]


def product_list(warehouse: Warehouse) -> ProductList:
    """Return the product list of the warehouse."""
    rows = warehouse.read(PRODUCTS).orderBy("nomenclature", "product").toPandas()
    descriptions = dict(zip(rows["product"], rows["description"], strict=True))
    return ProductList(rows["nomenclature"].iloc[0], descriptions)


def seed_products(chosen: Material, products: ProductList) -> list[str]:
    """Return the seeds of a material in the revision loaded, all in its product list.

    Raises:
        Problem: no seed is of this revision, or one is not in the list; the nearest descriptions
            are named.
    """
    seeds = chosen.seeds_in(products.nomenclature)
    place = f"conf/materials/{chosen.key}.toml"
    if not seeds:
        raise Problem(
            f"{place} has no seed in {products.nomenclature}, the revision loaded; add one."
        )
    unknown = [seed for seed in seeds if seed.product not in products.descriptions]
    if unknown:
        embed = TextEmbedding.fit([normalise_line(t) for t in products.descriptions.values()])
        index = index_of_descriptions(products.descriptions, embed)
        near = nearest([normalise_line(seed.reason) for seed in unknown], index, embed, top=3)
        lines = [
            f"  {seed.product} ({seed.reason}) is not in the {products.nomenclature} product list; "
            "nearest descriptions: "
            + "; ".join(f"{code} {products.descriptions[code]}" for code in found if code)
            for seed, found in zip(unknown, near.products, strict=True)
        ]
        raise Problem("\n".join([f"{place}: {len(unknown)} unknown seeds.", *lines]))
    return [seed.product for seed in seeds]


def stacked(frames: list[pd.DataFrame]) -> pd.DataFrame:
    """Return frames below each other; the types of empty ones do not count."""
    return pd.concat([frame for frame in frames if len(frame)] or frames[:1])


def rows_of(spark: SparkSession, table: Table, rows: pd.DataFrame) -> DataFrame:
    """Return `rows` as a frame with the columns of a table; NaN becomes null."""
    schema = to_arrow_schema(StructType.fromDDL(table.result_schema), timezone="UTC")
    columns = rows[[column.name for column in table.columns]]
    return spark.createDataFrame(pa.Table.from_pandas(columns, schema, preserve_index=False))
