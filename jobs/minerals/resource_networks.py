"""How connected, how resilient and how scarce is each mineral?

Reads   resource_flows     (resource, year) -> the network
        resources          (resource) -> coverage, reserves_kg
Writes  resource_networks  (resource, year) -> mean_degree, lambda, scc_share, ttv_kg, scarcity
"""

from __future__ import annotations

from conf.settings import Settings
from jobs.indicators.years import of_years, years_part
from jobs.minerals.networks import rules, spread
from jobs.tables import RESOURCE_FLOWS, RESOURCE_NETWORKS, RESOURCES
from jobs.warehouse import Warehouse
from udfs.resource_rows import network_rows

READS = (RESOURCE_FLOWS, RESOURCES)
WRITES = (RESOURCE_NETWORKS,)
SETTINGS = ("share_filter", "share_denominator", "pagerank_form")

part = years_part


def run(warehouse: Warehouse, settings: Settings) -> None:
    """Recompute the years asked for and replace exactly those."""
    known = warehouse.read(RESOURCES).collect()
    reserves = {row.resource: row.reserves_kg for row in known if row.reserves_kg is not None}
    coverage = {row.resource: row.coverage for row in known}
    function = network_rows(reserves, coverage, rules(settings))
    networks = spread(of_years(warehouse.read(RESOURCE_FLOWS), settings), "resource", "year")
    found = networks.mapInPandas(function, RESOURCE_NETWORKS.result_schema)
    warehouse.replace(RESOURCE_NETWORKS, found, part(settings))
