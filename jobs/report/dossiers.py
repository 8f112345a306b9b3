"""The dossiers that the report shows: what speaks for the strongest edges, and for the weakest."""

from __future__ import annotations

from dataclasses import dataclass
from html import escape
from importlib import resources
from typing import Any

import pandas as pd
from jinja2 import Environment, StrictUndefined
from markupsafe import Markup

from conf.settings import Settings
from jobs.network.edge_dossiers import SETTINGS_READ, TABLES_READ, Dossier, Evidence, dossiers
from jobs.tables import EDGES, LINKS
from jobs.warehouse import Warehouse

__all__ = ["SETTINGS_READ", "TABLES_READ", "Group", "chosen", "picture", "section"]

EACH = 5
"""Edges of each group, but for those with a verdict, of which all are shown."""
WIDTH, HEIGHT, BASE, LEFT = 360, 120, 96, 8
"""Of the picture of a null, pixels; BASE is where the bars stand."""
PAIR = ["input", "output"]


@dataclass(frozen=True)
class Group:
    """Dossiers that are shown together, and why."""

    title: str
    dossiers: list[Dossier]


def chosen(
    edges: pd.DataFrame, decided: pd.DataFrame, *, each: int = EACH
) -> dict[str, list[tuple[str, str]]]:
    """Return title -> pairs of products to show; a pair is in the first group that has it.

    Args:
        edges: input, output, votes, tested, z of the network.
        decided: input, output, rho, z, kept, verdict of the test that decides.
        each: pairs of a group.

    Strength: tested before untested, then z, then votes, then code.
    """
    ranked = edges.sort_values(
        ["tested", "z", "votes", *PAIR], ascending=[False, False, False, True, True]
    )
    strongest, weakest = ranked.head(each), ranked.iloc[each:].tail(each).iloc[::-1]
    refused = decided[decided["rho"].notna() & ~decided["kept"].astype(bool)]
    refused = refused.sort_values(["z", *PAIR], ascending=[False, True, True]).head(each)
    groups = {
        "Edges on which a person gave a verdict": decided[decided["verdict"].notna()],
        "Strongest edges": strongest,
        "Weakest edges": weakest,
        "Tested by trade and refused, the nearest to being confirmed": refused,
    }
    seen: set[tuple[str, str]] = set()
    found = {}
    for title, rows in groups.items():
        pairs = list(rows[PAIR].itertuples(index=False, name=None))
        found[title] = [pair for pair in pairs if pair not in seen]
        seen |= set(pairs)
    return {title: pairs for title, pairs in found.items() if pairs}


def picture(one: Dossier) -> str:
    """Draw the null of an edge as bars and its own correlation as a line."""
    counts, borders = one.bars
    rho = float(one.decided["rho"])
    low, high, most = borders[0], borders[-1], max(1, int(counts.max()))
    span = (high - low) or 1.0

    def x(value: float) -> float:
        return LEFT + (WIDTH - 2 * LEFT) * (value - low) / span

    parts = [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {HEIGHT}" aria-hidden="true"'
        ' focusable="false" font-family="Arial, Liberation Sans, sans-serif" font-size="12" '
        'fill="#222222">'
    ]
    for n, count in enumerate(counts):
        if count:
            tall = max(1.0, (BASE - 22) * count / most)
            parts.append(
                f'<rect x="{x(borders[n]):.1f}" y="{BASE - tall:.1f}" '
                f'width="{x(borders[n + 1]) - x(borders[n]) - 1:.1f}" height="{tall:.1f}" '
                'fill="#0072b2"/>'
            )
    side = "end" if x(rho) > WIDTH / 2 else "start"
    at = x(rho) + (-4 if side == "end" else 4)
    parts += [
        f'<line x1="{x(rho):.1f}" x2="{x(rho):.1f}" y1="4" y2="{BASE}" stroke="#d55e00" '
        'stroke-width="2"/>',
        f'<text x="{at:.1f}" y="14" text-anchor="{side}">'
        f"{escape(f'{one.input} with {one.output}: {rho:.2f}')}</text>",
        f'<text x="{LEFT}" y="{HEIGHT - 6}">{low:.2f}</text>',
        f'<text x="{WIDTH - LEFT}" y="{HEIGHT - 6}" text-anchor="end">{high:.2f}</text>',
        "</svg>",
    ]
    return "".join(parts)


def groups(evidence: Evidence, material: str) -> list[Group]:
    """Return the dossiers of a material that the report shows."""
    links = evidence.of_material(LINKS, material)
    decided = links[links["test"] == evidence.settings.network.link_mode]
    titles = chosen(evidence.of_material(EDGES, material), decided)
    every = [pair for pairs in titles.values() for pair in pairs]
    found = {(one.input, one.output): one for one in dossiers(evidence, material, every)}
    return [
        Group(title, [found[pair] for pair in pairs if pair in found])
        for title, pairs in titles.items()
    ]


def section(warehouse: Warehouse, material: str, settings: Settings) -> Markup:
    """Return the part of the page with the dossiers of a material."""
    environment = Environment(
        autoescape=True, undefined=StrictUndefined, trim_blocks=True, lstrip_blocks=True
    )
    environment.filters["number"] = _number
    template = resources.files("jobs.report").joinpath("dossiers.html").read_text(encoding="utf-8")
    evidence = Evidence(warehouse, settings)
    text = environment.from_string(template).render(
        groups=groups(evidence, material),
        picture=lambda one: Markup(picture(one)),
        network=settings.network,
    )
    return Markup(text)


def _number(value: Any, digits: int = 2) -> str:
    return "–" if value is None or pd.isna(value) else f"{value:,.{digits}f}"
