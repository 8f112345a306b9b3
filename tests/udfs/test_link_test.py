"""The link test, against exact fractions, all orders of the countries, and other libraries."""

from fractions import Fraction
from itertools import permutations
from math import sqrt
from statistics import fmean, pstdev

import numpy as np
import pytest
from scipy import stats
from statsmodels.stats.multitest import multipletests

from udfs.link_test import (
    Trade,
    all_pairs,
    country_null,
    country_p_values,
    pairs,
    profiles,
    q_values,
    share_of_years,
    transformed,
)

ROUNDING = 1e-12
"""Sums of a few dozen terms of size 1 differ by 1e-15 with their order, by far more if wrong."""
KERNELS = 1e-13
"""Both kernels multiply the same vectors in blocks of other sizes: only the last digits differ."""


def small_trade(seed: int) -> Trade:
    """Twelve products and six countries with small integers: full of ties, some rows constant."""
    rng = np.random.default_rng(seed)
    imports, exports = rng.integers(0, 4, (2, 12, 6)).astype(float)
    imports[1], exports[2], exports[3] = 2, 1, 0
    exports[5], exports[6] = exports[4], 3 * exports[4]
    return Trade(imports, exports)


def exact_correlation(m, e) -> tuple[Fraction, float] | None:
    """Return a rational number that orders correlations with `m`, and rho; None if constant."""
    m, e = [Fraction(int(x)) for x in m], [Fraction(int(x)) for x in e]
    u, v = [x - sum(m) / len(m) for x in m], [x - sum(e) / len(e) for x in e]
    of_m, of_e = sum(x * x for x in u), sum(x * x for x in v)
    if of_m == 0 or of_e == 0:
        return None
    together = sum(x * y for x, y in zip(u, v, strict=True))
    order = together * abs(together) / of_e
    return order, float(together) / sqrt(of_m * of_e)


def brute_force(trade: Trade, i: int, j: int) -> tuple[float, float, float, float, float]:
    """Return rho, null mean, null sd, z and p of i -> j by the definition, in fractions."""
    rows = [exact_correlation(trade.imports[i], exports) for exports in trade.exports]
    null = [row for product, row in enumerate(rows) if row and product != i]
    if rows[j] is None:
        return np.nan, fmean(r for _, r in null) if null else np.nan, np.nan, np.nan, 1.0
    others = [row for product, row in enumerate(rows) if row and product not in (i, j)]
    as_large = sum(order >= rows[j][0] for order, _ in others)
    mean, sd = fmean(r for _, r in null), pstdev(r for _, r in null)
    return rows[j][1], mean, sd, (rows[j][1] - mean) / sd, (1 + as_large) / (1 + len(others))


@pytest.mark.parametrize("seed", range(12))
def test_enumeration_equals_brute_force_with_ties_constants_and_the_input_itself(seed):
    trade = small_trade(seed)
    i, j = (index.ravel() for index in np.indices((12, 12)))

    found = pairs(profiles(trade, min_countries=1), i, j)

    for k in range(i.size):
        rho, mean, sd, z, p = brute_force(trade, i[k], j[k])
        assert found.p_value[k] == p
        assert found.rho[k] == pytest.approx(rho, abs=ROUNDING, nan_ok=True)
        if not np.isnan(rho):
            assert found.null_mean[k] == pytest.approx(mean, abs=ROUNDING)
            assert found.null_sd[k] == pytest.approx(sd, abs=ROUNDING)
            assert found.z[k] == pytest.approx(z, rel=100 * ROUNDING)


def test_equal_and_proportional_exports_share_their_p_value():
    trade = small_trade(3)
    found = pairs(profiles(trade, min_countries=1), [0, 0, 0], [4, 5, 6])
    assert np.ptp(found.rho) <= ROUNDING
    assert len(set(found.p_value)) == 1


