"""The network of a material as the USA, China and the EU see it: every product by dependency."""

from __future__ import annotations

from dataclasses import dataclass
from html import escape

import pandas as pd

from conf.materials import Material
from conf.regions import region_codes
from jobs.report.figures import FONT, INK, PALE, TEXT, WIDTH, Figure
from jobs.report.networks import SECTIONS, section_of
from udfs.profiles import region_rows

LOOKED_AT = {"USA": "the USA", "CHN": "China"}
"""ISO3 and name of the countries that have a picture; the region comes after them."""
REGION = "EU27_2020"
LEFT, TOP, BOTTOM = 112, 22, 44
PITCH, RADIUS = 4.6, 2.0
ACROSS = 10
"""Products side by side in a row of a cell."""
LEAST_ROW = 13
LOW, MIDDLE, HIGH = (0, 114, 178), (236, 236, 236), (213, 94, 0)
"""Colours of a low, a mean and a high score, red, green, blue."""
REACH = 2.0
"""Score in standard deviations at which the colour ends."""


@dataclass(frozen=True)
class CountryNetworks:
    """The pictures of one material, or why there are none."""

    figures: list[Figure]
    year: int | None
    scored: int
    products: int
    why_not: str | None


def story(
    material: Material,
    tiers: pd.DataFrame,
    edges: pd.DataFrame,
    scores: pd.DataFrame,
    countries: pd.DataFrame,
    members: pd.DataFrame,
) -> CountryNetworks:
    """Return the networks of one material coloured by the dependency of each country looked at.

    Args:
        material: what it is about.
        tiers: product, tier.
        edges: input, output.
        scores: country, product, score, exports_kusd of one year; year.
        countries: country, iso3.
        members: country; the members of the region in that year.
    """
    known = scores.dropna(subset=["score"])
    scored = known["product"].nunique()
    if known.empty:
        why = "no product of the network has a dependency score (dependency_scores, score_loadings)"
        return CountryNetworks([], None, 0, len(tiers), why)
    year = int(known["year"].max())
    places = layout(dict(zip(tiers["product"], tiers["tier"], strict=True)))
    pairs = [
        (i, o)
        for i, o in edges[["input", "output"]].itertuples(index=False, name=None)
        if i in places.points and o in places.points
    ]
    seen = _scores_by_viewer(known, countries, members)
    figures = []
    for key, name in [*LOOKED_AT.items(), (REGION, "the EU")]:
        own = seen[seen["viewer"] == key].set_index("product")["score"].dropna()
        told = f"{len(own)} of {len(tiers)} products have a score for {name} in {year}"
        if len(own):
            told += f", from {own.min():.1f} to {own.max():.1f}, mean {own.mean():.1f}"
        data = tiers[["product", "tier"]].assign(score=tiers["product"].map(own))
        figures.append(
            Figure(
                f"{material.key}_network_{key}",
                f"{material.name}: the network of {name}, by dependency, {year}",
                f"{told}.",
                picture(places, pairs, own.to_dict()),
                data.sort_values(["tier", "product"]),
            )
        )
    return CountryNetworks(figures, year, scored, len(tiers), None)


def _scores_by_viewer(
    scores: pd.DataFrame, countries: pd.DataFrame, members: pd.DataFrame
) -> pd.DataFrame:
    """Return viewer, product, score of the countries looked at and of the region."""
    codes = countries[countries["iso3"].isin(LOOKED_AT)].set_index("country")["iso3"]
    own = scores[scores["country"].isin(codes.index)]
    own = own.assign(viewer=own["country"].map(codes)).drop_duplicates(["viewer", "product"])
    coded = members[["country"]].assign(region=region_codes()[REGION])
    region = region_rows(scores, coded, means=["score"], sums=[])
    columns = ["viewer", "product", "score"]
    return pd.concat([own[columns], region.assign(viewer=REGION)[columns]], ignore_index=True)


@dataclass(frozen=True)
class Layout:
    """Where every product lies: (x, y) in pixels; rows: name and middle of each section."""

    points: dict[str, tuple[float, float]]
    rows: list[tuple[str, float]]
    columns: list[tuple[int, float]]
    height: float


