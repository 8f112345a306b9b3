"""Who is at risk from trade in a mineral, and how does its price move there?

Reads   resource_flows  (resource, year) -> the network
        countries       (country) -> name, iso3
Writes  resource_risk   (resource, year, country) -> pagerank, trade_risk, price, log_return
"""

from __future__ import annotations

from pyspark.sql import functions as F

from conf.settings import Settings
from jobs.indicators.years import of_years, years_part
from jobs.minerals import given
from jobs.minerals.networks import rules, spread
from jobs.minerals.regions import REGION_CODE, codes_by_name
from jobs.tables import COUNTRIES, RESOURCE_FLOWS, RESOURCE_RISK
from jobs.warehouse import Warehouse
from udfs.resource_rows import Reliance, risk_rows

READS = (RESOURCE_FLOWS, COUNTRIES)
WRITES = (RESOURCE_RISK,)
SETTINGS = ("share_filter", "share_denominator", "pagerank_form", "merged_region")

part = years_part


def files(settings: Settings) -> dict[str, str]:
    """The user's import reliance."""
    return given.digests(settings.minerals.import_reliance)


def run(warehouse: Warehouse, settings: Settings) -> None:
    """Recompute the years asked for, with the year before for returns, and replace those years."""
    networks = warehouse.read(RESOURCE_FLOWS)
    of_years(networks, settings)  # a year that is not loaded is refused
    if settings.years:
        networks = networks.where(
            F.col("year").isin({year - before for year in settings.years for before in (0, 1)})
        )
    reliance = given.import_reliance(settings, codes_by_name(warehouse, settings))
    function = risk_rows(Reliance(reliance), rules(settings))
    schema = ", ".join(f"{c.name} {c.type}" for c in RESOURCE_RISK.columns if c.name != "name")
    found = spread(networks, "resource").groupBy("resource").applyInPandas(function, schema)
    names = warehouse.read(COUNTRIES).select("country", "name")
    region = warehouse.spark.createDataFrame(
        [(REGION_CODE, settings.minerals.merged_region)], names.schema
    )
    named = found.join(F.broadcast(names.unionAll(region)), "country")
    warehouse.replace(RESOURCE_RISK, of_years(named, settings), part(settings))
