"""Flows of a synthetic world made in Spark, packed as `ingest` packs those it reads from text."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import numpy as np
import pyarrow as pa
from pyspark.sql import DataFrame, SparkSession

from jobs.sources.baci_rows import FLOW, PACKED_SCHEMA, Codes, Parsed, merge_products, pack
from jobs.world.recipe import world_of
from udfs.world import World, flows

MATRICES_PER_TASK = 400
"""Product-years of one task: a million flows, some two seconds of work."""
MATRICES_AT_ONCE = 20


def generated_flows(
    spark: SparkSession, recipe: str, years: Sequence[int], codes: Codes
) -> DataFrame:
    """Return the packed flows of the years and the wanted products; no two rows of one key."""
    wanted = np.array([at for at, code in enumerate(codes.products) if codes.selects(code)])
    shared = spark.sparkContext.broadcast(world_of(recipe))

    def make(batches: Iterator[pa.RecordBatch]) -> Iterator[pa.RecordBatch]:
        for batch in batches:
            place = batch.column("id").to_numpy()
            for start in range(0, place.size, MATRICES_AT_ONCE):
                year, product = np.divmod(place[start : start + MATRICES_AT_ONCE], wanted.size)
                for one in np.unique(year):
                    made = _parsed(shared.value, years[one], wanted[product[year == one]], codes)
                    yield from merge_products(iter([pack(made, years[one], 0)]))

    matrices = len(years) * wanted.size
    tasks = 1 + (matrices - 1) // MATRICES_PER_TASK
    return spark.range(0, matrices, numPartitions=tasks).mapInArrow(make, PACKED_SCHEMA)


def _parsed(world: World, year: int, products: Sequence[int], codes: Codes) -> Parsed:
    """Return the flows of some products in a year, as if they had been parsed."""
    found = [flows(world, year, codes.products[product]) for product in products]
    sizes = [one.exporters.size for one in found]
    packed = np.empty(sum(sizes), FLOW)
    packed["exporter"] = np.concatenate([one.exporters for one in found])
    packed["importer"] = np.concatenate([one.importers for one in found])
    packed["value"] = np.concatenate([one.values_kusd for one in found])
    packed["quantity"] = np.concatenate([one.quantities_t for one in found])
    packed["line"] = 0
    order = np.repeat(np.asarray(products, np.int32), sizes)
    return Parsed(packed, order, (), packed.size, float(packed["value"].sum()))
