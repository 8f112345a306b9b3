"""Properties of generated flows: the same on every worker, and like trade in shape."""

import multiprocessing
import pickle
from concurrent.futures import ProcessPoolExecutor
from importlib import import_module

import numpy as np
import pytest
from scipy.stats import kstest

from tests.udfs.world.worlds import WINDOWS, positions, small_world
from udfs.world import Strengths, WorldSettings, flows, year_of_flows
from udfs.world.exports import outline
from udfs.world.flows import MOST_TONS

LOG_MEAN, LOG_SD = 7.15, 1.05
"""Of the number of flows of a product in a year, as asked for and as in BACI."""
COUNTRIES, PRODUCTS = 226, 400
SIGMAS = 4
"""Standard errors that a sample may be off: 1 in 16,000."""
LEVEL = 0.001
"""Of the Kolmogorov-Smirnov test; the seed is fixed, so that it does not fail by chance."""
KEPT = (0.55, 0.75)
"""Share of a year's pairs that trade in the next; about 0.65 in BACI's sample."""
TOP_SHARE = 0.4
"""Least share of value in the largest hundredth of flows; 0.056 for exponential values."""
ROUNDING = 0.001
"""Thousand USD that rounding, with the least value of 0.001, may add to a flow or take from it."""
FIELDS = ("exporters", "importers", "values_kusd", "quantities_t")


def same(one, other):
    return all(
        np.array_equal(getattr(one, name), getattr(other, name), equal_nan=name == "quantities_t")
        for name in FIELDS
    )


@pytest.fixture(scope="module")
def small():
    return small_world(3, countries=40, products=80, tier_sizes=(4, 5, 5, 4), years=WINDOWS)


@pytest.fixture(scope="module")
def large():
    """A world of BACI's number of countries, two years and no windows."""
    return small_world(4, countries=COUNTRIES, products=PRODUCTS, years=(2010, 2011))


@pytest.fixture(scope="module")
def traded(large):
    """Flows by year and product."""
    return {
        year: {product: flows(large, year, product) for product in large.products}
        for year in large.settings.years
    }


def test_flows_do_not_depend_on_order_or_on_what_else_is_made(small):
    whole = year_of_flows(small, 2010)
    for at, product in reversed(list(enumerate(small.products))):
        alone, mine = flows(small, 2010, product), whole.products == at
        for name in FIELDS:
            assert np.array_equal(getattr(alone, name), getattr(whole, name)[mine], equal_nan=True)


def test_a_year_is_sorted_as_cepii_sorts_it(small):
    year = year_of_flows(small, 2010)
    order = np.lexsort([year.products, year.importers, year.exporters])
    assert np.array_equal(order, np.arange(order.size))


def test_another_process_makes_the_same_flows(small):
    products = list(small.products)[::20]
    with ProcessPoolExecutor(1, mp_context=multiprocessing.get_context("spawn")) as pool:
        found = [pool.submit(flows, small, 2021, product) for product in products]
        for product, elsewhere in zip(products, found, strict=True):
            assert same(elsewhere.result(timeout=60), flows(small, 2021, product))


def test_a_world_made_again_is_the_same_and_another_seed_another(small):
    again = small_world(3, countries=40, products=80, tier_sizes=(4, 5, 5, 4), years=WINDOWS)
    other = small_world(5, countries=40, products=80, tier_sizes=(4, 5, 5, 4), years=WINDOWS)
    assert pickle.dumps(again) == pickle.dumps(small)
    product = next(iter(small.products))
    assert not same(flows(other, 2010, product), flows(small, 2010, product))


def test_flows_are_sorted_and_each_pair_of_two_countries_stands_once(traded, large):
    n = large.countries.code.max() + 1
    for trade in traded[2010].values():
        assert (np.diff(trade.exporters * n + trade.importers) > 0).all()
        assert (trade.exporters != trade.importers).all()
        assert np.isin([trade.exporters, trade.importers], large.countries.code).all()


