"""Which pairs of products does trade confirm: do buyers of the input sell the output?

Reads   candidates  (material, input, output) -> votes
        indicators  (year, product, country) -> imports_kusd, exports_kusd
        products    (nomenclature, product), to check the verdicts
Writes  links       (material, input, output, test) -> rho, z, p_value, q_value, kept, reason

Imports and exports are means over the years; a country without trade in a product counts as zero.
A pair whose trade is not loaded is kept or not as --untested says. One that is loaded and cannot be
correlated, since too few countries trade a side, is refused by a p-value of 1.
With --all-pairs every pair of products loaded is tested too, as material "all"; a later run without
it leaves these rows as long as they are what it would write, and else deletes them. A person's
verdicts (--verdicts) decide before the test.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd
from pyspark.sql import DataFrame, SparkSession
from pyspark.sql import functions as F
from pyspark.sql.pandas.types import to_arrow_schema
from pyspark.sql.types import StructType

from conf.problem import Problem
from conf.settings import Network, Settings
from jobs.indicators.years import of_years
from jobs.network.chosen import materials_part, of_materials, product_list, rows_of
from jobs.network.verdicts import overridden, say_idle, verdict_digest, verdicts
from jobs.progress import say
from jobs.tables import CANDIDATES, INDICATORS, LINKS, PRODUCTS
from jobs.warehouse import Slice, Warehouse
from udfs.link_blocks import (
    COLUMNS,
    COUNTRIES,
    CountryTest,
    link_tests_of_all_pairs,
    link_tests_of_pairs,
    p_counts_of_all_pairs,
    q_of_counted,
)
from udfs.link_test import (
    Profiles,
    Trade,
    Values,
    dense_trade,
    pairs,
    profiles,
    q_values,
    share_of_years,
)

READS = (CANDIDATES, INDICATORS, PRODUCTS)
WRITES = (LINKS,)
SETTINGS = (
    "p_value",
    "q_value",
    "correction",
    "min_countries",
    "untested",
    "country_draws",
    "link_years",
    "all_pairs",
    "link_mode",
    "years",
    "seed",
)

OF_ALL_PAIRS = (
    "p_value",
    "q_value",
    "correction",
    "min_countries",
    "untested",
    "link_mode",
    "years",
)
"""Settings on which the test of every pair depends."""

ALL = "all"
"""Stands for a material where every pair of products is tested."""
REVERSED = "_reversed"
VALUES: Mapping[str, Values] = {"paper": "raw", "robust": "asinh_rca"}
PAIRS_PER_TASK = 2_000
INPUTS_PER_TASK = 64
TESTED = "i int, j int, test string, " + ", ".join(
    f"{name} {'int' if name == 'n_countries' else 'double'}" for name in COLUMNS
)


@dataclass(frozen=True)
class LoadedTrade:
    """Mean yearly trade of every product loaded.

    Rows of `trade` are in the order of `products`, its columns in that of `countries`.
    """

    products: list[str]
    trade: Trade
    countries: Sequence[int] = ()


def part(settings: Settings) -> Slice:
    """The materials asked for, and `all` with --all-pairs."""
    every = (ALL,) if settings.network.all_pairs else ()
    return {"material": (*materials_part(settings)["material"], *every)}


files = verdict_digest


def has_stale_pairs(warehouse: Warehouse) -> bool:
    """Return whether rows of every pair lie in `links` that this run would not write so.

    They depend on the trade, on the code and on the settings `OF_ALL_PAIRS`.
    """
    for commit in warehouse.history(LINKS):
        written = commit.metadata
        if ALL in written.get("slice", {}).get("material", ()):
            chosen = written.get("settings", {})
            return bool(chosen.get("all_pairs")) and _basis(written) != _basis(warehouse.metadata)
    return False


def _basis(metadata: Mapping[str, Any]) -> tuple[Any, ...]:
    """Return of a commit's metadata what decides about the test of every pair."""
    chosen = metadata.get("settings", {})
    trade = metadata.get("inputs", {}).get(INDICATORS.name)
    return (metadata.get("code"), trade, *(chosen.get(name) for name in OF_ALL_PAIRS))


def loaded_trade(indicators: DataFrame) -> LoadedTrade:
    """Return imports and exports of every product by every country, mean over the years."""
    years = indicators.select("year").distinct().count()
    sums = (F.sum(name).alias(name) for name in ("imports_kusd", "exports_kusd"))
    rows = indicators.groupBy("product", "country").agg(*sums).toPandas()
    if rows.empty:
        raise Problem("indicators has no rows for these years; run `indicators` first.")
    rows[["imports_kusd", "exports_kusd"]] /= years
    products, countries, trade = dense_trade(rows)
    return LoadedTrade(products, trade, countries)


def ready_trade(trade: Trade, *, min_countries: int) -> dict[str, Profiles]:
    """Return trade made ready for each test on products, the placebos among them."""
    return {
        mode + suffix: profiles(side, values=values, min_countries=min_countries)
        for suffix, side in (("", trade), (REVERSED, trade.reversed()))
        for mode, values in VALUES.items()
    }


