"""The regression against closed forms of least squares and the sandwich, and planted slopes."""

import dataclasses

import numpy as np
import pandas as pd
import pytest
from scipy import stats
from statsmodels.api import OLS
from statsmodels.stats.outliers_influence import variance_inflation_factor

from udfs.growth import (
    NotFitted,
    Panel,
    Specification,
    Windows,
    cooks_distance,
    design,
    fit,
    mean_rca,
    of_inputs,
    rows_of,
    transformed,
    variance_inflation,
)
from udfs.growth_rows import (
    MISPRINT,
    PRINTED,
    default_windows,
    diagnostics,
    placebo,
    printed,
    row_counts,
    specifications,
    sweep,
)

TWO_LIBRARIES = 1e-9
"""Relative: the bound of the specification."""
COVERED = (0.92, 0.98)
"""Of 350 intervals at 95 per cent: two and a half standard deviations to either side."""
WINDOWS = Windows((2008, 2009), (2020, 2021), (2008, 2009))
SLOPES = {
    "rca": -0.3,
    "exposure": -0.8,
    "hhi": 0.4,
    "str": -0.6,
    "exposure_inputs": 0.7,
    "hhi_inputs": 0.0,
    "str_inputs": -0.5,
}


def world(seed, countries=30, products=20):
    """A panel whose change of ln RCA follows SLOPES, with noise of standard deviation 0.5."""
    rng = np.random.default_rng(seed)
    shape = (4, products, countries)

    def steady(x):
        return np.broadcast_to(x, shape).copy()

    values = {
        "rca": steady(rng.lognormal(0, 1.5, shape[1:])),
        "exposure": steady(rng.random(shape[1:])),
        "hhi": steady(rng.random(shape[1:])),
        "str": steady(1 + rng.random(shape[1:])),
        "diagonal": steady(1 + 0.2 * rng.random(shape[1:])),
        "weight": steady(rng.lognormal(0, 1, shape[1:])),
    }
    panel = Panel(
        years=(2008, 2009, 2020, 2021),
        products=tuple(f"{p:06d}" for p in range(products)),
        tiers=np.arange(products) % 3,
        countries=np.arange(1, countries + 1),
        values=values,
        exporting=np.ones((4, countries), bool),
        edges=(rng.random((products, products)) < 0.3) & ~np.eye(products, dtype=bool),
        is_input=rng.random(shape[1:]) < 0.5,
        cluster=np.arange(countries) % 4,
    )
    given = {name: values[name][0] for name in ("exposure", "hhi", "str")}
    effect = SLOPES["rca"] * np.log(values["rca"][0])
    for name, x in given.items():
        inputs = of_inputs(panel, x, values["weight"][0], "I1")
        effect = effect + SLOPES[name] * x + SLOPES[f"{name}_inputs"] * np.nan_to_num(inputs)
    values["rca"][2:] = values["rca"][:2] * np.exp(effect + rng.normal(0, 0.5, shape[1:]))
    return panel


def default(**changes):
    return Specification("default", WINDOWS, **changes)


@pytest.fixture(scope="module")
def panel():
    return world(1)


@pytest.fixture(scope="module")
def table(panel):
    return rows_of(panel, default()).table


def by_hand(table, groups):
    x, y = design(table)[0].to_numpy(), table["change"].to_numpy()
    n, k = x.shape
    beta = np.linalg.lstsq(x, y, rcond=None)[0]
    bread, residual = np.linalg.inv(x.T @ x), y - x @ beta
    if not groups:
        return beta, np.sqrt(np.diag(bread) * (residual @ residual) / (n - k)), n - k

    def meat(keys):
        sums = pd.DataFrame(x * residual[:, None]).groupby(keys).sum().to_numpy()
        g = len(sums)
        return sums.T @ sums * g / (g - 1) * (n - 1) / (n - k)

    keys = [table[name].to_numpy() for name in groups]
    total = sum(meat(key) for key in keys) - (meat(keys) if len(keys) == 2 else 0)
    smallest = min(table[name].nunique() for name in groups)
    return beta, np.sqrt(np.diag(bread @ total @ bread)), smallest - 1


