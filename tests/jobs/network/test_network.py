"""The network of the bundled sample, table by table, and the link test on a small planted world."""

import json
from pathlib import Path

import networkx as nx
import numpy as np
import pandas as pd
import pytest

from conf.settings import load
from jobs.network.links import (
    LoadedTrade,
    every_pair,
    judged,
    loaded_trade,
    ready_trade,
    results_of_pairs,
    shares_of_years,
)
from jobs.report.networks import SECTIONS, figure, section_of
from jobs.tables import (
    CANDIDATES,
    EDGES,
    FRONTIER,
    INDICATORS,
    LINKS,
    MATCHES,
    REMOVED_EDGES,
    RESPONSES,
    TIERS,
    VOTES,
)
from udfs.link_test import Trade, profiles, q_values

spark_needed = pytest.mark.spark
TESTS = {"paper", "robust", "paper_reversed", "robust_reversed", "countries"}
PAIR = ["input", "output"]
EXACT = 1e-12
"""Sums over 40 countries in another order."""


@pytest.fixture(scope="module")
def tables(sample):
    """The rows of rare earths, by table name."""
    named = (CANDIDATES, EDGES, FRONTIER, LINKS, REMOVED_EDGES, RESPONSES, TIERS, VOTES)
    return {t.name: sample.read(t).where("material = 'rare_earths'").toPandas() for t in named}


def keys(frame: pd.DataFrame) -> set[tuple[str, str]]:
    return set(frame[PAIR].itertuples(index=False, name=None))


@spark_needed
def test_candidates_have_the_votes_asked_for_and_start_at_the_seeds(tables):
    found = tables["candidates"]
    assert len(found) == 1457 and found["votes"].between(5, 10).all()
    assert set(found.loc[found["depth"] == 0, "input"]) == {"280530", "284610", "284690"}
    assert set(found["depth"]) == {0, 1, 2, 3} and set(found["matcher"]) == {"pick"}
    assert len(tables["frontier"]) == 134
    assert set(tables["votes"]["matcher"]) == {"pick", "tfidf"}


@spark_needed
def test_every_candidate_has_every_test_with_a_reason(tables):
    links = tables["links"]
    assert keys(links) == keys(tables["candidates"])
    assert links.groupby(PAIR)["test"].agg(set).map(TESTS.__eq__).all()
    assert links["reason"].str.len().gt(0).all()
    untested = links["rho"].isna()
    assert links.loc[untested, "reason"].str.startswith("untested, kept: ").all()
    assert links.loc[untested, "kept"].all() and links.loc[untested, "p_value"].isna().all()
    assert links.loc[~untested, "reason"].str.contains("confirmed by ").all()


@spark_needed
def test_untested_are_exactly_the_pairs_whose_trade_is_not_loaded(sample, tables):
    loaded = {row[0] for row in sample.read(INDICATORS).select("product").distinct().collect()}
    paper = tables["links"][tables["links"]["test"] == "paper"]
    both = paper["input"].isin(loaded) & paper["output"].isin(loaded)
    assert (paper["rho"].notna() == both).all()
    assert 0 < both.sum() < len(loaded)


@spark_needed
def test_tested_links_are_those_of_brute_force(sample, tables):
    trade = (
        sample.read(INDICATORS).groupBy("product", "country").sum("imports_kusd", "exports_kusd")
    ).toPandas()
    sides = [
        trade.pivot(index="product", columns="country", values=f"sum({name})").fillna(0)
        for name in ("imports_kusd", "exports_kusd")
    ]
    imports, exports = sides
    paper = tables["links"][tables["links"]["test"] == "paper"].dropna(subset=["rho"])
    usable = exports.index[(exports > 0).sum(axis=1) >= 10]
    for row in paper.itertuples():
        null = np.array(
            [
                np.corrcoef(imports.loc[row.input], exports.loc[other])[0, 1]
                for other in usable
                if other != row.input
            ]
        )
        rho = np.corrcoef(imports.loc[row.input], exports.loc[row.output])[0, 1]
        assert row.rho == pytest.approx(rho, abs=EXACT)
        assert row.z == pytest.approx((rho - null.mean()) / null.std(), abs=1e-9)
        if row.input != row.output:
            assert row.p_value == pytest.approx(np.mean(null >= rho - EXACT))


@spark_needed
def test_edges_and_removed_edges_are_the_kept_links(tables):
    links = tables["links"]
    kept = links[(links["test"] == "paper") & links["kept"]]
    assert keys(tables["edges"]) | keys(tables["removed_edges"]) == keys(kept)
    assert not keys(tables["edges"]) & keys(tables["removed_edges"])
    assert set(tables["removed_edges"]["reason"]) <= {
        "unreachable",
        "beyond depth",
        "backward",
        "self",
        "cycle",
    }


