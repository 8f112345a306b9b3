"""A generated folder holds the model's flows, whoever wrote them, and never replaces another."""

import shutil

import pandas as pd
import pytest

from conf.problem import Problem
from conf.settings import SAMPLE, load
from jobs.pipeline import execute, needed_for
from jobs.sources import wgi
from jobs.sources.baci import open_release
from jobs.tables import SOURCES, TABLES, TRADE
from jobs.warehouse import SYNTHETIC_PROPERTY, Warehouse
from jobs.world import generate as made
from jobs.world.recipe import make_world, trade_file, world_of
from udfs.stability import ALWAYS_SCORED
from udfs.world import GENERATOR, flows
from udfs.world import wgi as wgi_of


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
    world, _ = make_world(settings)
    release = open_release(str(folder))
    assert sorted(release.years) == [2010, 2011] and len(release.products) == 240
    for year in (2010, 2011):
        read = pd.read_csv(
            folder / release.years[year].name, dtype={"k": str}, skipinitialspace=True
        )
        expected = [flows(world, year, product) for product in world.products]
        assert len(read) == sum(one.exporters.size for one in expected)
        assert read[["i", "j", "k"]].apply(tuple, axis=1).is_monotonic_increasing
        read = read.sort_values(["k", "i", "j"])
        assert read["v"].tolist() == [v for one in expected for v in one.values_kusd]
        assert read["i"].tolist() == [i for one in expected for i in one.exporters]
        assert read["j"].tolist() == [j for one in expected for j in one.importers]


def test_a_zip_holds_what_the_folder_holds(spark, settings, folder, tmp_path):
    packed = settings.model_copy(
        update={"world": settings.world.model_copy(update={"world_files": "zip"})}
    )
    made.generate(spark, packed, tmp_path / "packed")
    release = open_release(str(tmp_path / "packed"))
    assert release.archive.endswith("packed") and not list((tmp_path / "packed").glob("BACI*.csv"))
    for year, file in release.years.items():
        with file.open() as text:
            assert text.read() == (folder / trade_file(year)).read_bytes()


@pytest.fixture(scope="module")
def recipe(spark, settings, tmp_path_factory):
    """The same world without its trade, which `ingest` generates."""
    target = tmp_path_factory.mktemp("recipe") / "world"
    made.generate(spark, _without_trade(settings), target)
    return target


def _without_trade(settings):
    return settings.model_copy(
        update={"world": settings.world.model_copy(update={"world_files": "none"})}
    )


def test_trade_generated_by_ingest_is_that_of_the_text(spark, warehouse, recipe, tmp_path):
    assert not list(recipe.glob("BACI*"))
    straight = run_to("ingest", spark, tmp_path / "w", recipe, recipe / "wgi.csv")
    assert straight.is_synthetic
    one, other = warehouse.read(TRADE), straight.read(TRADE)
    assert one.count() == other.count() > 10_000
    assert one.exceptAll(other).isEmpty()
    accounts = straight.read(SOURCES).where("kind = 'baci'").toPandas()
    assert accounts["rows"].tolist() == [other.count()]
    assert accounts["rows_rejected"].tolist() == [0]


def test_only_the_products_asked_for_are_generated(spark, warehouse, recipe, tmp_path):
    straight = run_to("ingest", spark, tmp_path / "w", recipe, recipe / "wgi.csv", products="28")
    whole = warehouse.read(TRADE).where("product like '28%'")
    assert straight.read(TRADE).count() == whole.count() > 0
    assert straight.read(TRADE).where("product not like '28%'").isEmpty()


@pytest.mark.parametrize("text", ["", "[]", '{"seed": 1}', '{"files": {"a": "b"}}'])
def test_a_recipe_that_is_none_is_refused(recipe, tmp_path, text):
    other = shutil.copytree(recipe, tmp_path / "other")
    (other / "world.json").write_text(text)
    with pytest.raises(Problem, match="not the recipe of a synthetic world"):
        open_release(str(other))


