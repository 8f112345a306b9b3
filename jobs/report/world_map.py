"""A map of the world coloured by cluster, and which countries have no shape on it."""

from __future__ import annotations

import json
from functools import cache
from typing import Any

import altair as alt
import pandas as pd

from conf.settings import SAMPLE
from jobs.report.figures import INK, LEGEND_ROW, PALE, TEXT, WIDTH, drawn

SHAPES = SAMPLE / "world_110m.topojson"
SHAPE_OF = {251: 250, 490: 158, 579: 578, 699: 356, 736: 729, 757: 756, 842: 840}
"""ISO numeric code of the shape where BACI's code differs: France, Taiwan (Other Asia), Norway,
India, Sudan, Switzerland, USA. The shape of Sudan is that of today, without South Sudan."""
ANTARCTICA = "010"
LAND = "#ececec"
ACROSS = 4
"""Entries of the legend in a row."""


@cache
def _world() -> dict[str, Any]:
    world: dict[str, Any] = json.loads(SHAPES.read_text(encoding="utf-8"))
    return world


def shape_ids() -> set[int]:
    """Return the ISO numeric codes that have a shape."""
    shapes = _world()["objects"]["countries"]["geometries"]
    return {int(shape["id"]) for shape in shapes if "id" in shape}


def shape_of(country: int) -> int | None:
    """Return the shape of a country by its BACI code; None where the map is too coarse for it."""
    code = SHAPE_OF.get(country, country)
    return code if code in shape_ids() else None


def draw(data: pd.DataFrame, colours: dict[str, str]) -> str:
    """Draw the map. data: country, series; colours: of each series, in the order of the legend."""
    shapes = data["country"].map(shape_of)
    known = data.assign(shape=shapes).dropna(subset=["shape"]).drop_duplicates("shape")
    coded = pd.DataFrame({"id": known["shape"].map("{:03.0f}".format), "series": known["series"]})
    topology = alt.Data(
        values=_world(), format=alt.TopoDataFormat(type="topojson", feature="countries")
    )
    colour = alt.Color(
        "series:N",
        scale=alt.Scale(domain=list(colours), range=list(colours.values())),
        legend=alt.Legend(
            title=None, orient="bottom", columns=ACROSS, labelFontSize=TEXT, labelColor=INK
        ),
    )
    land = alt.Chart(topology).transform_filter(f"datum.id != '{ANTARCTICA}'")
    base = land.mark_geoshape(fill=LAND, stroke=PALE, strokeWidth=0.3)
    filled = (
        land.transform_lookup(lookup="id", from_=alt.LookupData(coded, "id", ["series"]))
        .transform_filter("isValid(datum.series)")
        .mark_geoshape(stroke="#ffffff", strokeWidth=0.3)
        .encode(color=colour)
    )
    rows = -(-len(colours) // ACROSS)
    chart = alt.layer(base, filled).project("equalEarth")
    return drawn(chart, WIDTH // 2 + 14 + LEGEND_ROW * rows)
