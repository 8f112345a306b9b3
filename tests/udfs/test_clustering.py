"""Clusters: planted groups are found, labels align, modes and the Rand index are by definition."""

from itertools import permutations
from typing import get_args

import numpy as np
import pandas as pd
import pytest
from sklearn.metrics import adjusted_rand_score

from conf.settings import Countries
from udfs.clustering import (
    DETAIL,
    Reason,
    Run,
    agreement,
    aligned,
    dbm_labels,
    embed,
    embeddings_of_runs,
    hdbscan_labels,
    isolation,
    kmeans_labels,
    mode_clusters,
    planned_runs,
    prepare,
    stability,
    without_background,
)
from udfs.dbm import PRESETS

TWO_LIBRARIES = 1e-12
"""Absolute: a handful of operations in double precision."""
RECOVERED = 0.9
"""Adjusted Rand index asked for by the specification at default strength."""
CHANCE = 0.1
"""Bound on the adjusted Rand index with labels that have nothing to do with the data."""
YEARS, COUNTRIES, GROUPS = 10, 62, 4


def planted(strength, seed=4):
    """Four groups of fifteen countries and two extreme countries, 8 features over 10 years."""
    rng = np.random.default_rng(seed)
    group = np.repeat(np.arange(COUNTRIES) // 15, YEARS)
    centres = strength * np.vstack([rng.normal(0, 1, (GROUPS, 8)), np.zeros((1, 8))])
    x = centres[group] + rng.normal(0, 0.5, (len(group), 8))
    x[-2 * YEARS : -YEARS] += 9 * strength
    x[-YEARS:] -= 9 * strength
    return group + 1, x


@pytest.fixture(scope="module")
def groups():
    labels, x = planted(3.0)
    ordinary = labels <= GROUPS
    return labels[ordinary], embed(x[ordinary], neighbours=15, seed=1)


def test_planted_groups_are_recovered_by_every_algorithm(groups):
    group, points = groups
    for labels in (
        dbm_labels(points),
        hdbscan_labels(points),
        kmeans_labels(points, clusters=GROUPS, seed=1),
    ):
        assert agreement(labels, group) >= RECOVERED


def test_at_strength_zero_nothing_is_recovered():
    group, x = planted(0.0)
    assert abs(agreement(dbm_labels(embed(x, neighbours=15, seed=1)), group)) < CHANCE


def test_an_embedding_is_the_same_each_time(groups):
    _, points = groups
    labels, x = planted(3.0)
    assert (embed(x[labels <= GROUPS], neighbours=15, seed=1) == points).all()


def test_two_extreme_countries_are_the_background_of_very_low():
    """34 of 3,400 points, the share that `very low` cuts off by construction."""
    rng = np.random.default_rng(2)
    crowd = rng.normal(0, 1, (3366, 2)) + np.repeat([[0, 0], [9, 2], [4, 9]], 1122, axis=0)
    far = np.vstack(
        [
            np.array([-14.0, 16.0]) + rng.normal(0, 1.5, (17, 2)),
            np.array([24.0, -9.0]) + rng.normal(0, 1.5, (17, 2)),
        ]
    )
    labels = dbm_labels(np.vstack([crowd, far]))
    assert np.mean(labels[-34:] == 0) >= RECOVERED
    assert np.mean(labels[:-34] == 0) < 0.01


def test_agreement_is_the_adjusted_rand_index_of_scikit_learn():
    rng = np.random.default_rng(2)
    for _ in range(50):
        a, b = rng.integers(0, 4, 60), rng.integers(0, 6, 60)
        assert agreement(a, b) == pytest.approx(adjusted_rand_score(a, b), abs=TWO_LIBRARIES)
    assert agreement(np.ones(5), np.ones(5)) == 1
    assert agreement([0, 0, 1, 1], [5, 5, 2, 2]) == 1
    assert np.isnan(agreement([1], [1]))


def test_alignment_agrees_as_much_as_the_best_of_all_renamings():
    rng = np.random.default_rng(3)
    for _ in range(20):
        reference, labels = rng.integers(0, 5, 80), rng.integers(0, 5, 80)
        best = max(
            np.count_nonzero(np.array([0, *names])[labels] == reference)
            for names in permutations(range(1, 5))
        )
        assert np.count_nonzero(aligned(labels, reference) == reference) == best


def test_alignment_renames_and_never_merges():
    assert aligned([3, 3, 3, 1, 1, 2, 2], [1, 1, 1, 2, 2, 2, 0]).tolist() == [1, 1, 1, 2, 2, 3, 3]
    assert aligned(np.zeros(3), np.zeros(3)).tolist() == [0, 0, 0]
    assert aligned([2, 2, 0], np.zeros(3)).tolist() == [1, 1, 0]


def test_mode_is_the_most_frequent_label_and_a_tie_goes_to_the_latest_year():
    rows = np.array(
        [
            *((7, 2001, 1), (7, 2002, 2), (7, 2003, 1)),
            *((3, 2004, 2), (3, 2001, 0), (3, 2003, 0), (3, 2002, 2), (5, 2001, 4)),
        ]
    )
    for order in (np.arange(8), np.random.default_rng(0).permutation(8)):
        found = mode_clusters(*rows[order].T)
        assert found.country.tolist() == [3, 5, 7]
        assert found.cluster.tolist() == [2, 4, 1]
        assert found.share_of_years == pytest.approx([0.5, 1, 2 / 3])
        assert found.years.tolist() == [4, 1, 3]


def test_stability_is_the_share_of_other_runs_that_agree_with_the_default():
    runs = [[1, 1, 0], [1, 1, 2], [2, 2, 2], [1, 1, 0]]
    share, consensus = stability(runs, [1, 2, 0])
    assert share == pytest.approx([0.75, 0.25, 0.5])
    assert consensus.tolist() == [1, 1, 0]
    assert np.isnan(stability([], [1, 2, 0])[0]).all()


def test_isolation_is_the_distance_to_the_nearest_other_country_in_medians_of_countries():
    country = [5, 5, 7, 7, 9, 9, 9, -1]
    z = np.array([[0, 0], [1, 0], [3, 0], [3, 4], [20, 0], [3, 1], [3, 11], [3, 0.5]])
    # To the nearest of another country, by year: 5: 3, 2; 7: 1, 3; 9: 17, 1, 7; the region: 0.5.
    expected = np.array([0.5, 2.5, 2, 7])
    found = isolation(country, z)
    assert found == pytest.approx(expected / 2.5, abs=TWO_LIBRARIES)
    moved = np.random.default_rng(1).permutation(8)
    assert (isolation(np.array(country)[moved], z[moved]) == found).all()


def test_isolation_is_undefined_alone_and_among_twins():
    assert np.isnan(isolation([5, 5], [[0.0], [1.0]])).all()
    assert np.isnan(isolation([5, 7, 9], [[0.0], [0.0], [1.0]])).all()
    assert isolation([], np.empty((0, 2))).size == 0
    pair_of_twins = isolation([1, 2, 3, 4, 5], [[0.0], [0.0], [10.0], [13.0], [17.0]])
    assert pair_of_twins == pytest.approx([0, 0, 1, 1, 4 / 3], abs=TWO_LIBRARIES)


def profiles(rows=60):
    rng = np.random.default_rng(6)
    names = ["hhi_all", "str_all", "hhi_inputs", "influence_tier0", "score_tier1"]
    table = pd.DataFrame(rng.random((rows, 5)), columns=names)
    return table.assign(country=np.arange(rows) // 2, year=2010 + np.arange(rows) % 2), names


def test_gaps_get_the_mean_of_their_year_and_are_counted():
    table, names = profiles()
    table.loc[4, "str_all"] = np.nan
    found = prepare(table, names)
    whole = table.copy()
    whole.loc[4, "str_all"] = table.loc[(table["year"] == 2010), "str_all"].mean()
    x = whole[names].to_numpy()
    assert found.z == pytest.approx((x - x.mean(0)) / x.std(0), abs=TWO_LIBRARIES)
    assert found.filled.sum() == found.filled[4] == 1 and found.kept.all()


def test_profiles_without_inputs_are_dropped_copied_or_filled_as_asked():
    table, names = profiles()
    table.loc[4, "hhi_inputs"] = np.nan
    dropped = prepare(table, names)
    assert dropped.reason[4] == Reason.NO_INPUTS and dropped.kept.sum() == 59
    copied = prepare(table, names, without_inputs="copy")
    same = prepare(table.fillna({"hhi_inputs": table["hhi_all"]}), names)
    assert (copied.z == same.z).all() and copied.filled[4] == 1
    assert prepare(table, names, without_inputs="mean").kept.all()


def test_what_is_too_empty_or_too_few_is_left_out_with_a_reason():
    table, names = profiles()
    table["score_tier1"] = np.nan
    table["influence_tier0"] = 1.0
    table.loc[3, ["hhi_all", "str_all", "hhi_inputs"]] = np.nan
    found = prepare(table, names, without_inputs="mean")
    assert found.columns == ("hhi_all", "str_all", "hhi_inputs")
    assert found.left_out["score_tier1"] == "no value at all"
    assert found.left_out["influence_tier0"] == "the same everywhere"
    assert found.reason[3] == Reason.TOO_EMPTY and found.kept.sum() == 59
    few = prepare(table.head(20), names, without_inputs="mean")
    assert not few.kept.any() and Reason.TOO_FEW in few.reason.tolist()
    assert set(prepare(table, ["score_tier1"]).reason) == {Reason.NO_COLUMNS.value}
    with pytest.raises(ValueError, match="10 profiles"):
        embed(np.zeros((10, 2)), neighbours=15, seed=1)


def test_runs_are_seeds_by_neighbours_with_the_default_first():
    runs = planned_runs({"b": 100, "a": 40}, repeats=2)
    assert [run.is_default for run in runs[:2]] == [True, True]
    assert len(runs) == len(set(runs)) == 6 + 4  # 40 profiles have no 50 neighbours
    assert planned_runs({"a": 40}, repeats=0) == [Run("a", 15, 1)]


def test_every_preset_of_merging_can_be_asked_for():
    offered = Countries.model_fields["cluster_detail"]
    assert get_args(offered.annotation) == tuple(PRESETS)
    assert offered.default == DETAIL


def test_background_goes_to_the_cluster_of_the_nearest_clustered_point():
    points = [[0.0, 0.0], [1.0, 0.0], [9.0, 0.0], [2.0, 0.0], [6.0, 0.0]]
    assert without_background(points, [1, 1, 2, 0, 0]).tolist() == [1, 1, 2, 1, 2]
    assert without_background(points, [0] * 5).tolist() == [0] * 5
    assert without_background(points, [3] * 5).tolist() == [3] * 5


def test_runs_are_labelled_with_the_detail_asked_for_and_without_background_if_asked():
    rng = np.random.default_rng(4)
    centres = rng.normal(0, 4, (4, 3))
    z = {"a": np.repeat(centres, 60, axis=0) + rng.normal(0, 1, (240, 3))}
    runs, first = planned_runs({"a": 240}, repeats=0), pd.DataFrame({"id": [0]})
    [plain] = embeddings_of_runs(runs, z, seed=7)(iter([first]))
    [fine] = embeddings_of_runs(runs, z, seed=7, detail="most high")(iter([first]))
    [nearest] = embeddings_of_runs(runs, z, seed=7, to_nearest=True)(iter([first]))
    points = plain[["x", "y"]].to_numpy()
    assert fine["label"].tolist() == dbm_labels(points, "most high").tolist()
    assert not fine["label"].equals(plain["label"])
    assert (plain["label"] == 0).any() and not (nearest["label"] == 0).any()
    clustered = plain["label"] > 0
    assert nearest["label"][clustered].equals(plain["label"][clustered])


def test_a_run_does_not_depend_on_the_others():
    z = {"a": np.random.default_rng(0).normal(size=(60, 3))}
    runs = planned_runs({"a": 60}, repeats=1)
    run_all = embeddings_of_runs(runs, z, seed=7)
    together = pd.concat(run_all(iter([pd.DataFrame({"id": [0, 1]})])))
    [alone] = run_all(iter([pd.DataFrame({"id": [1]})]))
    assert together[together["run"] == 1].equals(alone)
