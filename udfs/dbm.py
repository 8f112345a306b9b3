"""Density-based merging (DBM): the clusters of points in a plane, from their density on a grid.

The idea is that of Walther et al. (2009), "Automatic clustering of flow cytometry data with
density-based merging", Advances in Bioinformatics 686759: estimate a density and its standard
error on a grid, let each node point uphill, and merge two summits unless the density between them
falls by more than the errors allow. Rules and numbers are those of the authors' own program
(`Density.m` and `Dbm.java` of run_umap, BSD-3), which differ from the paper in several places:
fixed bandwidths, three background rules, the steepest instead of the highest neighbour, pointers
taken over in a merger, repair of torn clusters. Nothing here is random.

Notation: w points per node, f density, s its standard error, S the nodes that are not background.
A grid array is indexed [y, x]. A *node* is a flat index into the grid framed by one ring of
background, so that every node of the grid has eight neighbours.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Any, Literal, NamedTuple

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy import ndimage
from scipy.special import ndtri_exp

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]
Mask = NDArray[np.bool_]

GRID = 256
"""Nodes per axis."""
FRAMED = GRID + 2
"""Nodes per axis with the ring of background."""
SMALL_SAMPLE = 5000
"""Number of points below which a fixed bandwidth is enlarged."""
KERNEL_REACH = 4
"""Bandwidths after which a kernel is cut off."""
RAW_SCALE_FACTOR = 4.3**2
"""Factor of the rule `se` that takes the place of `sig` for points not scaled to [0, 1]."""
PADDING = 0.15
"""Share of its own value by which run_umap moves each side of the box outward."""
LARGEST_COORDINATE, SMALLEST_BANDWIDTH = 1e50, 1e-50
"""Limits within which the sixth powers of a bandwidth, as in the slope test, are doubles."""

FREE, BACKGROUND, FIRST_CLUSTER = -1, -2, -3
"""States of a node: a pointer to node z is z >= 0, the cluster of summit z is FIRST_CLUSTER - z."""

STEPS = np.array([(dx, dy) for dy in (1, 0, -1) for dx in (1, 0, -1)])
"""Steps to a node's neighbours and itself, in the order that decides ties; shape (9, 2)."""
STAY = 4
"""Index in STEPS of the node itself."""
OFFSETS = STEPS @ [1, FRAMED]
"""The steps as differences between nodes, shape (9,)."""
NODES = np.arange(FRAMED**2, dtype=np.int64).reshape(FRAMED, FRAMED)[1:-1, 1:-1]
"""The node at each place of the grid, shape (GRID, GRID)."""
AROUND: tuple[int, ...] = tuple(OFFSETS.tolist())
"""OFFSETS for loops over single nodes."""


@dataclass(frozen=True, slots=True)
class Preset:
    """How much detail to look for.

    bandwidth: per cent of the side of the box, 0 for the data-driven SD n^(-1/6); background:
    `mass` (the factor is a percentage of the points), `se` (density must exceed factor standard
    errors) or `sig` (a cubic test, meant for points scaled to [0, 1]); slope_test: whether a
    node points uphill only where the slope is significant.
    """

    bandwidth: float
    background: Literal["mass", "se", "sig"]
    factor: float
    slope_test: bool = False


PRESETS: Mapping[str, Preset] = MappingProxyType(
    {
        "most high": Preset(0.95, "mass", 0.1),
        "very high": Preset(1.5, "mass", 0.1),
        "high": Preset(1.6, "sig", 4.3),
        "medium": Preset(2.3, "sig", 4.3),
        "low": Preset(3.2, "sig", 4.0),
        "very low": Preset(4.0, "mass", 1.0, slope_test=True),
        "adaptive": Preset(0.0, "se", 4.3),
    }
)
"""The presets of run_umap, finest first; `adaptive` is nearest to the paper of 2009."""


