"""Profiles against np.average, cell by cell, and the reasons for cells without a value."""

import numpy as np
import pandas as pd
import pytest

from udfs.profiles import (
    AVERAGED,
    COLUMNS,
    FEATURES,
    Reason,
    profile_of_year,
    region_rows,
    regions_of_group,
)

TWO_WAYS = 1e-12
"""Relative: two orders of adding some hundred doubles."""


@pytest.fixture
def rows():
    rng = np.random.default_rng(5)
    grid = pd.MultiIndex.from_product([range(1, 9), [f"{p:06d}" for p in range(30)]])
    table = grid.to_frame(index=False, name=["country", "product"]).sample(frac=0.7, random_state=1)
    table["tier"] = table["product"].astype(int) % 6
    table["is_input"] = rng.random(len(table)) < 0.4
    table["exports_kusd"] = rng.lognormal(0, 2, len(table)) * (rng.random(len(table)) < 0.6)
    table["weight"] = table["exports_kusd"] + rng.lognormal(0, 2, len(table))
    table["pv_imputed_share"] = rng.random(len(table))
    for name in AVERAGED:
        table[name] = np.where(rng.random(len(table)) < 0.2, np.nan, rng.normal(size=len(table)))
    return table


def cells_of(table):
    return profile_of_year(table).set_index(["country", "feature"])


def test_every_cell_is_the_weighted_mean_over_the_products_that_have_a_value(rows):
    found = cells_of(rows)
    assert len(found) == 8 * len(FEATURES)
    for feature in FEATURES:
        chosen = rows[rows["is_input"]] if feature.basket == "inputs" else rows
        if feature.tier is not None:
            chosen = chosen[chosen["tier"] == feature.tier]
        for country in range(1, 9):
            own = chosen[chosen["country"] == country]
            valued = own.dropna(subset=feature.indicator)
            cell = found.loc[(country, feature.name)]
            if valued.empty:
                assert np.isnan(cell["value"])
                continue
            expected = np.average(valued[feature.indicator], weights=valued["weight"])
            assert cell["value"] == pytest.approx(expected, rel=TWO_WAYS, abs=TWO_WAYS)
            assert cell["weight"] == pytest.approx(valued["weight"].sum(), rel=TWO_WAYS)
            assert cell["missing_share"] == pytest.approx(
                1 - valued["weight"].sum() / own["weight"].sum(), abs=TWO_WAYS
            )


def test_the_two_readings_have_16_and_40_columns():
    assert [len(set(COLUMNS[n])) for n in (16, 40)] == [16, 40]
    assert set(COLUMNS[16]) | set(COLUMNS[40]) == {feature.name for feature in FEATURES}


def test_mean_exposure_is_the_exposure_of_the_basket():
    """Weighted by M + X, the mean of M / (M + X) is the sum of M over the sum of M + X."""
    imports, exports = np.array([3.0, 5, 0]), np.array([1.0, 15, 2])
    table = pd.DataFrame(
        {"country": 1, "product": list("abc"), "tier": 0, "is_input": False}
        | {name: np.nan for name in AVERAGED}
    )
    table["weight"] = imports + exports
    table["pv_imputed_share"] = 0.5
    table["exposure"] = imports / (imports + exports)
    cell = cells_of(table).loc[(1, "exposure_all")]
    assert cell["value"] == pytest.approx(8 / 26, rel=TWO_WAYS)
    assert cell["imputed_share"] == pytest.approx(0.5)


def test_a_cell_without_a_value_says_why(rows):
    table = rows[(rows["tier"] != 3) & ~((rows["country"] == 2) & (rows["tier"] == 1))].copy()
    table.loc[table["country"] == 4, "is_input"] = False
    table.loc[(table["country"] == 5) & (table["tier"] == 0), "score"] = np.nan
    reasons = cells_of(table)["reason"]
    assert reasons[6, "score_tier3"] == Reason.NO_TIER
    assert reasons[2, "influence_tier1"] == Reason.NO_TRADE
    assert reasons[4, "hhi_inputs"] == Reason.NO_INPUTS
    assert reasons[5, "score_tier0"] == Reason.UNDEFINED
    assert reasons[6, "exposure_all"] is None


def test_order_of_rows_does_not_matter(rows):
    shuffled = profile_of_year(rows.sample(frac=1, random_state=2))
    expected = profile_of_year(rows)
    pd.testing.assert_frame_equal(shuffled, expected, rtol=TWO_WAYS)


def test_a_region_is_the_mean_of_its_members_weighted_by_their_exports_of_the_product(rows):
    members = pd.DataFrame({"region": [-1, -1, -1, -2], "country": [2, 3, 5, 99]})
    found = region_rows(rows, members, means=AVERAGED, sums=["weight"]).set_index("product")
    assert (found["country"] == -1).all()
    for product, cell in found.iterrows():
        own = rows[rows["country"].isin([2, 3, 5]) & (rows["product"] == product)]
        assert cell["weight"] == pytest.approx(own["weight"].sum(), rel=TWO_WAYS)
        exporting = own[own["exports_kusd"] > 0].dropna(subset="str")
        expected = (
            np.average(exporting["str"], weights=exporting["exports_kusd"])
            if len(exporting)
            else np.nan
        )
        assert cell["str"] == pytest.approx(expected, rel=TWO_WAYS, nan_ok=True)


def test_a_dated_region_counts_its_members_of_the_year(rows):
    members = pd.DataFrame(
        {
            "region": [-1, -1],
            "country": [2, 3],
            "from_year": [1990, 2004],
            "to_year": [2019, np.nan],
        }
    )
    build = regions_of_group(members, means=AVERAGED, sums=["weight"], constant=["tier"])
    for year, countries in ((2003, [2]), (2010, [2, 3]), (2019, [2, 3]), (2020, [3])):
        found = build(("gallium", year), rows)
        expected = rows[rows["country"].isin(countries)]["weight"].sum()
        assert found["weight"].sum() == pytest.approx(expected, rel=TWO_WAYS)
        assert set(found["year"]) == {year}


def test_a_year_without_any_member_has_no_region(rows):
    members = pd.DataFrame(
        {"region": [-1, -1], "country": [2, 99], "from_year": [2004, 1990], "to_year": [np.nan] * 2}
    )
    whole = rows.assign(material="gallium", year=2000)
    build = regions_of_group(members, means=AVERAGED, sums=["weight"], constant=["tier"])
    assert list(build(("gallium", 2000), whole).columns) == list(whole.columns)
    assert build(("gallium", 2000), whole).empty
    assert not build(("gallium", 2004), whole).empty
