import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from udfs.systemic_risk import (
    HALVED_FROM,
    comparative_advantage,
    damping_of,
    leontief_inverse,
    product_year,
    spectral_radius,
)

ROUNDING = 1e-10
"""Relative; systems of at most 12 countries whose radius is at most 0.99 lose at most 4 digits."""
PRINTED = 5e-5
"""Half a unit in the last of four printed digits."""

# Methods C.1: PV = (A 30, B 70, C 90); T[A,B]=90, T[C,B]=10, T[B,C]=80, T[A,C]=20, T[C,A]=10.
A, B, C = 0, 1, 2
STABILITY = [30.0, 70.0, 90.0]
PRINTED_V = [[0, 0.63, 0.14], [0, 0, 0.24], [0.10, 0.01, 0]]
EXPORTERS, IMPORTERS, VALUES = [A, C, B, A, C], [B, B, C, C, A], [90.0, 10, 80, 20, 10]


def dense(exporters, importers, values, stability):
    """STR by the definition: an explicit inverse of the whole matrix, and V."""
    n = len(stability)
    trade = np.zeros((n, n))
    np.add.at(trade, (exporters, importers), values)
    bought = trade.sum(axis=0)
    v = (1 - np.asarray(stability) / 100)[:, None] * trade / np.where(bought > 0, bought, 1)
    inverse = np.linalg.inv(np.eye(n) - v)
    return inverse, v


def influence_by_series(v):
    """Row sums of V + V^2 + V^3 + ... without the diagonal: no summand is negative.

    So it is exact to some rounding errors of each sum, however small; the first 2^14 powers.
    """
    total, power = np.eye(len(v)), v
    for _ in range(14):
        total, power = total + total @ power, power @ power
    np.fill_diagonal(total, 0)
    return total.sum(axis=1)


@st.composite
def worlds(draw, most_stability=99.0):
    n = draw(st.integers(2, 12))
    pairs = [(a, c) for a in range(n) for c in range(n) if a != c]
    chosen = draw(st.lists(st.sampled_from(pairs), min_size=1, max_size=40, unique=True))
    values = draw(st.lists(st.floats(0.001, 1e6), min_size=len(chosen), max_size=len(chosen)))
    stability = draw(st.lists(st.floats(1.0, most_stability), min_size=n, max_size=n))
    exporters, importers = (np.array(side) for side in zip(*chosen, strict=True))
    return exporters, importers, np.array(values), np.array(stability)


def test_printed_case_in_the_importer_view():
    found = product_year(EXPORTERS, IMPORTERS, VALUES, stability=STABILITY)

    assert found.systemic_risk == pytest.approx([1.1581, 1.7454, 1.5810], abs=PRINTED)
    assert found.influence == pytest.approx([0.9526, 0.2726, 0.1786], abs=PRINTED)
    assert found.systemic_risk.sum() == pytest.approx(4.4846, abs=PRINTED)


def test_printed_case_is_not_the_literal_row_sum():
    inverse, damping = leontief_inverse(PRINTED_V)

    assert inverse.sum(axis=1) == pytest.approx([1.9827, 1.2907, 1.2112], abs=PRINTED)
    assert inverse[0] == pytest.approx([1.03007, 0.65195, 0.30068], abs=PRINTED / 10)
    assert inverse.sum(axis=0) - inverse.diagonal() == pytest.approx(
        [0.1280, 0.7273, 0.5485], abs=PRINTED
    )
    assert damping == 1
    assert spectral_radius(np.array(PRINTED_V)) == pytest.approx(0.26933, abs=PRINTED / 10)


def test_shares_exposure_and_concentration_by_hand():
    found = product_year(
        EXPORTERS, IMPORTERS, VALUES, stability=STABILITY, imputed=[True, False, False]
    )

    assert found.exposure == pytest.approx([10 / 120, 100 / 180, 100 / 120])
    assert found.hhi == pytest.approx([1.0, 0.9**2 + 0.1**2, 0.8**2 + 0.2**2])
    assert found.imputed_share == pytest.approx([0.0, 0.9, 0.2])


