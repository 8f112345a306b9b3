"""How much each country wants of a product, and from whom: where most of the truth is planted."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from udfs.seeding import group_rng
from udfs.world.model import EXTREME, Chain, Countries, Floats, World

Singles = NDArray[np.float32]

PULLED = 0.6
"""Share of the demand for an input that follows exports of its outputs, at full strength."""
DEMAND_SD = 0.8
"""Of ln demand beside size."""
SPREAD = 2.0
"""Weight of a pair's affinity in ln value, where no group says otherwise."""
SIZE_PULL = 0.5
"""Weight of ln demand in the score by which pairs of countries are chosen to trade."""

# What a group does with every product, by its number; 0 = the second extreme country.
INTENSITY = np.array([1.0, -1.0, 1.0, 1.5, -1.5])
"""ln of imports beside size."""
CONCENTRATION = np.array([6.0, 0.5, 4.0, 4.0, 0.5])
"""Weight of a pair's affinity in ln value."""
LARGEST_PULL = np.array([1.0, -0.9, 0.3, 0.3, -0.9])
"""Weight of the supplier's ln exports in ln value: towards the largest supplier, or away."""
UNSTABLE_PULL = np.array([4.0, -5.0, 5.0, -5.0, 5.0])
"""Added to ln value where a supplier has more than half risk, taken from the others; in planted
products also to the score by which pairs are chosen."""
RISKIEST_PULL = np.array([10.0, 0.0, 0.0, 0.0, 0.0])
"""Weight of the supplier's risk itself, from -1 to 1."""
PARTNERS = np.array([-1.0, 0.8, -0.8, -0.8, 0.8])
"""Added in planted products to the score of pairs: how many partners a group has."""
LIKE_GROUP = 1
"""The group whose ways the first extreme country has; its influence makes it extreme."""

CHAIN_PULL = 8.0
"""Added to score and ln value of pairs in a chain; taken from the supplier's other customers, and
from unstable suppliers of members, whose risk would hide the supplier's."""
CHAIN_SHARE = 0.9
"""Share of the imports of a chain's importers that come through it, at full strength."""


@dataclass(frozen=True, slots=True)
class Habits:
    """How countries import a product, each of shape (C,); named like the constants above.

    size_pull: one number. from_each: True if every country has at least one supplier. pull_chooses:
    True if pulls also decide which pairs trade, and not only how much.
    """

    intensity: Floats
    spread: Floats
    largest_pull: Floats
    unstable_pull: Floats
    riskiest_pull: Floats
    partners: Floats
    size_pull: float
    from_each: bool
    pull_chooses: bool


def habits_of(world: World, product: str) -> Habits:
    """Return how each country imports `product`.

    Groups differ in all products, or what those of the networks share would look like links
    beside the others. A chain leaves them no choice. Only in planted products do pulls choose the
    pairs that trade, and have small countries as many partners as large ones: elsewhere this would
    leave too few pairs that change from year to year.
    """
    n = world.countries.size.size
    planted, in_chain = product in world.planted, product in world.chains
    s = world.settings.strengths.groups if not in_chain else 0.0
    nothing = np.zeros(n)
    if s == 0:
        spread = np.full(n, SPREAD)
        return Habits(
            nothing, spread, nothing, nothing, nothing, nothing, SIZE_PULL, False, in_chain
        )
    group = world.countries.group.copy()
    group[first_extreme(world.countries)] = LIKE_GROUP
    return Habits(
        intensity=s * INTENSITY[group],
        spread=(1 - s) * SPREAD + s * CONCENTRATION[group],
        largest_pull=s * LARGEST_PULL[group],
        unstable_pull=s * UNSTABLE_PULL[group],
        riskiest_pull=s * RISKIEST_PULL[group],
        partners=s * PARTNERS[group] * planted,
        size_pull=(1 - s) * SIZE_PULL if planted else SIZE_PULL,
        from_each=planted,
        pull_chooses=planted,
    )


def first_extreme(countries: Countries) -> int:
    """Return the position of the first extreme country, the larger of the two."""
    extremes = np.flatnonzero(countries.group == EXTREME)
    return int(extremes[countries.size[extremes].argmax()])


def pull_of(world: World, product: str, habits: Habits) -> Singles:
    """Return what supplier and importer have for each other beside affinity, float32, (C, C)."""
    chain = world.chains.get(product)
    if chain is None and not (habits.unstable_pull.any() or habits.riskiest_pull.any()):
        return np.zeros((world.countries.size.size,) * 2, np.float32)
    unstable = np.where(world.countries.is_unstable, 1.0, -1.0)
    stable_or_not = np.outer(unstable, habits.unstable_pull)
    riskiest = np.outer(2 * world.countries.risk - 1, habits.riskiest_pull)
    pull: Singles = (stable_or_not + riskiest).astype(np.float32)
    if chain is not None:
        added = np.zeros_like(pull)
        added[np.ix_(world.countries.is_unstable, np.array(chain.members))] = -CHAIN_PULL
        added[chain.supplier] = -CHAIN_PULL
        for seller, buyers in chain.sales():
            added[seller, list(buyers)] = CHAIN_PULL
        pull += np.float32(world.settings.strengths.upstream) * added
    return pull


def demand_of(world: World, product: str, at: int, exports: Floats, habits: Habits) -> Floats:
    """Return each country's share in the demand of a product in a year, (C,), sums to 1.

    For an input with true outputs a share of 0.6 follows the countries' shares in the exports of
    these outputs in the same year. Importers that buy from stable or from unstable suppliers
    together want what these export, so that they can get it.
    """
    countries, s = world.countries, world.settings.strengths
    rng = group_rng(world.settings.seed, "demand", product)
    wish = np.log(countries.size) + DEMAND_SD * rng.standard_normal(countries.size.size)
    wish = np.exp(wish + habits.intensity)
    demand = wish / wish.sum()
    outputs = world.outputs.get(product, ())
    if outputs and s.network > 0:
        made = world.exports[[world.planted[output] for output in outputs], :, at]
        pulled = (made / made.sum(axis=1, keepdims=True)).mean(axis=0)
        demand = (1 - s.network * PULLED) * demand + s.network * PULLED * pulled
    if habits.unstable_pull.any():
        cleared = _cleared(demand, exports, countries.is_unstable, habits.unstable_pull > 0)
        demand = (1 - s.groups) * demand + s.groups * cleared
    chain = world.chains.get(product)
    if chain is not None:
        demand = (1 - s.upstream) * demand + s.upstream * _chained(demand, exports, chain)
    return np.asarray(demand)


def _cleared(
    demand: Floats, exports: Floats, unstable: NDArray[np.bool_], buys_unstable: NDArray[np.bool_]
) -> Floats:
    """Scale the demand of either kind of importer to the exports of its kind of supplier."""
    cleared = demand.copy()
    for suppliers, buyers in ((unstable, buys_unstable), (~unstable, ~buys_unstable)):
        cleared[buyers] *= exports[suppliers].sum() / demand[buyers].sum()
    return np.asarray(np.maximum(cleared / cleared.sum(), 1e-9 * demand))


def _chained(demand: Floats, exports: Floats, chain: Chain) -> Floats:
    """Return demand under which each member's sales are CHAIN_SHARE of its customers' imports."""
    share = exports / exports.sum() / CHAIN_SHARE
    planned = np.zeros_like(demand)
    for seller, buyers in chain.sales():
        planned[list(buyers)] += share[seller] / len(buyers)
    planned *= min(1.0, 0.98 / planned.sum())
    others = np.where(planned > 0, 0.0, demand)
    return np.asarray(planned + others * (1 - planned.sum()) / others.sum())
