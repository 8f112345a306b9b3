"""The minerals of the report: networks, TradeRisk, volatility, and the values printed in 2015."""

from __future__ import annotations

from typing import Any

import pandas as pd
from pyspark.sql import functions as F

from conf.settings import Settings
from jobs.indicators.years import if_asked
from jobs.minerals import given
from jobs.minerals.correlation_tables import PRINTED_COLUMNS, LoadedMinerals, comparison
from jobs.minerals.regions import compared
from jobs.minerals.shock import STEPS, Shock, shock
from jobs.report.figures import Figure, bars, lines, scatter
from jobs.report.shock_picture import path_figure
from jobs.tables import (
    RANDOMISED_SUMMARY,
    RESOURCE_CORRELATIONS,
    RESOURCE_FLOWS,
    RESOURCE_NETWORKS,
    RESOURCE_RISK,
    RESOURCE_VOLATILITY,
    RESOURCES,
)
from jobs.warehouse import Warehouse

TABLES_READ = (
    RESOURCES,
    RESOURCE_FLOWS,
    RESOURCE_NETWORKS,
    RESOURCE_RISK,
    RESOURCE_VOLATILITY,
    RANDOMISED_SUMMARY,
    RESOURCE_CORRELATIONS,
)
SETTINGS_READ = (
    "merged_region",
    "compared_regions",
    "share_filter",
    "share_denominator",
    "pagerank_form",
)

RANKED = 15
DRAWN = 6
"""Minerals in the figure over years: as many as there are colours to tell apart."""
LEAST_TRADED = 0.8
"""Share of mineral-years that a country must trade in to be ranked by its mean over them."""
HIT_SHOWN = 6
STEPS_SHOWN = 3
MISSES = 5
PRINTED_NAMES = {
    "lambda": "largest eigenvalue (lambda)",
    "scc_share": "share in the largest connected component",
    "mean_degree": "links per country (k)",
    "ttv_kg": "traded volume (TTV)",
}


def story(warehouse: Warehouse, settings: Settings) -> dict[str, Any]:
    """Return what the page says of minerals; `loaded` is empty if none is."""
    resources = warehouse.read(RESOURCES).toPandas().set_index("resource", drop=False)
    by_coverage = {
        name: resources[resources["coverage"] == name].to_dict("records")
        for name in ("complete", "partial", "not loaded")
    }
    loaded = _loaded(warehouse, settings, resources)
    if loaded.networks.empty:
        return {"loaded": [], "coverage": by_coverage}
    correlations = warehouse.read(RESOURCE_CORRELATIONS).toPandas()
    years = loaded.networks["year"]
    return {
        "loaded": loaded.table.index.tolist(),
        "coverage": by_coverage,
        "years": (int(years.min()), int(years.max())),
        "scatters": [_scatter(loaded, name, correlations) for name in loaded.regions],
        "ranks": [
            _ranking(loaded, "lambda", "largest eigenvalue of V (lambda)"),
            _ranking(loaded, "scarcity", "scarcity, ln(traded volume / reserves)"),
        ],
        "countries": _countries(warehouse, loaded),
        "trend": _trend(loaded),
        "table": _table(loaded),
        "global": _rows_of(correlations, "1", "world", ("lambda", "scc_share", "ln_mean_degree")),
        "against_printed": _against_printed(correlations),
        "misses": _misses(loaded),
        "printed_columns": PRINTED_NAMES,
        "beyond_chance": _beyond_chance(warehouse),
        "shock": _shock(warehouse, settings, loaded),
    }


def _loaded(warehouse: Warehouse, settings: Settings, resources: pd.DataFrame) -> LoadedMinerals:
    risk = warehouse.read(RESOURCE_RISK)
    codes = compared(warehouse, settings, if_asked(risk, settings))
    return LoadedMinerals(
        resources.drop(columns=["resource"]),
        warehouse.read(RESOURCE_NETWORKS).toPandas(),
        risk.where(F.col("country").isin(list(codes.values()))).toPandas(),
        warehouse.read(RESOURCE_VOLATILITY).toPandas(),
        codes,
    )


def _named(loaded: LoadedMinerals, table: pd.DataFrame) -> pd.DataFrame:
    named = table.assign(name=loaded.resources["name"].reindex(table.index))
    part = named["coverage"] == "partial"
    return named.assign(label=named["name"] + part.map({True: " (in part)", False: ""}))


