"""The path of a shock through a network, step by step."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]


@dataclass(frozen=True, slots=True)
class ShockPath:
    """How a shock in one country arrives elsewhere.

    hit: share of the imports of each country that step k (row k - 1) hits, row `origin` of V^k,
    shape (steps, n); through: the country from which most of it came in the last step, -1 where
    nothing arrives, shape (steps, n).
    """

    hit: Floats
    through: Ints


def shock_path(
    sources: Ints, targets: Ints, shares: Floats, n: int, *, origin: int, steps: int
) -> ShockPath:
    """Follow a shock from `origin` over `steps` links.

    Args:
        sources: Exporter of each link, shape (m,), 0 to n - 1.
        targets: Importer of each link, shape (m,).
        shares: V of each link, shape (m,), in [0, 1].
        n: Number of countries.
        origin: Position of the country where the shock begins.
        steps: Powers of V, >= 1.

    Raises:
        ValueError: The origin is no country of the network, or there is no step.
    """
    if not 0 <= origin < n or steps < 1:
        raise ValueError(f"origin {origin}, steps {steps}; expected 0 to {n - 1}, and at least 1")
    hit, through = np.zeros((steps, n)), np.full((steps, n), -1, np.int64)
    here: Floats = np.zeros(n)
    here[origin] = 1.0
    for step in range(steps):
        parts = here[sources] * shares
        here = np.bincount(targets, parts, n).astype(np.float64)
        rising = np.argsort(parts, kind="stable")
        rising = rising[parts[rising] > 0]
        through[step, targets[rising]] = sources[rising]  # the last, largest, part stands
        hit[step] = here
    return ShockPath(hit, through)
