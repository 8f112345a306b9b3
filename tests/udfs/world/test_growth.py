"""Planted truth (c): the regression finds the stated coefficients, with honest intervals.

The noise of the planted equation is independent and normal whatever the regressors, so in each
world `F = |X (b - beta)|^2 / k / s^2` has the F distribution with k and n - k degrees of freedom:
one exact joint test a world, uniform over worlds. Intervals of one world depend on each other, so
how far their coverage may stray from 95 % is simulated from the designs themselves.
"""

from dataclasses import dataclass

import numpy as np
import pandas as pd
import pytest
from scipy import stats

from tests.udfs.world.worlds import BASE, TARGET, WINDOWS, indicators_of, small_world, trade_of
from udfs.growth import LEVEL, Specification, Windows, design, fit, rows_of
from udfs.growth_rows import panel_of
from udfs.world import GrowthEquation, Strengths, truth

WORLDS, PLACEBOS = 50, 30
UNIFORM = 0.01
"""Level of the Kolmogorov-Smirnov test of p-values over worlds; seeds are fixed."""
SIGMAS = 3
"""Standard deviations of the coverage over repeated draws of the noise."""
DRAWS = 2_000
ROUNDING = 0.05
"""Standard deviations of the noise by which a planted change or regressor may differ from that of
flows rounded to a dollar, where a country sells for some hundred dollars only."""
SMALL = {"countries": 30, "products": 80, "tier_sizes": (2, 3, 3, 2), "years": WINDOWS}


@dataclass(frozen=True)
class Fitted:
    """A fitted world: F and its p-value, which intervals cover the truth, and the fit itself."""

    p_value: float
    covered: np.ndarray
    true: np.ndarray
    correlation: np.ndarray
    degrees: int


def true_coefficients(world, terms):
    """Return the planted coefficients in the order of the regression's terms."""
    given = truth(world)["growth_coefficients"].set_index("term")["coefficient"]
    names = {"const": "intercept", "rca": "ln_rca"}
    return np.array([given[names.get(t, t.replace("cluster", "group"))] for t in terms])


def planted_table(world):
    """Return the planted rows in the columns of a model, those that stay and are defined."""
    rows = truth(world)["growth_rows"].dropna()
    return rows.rename(columns={"ln_rca": "rca", "group": "cluster"})


def outcome(world, table, true=None):
    """Fit the table and test the true coefficients of `world`, or others."""
    found = fit(table)
    x = design(table)[0].to_numpy(np.float64)
    beta = true_coefficients(world, found.terms) if true is None else true(found.terms)
    k = len(found.terms)
    moved = x @ (found.coefficient - beta)
    f = moved @ moved / k / (found.residual @ found.residual / found.degrees)
    covariance = np.linalg.inv(x.T @ x)
    scale = np.sqrt(np.diag(covariance))
    return Fitted(
        p_value=float(stats.f.sf(f, k, found.degrees)),
        covered=(found.low <= beta) & (beta <= found.high),
        true=beta,
        correlation=covariance / np.outer(scale, scale),
        degrees=found.degrees,
    )


def simulated_coverage(results, rng):
    """Return the share of intervals that cover, over draws of the noise of all worlds."""
    covered, total = np.zeros(DRAWS), 0
    for one in results:
        z = rng.multivariate_normal(np.zeros(len(one.covered)), one.correlation, DRAWS)
        spread = np.sqrt(rng.chisquare(one.degrees, DRAWS) / one.degrees)
        limit = stats.t.ppf(0.5 + LEVEL / 2, one.degrees)
        covered += (np.abs(z) <= limit * spread[:, None]).sum(axis=1)
        total += len(one.covered)
    return covered / total


@pytest.fixture(scope="module")
def worlds():
    return [small_world(seed, **SMALL) for seed in range(1, WORLDS + 1)]


@pytest.fixture(scope="module")
def results(worlds):
    return [outcome(world, planted_table(world)) for world in worlds]


