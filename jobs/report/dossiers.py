"""Which known steps are in a network, and what speaks for its strongest and weakest edges?"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from html import escape

import pandas as pd

from conf.materials import Material
from conf.settings import Settings
from jobs.network.edge_dossiers import (
    SETTINGS_READ,
    TABLES_READ,
    Dossier,
    Evidence,
    Sentence,
    dossiers,
)
from jobs.network.known_steps import FoundStep, found_steps
from jobs.report.figures import FONT, INK, PALETTE, Figure
from jobs.tables import EDGES
from jobs.warehouse import Warehouse

__all__ = ["SETTINGS_READ", "TABLES_READ", "DossierStory", "Group", "Shown", "chosen", "stories"]

EACH = 5
"""Edges of a group."""
SENTENCES = 8
"""Lines of answers shown of an edge."""
WIDTH, HEIGHT, BASE, LEFT = 360, 120, 96, 8
"""Of the picture of a null, pixels; BASE is where the bars stand."""
PAIR = ["input", "output"]
Pair = tuple[str, str]


@dataclass(frozen=True)
class Shown:
    """A dossier with the picture of its null, None where its trade is not loaded."""

    dossier: Dossier
    figure: Figure | None

    @property
    def sentences(self) -> list[Sentence]:
        """The most frequent lines of answers that named its output."""
        return self.dossier.sentences[:SENTENCES]

    @property
    def unshown(self) -> int:
        """How many lines of answers the page leaves out."""
        return len(self.dossier.sentences) - len(self.sentences)


@dataclass(frozen=True)
class Group:
    """Dossiers that are shown together, and why."""

    title: str
    shown: list[Shown]


@dataclass(frozen=True)
class DossierStory:
    """What the page shows of the edges of one material.

    unshown: verdicts of a person for which there is no room.
    """

    steps: list[FoundStep]
    groups: list[Group]
    unshown: int


def chosen(
    steps: Sequence[FoundStep], edges: pd.DataFrame, decided: pd.DataFrame, *, each: int = EACH
) -> dict[str, list[Pair]]:
    """Return title -> pairs of products to show; a pair is in the first group that has it.

    Args:
        steps: known steps; the first edge of each is shown, `each` of them at most.
        edges: input, output, votes, tested, z of the network.
        decided: input, output, rho, z, kept, verdict of the test that decides.
        each: pairs of a group.

    Strength: tested before untested, then z, then votes, then code.
    """
    ranked = edges.sort_values(
        ["tested", "z", "votes", *PAIR], ascending=[False, False, False, True, True]
    )
    refused = decided[decided["rho"].notna() & ~decided["kept"].astype(bool)]
    groups = {
        "Edges on which a person gave a verdict": decided[decided["verdict"].notna()],
        "Known steps": pd.DataFrame(
            [step.edges[0] for step in steps if step.edges], columns=PAIR, dtype=object
        ),
        "Strongest edges": ranked,
        "Weakest edges": ranked.iloc[::-1],
        "Tested by trade and refused, the nearest to being confirmed": refused.sort_values(
            ["z", *PAIR], ascending=[False, True, True]
        ),
    }
    seen: set[Pair] = set()
    found = {}
    for title, rows in groups.items():
        pairs = list(rows[PAIR].itertuples(index=False, name=None))
        found[title] = [pair for pair in pairs if pair not in seen][:each]
        seen |= set(found[title])
    return {title: pairs for title, pairs in found.items() if pairs}


def null_figure(one: Dossier) -> Figure | None:
    """Return the null of an edge as bars and its own correlation as a line, if it was tested."""
    if not one.tested:
        return None
    counts, borders = one.bars
    rho = float(one.decided["rho"])
    names = f"{one.input} with {one.output}"
    data = pd.DataFrame({"from": borders[:-1], "to": borders[1:], "outputs": counts})
    return Figure(
        name=f"{one.material}_edge_{one.input}_{one.output}",
        title=f"Imports of {one.input} and exports of {one.output}: correlation and its null",
        told=f"Imports of {one.input} correlate with exports of {one.output} by {rho:.2f}; with "
        f"{one.null.size} other products by {one.decided['null_mean']:.2f} on average, from "
        f"{one.null.min():.2f} to {one.null.max():.2f}.",
        svg=_picture(counts.tolist(), borders.tolist(), rho, f"{names}: {rho:.2f}"),
        data=data.assign(input=one.input, output=one.output, rho=rho),
    )


def _picture(counts: Sequence[int], borders: Sequence[float], rho: float, label: str) -> str:
    low, high, most = borders[0], borders[-1], max(1, *counts)
    span = (high - low) or 1.0

    def x(value: float) -> float:
        return LEFT + (WIDTH - 2 * LEFT) * (value - low) / span

    bars = [
        f'<rect x="{x(start):.1f}" y="{BASE - tall:.1f}" '
        f'width="{max(0.5, x(end) - x(start) - 1):.1f}" height="{tall:.1f}" fill="{PALETTE[0]}"/>'
        for count, start, end in zip(counts, borders, borders[1:], strict=False)
        if count and (tall := max(1.0, (BASE - 22) * count / most))
    ]
    at, side = (x(rho) - 4, "end") if x(rho) > WIDTH / 2 else (x(rho) + 4, "start")
    marks = [
        f'<line x1="{x(rho):.1f}" x2="{x(rho):.1f}" y1="4" y2="{BASE}" stroke="{PALETTE[1]}" '
        'stroke-width="2"/>',
        f'<text x="{at:.1f}" y="14" text-anchor="{side}">{escape(label)}</text>',
        f'<text x="{LEFT}" y="{HEIGHT - 6}">{low:.2f}</text>',
        f'<text x="{WIDTH - LEFT}" y="{HEIGHT - 6}" text-anchor="end">{high:.2f}</text>',
    ]
    head = (
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {HEIGHT}" '
        f'font-family="{FONT}" font-size="12" fill="{INK}">'
    )
    return "".join([head, *bars, *marks, "</svg>"])


def story(evidence: Evidence, one: Material) -> DossierStory:
    """Return what the page shows of the edges of a material."""
    decided = evidence.decided(one.key)
    listed = set(evidence.products.descriptions)
    steps = found_steps(one, evidence.rows_of_network(one.key), listed)
    titles = chosen(steps, evidence.of_material(EDGES, one.key), decided)
    every = [pair for pairs in titles.values() for pair in pairs]
    found = {(d.input, d.output): d for d in dossiers(evidence, one.key, every)}
    groups = [
        Group(title, [Shown(found[pair], null_figure(found[pair])) for pair in pairs])
        for title, pairs in titles.items()
    ]
    return DossierStory(steps, groups, max(0, int(decided["verdict"].notna().sum()) - EACH))


def stories(
    warehouse: Warehouse, materials: Sequence[Material], settings: Settings
) -> list[DossierStory]:
    """Return what the page shows of the edges of each material, in their order."""
    evidence = Evidence(warehouse, settings)
    return [story(evidence, one) for one in materials]
