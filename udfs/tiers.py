"""From tested links to a value chain: tiers by distance from the seeds, and no way back.

Klimek, Baum, Gerschberger and Hess (2025) need a directed acyclic network whose products have a
tier, their shortest distance from the seeds. Links found by correlation run in all directions, so
edges that lead back to a lower tier go, and inside a tier the weakest edge of each cycle goes.
Nothing disappears silently: each removed edge comes with its reason.
"""

from __future__ import annotations

from collections import defaultdict, deque
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from enum import StrEnum
from itertools import pairwise
from math import isnan
from types import MappingProxyType

Adjacency = Mapping[str, Iterable[str]]


class Reason(StrEnum):
    """Why an edge is not in the network."""

    UNREACHABLE = "unreachable"
    """No path leads from a seed to its input."""
    BEYOND_DEPTH = "beyond depth"
    """Its output lies in a tier that is not asked for."""
    BACKWARD = "backward"
    """Its output is closer to the seeds than its input."""
    SELF = "self"
    """It leads from a product to itself."""
    CYCLE = "cycle"
    """It is the weakest edge of a cycle inside a tier."""


@dataclass(frozen=True, slots=True)
class Edge:
    """A link from `input` to `output`; z: how far its correlation stands out (NaN = untested)."""

    input: str
    output: str
    z: float


@dataclass(frozen=True, slots=True)
class Removed:
    """An edge that was taken out, and why.

    path: for a cycle the stronger edges that close it, as products from the edge's output to its
    input; else empty.
    """

    edge: Edge
    reason: Reason
    path: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Network:
    """An acyclic network in tiers.

    tiers: shortest distance of each product from the seeds, seeds 0; by tier, then product.
    edges: kept, ordered by input and output; each leads to the same tier or to the next.
    removed: all others, in the same order.
    """

    tiers: Mapping[str, int]
    edges: tuple[Edge, ...]
    removed: tuple[Removed, ...]


def tiered_network(
    edges: Iterable[Edge], seeds: Iterable[str], *, depth: int | None = None
) -> Network:
    """Arrange `edges` in tiers from `seeds` and take out what is unreachable, backward or cyclic.

    Args:
        edges: each pair of products once, in any order.
        seeds: products of tier 0, in the network even without edges.
        depth: last tier; None = as far as the edges lead.

    Inside a tier edges are admitted from the largest z down, and one that would close a cycle is
    removed: it is the smallest of that cycle. So none could be put back without a cycle. Ties
    are decided by the names of input and output, an untested edge is weaker than any tested one.

    Raises:
        ValueError: no seed, or a pair that stands twice.
    """
    given = sorted(edges, key=lambda edge: (edge.input, edge.output))
    starts = sorted(set(seeds))
    _check(given, starts)
    successors: dict[str, list[str]] = defaultdict(list)
    for edge in given:
        successors[edge.input].append(edge.output)
    tiers = _tiers(successors, starts, depth)

    removed = {edge: Removed(edge, reason) for edge in given if (reason := _misfit(edge, tiers))}
    inside = [
        edge for edge in given if edge not in removed and tiers[edge.input] == tiers[edge.output]
    ]
    removed |= {one.edge: one for one in _cycle_closers(inside)}
    return Network(
        tiers=MappingProxyType(tiers),
        edges=tuple(edge for edge in given if edge not in removed),
        removed=tuple(removed[edge] for edge in given if edge in removed),
    )


def _check(ordered: list[Edge], seeds: list[str]) -> None:
    if not seeds:
        raise ValueError("no seeds given; expected at least one product of tier 0")
    for before, after in pairwise(ordered):
        if (before.input, before.output) == (after.input, after.output):
            raise ValueError(
                f"edge {after.input} -> {after.output} stands twice "
                f"(z {before.z} and {after.z}); pass each pair once"
            )


def _tiers(successors: Adjacency, seeds: list[str], depth: int | None) -> dict[str, int]:
    """Return the shortest distance of every product that can be reached within `depth`."""
    tiers = dict.fromkeys(seeds, 0)
    queue = deque(seeds)
    while queue:
        product = queue.popleft()
        if tiers[product] == depth:
            continue
        for output in successors.get(product, ()):
            if output not in tiers:
                tiers[output] = tiers[product] + 1
                queue.append(output)
    return dict(sorted(tiers.items(), key=lambda item: (item[1], item[0])))


def _misfit(edge: Edge, tiers: Mapping[str, int]) -> Reason | None:
    """Return why an edge fits no tiered network, None where it fits."""
    if edge.input not in tiers:
        return Reason.UNREACHABLE
    if edge.output not in tiers:
        return Reason.BEYOND_DEPTH
    if edge.input == edge.output:
        return Reason.SELF
    return Reason.BACKWARD if tiers[edge.output] < tiers[edge.input] else None


def _cycle_closers(edges: list[Edge]) -> list[Removed]:
    """Admit edges from the strongest down; return those that would have closed a cycle."""
    admitted: dict[str, list[str]] = defaultdict(list)
    closers = []
    for edge in sorted(edges, key=_weakness):
        path = _path(admitted, edge.output, edge.input)
        if path:
            closers.append(Removed(edge, Reason.CYCLE, path))
        else:
            admitted[edge.input].append(edge.output)
    return closers


def _weakness(edge: Edge) -> tuple[bool, float, str, str]:
    untested = isnan(edge.z)
    return untested, 0.0 if untested else -edge.z, edge.input, edge.output


def _path(successors: Adjacency, start: str, end: str) -> tuple[str, ...]:
    """Return a shortest path as products from `start` to `end`, empty where there is none."""
    came_from = {start: start}
    queue = deque([start])
    while queue and end not in came_from:
        product = queue.popleft()
        for output in successors.get(product, ()):
            if output not in came_from:
                came_from[output] = product
                queue.append(output)
    if end not in came_from:
        return ()
    path = [end]
    while path[-1] != start:
        path.append(came_from[path[-1]])
    return tuple(reversed(path))
