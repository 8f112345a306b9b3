"""Growth between two windows, planted so that the regression's truth is known exactly.

The equation of `GrowthEquation` holds for every country that exports a planted product in the base
years and stays in it: with RCA the mean of Balassa's index over the years of a window, over all
products and countries of the world, a year without exports counting as 0, and with exposure, HHI
and STR the means over the base years in which they are defined, ln RCA(target) - ln RCA(base) is
the linear function plus independent normal noise, to the rounding of flows. An ordinary
least-squares regression on these regressors, with dummies for the planted groups (1 is the
reference) and tiers (0 is the reference), over rows where all are defined, estimates these
coefficients without bias and with honest standard errors; adding further regressors leaves their
truth at zero. A product's shares must add up to one, so what the incumbents leave goes to
newcomers, which did not export it in the base years and drop out of the regression. One intercept
for all, low enough that something is left in each product, makes room for them: it depends on the
noise, the slopes do not. Each country stays with a chance of 0.9, whatever its regressors; sellers
of planted chains always do.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from udfs.seeding import group_rng
from udfs.systemic_risk import product_year
from udfs.world.exports import newcomers, outline
from udfs.world.flows import flows
from udfs.world.model import Floats, Growth, Ints, World

Mask = NDArray[np.bool_]

STAY = 0.9
MOST_OF_INCUMBENTS = 0.9
"""Share of a product's exports in a target year that incumbents have at most."""
JITTER_SD = 0.1
"""Of ln RCA between the target years; their mean is exact."""
BALANCE_ROUNDS, BALANCED = 500, 1e-11


@dataclass(frozen=True, slots=True)
class Incumbents:
    """Planted (product, country) that export in the base years, and their regressors, (n,)."""

    product: Ints
    country: Ints
    rca: Floats
    exposure: Floats
    hhi: Floats
    systemic_risk: Floats


@dataclass(frozen=True, slots=True)
class Balanced:
    """Exports of planted products in the target years, (planted, C, years), and the intercept."""

    exports: Floats
    intercept: float


def other_exports(world: World) -> Floats:
    """Return each country's exports over all products that nothing is planted in, (C, years)."""
    total = np.zeros((world.countries.size.size, len(world.settings.years)))
    for product in world.products:
        if product not in world.planted:
            total += outline(product, world.countries, world.settings).exports
    return total


def with_growth(world: World) -> World:
    """Return the world with its target years' exports made by the growth equation.

    Years before and in the base window stay; between the windows exports go from one to the other.
    """
    years = np.array(world.settings.years)
    others = other_exports(world)
    base = np.isin(years, world.settings.base_years)
    target = np.isin(years, world.settings.target_years)
    found = incumbents(world, others)
    stays, change = _change(world, found)
    balanced = _balance(world, others, found, stays, change, target)
    exports = world.exports.copy()
    exports[:, :, target] = balanced.exports
    share = (balanced.exports / balanced.exports.sum(axis=1, keepdims=True)).mean(axis=2)
    first, last = years[base][-1], years[target][0]
    for at in np.flatnonzero((years > first) & ~target):
        way = min(1.0, (years[at] - first) / (last - first))
        total = world.exports[:, :, at].sum(axis=1, keepdims=True)
        exports[:, :, at] = (1 - way) * world.exports[:, :, at] + way * share * total
    planted = Growth(
        balanced.intercept,
        found.product,
        found.country,
        np.log(found.rca),
        found.exposure,
        found.hhi,
        found.systemic_risk,
        np.where(stays, balanced.intercept + change, np.nan),
    )
    return replace(world, exports=exports, growth=planted)


def incumbents(world: World, others: Floats) -> Incumbents:
    """Compute the regressors from the flows of the base years."""
    years = np.isin(world.settings.years, world.settings.base_years)
    by_country = (others + world.exports.sum(axis=0))[:, years]
    exports = world.exports[:, :, years]
    of_country = np.where(by_country > 0, by_country, np.inf) / by_country.sum(axis=0)
    rca = exports / exports.sum(axis=1, keepdims=True) / of_country
    mean_rca = rca.mean(axis=2)
    means = np.stack(list(_indicators(world)))
    product, country = np.nonzero(mean_rca)
    return Incumbents(product, country, mean_rca[product, country], *means[product, :, country].T)


