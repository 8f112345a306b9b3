"""Planted truth (a): trade confirms true pairs and not decoys; with nothing planted, p is uniform.

Decoys are the other half of what names suggest, neighbours of the true outputs in the HS list.
"""

from dataclasses import dataclass

import numpy as np
import pytest
from scipy.stats import kstest

from tests.udfs.world.worlds import PLACEBO, WINDOWS, small_world, trade_of
from udfs.link_test import Trade, pairs, profiles, q_values
from udfs.world import Strengths, World

P_VALUE, Q_VALUE = 0.05, 0.1
"""Limits of paper mode and of robust mode; the latter is the share of kept pairs that is false."""
VALUES = {"paper": "raw", "robust": "asinh_rca"}
SIGMAS = 4
"""Standard errors of a share of pairs."""
RECALL = {"paper": 0.15, "robust": 0.8}
"""Least share of true pairs kept; found 0.22 and 0.91. Raw values mostly show size."""
RECALL_OF_TIER = {"paper": 0.08, "robust": 0.7}
"""The same for each tier of the input; the smallest found are 0.12 and 0.88."""
UNIFORM = 0.01
"""Level of the Kolmogorov-Smirnov test; seeds are fixed."""
PAIRS = 2_000
"""Fewest pairs for the test of uniformity."""


@dataclass(frozen=True)
class Traded:
    """A world and its mean trade over the years."""

    world: World
    trade: Trade


def traded(seeds, **given):
    """Return small worlds with these seeds, and their trade."""

    def of(world):
        imports, exports = trade_of(world, world.settings.years)
        return Traded(world, Trade(imports.mean(axis=0), exports.mean(axis=0)))

    return [of(small_world(seed, **given)) for seed in seeds]


class Links:
    """Tests of every suggested pair of some worlds in one mode."""

    def __init__(self, worlds, mode, *, backwards=False):
        found = [self._of(one.world, one.trade, mode, backwards) for one in worlds]
        self.true, self.tier, self.p_value, self.kept = map(
            np.concatenate, zip(*found, strict=True)
        )

    @staticmethod
    def _of(world, trade, mode, backwards):
        row = {product: at for at, product in enumerate(world.products)}
        suggested = world.networks.proposals
        p = pairs(
            profiles(trade.reversed() if backwards else trade, values=VALUES[mode]),
            [row[pair.input] for pair in suggested],
            [row[pair.output] for pair in suggested],
        ).p_value
        kept = q_values(p) <= Q_VALUE if mode == "robust" else p <= P_VALUE
        return (
            np.array([pair.true for pair in suggested]),
            np.array([pair.tier for pair in suggested]),
            p,
            kept,
        )


def bound(rate, n):
    """Return the largest share expected of n pairs that are kept with chance `rate`."""
    return rate + SIGMAS * np.sqrt(rate * (1 - rate) / n)


def worlds_of(strengths):
    """Three worlds of BACI's number of countries, in which network products are as few as there.

    In a world of little else, what they share would be in the null too, and never pass for a link.
    """
    size = {"countries": 226, "products": 1200, "tier_sizes": (8, 16, 16, 8), "years": (2009,)}
    return traded((1, 2, 3), strengths=strengths, **size)


@pytest.fixture(scope="module")
def default():
    return worlds_of(Strengths())


@pytest.fixture(scope="module")
def links(default):
    return {mode: Links(default, mode) for mode in VALUES}


@pytest.fixture(scope="module")
def network_only():
    return worlds_of(Strengths(network=1, groups=0, growth=0, upstream=0))


@pytest.mark.parametrize("mode", VALUES)
def test_true_pairs_are_found_in_every_tier(links, mode):
    found = links[mode]
    assert found.kept[found.true].mean() >= RECALL[mode]
    assert set(found.tier.tolist()) == {0, 1, 2, 3}
    for tier in range(4):
        assert found.kept[found.true & (found.tier == tier)].mean() >= RECALL_OF_TIER[mode]


@pytest.mark.parametrize("mode", VALUES)
def test_decoys_are_kept_no_more_often_than_the_limit_of_p(links, mode):
    decoys = links[mode].kept[~links[mode].true]
    assert decoys.size > 100
    assert decoys.mean() <= bound(P_VALUE, decoys.size)


def test_robust_mode_finds_more_than_paper_mode_and_holds_its_rate_of_false_links(links):
    robust, paper = links["robust"], links["paper"]
    assert robust.kept[robust.true].mean() > paper.kept[paper.true].mean()
    false = 1 - robust.true[robust.kept]
    assert false.mean() <= bound(Q_VALUE, false.size)


def test_a_chain_run_backwards_is_not_confirmed(default, network_only):
    for mode in VALUES:
        found = Links(network_only, mode, backwards=True)
        assert (found.p_value <= P_VALUE).mean() <= bound(P_VALUE, found.p_value.size)
    assert Links(default, "robust", backwards=True).kept.sum() <= 1


@pytest.fixture(scope="module")
def nothing():
    return traded(range(1, 21), years=(2009,), strengths=PLACEBO)


@pytest.mark.parametrize("mode", VALUES)
def test_with_nothing_planted_p_is_uniform_and_5_per_cent_are_below_005(nothing, mode):
    found = Links(nothing, mode)
    assert found.p_value.size >= PAIRS
    assert (found.p_value <= P_VALUE).mean() <= bound(P_VALUE, found.p_value.size)
    assert kstest(found.p_value, "uniform").pvalue > UNIFORM


def test_with_nothing_planted_robust_mode_keeps_nothing(nothing):
    assert Links(nothing, "robust").kept.sum() <= 1


@pytest.fixture(scope="module")
def windows():
    return traded((1, 2, 3), years=WINDOWS, strengths=PLACEBO)


@pytest.mark.parametrize("mode", VALUES)
def test_windows_of_growth_add_no_false_links(windows, mode):
    found = Links(windows, mode)
    assert (found.p_value <= P_VALUE).mean() <= bound(P_VALUE, found.p_value.size)
