"""Randomised trade networks: what of an observed network remains if only its margins are kept.

The three schemes of Klimek, Obersteiner and Thurner (2015), from the least to the most that is
kept. Each takes the links that passed the share filter and returns a stack of networks, ready for
`udfs.resource_network`, drawn from a generator of `udfs.seeding.group_rng`, so that a draw depends
on what is drawn and on nothing else.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from types import MappingProxyType

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]


@dataclass(frozen=True, slots=True)
class Draws:
    """A stack of networks: exporter, importer and value of each link, each (draws, m)."""

    sources: Ints
    targets: Ints
    values: Floats


def fix_degree(
    sources: Ints, targets: Ints, values: Floats, n: int, *, draws: int, rng: np.random.Generator
) -> Draws:
    """Permute all entries of M off the diagonal: links land anywhere.

    Kept: the number of links, so the mean degree, and every value, so the total.

    Args:
        sources: Exporter of each link, shape (m,), 0 to n - 1.
        targets: Importer of each link, shape (m,), never the exporter; each pair stands once.
        values: Value of each link, shape (m,).
        n: Number of countries.
        draws: Number of networks.
        rng: Source of randomness.
    """
    _check(sources, targets, n)
    group = np.repeat(np.arange(draws)[:, None], values.size, axis=1)
    cell = _distinct(group, n * (n - 1), rng)
    exporter, other = np.divmod(cell, max(n - 1, 1))
    return Draws(exporter, other + (other >= exporter), np.tile(values, (draws, 1)))


def fix_in_degree(
    sources: Ints, targets: Ints, values: Floats, n: int, *, draws: int, rng: np.random.Generator
) -> Draws:
    """Redraw the exporters of each importer without replacement; it keeps its flow values.

    Kept: besides what `fix_degree` keeps, the number of suppliers of each country, its imports and
    the values it buys. Not kept is the in-strength of K15, as new suppliers have another
    stability. Arguments as in `fix_degree`.
    """
    _check(sources, targets, n)
    importer = np.tile(targets, (draws, 1))
    other = _distinct(importer + n * np.arange(draws)[:, None], n - 1, rng)
    return Draws(other + (other >= importer), importer, np.tile(values, (draws, 1)))


def fix_in_out(
    sources: Ints, targets: Ints, values: Floats, n: int, *, draws: int, rng: np.random.Generator
) -> Draws:
    """Permute the values over the links.

    Kept: who trades with whom, so all degrees and components, and every value. Arguments as in
    `fix_degree`.
    """
    _check(sources, targets, n)
    shuffled = rng.permuted(np.tile(values, (draws, 1)), axis=1)
    return Draws(np.tile(sources, (draws, 1)), np.tile(targets, (draws, 1)), shuffled)


SCHEMES: Mapping[str, Callable[..., Draws]] = MappingProxyType(
    {"degree": fix_degree, "in_degree": fix_in_degree, "in_out_degree": fix_in_out}
)
"""The schemes by the name under which tables store them: what stays fixed."""


def _check(sources: Ints, targets: Ints, n: int) -> None:
    pairs = sources * np.int64(n) + targets
    if (sources == targets).any() or np.unique(pairs).size < pairs.size:
        raise ValueError(
            "a link leads from a country to itself or stands twice; expected each pair of two "
            "different countries once (udfs.resource_network.build_network gives such links)"
        )


def _distinct(group: Ints, population: int, rng: np.random.Generator) -> Ints:
    """Draw from range(population) for each entry of `group`, never the same twice in a group.

    Every entry draws; of equal draws in a group one stands, the others draw again. No step treats
    one value differently from another, so all orders of all subsets are equally likely, as when
    drawing one by one without replacement.
    """
    drawn = np.empty(group.size, np.int64)
    slot = group.ravel() * population
    holder = np.full((int(group.max(initial=-1)) + 1) * population, -1, np.int32)
    waiting = np.arange(group.size)
    while waiting.size:
        value = rng.integers(population, size=waiting.size)
        place = slot[waiting] + value
        free = holder[place] < 0
        holder[place[free]] = waiting[free]
        stands = holder[place] == waiting
        drawn[waiting[stands]] = value[stands]
        waiting = waiting[~stands]
    return drawn.reshape(group.shape)
