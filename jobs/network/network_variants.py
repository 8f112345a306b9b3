"""How much do the networks depend on votes, on the test and on the matcher?

Reads   links             (material, input, output, test) -> z, kept, p_value
        candidates        (material, input, output) -> votes
        votes             (material, matcher, input, output) -> votes
        tiers             (material, product) -> tier
        products          (nomenclature, product), to check the seeds
Writes  network_variants  (material, variant, product) -> tier

One thing is changed at a time. To compare years, prompts or models, make two warehouses.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping

import pandas as pd

from conf.materials import Material
from conf.settings import Network, Settings
from jobs.network.chosen import (
    chosen_materials,
    materials_part,
    of_materials,
    product_list,
    rows_of,
    seed_products,
)
from jobs.network.recordings import material_digests
from jobs.network.tiers import network_of
from jobs.network.verdicts import ACCEPT, REJECT
from jobs.tables import CANDIDATES, LINKS, NETWORK_VARIANTS, PRODUCTS, TIERS, VOTES
from jobs.warehouse import Warehouse
from udfs.chain import walk

READS = (LINKS, CANDIDATES, VOTES, TIERS, PRODUCTS)
WRITES = (NETWORK_VARIANTS,)
SETTINGS = ("link_mode", "untested", "votes", "depth", "matcher")

AS_SET = "as set"
STRICTER = (6, 8, 10)
"""Votes required in variants; fewer than set would need links that were not tested."""

part = materials_part
files = material_digests


def variants(
    one: Material, links: pd.DataFrame, votes: pd.DataFrame, seeds: list[str], network: Network
) -> Iterator[tuple[str, Mapping[str, int]]]:
    """Yield the tiers of a material's network with one thing changed, and what was changed.

    links: input, output, test, z, p_value, kept, verdict, votes. votes: matcher, input, output,
    votes.
    """
    mine = links[links["test"] == network.link_mode]
    tested = mine["p_value"].notna()
    for least in STRICTER:
        if least > one.votes:
            enough = mine[mine["kept"] & (mine["votes"] >= least)]
            yield f"at least {least} votes", network_of(one, enough, seeds).tiers
    other = "robust" if network.link_mode == "paper" else "paper"
    by_other = links[(links["test"] == other) & links["kept"]]
    yield f"{other} mode", network_of(one, by_other, seeds).tiers
    if network.untested == "keep":
        stay = mine["kept"] & (tested | mine["verdict"].eq(ACCEPT))
        yield "untested links dropped", network_of(one, mine[stay], seeds).tiers
    else:
        stay = mine["kept"] | (~tested & mine["verdict"].ne(REJECT))
        yield "untested links kept", network_of(one, mine[stay], seeds).tiers
    for matcher, counted in votes.groupby("matcher"):
        found = walk(counted, set(), seeds, least=one.votes, depth=one.depth)
        yield f"matched by {matcher}, no trade test", found.stages


def run(warehouse: Warehouse, settings: Settings) -> None:
    """Build the variants of each material's network and replace them."""
    named = warehouse.read(CANDIDATES).select("material", "input", "output", "votes")
    decisions = of_materials(warehouse.read(LINKS), settings)
    links = decisions.join(named, ["material", "input", "output"]).toPandas()
    votes = of_materials(warehouse.read(VOTES), settings).toPandas()
    as_set = of_materials(warehouse.read(TIERS), settings).select("material", "product", "tier")
    products = product_list(warehouse)
    frames = [as_set.toPandas().assign(variant=AS_SET)]
    for one in chosen_materials(settings):
        of_one = (frame[frame["material"] == one.key] for frame in (links, votes))
        for variant, tiers in variants(
            one, *of_one, seed_products(one, products), settings.network
        ):
            rows = pd.DataFrame(tiers.items(), columns=["product", "tier"])
            frames.append(rows.assign(material=one.key, variant=variant))
    frame = rows_of(warehouse.spark, NETWORK_VARIANTS, pd.concat(frames))
    warehouse.replace(NETWORK_VARIANTS, frame, part(settings))
