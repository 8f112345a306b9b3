"""Countries of mineral networks: the merged region, and codes by name."""

from __future__ import annotations

import pandas as pd
from pyspark.sql import DataFrame
from pyspark.sql import functions as F

from conf.problem import Problem, nearest
from conf.settings import Settings
from jobs.tables import COUNTRIES, REGION_MEMBERS
from jobs.warehouse import Warehouse

REGION_CODE = 97
"""Code of the merged region: that of the European Union in UN Comtrade, unused in BACI."""


def members(warehouse: Warehouse, settings: Settings) -> pd.DataFrame:
    """Return the members of the merged region: country, from_year, to_year (None = still)."""
    every = warehouse.read(REGION_MEMBERS).toPandas()
    return every[every["region"] == settings.minerals.merged_region]


def members_in(table: pd.DataFrame, year: int) -> list[int]:
    """Return the codes of the members in a year, ascending."""
    counts = (table["from_year"] <= year) & (table["to_year"].isna() | (table["to_year"] >= year))
    return sorted(int(code) for code in table.loc[counts, "country"])


def codes_by_name(warehouse: Warehouse, settings: Settings) -> dict[str, list[int]]:
    """Return the country codes of each ISO3, and that of the merged region as EU."""
    countries = warehouse.read(COUNTRIES).where("iso3 is not null").toPandas()
    codes = {
        str(iso3): sorted(map(int, rows["country"])) for iso3, rows in countries.groupby("iso3")
    }
    return codes if settings.minerals.merged_region == "none" else {**codes, "EU": [REGION_CODE]}


def compared(warehouse: Warehouse, settings: Settings, traders: DataFrame) -> dict[str, int]:
    """Return the code of each region whose TradeRisk is compared, in the order of the settings.

    Of codes that share an ISO3, as those of Germany before and after 1990 do, it is the one that
    trades in the most years. traders: year and country of those in the networks.
    """
    codes = codes_by_name(warehouse, settings)
    counted = traders.groupBy("country").agg(F.countDistinct("year").alias("years")).collect()
    years = {row.country: row.years for row in counted}
    merged = set(members(warehouse, settings)["country"])
    found = {}
    for name in settings.minerals.compared_regions:
        if name == "EU" and name not in codes:
            continue  # with --merged-region none there is no EU to compare
        if name not in codes:
            raise Problem(
                f"--compared-regions: no country or region {name!r}{nearest(name, codes)}."
            )
        if merged.issuperset(codes[name]) and not years.keys() & set(codes[name]):
            raise Problem(
                f"--compared-regions: {name} trades as part of {settings.minerals.merged_region} "
                "in all years; ask for EU, or rebuild the networks with --merged-region none."
            )
        found[name] = max(codes[name], key=lambda code: years.get(code, 0))
    return found
