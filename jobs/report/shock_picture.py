"""A shock to the supply of a mineral as a picture: who is hit at which step, and through whom."""

from __future__ import annotations

from html import escape

import pandas as pd

from jobs.minerals.shock import Shock
from jobs.report.figures import FONT, INK, PALETTE, TEXT, WIDTH, Figure, shortened

TOP, ROW = 40, 30
LONGEST_NAME = 15
"""Characters of a country's name that fit into a column."""
CHARACTER = 4.9
"""Mean width of a character of a name, pixels."""
THICKEST, THINNEST = 7.0, 0.8
"""Strokes of the strongest hit drawn and of hits near zero, pixels."""


def path_rows(table: pd.DataFrame, *, steps: int, countries: int) -> pd.DataFrame:
    """Return the strongest hits of each step, and the countries on the way to those of the next.

    Args:
        table: step, country, hit (share of imports, 0 to 1), through; strongest first in a step.
        steps: steps drawn, from 1.
        countries: strongest hits drawn of each step; those on the way come in addition.

    Returns:
        Rows of the table. Whoever a drawn hit goes through is drawn at the step before.
    """
    kept: list[pd.DataFrame] = []
    needed: set[str] = set()
    for step in range(steps, 0, -1):
        mine = table[table["step"] == step]
        strongest = mine.index[:countries]
        mine = mine[mine.index.isin(strongest) | mine["country"].isin(needed)]
        needed = set(mine["through"])
        kept.insert(0, mine)
    return pd.concat(kept, ignore_index=True)


def path_figure(found: Shock, *, steps: int, countries: int) -> Figure | None:
    """Return the picture of a shock, or nothing if it reaches nobody."""
    rows = path_rows(found.table, steps=steps, countries=countries)
    if rows.empty:
        return None
    first = rows[rows["step"] == 1]
    hits = ", ".join(f"{row.country} {row.hit:.1%}" for row in first.head(countries).itertuples())
    return Figure(
        "minerals_shock",
        f"{found.mineral}: a shock from {found.origin}, {found.year}, step by step",
        f"Share of imports hit at the first step: {hits}.",
        picture(found.origin, rows),
        rows,
    )


def picture(origin: str, rows: pd.DataFrame) -> str:
    """Draw steps from left to right; a line comes from whom most of the hit goes through."""
    steps = sorted(rows["step"].unique())
    across = (WIDTH - 8) / (len(steps) + 1)
    tallest = int(rows.groupby("step").size().max())
    height = TOP + ROW * tallest
    middle = TOP + ROW * (tallest - 1) / 2
    at = {(0, origin): (4.0, middle)}
    for column, step in enumerate(steps, start=1):
        mine = rows.loc[rows["step"] == step, "country"]
        top = middle - ROW * (len(mine) - 1) / 2
        at |= {(step, name): (4 + across * column, top + ROW * n) for n, name in enumerate(mine)}
    titles = ["origin", *(f"step {step}" for step in steps)]
    return "".join(
        [
            f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {height:.0f}" '
            f'font-family="{FONT}" font-size="9" fill="{INK}">',
            *(
                f'<text x="{4 + across * n:.0f}" y="14" font-size="{TEXT}">{title}</text>'
                for n, title in enumerate(titles)
            ),
            *_lines(rows, at),
            _name(origin, *at[0, origin]),
            *(
                _name(row.country, *at[row.step, row.country], f"{row.hit:.1%}")
                for row in rows.itertuples()
            ),
            "</svg>",
        ]
    )


def _lines(rows: pd.DataFrame, at: dict[tuple[int, str], tuple[float, float]]) -> list[str]:
    """Draw hits as curves, as thick as the square root of the hit."""
    largest = float(rows["hit"].max())
    parts = []
    for row in rows.sort_values("hit").itertuples():
        x, y = at[row.step, row.country]
        from_x, from_y = at[row.step - 1, row.through]
        from_y, y = from_y - 3, y - 3
        begin, end = from_x + CHARACTER * len(_short(row.through)) + 3, x - 3
        bend = (begin + end) / 2
        wide = max(THINNEST, THICKEST * (float(row.hit) / largest) ** 0.5)
        parts.append(
            f'<path d="M{begin:.1f} {from_y:.1f}C{bend:.1f} {from_y:.1f} {bend:.1f} {y:.1f} '
            f'{end:.1f} {y:.1f}" fill="none" stroke="{PALETTE[1]}" stroke-opacity="0.5" '
            f'stroke-width="{wide:.1f}"><title>{escape(str(row.through))} to '
            f"{escape(str(row.country))}: {row.hit:.2%}</title></path>"
        )
    return parts


def _name(country: str, x: float, y: float, hit: str = "") -> str:
    below = f'<text x="{x:.0f}" y="{y + 10:.0f}">{hit}</text>' if hit else ""
    return (
        f'<text x="{x:.0f}" y="{y:.0f}">{escape(_short(country))}'
        f"<title>{escape(country)}</title></text>{below}"
    )


def _short(country: str) -> str:
    return shortened(country, LONGEST_NAME)
