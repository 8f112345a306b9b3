"""Indicators by tier and by cluster: how they spread, how they moved, who weighs most."""

from __future__ import annotations

from dataclasses import dataclass

import pandas as pd

from conf.materials import Material
from jobs.report.figures import Figure, cluster_colours, dots, lines, spreads
from udfs.profiles import TIERS

PANELS = {
    "exposure": "Exposure",
    "hhi": "Concentration of suppliers (HHI)",
    "str": "Systemic trade risk",
    "score": "Dependency score",
}
CLUSTER_PANELS = {
    "exposure_all": "Exposure, all products",
    "hhi_all": "Concentration (HHI), all products",
    "str_all": "Systemic trade risk, all products",
    "str_inputs": "Systemic trade risk, input products",
    "score_tier0": "Dependency score, seeds",
    "influence_tier0": "Influence, seeds",
}
QUANTILES = {"p10": 0.1, "p25": 0.25, "p50": 0.5, "p75": 0.75, "p90": 0.9}
LARGEST = 12
"""Suppliers in the figure of influence."""


@dataclass(frozen=True)
class TierStory:
    """What the page shows by tier and by cluster; None with a sentence in `why_not`."""

    year: int | None
    spread: Figure | None
    trend: Figure | None
    influence: Figure | None
    by_cluster: Figure | None
    cluster_trend: Figure | None
    empty_tiers: list[int]
    why_not: dict[str, str]


def story(
    material: Material, wide: pd.DataFrame, countries: pd.DataFrame, clusters: pd.DataFrame
) -> TierStory:
    """Return what the page says by tier and cluster of one material.

    Args:
        material: what it is about.
        wide: rows of `profiles_wide` of the material.
        countries: country, name.
        clusters: rows of `country_clusters` of the material.
    """
    own = wide[wide["region"].isna()]
    empty = [tier for tier in TIERS if own.empty or own[f"str_all_tier{tier}"].isna().all()]
    if own.empty:
        reason = "no country trades a product of this network in the data loaded (profiles_wide)"
        names = ("spread", "trend", "influence", "by_cluster", "cluster_trend")
        return TierStory(None, *[None] * 5, empty, dict.fromkeys(names, reason))
    year = int(own["year"].max())
    last = own[own["year"] == year]
    labels = clusters.dropna(subset=["cluster"]).set_index("country")["cluster"].astype(int)
    figures: dict[str, Figure | None] = {
        "spread": _spread(material, last, year),
        "trend": _trend(material, own),
        "influence": _influence(material, last, countries, year),
        "by_cluster": _by_cluster(material, last, labels, year),
        "cluster_trend": _cluster_trend(material, own, labels),
    }
    because = {
        "spread": f"no tier has an indicator in {year} (profiles_wide)",
        "trend": "no tier has systemic trade risk in any year (profiles_wide)",
        "influence": f"no country has influence in any tier in {year} (profiles_wide)",
    }
    no_cluster = _why_no_cluster(clusters)
    missing = {name: because.get(name, no_cluster) for name, one in figures.items() if one is None}
    return TierStory(year, *figures.values(), empty, missing)


def spread_over(rows: pd.DataFrame, group: str, value: str) -> pd.DataFrame:
    """Return the quantiles of a column over the rows of each group, NaN left out.

    Columns: group, p10, p25, p50, p75, p90, countries.
    """
    known = rows.dropna(subset=[value])
    grouped = known.groupby(group)[value]
    found = pd.DataFrame({name: grouped.quantile(q) for name, q in QUANTILES.items()})
    return found.assign(countries=grouped.size()).reset_index()


def by_tier(rows: pd.DataFrame, indicator: str) -> pd.DataFrame:
    """Return country, year, tier, value of an indicator from columns such as str_all_tier2."""
    basket = "_all" if indicator in ("exposure", "hhi", "str") else ""
    columns = {f"{indicator}{basket}_tier{tier}": tier for tier in TIERS}
    long = rows.melt(["country", "year"], list(columns), "column", "value").dropna(subset=["value"])
    return long.assign(tier=long.pop("column").map(columns))


def _spread(material: Material, last: pd.DataFrame, year: int) -> Figure | None:
    parts = [
        spread_over(by_tier(last, indicator), "tier", "value").assign(panel=indicator)
        for indicator in PANELS
    ]
    data = pd.concat(parts, ignore_index=True)
    if data.empty:
        return None
    data["group"] = "tier " + data["tier"].astype(int).astype(str)
    data = data.sort_values("tier", kind="stable")
    middle = data[data["panel"] == "str"]
    told = ", ".join(f"{g} {m:.2f}" for g, m in zip(middle["group"], middle["p50"], strict=True))
    return Figure(
        f"{material.key}_by_tier",
        f"{material.name}: dependence by tier over countries, {year}",
        f"Spread over countries in {year}; median systemic trade risk: {told}.",
        spreads(data, group="group", panels=PANELS),
        data[["panel", "tier", *QUANTILES, "countries"]],
    )


