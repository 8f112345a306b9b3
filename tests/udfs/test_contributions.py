"""Contributions and influence against the dense inverse, worked examples and brute force."""

import numpy as np
import pytest

from udfs.contributions import ALL_OTHERS, contributions, influence, supply_chains
from udfs.systemic_risk import product_year

TWO_WAYS = 1e-9
"""Relative: the bound of the specification; both sides are double precision."""
PRINTED = 5e-5
"""Absolute: the worked example is printed to four or five digits."""

A, B, C = 10, 20, 30
EXAMPLE = {(A, B): 90.0, (C, B): 10.0, (B, C): 80.0, (A, C): 20.0, (C, A): 10.0}
PV = np.full(31, np.nan)
PV[[A, B, C]] = 30, 70, 90


def example():
    sources, targets = zip(*EXAMPLE, strict=True)
    return supply_chains(sources, targets, list(EXAMPLE.values()), stability=PV)


@pytest.fixture
def world():
    """39 countries (code 0 is none), some of which only export and some of which only import."""
    rng = np.random.default_rng(3)
    trade = rng.lognormal(0, 2, (40, 40)) * (rng.random((40, 40)) < 0.3)
    np.fill_diagonal(trade, 0)
    trade[0] = trade[:, :6] = 0
    trade[-6:, :] = 0
    sources, targets = np.nonzero(trade)
    return sources, targets, trade[sources, targets], rng.uniform(1, 99, 40)


def dense(sources, targets, values, pv, without=None):
    trade = np.zeros((40, 40))
    trade[sources, targets] = values
    bought = trade.sum(axis=0)
    v = (1 - pv[:, None] / 100) * np.divide(trade, bought, where=bought > 0, out=np.zeros((40, 40)))
    if without is not None:
        v[without] = 0
    return np.linalg.inv(np.eye(40) - v), bought


def by_pair(found, values):
    return dict(zip(zip(found.supplier, found.country, strict=True), values, strict=True))


def test_worked_example_of_three_countries():
    found = contributions(example(), floor=0)
    summand, extraction = by_pair(found, found.summand), by_pair(found, found.extraction)
    assert summand[A, A] == pytest.approx(1.03007, abs=PRINTED)
    assert summand[A, B] == pytest.approx(0.65195, abs=PRINTED)
    assert summand[A, C] == pytest.approx(0.30068, abs=PRINTED)
    assert summand[C, B] == pytest.approx(0.07538, abs=PRINTED)
    assert extraction[A, B] == pytest.approx(0.733, abs=10 * PRINTED)
    assert extraction[A, C] == pytest.approx(0.338, abs=10 * PRINTED)
    assert influence(example()).summand == pytest.approx([0.9526, 0.2726, 0.1786], abs=PRINTED)


@pytest.mark.parametrize("floor", [0, 0.001, 0.05, 10])
def test_contributions_of_an_importer_add_up_to_its_systemic_trade_risk(world, floor):
    sources, targets, values, pv = world
    found = contributions(supply_chains(sources, targets, values, stability=pv), floor=floor)
    inverse, bought = dense(*world)

    totals = np.bincount(found.country, found.summand, 40)
    assert totals[bought > 0] == pytest.approx(inverse.sum(axis=0)[bought > 0], rel=TWO_WAYS)
    risk = product_year(sources, targets, values, stability=pv)
    assert totals[risk.countries][risk.imports > 0] == pytest.approx(
        risk.systemic_risk[risk.imports > 0], rel=TWO_WAYS
    )
    assert set(found.country) == set(np.flatnonzero(bought > 0))


def test_listed_entries_are_those_of_the_inverse_and_none_below_the_floor_is_listed(world):
    sources, targets, values, pv = world
    found = contributions(supply_chains(sources, targets, values, stability=pv), floor=0.01)
    inverse, bought = dense(*world)

    listed = found.supplier != ALL_OTHERS
    assert found.summand[listed] == pytest.approx(
        inverse[found.supplier[listed], found.country[listed]], rel=TWO_WAYS
    )
    off = listed & (found.supplier != found.country)
    assert found.summand[off].min() >= 0.01
    above = (inverse >= 0.01) & (bought > 0) & ~np.eye(40, dtype=bool)
    assert np.count_nonzero(off) == np.count_nonzero(above)
    assert (found.suppliers[~listed] > 1).any()


def test_extraction_is_the_fall_of_risk_when_nobody_depends_on_the_supplier(world):
    sources, targets, values, pv = world
    chains = supply_chains(sources, targets, values, stability=pv)
    before = dense(*world)[0].sum(axis=0)
    for row, supplier in enumerate(chains.countries[chains.exporters][:8]):
        after = dense(*world, without=supplier)[0].sum(axis=0)
        assert chains.extraction[row] == pytest.approx(
            (before - after)[chains.countries], rel=TWO_WAYS, abs=TWO_WAYS
        )


def test_influence_is_sum_and_means_over_the_others_that_import(world):
    sources, targets, values, pv = world
    found = influence(supply_chains(sources, targets, values, stability=pv))
    inverse, bought = dense(*world)
    for row, supplier in enumerate(found.supplier):
        others = (bought > 0) & (np.arange(40) != supplier)
        felt = inverse[supplier][others]
        assert found.summand[row] == pytest.approx(felt.sum(), rel=TWO_WAYS)
        assert found.summand_mean[row] == pytest.approx(felt.mean(), rel=TWO_WAYS)
        assert found.summand_weighted[row] == pytest.approx(
            np.average(felt, weights=bought[others]), rel=TWO_WAYS
        )
    risk = product_year(sources, targets, values, stability=pv)
    at = np.searchsorted(risk.countries, found.supplier)
    assert found.summand == pytest.approx(risk.influence[at], rel=TWO_WAYS)


def test_unstable_supplier_far_upstream_is_named():
    """1 -> 2 -> 3: country 3 buys only from 2, and yet 1 is behind 0.9 x 0.5 of its risk."""
    pv = np.array([np.nan, 10.0, 50.0, 90.0])
    found = contributions(supply_chains([1, 2], [2, 3], [5.0, 7.0], stability=pv), floor=0.001)
    assert by_pair(found, found.summand)[1, 3] == pytest.approx(0.45, rel=TWO_WAYS)


def test_a_closed_group_without_stability_is_damped_as_its_risk_is():
    pv = np.zeros(3)
    chains = supply_chains([1, 2], [2, 1], [1.0, 1.0], stability=pv)
    risk = product_year([1, 2], [2, 1], [1.0, 1.0], stability=pv)
    assert chains.damping == risk.damping < 1
    assert chains.summand.sum(axis=0) == pytest.approx(risk.systemic_risk, rel=TWO_WAYS)


def test_zero_flows_and_no_flows_give_no_rows():
    for chains in (
        supply_chains([], [], [], stability=PV),
        supply_chains([A], [B], [0.0], stability=PV),
    ):
        assert contributions(chains, floor=0.001).supplier.size == 0
        assert influence(chains).supplier.size == 0


def test_a_supplier_whose_only_buyer_is_itself_supplied_has_a_mean_over_others():
    chains = supply_chains([A], [B], [1.0], stability=PV)
    found = influence(chains)
    assert found.summand_mean == pytest.approx([0.7], rel=TWO_WAYS)
    assert found.extraction_weighted == pytest.approx([0.7], rel=TWO_WAYS)


def test_an_exporter_without_stability_is_refused():
    with pytest.raises(ValueError, match="exporter 10 has no stability"):
        supply_chains([A], [B], [1.0], stability=np.full(31, np.nan))