@dataclass(frozen=True, slots=True)
class Clusters:
    """Labels of n points, and what they rest on.

    labels: shape (n,), 0 = background or off the box; clusters are 1, 2, ... from the top of the
    plane down, by their highest summit; pieces of a torn cluster come first.
    kappa: effective number of independent looks at the density, >= 0; critical_value: standard
    errors to which a summit must rise, -inf for kappa = 0; both NaN where every node is background.
    n_foreground: nodes that are not background, in 0..65,536.
    bandwidths: standard deviations of the kernel along x and y, shape (2,), in the unit of the
    points; NaN where no density could be estimated.
    box: [[x_lo, y_lo], [x_hi, y_hi]], shape (2, 2): first and last node of each axis.
    weights: points per node, shape (256, 256), indexed [y, x]; adds up to the points in the box.
    density: per unit of area, shape (256, 256), indexed [y, x]; integrates to at most 1.
    """

    labels: Ints
    kappa: float
    critical_value: float
    n_foreground: int
    bandwidths: Floats
    box: Floats
    weights: Floats
    density: Floats

    @property
    def n_clusters(self) -> int:
        """Number of clusters that hold a point, background not counted."""
        return int(self.labels.max(initial=0))


def cluster(
    points: ArrayLike,
    *,
    detail: str = "very low",
    pad: bool = True,
    box: ArrayLike | None = None,
    min_size: int = 1,
    degenerate_label: int = 0,
) -> Clusters:
    """Cluster points of shape (n, 2) by density-based merging.

    detail: one of `PRESETS`. With `very low` about 1 per cent of the points are background by
    construction.
    pad: widen the box of the points as run_umap does, by 15 per cent of its *values*; the result
    then depends on where the origin is.
    box: [[x_lo, y_lo], [x_hi, y_hi]] to use as it is instead. Points off it get label 0 and
    count for nothing; a point on its edge is in it.
    min_size: clusters of fewer points become background; 1 keeps all, as run_umap does.
    degenerate_label: label of the points in the box where there is no density to estimate: fewer
    than two points, or no extent along an axis.

    Row order does not matter. Neither does a common change of unit nor, without padding, a shift,
    except for `high`, `medium` and `low`: where the box reaches beyond 1 on either axis their
    background rule gives way to a stricter one (factor 18.49), which easily leaves nothing. Do not
    rescale one axis alone. Exact ties, as on a lattice, go to the first node in a fixed order.

    Raises ValueError for an unknown detail, for points that are not an (n, 2) array of finite
    numbers, for a box without area, and for numbers too large or small to square repeatedly.
    """
    preset = _preset(detail)
    xy = _checked_points(points)
    box = _box_of(xy, pad=pad) if box is None else _checked_box(box)
    inside = np.flatnonzero(np.all((xy >= box[0]) & (xy <= box[1]), axis=1))
    inside = inside[np.lexsort(xy[inside].T)]  # so that sums do not depend on the order of rows
    sample = xy[inside]
    labels = np.zeros(len(xy), dtype=np.int64)
    if len(sample) < 2 or np.any(np.ptp(sample, axis=0) == 0):
        labels[inside] = degenerate_label
        empty, unknown = np.zeros((GRID, GRID)), np.full(2, np.nan)
        return Clusters(labels, np.nan, np.nan, 0, unknown, box, empty, empty)

    estimate = _estimate(sample, box, preset)
    foreground = _foreground(estimate, preset, box)
    kappa, critical_value = _critical_value(estimate, foreground)
    if kappa > 0:
        state = _pointers(estimate, foreground, critical_value, slope_test=preset.slope_test)
        state = _significant_summits(estimate, state, critical_value)
        state, torn = _merged(_framed(estimate.density, -np.inf), _framed(estimate.error, 0), state)
        state = _repaired(state, torn)
        labels[inside] = _numbered(state[_ends(state)][_nearest_node(sample, box)], min_size)
    return Clusters(
        labels=labels,
        kappa=kappa,
        critical_value=critical_value,
        n_foreground=int(np.count_nonzero(foreground)),
        bandwidths=estimate.bandwidths,
        box=box,
        weights=estimate.weights,
        density=estimate.density,
    )