def test_values_and_quantities_are_positive_with_three_decimals(traded):
    for trade in traded[2010].values():
        quantities = trade.quantities_t[~np.isnan(trade.quantities_t)]
        for given in (trade.values_kusd, quantities):
            assert given.min() >= ROUNDING
            assert np.array_equal(given, given.round(3))


def test_no_flow_is_heavier_than_any_real_one(small, monkeypatch):
    monkeypatch.setattr(import_module("udfs.world.flows"), "FLOW_PRICE_SD", 10.0)
    tons = year_of_flows(small, 2010).quantities_t
    assert np.nanmax(tons) == MOST_TONS


def planned_exports(world, product):
    """Return what each country is to export in each year, shape (countries, years)."""
    if product in world.planted:
        return world.exports[world.planted[product]]
    return outline(product, world.countries, world.settings).exports


def test_exports_of_a_country_are_the_planned_ones_to_the_rounding(small):
    n = small.countries.code.size
    others = [product for product in small.products if product not in small.planted]
    for product in [*small.planted, *others[::5]]:
        for at, year in enumerate(WINDOWS):
            trade = flows(small, year, product)
            seller = positions(small, trade.exporters)
            partners = np.bincount(seller, minlength=n)
            off = np.bincount(seller, trade.values_kusd, n) - planned_exports(small, product)[:, at]
            assert (np.abs(off) <= ROUNDING * partners).all()


def test_numbers_of_flows_are_lognormal_as_in_baci(traded, large):
    counts = [t.exporters.size for p, t in traded[2010].items() if p not in large.planted]
    logs = np.log(counts)
    error = LOG_SD / np.sqrt(logs.size)
    assert abs(logs.mean() - LOG_MEAN) < SIGMAS * error
    assert abs(logs.std(ddof=1) - LOG_SD) < SIGMAS * error / np.sqrt(2)
    assert kstest(logs, "norm", (LOG_MEAN, LOG_SD)).pvalue > LEVEL


def test_pairs_and_exporters_enter_and_leave(traded, large):
    n = large.countries.code.max() + 1
    kept, entered, left = [], 0, 0
    for product, before in traded[2010].items():
        after = traded[2011][product]
        stays = np.isin(
            before.exporters * n + before.importers, after.exporters * n + after.importers
        )
        kept.append((stays.sum(), stays.size))
        entered += np.setdiff1d(after.exporters, before.exporters).size
        left += np.setdiff1d(before.exporters, after.exporters).size
    staying, pairs = np.sum(kept, axis=0)
    assert KEPT[0] < staying / pairs < KEPT[1]
    assert entered > 0 and left > 0


def test_few_flows_hold_much_of_the_value(traded):
    values = np.sort(np.concatenate([t.values_kusd for t in traded[2010].values()]))
    assert values[-values.size // 100 :].sum() > TOP_SHARE * values.sum()


def test_quantities_are_missing_as_often_as_in_baci(traded):
    missing = np.isnan(np.concatenate([t.quantities_t for t in traded[2010].values()]))
    error = np.sqrt(0.04 * 0.96 / missing.size)
    assert abs(missing.mean() - 0.04) < SIGMAS * error


@pytest.mark.parametrize("signal", ["network", "groups", "growth", "upstream"])
@pytest.mark.parametrize("strength", [-0.1, 1.1, float("nan")])
def test_a_strength_out_of_range_is_refused(signal, strength):
    with pytest.raises(ValueError, match=f"strength of {signal} is"):
        Strengths(**{signal: strength})


@pytest.mark.parametrize(
    "wrong",
    [
        {"years": (2010, 2009)},
        {"years": ()},
        {"base_years": (2019, 2020)},
        {"tier_sizes": (8, 16, 16)},
        {"tier_sizes": (8, 16, 0, 8)},
    ],
)
def test_settings_that_contradict_themselves_are_refused(wrong):
    with pytest.raises(ValueError, match="expected"):
        WorldSettings(seed=1, **wrong)


def test_a_product_or_a_year_of_another_world_is_refused(small):
    with pytest.raises(ValueError, match="expected a product of this world's 80 and a year of"):
        flows(small, 1999, next(iter(small.products)))
