"""The mineral tables of the sample, computed a second time from the CSVs with other libraries."""

import io
import zipfile

import networkx as nx
import numpy as np
import pandas as pd
import pytest

from conf.minerals import mineral
from conf.problem import Problem
from conf.regions import memberships
from conf.settings import SAMPLE, load
from jobs.minerals.networks import rules
from jobs.minerals.randomised_networks import drawn_networks
from jobs.minerals.regions import REGION_CODE, compared
from jobs.minerals.shock import shock
from jobs.tables import (
    COUNTRIES,
    RANDOMISED_NETWORKS,
    RANDOMISED_SUMMARY,
    RESOURCE_CORRELATIONS,
    RESOURCE_FLOWS,
    RESOURCE_NETWORKS,
    RESOURCE_RISK,
    RESOURCE_VOLATILITY,
    RESOURCES,
    STABILITY,
)

pytestmark = pytest.mark.spark

TWO_WAYS = 1e-9
"""Relative: the bound of the specification; both sides are double precision."""
CASES = [("Rare Earth", 2012), ("Lithium", 2020), ("Cobalt", 2008), ("Germanium", 2012)]
"""The last has five traders and no cycle."""


@pytest.fixture(scope="module")
def csv():
    with zipfile.ZipFile(SAMPLE / "BACI_HS92_V202601_raw_materials.zip") as archive:
        years = {year for _, year in CASES} | {2007, 2011, 2019}
        frames = [
            pd.read_csv(
                io.BytesIO(archive.read(f"BACI_HS92_Y{year}_V202601.csv")), dtype={"k": str}
            )
            for year in sorted(years)
        ]
    rows = pd.concat(frames)
    return rows.assign(q=pd.to_numeric(rows["q"], errors="coerce"))


@pytest.fixture(scope="module")
def tables(sample):
    names = (RESOURCES, RESOURCE_NETWORKS, RESOURCE_RISK, RESOURCE_VOLATILITY,
             RANDOMISED_NETWORKS, RANDOMISED_SUMMARY, RESOURCE_CORRELATIONS, STABILITY,
             COUNTRIES)  # fmt: skip
    return {table.name: sample.read(table).toPandas() for table in names}


def merged_flows(csv, countries, resource, year):
    """The flows of a mineral with the EU of the year as one country, by pandas."""
    rows = csv[(csv["t"] == year) & csv["k"].isin(mineral(resource).codes_in("HS92"))]
    iso3 = {m.iso3 for m in memberships() if m.region == "EU" and m.counts_in(year)}
    members = set(countries.loc[countries["iso3"].isin(iso3), "country"])
    ends = {end: rows[end].where(~rows[end].isin(members), REGION_CODE) for end in ("i", "j")}
    rows = rows.assign(**ends)
    return rows[rows["i"] != rows["j"]], members


def by_networkx(csv, tables, resource, year):
    """Links, V and everything read from it, as methods E.2 and E.3 define them."""
    rows, members = merged_flows(csv, tables["countries"], resource, year)
    pairs = rows.groupby(["i", "j"], as_index=False)["v"].sum()
    imports = pairs.groupby("j")["v"].transform("sum")
    links = pairs[pairs["v"] > 0.01 * imports]
    scores = tables["stability"].query("year == @year").set_index("country")["pv"]
    scores = pd.concat([scores, pd.Series({REGION_CODE: scores.loc[sorted(members)].mean()})])
    bought = links.groupby("j")["v"].transform("sum")
    v = (1 - scores.loc[links["i"]].to_numpy() / 100) * links["v"] / bought
    graph = nx.DiGraph()
    graph.add_weighted_edges_from(zip(links["i"], links["j"], v, strict=True))
    return rows, links, graph


def normalised_pagerank(graph, countries):
    """Methods E.3 with a dense solve; countries: all nodes, also those without links."""
    v = nx.to_numpy_array(graph, nodelist=countries)
    radius = np.abs(np.linalg.eigvals(v)).max()
    out = (v > 0).sum(axis=1)
    alpha = 0.85 / radius if radius > 1e-9 else 0.85
    x = np.linalg.solve(np.eye(len(v)) - alpha * v.T / np.where(out > 0, out, 1), np.ones(len(v)))
    return x / x.sum()