def _preset(detail: str) -> Preset:
    if detail not in PRESETS:
        raise ValueError(
            f"detail: found {detail!r}, expected one of {', '.join(map(repr, PRESETS))}; "
            "run_umap's 'nearest neighbor' is a method of its own and not offered"
        )
    return PRESETS[detail]


def _checked_points(points: ArrayLike) -> Floats:
    xy = np.asarray(points, dtype=np.float64)
    if xy.ndim != 2 or xy.shape[1] != 2:
        raise ValueError(f"points: found shape {xy.shape}, expected (n, 2); embed in a plane first")
    bad = np.flatnonzero(~np.all(np.abs(xy) <= LARGEST_COORDINATE, axis=1))  # so NaN is bad
    if bad.size:
        rows = ", ".join(map(str, bad[:10])) + (", ..." if bad.size > 10 else "")
        raise ValueError(
            f"points: found NaN, infinity or a coordinate beyond {LARGEST_COORDINATE:g} in "
            f"{bad.size} of {len(xy)} rows ({rows}), expected finite numbers; drop or repair them"
        )
    return xy


def _checked_box(box: ArrayLike) -> Floats:
    corners = np.array(box, dtype=np.float64)
    bounded = np.all(np.abs(corners) <= LARGEST_COORDINATE)
    if corners.shape != (2, 2) or not bounded or np.any(corners[0] >= corners[1]):
        raise ValueError(
            f"box: found {corners.tolist()}, expected [[x_lo, y_lo], [x_hi, y_hi]], finite, lo < hi"
        )
    return corners


def _box_of(xy: Floats, *, pad: bool) -> Floats:
    """Return [lo, hi] of the points, shape (2, 2); the unit square if there are none."""
    if len(xy) == 0:
        return np.array([[0.0, 0.0], [1.0, 1.0]])
    lo, hi = xy.min(axis=0), xy.max(axis=0)
    if pad:
        lo, hi = lo - PADDING * np.abs(lo), hi + PADDING * np.abs(hi)
    return np.array([lo, hi])


class _Kernel(NamedTuple):
    """Normal density along one axis and its derivative at lags -Z..Z, each of shape (2Z + 1,)."""

    value: Floats
    slope: Floats


@dataclass(frozen=True, slots=True)
class _Estimate:
    """A density on the grid, from n points; grid arrays have shape (GRID, GRID).

    spacing, bandwidths: along x and y, shape (2,); weights: w; density: f; second_moment: g, the
    mean of the squared kernel; error: s.
    """

    n: int
    spacing: Floats
    bandwidths: Floats
    kernel_x: _Kernel
    kernel_y: _Kernel
    weights: Floats
    density: Floats
    second_moment: Floats
    error: Floats


def _estimate(sample: Floats, box: Floats, preset: Preset) -> _Estimate:
    """Estimate f and its variance, (g - f^2)/(n - 1), from n >= 2 points in the box."""
    n, spacing = len(sample), _spacing(box)
    bandwidths = _bandwidths(sample, box, preset)
    kernel_x, kernel_y = map(_kernel, bandwidths, spacing)
    weights = _weights(sample, box)
    f = _smoothed(weights, kernel_x.value, kernel_y.value) / n
    g = _smoothed(weights, kernel_x.value**2, kernel_y.value**2) / n
    error = np.sqrt(np.maximum((g - f**2) / (n - 1), 0))
    return _Estimate(n, spacing, bandwidths, kernel_x, kernel_y, weights, f, g, error)


def _spacing(box: Floats) -> Floats:
    step: Floats = (box[1] - box[0]) / (GRID - 1)
    return step


def _grid_coordinates(sample: Floats, box: Floats) -> Floats:
    """Return points in units of the spacing, shape (n, 2), in [0, GRID - 1]."""
    t: Floats = (sample - box[0]) / _spacing(box)
    return np.clip(t, 0, GRID - 1)  # a point on hi may round up


