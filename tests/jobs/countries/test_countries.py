"""Countries in a small network whose every number is computed a second time with pandas."""

import numpy as np
import pandas as pd
import pytest
from sklearn.decomposition import PCA

from conf.problem import Problem
from conf.regions import region_codes
from conf.settings import load
from jobs.countries import contributions, profiles, scores, strengths
from jobs.indicators import indicators, trade_matrices
from jobs.tables import (
    CONTRIBUTIONS,
    DEPENDENCY_SCORES,
    EDGES,
    INDICATORS,
    INFLUENCES,
    PROFILES,
    PROFILES_WIDE,
    REGION_MEMBERS,
    SCORE_LOADINGS,
    STABILITY,
    STRENGTHS,
    TIERS,
    TRADE,
)
from jobs.warehouse import Warehouse
from udfs.profiles import FEATURE_NAMES, Reason

pytestmark = pytest.mark.spark

TWO_WAYS = 1e-9
"""Relative: the bound of the specification; both sides are double precision."""

YEARS = (2010, 2011, 2012)
TIER_OF = {"280530": 0, "284690": 0, "850511": 1, "850110": 2, "850120": 2}
EDGE_LIST = [("280530", "850511"), ("284690", "850511"), ("850511", "850110"), ("850511", "850120")]
UNTRADED = "850120"
MEMBERS = [("EU", 2, 1990, 2010), ("EU", 3, 1990, None), ("EU27_2020", 3, 1988, None)]
EU_FIXED, EU_DATED = region_codes()["EU27_2020"], region_codes()["EU"]


def settings(**values):
    return load({"materials": "rare_earths", **values}, environment={})


def write_network(warehouse, material="rare_earths", tier_of=TIER_OF, edges=EDGE_LIST):
    spark = warehouse.spark
    tiers = [(material, p, tier, p != UNTRADED, True) for p, tier in tier_of.items()]
    warehouse.replace(
        TIERS,
        spark.createDataFrame(tiers, TIERS.result_schema),
        {"material": (material,)},
    )
    rows = [(material, i, o, 9, True, 2.0, None) for i, o in edges]
    warehouse.replace(
        EDGES, spark.createDataFrame(rows, EDGES.result_schema), {"material": (material,)}
    )


def write_world(warehouse):
    """Trade of twelve countries in the network's products and one outside of it."""
    rng = np.random.default_rng(11)
    spark = warehouse.spark
    flows = [
        (year, int(a), int(c), product, float(rng.lognormal(3, 2)), None)
        for year in YEARS
        for product in [*(p for p in TIER_OF if p != UNTRADED), "010121"]
        for a in range(1, 13)
        for c in range(1, 13)
        if a != c and a != 12 and rng.random() < 0.35
    ]
    warehouse.replace(TRADE, spark.createDataFrame(flows, TRADE.result_schema))
    scored = [
        (c, year, float(rng.uniform(5, 95)), "observed" if c % 4 else "carried", None, None, None)
        for c in range(1, 13)
        for year in YEARS
    ]
    warehouse.replace(STABILITY, spark.createDataFrame(scored, STABILITY.result_schema))
    members = spark.createDataFrame(MEMBERS, REGION_MEMBERS.result_schema)
    warehouse.replace(REGION_MEMBERS, members)
    write_network(warehouse)


@pytest.fixture(scope="module")
def warehouse(spark, tmp_path_factory):
    made = Warehouse(spark, str(tmp_path_factory.mktemp("countries")))
    write_world(made)
    for job in (trade_matrices, indicators, scores, contributions, strengths, profiles):
        job.run(made, settings())
    return made


@pytest.fixture(scope="module")
def tables(warehouse):
    names = (INDICATORS, DEPENDENCY_SCORES, SCORE_LOADINGS, CONTRIBUTIONS, INFLUENCES, STRENGTHS)
    more = (PROFILES, PROFILES_WIDE)
    return {table.name: warehouse.read(table).toPandas() for table in (*names, *more)}


@pytest.fixture(scope="module")
def rows(tables):
    """Indicators of the network with tier and score."""
    found = tables["indicators"][tables["indicators"]["product"].isin(TIER_OF)]
    found = found.assign(tier=found["product"].map(TIER_OF))
    return found.merge(tables["dependency_scores"], on=["year", "product", "country"])


