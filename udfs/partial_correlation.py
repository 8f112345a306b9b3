"""Correlations over minerals: Pearson, Spearman and partial, with gaps, for one or many draws.

Vectors run along the last axis. Leading axes are samples of their own (say, one network
realisation each) and broadcast, so that one call correlates an indicator of 100 draws with the one
list of criticality scores. NaN is a missing mineral: each correlation uses the minerals that all
its variables have.

Klimek, Obersteiner and Thurner (2015), Tables 1, 2, S4, S5.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import Literal

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy import stats

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]
Names = NDArray[np.object_]

CONSTANT = 1e-14
"""Standard deviation over root mean square up to which a vector is rounding noise on a constant."""
DETERMINED = 1e-14
"""Share of variance left by the control up to which a variable is a linear function of it."""
ROUNDING = 1e-9
"""Excess of a coefficient over 1 that rounding explains; more of it is a contradiction."""


class Reason(StrEnum):
    """Why there is a coefficient, or why there is none."""

    COMPUTED = "computed"
    """Nothing stood in the way."""
    TOO_FEW = "too few pairs"
    """Fewer minerals with all variables than a test has degrees of freedom for."""
    CONSTANT = "a variable is constant"
    """A variable does not vary over the minerals that are left."""
    DETERMINED = "a variable is determined by the control"
    """Nothing of a variable is left once the control is taken out."""
    INCONSISTENT = "pairwise correlations contradict each other"
    """Coefficients from different sets of minerals can be such that no data have all of them."""


@dataclass(frozen=True, slots=True)
class Correlation:
    """Coefficients of one or many samples, each of the shape of the leading axes.

    r: in [-1, 1]; p_value: two-sided, from Student's t, in [0, 1]; both NaN without a coefficient;
    n: minerals used; reasons: `Reason` of each.
    """

    r: Floats
    p_value: Floats
    n: Ints
    reasons: Names


def pearson(x: ArrayLike, y: ArrayLike) -> Correlation:
    """Correlate x with y, both (..., minerals); t with n - 2 degrees of freedom, n >= 3."""
    a, b = _complete(x, y)
    constant = _constant(a) | _constant(b)
    return _tested(_product_moment(a, b), _count(a), 0, {Reason.CONSTANT: constant})


def spearman(x: ArrayLike, y: ArrayLike) -> Correlation:
    """Correlate the ranks of x and y among their common minerals; ties share their mean rank."""
    a, b = _complete(x, y)
    return pearson(_ranks(a), _ranks(b))


def partial(
    x: ArrayLike, y: ArrayLike, z: ArrayLike, *, deletion: Literal["pairwise", "listwise"]
) -> Correlation:
    """Correlate x with y given one control z; t with n - 3 degrees of freedom, n >= 4.

    `r_xy.z = (r_xy - r_xz r_yz) / sqrt((1 - r_xz^2) (1 - r_yz^2))`.

    Args:
        x: Shape (..., minerals), NaN where missing.
        y: The same; axes broadcast.
        z: The control, the same.
        deletion: Of gaps. "pairwise": each r from the minerals that its two variables have, n
            being the smallest of the three counts. "listwise": all from the minerals that have
            all three, which is the correlation of the residuals of x and y on z.

    Source: methods E.5.
    """
    if deletion == "listwise":
        a, b, c = _complete(x, y, z)
    else:
        a, b, c = np.broadcast_arrays(*(np.asarray(v, np.float64) for v in (x, y, z)))
    xy, xz, yz = (_complete(*pair) for pair in ((a, b), (a, c), (b, c)))
    r_xy, r_xz, r_yz = (_product_moment(*pair) for pair in (xy, xz, yz))
    left_x, left_y = 1 - r_xz**2, 1 - r_yz**2
    with np.errstate(divide="ignore", invalid="ignore"):
        r = (r_xy - r_xz * r_yz) / np.sqrt(left_x * left_y)
    n = np.minimum.reduce([_count(pair[0]) for pair in (xy, xz, yz)])
    faults = {
        Reason.CONSTANT: np.any([_constant(v) for pair in (xy, xz, yz) for v in pair], axis=0),
        Reason.DETERMINED: np.minimum(left_x, left_y) <= DETERMINED,
        Reason.INCONSISTENT: np.abs(r) > 1 + ROUNDING,
    }
    return _tested(r, n, 1, faults)


def _complete(*variables: ArrayLike) -> list[Floats]:
    """Broadcast, and blank what is missing in any of the variables in all of them."""
    arrays = np.broadcast_arrays(*(np.asarray(v, np.float64) for v in variables))
    known = ~np.any([np.isnan(v) for v in arrays], axis=0)
    return [np.where(known, v, np.nan) for v in arrays]


def _count(x: Floats) -> Ints:
    return np.asarray(np.count_nonzero(~np.isnan(x), axis=-1), np.int64)


def _centred(x: Floats) -> Floats:
    """Return x less its mean, 0 where missing."""
    known = ~np.isnan(x)
    n = np.maximum(np.count_nonzero(known, axis=-1, keepdims=True), 1)
    mean = np.where(known, x, 0.0).sum(axis=-1, keepdims=True) / n
    return np.where(known, x - mean, 0.0)


def _constant(x: Floats) -> NDArray[np.bool_]:
    spread = np.square(_centred(x)).sum(axis=-1)
    return np.asarray(spread <= CONSTANT**2 * np.square(np.nan_to_num(x)).sum(axis=-1), np.bool_)


def _product_moment(x: Floats, y: Floats) -> Floats:
    u, v = _centred(x), _centred(y)
    scale = np.sqrt(np.square(u).sum(axis=-1) * np.square(v).sum(axis=-1))
    with np.errstate(divide="ignore", invalid="ignore"):
        return np.asarray(np.clip((u * v).sum(axis=-1) / scale, -1.0, 1.0), np.float64)


def _ranks(x: Floats) -> Floats:
    return np.asarray(stats.rankdata(x, axis=-1, nan_policy="omit"), np.float64)


def _tested(
    r: Floats, n: Ints, controls: int, faults: Mapping[Reason, NDArray[np.bool_]]
) -> Correlation:
    """Attach Student's t test, and blank r where there is a fault; the first one is named."""
    freedom = n - 2 - controls
    every = {Reason.TOO_FEW: freedom < 1, **faults}
    reasons = np.select(list(every.values()), list(every), Reason.COMPUTED)
    known = reasons == Reason.COMPUTED
    safe = np.clip(np.where(known, r, 0.0), -1.0, 1.0)
    with np.errstate(divide="ignore"):
        t = safe * np.sqrt(np.maximum(freedom, 1) / (1 - safe**2))
    p_value = 2 * stats.t.sf(np.abs(t), np.maximum(freedom, 1))
    return Correlation(
        r=np.where(known, safe, np.nan),
        p_value=np.where(known, p_value, np.nan),
        n=np.asarray(n, np.int64),
        reasons=np.asarray(reasons, object),
    )
