"""Dependency score: exposure, HHI and systemic trade risk as one number.

First principal component of the three z-scored indicators, one fit for all countries, products
and years of a material, so that scores of different years compare. Source: Klimek, Baum,
Gerschberger and Hess (2025), Methods, "composite dependency score".
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum

import numpy as np
from numpy.typing import ArrayLike, NDArray

Floats = NDArray[np.float64]

INDICATORS = ("exposure", "hhi", "str")
"""What the score is made of, in the order of every array here."""
FEWEST_ROWS = 4
"""Rows below which three indicators cannot have three free directions."""


class Note(StrEnum):
    """What a reader of the loadings has to know; one sentence each."""

    TOO_FEW = "fewer than four country-product-years have all three indicators"
    CONSTANT = "one indicator or more has the same value everywhere"
    NEGATIVE = "warning: a loading is negative, so the score does not rise with every indicator"


@dataclass(frozen=True, slots=True)
class Composite:
    """The first principal component of k indicators, made from n rows.

    n: rows; mean, sd (ddof 1): shape (k,); loadings: unit vector of the z-scored indicators, shape
    (k,), sum >= 0 (high = dependent); explained_variance: share of the total, in [1/k, 1];
    weights: shape (k,), the score is `(x - mean) @ weights` and has mean 0 and sd 1 (ddof 1);
    note: a warning, or why loadings, weights and explained variance are NaN; None = neither.
    """

    n: int
    mean: Floats
    sd: Floats
    loadings: Floats
    explained_variance: float
    weights: Floats
    note: Note | None


def composite(n: int, mean: ArrayLike, covariance: ArrayLike) -> Composite:
    """Fit the score from the moments of the indicators.

    Args:
        n: rows that have every indicator.
        mean: shape (k,).
        covariance: shape (k, k), ddof 1.

    Raises:
        ValueError: a moment of four rows or more is not finite.
    """
    mean, covariance = np.asarray(mean, np.float64), np.asarray(covariance, np.float64)
    if n < FEWEST_ROWS:
        return _undefined(n, mean, np.full(mean.size, np.nan), Note.TOO_FEW)
    if not (np.isfinite(mean).all() and np.isfinite(covariance).all()):
        raise ValueError(f"moments of {n} rows are not finite; leave rows without a value out")
    sd = np.sqrt(covariance.diagonal())
    if (sd <= np.finfo(np.float64).eps * np.abs(mean)).any():
        return _undefined(n, mean, sd, Note.CONSTANT)
    variances, directions = np.linalg.eigh(covariance / np.outer(sd, sd))
    loadings = directions[:, -1] * (1.0 if directions[:, -1].sum() >= 0 else -1.0)
    return Composite(
        n=n,
        mean=mean,
        sd=sd,
        loadings=loadings,
        explained_variance=float(variances[-1] / mean.size),
        weights=loadings / sd / np.sqrt(variances[-1]),
        note=Note.NEGATIVE if (loadings < 0).any() else None,
    )


def _undefined(n: int, mean: Floats, sd: Floats, note: Note) -> Composite:
    nothing = np.full(mean.size, np.nan)
    return Composite(n, mean, sd, nothing, np.nan, nothing, note)