@pytest.mark.parametrize(
    ("errors", "groups"),
    [("ols", ()), ("country", ("country",)), ("two_way", ("country", "product"))],
)
def test_coefficients_errors_and_p_values_are_those_of_the_matrix_formulas(table, errors, groups):
    found = fit(table, errors=errors)
    beta, se, degrees = by_hand(table, groups)
    assert found.coefficient == pytest.approx(beta, rel=TWO_LIBRARIES, abs=TWO_LIBRARIES)
    assert found.std_error == pytest.approx(se, rel=TWO_LIBRARIES)
    p = 2 * stats.t.sf(abs(beta / se), degrees)
    assert found.p_value == pytest.approx(p, rel=1e-6)
    assert (found.high - found.low) / 2 / se == pytest.approx(stats.t.ppf(0.975, degrees))


def test_planted_slopes_lie_inside_95_per_cent_intervals_in_95_per_cent_of_50_worlds():
    inside = []
    for seed in range(50):
        found = fit(rows_of(world(seed), default()).table)
        at = {term: k for k, term in enumerate(found.terms)}
        inside += [
            found.low[at[name]] <= slope <= found.high[at[name]] for name, slope in SLOPES.items()
        ]
    assert COVERED[0] <= np.mean(inside) <= COVERED[1]


def test_inputs_are_weighted_means_in_each_reading(panel):
    x, weight = panel.values["hhi"][0].copy(), panel.values["weight"][0]
    x[3, :5] = np.nan
    for reading in ("I1", "I2", "I3"):
        found = of_inputs(panel, x, weight, reading)
        for p in range(0, 20, 7):
            for c in range(0, 30, 4):
                chosen = {
                    "I1": panel.edges[:, p],
                    "I2": panel.is_input[:, c],
                    "I3": panel.is_input[:, c] & (panel.tiers == panel.tiers[p]),
                }[reading] & ~np.isnan(x[:, c])
                expected = np.average(x[chosen, c], weights=weight[chosen, c])
                assert found[p, c] == pytest.approx(expected, rel=TWO_LIBRARIES)


def test_an_input_traded_in_one_of_two_years_weighs_half_of_one_traded_in_both():
    panel = world(1)
    edges = np.zeros_like(panel.edges)
    edges[[3, 4], 0] = True
    for name, x in panel.values.items():
        x[1, 4, :] = np.nan if name != "weight" else 0.0
    panel.values["weight"][:2, 3] = panel.values["weight"][0, 4] = 100.0
    table = rows_of(dataclasses.replace(panel, edges=edges), default()).table
    own = table[table["product"] == "000000"].set_index("country")
    hhi = panel.values["hhi"]
    for c, country in enumerate(panel.countries):
        expected = (2 * hhi[0, 3, c] + hhi[0, 4, c]) / 3
        assert own.loc[country, "hhi_inputs"] == pytest.approx(expected, rel=TWO_LIBRARIES)


def test_inputs_are_undefined_where_there_are_none(panel):
    lonely = dataclasses.replace(panel, edges=np.zeros_like(panel.edges))
    rows = rows_of(lonely, default())
    assert rows.table.empty
    with pytest.raises(NotFitted, match="no rows"):
        fit(rows.table)


def test_a_year_without_the_product_is_zero_or_left_out(panel):
    values = dict(panel.values)
    values["rca"] = values["rca"].copy()
    values["rca"][0, 0, 0] = np.nan
    gap = dataclasses.replace(panel, values=values)
    kept = values["rca"][1, 0, 0]
    assert mean_rca(gap, (2008, 2009), "zero")[0, 0] == pytest.approx(kept / 2)
    assert mean_rca(gap, (2008, 2009), "skip")[0, 0] == pytest.approx(kept)


def test_every_candidate_is_used_or_dropped_for_one_reason(panel):
    values = {name: x.copy() for name, x in panel.values.items()}
    values["rca"][:2, 0, :3] = 0
    values["rca"][2:, 1, :2] = 0
    values["hhi"][:, 2, :4] = np.nan
    cluster = panel.cluster.copy()
    cluster[7] = -1
    rows = rows_of(dataclasses.replace(panel, values=values, cluster=cluster), default())
    assert rows.candidates == 600
    assert list(rows.dropped.values()) == [3, 2, 4, 0, 0, 20]
    counts = {row["key"]: row["value"] for row in row_counts(rows) if row["kind"] == "rows"}
    assert counts.pop("candidates") == sum(counts.values())