def _scatter(loaded: LoadedMinerals, region: str, correlations: pd.DataFrame) -> dict[str, Any]:
    table = _named(loaded, loaded.of_region(region)).dropna(subset=["trade_risk", "volatility"])
    found = correlations[
        (correlations["table"] == "2")
        & (correlations["source"] == "loaded")
        & (correlations["region"] == region)
        & (correlations["x"] == "trade_risk")
        & (correlations["y"] == "volatility")
        & (correlations["control"] == "none")
    ]
    top = table.nlargest(3, "trade_risk")
    told = ", ".join(f"{row.label} {row.trade_risk:.3f}" for row in top.itertuples())
    says = (
        f"TradeRisk of {region} in {len(table)} minerals against the volatility of its export "
        f"price; highest TradeRisk: {told or 'none'}."
    )
    marked = table.assign(label=table["name"].where(table["coverage"] == "complete", ""))
    figure = (
        Figure(
            f"minerals_{region}_volatility",
            f"TradeRisk of {region} against the volatility of its export prices",
            says,
            scatter(marked, x="trade_risk", y="volatility", label="label",
                    x_title=f"TradeRisk of {region}", y_title="Volatility of the export price"),
            table[["name", "coverage", "trade_risk", "volatility"]],
        )
        if len(table)
        else None
    )  # fmt: skip
    return {"region": region, "figure": figure, "rows": found.to_dict("records")}


def _ranking(loaded: LoadedMinerals, column: str, title: str) -> dict[str, Any]:
    table = _named(loaded, loaded.table).dropna(subset=[column]).nlargest(RANKED, column)
    values = ", ".join(f"{n} {v:.2f}" for n, v in zip(table["label"], table[column], strict=True))
    figure = (
        Figure(
            f"minerals_{column}",
            f"Minerals by {title}",
            f"{title}: {values}.",
            bars(table, x=column, label="label", title=title),
            table[["name", "coverage", column]],
        )
        if len(table)
        else None
    )
    return {"figure": figure, "column": column, "title": title}


def _countries(warehouse: Warehouse, loaded: LoadedMinerals) -> dict[str, Any]:
    """Rank countries by their mean TradeRisk over the minerals with all codes, and years."""
    complete = loaded.table.index[loaded.table["coverage"] == "complete"].tolist()
    risk = warehouse.read(RESOURCE_RISK).where(F.col("resource").isin(complete))
    means = risk.groupBy("country", "name").agg(
        F.mean("trade_risk").alias("trade_risk"),
        F.count("trade_risk").alias("mineral_years"),
        F.mean("import_reliance").alias("import_reliance"),
        F.mean("pagerank").alias("pagerank"),
    )
    cells = len(loaded.networks[loaded.networks["resource"].isin(complete)])
    return country_ranks(means.toPandas(), len(complete), cells)


def country_ranks(means: pd.DataFrame, minerals: int, mineral_years: int) -> dict[str, Any]:
    """Return the countries with the highest mean TradeRisk, of those that trade often enough.

    Args:
        means: country, name, trade_risk, mineral_years; one row a country.
        minerals: minerals that the means are over.
        mineral_years: pairs of mineral and year that the means are over.
    """
    often = means[means["mineral_years"] >= LEAST_TRADED * mineral_years]
    table = often.sort_values(["trade_risk", "country"], ascending=[False, True]).head(RANKED)
    values = ", ".join(f"{row.name} {row.trade_risk:.4f}" for row in table.itertuples(index=False))
    title = "mean TradeRisk over minerals"
    figure = (
        Figure(
            "minerals_countries",
            f"Countries by {title}",
            f"{title} of {len(table)} countries: {values}.",
            bars(table, x="trade_risk", label="name", title=title),
            table,
        )
        if len(table)
        else None
    )
    return {
        "figure": figure,
        "minerals": minerals,
        "least": f"{LEAST_TRADED:.0%}",
        "compared": len(often),
    }


def _trend(loaded: LoadedMinerals) -> dict[str, Any]:
    means = loaded.table
    order = means.assign(full=means["coverage"] == "complete").sort_values(
        ["full", "criticality"], ascending=False, na_position="last"
    )
    chosen = order.index[:DRAWN]
    data = loaded.networks[loaded.networks["resource"].isin(chosen)].dropna(subset=["resilience"])
    names = loaded.resources["name"]
    data = data.assign(series=data["resource"].map(names)).sort_values(["series", "year"])
    told = "; ".join(
        f"{name}: {rows['resilience'].iloc[0]:.2f} in {rows['year'].iloc[0]}, "
        f"{rows['resilience'].iloc[-1]:.2f} in {rows['year'].iloc[-1]}"
        for name, rows in data.groupby("series")
    )
    figure = (
        Figure(
            "minerals_resilience",
            "Resilience of networks of minerals, 1 / lambda",
            f"Resilience over the years. {told}.",
            lines(data, y="resilience", title="Resilience, 1 / lambda", log=True),
            data[["resource", "year", "resilience"]],
        )
        if len(data)
        else None
    )
    return {"figure": figure, "told": told}


