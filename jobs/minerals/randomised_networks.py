"""What would the network of each mineral look like if only its margins were kept?

Reads   resource_flows       (resource, year) -> the network
        resource_networks    (resource, year) -> mean_degree, lambda, scc_share, as observed
        countries            (country) -> iso3, for the compared regions
        region_members       (region, country) -> who trades as one
Writes  randomised_networks  (resource, scheme, realisation) -> mean_degree, lambda, scc_share
        randomised_risk      (resource, scheme, realisation, country) -> pagerank, in_strength
        randomised_summary   (resource, scheme, indicator) -> mean, sd, percentiles, p_value
"""

from __future__ import annotations

from pyspark.sql import DataFrame
from pyspark.sql import functions as F

from conf.settings import Settings
from jobs.indicators.years import of_years
from jobs.minerals.networks import rules, spread
from jobs.minerals.regions import compared
from jobs.progress import say
from jobs.tables import (
    COUNTRIES,
    RANDOMISED_NETWORKS,
    RANDOMISED_RISK,
    RANDOMISED_SUMMARY,
    REGION_MEMBERS,
    RESOURCE_FLOWS,
    RESOURCE_NETWORKS,
)
from jobs.warehouse import Warehouse
from udfs.randomisation import SCHEMES
from udfs.resource_rows import Rules, draw_rows

READS = (RESOURCE_FLOWS, RESOURCE_NETWORKS, COUNTRIES, REGION_MEMBERS)
WRITES = (RANDOMISED_NETWORKS, RANDOMISED_RISK, RANDOMISED_SUMMARY)
SETTINGS = (
    "years",
    "seed",
    "draws",
    "share_filter",
    "pagerank_form",
    "merged_region",
    "compared_regions",
)

INDICATORS = ("mean_degree", "lambda", "scc_share")
DRAWS_PER_NETWORK = 10
"""Draws that cost as much as one network with its two or three indices."""
SAME = 1e-12
"""Relative distance at which a draw counts as equal to what was observed: rounding of a mean."""

DRAWN = (
    "resource string, year int, scheme string, realisation int, mean_degree double, "
    "lambda double, scc_share double, pagerank array<double>, in_strength array<double>"
)


def drawn_networks(
    flows: DataFrame, codes: tuple[int, ...], how: Rules, *, draws: int, seed: int
) -> DataFrame:
    """Return one row for each mineral, year, scheme and realisation."""
    schemes = F.explode(F.array(*(F.lit(name) for name in SCHEMES)))
    rows = flows.drop("quantities", "priced_values", "governance").withColumns(
        {
            "scheme": schemes,
            "quantities": F.col("values"),
            "priced_values": F.col("values"),
        }
    )
    units = spread(rows, "resource", "year", "scheme", work=draws / DRAWS_PER_NETWORK)
    return units.mapInPandas(draw_rows(codes, how, draws=draws, seed=seed), DRAWN)


def over_years(drawn: DataFrame) -> DataFrame:
    """Return the mean over years of each realisation."""
    means = (F.avg(name).alias(name) for name in INDICATORS)
    key = RANDOMISED_NETWORKS.key
    return drawn.groupBy(*key).agg(F.count("*").alias("years"), *means)


def risk_over_years(drawn: DataFrame, codes: tuple[int, ...]) -> DataFrame:
    """Return the mean of each compared region over the years in which it trades the mineral."""
    countries = F.array(*(F.lit(code).cast("smallint") for code in codes))
    zipped = F.arrays_zip(countries.alias("country"), "pagerank", "in_strength")
    rows = drawn.select("resource", "scheme", "realisation", F.inline(zipped))
    trading = rows.where("pagerank is not null")
    means = (F.avg(name).alias(name) for name in ("pagerank", "in_strength"))
    return trading.groupBy(*RANDOMISED_RISK.key).agg(F.count("*").alias("years"), *means)


def summary(randomised: DataFrame, networks: DataFrame) -> DataFrame:
    """Return where the observed mean over years stands among the realisations."""
    observed = _long(networks.groupBy("resource").agg(*(F.avg(n).alias(n) for n in INDICATORS)))
    draws = _long(randomised, "scheme").join(
        F.broadcast(observed.withColumnRenamed("value", "observed")), ["resource", "indicator"]
    )
    share = F.percentile("value", F.array(F.lit(0.05), F.lit(0.5), F.lit(0.95)))
    as_large = F.col("value") >= F.col("observed") * (1 - SAME)
    grouped = draws.groupBy("resource", "scheme", "indicator").agg(
        F.count("*").alias("draws"),
        F.first("observed").alias("observed"),
        F.avg("value").alias("mean"),
        F.expr("nullif(stddev_samp(value), double('NaN'))").alias("sd"),
        share.alias("at"),
        F.count_if(as_large).alias("as_large"),
    )
    kept = f"sd <= {SAME} * abs(mean)"
    return grouped.select(
        "*",
        *(F.col("at")[place].alias(name) for place, name in enumerate(("p05", "p50", "p95"))),
        F.expr(f"case when {kept} then null else (observed - mean) / sd end").alias("z"),
        ((1 + F.col("as_large")) / (1 + F.col("draws"))).alias("p_value"),
    )


def _long(frame: DataFrame, *more: str) -> DataFrame:
    pairs = F.create_map(*(c for n in INDICATORS for c in (F.lit(n), F.col(f"`{n}`"))))
    return frame.select("resource", *more, F.explode(pairs).alias("indicator", "value"))


def run(warehouse: Warehouse, settings: Settings) -> None:
    """Draw the networks of the years asked for and replace the three tables."""
    flows = of_years(warehouse.read(RESOURCE_FLOWS), settings)
    observed = of_years(warehouse.read(RESOURCE_NETWORKS), settings)
    traders = flows.select(
        "year", F.explode(F.array_union("exporters", "importers")).alias("country")
    )
    codes = tuple(compared(warehouse, settings, traders).values())
    draws = settings.minerals.draws
    say(f"  {draws} draws for each mineral, year and scheme (--draws)")
    drawn = drawn_networks(flows, codes, rules(settings), draws=draws, seed=settings.seed)
    drawn = drawn.persist()  # read twice, and dear
    try:
        warehouse.replace(RANDOMISED_NETWORKS, over_years(drawn))
        warehouse.replace(RANDOMISED_RISK, risk_over_years(drawn, codes))
    finally:
        drawn.unpersist()
    warehouse.replace(RANDOMISED_SUMMARY, summary(warehouse.read(RANDOMISED_NETWORKS), observed))
