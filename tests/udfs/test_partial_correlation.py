import numpy as np
import pytest
import statsmodels.api as sm
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats

from udfs.partial_correlation import Reason, partial, pearson, spearman

ROUNDING = 1e-9
"""Absolute; coefficients of a few dozen well-scaled numbers, by two ways of computing them."""
SAMPLES = 4_000
KOLMOGOROV = 1e-4
"""p-value of the Kolmogorov-Smirnov test below which p-values would not count as uniform."""


def gaps(seed, n=40, missing=0.2):
    """Three correlated vectors with holes in different places."""
    rng = np.random.default_rng(seed)
    z = rng.normal(size=n)
    x, y = z + rng.normal(size=n), 0.5 * z + rng.normal(size=n)
    return [np.where(rng.random(n) < missing, np.nan, v) for v in (x, y, z)]


@pytest.mark.parametrize("seed", range(5))
def test_pearson_and_spearman_agree_with_scipy_on_the_common_pairs(seed):
    x, y, _ = gaps(seed)
    both = ~np.isnan(x + y)
    for ours, theirs in ((pearson, stats.pearsonr), (spearman, stats.spearmanr)):
        found, expected = ours(x, y), theirs(x[both], y[both])
        assert found.r == pytest.approx(expected.statistic, abs=ROUNDING)
        assert found.p_value == pytest.approx(expected.pvalue, abs=ROUNDING)
        assert found.n == both.sum()


def test_ranks_of_ties_are_shared_as_in_scipy():
    x, y = [1.0, 2, 2, 3, 3, 3, np.nan], [1.0, 1, 2, 5, 4, 5, 9]
    expected = stats.spearmanr(x[:-1], y[:-1])
    assert spearman(x, y).r == pytest.approx(expected.statistic, abs=ROUNDING)


@pytest.mark.parametrize("seed", range(5))
def test_listwise_partial_is_the_correlation_of_residuals_with_the_p_of_the_regression(seed):
    x, y, z = gaps(seed)
    complete = ~np.isnan(x + y + z)
    a, b, c = x[complete], y[complete], z[complete]
    left_x, left_y = (sm.OLS(v, sm.add_constant(c)).fit().resid for v in (a, b))
    regression = sm.OLS(b, sm.add_constant(np.column_stack([a, c]))).fit()

    found = partial(x, y, z, deletion="listwise")

    assert found.r == pytest.approx(np.corrcoef(left_x, left_y)[0, 1], abs=ROUNDING)
    assert found.p_value == pytest.approx(regression.pvalues[1], abs=ROUNDING)
    assert found.n == complete.sum()


@pytest.mark.parametrize("seed", range(5))
def test_pairwise_partial_is_the_formula_on_coefficients_of_different_minerals(seed):
    x, y, z = gaps(seed)

    def r(u, v):
        both = ~np.isnan(u + v)
        return stats.pearsonr(u[both], v[both]).statistic

    xy, xz, yz = r(x, y), r(x, z), r(y, z)
    expected = (xy - xz * yz) / np.sqrt((1 - xz**2) * (1 - yz**2))
    assert partial(x, y, z, deletion="pairwise").r == pytest.approx(expected, abs=ROUNDING)


def test_without_gaps_both_deletions_are_one():
    x, y, z = gaps(1, missing=0)
    one, other = (partial(x, y, z, deletion=how) for how in ("pairwise", "listwise"))
    assert one.r == pytest.approx(other.r, abs=ROUNDING)
    assert one.p_value == pytest.approx(other.p_value, abs=ROUNDING)


def test_a_stack_of_draws_gives_each_draw_its_own_coefficient():
    rng = np.random.default_rng(2)
    draws = np.where(rng.random((50, 30)) < 0.1, np.nan, rng.normal(size=(50, 30)))
    scores, control = rng.normal(size=30), rng.normal(size=30)
    scores[3] = np.nan
    together = partial(draws, scores, control, deletion="pairwise")
    alone = [partial(one, scores, control, deletion="pairwise") for one in draws]
    assert together.r == pytest.approx([float(one.r) for one in alone], abs=ROUNDING)
    assert (together.n == [int(one.n) for one in alone]).all()
    assert spearman(draws, scores).r == pytest.approx(
        [float(spearman(one, scores).r) for one in draws], abs=ROUNDING
    )


def test_p_values_are_uniform_without_a_signal():
    rng = np.random.default_rng(3)
    x, y, z = (rng.normal(size=(SAMPLES, 25)) for _ in range(3))
    for found in (pearson(x, y), partial(x, y, z, deletion="listwise")):
        assert stats.kstest(found.p_value, "uniform").pvalue > KOLMOGOROV


@given(
    st.lists(st.floats(-1e6, 1e6), min_size=5, max_size=30, unique=True),
    st.floats(0.1, 100),
    st.floats(-100, 100),
)
@settings(max_examples=60, deadline=None)
def test_a_linear_change_of_scale_changes_nothing(x, slope, offset):
    x = np.round(np.array(x), 3)
    y = np.random.default_rng(0).normal(size=x.size)
    before, after = pearson(x, y), pearson(slope * x + offset, y)
    if before.reasons == after.reasons == Reason.COMPUTED and x.std() > 1e-3:
        assert after.r == pytest.approx(before.r, abs=1e-6)
        assert abs(before.r) <= 1


def test_undefined_coefficients_are_nan_with_the_reason():
    line, nan = np.arange(6.0), np.nan
    noise = np.array([3.0, 1, 4, 1, 5, 9])
    cases = {
        Reason.TOO_FEW: [pearson([1.0, 2], [2.0, 1]), pearson([nan] * 6, line),
                         partial(line[:3], noise[:3], [1.0, 0, 0], deletion="listwise")],
        Reason.CONSTANT: [pearson(line, [7.1] * 6), spearman([0.0] * 6, line),
                          partial(line, noise, [2.0] * 6, deletion="pairwise")],
        Reason.DETERMINED: [partial(line, noise, 3 * line - 1, deletion="listwise")],
    }  # fmt: skip
    for reason, found in cases.items():
        for one in found:
            assert one.reasons == reason
            assert np.isnan(one.r)
            assert np.isnan(one.p_value)


def test_contradicting_pairwise_coefficients_are_named_and_not_clipped():
    nan = np.nan
    x = np.array([1.0, 2, 3, 4, 5, nan, nan, nan, nan, 1, 2, 3, 4, 5.1])
    y = np.array([1.0, 2, 3, 4, 5.1, 1, 2, 3, 4, nan, nan, nan, nan, nan])
    z = np.array([nan, nan, nan, nan, nan, 4, 3, 2, 1.1, 1, 2, 3, 4, 5])
    found = partial(x, y, z, deletion="pairwise")
    assert found.reasons == Reason.INCONSISTENT
    assert np.isnan(found.r)


def test_a_perfect_line_has_r_one_and_p_zero():
    found = pearson(np.arange(5.0), 2 * np.arange(5.0) + 1)
    assert (found.r, found.p_value, found.n) == (1.0, 0.0, 5)
