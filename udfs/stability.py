"""Political stability of every country in every year: what to do where the source is silent.

The Worldwide Governance Indicators skip 1997, 1999 and 2001, start late for some economies and
never score others. A supplier without a score must not look safe, so each gap is filled, and each
filled value says how (methods C.4): inside a country by linear interpolation in time, at its ends
by the nearest score for a few years, else by the score of a parent where one is named, else by the
median of the year.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from types import MappingProxyType
from typing import Literal

import numpy as np
import pandas as pd
from numpy.typing import ArrayLike, NDArray

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]
Names = NDArray[np.object_]

Scale = Literal["rank", "score", "estimate"]
Missing = Literal["year_median", "0", "50", "100"]

CARRY_YEARS = 3
"""Years that a country's first and last score are carried beyond it."""

WGI_CODES: Mapping[str, str | None] = MappingProxyType(
    {
        "S19": "TWN",  # 490 "Other Asia, nes" is Taiwan in all but name
        "SCG": "SRB",  # 891 Serbia and Montenegro (...2005): WGI keeps its history under Serbia
        "CSK": None,  # 200 Czechoslovakia (...1992)
        "DDR": None,  # 278 Dem. Rep. of Germany (...1990)
        "SUN": None,  # 810 USSR (...1990)
        "R20": None,  # 697 Europe EFTA, nes: a remainder, not an economy
        "PUS": None,  # 849 US Misc. Pacific Isds: a remainder, not an economy
        "ZA1": None,  # 711 Southern African Customs Union (...1999): five economies
    }
)
"""WGI code where it is not BACI's ISO3; None = WGI cannot have a score for it."""

ALWAYS_SCORED = frozenset({"CHN", "FRA", "IND", "TWN", "USA"})
"""Economies that every edition of WGI scores: a file without one of them is not whole."""


@dataclass(frozen=True, slots=True)
class Filled:
    """Scores without gaps, and how each came about; all of shape (n countries, n years).

    values: in the unit of what was filled. source: observed, interpolated, carried or missing.
    values is NaN exactly where source is missing.
    """

    values: Floats
    source: Names


def wgi_code(iso3: str) -> str | None:
    """Return the code under which WGI scores BACI's `iso3`; None where it cannot have a score."""
    return WGI_CODES.get(iso3, iso3)


def score_of_estimate(estimate: ArrayLike) -> Floats:
    """Map WGI estimates (about -2.5 to 2.5, high = stable) onto 0-100 and clip there (C.4)."""
    return np.clip((np.asarray(estimate, np.float64) + 2.5) / 5 * 100, 0, 100)


def percentile_rank(estimate: ArrayLike) -> Floats:
    """Rank the estimates of one year, shape (n,), as the World Bank does; NaN stays NaN.

    100 (m - 1) / (n - 1), m being the number of economies with the same or a lower estimate. This
    gives back every percentile rank of the 2024 update, six indicators in 25 years, to 4e-6.
    Returns values in [0, 100], high = stable; all NaN where fewer than two economies are scored.
    """
    x = np.asarray(estimate, np.float64)
    known = np.sort(x[~np.isnan(x)])
    if known.size < 2:
        return np.full(x.shape, np.nan)
    at_or_below = np.searchsorted(known, x, side="right")
    return np.where(np.isnan(x), np.nan, 100 * (at_or_below - 1) / (known.size - 1))


def fill_gaps(observed: ArrayLike, years: ArrayLike, *, carry_years: int) -> Filled:
    """Interpolate inside each row of `observed` and carry its ends for `carry_years`.

    Args:
        observed: Scores, shape (n countries, n years); NaN where there is none.
        years: The year of each column, shape (n years,), strictly increasing.
        carry_years: Largest distance in years from the score that is carried.

    Returns:
        Gaps between two scores filled linearly in time, whatever their length.
    """
    x, t = np.asarray(observed, np.float64), np.asarray(years, np.int64)
    if x.size == 0:
        return Filled(x, np.full(x.shape, "missing", object))
    known, column = ~np.isnan(x), np.arange(t.size)
    before = np.maximum.accumulate(np.where(known, column, -1), axis=1)
    after = np.minimum.accumulate(np.where(known, column, t.size)[:, ::-1], axis=1)[:, ::-1]
    inside = (before >= 0) & (after < t.size) & ~known

    left, right = np.maximum(before, 0), np.minimum(after, t.size - 1)
    x_left, x_right = np.take_along_axis(x, left, 1), np.take_along_axis(x, right, 1)
    weight = (t - t[left]) / np.maximum(t[right] - t[left], 1)
    late = (before >= 0) & (after == t.size) & (t - t[left] <= carry_years)
    early = (before == -1) & (after < t.size) & (t[right] - t <= carry_years)

    conditions = [known, inside, late, early]
    interpolated = x_left + weight * (x_right - x_left)
    values = np.select(conditions, [x, interpolated, x_left, x_right], np.nan)
    names = ["observed", "interpolated", "carried", "carried"]
    return Filled(values, np.select(conditions, names, "missing").astype(object))


