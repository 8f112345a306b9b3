"""Dependency profiles: trade-weighted means of a country's indicators, by tier and by basket.

Numerics first (the rows of one year in, a frame out), then the functions Spark calls. Source:
Klimek, Baum, Gerschberger and Hess (2025), Methods, "dependency profiles"; whether their profile
has 16 or 40 columns can be read either way, so both are here.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from enum import StrEnum

import numpy as np
import pandas as pd
from numpy.typing import NDArray

TIERS = range(5)
"""Tiers with columns of their own; deeper products count in the whole basket only."""
DEPENDENCE = ("exposure", "hhi", "str")
AVERAGED = (*DEPENDENCE, "score", "influence")
"""Indicators that profiles average."""


class Reason(StrEnum):
    """Why a cell has no value; one sentence each."""

    NO_TIER = "no product of this tier is traded in the data loaded for this year"
    NO_INPUTS = "the country has no input products, or trades none of them in this year"
    NO_TRADE = "the country trades no such product in this year"
    UNDEFINED = "the indicator is undefined for all such products that the country trades"


@dataclass(frozen=True, slots=True)
class Feature:
    """One column of a profile: an indicator, over all or input products, of one tier or of all."""

    indicator: str
    basket: str
    tier: int | None

    @property
    def name(self) -> str:
        """Such as exposure_all, hhi_inputs_tier2, score_tier0, influence_tier4."""
        basket = f"_{self.basket}" if self.indicator in DEPENDENCE else ""
        return f"{self.indicator}{basket}{'' if self.tier is None else f'_tier{self.tier}'}"


WHOLE_BASKET = tuple(Feature(i, basket, None) for basket in ("all", "inputs") for i in DEPENDENCE)
BY_TIER = tuple(
    Feature(i, basket, tier) for basket in ("all", "inputs") for i in DEPENDENCE for tier in TIERS
)
SCORES = tuple(Feature(i, "all", tier) for i in ("score", "influence") for tier in TIERS)
FEATURES = (*WHOLE_BASKET, *SCORES, *BY_TIER)
FEATURE_NAMES = tuple(feature.name for feature in FEATURES)
COLUMNS = {
    16: tuple(feature.name for feature in (*WHOLE_BASKET, *SCORES)),
    40: tuple(feature.name for feature in (*BY_TIER, *SCORES)),
}
"""Names of the columns in both readings of the source: 6 + 5 + 5, or everything by tier."""


def weighted_means(
    rows: pd.DataFrame, by: Sequence[str], values: Sequence[str], weight: str
) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Return group means over the rows that have a value, and the weight these carry.

    Both have one row a group and one column a value; the mean is NaN where the weight is 0.
    """
    weights = rows[[weight]].to_numpy(np.float64)
    x = rows[list(values)].to_numpy(np.float64)
    carried: NDArray[np.float64] = np.where(np.isnan(x), 0.0, weights)
    keys = [rows[name] for name in by]
    sums = pd.DataFrame(np.nan_to_num(x) * carried, rows.index, list(values)).groupby(keys).sum()
    totals = pd.DataFrame(carried, rows.index, list(values)).groupby(keys).sum()
    return sums / totals.where(totals > 0), totals


def region_rows(
    rows: pd.DataFrame, members: pd.DataFrame, *, means: Sequence[str], sums: Sequence[str]
) -> pd.DataFrame:
    """Return, for each group of countries and product, what a country's row holds.

    A group is an observation beside its members and no node of the trade network: its indicators
    are the members' means weighted by their exports of the product, NaN where none exports it.

    Args:
        rows: one year; country, product, exports_kusd, and the columns named in means and sums.
        members: region (code that stands for it as a country), country.
        means: columns to average.
        sums: columns to add up.
    """
    joined = members.merge(rows, on="country").drop(columns="country")
    by = ["region", "product"]
    averaged, _ = weighted_means(joined, by, means, "exports_kusd")
    added = joined.groupby(by)[list(sums)].sum()
    return averaged.join(added).reset_index().rename(columns={"region": "country"})


