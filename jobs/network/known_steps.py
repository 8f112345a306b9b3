"""Which known steps of a chain are in its network, and why are the others not?

A step that is absent as an edge is explained from the tables: taken out by the tiers, refused by
the test, named by too few answers, or its input never reached.
"""

from __future__ import annotations

from dataclasses import dataclass
from itertools import product

import networkx as nx
import pandas as pd

from conf.materials import Material, Step

PAIR = ["input", "output"]
Pair = tuple[str, str]


@dataclass(frozen=True)
class NetworkRows:
    """Rows of one material.

    edges: input, output, votes, tested. removed: input, output, reason, path. decided: input,
    output, reason, by the test that decides, of candidates. votes: input, output, votes,
    replicates, by the matcher that decides.
    """

    edges: pd.DataFrame
    removed: pd.DataFrame
    decided: pd.DataFrame
    votes: pd.DataFrame


@dataclass(frozen=True)
class FoundStep:
    """A known step beside the network.

    edges: those of the network that are it. path: the shortest chain of other edges from an input
    to an output, empty where there is none or an edge. told: what was found, or why nothing was.
    """

    step: Step
    edges: list[Pair]
    path: list[str]
    told: str

    @property
    def state(self) -> str:
        """`edge`, `path` or `absent`."""
        return "edge" if self.edges else "path" if self.path else "absent"


def found_steps(one: Material, rows: NetworkRows, listed: set[str]) -> list[FoundStep]:
    """Return what became of each known step of a material; listed: codes of the product list."""
    chain = nx.DiGraph(list(rows.edges[PAIR].itertuples(index=False, name=None)))
    return [_found(step, one, rows, chain, listed) for step in one.steps]


def _found(
    step: Step, one: Material, rows: NetworkRows, chain: nx.DiGraph, listed: set[str]
) -> FoundStep:
    pairs = list(product(step.inputs, step.outputs))
    edges = [pair for pair in pairs if chain.has_edge(*pair)]
    if edges:
        named = _by_pair(rows.edges)
        return FoundStep(step, edges, [], "; ".join(_edge(pair, named[pair]) for pair in edges))
    path = _shortest(chain, pairs)
    reached = {seed.product for seed in one.seeds} | set(chain.nodes)
    told = [_why_not(pair, rows, reached, listed, one.votes) for pair in pairs]
    if path:
        told.insert(0, f"by way of {' -> '.join(path)}")
    return FoundStep(step, [], path, "; ".join(told))


def _edge(pair: Pair, row: pd.Series) -> str:
    how = "confirmed by trade" if row["tested"] else "untested"
    return f"{pair[0]} -> {pair[1]}, {row['votes']} votes, {how}"


def _by_pair(frame: pd.DataFrame) -> dict[Pair, pd.Series]:
    return {(row["input"], row["output"]): row for _, row in frame.iterrows()}


def _shortest(chain: nx.DiGraph, pairs: list[Pair]) -> list[str]:
    paths = [
        nx.shortest_path(chain, start, end)
        for start, end in pairs
        if start in chain and end in chain and nx.has_path(chain, start, end)
    ]
    return min(paths, key=lambda path: (len(path), path), default=[])


def _why_not(pair: Pair, rows: NetworkRows, reached: set[str], listed: set[str], least: int) -> str:
    """Return why a pair is no edge, the last hurdle it did not take."""

    def of_pair(frame: pd.DataFrame) -> pd.DataFrame:
        return frame[(frame["input"] == pair[0]) & (frame["output"] == pair[1])]

    name = f"{pair[0]} -> {pair[1]}"
    unlisted = [code for code in pair if code not in listed]
    if unlisted:
        return f"{name}: {' and '.join(unlisted)} not in the product list of this revision"
    removed, decided, votes = map(of_pair, (rows.removed, rows.decided, rows.votes))
    if len(removed):
        found = removed.iloc[0]
        return f"{name}: taken out, {found['reason']} {found['path']}".rstrip()
    if len(decided):
        return f"{name}: {decided.iloc[0]['reason']}"
    if pair[0] not in set(rows.votes["input"]):
        return f"{name}: {pair[0]} has no answers"
    if votes.empty:
        return f"{name}: named by no answer"
    count = f"{votes.iloc[0]['votes']} of {votes.iloc[0]['replicates']} answers name it"
    if int(votes.iloc[0]["votes"]) < least:
        return f"{name}: {count}, {least} are needed"
    if pair[0] not in reached:
        return f"{name}: {count}, but {pair[0]} is not reached from the seeds"
    return f"{name}: {count}, but it starts in the last tier"