def gravity_world(seed: int, *, products: int, countries: int, demand: float = 0.0) -> Trade:
    """Products that countries trade by size and taste; i's imports follow the exports of i + 1."""
    rng = np.random.default_rng(seed)
    size = np.exp(rng.normal(0, 2.2, countries))
    shape = (products, countries)
    exports = size * np.exp(rng.normal(0, 1.5, shape)) * (rng.random(shape) < 0.5)
    own = size * np.exp(rng.normal(0, 1.0, shape))
    follows = np.roll(exports, -1, axis=0)
    follows *= own.sum(axis=1, keepdims=True) / follows.sum(axis=1, keepdims=True)
    return Trade((1 - demand) * own + demand * follows, exports)


@pytest.mark.parametrize("values", ["raw", "log1p", "share", "asinh_rca"])
def test_all_pairs_agree_with_the_list_of_pairs(values):
    trade = gravity_world(1, products=90, countries=40)
    trade.imports[7, 3:] = 0  # three importers: too few
    trade.exports[11, 5:] = 0
    given = profiles(trade, values=values)
    rng = np.random.default_rng(2)
    i, j = rng.integers(0, 90, (2, 500))
    i[:3], j[:3] = (7, 5, 11), (3, 11, 11)

    listed = pairs(given, i, j)
    blocks = list(all_pairs(given, rows=32))

    for name in ("rho", "null_mean", "null_sd", "z", "p_value", "n_countries"):
        whole = np.concatenate([getattr(block, name) for block in blocks])
        np.testing.assert_allclose(
            getattr(listed, name), whole[i, j], rtol=KERNELS * 100, atol=KERNELS, err_msg=name
        )
    np.testing.assert_array_equal(np.concatenate([b.inputs[:, 0] for b in blocks]), np.arange(90))


def test_all_pairs_of_chosen_inputs_are_the_rows_of_all():
    given = profiles(gravity_world(4, products=30, countries=25))
    [some] = all_pairs(given, [17, 2])
    [whole] = all_pairs(given)
    np.testing.assert_array_equal(some.p_value, whole.p_value[[17, 2]])


def test_correlation_is_that_of_scipy():
    trade = gravity_world(5, products=6, countries=50)
    found = pairs(profiles(trade), [1], [2])
    expected = stats.pearsonr(trade.imports[1], trade.exports[2]).statistic
    assert found.rho[0] == pytest.approx(expected, abs=ROUNDING)


def test_constant_vector_has_no_correlation_and_a_p_value_of_one():
    trade = gravity_world(6, products=5, countries=20)
    trade.imports[0], trade.exports[3] = 0.1, 7e8 / 3
    found = pairs(profiles(trade), [0, 1], [1, 3])
    assert np.isnan(found.rho).all() and np.isnan(found.z).all()
    np.testing.assert_array_equal(found.p_value, 1)


def test_one_country_and_one_product_have_defined_answers():
    single = Trade(np.ones((3, 1)), np.ones((3, 1)))
    one_country = pairs(profiles(single, min_countries=1), [0], [1])
    assert np.isnan(one_country.rho[0]) and one_country.p_value[0] == 1
    values = np.arange(12.0)[None, :]
    one_product = pairs(profiles(Trade(values, values)), [0], [0])
    assert one_product.rho[0] == pytest.approx(1, abs=ROUNDING)
    assert one_product.p_value[0] == 1 and np.isnan(one_product.z[0])


def test_products_of_few_countries_are_neither_tested_nor_in_a_null():
    trade = gravity_world(7, products=8, countries=30)
    trade.exports[4, 9:] = 0
    without = Trade(np.delete(trade.imports, 4, 0), np.delete(trade.exports, 4, 0))
    found = pairs(profiles(trade, min_countries=10), [0, 0], [4, 7])
    alone = pairs(profiles(without, min_countries=10), [0], [6])
    assert found.p_value[0] == 1 and found.n_countries[0] < 10
    assert found.p_value[1] == alone.p_value[0]
    assert found.z[1] == pytest.approx(alone.z[0], rel=100 * ROUNDING)


def kolmogorov_bound(n: int, grid: float) -> float:
    """Return a distance from uniform that n values on a grid exceed with probability 0.001."""
    return 1.95 / sqrt(n) + grid