def test_a_recipe_of_another_generator_is_refused(recipe):
    text = (recipe / "world.json").read_text()
    assert f'"generator": {GENERATOR}' in text
    world_of(text)
    with pytest.raises(Problem, match="This world is of generator 1, here is"):
        world_of(text.replace(f'"generator": {GENERATOR}', '"generator": 1'))


def test_what_a_killed_call_left_is_cleared(spark, settings, tmp_path):
    left = tmp_path / ".world.partial"
    left.mkdir()
    (left / "BACI_HS92_Y1999_Vsynthetic.csv").write_text("half a fi")
    made.generate(spark, _without_trade(settings), tmp_path / "world")
    assert [path.name for path in tmp_path.iterdir()] == ["world"]
    assert not (tmp_path / "world" / "BACI_HS92_Y1999_Vsynthetic.csv").exists()


def test_scores_pass_the_reader_of_wgi(folder):
    assert not wgi.read(folder / "wgi.csv").empty


@pytest.mark.parametrize("seed", range(5))
def test_in_a_world_of_every_country_each_economy_is_scored_once_and_the_large_are(seed):
    given = {"world_products": "240", "world_countries": "226", "years": "2010-2011"}
    settings = load(given | {"seed": str(seed)}, environment={})
    world, countries = make_world(settings)
    assert len(countries) == 226
    scores = wgi_of(world.countries, world.settings.years)
    assert not scores.duplicated(["code", "year"]).any()
    assert set(scores["code"]) >= ALWAYS_SCORED
    assert scores["code"].nunique() < 226


def test_an_existing_folder_is_left_alone(spark, settings, folder):
    with pytest.raises(Problem, match="overwrites nothing"):
        made.generate(spark, settings, folder)


def test_nothing_unfinished_is_left_beside_the_folder(folder):
    assert [path.name for path in folder.parent.iterdir()] == ["world"]
    assert sorted(path.name for path in folder.iterdir() if path.suffix != ".csv") == [
        "recordings",
        "truth",
        "world.json",
    ]


REAL_TRADE = str(SAMPLE / "BACI_HS92_V202601_raw_materials.zip")
REAL_SCORES = str(SAMPLE / "wgi_political_stability.csv")


def run_to(target, spark, folder, baci, wgi, **given):
    """Run a job and all that it needs; return the warehouse."""
    asked = {"warehouse": str(folder), "baci": str(baci), "wgi": str(wgi), "years": "2010"}
    settings = load(asked | given, environment={})
    warehouse = Warehouse(spark, settings.warehouse)
    execute(needed_for(target), warehouse, settings)
    return warehouse


@pytest.fixture(scope="module")
def warehouse(spark, folder, tmp_path_factory):
    place = tmp_path_factory.mktemp("warehouse") / "w"
    return run_to("indicators", spark, place, folder, folder / "wgi.csv")


def test_every_table_of_a_generated_world_says_so(spark, warehouse):
    written = [table for table in TABLES if warehouse.exists(table)]
    assert len(written) == 8
    for table in written:
        shown = spark.sql(f"show tblproperties {warehouse.sql_name(table)}").collect()
        assert {row.key: row.value for row in shown}[SYNTHETIC_PROPERTY] == "true"


@pytest.mark.parametrize("replace", ["false", "true"])
def test_real_trade_does_not_enter_a_generated_world(spark, warehouse, replace):
    with pytest.raises(Problem, match=r"is real trade and the warehouse .* is for generated trade"):
        run_to("indicators", spark, warehouse.root, REAL_TRADE, REAL_SCORES, replace=replace)


def test_generated_trade_does_not_enter_a_real_warehouse(spark, sample, folder):
    with pytest.raises(Problem, match=r"is generated trade and the warehouse .* is for real trade"):
        run_to("indicators", spark, sample.root, folder, folder / "wgi.csv", replace="true")
    assert not sample.is_synthetic


def test_real_scores_do_not_meet_generated_trade(spark, warehouse, folder):
    with pytest.raises(Problem, match=r"real scores and the warehouse .* generated trade"):
        run_to("indicators", spark, warehouse.root, folder, REAL_SCORES)
