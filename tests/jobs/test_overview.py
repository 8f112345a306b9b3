"""`profile` and `compare` over tables made by hand, against numbers read off them."""

import duckdb
import numpy as np
import pandas as pd
import pytest

from conf.problem import Problem
from conf.settings import load
from jobs.overview import NO_IMPORTS, NO_ROW, answer, asked, bar, footnotes, spark_line, traders

COUNTRIES = pd.DataFrame(
    [
        (156, "China", "CN", "CHN"),
        (842, "USA", "US", "USA"),
        (276, "Germany", "DE", "DEU"),
        (280, "Fed. Rep. of Germany (...1990)", None, "DEU"),
    ],
    columns=["country", "name", "iso2", "iso3"],
)
PROFILES = pd.DataFrame(
    [
        ("lithium", country, region, year, "hhi_all", value, None if value else "no trade")
        for country, region, year, value in [
            (156, None, 2010, 0.2),
            (842, None, 2010, 0.5),
            (276, None, 2010, 0.9),
            (-1, "EU", 2010, 0.1),
            (156, None, 2020, None),
            (842, None, 2020, 0.4),
        ]
    ],
    columns=["material", "country", "region", "year", "feature", "value", "reason"],
)
INDICATORS = pd.DataFrame(
    [
        (2010, "283691", 156, 1000.0, 1.0, 0.5, 2.0, 0.3),
        (2010, "283691", 842, 3000.0, 0.5, 0.1, 4.0, 0.0),
        (2010, "283691", 276, 0.0, 0.0, None, None, 1.5),
        (2010, "282520", 156, 0.0, 0.0, None, None, 0.0),
    ],
    columns=["year", "product", "country", "imports_kusd", "exposure", "hhi", "str", "influence"],
)
PRODUCTS = pd.DataFrame(
    [("283691", "Lithium carbonates"), ("282520", "Lithium oxide"), ("010111", "Horses")],
    columns=["product", "description"],
)


def ask(query):
    with duckdb.connect() as connection:
        for name, frame in (
            ("countries", COUNTRIES),
            ("profiles", PROFILES),
            ("indicators", INDICATORS),
            ("products", PRODUCTS),
        ):
            connection.register(name, frame)
        return connection.sql(query).df()


def question(*words, sides=1):
    return asked(ask, load({}, environment={}), words, sides=sides)


def lines(*words, sides=1):
    return [{x.measure: x for x in side} for side in answer(ask, question(*words, sides=sides))]


@pytest.mark.parametrize("word", ["CHN", "chn", "China", "156", "cn"])
def test_a_country_is_found_by_code_name_or_number(word):
    [(subject, year)] = question(word, "2010").sides
    assert (subject.key, subject.title, year) == ("156", "China", 2010)


def test_a_code_that_stands_twice_is_the_country_that_trades():
    assert question("DEU", "2010").sides[0][0].title == "Germany"
    assert question("EU", "2010").sides[0][0].key == "-1"


def test_place_is_the_share_of_other_countries_below_and_regions_are_none_of_them():
    [china], [usa], [eu] = lines("CHN", "2010"), lines("USA", "2010"), lines("EU", "2010")
    assert [x["hhi_all"].place for x in (china, usa, eu)] == [0, 0.5, 0]
    assert usa["hhi_all"].value == 0.5 and usa["hhi_all"].trend == (0.5, 0.4)


def test_what_has_no_value_says_why():
    [old, new] = lines("CHN", "2010", "2020", sides=2)
    assert old["hhi_all"].value == 0.2
    assert np.isnan(new["hhi_all"].value) and new["hhi_all"].reason == "no trade"
    [germany] = lines("DEU", "2020")
    assert germany["hhi_all"].reason == NO_ROW
    assert footnotes([new["hhi_all"], germany["hhi_all"]]) == {"no trade": "a", NO_ROW: "b"}


def test_a_product_is_the_import_weighted_mean_of_its_importers():
    [carbonate, oxide] = lines("283691", "282520", sides=2)
    assert carbonate["imports, million USD"].value == 4
    assert carbonate["importing countries"].value == 2
    assert carbonate["hhi, mean by imports"].value == pytest.approx((0.5 + 3 * 0.1) / 4)
    assert carbonate["str, mean by imports"].value == pytest.approx((2 + 3 * 4) / 4)
    assert carbonate["largest influence"].value == 1.5
    assert oxide["hhi, mean by imports"].reason == NO_IMPORTS


def test_traders_are_the_largest_first_and_none_without_trade():
    assert traders(ask, "283691", 2010, "imports_kusd")["name"].tolist() == ["USA", "China"]
    assert traders(ask, "283691", 2010, "influence")["name"].tolist() == ["Germany", "China"]


@pytest.mark.parametrize(
    ("words", "sides", "says"),
    [
        (["Chnia"], 1, "nearest: China"),
        (["283692"], 1, "no product 283692 .nearest: 283691"),
        (["010111"], 1, "Horses.* is not in the loaded trade"),
        (["CHN", "1999"], 1, "year 1999 is not loaded; loaded are 2010, 2020"),
        (["CHN", "USA"], 1, "found 2 countries"),
        (["CHN"], 2, "expected two of a kind"),
        (["CHN", "283691"], 2, "China is a country and 283691 Lithium carbonates a product"),
        (["283691", "lithium"], 1, "leave 'lithium' out"),
        (["280"], 1, "280 trades none"),
    ],
)
def test_wrong_words_are_answered_with_what_was_expected(words, sides, says):
    with pytest.raises(Problem, match=says):
        question(*words, sides=sides)


def test_bars_and_lines_are_as_long_as_their_shares():
    assert [bar(x) for x in (0.5, 1, 0.05, 0)] == ["█" * 5, "█" * 10, "▌", "▏"]
    assert bar(np.nan) == spark_line([np.nan]) == ""
    assert spark_line([0, np.nan, 7, 2]) == "▁–█▃"
    assert spark_line([2, 2]) == "▄▄"