def _weights(sample: Floats, box: Floats) -> Floats:
    """Share each point among the corners of its cell (linear binning)."""
    t = _grid_coordinates(sample, box)
    corner = np.minimum(np.floor(t), GRID - 2).astype(np.int64)
    right, up = (t - corner).T
    nodes = corner @ [1, GRID] + np.array([[0], [1], [GRID], [GRID + 1]])
    shares = np.array([(1 - right) * (1 - up), right * (1 - up), (1 - right) * up, right * up])
    weights = np.zeros(GRID**2)
    np.add.at(weights, nodes, shares)
    return weights.reshape(GRID, GRID)


def _nearest_node(sample: Floats, box: Floats) -> Ints:
    """Return the node nearest to each point, shape (n,); from half way on the upper one."""
    column, row = np.floor(_grid_coordinates(sample, box) + 0.5).astype(np.int64).T
    node: Ints = NODES[row, column]
    return node


def _bandwidths(sample: Floats, box: Floats, preset: Preset) -> Floats:
    """Return h along x and y, shape (2,)."""
    n = len(sample)
    h: Floats
    if preset.bandwidth == 0:
        h = sample.std(axis=0, ddof=1) * n ** (-1 / 6)
    else:
        h = preset.bandwidth / 100 * (box[1] - box[0]) * max(1.0, (n / SMALL_SAMPLE) ** (-1 / 6))
    if np.any(h < SMALLEST_BANDWIDTH):
        raise ValueError(
            f"points: found bandwidths {h.tolist()}, expected at least {SMALLEST_BANDWIDTH:g}; "
            "express the points in a smaller unit"
        )
    return h


def _kernel(bandwidth: float, spacing: float) -> _Kernel:
    reach = min(int(KERNEL_REACH * bandwidth / spacing), GRID - 1)
    z = np.arange(-reach, reach + 1) * spacing / bandwidth
    value = np.exp(-(z**2) / 2) / (np.sqrt(2 * np.pi) * bandwidth)
    return _Kernel(value, -z / bandwidth * value)


def _smoothed(weights: Floats, along_x: Floats, along_y: Floats) -> Floats:
    """Convolve with a separable kernel, zeros beyond the border.

    By direct sums: an FFT leaves round-off on empty nodes, with no standard error, and they would
    pass for foreground. Kernels are brought to size 1 first, because convolve1d looks for symmetry
    within 2e-16, and would take an odd kernel smaller than that for an even one.
    """
    size_x, size_y = np.abs(along_x).max() or 1.0, np.abs(along_y).max() or 1.0
    rows = ndimage.convolve1d(weights, along_x / size_x, axis=1, mode="constant")
    smooth = ndimage.convolve1d(rows, along_y / size_y, axis=0, mode="constant")
    smoothed: Floats = smooth * (size_x * size_y)
    return smoothed


def _foreground(estimate: _Estimate, preset: Preset, box: Floats) -> Mask:
    """Return S, the nodes that are not background, shape (GRID, GRID)."""
    f, factor = estimate.density, preset.factor
    if preset.background == "mass":
        return _densest(f, estimate.weights, 1 - factor / 100)
    if preset.background == "sig" and np.all(box[1] <= 1):
        g, c2 = estimate.second_moment, factor**2
        return np.asarray(estimate.n * f**3 + (c2 - 1) * f**2 > c2 * g)
    if preset.background == "sig":
        factor = RAW_SCALE_FACTOR
    return np.asarray(f > factor * estimate.error)


def _densest(density: Floats, weights: Floats, share: float) -> Mask:
    """Return the fewest densest nodes whose weights reach a share of the whole."""
    order = np.argsort(-density, axis=None, kind="stable")
    reached = np.cumsum(weights.ravel()[order]) / weights.sum()
    chosen = np.zeros(density.size, dtype=np.bool_)
    chosen[order[: np.searchsorted(reached, share) + 1]] = True
    return chosen.reshape(density.shape)