@spark_needed
def test_network_is_acyclic_and_tiers_are_distances(tables):
    edges, tiers = tables["edges"], tables["tiers"].set_index("product")["tier"]
    graph = nx.DiGraph(list(keys(edges)))
    assert nx.is_directed_acyclic_graph(graph)
    seeds = list(tiers.index[tiers == 0])
    assert tiers.to_dict() == dict(nx.multi_source_dijkstra_path_length(graph, seeds, weight=None))
    assert tiers.max() == 4 and tiers["850511"] == 1


@spark_needed
def test_products_without_answers_are_marked(tables):
    tiers = tables["tiers"]
    open_ends = set(tiers.loc[~tiers["answered"], "product"])
    assert open_ends == set(tables["frontier"]["product"]) & set(tiers["product"])


@spark_needed
def test_matches_keep_each_line_once_a_method(sample):
    rows = sample.read(MATCHES).toPandas()
    assert not rows.duplicated(["line", "nomenclature", "method"]).any()
    assert rows.loc[rows["method"] == "tfidf", "similarity"].between(0, 1 + 1e-6).all()
    assert rows.loc[rows["method"] == "pick", "similarity"].isna().all()


@spark_needed
def test_network_files_are_read_by_networkx_as_the_same_network(sample, sample_settings, tables):
    folder = Path(sample_settings.report_dir)
    graphml = nx.read_graphml(folder / "network_rare_earths.graphml")
    content = json.loads((folder / "network_rare_earths.json").read_text("utf-8"))
    graph = nx.node_link_graph(content, edges="edges")
    tiers = tables["tiers"].set_index("product")["tier"].to_dict()
    for found in (graphml, graph):
        assert set(found.edges) == keys(tables["edges"])
        assert dict(found.nodes(data="tier")) == tiers
    assert "agnets" in graph.nodes["850511"]["description"]


@spark_needed
def test_page_tells_tiers_and_what_was_not_tested(sample, sample_settings, tables):
    page = (Path(sample_settings.report_dir) / "index.html").read_text("utf-8")
    assert f"{len(tables['tiers'])} products and {len(tables['edges']):,} edges" in page
    assert "168 products in tiers 0 to 4" in page
    assert "134 that the walk reached have none" in page


def planted(seed: int = 3) -> LoadedTrade:
    """Return trade of 30 products by 40 countries in which 01 is made into 02."""
    rng = np.random.default_rng(seed)
    imports, exports = rng.lognormal(0, 1.5, (2, 30, 40))
    exports[2] = imports[1] * rng.lognormal(0, 0.1, 40)
    return LoadedTrade([f"{n:06d}" for n in range(30)], Trade(imports, exports))


def settings(**changes):
    return load(changes, environment={})


CANDIDATE_ROWS = pd.DataFrame(
    [
        ("m", "000001", "000002"),
        ("m", "000003", "000004"),
        ("m", "000001", "999999"),
        ("other", "000001", "000002"),
    ],
    columns=["material", "input", "output"],
)


@spark_needed
@pytest.mark.parametrize("mode", ["paper", "robust"])
def test_planted_link_is_confirmed_and_the_decoy_is_not(spark, mode):
    world, chosen = planted(), settings()
    found = results_of_pairs(spark, CANDIDATE_ROWS, world, chosen)
    rows = judged(CANDIDATE_ROWS, found, set(world.products), chosen.network)
    rows = rows.set_index(["material", "test", "input", "output"])["kept"]
    assert rows["m", mode, "000001", "000002"] and not rows["m", mode, "000003", "000004"]
    assert not rows["m", f"{mode}_reversed", "000001", "000002"]
    assert rows["other", mode, "000001", "000002"]
    assert rows["m", mode, "000001", "999999"]


@spark_needed
def test_untested_pairs_are_dropped_when_asked(spark):
    world, chosen = planted(), settings(untested="drop")
    found = results_of_pairs(spark, CANDIDATE_ROWS, world, chosen)
    rows = judged(CANDIDATE_ROWS, found, set(world.products), chosen.network)
    missing = rows[rows["output"] == "999999"]
    assert not missing["kept"].any()
    assert set(missing["reason"]) == {"untested, dropped: trade of the output not loaded"}


def thin() -> LoadedTrade:
    """The same trade, but only 9 countries export 02 and import 03."""
    world = planted()
    world.trade.exports[2, 9:] = 0
    world.trade.imports[3, 9:] = 0
    return world


@spark_needed
@pytest.mark.parametrize("mode", ["paper", "robust"])
def test_a_pair_that_too_few_countries_trade_is_refused_though_untested_ones_are_kept(spark, mode):
    world, chosen = thin(), settings(untested="keep", link_mode=mode)
    found = results_of_pairs(spark, CANDIDATE_ROWS, world, chosen)
    rows = judged(CANDIDATE_ROWS, found, set(world.products), chosen.network)
    rows = rows[rows["material"] == "m"].set_index(["test", "input", "output"])
    why = "not confirmed: fewer than 10 countries trade a side, or all alike"
    for pair in (("000001", "000002"), ("000003", "000004")):
        one = rows.loc[(mode, *pair)]
        assert not one["kept"] and one["reason"] == why
        assert one["p_value"] == 1 and pd.isna(one["rho"]) and pd.isna(one["q_value"])
    assert rows.loc[(mode, "000001", "999999"), "kept"]

    every = every_pair(spark, world, chosen.network).toPandas()
    few = (every["output"] == "000002") | (every["input"] == "000003")
    assert few.sum() == 29 + 29 - 1
    assert not every.loc[few, "kept"].any() and set(every.loc[few, "reason"]) == {why}
    assert every.loc[few, "q_value"].isna().all() and every.loc[~few, "q_value"].notna().all()


