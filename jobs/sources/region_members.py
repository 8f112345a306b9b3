"""Which countries make up the EU, as dated and as fixed?

Reads   countries       (country) -> iso3
Writes  region_members  (region, country) -> from_year, to_year
"""

from __future__ import annotations

from pyspark.sql import DataFrame, SparkSession
from pyspark.sql import functions as F

from conf.problem import Problem
from conf.regions import memberships
from conf.settings import Settings
from jobs.tables import COUNTRIES, REGION_MEMBERS
from jobs.warehouse import Warehouse

READS = (COUNTRIES,)
WRITES = (REGION_MEMBERS,)
SETTINGS = ()


def declared_members(spark: SparkSession) -> DataFrame:
    """Return conf/regions.toml as rows (region, iso3, from_year, to_year)."""
    rows = [(m.region, m.iso3, m.from_year, m.to_year) for m in memberships()]
    return spark.createDataFrame(rows, "region string, iso3 string, from_year int, to_year int")


def run(warehouse: Warehouse, settings: Settings) -> None:
    """Join the members to every country code that carries their ISO3."""
    declared, countries = declared_members(warehouse.spark), warehouse.read(COUNTRIES)
    absent = declared.join(countries, "iso3", "left_anti").select("iso3").distinct().collect()
    if absent:
        names = ", ".join(sorted(row.iso3 for row in absent))
        raise Problem(f"The release's country list has no {names}, members in conf/regions.toml.")
    members = declared.join(F.broadcast(countries.select("country", "iso3")), "iso3")
    warehouse.replace(REGION_MEMBERS, members)