def _critical_value(estimate: _Estimate, foreground: Mask) -> tuple[float, float]:
    """Return kappa = |S| sum_S w / (2 pi n h1 h2 sum_S f) and Phi^-1(0.95^(1/kappa)).

    kappa is about area(S)/(2 pi h1 h2). Where S is empty both are NaN, where no point is in it
    they are 0 and -inf.
    """
    height = estimate.density[foreground].sum()
    if height == 0:
        return np.nan, np.nan
    looks = np.count_nonzero(foreground) * estimate.weights[foreground].sum()
    kappa = looks / (2 * np.pi * estimate.n * np.prod(estimate.bandwidths) * height)
    return float(kappa), float(ndtri_exp(np.log(0.95) / kappa)) if kappa > 0 else -np.inf


def _framed(grid: NDArray[Any], edge: float) -> NDArray[Any]:
    """Put a ring of `edge` around a grid and flatten it: the result is indexed by node."""
    return np.pad(grid, 1, constant_values=edge).ravel()


def _steepest(density: Floats) -> Ints:
    """Return which of STEPS climbs most per length, diagonals being sqrt 2 long, (GRID, GRID)."""
    framed = np.pad(density, 1, constant_values=-np.inf)
    gains = np.empty((len(STEPS), GRID, GRID))
    for gain, (dx, dy) in zip(gains, STEPS, strict=True):
        neighbour = framed[1 + dy : 1 + dy + GRID, 1 + dx : 1 + dx + GRID]
        np.subtract(neighbour, density, out=gain)
        if dx and dy:
            gain /= np.sqrt(2)
    step: Ints = np.argmax(gains, axis=0)
    return step


def _pointers(
    estimate: _Estimate, foreground: Mask, critical_value: float, *, slope_test: bool
) -> Ints:
    """Return the state of each node: a pointer to its steepest neighbour, FREE or BACKGROUND.

    A node of S points if the density rises in that direction, with `slope_test` if it rises by
    more than `_slope_error` times the critical value.
    """
    w, n, kernel_x, kernel_y = estimate.weights, estimate.n, estimate.kernel_x, estimate.kernel_y
    f_x = _smoothed(w, kernel_x.slope, kernel_y.value) / n
    f_y = _smoothed(w, kernel_x.value, kernel_y.slope) / n
    step = _steepest(estimate.density)
    u_x, u_y = _directions(STEPS * estimate.spacing)[:, step]
    rises = u_x * f_x + u_y * f_y
    required = critical_value * _slope_error(estimate, f_x, f_y, step) if slope_test else 0.0

    state = np.where(rises > required, NODES + OFFSETS[step], FREE)
    state[step == STAY] = FREE
    state[~foreground] = BACKGROUND
    return _framed(state, BACKGROUND)


def _slope_error(estimate: _Estimate, f_x: Floats, f_y: Floats, step: Ints) -> Floats:
    """Return the standard error of the slope in the direction of `step`, (GRID, GRID).

    The program takes the direction on a square grid here whatever the spacing, other than for
    the slope itself; so do we.
    """
    w, n, kernel_x, kernel_y = estimate.weights, estimate.n, estimate.kernel_x, estimate.kernel_y
    a_xx = _smoothed(w, kernel_x.slope**2, kernel_y.value**2) / n
    a_xy = _smoothed(w, kernel_x.slope * kernel_x.value, kernel_y.slope * kernel_y.value) / n
    a_yy = _smoothed(w, kernel_x.value**2, kernel_y.slope**2) / n
    v_x, v_y = _directions(STEPS)[:, step]
    q = v_x**2 * (a_xx - f_x**2) + 2 * v_x * v_y * (a_xy - f_x * f_y) + v_y**2 * (a_yy - f_y**2)
    error: Floats = np.sqrt(np.maximum(q, 0) / (n - 1))
    return error


def _directions(steps: NDArray[Any]) -> Floats:
    """Return unit vectors along steps of shape (9, 2), as shape (2, 9); zero for no step."""
    length = np.hypot(*steps.T)
    directions: Floats = steps.T / np.where(length == 0, 1, length)
    return directions


def _ends(state: Ints) -> Ints:
    """Return the node at which the path of pointers from each node ends."""
    end = np.where(state >= 0, state, np.arange(len(state)))
    while not np.array_equal(further := end[end], end):
        end = further
    return end