@spark_needed
def test_all_pairs_are_every_pair_with_the_rates_of_all(spark):
    world, network = planted(), settings(link_mode="robust").network
    found = every_pair(spark, world, network).toPandas()
    assert len(found) == 30 * 29 and set(found["material"]) == {"all"}
    expected = q_values(found["p_value"].to_numpy())
    np.testing.assert_allclose(found["q_value"], expected, rtol=1e-12)
    assert (found["kept"] == (found["q_value"] <= 0.1)).all()
    listed = results_of_pairs(spark, CANDIDATE_ROWS, world, settings())
    one = listed[(listed["test"] == "robust") & (listed["output"] == "000002")].iloc[0]
    same = found[(found["input"] == "000001") & (found["output"] == "000002")].iloc[0]
    assert same["p_value"] == one["p_value"] and same["rho"] == pytest.approx(one["rho"])


@spark_needed
def test_p_values_of_pairs_without_signal_are_uniform(spark):
    from scipy.stats import kstest

    rng = np.random.default_rng(11)
    noise = LoadedTrade([f"{n:06d}" for n in range(120)], Trade(*rng.lognormal(0, 2, (2, 120, 60))))
    found = every_pair(spark, noise, settings().network).toPandas()
    assert found["p_value"].gt(0).all()
    # Within an input the p-values are ranks, uniform by construction: one output an input is free.
    drawn = found.groupby("input").sample(1, random_state=1)["p_value"]
    assert kstest(drawn, "uniform").pvalue > 0.01


@spark_needed
def test_trade_is_the_mean_over_years_with_zeros(spark):
    rows = spark.createDataFrame(
        [
            (2001, "000001", 4, 2.0, 0.0),
            (2002, "000001", 4, 4.0, 1.0),
            (2002, "000002", 8, 0.0, 6.0),
        ],
        "year int, product string, country int, imports_kusd double, exports_kusd double",
    )
    found = loaded_trade(rows)
    assert found.products == ["000001", "000002"]
    assert found.trade.imports.tolist() == [[3.0, 0.0], [0.0, 0.0]]
    assert found.trade.exports.tolist() == [[0.5, 0.0], [0.0, 3.0]]


@spark_needed
def test_share_of_years_counts_the_years_that_confirm(spark):
    rng = np.random.default_rng(2)
    rows = []
    for year in (2001, 2002):
        imports, exports = rng.lognormal(0, 1.5, (2, 25, 30))
        if year == 2001:
            exports[2] = imports[1]
        rows += [
            (year, f"{p:06d}", c, float(imports[p, c]), float(exports[p, c]))
            for p in range(25)
            for c in range(30)
        ]
    frame = spark.createDataFrame(
        rows, "year int, product string, country int, imports_kusd double, exports_kusd double"
    )
    world, chosen = loaded_trade(frame), settings(country_draws="9")
    found = results_of_pairs(spark, CANDIDATE_ROWS.head(1), world, chosen)
    shares = shares_of_years(frame, found, world, chosen.network).set_index("test")
    yearly = [
        ready_trade(loaded_trade(frame.where(f"year = {year}")).trade, min_countries=10)["paper"]
        for year in (2001, 2002)
    ]
    from udfs.link_test import pairs

    passes = [pairs(one, [1], [2]).p_value[0] <= 0.05 for one in yearly]
    assert passes[0]
    assert shares.loc["paper", "share_of_years"] == np.mean(passes)


def test_figure_shows_every_product_once():
    tiers = {"280530": 0, "850511": 1, "850110": 2, "850131": 2}
    edges = [("280530", "850511"), ("850511", "850110"), ("850511", "850131")]
    svg = figure(tiers, edges)
    assert svg.count("<circle") == 3 and ">2</text>" in svg and svg.count("<path") == 2
    assert "<script" not in svg and "seeds" in svg and "tier 2" in svg


def test_every_chapter_has_a_section():
    assert [section_of(f"{chapter:02d}0000") for chapter in (1, 28, 85, 99)] == [
        "animals",
        "chemicals",
        "machinery, electronics",
        "art and unspecified",
    ]
    assert [last for last, _ in SECTIONS] == sorted({last for last, _ in SECTIONS})


def test_profiles_of_both_directions_differ():
    trade = planted().trade
    given = ready_trade(trade, min_countries=5)
    np.testing.assert_array_equal(
        given["paper_reversed"].imports,
        profiles(Trade(trade.exports, trade.imports), min_countries=5).imports,
    )
