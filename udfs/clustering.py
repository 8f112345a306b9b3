"""Clusters of countries: profiles embedded in a plane, density-based merging, and their stability.

Source: Klimek, Baum, Gerschberger and Hess (2025), Methods: UMAP (McInnes, Healy and Melville 2018)
of z-scored country-year profiles, then density-based merging (`udfs.dbm`). They print no
parameters; those here are the defaults of the program they used. An embedding is one draw, so runs
with other seeds and neighbourhoods are set beside it: labels aligned one to one with the default
run (Kuhn 1955), and the adjusted Rand index (Hubert and Arabie 1985), which needs no alignment.
"""

from __future__ import annotations

import warnings
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Literal

import numpy as np
import pandas as pd
from numpy.typing import ArrayLike, NDArray
from scipy.optimize import linear_sum_assignment
from scipy.spatial import cKDTree
from scipy.spatial.distance import cdist

from udfs import dbm
from udfs.seeding import group_rng

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]
Mask = NDArray[np.bool_]
WithoutInputs = Literal["drop", "copy", "mean"]

BACKGROUND = 0
DETAIL = "very low"
"""Preset of density-based merging; only it and `adaptive` give about the printed five clusters."""
NEIGHBOURS = (15, 30, 50)
"""Neighbourhoods of the runs; the first, the default of the authors' program, is the default."""
MIN_DIST = 0.3
"""UMAP's min_dist in the authors' program; Python's own default is 0.1."""
MIN_PROFILES = 2 * NEIGHBOURS[0]
"""With fewer profiles most of them are each other's neighbours, and a plane shows nothing."""
COLUMN_SHARE = 0.5
"""A column with a value in a smaller share of the profiles says more of the gaps than of risk."""
ROW_SHARE = 0.5
"""A profile with values in a smaller share of the columns kept would be mostly means of others."""


class Reason(StrEnum):
    """Why a profile is not clustered; one sentence each."""

    NO_COLUMNS = "fewer than two columns of the profiles have values for half of the country-years"
    NO_INPUTS = (
        "the country has no input products, or trades none of them (clusters_without_inputs)"
    )
    TOO_EMPTY = "more than half of the columns have no value for this country and year"
    BACKGROUND = "background of density-based merging (cluster_background)"
    TOO_FEW = f"there are fewer than {MIN_PROFILES} profiles to cluster"


@dataclass(frozen=True, slots=True)
class Prepared:
    """Profiles made ready for an embedding.

    z: columns of mean 0 and sd 1 (ddof 0), shape (m, k), of the m rows kept. kept: shape (n,).
    filled: cells filled per row, shape (n,). reason: why a row is not kept, None where it is,
    shape (n,). columns: names of the k columns. left_out: why other columns are not among them.
    """

    z: Floats
    kept: Mask
    filled: Ints
    reason: NDArray[np.object_]
    columns: tuple[str, ...]
    left_out: dict[str, str]


@dataclass(frozen=True, slots=True)
class CountryClusters:
    """One entry a country, each of shape (c,), countries ascending.

    cluster: most frequent label over the years; share_of_years: share of them with it, (0, 1];
    years: how many.
    """

    country: Ints
    cluster: Ints
    share_of_years: Floats
    years: Ints


def prepare(
    profiles: pd.DataFrame,
    columns: Sequence[str],
    *,
    without_inputs: WithoutInputs = "drop",
    log_influence: bool = False,
) -> Prepared:
    """Choose columns and rows, fill gaps by the mean of the year, and z-score.

    Columns with a value in under half of the rows, or with one value only, are left out. If the
    columns of input products are kept, a row that has none of them is dropped, or gets the value
    of all products, or the mean, by `without_inputs`. Of the others, rows with a value in under
    half of the columns are dropped.

    Args:
        profiles: one row a country and year; country, year and the columns, NaN = no value.
        columns: names of the columns.
        without_inputs: drop the profile, copy the value of all products, or fill with the mean.
        log_influence: take log(1 + x) of the columns of influence, which are skewed.
    """
    values = profiles[list(columns)].astype(np.float64)
    if log_influence:
        skewed = [name for name in columns if name.startswith("influence")]
        values[skewed] = np.log1p(values[skewed])
    names, left_out = _columns(values)
    gaps = values[names].isna().sum(axis=1).to_numpy(np.int64)
    values, reason = _rows(values[names], without_inputs)
    kept = np.array([why is None for why in reason], np.bool_)
    chosen, years = values[kept], profiles["year"].to_numpy()[kept]
    filled = chosen.fillna(chosen.groupby(years).transform("mean")).fillna(chosen.mean())
    z, varying = _standardised(filled, left_out)
    return Prepared(z, kept, np.where(kept, gaps, 0), reason, varying, left_out)


