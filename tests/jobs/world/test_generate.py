"""A generated folder holds the model's flows, whoever wrote them, and never replaces another."""

import pandas as pd
import pytest

from conf.problem import Problem
from conf.settings import SAMPLE, load
from jobs.pipeline import execute, needed_for
from jobs.sources import wgi
from jobs.sources.baci import open_release
from jobs.tables import TABLES
from jobs.warehouse import SYNTHETIC_PROPERTY, Warehouse
from jobs.world import generate as made
from udfs.stability import ALWAYS_SCORED
from udfs.world import flows


@pytest.fixture(scope="module")
def settings():
    given = {"world_products": "240", "world_countries": "40", "years": "2010-2011"}
    return load(given, environment={})


@pytest.fixture(scope="module")
def folder(spark, settings, tmp_path_factory):
    target = tmp_path_factory.mktemp("generated") / "world"
    made.generate(spark, settings, target)
    return target


def test_text_holds_the_flows_of_the_model_made_in_one_process(folder, settings):
    world, _ = made.make_world(settings, open_release(str(made.LISTS)))
    release = open_release(str(folder))
    assert sorted(release.years) == [2010, 2011] and len(release.products) == 240
    for year in (2010, 2011):
        read = pd.read_csv(
            folder / release.years[year].name, dtype={"k": str}, skipinitialspace=True
        )
        expected = [flows(world, year, product) for product in world.products]
        assert len(read) == sum(one.exporters.size for one in expected)
        assert read["v"].tolist() == [v for one in expected for v in one.values_kusd]
        assert read["i"].tolist() == [i for one in expected for i in one.exporters]
        assert read["j"].tolist() == [j for one in expected for j in one.importers]


def test_text_does_not_depend_on_how_products_are_dealt_to_tasks(
    spark, settings, folder, tmp_path, monkeypatch
):
    monkeypatch.setattr(made, "PRODUCTS_A_PIECE", 130)
    made.generate(spark, settings, tmp_path / "again")
    for file in folder.glob("*.csv"):
        assert file.read_bytes() == (tmp_path / "again" / file.name).read_bytes()


def test_scores_pass_the_reader_of_wgi(folder):
    assert not wgi.read(folder / "wgi.csv").empty


@pytest.mark.parametrize("seed", range(5))
def test_in_a_world_of_every_country_each_economy_is_scored_once_and_the_large_are(seed):
    lists = open_release(str(made.LISTS))
    given = {"world_products": "240", "world_countries": "226", "years": "2010-2011"}
    settings = load(given | {"seed": str(seed)}, environment={})
    world, countries = made.make_world(settings, lists)
    assert len(countries) == 226
    scores = made.wgi(world.countries, world.settings.years)
    assert not scores.duplicated(["code", "year"]).any()
    assert set(scores["code"]) >= ALWAYS_SCORED
    assert scores["code"].nunique() < 226


def test_an_existing_folder_is_left_alone(spark, settings, folder):
    with pytest.raises(Problem, match="overwrites nothing"):
        made.generate(spark, settings, folder)


def test_nothing_unfinished_is_left_beside_the_folder(folder):
    assert [path.name for path in folder.parent.iterdir()] == ["world"]
    assert not (folder / "pieces").exists()


REAL_TRADE = str(SAMPLE / "BACI_HS92_V202601_raw_materials.zip")
REAL_SCORES = str(SAMPLE / "wgi_political_stability.csv")


def indicators_of(spark, folder, baci, wgi, **given):
    """Run everything up to `indicators`; return the warehouse."""
    asked = {"warehouse": str(folder), "baci": str(baci), "wgi": str(wgi), "years": "2010"}
    settings = load(asked | given, environment={})
    warehouse = Warehouse(spark, settings.warehouse)
    execute(needed_for("indicators"), warehouse, settings)
    return warehouse


@pytest.fixture(scope="module")
def warehouse(spark, folder, tmp_path_factory):
    place = tmp_path_factory.mktemp("warehouse") / "w"
    return indicators_of(spark, place, folder, folder / "wgi.csv")


def test_every_table_of_a_generated_world_says_so(spark, warehouse):
    written = [table for table in TABLES if warehouse.exists(table)]
    assert len(written) == 8
    for table in written:
        shown = spark.sql(f"show tblproperties {warehouse.sql_name(table)}").collect()
        assert {row.key: row.value for row in shown}[SYNTHETIC_PROPERTY] == "true"


@pytest.mark.parametrize("replace", ["false", "true"])
def test_real_trade_does_not_enter_a_generated_world(spark, warehouse, replace):
    with pytest.raises(Problem, match=r"is real trade and the warehouse .* is for generated trade"):
        indicators_of(spark, warehouse.root, REAL_TRADE, REAL_SCORES, replace=replace)


def test_generated_trade_does_not_enter_a_real_warehouse(spark, sample, folder):
    with pytest.raises(Problem, match=r"is generated trade and the warehouse .* is for real trade"):
        indicators_of(spark, sample.root, folder, folder / "wgi.csv", replace="true")
    assert not sample.is_synthetic


def test_real_scores_do_not_meet_generated_trade(spark, warehouse, folder):
    with pytest.raises(Problem, match=r"real scores and the warehouse .* generated trade"):
        indicators_of(spark, warehouse.root, folder, REAL_SCORES)