def results_of_pairs(
    spark: SparkSession, candidates: pd.DataFrame, loaded: LoadedTrade, settings: Settings
) -> pd.DataFrame:
    """Test the distinct pairs of `candidates` whose two products are loaded.

    Returns input, output, test and `COLUMNS`.
    """
    row = {product: n for n, product in enumerate(loaded.products)}
    known = candidates["input"].isin(list(row)) & candidates["output"].isin(list(row))
    distinct = candidates.loc[known, ["input", "output"]].drop_duplicates()
    if distinct.empty:
        keys = dict.fromkeys(["input", "output", "test"], pd.Series(dtype=object))
        return pd.DataFrame(keys | dict.fromkeys(COLUMNS, pd.Series(dtype=float)))
    network = settings.network
    given = ready_trade(loaded.trade, min_countries=network.min_countries)
    by_countries = CountryTest(
        loaded.trade, given["paper"], loaded.products, network.country_draws, settings.seed
    )
    schema = to_arrow_schema(StructType.fromDDL(TESTED))
    rows = pd.DataFrame({"i": distinct["input"].map(row), "j": distinct["output"].map(row)})
    tasks = 1 + len(rows) // PAIRS_PER_TASK
    found = (
        spark.createDataFrame(rows.sort_values(["i", "j"]))
        .repartition(tasks, "i")
        .mapInArrow(link_tests_of_pairs(given, by_countries, schema), TESTED)
        .toPandas()
    )
    names = np.array(loaded.products)
    return found.assign(input=names[found["i"]], output=names[found["j"]]).drop(columns=["i", "j"])


def shares_of_years(
    indicators: DataFrame, found: pd.DataFrame, loaded: LoadedTrade, network: Network
) -> pd.DataFrame:
    """Return test, input, output, share_of_years: how often a single year has p up to the limit."""
    row = {product: n for n, product in enumerate(loaded.products)}
    by_year = []
    for year in sorted(r.year for r in indicators.select("year").distinct().collect()):
        of_year = loaded_trade(indicators.where(F.col("year") == year))
        by_year.append(ready_trade(_aligned(of_year, row), min_countries=network.min_countries))
    shares = []
    for test, mine in found[found["test"] != COUNTRIES].groupby("test"):
        i, j = mine["input"].map(row).to_numpy(), mine["output"].map(row).to_numpy()
        yearly = [pairs(given[test], i, j) for given in by_year]
        shares.append(mine.assign(share_of_years=share_of_years(yearly, level=network.p_value)))
    return pd.concat(shares)[["test", "input", "output", "share_of_years"]]


def _aligned(of_year: LoadedTrade, row: Mapping[str, int]) -> Trade:
    """Return a year's trade with a row for every product of all years, zero where it has none."""
    place = [row[product] for product in of_year.products]
    sides = []
    for side in (of_year.trade.imports, of_year.trade.exports):
        whole = np.zeros((len(row), side.shape[1]))
        whole[place] = side
        sides.append(whole)
    return Trade(*sides)


def judged(
    candidates: pd.DataFrame, found: pd.DataFrame, loaded: set[str], network: Network
) -> pd.DataFrame:
    """Return one row for each candidate and test, with what was done with it and why.

    candidates: material, input, output. The false discovery rate is over the tested candidates
    of a material.
    """
    tests = [*(m + suffix for suffix in ("", REVERSED) for m in VALUES), COUNTRIES]
    rows = candidates[["material", "input", "output"]].merge(
        pd.DataFrame({"test": tests}), how="cross"
    )
    rows = rows.merge(found, on=["input", "output", "test"], how="left", validate="many_to_one")
    rows["n_countries"] = rows["n_countries"].fillna(0).astype(int)
    rows["q_value"] = np.nan
    for _, mine in rows.groupby(["material", "test"]):
        p = mine["p_value"].where(mine["rho"].notna()).to_numpy(float, na_value=np.nan)
        rows.loc[mine.index, "q_value"] = q_values(p, method=network.correction)
    robust = rows["test"].str.startswith("robust")
    passes = np.where(
        robust, rows["q_value"] <= network.q_value, rows["p_value"] <= network.p_value
    )
    untested, thin = rows["p_value"].isna(), refused(rows)
    rows["kept"] = np.where(untested, network.untested == "keep", passes & ~thin)
    limits = [f"{name}, limit {getattr(network, name):g}" for name in ("q_value", "p_value")]
    limit = pd.Series(np.where(robust, *limits), index=rows.index)
    verdict = pd.Series(np.where(passes, "confirmed by ", "not confirmed by "), index=rows.index)
    kept = "kept" if network.untested == "keep" else "dropped"
    why = f"untested, {kept}: " + why_untested(rows, loaded)
    rows["reason"] = np.select([untested, thin], [why, _too_few(network)], verdict + limit)
    return rows


def refused(rows: pd.DataFrame) -> pd.Series:
    """Return for each row of tests whether its pair is loaded, but too few countries trade it."""
    return rows["rho"].isna() & rows["p_value"].notna()


