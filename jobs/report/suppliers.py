"""Who stands behind the mean systemic trade risk of a seed, year by year."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import pandas as pd

from conf.materials import Material
from jobs.report.figures import Figure, areas
from jobs.report.seeds import Seed

SHOWN = 3
"""Suppliers with an area of their own, the largest over all years."""
WATCHED = "CHN"
"""Supplier that is always among them: the one that Klimek et al. (2025) follow."""
OTHERS = "all others and loops"


@dataclass(frozen=True)
class SupplierStory:
    """Figure and table of one seed; rows: year, mean, share of the watched supplier."""

    seed: Seed
    watched: str
    figure: Figure | None
    rows: list[dict[str, Any]]
    why_not: str | None

    @property
    def by_year(self) -> dict[int, dict[str, Any]]:
        """The rows by their year."""
        return {row["year"]: row for row in self.rows}


def risk_by_supplier(influences: pd.DataFrame, trends: pd.DataFrame) -> pd.DataFrame:
    """Return each supplier's part in the mean of str - 1 over the importers of a product.

    Args:
        influences: year, supplier, summand (sum of its contributions to all others), one product.
        trends: year, countries, above_one (sum of str - 1 over the importers), same product.

    Returns:
        year, supplier, part (summand / importers, same unit as str), share of above_one in [0, 1];
        NaN where nobody is above 1. What suppliers leave is risk that returns to its own country.
    """
    joined = influences.merge(trends[["year", "countries", "above_one"]], on="year")
    part = joined["summand"] / joined["countries"]
    share = joined["summand"] / joined["above_one"].where(joined["above_one"] > 0)
    return joined[["year", "supplier"]].assign(part=part, share=share)


def story(
    material: Material, seed: Seed, influences: pd.DataFrame, countries: pd.DataFrame
) -> SupplierStory:
    """Return what the page says of the suppliers of one seed.

    influences: rows of the table, any products; countries: country, name, iso3.
    """
    mine = influences[influences["product"] == seed.product]
    names = countries.set_index("country")["name"]
    code = _watched_code(countries, mine)
    watched = str(names.get(code, WATCHED))
    if mine.empty:
        return SupplierStory(seed, watched, None, [], "influences has no row of this product")
    parts = risk_by_supplier(mine, seed.trends)
    mean = seed.trends.set_index("year")["str"]
    share = parts[parts["supplier"] == code].set_index("year")["share"].reindex(mean.index)
    rows = [
        {"year": int(year), "mean": float(mean[year]), "share": float(share.fillna(0.0)[year])}
        for year in mean.index
    ]
    first, last = rows[0], rows[-1]
    shown = _areas(parts, mean - 1, names, code)
    told = (
        f"Mean systemic trade risk of {seed.product}: {first['mean']:.2f} in {first['year']}, "
        f"{last['mean']:.2f} in {last['year']}; share of {watched} in what is above 1: "
        f"{first['share']:.0%} and {last['share']:.0%}."
    )
    figure = Figure(
        f"{material.key}_{seed.product}_suppliers",
        f"{seed.label}: who stands behind the mean systemic trade risk",
        told,
        areas(shown, y="part", title="Mean systemic trade risk above 1"),
        shown[["year", "series", "part"]],
    )
    return SupplierStory(seed, watched, figure, rows, None)


def _watched_code(countries: pd.DataFrame, influences: pd.DataFrame) -> int | None:
    codes = countries.loc[countries["iso3"] == WATCHED, "country"]
    present = codes[codes.isin(influences["supplier"])]
    return int((present if len(present) else codes).iloc[0]) if len(codes) else None


def _areas(
    parts: pd.DataFrame, total: pd.Series, names: pd.Series, watched: int | None
) -> pd.DataFrame:
    """Return year, series, part: the watched and the largest suppliers, then all others."""
    sums = parts.groupby("supplier")["part"].sum()
    largest = [code for code in sums.nlargest(SHOWN + 1).index if code != watched][:SHOWN]
    chosen = ([watched] if watched in sums.index else []) + largest
    by_year = parts.pivot_table(index="year", columns="supplier", values="part", aggfunc="sum")
    by_year = by_year.reindex(index=total.index, columns=chosen).fillna(0.0)
    by_year.columns = [str(names.get(code, code)) for code in chosen]
    by_year[OTHERS] = (total - by_year.sum(axis=1)).clip(lower=0.0)
    return (
        by_year.rename_axis("year").reset_index().melt("year", var_name="series", value_name="part")
    )