def _indicators(world: World) -> Iterator[Floats]:
    """Yield exposure, HHI and STR of each planted product, base-year means, shape (3, C)."""
    n = world.countries.size.size
    codes = world.countries.code
    for product in world.planted:
        found = np.full((len(world.settings.base_years), 3, n), np.nan)
        for row, year in enumerate(world.settings.base_years):
            trade = flows(world, year, product)
            indicators = product_year(
                np.searchsorted(codes, trade.exporters),
                np.searchsorted(codes, trade.importers),
                trade.values_kusd,
                stability=world.countries.stability[:, world.settings.years.index(year)],
            )
            found[row, :, indicators.countries] = np.stack(
                [indicators.exposure, indicators.hhi, indicators.systemic_risk], axis=1
            )
        defined = ~np.isnan(found)
        with np.errstate(invalid="ignore"):
            yield np.where(defined, found, 0.0).sum(axis=0) / defined.sum(axis=0)


def _change(world: World, found: Incumbents) -> tuple[Mask, Floats]:
    """Return who stays, and the equation's right side without intercept; NaN counts as mean."""
    equation, s = world.settings.growth, world.settings.strengths.growth
    rng = group_rng(world.settings.seed, "growth")
    tier = np.array(list(world.networks.planted.values()))[found.product]
    explained = (
        equation.ln_rca * np.log(found.rca)
        + equation.exposure * _mean_filled(found.exposure)
        + equation.hhi * _mean_filled(found.hhi)
        + equation.str * _mean_filled(found.systemic_risk)
        + np.array(equation.tier)[tier]
        + np.array(equation.group)[world.countries.group[found.country]]
    )
    noise = equation.noise_sd * rng.standard_normal(found.rca.size)
    stays = rng.random(found.rca.size) < STAY
    return stays | _sells_in_chain(world, found), s * explained + noise


def _sells_in_chain(world: World, found: Incumbents) -> Mask:
    """Mark the sellers of chains, which stay, or the chain would break in the target years."""
    sells = np.zeros(world.exports.shape[:2], np.bool_)
    for product, chain in world.chains.items():
        sells[world.planted[product], [seller for seller, _ in chain.sales()]] = True
    return sells[found.product, found.country]


def _mean_filled(values: Floats) -> Floats:
    return np.where(np.isnan(values), np.nanmean(values), values)


def _balance(
    world: World,
    others: Floats,
    found: Incumbents,
    stays: Mask,
    change: Floats,
    target: Mask,
) -> Balanced:
    """Solve for exports whose RCA is the planted one, country and world totals being their sums.

    A country's total contains what is planted in it, so the equations are solved by iteration.
    """
    total = world.exports[:, :, target].sum(axis=1)
    shape = (*world.exports.shape[:2], total.shape[1])
    rng = group_rng(world.settings.seed, "target")
    jitter = rng.lognormal(0, JITTER_SD, (found.rca.size, shape[2]))
    planned = np.zeros(shape)
    planned[found.product, found.country] = (stays * found.rca * np.exp(change))[:, None] * (
        jitter / jitter.mean(axis=1, keepdims=True)
    )
    entering = np.zeros(shape)
    for row, product in enumerate(world.planted):
        new = newcomers(product, world.countries, world.settings, world.chains.get(product))
        weight = world.countries.size[new] * rng.lognormal(0, 1.0, new.size)
        entering[row, new] = (weight / weight.sum())[:, None]

    fixed = others[:, target]
    by_country = fixed + world.exports[:, :, target].sum(axis=0)
    for _ in range(BALANCE_ROUNDS):
        share = planned * (by_country / by_country.sum(axis=0))
        factor = MOST_OF_INCUMBENTS / share.sum(axis=1).max()
        share *= factor
        left = 1 - share.sum(axis=1, keepdims=True)
        exports = (share + left * entering) * total[:, None, :]
        before, by_country = by_country, fixed + exports.sum(axis=0)
        if (np.abs(by_country - before) <= BALANCED * before).all():
            return Balanced(exports, float(np.log(factor)))
    raise ValueError(
        f"the target years' exports found no balance in {BALANCE_ROUNDS} rounds; "
        "expected planted products to be a small part of the world: generate more products"
    )