def _rows(
    values: pd.DataFrame, without_inputs: WithoutInputs
) -> tuple[pd.DataFrame, NDArray[np.object_]]:
    """Return the values, copied where inputs are, and why a row is left out."""
    reason: NDArray[np.object_] = np.full(len(values), None, dtype=object)
    inputs = [name for name in values.columns if "_inputs" in name]
    without = values[inputs].isna().all(axis=1) & bool(inputs)
    if without_inputs == "copy":
        of_all = {name: name.replace("_inputs", "_all") for name in inputs}
        values = values.assign(
            **{
                name: values[name].where(~without, values[source])
                for name, source in of_all.items()
                if source in values.columns
            }
        )
    reason[(values.notna().mean(axis=1) < ROW_SHARE).to_numpy()] = Reason.TOO_EMPTY.value
    if without_inputs == "drop":
        reason[without.to_numpy()] = Reason.NO_INPUTS.value
    if values.shape[1] < 2:
        reason[:] = Reason.NO_COLUMNS.value
    kept = np.array([why is None for why in reason], np.bool_)
    if np.count_nonzero(kept) < MIN_PROFILES:
        reason[kept] = Reason.TOO_FEW.value
    return values, reason


def _columns(values: pd.DataFrame) -> tuple[list[str], dict[str, str]]:
    """Return the columns with values enough, and why others are left out."""
    shares = {str(name): float(share) for name, share in values.notna().mean().items()}
    left_out = {
        name: f"a value in {share:.1%} of the profiles" if share > 0 else "no value at all"
        for name, share in shares.items()
        if not share >= COLUMN_SHARE
    }
    return [name for name in shares if name not in left_out], left_out


def _standardised(filled: pd.DataFrame, left_out: dict[str, str]) -> tuple[Floats, tuple[str, ...]]:
    """Return z-scores of the columns that vary and their names; note those that do not."""
    x = filled.to_numpy(np.float64)
    if not x.size:
        return x, tuple(filled.columns)
    mean, sd = x.mean(axis=0), x.std(axis=0)
    varies = sd > np.finfo(np.float64).eps * np.abs(mean) * len(x)
    left_out |= {name: "the same everywhere" for name in filled.columns[~varies]}
    return (x[:, varies] - mean[varies]) / sd[varies], tuple(filled.columns[varies])


def embed(z: ArrayLike, *, neighbours: int, seed: int) -> Floats:
    """Return UMAP coordinates, shape (n, 2): the same for the same rows in the same order.

    The neighbours are found exactly, by all distances, which is faster here than UMAP's search.

    Raises:
        ValueError: there are not more rows than neighbours.
    """
    x = np.asarray(z, np.float64)
    if x.shape[0] <= neighbours:
        raise ValueError(f"{x.shape[0]} profiles; expected more than the {neighbours} neighbours")
    from sklearn.neighbors import NearestNeighbors

    with warnings.catch_warnings():
        # On import about TensorFlow; on use that new points cannot be added, which nobody does.
        warnings.simplefilter("ignore")
        from umap import UMAP

        found = NearestNeighbors(n_neighbors=neighbours).fit(x).kneighbors(x)
        reducer = UMAP(
            n_neighbors=neighbours,
            min_dist=MIN_DIST,
            random_state=seed,
            n_jobs=1,
            precomputed_knn=(found[1], found[0], None),
        )
        return np.asarray(reducer.fit_transform(x), np.float64)


def dbm_labels(points: ArrayLike, detail: str = DETAIL) -> Ints:
    """Return labels by density-based merging in a padded box, shape (n,); 0 = background.

    detail: a preset of `udfs.dbm.PRESETS`.
    """
    return np.asarray(dbm.cluster(points, detail=detail, pad=True).labels, np.int64)


def without_background(points: ArrayLike, labels: ArrayLike) -> Ints:
    """Return labels in which a point of the background has that of the nearest clustered point.

    points: shape (n, 2); labels: shape (n,), returned as they are if all are background.
    """
    x, found = np.asarray(points, np.float64), np.array(labels, np.int64)
    clustered = found != BACKGROUND
    if clustered.any() and not clustered.all():
        nearest = cKDTree(x[clustered]).query(x[~clustered])[1]
        found[~clustered] = found[clustered][nearest]
    return found


