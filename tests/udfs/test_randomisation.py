from collections import Counter
from itertools import permutations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from udfs.randomisation import SCHEMES, fix_degree, fix_in_degree, fix_in_out
from udfs.resource_network import shock_shares, topology
from udfs.seeding import group_rng

DRAWS = 20_000
FIVE_SIGMA = 5.0
"""Standard deviations that a count may be off: of 60 counts, one is in 3 of 100,000 samples."""


@st.composite
def links(draw):
    """Links of a network of n countries, with distinct values so that each can be followed."""
    n = draw(st.integers(2, 8))
    every = [(a, c) for a in range(n) for c in range(n) if a != c]
    chosen = draw(st.lists(st.sampled_from(every), unique=True, max_size=len(every)))
    pairs = np.array(chosen, np.int64).reshape(-1, 2)
    values = np.array(draw(st.permutations(range(1, len(chosen) + 1))), float)
    return pairs[:, 0], pairs[:, 1], values, n


def drawn(scheme, network, draws=3, seed=1):
    return SCHEMES[scheme](*network, draws=draws, rng=group_rng(seed, scheme))


@given(st.sampled_from(list(SCHEMES)), links())
@settings(max_examples=150, deadline=None)
def test_every_scheme_keeps_the_number_of_links_every_value_and_simple_pairs(scheme, network):
    _, _, values, n = network
    found = drawn(scheme, network)
    for sources, targets, kept in zip(found.sources, found.targets, found.values, strict=True):
        assert sorted(kept) == sorted(values)
        assert (sources != targets).all()
        assert len({*zip(sources, targets, strict=True)}) == values.size
        assert ((sources >= 0) & (sources < n) & (targets >= 0) & (targets < n)).all()


@given(links())
@settings(max_examples=100, deadline=None)
def test_fixed_in_degree_keeps_what_each_country_buys_value_by_value(network):
    _, targets, values, n = network
    found = drawn("in_degree", network)
    for drawn_targets, kept in zip(found.targets, found.values, strict=True):
        for country in range(n):
            bought = sorted(kept[drawn_targets == country])
            assert bought == sorted(values[targets == country])


@given(links())
@settings(max_examples=100, deadline=None)
def test_fixed_in_and_out_degree_keeps_who_trades_with_whom(network):
    sources, targets, _, _ = network
    found = drawn("in_out_degree", network)
    assert (found.sources == sources).all()
    assert (found.targets == targets).all()


def test_indicators_keep_what_the_scheme_keeps():
    rng = np.random.default_rng(5)
    n = 30
    cells = rng.choice(n * (n - 1), 120, replace=False)
    sources, targets = cells // (n - 1), cells % (n - 1)
    targets = targets + (targets >= sources)
    network = sources, targets, rng.lognormal(size=120), n
    stability = rng.uniform(0, 99, n)

    def described(sources, targets, values):
        return topology(sources, targets, shock_shares(sources, targets, values, stability), n)

    observed = described(*network[:3])
    for scheme in SCHEMES:
        found = drawn(scheme, network, draws=20)
        indicators = described(found.sources, found.targets, found.values)
        assert (indicators.mean_degree == observed.mean_degree).all()
        assert (indicators.in_degree == observed.in_degree).all() == (scheme != "degree")
        assert (indicators.out_degree == observed.out_degree).all() == (scheme == "in_out_degree")
        assert (indicators.scc_share == observed.scc_share).all() == (scheme == "in_out_degree")
        assert not np.allclose(indicators.in_strength, observed.in_strength)


def assert_uniform(outcomes, possible):
    counts = Counter(outcomes)
    assert counts.keys() == set(possible)
    p = 1 / len(possible)
    sigma = np.sqrt(DRAWS * p * (1 - p))
    assert np.abs(np.array(list(counts.values())) - DRAWS * p).max() < FIVE_SIGMA * sigma


def test_links_land_in_every_ordered_pair_of_cells_equally_often():
    cells = [(a, c) for a in range(3) for c in range(3) if a != c]
    network = np.array([0, 1]), np.array([1, 2]), np.array([1.0, 2.0]), 3
    found = fix_degree(*network, draws=DRAWS, rng=np.random.default_rng(1))
    places = [
        tuple(zip(a.tolist(), c.tolist(), strict=True))
        for a, c in zip(found.sources, found.targets, strict=True)
    ]
    assert_uniform(places, list(permutations(cells, 2)))


def test_suppliers_are_every_ordered_choice_without_replacement_equally_often():
    network = np.array([0, 1, 2]), np.array([4, 4, 4]), np.array([1.0, 2.0, 3.0]), 5
    found = fix_in_degree(*network, draws=DRAWS, rng=np.random.default_rng(2))
    assert_uniform([tuple(s) for s in found.sources.tolist()], list(permutations(range(4), 3)))


def test_values_take_every_order_over_the_links_equally_often():
    network = np.array([0, 1, 2]), np.array([1, 2, 0]), np.array([1.0, 2.0, 3.0]), 3
    found = fix_in_out(*network, draws=DRAWS, rng=np.random.default_rng(3))
    assert_uniform([tuple(v) for v in found.values.tolist()], list(permutations([1.0, 2.0, 3.0])))


@pytest.mark.parametrize("scheme", SCHEMES)
def test_a_full_network_leaves_nothing_to_draw_but_values(scheme):
    a, c = np.nonzero(1 - np.eye(6))
    found = drawn(scheme, (a, c, np.arange(30.0), 6))
    for sources, targets in zip(found.sources, found.targets, strict=True):
        assert len({*zip(sources, targets, strict=True)}) == 30


@pytest.mark.parametrize("scheme", SCHEMES)
@pytest.mark.parametrize("n", [0, 1, 5])
def test_a_network_without_links_stays_one(scheme, n):
    none = np.zeros(0, np.int64)
    assert drawn(scheme, (none, none, np.zeros(0), n)).values.shape == (3, 0)


@pytest.mark.parametrize("scheme", SCHEMES)
def test_draws_depend_on_the_key_alone(scheme):
    network = np.array([0, 1, 2]), np.array([1, 2, 0]), np.array([1.0, 2.0, 3.0]), 9
    first, again, other = (drawn(scheme, network, draws=50, seed=s) for s in (1, 1, 2))
    assert (first.sources == again.sources).all()
    assert (first.values == again.values).all()
    moved = (first.sources != other.sources) | (first.values != other.values)
    assert moved.any()


def test_doubled_links_and_self_trade_are_refused():
    values, rng = np.ones(2), np.random.default_rng(0)
    for sources, targets in [([0, 0], [1, 1]), ([0, 1], [0, 2])]:
        with pytest.raises(ValueError, match="itself or stands twice"):
            fix_in_out(np.array(sources), np.array(targets), values, 3, draws=1, rng=rng)
