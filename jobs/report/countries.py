"""A page for each country: where it stands in each material, who stands behind it, what changed."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import pandas as pd

from conf.materials import Material
from jobs.report.clusters import called
from jobs.report.figures import shortened
from jobs.report.ledger import OTHERS, changes
from udfs.profiles import TIERS

SUPPLIERS, MOVERS, STRENGTHS_SHOWN = 6, 4, 5
LEAST_CHANGE = 0.005
"""Change of a contribution that is named; smaller ones would read 0.00."""
SPARK_WIDTH, SPARK_HEIGHT = 120, 26
AVERAGED = {"exposure": "exposure_all", "hhi": "hhi_all", "str": "str_all"}
COLUMNS = ("exposure", "hhi", "str", "score", "influence")
RISK = "str_all_tier0"
SHORT = 44


@dataclass(frozen=True)
class Brief:
    """One country in one material.

    tiers: rows of tier and (first, last) of each of `COLUMNS`; suppliers: lines of the account of
    the last year, largest first; moved: lines that changed most; strengths: product, text, RCA.
    """

    material: str
    years: tuple[int, int]
    risk: tuple[float, float] | None
    spark: str
    tiers: list[dict[str, Any]]
    silent_tiers: list[int]
    suppliers: list[dict[str, Any]]
    others: dict[str, Any] | None
    loops: float | None
    account_year: int | None
    moved: list[dict[str, Any]]
    moved_years: tuple[int, int] | None
    strengths: list[dict[str, Any]]
    strengths_in_all: int
    inputs: int
    cluster: str
    no_account: str | None

    @property
    def longest(self) -> float:
        """Largest line of the account, which the bars are measured by."""
        lines = self.suppliers + ([self.others] if self.others else [])
        return max([line["direct"] + line["indirect"] for line in lines], default=0.0) or 1.0


@dataclass(frozen=True)
class CountryPage:
    """Everything of one country; key: what its anchor ends in."""

    key: str
    name: str
    iso3: str
    is_region: bool
    briefs: list[Brief] = field(default_factory=list)


@dataclass(frozen=True)
class MaterialFrames:
    """What is known of one material: see `briefs_of`."""

    wide: pd.DataFrame
    account: pd.DataFrame
    stability: pd.DataFrame
    strengths: pd.DataFrame
    clusters: pd.DataFrame


def pages(
    frames: Mapping[str, tuple[Material, MaterialFrames]],
    countries: pd.DataFrame,
    descriptions: Mapping[str, str],
) -> list[CountryPage]:
    """Return the pages of all countries and regions that have a profile, by name, regions last."""
    found: dict[int, CountryPage] = {}
    known = countries.set_index("country")
    for material, rows in frames.values():
        for code, (region, brief) in briefs_of(material, rows, known["name"], descriptions).items():
            if code not in found:
                row = known.loc[code] if code in known.index else None
                iso3 = row["iso3"] if row is not None and isinstance(row["iso3"], str) else ""
                name = region or (row["name"] if row is not None else str(code))
                key = region or str(code)
                found[code] = CountryPage(key, name, iso3, region is not None)
            found[code].briefs.append(brief)
    return sorted(found.values(), key=lambda page: (page.is_region, page.name.casefold()))


def briefs_of(
    material: Material,
    frames: MaterialFrames,
    names: pd.Series,
    descriptions: Mapping[str, str],
) -> dict[int, tuple[str | None, Brief]]:
    """Return for each country its region name, if it is one, and what is known of it.

    frames.wide: rows of `profiles_wide`; account, stability: see `ledger`; strengths:
    rows of `strengths`; clusters: rows of `country_clusters`; all of one material.
    """
    accounts = dict(tuple(frames.account.groupby("country")))
    moved = dict(tuple(changes(frames.account, frames.stability).groupby("country")))
    strengths = dict(tuple(frames.strengths.groupby("country")))
    clusters = {row["country"]: row for row in frames.clusters.to_dict("records")}
    loaded = [t for t in TIERS if frames.wide[f"str_all_tier{t}"].notna().any()]
    found: dict[int, tuple[str | None, Brief]] = {}
    for code, rows in frames.wide.groupby("country"):
        records = rows.sort_values("year").to_dict("records")
        region = records[0]["region"] if isinstance(records[0]["region"], str) else None
        found[int(code)] = (
            region,
            Brief(
                material=material.name,
                years=(int(records[0]["year"]), int(records[-1]["year"])),
                **_risk(records),
                tiers=_tiers(records, loaded),
                silent_tiers=[tier for tier in TIERS if tier not in loaded],
                **_account(accounts.get(code), moved.get(code), int(code), names, region),
                **_strengths(strengths.get(code), descriptions),
                cluster=_cluster(clusters.get(code)),
            ),
        )
    return found


def _risk(records: list[dict[str, Any]]) -> dict[str, Any]:
    series = [(int(r["year"]), float(r[RISK])) for r in records if pd.notna(r[RISK])]
    if not series:
        return {"risk": None, "spark": ""}
    return {"risk": (series[0][1], series[-1][1]), "spark": sparkline(series)}


def sparkline(series: list[tuple[int, float]]) -> str:
    """Return the points of a line over years, as SVG writes them, in 120 x 26 pixels."""
    years, values = [y for y, _ in series], [v for _, v in series]
    wide, low = max(years[-1] - years[0], 1), min(values)
    tall = (max(values) - low) or 1.0
    return " ".join(
        f"{(SPARK_WIDTH - 4) * (y - years[0]) / wide + 2:.0f},"
        f"{(SPARK_HEIGHT - 4) * (1 - (v - low) / tall) + 2:.0f}"
        for y, v in series
    )


def _tiers(records: list[dict[str, Any]], loaded: list[int]) -> list[dict[str, Any]]:
    first, last = records[0], records[-1]

    def ends(column: str, tier: int) -> tuple[float, float]:
        name = f"{AVERAGED.get(column, column)}_tier{tier}"
        return first[name], last[name]

    return [{"tier": tier, "cells": [ends(column, tier) for column in COLUMNS]} for tier in loaded]


def _account(
    account: pd.DataFrame | None,
    moved: pd.DataFrame | None,
    code: int,
    names: pd.Series,
    region: str | None,
) -> dict[str, Any]:
    nothing: dict[str, Any] = {
        "suppliers": [],
        "others": None,
        "loops": None,
        "account_year": None,
        "moved": [],
        "moved_years": None,
    }
    if region is not None:
        why = "a region is the mean of its members and has no suppliers of its own"
        return nothing | {"no_account": why}
    if account is None:
        return nothing | {"no_account": "it imports no seed product in the data loaded"}
    first, last = int(account["year"].min()), int(account["year"].max())
    now = account[account["year"] == last].to_dict("records")
    named = [row for row in now if row["supplier"] not in (OTHERS, code)]
    named.sort(key=lambda row: (-row["contribution"], row["supplier"]))
    rest = named[SUPPLIERS:] + [row for row in now if row["supplier"] == OTHERS]
    own = next((row["contribution"] for row in now if row["supplier"] == code), None)
    return nothing | {
        "suppliers": [_line(row, names) for row in named[:SUPPLIERS]],
        "others": _summed(rest),
        "loops": None if own is None else own - 1,
        "account_year": last,
        "moved": _moved(moved, code, names),
        "moved_years": (first, last) if last > first else None,
        "no_account": None,
    }


def _line(row: dict[str, Any], names: pd.Series) -> dict[str, Any]:
    return {
        "code": int(row["supplier"]),
        "name": str(names.get(row["supplier"], row["supplier"])),
        "direct": row["direct"],
        "indirect": max(0.0, row["contribution"] - row["direct"]),
        "share": row["share"],
        "pv": row["pv"],
    }


def _summed(rows: list[dict[str, Any]]) -> dict[str, Any] | None:
    if not rows:
        return None
    direct = sum(row["direct"] for row in rows)
    whole = sum(row["contribution"] for row in rows)
    return {
        "direct": direct,
        "indirect": max(0.0, whole - direct),
        "share": sum(row["share"] for row in rows),
    }


def _moved(moved: pd.DataFrame | None, code: int, names: pd.Series) -> list[dict[str, Any]]:
    if moved is None:
        return []
    named = [
        row
        for row in moved.to_dict("records")
        if row["supplier"] not in (OTHERS, code) and abs(row["change"]) >= LEAST_CHANGE
    ]
    named.sort(key=lambda row: (-abs(row["change"]), row["supplier"]))
    return [
        row | {"name": str(names.get(row["supplier"], row["supplier"]))} for row in named[:MOVERS]
    ]


def _strengths(rows: pd.DataFrame | None, descriptions: Mapping[str, str]) -> dict[str, Any]:
    if rows is None:
        return {"strengths": [], "strengths_in_all": 0, "inputs": 0}
    strong = rows[rows["is_strength"]].nlargest(STRENGTHS_SHOWN, "mean_rca")
    return {
        "strengths": [
            {
                "product": product,
                "text": shortened(descriptions.get(product, ""), SHORT),
                "rca": rca,
            }
            for product, rca in strong[["product", "mean_rca"]].itertuples(index=False, name=None)
        ],
        "strengths_in_all": int(rows["is_strength"].sum()),
        "inputs": int(rows["is_input"].sum()),
    }


def _cluster(row: dict[str, Any] | None) -> str:
    if row is None:
        return "Cluster: not computed (no row in country_clusters)."
    if pd.isna(row["cluster"]):
        return f"No cluster: {row['reason']}."
    told = f"{called(int(row['cluster']))} in {row['share_of_years']:.0%} of {row['n_years']} years"
    told = told[0].upper() + told[1:]
    if pd.notna(row["stability"]):
        told += f"; the same in {row['stability']:.0%} of the other runs (stability)"
    if pd.notna(row["isolation"]) and pd.isna(row["region"]):
        told += f"; {row['isolation']:.1f} times as far from any other as the median country"
    if pd.notna(row["consensus"]) and row["consensus"] != row["cluster"]:
        told += f"; consensus of all runs: {called(int(row['consensus']))}"
    return f"{told}."