def test_scores_are_the_first_principal_component_of_all_years_together(tables, rows):
    parts = ["exposure", "hhi", "str"]
    complete = rows.dropna(subset=parts)
    z = (complete[parts] - complete[parts].mean()) / complete[parts].std()
    pca = PCA().fit(z)
    sign = np.sign(pca.components_[0].sum())
    expected = sign * pca.transform(z)[:, 0]
    assert complete["score"].to_numpy() == pytest.approx(
        expected / expected.std(ddof=1), rel=TWO_WAYS, abs=TWO_WAYS
    )
    loadings = tables["score_loadings"].set_index("indicator").loc[parts]
    assert loadings["loading"].to_numpy() == pytest.approx(sign * pca.components_[0], abs=TWO_WAYS)
    assert loadings["explained_variance"].to_numpy() == pytest.approx(
        pca.explained_variance_ratio_[0], abs=TWO_WAYS
    )
    assert rows.loc[rows[parts].isna().any(axis=1), "score"].isna().all()
    assert len(tables["dependency_scores"]) == len(rows)


def test_contributions_of_an_importer_add_up_to_its_str(tables, rows):
    sums = tables["contributions"].groupby(["year", "product", "country"])["contribution"].sum()
    expected = rows.dropna(subset="str").set_index(["year", "product", "country"])["str"]
    assert sums.sort_index().to_numpy() == pytest.approx(
        expected.sort_index().to_numpy(), rel=TWO_WAYS
    )
    assert sums.sort_index().index.equals(expected.sort_index().index)
    diagonal = tables["contributions"].query("supplier == country")
    assert len(diagonal) == len(expected)


def test_influences_are_those_of_the_indicators(tables, rows):
    keys = ["year", "product", "country"]
    found = tables["influences"].rename(columns={"supplier": "country"}).set_index(keys)["summand"]
    expected = rows.set_index(keys)["influence"].loc[found.index]
    assert found.to_numpy() == pytest.approx(expected.to_numpy(), rel=TWO_WAYS)
    assert len(found) == np.count_nonzero(rows["exports_kusd"])


def test_strengths_average_the_rca_with_zero_for_years_without(tables, rows):
    found = tables["strengths"].query("country > 0").set_index(["product", "country"])
    exporting = tables["indicators"].query("exports_kusd > 0").groupby("country")["year"].nunique()
    sums = rows.groupby(["product", "country"])["rca"].sum()
    years = sums.index.get_level_values("country").map(exporting)
    expected = pd.Series(sums.to_numpy() / years, sums.index)
    found = found.loc[sums.index]
    assert found["mean_rca"].to_numpy() == pytest.approx(
        expected.to_numpy(), rel=TWO_WAYS, nan_ok=True
    )
    assert (found["is_strength"] == (expected > 1)).all()
    assert found.xs(12, level="country")["mean_rca"].isna().all(), "country 12 exports nothing"
    own = rows["exports_kusd"] / rows.groupby(["year", "country"])["exports_kusd"].transform("sum")
    product = rows.groupby(["year", "product"])["exports_kusd"].transform("sum")
    rca = own / (product / rows.groupby("year")["exports_kusd"].transform("sum"))
    means = rows.assign(rca=rca).groupby(["product", "country"])["rca"].sum() / 3
    exporters = found.index.get_level_values("country") != 12
    assert found["mean_rca_network"].to_numpy()[exporters] == pytest.approx(
        means.loc[found.index].to_numpy()[exporters], rel=TWO_WAYS
    )


def test_inputs_of_a_country_have_an_edge_to_one_of_its_strengths(tables):
    found = tables["strengths"].set_index(["country", "product"])
    for (country, product), row in found.iterrows():
        outputs = [o for i, o in EDGE_LIST if i == product and (country, o) in found.index]
        expected = any(found.loc[(country, o), "is_strength"] for o in outputs)
        assert row["is_input"] == expected
    assert found["is_input"].any() and not found["is_input"].all()


