"""Countries of a synthetic world: size, stability, groups, extremes."""

from __future__ import annotations

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from udfs.seeding import group_rng
from udfs.stability import ALWAYS_SCORED, percentile_rank, wgi_code
from udfs.world.model import EXTREME, GROUPS, SYNTHETIC, Countries, Floats, Ints, WorldSettings

SIZE_LOG_SD = 2.0
"""Spread of ln size; GDP of the world's economies has about 2.2."""
PERSISTENCE, DRIFT_SD = 0.95, 0.15
"""Year-to-year autocorrelation of WGI estimates and the sd of their drift."""
UNSCORED_SHARE = 0.04
"""Share of countries, the smallest, that the synthetic WGI does not score."""
LARGEST_SIZE = 0.2
"""Share of the first extreme, an economy that everybody buys from, in what countries import."""
NEXT_SIZE, CAPPING_ROUNDS = 0.05, 20
"""Largest share of any other, so that no ordinary country has a giant's influence; at least twice
the mean. Rounds of cutting down to it."""
EXTREME_ESTIMATE = -0.9
"""WGI estimate of the extremes at full strength: rank about 20."""
STDERR, SOURCES = 0.25, 7.0
FEWEST_COUNTRIES = 24


def make_countries(
    code: Ints, name: tuple[str, ...], iso3: tuple[str, ...], settings: WorldSettings
) -> Countries:
    """Give each country a size, a group, and a stability in each year.

    Sizes are log-normal; groups are dealt in the order of size, so that each is a quarter of the
    world's large and small. The largest country is the first extreme, which imports from stable
    suppliers; the second is of middling size, exports like a giant too and imports from the
    riskiest. At full strength both are unstable, so that much of everybody's risk comes from them.
    """
    if len(code) < FEWEST_COUNTRIES or len(set(iso3)) < len(iso3):
        raise ValueError(
            f"found {len(code)} countries with {len(set(iso3))} different ISO3 codes; expected at "
            f"least {FEWEST_COUNTRIES} and each code once: leave out dissolved countries"
        )
    rng = group_rng(settings.seed, "countries")
    size = _sizes(rng, len(code))
    group, extremes = _groups(rng, size)
    estimate = _estimates(rng, len(code), len(settings.years))
    s = settings.strengths.groups
    for extreme in extremes:
        estimate[extreme] = (1 - s) * estimate[extreme] + s * EXTREME_ESTIMATE
    estimate[_unscored(iso3, size)] = np.nan
    rank = np.stack([percentile_rank(year) for year in estimate.T], axis=1).round(4)
    stability = np.where(np.isnan(rank), np.nanmedian(rank, axis=0), rank)
    return Countries(code, name, iso3, size, group, estimate, rank, stability)


def _sizes(rng: np.random.Generator, n: int) -> Floats:
    size = rng.lognormal(0, SIZE_LOG_SD, n)
    largest = int(size.argmax())
    size[largest] = 0
    for _ in range(CAPPING_ROUNDS):
        size *= (1 - LARGEST_SIZE) / size.sum()
        size = np.minimum(size, max(NEXT_SIZE, 2 / n))
    size *= (1 - LARGEST_SIZE) / size.sum()
    size[largest] = LARGEST_SIZE
    return size


def _groups(rng: np.random.Generator, size: Floats) -> tuple[Ints, tuple[int, int]]:
    """Deal the groups to each four countries next in size; return them and the extremes."""
    descending = np.argsort(-size)
    extremes = int(descending[0]), int(descending[size.size // 3])
    ordinary = descending[~np.isin(descending, extremes)]
    hands = -(-ordinary.size // len(GROUPS))
    group = np.full(size.size, EXTREME, np.int64)
    dealt = np.concatenate([rng.permutation(GROUPS) for _ in range(hands)])
    group[ordinary] = dealt[: ordinary.size]
    return group, extremes


def _unscored(iso3: tuple[str, ...], size: Floats) -> NDArray[np.bool_]:
    """Mark remainders and the smallest countries, apart from those that WGI never leaves out."""
    codes = [wgi_code(iso) for iso in iso3]
    smallest: NDArray[np.bool_] = size.argsort().argsort() < UNSCORED_SHARE * size.size
    never = np.array([code is None for code in codes], dtype=np.bool_)
    always = np.array([code in ALWAYS_SCORED for code in codes], dtype=np.bool_)
    return never | (smallest & ~always)


def _estimates(rng: np.random.Generator, n: int, years: int) -> Floats:
    """Return standard normal scores that drift slowly, four decimals, shape (n, years)."""
    estimate = np.empty((n, years))
    level = rng.standard_normal(n)
    for year in range(years):
        estimate[:, year] = level
        level = PERSISTENCE * level + DRIFT_SD * rng.standard_normal(n)
    return np.clip(estimate, -3.5, 2.5).round(4)


def wgi(countries: Countries, years: tuple[int, ...]) -> pd.DataFrame:
    """Return the stability scores in the columns of WGI's long table, a row a country and year.

    Countries that WGI does not score have no rows. The edition is `SYNTHETIC`.
    """
    scored = np.flatnonzero(~np.isnan(countries.estimate[:, 0]))
    n = scored.size
    estimate = countries.estimate[scored].ravel()
    names = [f"{countries.name[c]} (synthetic)" for c in scored]
    frame = pd.DataFrame(
        {
            "code": np.repeat([wgi_code(countries.iso3[c]) for c in scored], len(years)),
            "countryname": np.repeat(names, len(years)),
            "year": np.tile(years, n),
            "estimate": estimate,
            "stddev": STDERR,
            "nsource": SOURCES,
            "pctrank": countries.rank[scored].ravel(),
        }
    )
    frame["edition"] = SYNTHETIC
    frame["pctrank_source"] = "published"
    return frame