@settings(max_examples=200, deadline=None)
@given(worlds())
def test_agrees_with_an_explicit_inverse_of_the_whole_matrix(world):
    exporters, importers, values, stability = world
    inverse, v = dense(*world)
    found = product_year(exporters, importers, values, stability=stability)
    importing = found.imports > 0
    here = found.countries

    assert found.systemic_risk[importing] == pytest.approx(
        inverse.sum(axis=0)[here][importing], rel=ROUNDING
    )
    assert found.influence == pytest.approx(influence_by_series(v)[here], rel=ROUNDING, abs=0)
    most = v.sum(axis=0).max()
    assert np.nanmin(found.systemic_risk) >= 1
    assert np.nanmax(found.systemic_risk) <= (1 + ROUNDING) / (1 - most)


@pytest.mark.parametrize("core", [HALVED_FROM - 1, HALVED_FROM, HALVED_FROM + 1, 200])
@pytest.mark.parametrize("most_stability", [90.0, 1.0])
def test_large_systems_agree_with_an_explicit_inverse(core, most_stability):
    rng = np.random.default_rng(core)
    n = core + 20  # ten more only export, ten only import
    trade = np.where(rng.random((n, n)) < 0.3, rng.lognormal(0, 3, (n, n)), 0.0)
    trade[:, :10] = trade[-10:] = 0
    np.fill_diagonal(trade, 0)
    exporters, importers = np.nonzero(trade)
    stability = rng.uniform(0, most_stability, n)
    inverse, v = dense(exporters, importers, trade[exporters, importers], stability)
    found = product_year(exporters, importers, trade[exporters, importers], stability=stability)

    assert np.count_nonzero((found.imports > 0) & (found.exports > 0)) == core
    assert found.systemic_risk[10:] == pytest.approx(inverse.sum(axis=0)[10:], rel=ROUNDING)
    assert found.influence == pytest.approx(influence_by_series(v), rel=ROUNDING, abs=0)


def test_influence_of_a_tiny_supplier_keeps_its_digits():
    """Its 1 kUSD of 5e9, times a risk of 1/1000, reaches B, whose row sum is 2 by A's and B's V."""
    found = product_year([A, B, C], [B, A, B], [5e9 - 1, 4e9, 1.0], stability=[50.0, 50.0, 99.9])
    share = 1 / 5e9
    loop = 0.25 * (1 - share)  # from A to B and back
    of_b = (1 + 0.5) / (1 - loop)
    assert found.influence[C] == pytest.approx(0.001 * share * of_b, rel=1e-12, abs=0)


@settings(max_examples=100, deadline=None)
@given(worlds(), st.randoms(use_true_random=False))
def test_relabelling_countries_permutes_the_results(world, random):
    exporters, importers, values, stability = world
    names = list(range(stability.size))
    random.shuffle(names)
    new = np.array(names)
    moved = np.empty_like(stability)
    moved[new] = stability
    here = product_year(exporters, importers, values, stability=stability)
    there = product_year(new[exporters], new[importers], values, stability=moved)
    order = np.argsort(new[here.countries])

    assert (new[here.countries][order] == there.countries).all()
    for name in ("exposure", "hhi", "systemic_risk", "influence"):
        assert getattr(here, name)[order] == pytest.approx(
            getattr(there, name), rel=ROUNDING, abs=ROUNDING, nan_ok=True
        )


@settings(max_examples=100, deadline=None)
@given(worlds(), st.floats(1e-3, 1e3), st.randoms(use_true_random=False))
def test_scale_and_order_of_the_flows_change_nothing(world, factor, random):
    exporters, importers, values, stability = world
    order = list(range(values.size))
    random.shuffle(order)
    here = product_year(exporters, importers, values, stability=stability)
    there = product_year(
        exporters[order], importers[order], factor * values[order], stability=stability
    )

    for name in ("exposure", "hhi", "systemic_risk", "influence"):
        assert getattr(here, name) == pytest.approx(
            getattr(there, name), rel=ROUNDING, abs=ROUNDING, nan_ok=True
        )


