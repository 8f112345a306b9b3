"""A world whose answers are known: trade of any size with planted truth, from a seed.

`build` makes a `World` once, `flows` then gives the trade of one product in one year, in any order
and on any worker the same. `truth` says what was planted:

(a) network: imports of an input follow exports of its true outputs; decoys share only the name.
(b) groups: four groups of countries import each in a way of its own, and two countries are
    extreme.
(c) growth: the change of ln RCA between two windows is a stated linear function plus noise.
(d) upstream: an unstable supplier that importers do not buy from reaches them through hubs.

Each has a strength; 0 is the placebo. Planted products stay of middling size then. If the years
hold both windows, the noise of growth and the newcomers stay too, which other products do not
have: p-values of links are uniform without windows; with them those of raw values are not, but
below 0.05 less often than in 5 %.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
import pandas as pd

from udfs.world.countries import make_countries, wgi
from udfs.world.exports import make_chains, newcomers, outline, with_chain
from udfs.world.flows import YearOfFlows, flows, year_of_flows
from udfs.world.growth import with_growth
from udfs.world.model import (
    GENERATOR,
    SYNTHETIC,
    Chain,
    Countries,
    Floats,
    Flows,
    GrowthEquation,
    Strengths,
    World,
    WorldSettings,
)
from udfs.world.network import make_networks
from udfs.world.recordings import answers, picks
from udfs.world.truth import truth

__all__ = [
    "GENERATOR",
    "SYNTHETIC",
    "Flows",
    "GrowthEquation",
    "Strengths",
    "World",
    "WorldSettings",
    "YearOfFlows",
    "answers",
    "build",
    "flows",
    "picks",
    "truth",
    "wgi",
    "year_of_flows",
]


def build(
    settings: WorldSettings,
    countries: pd.DataFrame,
    products: Mapping[str, str],
    seeds: Mapping[str, Sequence[str]],
) -> World:
    """Build a world.

    Args:
        settings: seed, years, sparsity, strengths, coefficients.
        countries: country (BACI's code), name, iso3; each ISO3 once.
        products: six-digit codes and their descriptions.
        seeds: products of tier 0 of each material, among `products`.
    """
    listed = countries.sort_values("country")
    products = dict(sorted(products.items()))
    made = make_countries(
        listed["country"].to_numpy(np.int64), tuple(listed["name"]), tuple(listed["iso3"]), settings
    )
    networks = make_networks(products, seeds, settings)
    chains = make_chains(networks, made, settings)
    planted = {product: row for row, product in enumerate(networks.planted)}
    world = World(
        settings=settings,
        countries=made,
        products=products,
        networks=networks,
        outputs=networks.outputs(),
        chains=chains,
        planted=planted,
        exports=np.stack(
            [_planted_exports(product, made, chains, settings) for product in planted]
        ),
    )
    return with_growth(world) if settings.has_windows else world


def _planted_exports(
    product: str, countries: Countries, chains: Mapping[str, Chain], settings: WorldSettings
) -> Floats:
    """Return a planted product's exports before growth, shape (C, years)."""
    chain = chains.get(product)
    barred = newcomers(product, countries, settings, chain) if settings.has_windows else None
    drawn = outline(
        product, countries, settings, planted=True, grouped=chain is None, barred=barred
    )
    if chain is None:
        return drawn.exports
    return with_chain(drawn.exports, chain, settings.strengths.upstream)