def test_the_joint_test_of_the_true_coefficients_is_uniform_over_worlds(results):
    p = [one.p_value for one in results]
    assert stats.kstest(p, "uniform").pvalue > UNIFORM


def test_95_per_cent_of_intervals_cover_the_truth(results):
    expected = simulated_coverage(results, np.random.default_rng(1))
    assert expected.mean() == pytest.approx(LEVEL, abs=SIGMAS * expected.std() / np.sqrt(DRAWS))
    share = np.concatenate([one.covered for one in results]).mean()
    assert abs(share - LEVEL) < SIGMAS * expected.std()


def test_the_joint_test_rejects_coefficients_of_zero_in_every_world(worlds):
    for world in worlds[:10]:
        intercept = world.growth.intercept

        def nothing(terms, intercept=intercept):
            return np.where(np.array(terms) == "const", intercept, 0.0)

        assert outcome(world, planted_table(world), nothing).p_value < UNIFORM


def test_at_strength_zero_the_test_of_no_effect_is_uniform_and_the_noise_is_there():
    p = []
    for seed in range(1, PLACEBOS + 1):
        world = small_world(seed, **SMALL, strengths=Strengths(growth=0))
        table = planted_table(world)
        given = true_coefficients(world, fit(table).terms)
        assert given[0] == world.growth.intercept and not given[1:].any()
        assert table["change"].std() == pytest.approx(GrowthEquation().noise_sd, rel=0.2)
        p.append(outcome(world, table).p_value)
    assert stats.kstest(p, "uniform").pvalue > UNIFORM


def model_rows(world):
    """Return the regression's rows as the pipeline makes them, from the flows alone."""
    found = indicators_of(world, WINDOWS)
    tiers = {product: tier for (_, product), tier in world.networks.tiers.items()}
    group = dict(zip(world.countries.code, world.countries.group, strict=True))
    rows = found.assign(
        tier=found["product"].map(tiers),
        weight=found["imports"] + found["exports"],
        diagonal=1.0,
        is_input=False,
        cluster=found["country"].map(group),
    )
    exporting = pd.MultiIndex.from_product(
        [WINDOWS, world.countries.code], names=["year", "country"]
    ).to_frame(index=False)
    edges = truth(world)["edges"].query("is_true")
    panel = panel_of(rows, edges[["input", "output"]], exporting)
    model = Specification("planted", Windows(BASE, TARGET, BASE), inputs="none")
    return rows_of(panel, model)


@pytest.mark.parametrize("seed", range(1, 4))
def test_rows_made_from_flows_are_the_planted_rows(seed):
    world = small_world(seed, **SMALL)
    made = model_rows(world).table.set_index(["product", "country"]).sort_index()
    in_network = {product for _, product in world.networks.tiers}
    planted = planted_table(world).set_index(["product", "country"]).sort_index()
    planted = planted[planted.index.get_level_values("product").isin(in_network)]
    assert len(planted) > 100
    assert made.index.equals(planted.index)
    for name in ("tier", "cluster"):
        assert np.array_equal(made[name], planted[name])
    for name in ("change", "rca", "exposure", "hhi", "str"):
        largest = np.abs(made[name] - planted[name]).max()
        assert largest < ROUNDING * GrowthEquation().noise_sd
    found = outcome(world, made.reset_index())
    assert found.p_value > UNIFORM


def test_a_country_that_exports_nothing_has_no_advantage_to_change():
    world = small_world(2, countries=226, products=40, tier_sizes=(1, 1, 1, 1), years=WINDOWS)
    exports = trade_of(world, BASE)[1].sum(axis=1)
    idle = world.countries.code[(exports == 0).any(axis=0)]
    assert idle.size
    rows = truth(world)["growth_rows"]
    assert np.isfinite(rows["ln_rca"].to_numpy(np.float64)).all()
    assert 0.8 < rows["change"].notna().mean() < 1  # a chance of 0.9 to stay
    assert not rows.duplicated(["product", "country"]).any()