def profile_of_year(rows: pd.DataFrame) -> pd.DataFrame:
    """Return the cells of every country's profile in one year.

    Args:
        rows: one row a country and product; country, tier, is_input, weight (imports + exports),
            pv_imputed_share, and the indicators of `AVERAGED`, NaN where undefined.

    Returns:
        country, feature; value (NaN with reason); weight: trade of the products that have a value;
        missing_share: share of the cell's trade in products without a value, [0, 1]; imputed_share:
        mean of pv_imputed_share over the same products and weights, [0, 1]; reason.
    """
    countries = pd.Index(np.unique(rows["country"].to_numpy()), name="country")
    cells = [
        _cells(rows, countries, features)
        for basket in ("all", "inputs")
        for tier in (None, *TIERS)
        if (features := [f for f in FEATURES if (f.basket, f.tier) == (basket, tier)])
    ]
    return pd.concat(cells, ignore_index=True)


def _cells(rows: pd.DataFrame, countries: pd.Index, features: list[Feature]) -> pd.DataFrame:
    """Return the cells of features that share basket and tier."""
    basket, tier = features[0].basket, features[0].tier
    in_tier = rows if tier is None else rows[rows["tier"] == tier]
    chosen = in_tier[in_tier["is_input"]] if basket == "inputs" else in_tier
    indicators = [feature.indicator for feature in features]
    means, weights = weighted_means(chosen, ["country"], indicators, "weight")
    means = means.reindex(countries)
    traded = chosen.groupby("country")["weight"].sum().reindex(countries).fillna(0.0)
    weights = weights.reindex(countries).fillna(0.0)
    known = chosen[chosen["pv_imputed_share"].notna()]
    imputed = weighted_means(known, ["country"], ["pv_imputed_share"], "weight")[0]
    shares = imputed["pv_imputed_share"].reindex(countries).to_numpy(np.float64)
    absent = (
        Reason.NO_TIER
        if in_tier.empty
        else Reason.NO_INPUTS
        if basket == "inputs"
        else Reason.NO_TRADE
    )
    cells = []
    for feature in features:
        value = means[feature.indicator].to_numpy(np.float64)
        weight = weights[feature.indicator].to_numpy(np.float64)
        total = traded.to_numpy(np.float64)
        why = np.where(total > 0, Reason.UNDEFINED.value, absent.value)
        cells.append(
            pd.DataFrame(
                {
                    "country": countries,
                    "feature": feature.name,
                    "value": value,
                    "weight": weight,
                    "missing_share": _ratio(total - weight, total),
                    "imputed_share": np.where(np.isnan(value), np.nan, np.clip(shares, 0.0, 1.0)),
                    "reason": np.where(np.isnan(value), why, np.array(None)),
                }
            )
        )
    return pd.concat(cells, ignore_index=True)


def _ratio(part: NDArray[np.float64], whole: NDArray[np.float64]) -> NDArray[np.float64]:
    ratio: NDArray[np.float64] = np.full(part.shape, np.nan)
    np.divide(part, whole, out=ratio, where=whole > 0)
    return np.clip(ratio, 0.0, 1.0)


Key = tuple[str, int]
Group = Callable[[Key, pd.DataFrame], pd.DataFrame]


def regions_of_group(
    members: pd.DataFrame, *, means: Sequence[str], sums: Sequence[str], constant: Sequence[str]
) -> Group:
    """Build the function for groups (material, year) that returns the rows of regions.

    members: region (code), country, from_year, to_year (NaN = still a member). constant: columns
    that depend on the product alone.
    """

    def one_group(key: Key, rows: pd.DataFrame) -> pd.DataFrame:
        material, year = key
        counts = (members["from_year"] <= year) & ~(members["to_year"] < year)
        rows = rows.sort_values(["country", "product"])
        current = members.loc[counts, ["region", "country"]]
        if not rows["country"].isin(current["country"]).any():
            return rows.iloc[:0]
        found = region_rows(rows, current, means=means, sums=sums)
        by_product = rows.drop_duplicates("product")[["product", *constant]]
        return found.merge(by_product, on="product").assign(material=material, year=year)

    return one_group


def profiles_of_group() -> Group:
    """Build the function for groups (material, year) that returns the cells of their profiles."""

    def one_group(key: Key, rows: pd.DataFrame) -> pd.DataFrame:
        material, year = key
        ordered = rows.sort_values(["country", "product"])
        return profile_of_year(ordered).assign(material=material, year=year)

    return one_group
