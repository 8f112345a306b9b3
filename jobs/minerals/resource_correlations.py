"""Do resilience, scarcity, supply risk, TradeRisk and volatility go together over minerals?

Reads   resources               (resource) -> coverage, criticality, printed_unit_factor
        resource_networks       (resource, year) -> lambda, scc_share, mean_degree, ttv_kg, scarcity
        resource_risk           (resource, year, country) -> pagerank, in_strength, import_reliance
        resource_volatility     (resource, country) -> volatility
        randomised_networks     (resource, scheme, realisation) -> lambda, scc_share, mean_degree
        randomised_risk         (resource, scheme, realisation, country) -> pagerank, in_strength
        countries               (country) -> iso3, for the compared regions
        region_members          (region, country) -> who trades as one
Writes  resource_correlations   (table, source, sample, region, x, y, control, method, scheme) -> r

Klimek et al. (2015): Table 1 sets networks against supply risk, scarcity and traded volume, Table 2
the TradeRisk of a region against volatility and supply risk, S4 and S5 do so on randomised
networks. The variants beside them ask what else could explain an association (methods E.6).
"""

from __future__ import annotations

from conf.settings import Settings
from jobs.indicators.years import of_years
from jobs.minerals import given
from jobs.minerals.correlation_tables import (
    LoadedMinerals,
    against_printed,
    network_rows,
    printed_rows,
    randomised_rows,
    trade_risk_rows,
)
from jobs.minerals.regions import compared
from jobs.progress import say
from jobs.tables import (
    COUNTRIES,
    RANDOMISED_NETWORKS,
    RANDOMISED_RISK,
    REGION_MEMBERS,
    RESOURCE_CORRELATIONS,
    RESOURCE_NETWORKS,
    RESOURCE_RISK,
    RESOURCE_VOLATILITY,
    RESOURCES,
)
from jobs.warehouse import Warehouse

READS = (
    RESOURCES,
    RESOURCE_NETWORKS,
    RESOURCE_RISK,
    RESOURCE_VOLATILITY,
    RANDOMISED_NETWORKS,
    RANDOMISED_RISK,
    COUNTRIES,
    REGION_MEMBERS,
)
WRITES = (RESOURCE_CORRELATIONS,)
SETTINGS = ("years", "compared_regions", "merged_region")


def run(warehouse: Warehouse, settings: Settings) -> None:
    """Recompute the table over the years asked for."""
    risk = of_years(warehouse.read(RESOURCE_RISK), settings)
    codes = compared(warehouse, settings, risk)
    loaded = LoadedMinerals(
        resources=warehouse.read(RESOURCES).toPandas().set_index("resource"),
        networks=of_years(warehouse.read(RESOURCE_NETWORKS), settings).toPandas(),
        risk=risk.where(risk["country"].isin(list(codes.values()))).toPandas(),
        volatility=warehouse.read(RESOURCE_VOLATILITY).toPandas(),
        regions=codes,
    )
    traders = set(loaded.risk["country"])
    for name, code in codes.items():
        if code not in traders:
            say(f"  {name} (--compared-regions) trades no mineral that is loaded")
    rows = [
        *network_rows(loaded),
        *trade_risk_rows(loaded),
        *randomised_rows(
            loaded,
            warehouse.read(RANDOMISED_NETWORKS).toPandas(),
            warehouse.read(RANDOMISED_RISK).toPandas(),
        ),
        *printed_rows(given.printed_table()),
        *against_printed(loaded, given.printed_table()),
    ]
    frame = warehouse.spark.createDataFrame(rows, RESOURCE_CORRELATIONS.result_schema)
    warehouse.replace(RESOURCE_CORRELATIONS, frame)
