"""Figures: each made from a data frame, drawn as SVG without a browser and without a network.

A figure is as wide as a phone (`WIDTH`), so that its text is legible there and larger elsewhere.
"""

from __future__ import annotations

import math
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import altair as alt
import pandas as pd
import vl_convert

PALETTE = (
    *("#0072b2", "#d55e00", "#009e73", "#cc79a7", "#e69f00", "#56b4e9"),
    *("#332288", "#117733", "#882255", "#999933", "#44aa99", "#aa4499"),
)
"""Okabe and Ito's colours, then Tol's: told apart by colour-blind readers."""
INK, GRID, PALE = "#222222", "#e4e4e4", "#b8b8b8"
FONT = "Arial, Liberation Sans, sans-serif"
WIDTH, HEIGHT = 360, 220
TEXT = 11
LEGEND_ROW = 16
LONGEST = 46
"""Characters of a legend entry that fit into the width."""
COORDINATES = re.compile(r'(?<= )(d|transform)="([^"]*)"')
TENTH, TENTH_OF = re.compile(r"(\d\.\d)\d+"), r"\1"


@dataclass(frozen=True)
class Figure:
    """A figure with all that a reader needs of it.

    name: what its files are called. title: what it shows, in a line. told: its text alternative,
    with the numbers. svg: the picture. data: the rows it was drawn from, for the CSV.
    """

    name: str
    title: str
    told: str
    svg: str
    data: pd.DataFrame


def lines(
    data: pd.DataFrame,
    *,
    y: str,
    title: str,
    series: str = "series",
    colours: Sequence[str] | None = None,
    log: bool = False,
) -> str:
    """Draw one line a series over `year`; columns year, series, y. A year without is a gap."""
    scale = alt.Scale(type="log", nice=False) if log else alt.Scale(zero=False)
    axis = alt.Axis(values=_decades(data[y])) if log else alt.Axis(tickCount=5)
    names = list(dict.fromkeys(data[series]))
    chart = (
        alt.Chart(_with_gaps(data, series, y))
        .mark_line(point=alt.OverlayMarkDef(size=18), strokeWidth=1.8)
        .encode(
            x=_years(data, margin=0.4),
            y=alt.Y(f"{y}:Q", title=title, scale=scale, axis=axis),
            color=alt.Color(f"{series}:N", scale=_colours(names, colours), legend=_legend(names)),
        )
    )
    return drawn(chart, HEIGHT + LEGEND_ROW * len(names))


