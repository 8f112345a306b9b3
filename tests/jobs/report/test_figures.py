"""Figures and their files, and the numbers behind them, against sums done here."""

from xml.etree import ElementTree

import numpy as np
import pandas as pd
import pytest

from jobs.report import by_tier, clusters, growth, suppliers, world_map
from jobs.report.country_networks import colour_of, layout
from jobs.report.exports import export, figures_in, framed
from jobs.report.figures import Figure, bars, lines
from jobs.report.ledger import changes, ledger
from jobs.report.suppliers import risk_by_supplier
from jobs.tables import CLUSTER_AGREEMENT, CLUSTERS, COUNTRY_CLUSTERS, GROWTH, GROWTH_DIAGNOSTICS
from tests.jobs.report.small_world import CODES, MATERIAL, SCRIPT, SEEDS, YEARS, empty, frames, told

SUMS = 1e-12
"""Sums of some ten numbers about 1, added in another order."""
PATHS = "{http://www.w3.org/2000/svg}path"
PNG = b"\x89PNG\r\n\x1a\n"


@pytest.fixture(scope="module")
def shared():
    return frames()[0]


@pytest.fixture(scope="module")
def account(shared):
    behind = shared.by_material["contributions"]
    return ledger(behind, shared.trade, shared.stability, shared.seed_indicators)


def test_lines_of_an_account_add_up_to_the_risk_of_the_profile(shared, account):
    wide = shared.by_material["profiles_wide"].set_index(["country", "year"])["str_all_tier0"]
    found = account.groupby(["country", "year"])["contribution"].sum()
    assert np.allclose(found, wide.reindex(found.index), rtol=SUMS, atol=0)


def test_direct_parts_are_column_sums_of_v_weighted_by_trade(account):
    _, solved = frames()
    year, c = YEARS[1], 2
    of_year = [solved[year, product] for product in SEEDS]
    weight = np.array([one["trade"][:, c].sum() + one["trade"][c].sum() for one in of_year])
    first_order = np.array([one["v"][:, c].sum() for one in of_year])
    expected = np.average(first_order, weights=weight)
    mine = account[(account["year"] == year) & (account["country"] == CODES[c])]
    assert mine["direct"].sum() == pytest.approx(expected, rel=SUMS)
    assert mine["share"].sum() == pytest.approx(1.0, rel=SUMS)


def test_a_direct_part_is_never_more_than_the_whole(account):
    others = account[account["supplier"] != account["country"]]
    assert (others["direct"] <= others["contribution"] + SUMS).all()
    assert (account.loc[account["supplier"] == account["country"], "direct"] == 0).all()


def test_changes_of_lines_add_up_to_the_change_of_the_risk(shared, account):
    moved = changes(account, shared.stability).groupby("country")["change"].sum()
    sums = account.groupby(["country", "year"])["contribution"].sum().unstack()
    assert np.allclose(moved, sums[YEARS[-1]] - sums[YEARS[0]], rtol=0, atol=SUMS)


def test_a_new_supplier_has_a_stability_in_the_first_year_too(shared, account):
    country, new = CODES[0], CODES[1]
    served = (account["country"] == country) & (account["supplier"] == new)
    moved = changes(account[~(served & (account["year"] == YEARS[0]))], shared.stability)
    row = moved[(moved["country"] == country) & (moved["supplier"] == new)].iloc[0]
    scores = shared.stability.set_index(["country", "year"])["pv"]
    assert row["share_first"] == 0
    assert [row["pv_first"], row["pv_last"]] == [scores[new, YEARS[0]], scores[new, YEARS[-1]]]


def test_parts_of_suppliers_and_loops_make_the_mean_risk():
    _, solved = frames()
    one = solved[YEARS[0], SEEDS[0]]["inverse"]
    off = one - np.diag(np.diag(one))
    influences = pd.DataFrame({"year": YEARS[0], "supplier": CODES, "summand": off.sum(axis=1)})
    above = (one.sum(axis=0) - 1).sum()
    trend = pd.DataFrame({"year": [YEARS[0]], "countries": [6], "above_one": [above]})
    parts = risk_by_supplier(influences, trend)
    loops = (np.diag(one) - 1).sum()
    assert parts["part"].sum() + loops / 6 == pytest.approx(above / 6, rel=SUMS)
    assert parts["share"].sum() == pytest.approx(1 - loops / above, rel=SUMS)


def test_quantiles_by_tier_are_those_of_numpy():
    values = pd.DataFrame({"tier": 0, "value": [3.0, 1.0, 4.0, 1.0, 5.0, np.nan]})
    found = by_tier.spread_over(values, "tier", "value").iloc[0]
    assert found["p25"] == np.quantile([3, 1, 4, 1, 5], 0.25)
    assert found["countries"] == 5


def test_the_countries_least_like_any_other_are_named_the_farthest_first(shared):
    groups = clusters.story(
        MATERIAL,
        shared.by_material["clusters"],
        shared.by_material["country_clusters"],
        empty(CLUSTER_AGREEMENT),
        shared.countries,
    )
    assert [row["isolation"] for row in groups.isolated] == [6, 5, 4, 3, 2]
    assert [row["country"] for row in groups.isolated] == list(CODES[:0:-1])


