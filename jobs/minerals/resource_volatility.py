"""How much does the price of a mineral move in each country?

Reads   resource_risk        (resource, year, country) -> log_return
Writes  resource_volatility  (resource, country) -> volatility
"""

from __future__ import annotations

from conf.settings import Settings
from jobs.indicators.years import of_years
from jobs.tables import RESOURCE_RISK, RESOURCE_VOLATILITY
from jobs.warehouse import Warehouse
from udfs.resource_rows import volatility_rows

READS = (RESOURCE_RISK,)
WRITES = (RESOURCE_VOLATILITY,)
SETTINGS = ("years",)


def run(warehouse: Warehouse, settings: Settings) -> None:
    """Recompute the table over the years asked for."""
    returns = of_years(warehouse.read(RESOURCE_RISK), settings)
    columns = returns.select("resource", "country", "year", "log_return")
    schema = RESOURCE_VOLATILITY.result_schema
    found = columns.groupBy("resource").applyInPandas(volatility_rows, schema)
    warehouse.replace(RESOURCE_VOLATILITY, found)