def _trend(material: Material, own: pd.DataFrame) -> Figure | None:
    long = by_tier(own, "str")
    if long.empty:
        return None
    grouped = long.groupby(["tier", "year"])["value"]
    data = pd.DataFrame({"str": grouped.mean(), "countries": grouped.size()}).reset_index()
    data["series"] = "tier " + data["tier"].astype(int).astype(str)
    return Figure(
        f"{material.key}_tier_trend",
        f"{material.name}: mean systemic trade risk by tier",
        f"Mean over countries. {_first_last(data, 'str')}.",
        lines(data, y="str", title="Systemic trade risk"),
        data[["tier", "year", "str", "countries"]],
    )


def _influence(
    material: Material, last: pd.DataFrame, countries: pd.DataFrame, year: int
) -> Figure | None:
    long = by_tier(last, "influence")
    long = long[long["value"] > 0]
    if long.empty:
        return None
    largest = long.groupby("country")["value"].max().nlargest(LARGEST).index
    names = countries.set_index("country")["name"]
    data = long[long["country"].isin(largest)].assign(
        name=lambda rows: rows["country"].map(names),
        series=lambda rows: "tier " + rows["tier"].astype(int).astype(str),
        place=lambda rows: rows["country"].map({code: n for n, code in enumerate(largest)}),
    )
    data = data.sort_values(["tier"], kind="stable").sort_values("place", kind="stable")
    top = data.loc[data.groupby("tier")["value"].idxmax()]
    told = "; ".join(
        f"{row.series}: {row.name} {row.value:.1f}" for row in top.itertuples(index=False)
    )
    return Figure(
        f"{material.key}_influence",
        f"{material.name}: influence of the largest suppliers by tier, {year}",
        f"Largest in each tier: {told}.",
        dots(data, x="value", label="name", series="series", title="Influence"),
        data[["country", "name", "tier", "value"]],
    )


def _by_cluster(
    material: Material, last: pd.DataFrame, labels: pd.Series, year: int
) -> Figure | None:
    rows = last.assign(cluster=last["country"].map(labels)).dropna(subset=["cluster"])
    if rows.empty:
        return None
    parts = [spread_over(rows, "cluster", column).assign(panel=column) for column in CLUSTER_PANELS]
    data = pd.concat(parts, ignore_index=True).sort_values("cluster", kind="stable")
    data["group"] = "cluster " + data["cluster"].astype(int).astype(str)
    middle = data[data["panel"] == "str_all"]
    told = ", ".join(f"{g} {m:.2f}" for g, m in zip(middle["group"], middle["p50"], strict=True))
    return Figure(
        f"{material.key}_by_cluster",
        f"{material.name}: dependence by cluster of countries, {year}",
        f"Spread over the countries of a cluster; median systemic trade risk: {told}.",
        spreads(data, group="group", panels=CLUSTER_PANELS),
        data[["panel", "cluster", *QUANTILES, "countries"]],
    )


def _cluster_trend(material: Material, own: pd.DataFrame, labels: pd.Series) -> Figure | None:
    rows = own.assign(cluster=own["country"].map(labels)).dropna(subset=["cluster", "str_all"])
    if rows.empty:
        return None
    grouped = rows.groupby(["cluster", "year"])["str_all"]
    data = pd.DataFrame({"str": grouped.mean(), "countries": grouped.size()}).reset_index()
    data["series"] = "cluster " + data["cluster"].astype(int).astype(str)
    colours = cluster_colours([int(label) for label in data["cluster"]])
    return Figure(
        f"{material.key}_cluster_trend",
        f"{material.name}: mean systemic trade risk by cluster",
        f"Mean over the countries of a cluster. {_first_last(data, 'str')}.",
        lines(data, y="str", title="Systemic trade risk", colours=list(colours.values())),
        data[["cluster", "year", "str", "countries"]],
    )


def _first_last(data: pd.DataFrame, column: str) -> str:
    return "; ".join(
        f"{name}: {rows[column].iloc[0]:.2f} in {rows['year'].iloc[0]}, "
        f"{rows[column].iloc[-1]:.2f} in {rows['year'].iloc[-1]}"
        for name, rows in data.groupby("series", sort=False)
    )


def _why_no_cluster(clusters: pd.DataFrame) -> str:
    reasons = clusters["reason"].dropna()
    if len(reasons):
        return f"no country has a cluster: {reasons.mode().iloc[0]} (country_clusters.reason)"
    return "country_clusters has no row of this material"