def test_product_p_values_are_uniform_under_independence_and_never_zero():
    trade = gravity_world(8, products=700, countries=60)
    rng = np.random.default_rng(9)
    i, j = rng.integers(0, 700, (2, 4000))
    p = pairs(profiles(trade), i[i != j], j[i != j]).p_value
    assert p.min() >= 1 / 700
    assert stats.kstest(p, "uniform").statistic < kolmogorov_bound(p.size, 1 / 700)


def test_country_p_values_are_uniform_under_independence_and_never_zero():
    rng = np.random.default_rng(10)
    m, e = np.exp(rng.normal(0, 1.5, (2, 1500, 30)))
    p = np.array(
        [country_p_values(m[k], e[k : k + 1], draws=199, rng=rng)[0] for k in range(len(m))]
    )
    assert p.min() >= 1 / 200
    assert stats.kstest(p, "uniform").statistic < kolmogorov_bound(p.size, 1 / 200)


def test_country_null_calls_size_a_link_and_the_product_null_does_not():
    # No two products are linked here, so each test should pass 5 % of the pairs.
    trade = gravity_world(11, products=300, countries=200)
    i = np.repeat(np.arange(300), 3)
    j = (i + np.tile([17, 40, 120], 300)) % 300
    by_country = country_null(trade.imports[i], trade.exports[j]).z > stats.norm.ppf(0.95)
    by_product = pairs(profiles(trade), i, j).p_value <= 0.05
    assert by_country.mean() > 0.5
    assert by_product.mean() == pytest.approx(0.05, abs=4 * sqrt(0.05 * 0.95 / i.size))


def test_comparative_advantage_finds_planted_links_that_raw_sums_miss():
    trade = gravity_world(12, products=300, countries=200, demand=0.1)
    i = np.arange(300)
    true, false = (i + 1) % 300, (i + 57) % 300

    def area(values):
        given = profiles(trade, values=values)
        linked, unlinked = pairs(given, i, true).rho, pairs(given, i, false).rho
        return (linked[:, None] > unlinked).mean()

    assert area("asinh_rca") > 0.9
    assert area("raw") < 0.8


def test_placebo_tests_the_chain_backwards():
    trade = gravity_world(13, products=40, countries=50, demand=0.8)
    i = np.arange(40)
    forward = pairs(profiles(trade, values="asinh_rca"), i, (i + 1) % 40)
    placebo = pairs(profiles(trade.reversed(), values="asinh_rca"), i, (i + 1) % 40)
    assert (forward.p_value <= 0.05).mean() > 0.9
    assert (placebo.p_value <= 0.05).mean() < 0.25
    of_input, of_output = (
        np.arcsinh(balassa(trade.exports))[3],
        np.arcsinh(balassa(trade.imports))[4],
    )
    assert placebo.rho[3] == pytest.approx(np.corrcoef(of_input, of_output)[0, 1], abs=ROUNDING)


def balassa(x):
    return (x / x.sum(axis=0)) / (x.sum(axis=1, keepdims=True) / x.sum())


def test_values_of_a_two_by_two_world_by_hand():
    x = np.array([[4.0, 0, 0], [1.0, 5.0, 0]])  # the third country trades nothing
    np.testing.assert_allclose(transformed(x, kind="share"), [[0.8, 0, 0], [0.2, 1, 0]])
    expected = np.arcsinh([[2, 0, 0], [1 / 3, 5 / 3, 0]])
    np.testing.assert_allclose(transformed(x, kind="asinh_rca"), expected, rtol=ROUNDING)
    np.testing.assert_allclose(transformed(x, kind="log1p")[1], [np.log(2), np.log(6), 0])
    np.testing.assert_array_equal(transformed(np.zeros((2, 3)), kind="asinh_rca"), 0)