def test_profiles_are_weighted_means_over_products(tables, rows):
    found = tables["profiles"].set_index(["country", "year", "feature"])["value"]
    inputs = tables["strengths"].query("is_input").set_index(["product", "country"]).index
    is_input = pd.MultiIndex.from_frame(rows[["product", "country"]]).isin(inputs)
    weight = rows["imports_kusd"] + rows["exports_kusd"]
    cases = {
        "str_all": ("str", np.full(len(rows), True)),
        "hhi_inputs": ("hhi", is_input),
        "score_tier0": ("score", rows["tier"] == 0),
        "influence_tier1": ("influence", rows["tier"] == 1),
        "exposure_inputs_tier0": ("exposure", is_input & (rows["tier"] == 0)),
    }
    for feature, (indicator, chosen) in cases.items():
        own = rows[chosen & rows[indicator].notna()]
        groups = own.assign(weight=weight).groupby(["country", "year"])[[indicator, "weight"]]
        expected = groups.apply(lambda g: np.average(g.iloc[:, 0], weights=g["weight"]))
        values = found.xs(feature, level="feature").dropna()
        values = values[values.index.get_level_values("country") > 0].sort_index()
        assert values.index.equals(expected.index)
        assert values.to_numpy() == pytest.approx(expected.to_numpy(), rel=TWO_WAYS)


def test_a_region_of_one_member_has_that_members_profile_where_it_exports(tables, rows):
    """EU27_2020 is country 3 alone here, and the dated EU is country 3 alone from 2011."""
    assert (rows.query("country == 3")["exports_kusd"] > 0).all()
    wide = tables["profiles_wide"].set_index(["country", "year"])
    names = ["str_all", "exposure_all", "score_tier0", "influence_tier1"]
    for year in YEARS:
        expected = wide.loc[(3, year), names].astype(float)
        assert wide.loc[(EU_FIXED, year), names].astype(float).to_numpy() == pytest.approx(
            expected.to_numpy(), rel=TWO_WAYS
        )
        same = wide.loc[(EU_DATED, year), names].astype(float).to_numpy() == pytest.approx(
            expected.to_numpy(), rel=TWO_WAYS
        )
        assert same == (year > 2010)
    assert set(tables["profiles"].query(f"country == {EU_FIXED}")["region"]) == {"EU27_2020"}
    assert tables["profiles"].query("country > 0")["region"].isna().all()


def test_every_country_year_has_every_feature_and_a_null_has_its_reason(tables):
    found = tables["profiles"]
    assert len(found) == len(found[["country", "year"]].drop_duplicates()) * len(FEATURE_NAMES)
    assert set(found.query("feature == 'score_tier4'")["reason"]) == {Reason.NO_TIER.value}
    assert (found["value"].isna() == found["reason"].notna()).all()
    long = found.set_index(["country", "year", "feature"])["value"].unstack("feature")
    wide = tables["profiles_wide"].set_index(["country", "year"])[list(long.columns)]
    pd.testing.assert_frame_equal(
        wide.sort_index(), long.sort_index(), check_names=False, check_index_type=False
    )


def test_a_network_whose_products_are_not_loaded_gives_empty_tables_and_says_so(warehouse, capsys):
    """Lithium's products have no trade in this world; rare earths stay as they are."""
    write_network(warehouse, "lithium", {"283691": 0}, [])
    lithium = settings(materials="lithium")
    before = warehouse.read(CONTRIBUTIONS).count()
    for job in (scores, contributions, strengths, profiles):
        job.run(warehouse, lithium)
    said = capsys.readouterr()
    assert "tier 0: 0 of 1" in said.out + said.err
    for table in (DEPENDENCY_SCORES, CONTRIBUTIONS, INFLUENCES, STRENGTHS, PROFILES):
        assert warehouse.read(table).where("material = 'lithium'").count() == 0
    notes = warehouse.read(SCORE_LOADINGS).where("material = 'lithium'").collect()
    assert {row.note for row in notes} == {
        "fewer than four country-product-years have all three indicators"
    }
    assert all(row.loading is None for row in notes)
    assert warehouse.read(CONTRIBUTIONS).count() == before


def test_a_year_that_is_not_loaded_is_refused(warehouse):
    for job in (scores, contributions, strengths, profiles):
        with pytest.raises(Problem, match="1999 not loaded"):
            job.run(warehouse, settings(years="1999"))
