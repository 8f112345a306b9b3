"""Who exports how much of a product: drawn once for all years, so that flows can be exact.

Exports of a country in a product follow its size, a specialisation that stays, and a slow walk
that carries countries in and out of the product. They are drawn from the product's own stream.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from udfs.seeding import group_rng
from udfs.world.model import EXTREME, Chain, Countries, Floats, Ints, Networks, WorldSettings

FLOWS_PERSISTENCE = 0.99
"""Correlation of ln(flows) of a product between years."""
MOST_FILLED = 0.8
"""Largest share of all pairs of countries that trade a product; cuts 0.05 % off the log-normal."""
EXPORTERS_FACTOR, EXPORTERS_POWER = 1.8, 0.6
"""Exporters saturate as C (1 - exp(-1.8 flows^0.6 / C)): 75 at 665 flows, as in BACI's sample."""
SPECIALISATION_SD, WALK_SD, WALK_PERSISTENCE = 1.2, 0.5, 0.9
"""Of ln exports: what stays, what walks from year to year."""
VALUE_LOG_MEAN, VALUE_LOG_SD, VALUE_PER_FLOWS = 13.4, 1.2, 1.3
"""Of a product's exports in thousand USD, and how they rise with its number of flows; together
about 20 trillion USD for 5,000 products."""
MIDDLING = 0.5
"""Spread of planted products in flows and value, beside that of the others."""
ENTRY_BY_SIZE = 0.5
"""Weight of ln size in who exports at all; in how much it is 1."""
EXPORT_BIAS = np.array([0.0, 0.5, -0.5, -0.2, 0.2])
"""Of ln exports, by group; the first extreme country counts as group 1, but has its own size."""
EXTREME_EXPORTS = 0.6
"""Size that the two extreme countries have as exporters, where the world's is 1; with the bias of
its group the first has 0.99, so that the two export some 60 % of a product."""
GROWTH_MEAN, GROWTH_SD, CYCLE_SD = 0.03, 0.03, 0.08
"""Of a product's value a year."""
LEAST_EXPORTS = 1.0
"""Thousand USD that an exporter sells at least, so that three decimals are exact to 0.1 %."""
NEWCOMERS = 0.05
"""Share of countries that enter a planted product only after the base years."""
CHAIN_EXPORTS = {"supplier": 0.2, "hub": 0.3, "second_hub": 0.2}
"""Shares of a chain's members in the exports of its product at full strength."""


@dataclass(frozen=True, slots=True)
class Outline:
    """A product over the years: flows, shape (years,); exports, thousand USD, (C, years)."""

    flows: Ints
    exports: Floats


def outline(
    product: str,
    countries: Countries,
    settings: WorldSettings,
    *,
    planted: bool = False,
    grouped: bool = True,
    barred: Ints | None = None,
) -> Outline:
    """Draw the flows and exports of a product in all years; `barred` countries export nothing.

    A planted product is of middling size whatever the strengths; a chain is not `grouped`.
    """
    rng = group_rng(settings.seed, "exports", product)
    n, years = countries.size.size, len(settings.years)
    size, level, trend = rng.standard_normal(3)
    if planted:
        size, level = MIDDLING * size, MIDDLING * level
    passing = np.sqrt(1 - FLOWS_PERSISTENCE**2) * rng.standard_normal(years)
    scale = FLOWS_PERSISTENCE * size + passing
    log_flows = settings.flows_log_mean + settings.flows_log_sd * scale
    flows = np.clip(np.rint(np.exp(log_flows)), 1, MOST_FILLED * n * (n - 1)).astype(np.int64)

    total = np.exp(
        VALUE_LOG_MEAN + VALUE_LOG_SD * level + VALUE_PER_FLOWS * size
        + (GROWTH_MEAN + GROWTH_SD * trend) * np.arange(years)
        + CYCLE_SD * rng.standard_normal(years)
    )  # fmt: skip
    supply = np.log(countries.size) + SPECIALISATION_SD * rng.standard_normal(n)
    if grouped:
        like = np.where(np.arange(n) == countries.size.argmax(), 1, countries.group)
        grown = np.where(countries.group == EXTREME, EXTREME_EXPORTS / countries.size, 1.0)
        supply += settings.strengths.groups * (EXPORT_BIAS[like] + np.log(grown))
    scores = supply[:, None] + _walk(rng, n, years)
    entry = scores - (1 - ENTRY_BY_SIZE) * np.log(countries.size)[:, None]
    if barred is not None:
        entry[barred] = -np.inf
    return Outline(flows, _shared_out(total, scores, entry, _exporters(flows, n)))