@pytest.mark.parametrize(
    ("m", "e"),
    [
        ([0, 1, 2, 9, 40], [3, 1, 0, 0, 7]),
        ([5, 0, 0, 0, 1, 2], [1, 1, 9, 2, 0, 0]),
        ([1, 2, 4], [0, 1, 7]),
    ],
)
def test_moments_of_the_country_null_are_those_of_all_orders(m, e):
    every = [np.corrcoef(order, e)[0, 1] for order in permutations(m)]
    found = country_null([m], [e])
    assert np.mean(every) == pytest.approx(0, abs=ROUNDING)
    assert found.sd[0] == pytest.approx(np.std(every), abs=ROUNDING)
    assert found.skewness[0] == pytest.approx(stats.skew(every), abs=100 * ROUNDING)
    assert found.z[0] == pytest.approx(np.corrcoef(m, e)[0, 1] / np.std(every), abs=100 * ROUNDING)


def test_sampled_country_p_value_approaches_that_of_all_orders():
    m, e = [0.0, 1, 2, 9, 40, 3], np.array([[3.0, 1, 0, 0, 7, 7], [1.0, 0, 0, 2, 0, 4]])
    draws = 20_000
    found = country_p_values(m, e, draws=draws, rng=np.random.default_rng(14))
    for one, p in zip(e, found, strict=True):
        observed = np.corrcoef(m, one)[0, 1]
        every = [np.corrcoef(order, one)[0, 1] >= observed - ROUNDING for order in permutations(m)]
        assert p == pytest.approx(np.mean(every), abs=4 * sqrt(0.25 / draws))  # four sigma


def test_country_null_of_a_constant_vector_is_undefined():
    found = country_null([[1, 1, 1, 1]], [[1, 2, 3, 4]])
    assert np.isnan([found.rho[0], found.sd[0], found.skewness[0], found.z[0]]).all()
    rng = np.random.default_rng(15)
    assert country_p_values([1, 1, 1], [[1, 2, 3]], draws=9, rng=rng)[0] == 1


@pytest.mark.parametrize("method", ["bh", "by"])
def test_q_values_are_those_of_statsmodels_and_scipy(method):
    p = np.random.default_rng(16).beta(0.3, 1.0, 501)
    p[100:140] = p[60]  # ties
    found = q_values(p, method=method)
    np.testing.assert_allclose(found, multipletests(p, method=f"fdr_{method}")[1], rtol=ROUNDING)
    np.testing.assert_allclose(
        found, stats.false_discovery_control(p, method=method), rtol=ROUNDING
    )


def test_untested_hypotheses_take_no_part_in_q_values():
    p = np.array([0.01, np.nan, 0.04, 0.5, np.nan])
    found = q_values(p)
    np.testing.assert_array_equal(np.isnan(found), np.isnan(p))
    np.testing.assert_allclose(found[[0, 2, 3]], q_values(p[[0, 2, 3]]))
    assert q_values([]).size == 0


def test_share_of_years_counts_only_years_in_which_a_pair_is_tested():
    trade = gravity_world(17, products=6, countries=60)
    silent = Trade(trade.imports, trade.exports * (np.arange(6) != 2)[:, None])
    years = [pairs(profiles(one), [0, 1], [2, 3]) for one in (trade, silent, silent)]
    p = np.array([one.p_value for one in years])
    found = share_of_years(years, level=p[0, 0])
    np.testing.assert_array_equal(found, [1, np.mean(p[:, 1] <= p[0, 0])])
    assert np.isnan(share_of_years(years[1:])[0])


@pytest.mark.parametrize("bad", [-1.0, np.nan, np.inf])
def test_impossible_trade_is_refused_by_name(bad):
    values = np.ones((3, 4))
    values[1, 2] = bad
    with pytest.raises(ValueError, match="exports of product 1 by country 2"):
        Trade(np.ones((3, 4)), values)


def test_unknown_options_are_refused():
    with pytest.raises(ValueError, match="expected raw, log1p, share or asinh_rca"):
        transformed(np.ones((1, 1)), kind="rca")
    with pytest.raises(ValueError, match="expected 'bh' or 'by'"):
        q_values([0.1], method="holm")
    with pytest.raises(ValueError, match="outside"):
        q_values([1.1])
    with pytest.raises(ValueError, match="expected one shape"):
        Trade(np.ones((2, 3)), np.ones((3, 2)))