def test_files_of_a_figure_open_and_name_synthetic_data(tmp_path):
    data = pd.DataFrame({"name": [SCRIPT, "b"], "value": [1.0, 2.0]})
    svg = bars(data, x="value", label="name", title="Value")
    figure = Figure("one", f"Title of {SCRIPT}", "told", svg, data)
    (tmp_path / "gone.svg").write_text("from an earlier run")
    export([figure], tmp_path, synthetic=True)
    assert sorted(file.name for file in tmp_path.iterdir()) == ["one.csv", "one.png", "one.svg"]
    assert (tmp_path / "one.png").read_bytes().startswith(PNG)
    assert pd.read_csv(tmp_path / "one.csv")["data"].tolist() == ["synthetic", "synthetic"]
    tree = ElementTree.parse(tmp_path / "one.svg")
    title = tree.find("{http://www.w3.org/2000/svg}title")
    assert title is not None and title.text == f"SYNTHETIC DATA: Title of {SCRIPT}"
    assert not list(tree.iter("{http://www.w3.org/2000/svg}script"))


def test_every_exported_figure_is_well_formed_whatever_the_names():
    for figure in figures_in(told(frames()[0])):
        ElementTree.fromstring(framed(figure, synthetic=False))


def test_two_figures_of_one_name_are_refused(tmp_path):
    figure = Figure("one", "t", "t", '<svg viewBox="0 0 1 1"/>', pd.DataFrame())
    with pytest.raises(ValueError, match="one; their files would be one"):
        export([figure, figure], tmp_path, synthetic=False)


def test_what_was_not_computed_is_a_sentence_with_its_reason(shared):
    no_wide = shared.by_material["profiles_wide"].iloc[:0]
    labels = empty(COUNTRY_CLUSTERS)
    tiers = by_tier.story(MATERIAL, no_wide, shared.countries, labels)
    assert tiers.spread is None and "no country trades" in tiers.why_not["spread"]
    groups = clusters.story(
        MATERIAL, empty(CLUSTERS), labels, empty(CLUSTER_AGREEMENT), shared.countries
    )
    assert groups.map is None and "no row of this material" in str(groups.why_not)
    unfitted = empty(GROWTH_DIAGNOSTICS)
    unfitted.loc[0, ["model", "kind", "note"]] = ["ln", "not_fitted", "0 rows"]
    regression = growth.story(MATERIAL, empty(GROWTH), unfitted)
    assert regression.figure is None and regression.why_not == "0 rows"
    seed = next(iter(told(shared)["materials"]))["suppliers"][0].seed
    none = suppliers.story(
        MATERIAL, seed, shared.by_material["influences"].iloc[:0], shared.countries
    )
    assert none.figure is None and "influences" in str(none.why_not)


def test_codes_of_baci_that_differ_from_iso_find_their_shapes():
    shapes = world_map.shape_ids()
    assert set(world_map.SHAPE_OF.values()) <= shapes
    assert not set(world_map.SHAPE_OF) & shapes
    assert world_map.shape_of(842) == 840
    assert world_map.shape_of(470) is None  # Malta


def test_places_of_products_do_not_coincide_and_follow_tiers():
    tiers = {f"85{n:04d}": n % 3 for n in range(90)} | {"280530": 0}
    places = layout(tiers)
    assert len(set(places.points.values())) == len(tiers)
    middles = dict(places.columns)
    assert all(abs(x - middles[tiers[p]]) < 30 for p, (x, _) in places.points.items())


def test_colours_of_scores_end_at_two_standard_deviations():
    assert colour_of(-2.0) == colour_of(-9.0) == "#0072b2"
    assert colour_of(0.0) == "#ececec"


def test_a_logarithmic_axis_is_labelled_at_one_two_and_five_within_the_values():
    data = pd.DataFrame({"year": [2007, 2008], "series": "a", "value": [1.5, 13.0]})
    tree = ElementTree.fromstring(lines(data, y="value", title="Value", log=True))
    texts = {text.text for text in tree.iter("{http://www.w3.org/2000/svg}text")}
    assert texts == {"2", "5", "10", "2007", "2008", "Value"}


def test_a_year_without_a_value_is_a_gap_in_the_line():
    whole = pd.DataFrame({"year": range(2007, 2013), "series": "a", "value": range(6)})

    def pieces(data):
        tree = ElementTree.fromstring(lines(data, y="value", title="Value"))
        drawn = [p for p in tree.iter(PATHS) if p.get("stroke-width") == "1.8"]
        return sum(path.attrib["d"].count("M") for path in drawn)

    assert pieces(whole) == 1
    assert pieces(whole[whole["year"] != 2009]) == 2


def test_the_number_of_a_cluster_gives_way_to_a_name():
    points = pd.DataFrame({"x": [0.0, 1.0, 2.0], "y": [0.0, 1.0, 2.0], "cluster": 1})
    svg = clusters.scatter_of_years(points, [("China", 1.0, 1.0)], {1: "#0072b2"})
    tree = ElementTree.fromstring(svg)
    level = {t.text: float(t.attrib["y"]) for t in tree.iter("{http://www.w3.org/2000/svg}text")}
    assert level["China"] - level["1"] >= clusters.TEXT