def newcomers(
    product: str, countries: Countries, settings: WorldSettings, chain: Chain | None
) -> Ints:
    """Return positions of the countries that enter a planted product after the base years."""
    rng = group_rng(settings.seed, "newcomers", product)
    members = [chain.supplier, chain.hub, chain.second_hub] if chain else []
    others = np.setdiff1d(np.arange(countries.size.size), members)
    return np.sort(rng.choice(others, max(3, round(NEWCOMERS * others.size)), replace=False))


def _walk(rng: np.random.Generator, n: int, years: int) -> Floats:
    """Return a stationary first-order autoregression with sd WALK_SD, shape (n, years)."""
    steps = WALK_SD * rng.standard_normal((years, n))
    steps[1:] *= np.sqrt(1 - WALK_PERSISTENCE**2)
    for year in range(1, years):
        steps[year] += WALK_PERSISTENCE * steps[year - 1]
    return steps.T


def _exporters(flows: Ints, n: int) -> Ints:
    """Return how many of n countries export a product, given its flows, shape (years,)."""
    saturating = n * (1 - np.exp(-EXPORTERS_FACTOR * flows**EXPORTERS_POWER / n))
    return np.asarray(np.clip(np.rint(saturating), 1, np.minimum(flows, n)), np.int64)


def _shared_out(total: Floats, scores: Floats, entry: Floats, exporters: Ints) -> Floats:
    """Share each year's total, as exp(score), among the countries that rank highest to enter."""
    last = -np.sort(-entry, axis=0)[exporters - 1, np.arange(exporters.size)]
    weight = np.where((entry >= last) & (entry > -np.inf), np.exp(scores - scores.max(axis=0)), 0.0)
    exports = total * weight / weight.sum(axis=0)
    return np.where(weight > 0, np.maximum(exports, LEAST_EXPORTS), 0.0)


def make_chains(
    networks: Networks, countries: Countries, settings: WorldSettings
) -> Mapping[str, Chain]:
    """Plant one chain of suppliers in each material, in a product of its last tier.

    Suppliers are the least stable countries, hubs have a risk near 0.65, so that a good part of
    the supplier's risk passes them; importers are drawn. The product is nobody's input, since its
    imports are ruled by the chain. Returns the chains by product.
    """
    if settings.strengths.upstream == 0:
        return {}
    inputs = networks.outputs()
    leaves: dict[str, str] = {}
    for (material, product), _ in sorted(networks.tiers.items(), key=lambda item: item[1]):
        if product not in inputs:
            leaves[material] = product
    from_unstable = np.argsort(-countries.risk, kind="stable")
    from_unstable = from_unstable[countries.group[from_unstable] != 0]
    chains = {}
    for at, (material, product) in enumerate(sorted(leaves.items())):
        rng = group_rng(settings.seed, "chain", product)
        supplier = int(from_unstable[at])
        free = from_unstable[len(leaves) :]
        hub, second = (int(c) for c in _nearest_risk(free, countries.risk, at))
        rest = rng.permutation(free[(free != hub) & (free != second)])
        importers = max(3, min(8, rest.size // 8))
        near, far = rest[:importers], rest[importers : 2 * importers]
        chains[product] = Chain(
            material, product, supplier, hub, second,
            tuple(int(c) for c in near), tuple(int(c) for c in far),
        )  # fmt: skip
    return chains


HUB_RISK = 0.65


def _nearest_risk(free: Ints, risk: Floats, at: int) -> Ints:
    """Return the pair number `at` of countries whose risk is nearest to HUB_RISK."""
    order = free[np.argsort(np.abs(risk[free] - HUB_RISK), kind="stable")]
    start = 2 * (at % (order.size // 2))
    return order[start : start + 2]


def with_chain(exports: Floats, chain: Chain, strength: float) -> Floats:
    """Give the chain's members their shares of exports, shape (C, years), totals unchanged."""
    members = [chain.supplier, chain.hub, chain.second_hub]
    planned = np.array(list(CHAIN_EXPORTS.values()))[:, None]
    total = exports.sum(axis=0)
    others = exports.copy()
    others[members] = 0
    shared = others / others.sum(axis=0) * (1 - planned.sum()) * total
    shared[members] = planned * total
    return np.asarray((1 - strength) * exports + strength * shared)