def areas(data: pd.DataFrame, *, y: str, title: str, series: str = "series") -> str:
    """Draw parts of a whole over `year`, the first at the bottom; columns year, series, y."""
    names = list(dict.fromkeys(data[series]))
    order = data.assign(place=data[series].map(names.index))[["year", series, y, "place"]]
    colours = [*PALETTE[: len(names) - 1], PALE]
    chart = (
        alt.Chart(order)
        .mark_area()
        .encode(
            x=_years(data),
            y=alt.Y(f"{y}:Q", title=title, stack="zero", axis=alt.Axis(tickCount=5)),
            color=alt.Color(
                f"{series}:N", scale=_colours(names, colours), legend=_legend(names, columns=2)
            ),
            order=alt.Order("place:Q"),
        )
    )
    return drawn(chart, HEIGHT + LEGEND_ROW * ((len(names) + 1) // 2))


def bars(data: pd.DataFrame, *, x: str, label: str, title: str) -> str:
    """Draw horizontal bars in the order given; columns label, x."""
    chart = (
        alt.Chart(data[[label, x]])
        .mark_bar(color=PALETTE[0])
        .encode(
            x=alt.X(f"{x}:Q", title=title, axis=alt.Axis(tickCount=5)),
            y=alt.Y(f"{label}:N", sort=None, title=None, axis=alt.Axis(labelLimit=150)),
        )
    )
    return drawn(chart, 60 + 18 * len(data))


def scatter(data: pd.DataFrame, *, x: str, y: str, label: str, x_title: str, y_title: str) -> str:
    """Draw one point a row, named where `label` is not empty and there is room; x, y, label.

    Names are set from the largest x down; one that would lie on another is left out.
    """
    room = float(data[x].max() - data[x].min() or 1) * 0.28
    first, last = min(0.0, float(data[x].min())), float(data[x].max()) + room
    named = data.assign(**{label: _legible(data, x, y, label, (last - first) or 1.0)})
    base = alt.Chart(named[[x, y, label]]).encode(
        x=alt.X(
            f"{x}:Q",
            title=x_title,
            scale=alt.Scale(domain=[first, last]),
            axis=alt.Axis(tickCount=5),
        ),
        y=alt.Y(f"{y}:Q", title=y_title, axis=alt.Axis(tickCount=5)),
    )
    points = base.mark_circle(size=36, color=PALETTE[0], opacity=0.8)
    halo = base.mark_text(
        align="left", dx=5, fontSize=9, stroke="#ffffff", strokeWidth=2.5, opacity=0.9
    ).encode(text=f"{label}:N")
    names = base.mark_text(align="left", dx=5, fontSize=9, color=INK).encode(text=f"{label}:N")
    return drawn(alt.layer(halo, points, names), 280)


def spreads(data: pd.DataFrame, *, group: str, panels: Mapping[str, str]) -> str:
    """Draw how an indicator spreads over countries, one panel an indicator, one row a group.

    data: panel, group, p10, p25, p50, p75, p90; panels: what each indicator is called. A thin line
    reaches from p10 to p90, a thick one over the middle half, a dot marks the median.
    """
    groups = list(dict.fromkeys(data[group]))
    drawn_panels = []
    for panel, title in panels.items():
        mine = data[data["panel"] == panel]
        if mine.empty:
            continue
        rows = alt.Y(
            f"{group}:N",
            sort=groups,
            title=None,
            scale=alt.Scale(domain=groups),
            axis=alt.Axis(offset=6),
        )
        scale = alt.Scale(zero=False, nice=True)
        axis = alt.Axis(tickCount=5)
        base = alt.Chart(mine.drop(columns="panel")).encode(y=rows)
        thin = base.mark_rule(color=INK).encode(
            x=alt.X("p10:Q", title=title, scale=scale, axis=axis), x2="p90:Q"
        )
        thick = base.mark_bar(size=8, color=PALETTE[5]).encode(x="p25:Q", x2="p75:Q")
        dot = base.mark_circle(size=34, color=INK, opacity=1).encode(x="p50:Q")
        drawn_panels.append(
            alt.layer(thin, thick, dot).properties(width=280, height=18 * len(groups))
        )
    return _svg(alt.vconcat(*drawn_panels, spacing=8))


def dots(data: pd.DataFrame, *, x: str, label: str, series: str, title: str) -> str:
    """Draw one dot a row: rows by `label` in the order given, colours by `series`.

    Positions follow the square root of x, so that small values can be told apart.
    """
    labels = list(dict.fromkeys(data[label]))
    names = list(dict.fromkeys(data[series]))
    legend = _legend(names, columns=4)
    chart = (
        alt.Chart(data[[label, x, series]])
        .mark_point(size=44, filled=True, opacity=0.85)
        .encode(
            x=alt.X(
                f"{x}:Q",
                title=title,
                scale=alt.Scale(type="sqrt", zero=True),
                axis=alt.Axis(tickCount=5),
            ),
            y=alt.Y(f"{label}:N", sort=labels, title=None, axis=alt.Axis(labelLimit=150, offset=6)),
            color=alt.Color(f"{series}:N", scale=_colours(names), legend=legend),
            shape=alt.Shape(f"{series}:N", scale=alt.Scale(domain=names), legend=legend),
        )
    )
    return drawn(chart, 76 + 18 * len(labels))


def drawn(chart: Any, height: int, width: int = WIDTH) -> str:
    """Return a chart as SVG of this size, axes and legend included."""
    fit = alt.AutoSizeParams(type="fit", contains="padding")
    return _svg(chart.properties(width=width, height=height, autosize=fit))


def cluster_colours(labels: Sequence[int]) -> dict[int, str]:
    """Return the colour of each cluster: black for 0, the background, the same in all figures."""
    return {
        label: INK if label == 0 else PALETTE[(label - 1) % len(PALETTE)]
        for label in sorted(set(labels))
    }


def shortened(text: str, length: int = LONGEST) -> str:
    """Return a text cut between words, with dots where something is left out."""
    if len(text) <= length:
        return text
    return re.sub(r"\W*\s?\w*$", "", text[:length]) + " …"


def _legible(data: pd.DataFrame, x: str, y: str, label: str, width: float) -> pd.Series:
    """Return the labels with an empty text for each that would lie on another."""
    height = float(data[y].max() - min(0.0, data[y].min())) or 1.0
    kept: list[tuple[float, float, float]] = []
    texts = pd.Series("", index=data.index)
    for index, row in data.sort_values(x, ascending=False, kind="stable").iterrows():
        left, length = 320 * row[x] / width, 5.2 * len(row[label])
        level = 240 * row[y] / height
        clear = all(
            abs(level - at) > 10 or left > begin + long or begin > left + length
            for begin, long, at in kept
        )
        if row[label] and clear:
            kept.append((left, length, level))
            texts[index] = row[label]
    return texts


def _with_gaps(data: pd.DataFrame, series: str, y: str) -> pd.DataFrame:
    """Return year, series, y with a row for every year from first to last of every series."""
    years = range(int(data["year"].min()), int(data["year"].max()) + 1)
    every = pd.MultiIndex.from_product([dict.fromkeys(data[series]), years], names=[series, "year"])
    return data.set_index([series, "year"])[y].reindex(every).reset_index()


def _decades(values: pd.Series) -> list[float]:
    """Return 1, 2 and 5 times the powers of ten within the values, for a logarithmic axis."""
    least, most = float(values.min()), float(values.max())
    powers = range(math.floor(math.log10(least)), math.ceil(math.log10(most)) + 1)
    ticks = [step * 10.0**power for power in powers for step in (1, 2, 5)]
    return [tick for tick in ticks if least <= tick <= most]


def _years(data: pd.DataFrame, margin: float = 0.0) -> alt.X:
    first, last = int(data["year"].min()), int(data["year"].max())
    step = max(1, -(-(last - first) // 6))
    axis = alt.Axis(labelAngle=0, values=list(range(first, last + 1, step)), format="d")
    scale = alt.Scale(domain=[first - margin, last + margin], nice=False)
    return alt.X("year:Q", title=None, axis=axis, scale=scale)


def _colours(names: list[Any], colours: Sequence[str] | None = None) -> alt.Scale:
    return alt.Scale(domain=names, range=list(colours or PALETTE)[: len(names)])


def _legend(names: list[Any], columns: int = 1) -> alt.Legend | None:
    if len(names) < 2:
        return None
    limit = (WIDTH - 40) // columns - 16
    return alt.Legend(title=None, orient="top", columns=columns, labelLimit=limit)


def _svg(chart: Any) -> str:
    styled = chart.configure(
        font=FONT,
        aria=False,
        padding={"left": 4, "right": 8, "top": 4, "bottom": 4},
        axis=alt.AxisConfig(
            labelFontSize=TEXT,
            titleFontSize=TEXT,
            titleFontWeight="normal",
            labelColor=INK,
            titleColor=INK,
            labelFlush=False,
            labelOverlap=True,
            labelPadding=5,
            gridColor=GRID,
            domain=False,
            ticks=False,
        ),
        legend=alt.LegendConfig(labelFontSize=TEXT, labelColor=INK, symbolSize=60),
        view=alt.ViewConfig(stroke=None),
    )
    svg: str = vl_convert.vegalite_to_svg(styled.to_json())
    return light(svg)


def light(svg: str) -> str:
    """Return an SVG with coordinates to a tenth of a pixel: a third of the bytes of a map."""
    return COORDINATES.sub(_rounded, svg)


def _rounded(attribute: re.Match[str]) -> str:
    return f'{attribute[1]}="{TENTH.sub(TENTH_OF, attribute[2])}"'