def layout(tiers: dict[str, int]) -> Layout:
    """Place products in cells, tiers from left to right and sections of the HS from top to bottom.

    Within a cell they lie in the order of their codes.
    """
    cells: dict[tuple[int, str], list[str]] = {}
    for product in sorted(tiers):
        cells.setdefault((tiers[product], section_of(product)), []).append(product)
    depth = max(tiers.values(), default=0) + 1
    step = (WIDTH - LEFT) / depth
    across = min(ACROSS, max(1, int((step - 4) / PITCH)))
    columns = [(tier, LEFT + step * (tier + 0.5)) for tier in range(depth)]
    points, rows, y = {}, [], float(TOP)
    for _, section in SECTIONS:
        mine = {tier: found for (tier, name), found in cells.items() if name == section}
        if not mine:
            continue
        deepest = max(-(-len(found) // across) for found in mine.values())
        tall = max(LEAST_ROW, PITCH * deepest + 6)
        rows.append((section, y + tall / 2))
        for tier, found in mine.items():
            lines = -(-len(found) // across)
            for n, product in enumerate(found):
                in_line = min(across, len(found) - across * (n // across))
                points[product] = (
                    columns[tier][1] + PITCH * (n % across - (in_line - 1) / 2),
                    y + tall / 2 + PITCH * (n // across - (lines - 1) / 2),
                )
        y += tall
    return Layout(points, rows, columns, y + BOTTOM)


def picture(places: Layout, edges: list[tuple[str, str]], scores: dict[str, float]) -> str:
    """Draw the network: a dot a product, filled with its score, hollow without one."""
    at = places.points
    parts = [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {places.height:.0f}" '
        f'font-family="{FONT}" font-size="{TEXT}" fill="{INK}">'
    ]
    lines = "".join(
        f"M{at[i][0]:.0f} {at[i][1]:.0f}L{at[o][0]:.0f} {at[o][1]:.0f}" for i, o in edges
    )
    parts.append(
        f'<path d="{lines}" fill="none" stroke="#0072b2" stroke-opacity="0.07" stroke-width="0.7"/>'
    )
    parts += [
        f'<text x="{x:.0f}" y="14" text-anchor="middle">{"seeds" if tier == 0 else f"tier {tier}"}'
        "</text>"
        for tier, x in places.columns
    ]
    parts += [
        f'<text x="{LEFT - 4}" y="{y + 3:.0f}" font-size="9" text-anchor="end">'
        f"{escape(name)}</text>"
        for name, y in places.rows
    ]
    hollow = "".join(f"M{x:.1f} {y:.1f}h0" for p, (x, y) in sorted(at.items()) if p not in scores)
    for colour, width in ((PALE, 2 * RADIUS), ("#ffffff", 2 * RADIUS - 1.2)):
        parts.append(
            f'<path d="{hollow}" stroke="{colour}" stroke-width="{width:.1f}" '
            'stroke-linecap="round" fill="none"/>'
        )
    parts += [
        f'<circle cx="{at[p][0]:.1f}" cy="{at[p][1]:.1f}" r="{RADIUS + 0.3}" '
        f'fill="{colour_of(score)}" stroke="{INK}" stroke-width="0.6">'
        f"<title>{escape(p)}: {score:.2f}</title></circle>"
        for p, score in sorted(scores.items())
        if p in at
    ]
    return "".join([*parts, *_legend(places.height), "</svg>"])


def colour_of(score: float) -> str:
    """Return the colour of a score: blue below the mean of all, orange above."""
    part = max(-1.0, min(1.0, score / REACH))
    end = HIGH if part > 0 else LOW
    mixed = (round(m + (e - m) * abs(part)) for m, e in zip(MIDDLE, end, strict=True))
    return "#" + "".join(f"{channel:02x}" for channel in mixed)


def _legend(height: float) -> list[str]:
    y = height - BOTTOM + 14
    steps = [-2.0, -1.0, 0.0, 1.0, 2.0]
    parts = [f'<text x="4" y="{y + 4:.0f}">score</text>']
    for n, step in enumerate(steps):
        x = 46 + 46 * n
        parts.append(
            f'<circle cx="{x}" cy="{y:.0f}" r="4" fill="{colour_of(step)}" stroke="{INK}" '
            f'stroke-width="0.6"/><text x="{x + 8}" y="{y + 4:.0f}">'
            f"{'≤ ' if n == 0 else '≥ ' if n == len(steps) - 1 else ''}{step:g}</text>"
        )
    below = y + 18
    parts.append(
        f'<circle cx="46" cy="{below:.0f}" r="3" fill="#ffffff" stroke="{PALE}" '
        'stroke-width="1.2"/>'
        f'<text x="54" y="{below + 4:.0f}">no score: trade not loaded, or none</text>'
    )
    return parts
