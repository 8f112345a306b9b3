"""Figures as SVG text, drawn without a browser and without a network."""

from __future__ import annotations

import re

import altair as alt
import pandas as pd
import vl_convert

PALETTE = ("#0072b2", "#d55e00", "#009e73", "#cc79a7", "#e69f00", "#56b4e9")
"""Okabe and Ito's colours, told apart by colour-blind readers."""
INK, GRID = "#222222", "#e4e4e4"


def lines(data: pd.DataFrame, *, y: str, title: str, series: str = "series") -> str:
    """Draw one line a series over `year`; columns year, series, y. Gaps stay gaps."""
    chart = (
        alt.Chart(data)
        .mark_line(point=alt.OverlayMarkDef(size=22), strokeWidth=2)
        .encode(
            x=alt.X("year:O", title=None, axis=alt.Axis(labelAngle=0, values=_ticks(data["year"]))),
            y=alt.Y(f"{y}:Q", title=title, scale=alt.Scale(zero=False), axis=alt.Axis(tickCount=5)),
            color=alt.Color(
                f"{series}:N",
                scale=alt.Scale(range=list(PALETTE)),
                legend=alt.Legend(title=None, orient="top", columns=1, labelLimit=420),
            ),
        )
        .properties(width=420, height=210)
    )
    return _svg(chart)


def bars(data: pd.DataFrame, *, x: str, label: str, title: str) -> str:
    """Draw horizontal bars in the order given; columns label, x."""
    chart = (
        alt.Chart(data)
        .mark_bar(color=PALETTE[0])
        .encode(
            x=alt.X(f"{x}:Q", title=title, axis=alt.Axis(tickCount=5)),
            y=alt.Y(f"{label}:N", sort=None, title=None, axis=alt.Axis(labelLimit=220)),
        )
        .properties(width=360, height=alt.Step(20))
    )
    return _svg(chart)


def scatter(data: pd.DataFrame, *, x: str, y: str, label: str, x_title: str, y_title: str) -> str:
    """Draw one named point a row; columns x, y, label."""
    base = alt.Chart(data).encode(
        x=alt.X(f"{x}:Q", title=x_title, axis=alt.Axis(tickCount=5)),
        y=alt.Y(f"{y}:Q", title=y_title, axis=alt.Axis(tickCount=5)),
    )
    points = base.mark_circle(size=45, color=PALETTE[0])
    names = base.mark_text(align="left", dx=6, fontSize=9, color=INK).encode(text=f"{label}:N")
    return _svg(alt.layer(points, names).properties(width=420, height=300))


def _ticks(years: pd.Series) -> list[int]:
    first, last = int(years.min()), int(years.max())
    step = max(1, (last - first) // 6)
    return list(range(first, last + 1, step))


def _svg(chart: alt.Chart) -> str:
    styled = chart.configure(
        font="Arial, Liberation Sans, sans-serif",
        padding={"left": 16, "right": 8, "top": 4, "bottom": 4},
        axis=alt.AxisConfig(
            labelFontSize=12,
            titleFontSize=12,
            titleFontWeight="normal",
            labelColor=INK,
            titleColor=INK,
            gridColor=GRID,
            domain=False,
            ticks=False,
        ),
        legend=alt.LegendConfig(labelFontSize=12, labelColor=INK),
        view=alt.ViewConfig(stroke=None),
    )
    svg: str = vl_convert.vegalite_to_svg(styled.to_json())
    return re.sub(r"<svg ", '<svg aria-hidden="true" focusable="false" ', svg, count=1)