@pytest.mark.parametrize(("resource", "year"), CASES)
def test_a_network_agrees_with_networkx_from_the_files(sample, csv, tables, resource, year):
    rows, links, graph = by_networkx(csv, tables, resource, year)
    found = tables["resource_networks"].query("resource == @resource and year == @year").iloc[0]
    flows = sample.read(RESOURCE_FLOWS).where(f"resource = '{resource}' and year = {year}")
    countries = [int(code) for code in flows.toPandas()["countries"].iloc[0]]
    graph.add_nodes_from(countries)
    eigenvalues = np.linalg.eigvals(nx.to_numpy_array(graph))

    assert found["links"] == len(links)
    assert found["traders"] == len(set(rows["i"]) | set(rows["j"]))
    assert found["mean_degree"] == pytest.approx(len(links) / len(countries), rel=TWO_WAYS)
    component = max(map(len, nx.strongly_connected_components(graph)))
    assert found["scc_share"] == pytest.approx(component / len(countries), rel=TWO_WAYS)
    assert found["lambda"] == pytest.approx(np.abs(eigenvalues).max(), rel=TWO_WAYS, abs=1e-9)
    assert found["ttv_kg"] == pytest.approx(1000 * rows["q"].sum(), rel=TWO_WAYS)


@pytest.mark.parametrize(("resource", "year"), CASES)
def test_the_risk_of_each_country_agrees_with_a_dense_solve(sample, csv, tables, resource, year):
    rows, links, graph = by_networkx(csv, tables, resource, year)
    flows = sample.read(RESOURCE_FLOWS).where(f"resource = '{resource}' and year = {year}")
    countries = [int(code) for code in flows.toPandas()["countries"].iloc[0]]
    graph.add_nodes_from(countries)
    pagerank = pd.Series(normalised_pagerank(graph, countries), countries)
    imports, exports = rows.groupby("j")["v"].sum(), rows.groupby("i")["v"].sum()
    found = tables["resource_risk"].query("resource == @resource and year == @year")
    found = found.set_index("country")
    m, x = (s.reindex(found.index, fill_value=0.0) for s in (imports, exports))
    reliance = np.where(m > 0, np.maximum(0, (m - x) / m.where(m > 0, 1)), 0)
    known = rows[rows["q"].notna()]
    price = (known.groupby("i")["v"].sum() / known.groupby("i")["q"].sum()).reindex(found.index)
    strength = pd.Series(dict(graph.in_degree(weight="weight"))).reindex(found.index)

    assert sorted(found.index) == sorted(set(rows["i"]) | set(rows["j"]))
    np.testing.assert_allclose(found["pagerank"], pagerank[found.index], rtol=TWO_WAYS)
    np.testing.assert_allclose(found["import_reliance"], reliance, rtol=TWO_WAYS, atol=1e-12)
    np.testing.assert_allclose(
        found["trade_risk"], pagerank[found.index] * reliance, rtol=TWO_WAYS, atol=1e-15
    )
    np.testing.assert_allclose(found["in_strength"], strength, rtol=TWO_WAYS, atol=1e-12)
    np.testing.assert_allclose(found["price"], price, rtol=TWO_WAYS)
    suppliers = links.groupby("j").size().reindex(found.index, fill_value=0)
    assert (suppliers >= found["in_degree"]).all()  # a supplier of stability 100 is no link


def test_returns_and_volatility_follow_from_prices(tables):
    prices = tables["resource_risk"].query("resource == 'Rare Earth'")
    wide = prices.pivot(index="country", columns="year", values="price")
    returns = np.log(wide.where(wide > 0)).diff(axis=1)
    found = prices.pivot(index="country", columns="year", values="log_return")
    np.testing.assert_allclose(found, returns, rtol=TWO_WAYS, atol=1e-12)
    expected = returns.std(axis=1, ddof=1)
    stated = tables["resource_volatility"].query("resource == 'Rare Earth'").set_index("country")
    np.testing.assert_allclose(stated["volatility"], expected[stated.index], rtol=TWO_WAYS)
    assert (stated["reason"] == "fewer than two returns").eq(stated["volatility"].isna()).all()