def fill(
    observed: pd.DataFrame,
    codes: Sequence[str | None],
    years: Sequence[int],
    *,
    scale: Scale = "rank",
    missing: Missing = "year_median",
    carry_years: int = CARRY_YEARS,
    parents: Sequence[str | None] | None = None,
) -> pd.DataFrame:
    """Give each of `codes` a stability score in each of `years`.

    Args:
        observed: One row a country and year: code, year, estimate, stderr, edition and the column
            named `scale`; rank and score are 0-100, the estimate is mapped by `score_of_estimate`.
        codes: WGI codes wanted; None stands for countries that WGI does not score.
        years: Calendar years wanted.
        scale: Percentile rank, the absolute score that WGI publishes since 2025, or the estimate.
        missing: Where a country has no score to interpolate or carry: the median of the year over
            the countries observed in it, or a constant. The medians themselves are interpolated
            over the years that WGI skips and carried at its ends.
        carry_years: See `fill_gaps`.
        parents: For each of `codes` the code whose score stands in where it has none of its own,
            its gaps filled in the same way; None = nobody's.

    Returns:
        A row for each of `codes` x `years`, in that order: code, year, pv (0-100, high = stable),
        pv_source (observed, interpolated, carried, parent, year_median or constant_0, _50, _100),
        and estimate, stderr, edition, which are null unless pv_source is observed.

    Raises:
        ValueError: The observations are on another scale, twice in a year, or none of them lies
            within `carry_years` of a wanted year.
    """
    rows = pd.MultiIndex.from_product(
        [pd.Index(list(codes), dtype=object), pd.Index(list(years), dtype=np.int64)],
        names=["code", "year"],
    )
    pv = _on_scale(observed, scale)
    axis = np.union1d(pv.columns.to_numpy(np.int64), rows.levels[1].to_numpy(np.int64))
    by_year = pv.reindex(columns=axis)
    medians = fill_gaps(
        by_year.median(axis=0).to_numpy()[None, :], axis, carry_years=carry_years
    ).values[0]
    _refuse_years_out_of_reach(years, axis, medians, pv.columns.to_numpy(np.int64), carry_years)

    countries = by_year.reindex(pd.Index(list(codes), dtype=object))
    filled = fill_gaps(countries.to_numpy(), axis, carry_years=carry_years)
    at = np.searchsorted(axis, np.asarray(years, np.int64))
    values, source = filled.values[:, at], filled.source[:, at]
    if parents is not None:
        theirs = fill_gaps(
            by_year.reindex(pd.Index(list(parents), dtype=object)).to_numpy(),
            axis,
            carry_years=carry_years,
        )
        stands_in = (source == "missing") & (theirs.source[:, at] != "missing")
        values = np.where(stands_in, theirs.values[:, at], values)
        source = np.where(stands_in, "parent", source)
    substitute = medians[at] if missing == "year_median" else np.full(at.size, float(missing))
    label = "year_median" if missing == "year_median" else f"constant_{missing}"
    unknown = source == "missing"

    found = pd.DataFrame(
        {
            "code": rows.get_level_values("code"),
            "year": rows.get_level_values("year"),
            "pv": np.where(unknown, substitute, values).ravel(),
            "pv_source": np.where(unknown, label, source).ravel(),
        }
    )
    details = observed.set_index(["code", "year"])[["estimate", "stderr", "edition"]].reindex(rows)
    is_observed = (found["pv_source"] == "observed").to_numpy()
    for name in ("estimate", "stderr"):
        found[name] = details[name].to_numpy(np.float64, na_value=np.nan)
        found.loc[~is_observed, name] = np.nan
    found["edition"] = details["edition"].astype(object).where(is_observed, None).to_numpy()
    return found


def _on_scale(observed: pd.DataFrame, scale: Scale) -> pd.DataFrame:
    """Return scores 0-100 by code (rows) and year (columns)."""
    if scale not in observed or observed[scale].isna().all():
        raise ValueError(
            f"stability: the observations have no {scale}; found "
            f"{', '.join(name for name in ('rank', 'score', 'estimate') if name in observed)}; "
            "use one of these scales, or read a file that publishes this one "
            "(the 0-100 score comes with the 2025 edition)"
        )
    twice = observed[observed.duplicated(["code", "year"])]
    if len(twice):
        code, year = twice[["code", "year"]].iloc[0]
        raise ValueError(
            f"stability: {code} has two observations in {year}; expected one a year; "
            "keep one of them"
        )
    pv = observed.pivot(index="code", columns="year", values=scale)
    if scale == "estimate":
        pv = pd.DataFrame(score_of_estimate(pv), index=pv.index, columns=pv.columns)
    return pv.dropna(axis="columns", how="all")


def _refuse_years_out_of_reach(
    years: Sequence[int], axis: Ints, medians: Floats, scored: Ints, carry_years: int
) -> None:
    unreachable = np.intersect1d(axis[np.isnan(medians)], np.asarray(years, np.int64))
    if unreachable.size:
        raise ValueError(
            f"stability: no score within {carry_years} years of "
            f"{', '.join(map(str, unreachable))}; the observations run from {scored.min()} to "
            f"{scored.max()}; choose years inside "
            "them, read a later edition, or carry scores for more years"
        )
