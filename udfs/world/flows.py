"""Bilateral flows of one product in one year, from one stream a product and one a product-year.

Exports of each country are those of `udfs.world.exports`, exact to the rounding of values. Who
trades with whom, and how much, follows from demand, from affinities of pairs that stay, and from
what is planted in `udfs.world.demand`.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from udfs.seeding import group_rng
from udfs.world.demand import SIZE_PULL, Habits, Singles, demand_of, habits_of, pull_of
from udfs.world.exports import outline
from udfs.world.model import Floats, Flows, Ints, World

DRIFT_SD = 0.7
"""Of what passes from year to year in the score of a pair, beside an affinity with sd 1 that stays:
0.65 of the pairs of a year trade in the next, as in BACI's sample."""
STAYING, PASSING = 0.8, 0.6
"""Parts of a pair's affinity in ln value that stay and that are the year's; variances add to 1."""
MARGIN_ROUNDS = 8
"""Rounds of scaling to importers' demand and exporters' sales; the last makes exports exact."""
MOST_OF_PAIRS = 0.9
"""Share of the pairs of an exporter with all countries that trade at most."""
MOST_TONS = 1e9
"""Heaviest flow, about what China imports of iron ore a year; tails of prices go beyond."""
PRICE_SD, EXPORTER_PRICE_SD, FLOW_PRICE_SD = 2.0, 0.6, 1.2
"""Of ln price in thousand USD a ton: between products, exporters, flows."""
UNREPORTED = 0.04
"""Share of flows without a quantity, as in BACI."""
LEAST = 0.001


def flows(world: World, year: int, product: str) -> Flows:
    """Return the trade in `product` in `year`.

    Depends on the world, the year and the product alone, not on what was generated before.

    Raises:
        ValueError: the year or product is not in the world.
    """
    at = _position(world, year, product)
    row = world.planted.get(product)
    natural = outline(product, world.countries, world.settings, planted=row is not None)
    exports = natural.exports[:, at] if row is None else world.exports[row, :, at]
    habits = habits_of(world, product)
    demand = demand_of(world, product, at, exports, habits)
    affinity = group_rng(world.settings.seed, "pairs", product).standard_normal(
        (exports.size, exports.size), np.float32
    )
    pull = pull_of(world, product, habits)
    rng = group_rng(world.settings.seed, "flows", year, product)
    liking = affinity + pull if habits.pull_chooses else affinity
    a, c = _trading_pairs(exports, demand, liking, habits, int(natural.flows[at]), rng)
    log_weight = (
        np.log(demand[c])
        + habits.spread[c] * (STAYING * affinity[a, c] + PASSING * rng.standard_normal(a.size))
        + habits.largest_pull[c] * np.log(exports[a] / exports.max())
        + pull[a, c]
    )
    values = np.maximum(_scaled(log_weight, a, c, exports, demand).round(3), LEAST)
    code = world.countries.code
    return Flows(code[a], code[c], values, _quantities(world, product, a, values, rng))


@dataclass(frozen=True, slots=True)
class YearOfFlows:
    """All trade of one year, sorted by exporter, importer and product as CEPII sorts it.

    exporters, importers: BACI's codes, int16; products: positions in the world's product list,
    int32; values_kusd, quantities_t: as in `Flows`; all of shape (n,).
    """

    exporters: NDArray[np.int16]
    importers: NDArray[np.int16]
    products: NDArray[np.int32]
    values_kusd: Floats
    quantities_t: Floats


def year_of_flows(world: World, year: int) -> YearOfFlows:
    """Return the trade of all products in `year`; takes about 60 bytes a flow while it works."""
    found = [flows(world, year, product) for product in world.products]
    sizes = [one.exporters.size for one in found]
    exporters = np.concatenate([one.exporters.astype(np.int16) for one in found])
    importers = np.concatenate([one.importers.astype(np.int16) for one in found])
    # A stable sort keeps the products ascending; 16-bit keys are sorted by radix.
    order = np.argsort(importers, kind="stable")
    order = order[np.argsort(exporters[order], kind="stable")]
    return YearOfFlows(
        exporters[order],
        importers[order],
        np.repeat(np.arange(len(found), dtype=np.int32), sizes)[order],
        np.concatenate([one.values_kusd for one in found])[order],
        np.concatenate([one.quantities_t for one in found])[order],
    )


def _position(world: World, year: int, product: str) -> int:
    if year not in world.settings.years or product not in world.products:
        raise ValueError(
            f"found product {product!r} in {year!r}; expected a product of this world's "
            f"{len(world.products)} and a year of {world.settings.years}"
        )
    return world.settings.years.index(year)


def _trading_pairs(
    exports: Floats,
    demand: Floats,
    affinity: Singles,
    habits: Habits,
    n_flows: int,
    rng: np.random.Generator,
) -> tuple[Ints, Ints]:
    """Choose the `n_flows` pairs with the highest scores; every exporter has at least one."""
    n = exports.size
    active = np.flatnonzero(exports > 0)
    seller = (SIZE_PULL * np.log(exports[active])).astype(np.float32)
    buyer = (habits.size_pull * np.log(demand) + habits.partners).astype(np.float32)
    score = DRIFT_SD * rng.standard_normal((active.size, n), np.float32)
    score += affinity[active]
    score += seller[:, None]
    score += buyer
    rows = np.arange(active.size)
    score[rows, active] = -np.inf
    # An exporter's sure customer is a large one, or all it sells would drown a small one's imports.
    best_buyer = (score + np.log(demand).astype(np.float32)).argmax(axis=1)
    best_seller = score.argmax(axis=0)
    score[rows, best_buyer] = np.inf
    if habits.from_each:
        score[best_seller, np.arange(n)] = np.inf
    score[rows, active] = -np.inf
    most = int(MOST_OF_PAIRS * active.size * (n - 1))
    wanted = min(max(n_flows, int(np.count_nonzero(score == np.inf))), most)
    chosen = np.sort(np.argpartition(score.ravel(), score.size - wanted)[-wanted:])
    return active[chosen // n], chosen % n


def _scaled(log_weight: Floats, a: Ints, c: Ints, exports: Floats, demand: Floats) -> Floats:
    """Scale weights so that importers get about their demand and exporters sell exactly `exports`.

    Iterative proportional fitting (Deming and Stephan 1940), which leaves the preferences of
    importers among suppliers, their odds, as they were.
    """
    n = exports.size
    wanted = demand * exports.sum()
    values = np.exp(log_weight - log_weight.max())
    for _ in range(MARGIN_ROUNDS):
        sold = np.bincount(a, values, n)
        values *= np.divide(exports, sold, out=np.zeros(n), where=sold > 0)[a]
        bought = np.bincount(c, values, n)
        values *= np.divide(wanted, bought, out=np.zeros(n), where=bought > 0)[c]
    return np.asarray(values * (exports / np.maximum(np.bincount(a, values, n), 1e-300))[a])


def _quantities(
    world: World, product: str, a: Ints, values: Floats, rng: np.random.Generator
) -> Floats:
    """Divide values by a price of product, exporter and flow; NaN where none is reported."""
    prices = group_rng(world.settings.seed, "price", product)
    level = PRICE_SD * prices.standard_normal()
    of_exporter = EXPORTER_PRICE_SD * prices.standard_normal(world.countries.size.size)
    of_flow = FLOW_PRICE_SD * rng.standard_normal(a.size)
    quantities = values * np.exp(-level - of_exporter[a] - of_flow)
    reported = rng.random(a.size) >= UNREPORTED
    return np.where(reported, quantities.round(3).clip(LEAST, MOST_TONS), np.nan)
