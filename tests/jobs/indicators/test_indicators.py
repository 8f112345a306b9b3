"""Every number of the sample, computed a second time from the CSVs with plain NumPy and pandas."""

import io
import zipfile

import numpy as np
import pandas as pd
import pytest
from ecomplexity import ecomplexity

from conf.problem import Problem
from conf.settings import SAMPLE, load
from jobs.indicators.indicators import indicators, year_contexts
from jobs.indicators.trade_matrices import matrices, task_of
from jobs.indicators.years import of_years
from jobs.tables import INDICATORS, STABILITY, TRADE, TRADE_MATRICES

pytestmark = pytest.mark.spark

TWO_WAYS = 1e-9
"""Relative: the bound of the specification; both sides are double precision."""


@pytest.fixture(scope="module")
def flows():
    with zipfile.ZipFile(SAMPLE / "BACI_HS92_V202601_raw_materials.zip") as archive:
        years = [
            pd.read_csv(io.BytesIO(archive.read(name)), dtype={"k": str})
            for name in archive.namelist()
            if name.startswith("BACI_")
        ]
    return pd.concat(years)


@pytest.fixture(scope="module")
def found(sample):
    keys = ["year", "product", "country"]
    return sample.read(INDICATORS).toPandas().set_index(keys).sort_index()


@pytest.fixture(scope="module")
def stability(sample):
    return sample.read(STABILITY).toPandas()


def by_definition(flows, pv, imputed):
    """One product-year from its rows (i, j, v): a dense matrix of all countries and its inverse."""
    codes = np.union1d(flows["i"], flows["j"])
    n = codes.size
    trade = np.zeros((n, n))
    trade[np.searchsorted(codes, flows["i"]), np.searchsorted(codes, flows["j"])] = flows["v"]
    imports, exports = trade.sum(axis=0), trade.sum(axis=1)
    share = trade / np.where(imports > 0, imports, np.nan)
    v = np.nan_to_num((1 - pv.loc[codes].to_numpy()[:, None] / 100) * share)
    inverse = np.linalg.inv(np.eye(n) - v)
    return pd.DataFrame(
        {
            "country": codes,
            "imports_kusd": imports,
            "exports_kusd": exports,
            "exposure": imports / (imports + exports),
            "hhi": np.where(imports > 0, np.nansum(share**2, axis=0), np.nan),
            "str": np.where(imports > 0, inverse.sum(axis=0), np.nan),
            "influence": inverse.sum(axis=1) - inverse.diagonal(),
            "pv_imputed_share": np.where(
                imports > 0,
                np.nansum(share * imputed.loc[codes].to_numpy()[:, None], axis=0),
                np.nan,
            ),
        }
    )


def test_every_product_year_agrees_with_a_dense_computation_from_the_files(flows, found, stability):
    expected = []
    for (year, product), group in flows.groupby(["t", "k"]):
        scores = stability[stability["year"] == year].set_index("country")
        rows = by_definition(group, scores["pv"], scores["pv_source"] != "observed")
        expected.append(rows.assign(year=year, product=product))
    keys = ["year", "product", "country"]
    expected = pd.concat(expected).set_index(keys).sort_index()

    assert len(expected) > 100_000
    assert expected.index.equals(found.index)
    for name in expected.columns:
        np.testing.assert_allclose(found[name], expected[name], rtol=TWO_WAYS, atol=1e-12)
    assert (found["damping"] == 1).all()


def test_comparative_advantage_agrees_with_another_library(flows, found):
    one_year = flows[flows["t"] == 2015]
    exports = one_year.groupby(["t", "i", "k"], as_index=False)["v"].sum()
    theirs = ecomplexity(
        exports, {"time": "t", "loc": "i", "prod": "k", "val": "v"}, check_logsupermodularity=False
    )
    theirs = theirs[theirs["v"] > 0].set_index(["t", "k", "i"])["rca"].sort_index()
    ours = found["rca"].reindex(theirs.index.set_names(["year", "product", "country"]))

    assert len(theirs) > 4000
    np.testing.assert_allclose(ours, theirs, rtol=TWO_WAYS)


def test_mean_risk_of_rare_earth_compounds_is_the_known_one(found):
    mean = found["str"].groupby(["year", "product"]).mean()

    assert mean[2007, "284690"] == pytest.approx(1.71, abs=0.005)
    assert mean[2022, "284690"] == pytest.approx(2.15, abs=0.005)


def test_matrices_hold_the_flows_of_trade_sorted_by_importer_then_exporter(sample, flows):
    rows = sample.read(TRADE_MATRICES).toPandas()
    pairs = [
        (np.array(r.importers, np.int64) << 16) | np.array(r.exporters, np.int64)
        for r in rows.itertuples()
    ]

    assert len(rows) == flows.groupby(["t", "k"]).ngroups
    assert sum(pair.size for pair in pairs) == len(flows)
    assert all((np.diff(pair) > 0).all() for pair in pairs)
    assert sum(sum(v) for v in rows["values"]) == pytest.approx(flows["v"].sum(), rel=TWO_WAYS)


def test_tasks_have_as_many_flows_each_and_few_years(spark):
    counts = {2010: 30_000, 2011: 60_000, 2012: 10_000}
    rows = [
        (year, f"{product:06d}") for year, flows in counts.items() for product in range(flows // 10)
    ]
    frame = spark.createDataFrame(rows, "year int, product string")
    tasks = frame.select("year", task_of(counts, 5).alias("task")).toPandas()
    assert sorted(set(tasks["task"])) == list(range(5))
    sizes = tasks.groupby("task").size()
    assert sizes.between(1_800, 2_200).all()  # 2,000 products, four standard deviations
    years = tasks.groupby("task")["year"].agg(set)
    assert years.tolist() == [{2010}, {2010, 2011}, {2011}, {2011}, {2011, 2012}]


def test_rows_and_tasks_may_move_but_results_do_not(sample, found):
    trade = sample.read(TRADE).where("year = 2012 and product in ('284690', '260300')")
    shuffled = trade.orderBy("value_kusd").repartition(5)
    exports = sample.read(TRADE).where("year = 2012").toPandas()
    totals = exports.groupby(["year", "exporter"], as_index=False)["value_kusd"].sum()
    contexts = year_contexts(
        totals.rename(columns={"value_kusd": "exports_kusd"}), sample.read(STABILITY).toPandas()
    )
    rows = shuffled.count()
    packed = matrices(shuffled, {2012: rows}, flows_per_task=rows // 2)
    assert packed.rdd.getNumPartitions() == 3
    moved = indicators(packed, contexts).toPandas()
    moved = moved.set_index(["year", "product", "country"]).sort_index()
    here = found.loc[2012].loc[["260300", "284690"]]

    assert len(moved) == len(here)
    np.testing.assert_allclose(moved.to_numpy(np.float64), here.to_numpy(np.float64), rtol=TWO_WAYS)


def test_years_are_refused_by_name_but_an_empty_table_has_none_to_refuse(spark):
    loaded = spark.createDataFrame([(2007,), (2012,), (2012,)], "year int")
    asked = load({"years": "2012,2031"}, environment={})
    with pytest.raises(Problem, match=r"--years: 2031 not loaded; the warehouse has 2007, 2012\."):
        of_years(loaded, asked)
    assert of_years(loaded.where("false"), asked).isEmpty()
    assert of_years(loaded, load({"years": "2012"}, environment={})).count() == 2
    assert of_years(loaded, load({}, environment={})).count() == 3
