"""The list of minerals, against the bundled product list and the printed table of K15."""

import csv
import io
import zipfile
from importlib import resources

import numpy as np
import pandas as pd
import pytest

from conf.minerals import KILOGRAMS, LISTED, PRINTED_UNIT_KG, REVISIONS, mineral, minerals
from conf.problem import Problem

SAMPLE = resources.files("conf").joinpath("sample")
ROUNDED = 0.08
"""Relative: both numbers behind it are printed with two digits, so up to 5 percent off each."""
SHARED_CODES = {"261400", "280530", "284690", "811291"}
"""Codes that stand for several minerals, because HS 1992 has no other."""


@pytest.fixture(scope="module")
def printed() -> pd.DataFrame:
    with resources.as_file(SAMPLE / "klimek2015_table_s3.csv") as path:
        return pd.read_csv(path, index_col="mineral")


@pytest.fixture(scope="module")
def products() -> dict[str, str]:
    with (
        resources.as_file(SAMPLE / "BACI_HS92_V202601_raw_materials.zip") as path,
        zipfile.ZipFile(path) as archive,
        archive.open("product_codes_HS92_V202601.csv") as file,
    ):
        rows = csv.DictReader(io.TextIOWrapper(file, "utf-8-sig"))
        return {row["code"]: row["description"] for row in rows}


def test_minerals_are_those_of_the_printed_table_in_its_order(printed):
    assert [one.key for one in minerals()] == list(printed.index)
    assert len(printed) == 71


def test_names_are_unique_and_correct_the_printed_spelling():
    names = [one.name for one in minerals()]
    assert len(set(names)) == 71
    assert mineral("Antinomy").name == "Antimony"
    assert mineral("Antimony") == mineral("Antinomy")


def test_every_hs_1992_code_is_in_the_bundled_product_list(products):
    unknown = {(one.key, c) for one in minerals() for c in one.codes["HS92"] if c not in products}
    assert not unknown


@pytest.mark.parametrize(
    ("key", "words"),
    [
        ("Antinomy", "antimony"),
        ("Bismuth", "bismuth"),
        ("Cement", "cement"),
        ("Chromium", "chrom"),
        ("Cobalt", "cobalt"),
        ("Copper", "copper"),
        ("Diamond", "diamond"),
        ("Gallium", "gallium"),
        ("Graphite", "graphite"),
        ("Iron Ore", "iron"),
        ("Lead", "lead"),
        ("Lithium", "lithium"),
        ("Mica (Sheet)", "mica"),
        ("Molybdenum", "molyb"),
        ("Nickel", "nickel"),
        ("Rhenium", "rhenium"),
        ("Sulfur", "sulph"),
        ("Tantalum", "tantalum"),
        ("Tin", "tin"),
        ("Vanadium", "vanadium"),
        ("Zinc", "zinc"),
        ("Zirconium", "zirconium"),
    ],
)
def test_descriptions_of_the_codes_name_the_mineral(products, key, words):
    silent = {
        code: products[code]
        for code in mineral(key).codes["HS92"]
        if words not in products[code].lower() and code not in {"280700", "284180"}
    }
    assert not silent


def test_a_code_stands_for_two_minerals_only_where_it_says_what_else_it_holds():
    every = [(code, one) for one in minerals() for code in one.codes["HS92"]]
    shared = {code for code, one in every if sum(code == other for other, _ in every) > 1}
    assert shared == SHARED_CODES
    assert all(code in one.bundles for code, one in every if code in shared)


def test_a_code_is_not_both_counted_and_left_out_and_reasons_are_given():
    for one in minerals():
        counted = {code for codes in one.codes.values() for code in codes}
        assert not counted & one.left_out.keys(), one.key
        assert one.bundles.keys() <= counted, one.key
        assert all(one.bundles.values()), one.key
        assert all(one.left_out.values()), one.key


def test_codes_follow_the_revision_and_both_neighbours_serve_a_revision_between_two_lists():
    cobalt = mineral("Cobalt")
    assert "810510" in cobalt.codes_in("HS92")
    assert "810510" not in cobalt.codes_in("HS07")
    assert {"810510", "810520"} <= set(cobalt.codes_in("HS02"))
    assert cobalt.codes_in("HS22") == cobalt.codes_in("HS17")
    assert mineral("Bismuth").codes_in("HS22") == ("810610", "810690")
    assert all(one.codes_in(revision) for one in minerals() for revision in REVISIONS)


def test_a_code_of_a_later_list_is_well_formed():
    codes = [c for one in minerals() for listed in LISTED for c in one.codes.get(listed, ())]
    assert all(len(code) == 6 and code.isdigit() for code in codes)


def test_an_unknown_mineral_or_revision_is_an_error_with_the_nearest_name():
    with pytest.raises(Problem, match="Tungsten"):
        mineral("Tungstn")
    with pytest.raises(Problem, match="HS92"):
        mineral("Tin").codes_in("HS93")


def test_reserves_agree_with_the_printed_traded_volume_over_scarcity(printed):
    compared = 0
    for one in minerals():
        scarcity = printed.loc[one.key, "exp_s"]
        if one.reserves_kg is None or np.isnan(scarcity):
            continue
        in_table = one.reserves_kg / KILOGRAMS[one.usgs_unit]
        implied = printed.loc[one.key, "ttv_kg"] / scarcity / PRINTED_UNIT_KG
        assert in_table == pytest.approx(implied, rel=ROUNDED), one.key
        compared += 1
    assert compared == 36


def test_missing_reserves_stay_missing_and_known_ones_have_a_source():
    helium, copper = mineral("Helium"), mineral("Copper")
    assert helium.reserves_kg is None
    assert helium.reserves_source is None
    assert copper.reserves_kg == 690e9
    assert "2014" in copper.reserves_source


def test_printed_scarcity_factor_is_the_power_of_a_thousand_of_the_reserves_table():
    assert mineral("Copper").printed_scarcity_factor == 1
    assert mineral("Cobalt").printed_scarcity_factor == 1_000
    assert mineral("Platinum").printed_scarcity_factor == 1_000_000
    assert mineral("Iron Ore").printed_scarcity_factor == 0.001
    assert mineral("Aluminium").printed_scarcity_factor is None
