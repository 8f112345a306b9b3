"""Which pairs of products form a chain from the seeds, by the votes of the answers?

Reads   votes       (material, matcher, input, output) -> votes, replicates, similarity
        responses   (material, input), to know which products were asked about
        products    (nomenclature, product), to check the seeds
Writes  candidates  (material, input, output) -> votes, depth, ...
        frontier    (material, product) -> depth: reached, and nobody answered for it
"""

from __future__ import annotations

from collections.abc import Mapping

import pandas as pd

from conf.settings import Settings
from jobs.network.chosen import (
    chosen_materials,
    materials_part,
    of_materials,
    product_list,
    rows_of,
    seed_products,
    stacked,
)
from jobs.network.recordings import material_digests
from jobs.progress import say
from jobs.tables import CANDIDATES, FRONTIER, PRODUCTS, RESPONSES, VOTES
from jobs.warehouse import Warehouse
from udfs.chain import walk

READS = (VOTES, RESPONSES, PRODUCTS)
WRITES = (CANDIDATES, FRONTIER)
SETTINGS = ("matcher", "votes", "depth")

NAMED = 6
"""Products of the frontier that are named on the screen; the table has all."""

part = materials_part
files = material_digests


def run(warehouse: Warehouse, settings: Settings) -> None:
    """Walk from the seeds of each material and replace its candidates."""
    counted = of_materials(warehouse.read(VOTES), settings).toPandas()
    counted = counted[counted["matcher"] == settings.network.matcher]
    asked = of_materials(warehouse.read(RESPONSES), settings).select("material", "input").distinct()
    answered = asked.toPandas().groupby("material")["input"].apply(set).to_dict()
    products = product_list(warehouse)
    pairs, frontiers = [], []
    for one in chosen_materials(settings):
        found = walk(
            counted[counted["material"] == one.key],
            answered.get(one.key, set()),
            seed_products(one, products),
            least=one.votes,
            depth=one.depth,
        )
        pairs.append(found.pairs)
        frontiers.append(found.frontier.assign(material=one.key))
        say(f"  {one.name}: {len(found.stages):,} products in {len(found.pairs):,} pairs")
        _name(found.frontier, products.descriptions)
    for table, frames in ((CANDIDATES, pairs), (FRONTIER, frontiers)):
        frame = rows_of(warehouse.spark, table, stacked(frames))
        warehouse.replace(table, frame, part(settings))


def _name(frontier: pd.DataFrame, descriptions: Mapping[str, str]) -> None:
    """Say which products ended the walk for want of answers."""
    if frontier.empty:
        return
    named = [f"{code} {descriptions[code][:40]}" for code in frontier["product"][:NAMED]]
    more = f" and {len(frontier) - NAMED} more" if len(frontier) > NAMED else ""
    say(
        f"    {len(frontier)} of them have no recorded answer, so what is made from them is "
        f"unknown (table frontier): {'; '.join(named)}{more}"
    )
