"""Which products form the network, how far from the seeds, and which links lead back?

Reads   links          (material, input, output, test) -> z, kept
        candidates     (material, input, output) -> votes
        frontier       (material, product)
        indicators     (product), to know whose trade is loaded
        products       (nomenclature, product), to check the seeds
Writes  edges          (material, input, output) -> votes, tested, z, verdict
        removed_edges  (material, input, output) -> reason
        tiers          (material, product) -> tier

Klimek et al. (2025), Methods: tier = shortest distance from the seeds; the network has no cycle.
"""

from __future__ import annotations

import pandas as pd
from pyspark.sql import functions as F

from conf.materials import Material
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
from jobs.tables import (
    CANDIDATES,
    EDGES,
    FRONTIER,
    INDICATORS,
    LINKS,
    PRODUCTS,
    REMOVED_EDGES,
    TIERS,
)
from jobs.warehouse import Warehouse
from udfs.tiers import Edge, Network, tiered_network

READS = (LINKS, CANDIDATES, FRONTIER, INDICATORS, PRODUCTS)
WRITES = (EDGES, REMOVED_EDGES, TIERS)
SETTINGS = ("link_mode", "depth")

part = materials_part
files = material_digests


def network_of(one: Material, links: pd.DataFrame, seeds: list[str]) -> Network:
    """Arrange the kept links of a material in tiers.

    links: input, output, z, of the test that decides; z NaN = untested.
    """
    rows = links[["input", "output", "z"]].itertuples(index=False, name=None)
    return tiered_network((Edge(*row) for row in rows), seeds, depth=one.depth)


def _edges(found: Network) -> pd.DataFrame:
    return pd.DataFrame(
        [(edge.input, edge.output) for edge in found.edges], columns=["input", "output"]
    )


def _removed(found: Network) -> pd.DataFrame:
    rows = [
        (one.edge.input, one.edge.output, one.reason.value, " ".join(one.path))
        for one in found.removed
    ]
    return pd.DataFrame(rows, columns=["input", "output", "reason", "path"])


def run(warehouse: Warehouse, settings: Settings) -> None:
    """Build the network of each material from the test that decides, and replace it."""
    decided = of_materials(warehouse.read(LINKS), settings).where(
        F.col("kept") & (F.col("test") == settings.network.link_mode)
    )
    votes = warehouse.read(CANDIDATES).select("material", "input", "output", "votes")
    links = decided.join(votes, ["material", "input", "output"]).toPandas()
    links["tested"] = links["rho"].notna()
    open_ends = of_materials(warehouse.read(FRONTIER), settings).toPandas()
    loaded = {row[0] for row in warehouse.read(INDICATORS).select("product").distinct().collect()}
    products = product_list(warehouse)
    edges, removed, tiers = [], [], []
    for one in chosen_materials(settings):
        mine = links[links["material"] == one.key]
        found = network_of(one, mine, seed_products(one, products))
        edges.append(_edges(found).merge(mine, on=["input", "output"]))
        removed.append(_removed(found).merge(mine.drop(columns="reason"), on=["input", "output"]))
        of_one = pd.DataFrame(found.tiers.items(), columns=["product", "tier"])
        unanswered = set(open_ends.loc[open_ends["material"] == one.key, "product"])
        tiers.append(
            of_one.assign(
                material=one.key,
                trade_loaded=of_one["product"].isin(loaded),
                answered=~of_one["product"].isin(unanswered),
            )
        )
        counts = of_one["tier"].value_counts().sort_index()
        say(f"  {one.name}: {', '.join(f'tier {t}: {n}' for t, n in counts.items())} products")
    for table, frames in ((EDGES, edges), (REMOVED_EDGES, removed), (TIERS, tiers)):
        frame = rows_of(warehouse.spark, table, stacked(frames))
        warehouse.replace(table, frame, part(settings))
