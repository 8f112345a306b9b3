"""What does trade in each mineral look like as a network, with the EU as one country?

Reads   trade           (year, exporter, importer, product) -> value_kusd, quantity_t
        resources       (resource) -> codes_loaded
        region_members  (region, country) -> from_year, to_year
        stability       (country, year) -> pv
        countries       (country) -> iso3, for a governance index
Writes  resource_flows  (resource, year) -> exporters, importers, values, quantities, stability
"""

from __future__ import annotations

import numpy as np
import pandas as pd
from pyspark.sql import DataFrame
from pyspark.sql import functions as F

from conf.problem import Problem
from conf.settings import Settings
from jobs.indicators.years import of_years, years_part
from jobs.minerals import given
from jobs.minerals.regions import REGION_CODE, codes_by_name, members, members_in
from jobs.progress import say
from jobs.tables import COUNTRIES, REGION_MEMBERS, RESOURCE_FLOWS, RESOURCES, STABILITY, TRADE
from jobs.warehouse import Warehouse
from udfs.resource_rows import YearOfTrade, gather

READS = (TRADE, RESOURCES, REGION_MEMBERS, STABILITY, COUNTRIES)
WRITES = (RESOURCE_FLOWS,)
SETTINGS = ("merged_region", "region_stability")

GROUPS_PER_TASK = 100
"""Mineral-years handed to one task: some 50,000 flows, a second of work."""

part = years_part


def files(settings: Settings) -> dict[str, str]:
    """The user's governance index."""
    return given.digests(settings.minerals.governance_index)


def mineral_trade(trade: DataFrame, resources: DataFrame) -> DataFrame:
    """Return the rows of trade that belong to a mineral; a code may belong to several."""
    codes = resources.select("resource", F.explode("codes_loaded").alias("product"))
    return trade.join(F.broadcast(codes), "product")


def shared_by_year(
    traders: pd.DataFrame,
    membership: pd.DataFrame,
    stability: pd.DataFrame,
    governance: dict[int, float] | None,
) -> dict[int, YearOfTrade]:
    """Return what the minerals of each year share.

    traders: year, country; membership: country, from_year, to_year; stability: year, country, pv.
    """
    size = int(max([*traders["country"], *stability["country"], REGION_CODE])) + 1
    index = None
    if governance is not None:
        index = np.full(max(size, max(governance, default=0) + 1), np.nan)
        index[list(governance)] = list(governance.values())
    shared = {}
    for year, trading in traders.groupby("year"):
        scores = stability[stability["year"] == year]
        if unscored := sorted(set(trading["country"]) - set(scores["country"])):
            raise Problem(
                f"stability has no row for {len(unscored)} countries that trade minerals in {year} "
                f"({', '.join(map(str, unscored[:5]))}); run `stability` for that year."
            )
        pv = np.full(size, np.nan)
        pv[scores["country"]] = scores["pv"]
        merged = np.array(members_in(membership, int(year)), np.int64)  # type: ignore[call-overload]
        codes = trading["country"].to_numpy(np.int64)
        nodes = np.unique(np.where(np.isin(codes, merged), REGION_CODE, codes))
        shared[int(year)] = YearOfTrade(nodes, merged, REGION_CODE, pv, index)  # type: ignore[call-overload]
    return shared


def flows(
    rows: DataFrame, years: dict[int, YearOfTrade], *, weigh_region: bool, tasks: int
) -> DataFrame:
    """Return one row for each mineral and year."""
    key = ("resource", "year")
    gathered = gather(years, weigh_region=weigh_region)
    # A number, since AQE would judge the groups by bytes and merge them in one task.
    spread = rows.repartition(tasks, *key)
    return spread.groupBy(*key).applyInPandas(gathered, RESOURCE_FLOWS.result_schema)


def run(warehouse: Warehouse, settings: Settings) -> None:
    """Gather the networks of the years asked for and replace exactly those."""
    resources = warehouse.read(RESOURCES)
    rows = mineral_trade(of_years(warehouse.read(TRADE), settings), resources)
    ends = [rows.select("year", F.col(end).alias("country")) for end in ("exporter", "importer")]
    traders = ends[0].unionAll(ends[1]).distinct().toPandas()
    if traders.empty:
        say("  no mineral is in the loaded trade, so the tables of minerals stay empty")
    governance = given.governance_index(settings, codes_by_name(warehouse, settings))
    scores = warehouse.read(STABILITY).select("year", "country", "pv").toPandas()
    shared = shared_by_year(traders, members(warehouse, settings), scores, governance)
    groups = len(shared) * resources.where("coverage <> 'not loaded'").count()
    found = flows(
        rows,
        shared,
        weigh_region=settings.minerals.region_stability == "exports",
        tasks=1 + groups // GROUPS_PER_TASK,
    )
    warehouse.replace(RESOURCE_FLOWS, found, part(settings))
