"""Planted truth (b): profiles, UMAP and density-based merging give the planted groups back.

The two extreme countries are the farthest from all others among profiles (`isolation`), and UMAP
makes a small island of each, at a place that is a matter of its draw. Far from clusters an island
is background of `very low` (which holds a hundredth of the profiles: both of 226 countries, not
both of 60), or a cluster of its own; next to a cluster it is merged into it. In 54 draws of 6
worlds of 17 years the extreme countries were background in 42 %, a cluster of their own in 8 %;
of the others 1 in 200 was background.
"""

import numpy as np
import pytest

from tests.udfs.world.worlds import PLACEBO, profiles_of, small_world
from udfs.clustering import agreement, dbm_labels, embed, isolation, mode_clusters, prepare
from udfs.profiles import COLUMNS
from udfs.world import Strengths

RECOVERED = 0.9
"""Adjusted Rand index asked for at default strength, mean over worlds."""
CHANCE = 0.05
"""Largest index without groups."""
APART = IN_BACKGROUND = 0.125
"""Least shares of the eight extreme countries, 25 times that of others. UMAP turns a rounding, so
another processor, into another draw that both countries of a world share."""
BACKGROUND_SHARE = 0.01
"""Share of profiles in the background by construction."""
COUNTRIES, BACKGROUND = 226, 0
EIGHT, ALL = tuple(range(2003, 2011)), tuple(range(2007, 2024))


class Clustered:
    """Mode clusters of countries by the pipeline's functions, and the planted groups."""

    def __init__(self, seed, years, strengths=None):
        world = small_world(seed, countries=COUNTRIES, years=years, strengths=strengths)
        profiles = profiles_of(world, years)
        prepared = prepare(profiles, COLUMNS[16])
        rows = profiles[prepared.kept]
        labels = dbm_labels(embed(prepared.z, neighbours=15, seed=1))
        found = mode_clusters(rows["country"], rows["year"], labels)
        group = dict(zip(world.countries.code, world.countries.group, strict=True))
        self.countries = found.country.size
        self.rand = agreement(found.cluster, [group[country] for country in found.country])
        self.cluster = dict(zip(found.country.tolist(), found.cluster.tolist(), strict=True))
        self.extremes = [int(country) for country in group if group[country] == 0]
        alone = isolation(rows["country"], prepared.z)
        self.farthest = found.country[np.argsort(-alone)].tolist()


@pytest.fixture(scope="module")
def worlds():
    return [Clustered(seed, EIGHT) for seed in range(1, 5)]


def test_planted_groups_are_recovered(worlds):
    for found in worlds:
        assert found.countries > 0.9 * COUNTRIES
    assert np.mean([found.rand for found in worlds]) >= RECOVERED


def test_extreme_countries_are_the_farthest_from_all_others(worlds):
    for found in worlds:
        assert set(found.farthest[:2]) == set(found.extremes)


def test_extreme_countries_are_background_or_apart_far_more_often_than_others(worlds):
    apart, background, others = [], [], []
    for found in worlds:
        labels = [found.cluster[country] for country in found.extremes]
        rest = [label for country, label in found.cluster.items() if country not in found.extremes]
        background += [label == BACKGROUND for label in labels]
        apart += [label == BACKGROUND or label not in rest for label in labels]
        others.append(np.mean(np.array(rest) == BACKGROUND))
    assert np.mean(apart) >= APART
    assert np.mean(background) >= IN_BACKGROUND
    assert max(others) <= BACKGROUND_SHARE


def test_with_all_years_and_growth_groups_are_found():
    assert Clustered(1, ALL).rand >= RECOVERED


@pytest.mark.parametrize("strengths", [PLACEBO, Strengths(groups=0)])
def test_without_groups_clusters_agree_with_them_by_chance(strengths):
    assert abs(Clustered(1, EIGHT, strengths).rand) <= CHANCE