def test_undefined_values_have_a_reason(tables):
    risk, networks = tables["resource_risk"], tables["resource_networks"]
    for table, value in ((risk, "price"), (risk, "log_return"), (networks, "scarcity")):
        missing = table[value].isna()
        assert missing.any()
        assert (table.loc[missing, f"{value}_reason"] != "computed").all()
    assert set(risk.loc[risk["exports_kusd"] == 0, "price_reason"]) == {"no exports"}
    assert (networks["scarcity_reason"] == "no reserves").eq(networks["scarcity"].isna()).all()
    acyclic = networks["lambda"] == 0
    assert acyclic.any() and networks.loc[acyclic, "resilience"].isna().all()


def test_every_mineral_is_kept_with_what_is_loaded_of_it(tables):
    resources = tables["resources"].set_index("resource")
    assert len(resources) == 71
    assert resources.loc["Rare Earth", "coverage"] == "complete"
    assert resources.loc["Cobalt", "coverage"] == "partial"
    assert "260500" in resources.loc["Cobalt", "reason"]
    assert resources.loc["Nickel", "coverage"] == "not loaded"
    loaded = set(resources.index[resources["coverage"] != "not loaded"])
    assert set(tables["resource_networks"]["resource"]) == loaded


def test_schemes_keep_what_they_say(tables):
    drawn = tables["randomised_networks"]
    networks = tables["resource_networks"]
    observed = networks.groupby("resource")[["mean_degree", "scc_share"]].mean()
    kept = {"degree": ["mean_degree"], "in_degree": ["mean_degree"],
            "in_out_degree": ["mean_degree", "scc_share"]}  # fmt: skip
    for scheme, names in kept.items():
        rows = drawn[drawn["scheme"] == scheme]
        for name in names:
            stable = rows["resource"].map(observed[name])
            # A supplier of stability 100 is no link, so links may vanish or appear.
            np.testing.assert_allclose(rows[name], stable, rtol=0.03)
    assert (drawn.groupby(["resource", "scheme"]).size() == 5).all()


def test_the_summary_agrees_with_pandas(tables):
    rows = tables["randomised_networks"].query("resource == 'Lithium' and scheme == 'degree'")
    found = tables["randomised_summary"].query(
        "resource == 'Lithium' and scheme == 'degree' and indicator == 'lambda'"
    ).iloc[0]  # fmt: skip
    observed = tables["resource_networks"].query("resource == 'Lithium'")["lambda"].mean()
    assert found["observed"] == pytest.approx(observed, rel=TWO_WAYS)
    assert found["mean"] == pytest.approx(rows["lambda"].mean(), rel=TWO_WAYS)
    assert found["sd"] == pytest.approx(rows["lambda"].std(), rel=TWO_WAYS)
    assert found["p95"] == pytest.approx(rows["lambda"].quantile(0.95), rel=TWO_WAYS)
    assert found["p_value"] == pytest.approx((1 + (rows["lambda"] >= observed).sum()) / 6)


def test_draws_depend_on_the_seed_and_not_on_tasks(sample, sample_settings):
    flows = sample.read(RESOURCE_FLOWS).where("resource = 'Lithium' and year >= 2022")
    how = rules(sample_settings)
    here = drawn_networks(flows.repartition(3), (842,), how, draws=4, seed=1).toPandas()
    moved = drawn_networks(flows.orderBy("year"), (842,), how, draws=4, seed=1).toPandas()
    other = drawn_networks(flows, (842,), how, draws=4, seed=2).toPandas()
    key = ["year", "scheme", "realisation"]
    same, apart = here.merge(moved, on=key), here.merge(other, on=key)
    assert len(same) == len(here) == 2 * 3 * 4
    assert (same["lambda_x"] == same["lambda_y"]).all()
    assert (apart["lambda_x"] != apart["lambda_y"]).all()