def _significant_summits(estimate: _Estimate, state: Ints, critical_value: float) -> Ints:
    """Make each significant end of a path a cluster; put the others' paths in the background.

    A FREE node to which nobody points stays FREE: a merger may still take it in.
    """
    end = _ends(state)
    summits = np.unique(end[state >= 0])
    summits = summits[state[summits] == FREE]
    f, s = _framed(estimate.density, -np.inf), _framed(estimate.error, 0)
    significant = f[summits] >= critical_value * s[summits]

    state = state.copy()
    state[summits[significant]] = FIRST_CLUSTER - summits[significant]
    state[np.isin(end, summits[~significant])] = BACKGROUND
    return state


def _merged(density: Floats, error: Floats, state: Ints) -> tuple[Ints, set[int]]:
    """Merge clusters between which the density falls by no more than its errors allow.

    density, error, state: by node. Returns the new states and the clusters that may be torn.
    Passes from the highest cluster node down are repeated until one changes nothing. From a node
    m, `reached` are the FREE nodes connected to it with f + s > f(m) - s(m), and `basin` the
    cluster nodes among and next to them. All of them join the highest node q of the basin, or
    what the highest neighbour of q that is higher still points to.
    """
    f, upper, lower = density.tolist(), (density + error).tolist(), (density - error).tolist()
    descending = np.argsort(-density, kind="stable")
    rank = np.argsort(descending).tolist()
    states: list[int] = state.tolist()
    torn: set[int] = set()
    before: list[int] = []
    while states != before:
        before = states.copy()
        for m in [z for z in descending.tolist() if states[z] < BACKGROUND]:
            if states[m] >= 0:  # redirected earlier in this pass
                continue
            reached = _reached(m, lower[m], upper, states)
            basin = {v for z in reached for d in AROUND if states[v := z + d] < BACKGROUND}
            q = min(basin, key=rank.__getitem__)
            new = _joined(q, f, rank, basin, states)
            if new != states[m]:
                torn.add(states[m])
            for z in basin.union(reached):
                states[z] = new
    return np.array(states), torn


def _reached(m: int, floor: float, upper: list[float], states: list[int]) -> list[int]:
    """Return m and the FREE nodes connected to it through FREE nodes with upper > floor."""
    reached, seen = [m], {m}
    for z in reached:
        for d in AROUND:
            v = z + d
            if states[v] == FREE and upper[v] > floor and v not in seen:
                seen.add(v)
                reached.append(v)
    return reached


def _joined(q: int, f: list[float], rank: list[int], basin: set[int], states: list[int]) -> int:
    """Return the state that a basin with highest node q takes on.

    A pointer that leads back into the basin is not followed; it would make a circle.
    """
    higher = [v for d in AROUND if states[v := q + d] >= 0 and f[v] > f[q]]
    if higher:
        pointer = states[min(higher, key=rank.__getitem__)]
        end = pointer
        while states[end] >= 0:
            end = states[end]
        if end not in basin:
            return pointer
    return states[q]


def _repaired(state: Ints, torn: set[int]) -> Ints:
    """Make each connected piece of a torn cluster a cluster of its own.

    Only nodes that hold the cluster themselves count; those pointing to them follow. Piece c
    = 1, 2, ... of a cluster takes its number less c times the size of the grid.
    """
    state = state.copy()
    for name in torn:
        held = state == name
        pieces, _ = ndimage.label(held.reshape(FRAMED, FRAMED), structure=np.ones((3, 3)))
        state[held] -= pieces.ravel()[held] * state.size
    return state


def _numbered(states: Ints, min_size: int) -> Ints:
    """Number the clusters that hold min_size points or more 1, 2, ...; the rest is 0.

    states: of the nodes at which the points' paths end, shape (n,). Clusters are numbered by
    ascending state, so that the highest node comes first.
    """
    names, of_point, size = np.unique(states, return_inverse=True, return_counts=True)
    kept = (names < BACKGROUND) & (size >= min_size)
    labels: Ints = np.where(kept, np.cumsum(kept), 0)[of_point]
    return labels