@settings(max_examples=100, deadline=None)
@given(worlds(most_stability=90.0), st.data())
def test_a_safer_supplier_raises_nobodys_risk(world, data):
    exporters, importers, values, stability = world
    supplier = data.draw(st.sampled_from(sorted(set(exporters.tolist()))))
    safer = stability.copy()
    safer[supplier] += 10
    before = product_year(exporters, importers, values, stability=stability).systemic_risk
    after = product_year(exporters, importers, values, stability=safer).systemic_risk

    assert (np.nan_to_num(after) <= np.nan_to_num(before) * (1 + ROUNDING)).all()


def test_a_closed_group_without_any_stability_is_damped_and_said_so():
    # 0 and 1 buy from each other alone and both have PV 0: the radius of V is exactly 1.
    found = product_year([0, 1, 0], [1, 0, 2], [5.0, 7, 1], stability=[0.0, 0, 50])

    assert found.damping == pytest.approx(0.85)
    # x = 1 + 0.85 x for both, so x = 1 / 0.15; country 2 buys all from country 0.
    assert found.systemic_risk == pytest.approx([1 / 0.15, 1 / 0.15, 1 + 0.85 / 0.15])


def test_a_chain_without_stability_needs_no_damping():
    # Column sums reach 1, but there is no loop: the radius is 0.
    found = product_year([0, 1], [1, 2], [1.0, 1], stability=[0.0, 0, 0])

    assert found.damping == 1
    assert found.systemic_risk[1:] == pytest.approx([2.0, 3.0])


def test_a_country_that_imports_nothing_has_no_risk_of_its_own():
    found = product_year([0], [1], [3.0], stability=[40.0, 50])

    assert np.isnan(found.systemic_risk[0]) and np.isnan(found.hhi[0])
    assert found.exposure.tolist() == [0, 1]
    assert found.systemic_risk[1] == pytest.approx(1.6)
    assert found.influence == pytest.approx([0.6, 0])


def test_flows_of_no_value_make_nobody_an_importer():
    found = product_year([0, 0], [1, 2], [0.0, 3], stability=[40.0, 50, 50])

    assert np.isnan(found.exposure[1]) and np.isnan(found.systemic_risk[1])


def test_no_flows_give_no_countries():
    found = product_year([], [], [], stability=[])

    assert found.countries.size == 0 and found.damping == 1


@pytest.mark.parametrize(
    ("flows", "stability", "says"),
    [
        (([0], [1], [-1.0]), [1, 1], "value -1.0; expected a finite number >= 0"),
        (([0], [1], [np.nan]), [1, 1], "value nan"),
        (([0], [1], [np.inf]), [1, 1], "value inf"),
        (([1], [1], [1.0]), [1, 1], "country 1 trades with itself"),
        (([0, 0], [1, 1], [1.0, 2]), [1, 1], "more than once"),
        (([0], [1], [1.0]), [np.nan, 1], "no stability in \\[0, 100\\], first 0"),
        (([5], [1], [1.0]), [1, 1], "no stability in \\[0, 100\\], first 5"),
        (([0], [1], [1.0]), [101, 1], "no stability"),
    ],
)
def test_impossible_input_is_refused_in_words(flows, stability, says):
    with pytest.raises(ValueError, match=says):
        product_year(*flows, stability=stability)


def test_damping_asks_for_eigenvalues_only_where_needed(monkeypatch):
    monkeypatch.setattr(np.linalg, "eigvals", lambda _: pytest.fail("not needed"))

    assert damping_of(np.full((3, 3), 0.3)) == 1


def test_comparative_advantage_by_hand():
    # Country 0 has half of its 10 in the product, the world 8 of 40: 0.5 / 0.2.
    found = comparative_advantage(np.array([5.0, 3, 0]), np.array([10.0, 30, 0]), 8.0, 40.0)

    assert found[:2] == pytest.approx([2.5, 0.5])
    assert np.isnan(found[2])
    assert np.isnan(comparative_advantage(np.array([0.0]), np.array([1.0]), 0.0, 1.0)).all()
