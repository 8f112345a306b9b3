"""The picture of a shock and the ranks of countries, on paths drawn by hand."""

from xml.etree import ElementTree

import pandas as pd

from jobs.minerals.shock import Shock
from jobs.report.minerals import country_ranks
from jobs.report.shock_picture import path_figure, path_rows
from tests.jobs.report.small_world import QUOTES, SCRIPT

TEXTS = "{http://www.w3.org/2000/svg}text"
PATHS = "{http://www.w3.org/2000/svg}path"
HITS = pd.DataFrame(
    [
        (1, "A", 0.4, "origin"),
        (1, "B", 0.3, "origin"),
        (1, SCRIPT, 0.01, "origin"),
        (2, "C", 0.1, SCRIPT),
        (2, "A", 0.05, "B"),
        (2, "B", 0.04, "A"),
    ],
    columns=["step", "country", "hit", "through"],
)


def shock(table):
    return Shock("Mineral", "origin", 2012, 40.0, table, None, "complete")


def test_the_strongest_of_each_step_are_kept_and_whoever_lies_on_the_way():
    kept = path_rows(HITS, steps=2, countries=1)
    assert kept[["step", "country"]].values.tolist() == [[1, "A"], [1, SCRIPT], [2, "C"]]


def test_every_line_of_a_shock_begins_at_a_country_drawn_one_step_before():
    kept = path_rows(HITS, steps=2, countries=2)
    before = {(0, "origin")} | set(zip(kept["step"], kept["country"], strict=True))
    assert {(row.step - 1, row.through) for row in kept.itertuples()} <= before


def test_the_picture_has_a_line_for_each_row_of_its_data_and_names_stay_text():
    figure = path_figure(shock(HITS.replace({"C": QUOTES})), steps=2, countries=6)
    assert figure is not None
    tree = ElementTree.fromstring(figure.svg)
    assert len(list(tree.iter(PATHS))) == len(figure.data) == len(HITS)
    assert not list(tree.iter("{http://www.w3.org/2000/svg}script"))
    assert "A 40.0%" in figure.told
    assert "40.0%" in [text.text for text in tree.iter(TEXTS)]


def test_a_shock_that_reaches_nobody_has_no_picture():
    assert path_figure(shock(HITS.iloc[:0]), steps=3, countries=6) is None


def test_countries_that_seldom_trade_are_not_ranked():
    means = pd.DataFrame(
        {
            "country": [1, 2, 3],
            "name": ["often", "seldom", "always"],
            "trade_risk": [0.2, 0.9, 0.1],
            "mineral_years": [8, 7, 10],
        }
    )
    ranked = country_ranks(means, minerals=2, mineral_years=10)
    assert ranked["figure"].data["name"].tolist() == ["often", "always"]
    assert ranked["compared"] == 2
    assert country_ranks(means, minerals=2, mineral_years=20)["figure"] is None