def hdbscan_labels(points: ArrayLike) -> Ints:
    """Return labels by HDBSCAN (Campello, Moulavi and Sander 2013); 0 = noise.

    A cluster has at least a fiftieth of the points, and ten.
    """
    from sklearn.cluster import HDBSCAN

    x = np.asarray(points, np.float64)
    size = min(max(10, len(x) // 50), len(x))
    found = HDBSCAN(min_cluster_size=size, copy=True).fit_predict(x)
    return np.asarray(found + 1, np.int64)


def kmeans_labels(points: ArrayLike, *, clusters: int, seed: int) -> Ints:
    """Return labels 1..clusters by k-means, which knows no background."""
    from sklearn.cluster import KMeans

    found = KMeans(clusters, n_init=10, random_state=seed).fit_predict(np.asarray(points))
    return np.asarray(found + 1, np.int64)


def aligned(labels: ArrayLike, reference: ArrayLike) -> Ints:
    """Rename the clusters of `labels`, shape (n,), to those of `reference` they overlap most.

    Pairs are matched one to one so that the most points agree (Kuhn 1955). Background stays
    background; a cluster without a partner gets a number above all of the reference.
    """
    given, target = np.asarray(labels, np.int64), np.asarray(reference, np.int64)
    own, theirs = (np.unique(x[x != BACKGROUND]) for x in (given, target))
    overlap = _contingency(given, target, own, theirs)
    names = {BACKGROUND: BACKGROUND}
    for row, column in zip(*linear_sum_assignment(-overlap), strict=True):
        if overlap[row, column] > 0:
            names[int(own[row])] = int(theirs[column])
    free = int(target.max(initial=0))
    for name in own.tolist():
        if name not in names:
            free += 1
            names[name] = free
    return np.array([names[name] for name in given.tolist()], np.int64)


def _contingency(a: Ints, b: Ints, rows: Ints, columns: Ints) -> Ints:
    counts = [[np.count_nonzero((a == r) & (b == c)) for c in columns] for r in rows]
    return np.array(counts, np.int64).reshape(rows.size, columns.size)


def mode_clusters(country: ArrayLike, year: ArrayLike, labels: ArrayLike) -> CountryClusters:
    """Return each country's most frequent label over the years; a tie goes to the latest year.

    All of shape (n,), one entry a country and year.
    """
    table = pd.DataFrame({"country": country, "year": year, "label": labels})
    groups = table.sort_values(["country", "year"], ascending=[True, False]).groupby("country")
    found = [(code, *_mode(rows["label"].tolist())) for code, rows in groups]
    return CountryClusters(
        country=np.array([row[0] for row in found], np.int64),
        cluster=np.array([row[1] for row in found], np.int64),
        share_of_years=np.array([row[2] for row in found], np.float64),
        years=np.array([row[3] for row in found], np.int64),
    )


def _mode(newest_first: list[int]) -> tuple[int, float, int]:
    mode = max(newest_first, key=newest_first.count)  # max takes the first of equals
    return mode, newest_first.count(mode) / len(newest_first), len(newest_first)


def stability(runs: Sequence[ArrayLike], default: ArrayLike) -> tuple[Floats, Ints]:
    """Return, for each of c countries, the share of runs that agree, and the consensus.

    Args:
        runs: clusters of the countries in each other run, aligned to the default, shape (c,) each.
        default: clusters of the countries in the default run, shape (c,).

    Returns:
        Share of the other runs with the default's cluster, in [0, 1], NaN without any; and the
        most frequent cluster of all runs, a tie going to the default, else to the lowest.
    """
    own = np.asarray(default, np.int64)
    if not runs:
        return np.full(own.shape, np.nan), own
    others = np.array([np.asarray(run, np.int64) for run in runs])
    every = np.vstack([own, others])
    names = np.unique(every)
    counts = (every[None] == names[:, None, None]).sum(axis=1)
    share: Floats = (others == own).mean(axis=0)
    return share, names[(2 * counts + (names[:, None] == own)).argmax(axis=0)]


def isolation(country: ArrayLike, z: ArrayLike) -> Floats:
    """Return how far each country is from all others, shape (c,), countries ascending; >= 0.

    The Euclidean distance of a profile to the nearest of another country, median over the years of
    a country, in units of the median country. An embedding keeps neighbourhoods and not distances:
    it may draw a country unlike all others next to a cluster. NaN for all if there are not two
    countries or half of them have a twin.

    Args:
        country: of each profile, shape (n,); negative = a region, which is nobody's neighbour:
            it lies near its members and near the same region in other borders.
        z: standardised profiles, shape (n, k).
    """
    codes, x = np.asarray(country, np.int64), np.asarray(z, np.float64)
    names = np.unique(codes)
    distance = np.array([_to_the_nearest(codes, x, code) for code in names], np.float64)
    typical = np.median(distance[names > 0]) if (names > 0).any() else np.nan
    usable = np.isfinite(typical) and typical > 0
    return np.asarray(distance / typical if usable else np.full(names.shape, np.nan))


def _to_the_nearest(codes: Ints, x: Floats, code: int) -> float:
    own, others = codes == code, (codes != code) & (codes > 0)
    return float(np.median(cdist(x[own], x[others]).min(axis=1, initial=np.inf)))


def agreement(one: ArrayLike, other: ArrayLike) -> float:
    """Return the adjusted Rand index of two labelings: 1 = the same, about 0 = chance.

    Background counts as a cluster; NaN for fewer than two labels.
    """
    a = np.unique(np.asarray(one, np.int64), return_inverse=True)[1]
    b = np.unique(np.asarray(other, np.int64), return_inverse=True)[1]
    if a.size < 2:
        return float("nan")
    table = np.zeros((a.max() + 1, b.max() + 1))
    np.add.at(table, (a, b), 1)

    def pairs(counts: Floats) -> float:
        return float((counts * (counts - 1) / 2).sum())

    both, first, second = pairs(table), pairs(table.sum(axis=1)), pairs(table.sum(axis=0))
    expected = first * second / (a.size * (a.size - 1) / 2)
    largest = (first + second) / 2
    return 1.0 if largest == expected else (both - expected) / (largest - expected)


@dataclass(frozen=True, slots=True)
class Run:
    """One embedding of one material; draw numbers the seeds of a neighbourhood from 1."""

    material: str
    neighbours: int
    draw: int

    @property
    def name(self) -> str:
        """Such as umap15 seed1 dbm."""
        return f"umap{self.neighbours} seed{self.draw} dbm"

    @property
    def is_default(self) -> bool:
        """The run whose coordinates and labels are published."""
        return self.neighbours == NEIGHBOURS[0] and self.draw == 1


def planned_runs(profiles: Mapping[str, int], *, repeats: int) -> list[Run]:
    """Return the runs of each material, given its number of profiles; the default runs first.

    repeats: seeds for each neighbourhood; 0 = the default run only.
    """
    runs = [
        Run(material, neighbours, draw)
        for material, count in sorted(profiles.items())
        for neighbours in (NEIGHBOURS if repeats else NEIGHBOURS[:1])
        for draw in range(1, max(repeats, 1) + 1)
        if count > neighbours
    ]
    return sorted(runs, key=lambda run: not run.is_default)


def embeddings_of_runs(
    runs: Sequence[Run],
    z: Mapping[str, Floats],
    *,
    seed: int,
    detail: str = DETAIL,
    to_nearest: bool = False,
) -> Callable[[Iterator[pd.DataFrame]], Iterator[pd.DataFrame]]:
    """Build the function that embeds and labels the runs of the numbers in column id.

    z: material -> profiles, shape (n, k). detail: preset of density-based merging. to_nearest:
    whether a point of the background is given to the nearest cluster. The function yields run
    (number), position (row of z), x, y, label; a run's random numbers follow from its key alone.
    """

    def run_all(batches: Iterator[pd.DataFrame]) -> Iterator[pd.DataFrame]:
        for batch in batches:
            for number in batch["id"].tolist():
                points = _embedded(runs[number], z[runs[number].material], seed)
                labels = dbm_labels(points, detail)
                yield pd.DataFrame(
                    {
                        "position": np.arange(len(points)),
                        "x": points[:, 0],
                        "y": points[:, 1],
                        "label": without_background(points, labels) if to_nearest else labels,
                        "run": number,
                    }
                )

    return run_all


def _embedded(run: Run, z: Floats, seed: int) -> Floats:
    rng = group_rng(seed, "umap", run.material, run.neighbours, run.draw)
    return embed(z, neighbours=run.neighbours, seed=int(rng.integers(2**31)))