def _table(loaded: LoadedMinerals) -> list[dict[str, Any]]:
    table = _named(loaded, loaded.table).sort_values("lambda", ascending=False)
    for region in loaded.regions:
        own = loaded.of_region(region)
        table[f"trade_risk_{region}"] = own["trade_risk"]
        table[f"volatility_{region}"] = own["volatility"]
    return [
        {
            **row,
            "regions": [
                (row[f"trade_risk_{region}"], row[f"volatility_{region}"])
                for region in loaded.regions
            ],
        }
        for row in table.to_dict("records")
    ]


def _rows_of(
    correlations: pd.DataFrame, table: str, region: str, x: tuple[str, ...]
) -> list[dict[str, Any]]:
    rows = correlations[
        (correlations["table"] == table)
        & (correlations["source"] == "loaded")
        & (correlations["region"] == region)
        & (correlations["sample"] == "complete")
        & correlations["x"].isin(x)
        & (correlations["method"] == "pearson")
        & correlations["y"].isin(["criticality", "scarcity", "ln_ttv"])
    ]
    return rows.sort_values(["x", "y", "control"]).to_dict("records")


def _against_printed(correlations: pd.DataFrame) -> list[dict[str, Any]]:
    rows = correlations[(correlations["table"] == "S3") & (correlations["method"] == "spearman")]
    return rows.sort_values(["sample", "x"], ascending=[False, True]).to_dict("records")


def _misses(loaded: LoadedMinerals) -> list[dict[str, Any]]:
    """Return, by indicator, the minerals whose rank is furthest from the printed one."""
    table = comparison(loaded, given.printed_table())
    names = loaded.resources["name"]
    reasons = loaded.resources["reason"]
    found = []
    for column in PRINTED_COLUMNS:
        both = table[[column, f"printed_{column}", "bundled_with"]].dropna(
            subset=[column, f"printed_{column}"]
        )
        apart = both[column].rank() - both[f"printed_{column}"].rank()
        for resource in apart.abs().nlargest(MISSES).index:
            bundle = both.loc[resource, "bundled_with"]
            why = reasons[resource] + (f"; codes hold also {bundle}" if bundle else "")
            found.append(
                {
                    "indicator": PRINTED_NAMES[column],
                    "name": names[resource],
                    "here": both.loc[resource, column],
                    "printed": both.loc[resource, f"printed_{column}"],
                    "ranks": int(abs(apart[resource])),
                    "of": len(both),
                    "why": why,
                }
            )
    return found


def _beyond_chance(warehouse: Warehouse) -> list[dict[str, Any]]:
    """Return how many minerals have more cycles or a larger component than 95 % of the draws."""
    summary = warehouse.read(RANDOMISED_SUMMARY).where("indicator in ('lambda', 'scc_share')")
    counted = summary.groupBy("indicator", "scheme").agg(
        F.count_if(F.expr("z is not null and observed > p95")).alias("above"),
        F.count_if(F.expr("z is not null and observed < p05")).alias("below"),
        F.count("*").alias("minerals"),
        F.max("draws").alias("draws"),
    )
    return counted.orderBy("indicator", "scheme").toPandas().to_dict("records")


def _shock(warehouse: Warehouse, settings: Settings, loaded: LoadedMinerals) -> dict[str, Any]:
    order = loaded.table.sort_values(["coverage", "criticality"], ascending=[True, False])
    resource = str(order.index[0])
    networks = loaded.networks
    year = int(networks.loc[networks["resource"] == resource, "year"].max())
    sellers = warehouse.read(RESOURCE_RISK).where(
        (F.col("resource") == resource) & (F.col("year") == year)
    )
    largest = sellers.orderBy(F.desc("exports_kusd"), "country").first()
    if largest is None:
        return {}
    found: Shock = shock(warehouse, settings, [resource, largest["name"], str(year)])
    steps = [
        {"step": step, "countries": len(rows), "rows": rows.head(HIT_SHOWN).to_dict("records")}
        for step, rows in found.table.groupby("step")
        if int(step) <= min(STEPS, STEPS_SHOWN)  # type: ignore[call-overload]
    ]
    figure = path_figure(found, steps=STEPS_SHOWN, countries=HIT_SHOWN)
    return {"path": found, "steps": steps, "resource": resource, "figure": figure}