def test_correlations_are_those_of_the_tables(tables):
    networks = tables["resource_networks"].query("coverage == 'complete'")
    means = networks.groupby("resource")[["lambda", "scarcity"]].mean().dropna()
    found = tables["resource_correlations"].query(
        "table == '1' and source == 'loaded' and sample == 'complete' and x == 'lambda' "
        "and y == 'scarcity' and control == 'none'"
    )
    found = found.set_index("method")
    for method in ("pearson", "spearman"):
        expected = means["lambda"].corr(means["scarcity"], method=method)
        assert found.loc[method, "r"] == pytest.approx(expected, rel=TWO_WAYS)
    assert (found["n"] == len(means)).all()
    assert {"1", "2", "S3", "S4", "S5"} == set(tables["resource_correlations"]["table"])


def test_a_shock_follows_powers_of_v(sample, sample_settings, csv, tables):
    _, _, graph = by_networkx(csv, tables, "Rare Earth", 2012)
    codes = list(graph)
    v = nx.to_numpy_array(graph, nodelist=codes)
    names = tables["countries"].set_index("country")["name"].to_dict() | {REGION_CODE: "EU"}
    found = shock(sample, sample_settings, ["rare earth", "chn", "2012"])
    for step in (1, 2, 3):
        row = np.linalg.matrix_power(v, step)[codes.index(156)]
        expected = {names[c]: h for c, h in zip(codes, row, strict=True) if h > 0}
        at = found.table[found.table["step"] == step].set_index("country")["hit"].to_dict()
        assert at == pytest.approx(expected, rel=TWO_WAYS)


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["Rare Erth", "CHN"], "nearest: Rare Earth"),
        (["Nickel", "CHN"], "not in the loaded trade"),
        (["Lithium", "Chlie"], "nearest: Chile"),
        (["Lithium", "DEU", "2012"], "trades as part of EU"),
        (["Germanium", "Tuvalu", "2012"], "largest exporters are"),
        (["Lithium", "CHL", "1990"], "is loaded for 2007"),
        (["Lithium"], "takes a mineral, an origin"),
    ],
)
def test_a_wrong_word_names_what_would_do(sample, sample_settings, words, said):
    with pytest.raises(Problem, match=said):
        shock(sample, sample_settings, words)


def test_demo_draws_are_a_setting():
    assert load({}, environment={}).minerals.draws == 100
    with pytest.raises(Problem, match="draws"):
        load({"draws": "0"}, environment={})


# Compared regions


def regions_of(sample, names, merged, rows):
    chosen = load({"compared_regions": names, "merged_region": merged}, environment={})
    traders = sample.spark.createDataFrame(rows, "year int, country int")
    return compared(sample, chosen, traders)


def test_a_name_of_two_countries_means_the_one_that_trades_in_more_years(sample):
    """DEU is 276 and, until 1990, 280; SDN is 729 and, until 2011, 736 in BACI's list."""
    rows = [(2010, 736), (2011, 736), (2012, 729), (2010, 276), (2012, 276)]
    assert regions_of(sample, "DEU,SDN", "none", rows) == {"DEU": 276, "SDN": 736}
    rows += [(2013, 729), (2014, 729)]
    assert regions_of(sample, "SDN", "EU", rows) == {"SDN": 729}


def test_a_country_that_trades_only_as_part_of_the_merged_region_is_refused(sample):
    rows = [(2010, REGION_CODE)]
    assert regions_of(sample, "EU", "EU", rows) == {"EU": REGION_CODE}
    with pytest.raises(Problem, match="FRA trades as part of EU in all years; ask for EU"):
        regions_of(sample, "FRA", "EU", rows)
    with pytest.raises(Problem, match="no country or region 'FRX'"):
        regions_of(sample, "FRX", "EU", rows)