def test_forms_of_rca():
    x = np.array([0.0, 1.0, 3.0])
    assert np.isnan(transformed(x, "ln")[0])
    assert transformed(x, "ln")[1:] == pytest.approx(np.log([1, 3]))
    assert transformed(x, "ln_offset") == pytest.approx(np.log(x + 0.01))
    assert transformed(x, "log1p") == pytest.approx(np.log(1 + x))
    assert transformed(x, "asinh") == pytest.approx(np.log(x + np.sqrt(x**2 + 1)))
    assert transformed(x, "raw") is x


def test_str_without_diagonal_is_less_by_the_diagonal(panel):
    both = [rows_of(panel, default(diagonal=d)).table["str"].to_numpy() for d in (True, False)]
    product, country = np.nonzero(np.ones((20, 30)))
    assert both[0] - both[1] == pytest.approx(panel.values["diagonal"][0][product, country])


def test_collinear_and_constant_terms_are_left_out_by_name(table):
    x, left_out = design(table.assign(twice=2 * table["hhi"] - table["str"], same=3.0))
    assert "twice" not in x and "same" not in x
    assert left_out["twice"] == "follows from the terms before it"
    assert left_out["same"] == "the same in every row"
    assert left_out["cluster_1"] == left_out["tier_0"] == "reference of the dummies"


def test_a_dummy_of_one_country_has_no_error_clustered_by_country(table):
    alone = table.assign(cluster=np.where(table["country"] == 5, 0, 1))
    found = fit(alone, errors="country")
    at = found.terms.index("cluster_0")
    assert np.isnan(found.std_error[at]) and "only one country" in found.notes[at]
    assert np.isfinite(found.std_error[:at]).all()
    assert fit(alone).notes[at] is None


def test_inflation_and_cooks_distance_are_those_of_statsmodels(table):
    found = fit(table)
    x = design(table)[0].to_numpy()
    expected = [variance_inflation_factor(x, k) for k in range(1, x.shape[1])]
    assert variance_inflation(x)[1:] == pytest.approx(expected, rel=TWO_LIBRARIES)
    cook = OLS(table["change"].to_numpy(), x).fit().get_influence().cooks_distance[0]
    assert cooks_distance(x, found.residual) == pytest.approx(cook, rel=1e-7)


def test_diagnostics_name_the_row_that_moves_the_fit_most(table):
    moved = table.copy()
    moved.loc[3, "change"] += 50
    rows = list(diagnostics(moved, fit(moved)))
    first = next(row for row in rows if row["kind"] == "influence")
    assert first["country"] == moved["country"][3] and first["product"] == moved["product"][3]
    tenths = [row["value"] for row in rows if row["kind"] == "residual_by_fitted"]
    assert len(tenths) == 10


def test_the_printed_p_value_of_hhi_of_inputs_is_impossible():
    coefficient, error, note = PRINTED["hhi_inputs"]
    p = 2 * stats.norm.sf(coefficient / error)
    assert p == pytest.approx(0.009, abs=0.0005) and p > 1e-4
    assert note == MISPRINT
    possible = PRINTED["cluster_2"]
    assert 2 * stats.norm.sf(possible[0] / possible[1]) < 2e-4
    assert printed("lithium", "rca") == (None, None, None)
    assert printed("rare_earths", "tier_3")[1] == 0.2


def test_windows_lie_in_the_years_and_apart():
    years = range(2007, 2024)
    chosen = default_windows(years)
    assert chosen.name == "2008-2011 to 2020-2023"
    others = sweep(years, chosen)
    assert len(others) == len(set(others)) == 2 * 6 * 5 - 1
    assert all(w.baseline[-1] < w.target[0] and w != chosen for w in others)
    [early] = placebo(years, chosen)
    assert early.target[-1] < early.indicators[0]
    names = [model.name for model in specifications(years, chosen)]
    assert names[0] == "ln, I1, ols" and len(names) == len(set(names))


def test_few_years_give_the_windows_that_fit_or_a_reason():
    assert default_windows([2010, 2011, 2012]).name == "2010-2010 to 2012-2012"
    for years, options in (([2010], {}), ([2010, 2011], {"target": (2015,)})):
        with pytest.raises(NotFitted, match="loaded"):
            default_windows(years, **options)
    with pytest.raises(NotFitted, match="before"):
        default_windows([2010, 2011], baseline=(2011,), target=(2010,))