def why_untested(rows: pd.DataFrame, loaded: set[str]) -> pd.Series:
    """Return for each row why its pair could not be tested, had it not been."""
    no_input, no_output = (~rows[side].isin(loaded) for side in ("input", "output"))
    cases = {
        "trade of both not loaded": no_input & no_output,
        "trade of the input not loaded": no_input,
        "trade of the output not loaded": no_output,
    }
    reasons = np.select(list(cases.values()), list(cases), "no permutations asked for")
    return pd.Series(reasons, index=rows.index)


def _too_few(network: Network) -> str:
    few = f"fewer than {network.min_countries} countries trade a side, or all alike"
    return f"not confirmed: {few}"


def every_pair(spark: SparkSession, loaded: LoadedTrade, network: Network) -> DataFrame:
    """Test every pair of products loaded by the test of --link-mode; rows as in `links`."""
    mode = network.link_mode
    given = profiles(loaded.trade, values=VALUES[mode], min_countries=network.min_countries)
    schema = to_arrow_schema(StructType.fromDDL(TESTED))
    inputs = len(loaded.products)
    rows = spark.range(0, inputs, 1, -(-inputs // INPUTS_PER_TASK)).select(F.col("id").alias("i"))
    counted = (
        rows.mapInArrow(p_counts_of_all_pairs(given), "p_value double, pairs bigint")
        .groupBy("p_value")
        .agg(F.sum("pairs").alias("pairs"))
        .orderBy("p_value")
        .toPandas()
    )
    rates = counted.assign(
        q_value=q_of_counted(counted["p_value"], counted["pairs"], method=network.correction)
    )
    column = "p_value" if mode == "paper" else "q_value"
    limit = getattr(network, column)
    q_of_p = spark.createDataFrame(rates[["p_value", "q_value"]], "p_value double, q_value double")
    found = rows.mapInArrow(link_tests_of_all_pairs(given, mode, schema), TESTED)
    found = found.join(F.broadcast(q_of_p), "p_value", "left")
    codes = spark.createDataFrame(list(enumerate(loaded.products)), "k int, code string")
    for side, name in (("i", "input"), ("j", "output")):
        named = codes.select(F.col("k").alias(side), F.col("code").alias(name))
        found = found.join(F.broadcast(named), side)
    thin = F.col("rho").isNull()
    confirmed = ~thin & F.coalesce(F.col(column) <= limit, F.lit(False))
    return found.select(
        F.lit(ALL).alias("material"),
        "input",
        "output",
        "test",
        *COLUMNS,
        F.when(~thin, F.col("q_value")).alias("q_value"),
        F.lit(None).cast("double").alias("share_of_years"),
        F.lit(None).cast("string").alias("verdict"),
        confirmed.alias("kept"),
        F.when(thin, _too_few(network))
        .when(confirmed, f"confirmed by {column}, limit {limit:g}")
        .otherwise(f"not confirmed by {column}, limit {limit:g}")
        .alias("reason"),
    )


def run(warehouse: Warehouse, settings: Settings) -> None:
    """Test the candidates of the materials asked for, and every pair if asked to."""
    spark, network = warehouse.spark, settings.network
    given = verdicts(settings, product_list(warehouse))
    indicators = of_years(warehouse.read(INDICATORS), settings).select(
        "year", "product", "country", "imports_kusd", "exports_kusd"
    )
    loaded = loaded_trade(indicators)
    candidates = of_materials(warehouse.read(CANDIDATES), settings).toPandas()
    found = results_of_pairs(spark, candidates, loaded, settings)
    rows = judged(candidates, found, set(loaded.products), network)
    rows = overridden(rows, given, list(VALUES))
    if network.link_years and not found.empty:
        shares = shares_of_years(indicators, found, loaded, network)
        rows = rows.merge(shares, on=["test", "input", "output"], how="left")
    else:
        rows["share_of_years"] = np.nan
    say_idle(given, candidates, settings.materials)
    _say_counts(rows[rows["test"] == network.link_mode], network)
    frame, replaced = rows_of(spark, LINKS, rows), part(settings)
    if network.all_pairs:
        frame = frame.unionByName(every_pair(spark, loaded, network))
    elif has_stale_pairs(warehouse):
        replaced = {"material": (*replaced["material"], ALL)}
        say("  The tests of every pair were of other trade, settings or code and are deleted")
    warehouse.replace(LINKS, frame, replaced)


def _say_counts(decided: pd.DataFrame, network: Network) -> None:
    """Say what became of the candidates of each material by the test that decides."""
    for key, mine in decided.groupby("material"):
        untested, tested = mine["p_value"].isna(), mine["rho"].notna()
        by_person = mine["verdict"].notna()
        confirmed = int((mine["kept"] & tested & ~by_person).sum())
        thin = int((refused(mine) & ~by_person).sum())
        counts = mine["verdict"].value_counts()
        told = ", ".join(f"{counts[one]} {one}" for one in sorted(counts.index))
        say(
            f"  {key}: {len(mine):,} pairs, {tested.sum():,} tested by trade ({confirmed:,} "
            f"confirmed), {untested.sum():,} untested for want of trade data (--untested "
            f"{network.untested})"
            + (f", {thin:,} refused as too few countries trade a side" if thin else "")
            + (f"; verdicts: {told}" if told else "")
        )
