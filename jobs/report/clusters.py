"""Groups of countries with alike dependence: where they lie, who is in them, how firm they are."""

from __future__ import annotations

from dataclasses import dataclass
from html import escape
from typing import Any

import pandas as pd

from conf.materials import Material
from jobs.report import world_map
from jobs.report.figures import FONT, GRID, INK, TEXT, WIDTH, Figure, cluster_colours

NAMED = {"CHN": "China", "USA": "USA", "DEU": "Germany", "AUS": "Australia", "JPN": "Japan"}
"""ISO3 of countries named in the embedding, at their last year; regions come beside them."""
NAMED_REGION = "EU27_2020"
HIGH, MARGIN, DOT = 300, 12, 3.2
LEGEND_STEP = 96
NUMBER = 17
"""Height of the number of a cluster, pixels."""
ISOLATED = 5
"""Most countries named as farthest from all others."""
FAR = 2.0
"""Isolation from which a country is named, in medians of all countries."""
FIRM = 0.5
"""Stability below which a country is said to be loosely placed."""


@dataclass(frozen=True)
class ClusterStory:
    """What the page shows of the clusters of one material."""

    embedding: Figure | None
    map: Figure | None
    groups: list[dict[str, Any]]
    shapeless: list[dict[str, Any]]
    isolated: list[dict[str, Any]]
    left_out: list[tuple[str, int]]
    agreement: list[dict[str, Any]]
    runs: dict[str, Any]
    points: int
    why_not: str | None


def story(
    material: Material,
    points: pd.DataFrame,
    labels: pd.DataFrame,
    agreement: pd.DataFrame,
    countries: pd.DataFrame,
) -> ClusterStory:
    """Return what the page says of the clusters of one material.

    Args:
        material: what it is about.
        points: rows of `clusters`.
        labels: rows of `country_clusters`.
        agreement: rows of `cluster_agreement`.
        countries: country, name, iso3.
    """
    left_out = [(str(why), int(n)) for why, n in labels["reason"].value_counts().items()]
    placed = labels.dropna(subset=["cluster"])
    if placed.empty:
        why = left_out[0][0] if left_out else "country_clusters has no row of this material"
        return ClusterStory(None, None, [], [], [], left_out, [], {}, 0, why)
    names = countries.set_index("country")["name"]
    name = placed["country"].map(names).where(placed["region"].isna(), placed["region"])
    placed = placed.assign(cluster=placed["cluster"].astype(int), name=name)
    drawn = points.dropna(subset=["cluster", "x", "y"])
    drawn = drawn.assign(cluster=drawn["cluster"].astype(int))
    # One colour for each label, whether it is of a country or of a single year.
    colours = cluster_colours([*placed["cluster"], *drawn["cluster"]])
    return ClusterStory(
        _embedding(material, drawn, countries, colours),
        _map(material, placed, colours),
        _groups(placed, colours),
        _shapeless(placed),
        _isolated(placed),
        left_out,
        agreement.drop(columns="material").to_dict("records"),
        _runs(placed, agreement),
        len(drawn),
        None,
    )


def called(cluster: int) -> str:
    """Return the name of a cluster."""
    return "0, background" if cluster == 0 else f"cluster {cluster}"


def _embedding(
    material: Material, points: pd.DataFrame, countries: pd.DataFrame, colours: dict[int, str]
) -> Figure | None:
    if points.empty:
        return None
    sizes = points["cluster"].value_counts().sort_index()
    told = ", ".join(f"{called(int(label))}: {n}" for label, n in sizes.items())
    return Figure(
        f"{material.key}_embedding",
        f"{material.name}: country-years by likeness of their profiles (UMAP), by cluster (DBM)",
        f"{len(points)} country-years in two dimensions; {told}.",
        scatter_of_years(points, _named_points(points, countries), colours),
        points[["country", "region", "year", "x", "y", "cluster"]],
    )


def _named_points(points: pd.DataFrame, countries: pd.DataFrame) -> list[tuple[str, float, float]]:
    codes = countries[countries["iso3"].isin(NAMED)].set_index("country")["iso3"].map(NAMED)
    own = points.assign(shown=points["country"].map(codes))
    own["shown"] = own["shown"].where(own["region"] != NAMED_REGION, "EU")
    last = own.dropna(subset=["shown"]).sort_values("year").drop_duplicates("shown", keep="last")
    return list(last[["shown", "x", "y"]].itertuples(index=False, name=None))


def scatter_of_years(
    points: pd.DataFrame, named: list[tuple[str, float, float]], colours: dict[int, str]
) -> str:
    """Draw the embedding: a dot a country-year, the number of each cluster at its middle."""
    low, high = points[["x", "y"]].min(), points[["x", "y"]].max()
    span = (high - low).where(high > low, 1.0)

    def place(x: float, y: float) -> tuple[float, float]:
        return (
            MARGIN + (WIDTH - 2 * MARGIN) * (x - low["x"]) / span["x"],
            HIGH - MARGIN - (HIGH - 2 * MARGIN) * (y - low["y"]) / span["y"],
        )

    across = max(1, (WIDTH - 8) // LEGEND_STEP)
    tall = HIGH + 10 + 17 * -(-len(colours) // across)
    parts = [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {tall}" '
        f'font-family="{FONT}" font-size="{TEXT}" fill="{INK}">'
        f'<rect x="1" y="1" width="{WIDTH - 2}" height="{HIGH - 2}" fill="none" stroke="{GRID}"/>'
    ]
    halo = 'stroke="#ffffff" stroke-width="3" paint-order="stroke"'
    for label, rows in points.groupby("cluster"):
        path = "".join(
            "M{:.1f} {:.1f}h0".format(*place(x, y))
            for x, y in rows[["x", "y"]].itertuples(index=False, name=None)
        )
        parts.append(
            f'<path d="{path}" fill="none" stroke="{colours[int(label)]}" '
            f'stroke-width="{DOT}" stroke-linecap="round" stroke-opacity="0.6"/>'
        )
    for label, rows in points[points["cluster"] > 0].groupby("cluster"):
        x, y = place(rows["x"].median(), rows["y"].median())
        y -= NUMBER if any(_covers(place(*at), name, x, y) for name, *at in named) else 0
        parts.append(
            f'<text x="{x:.0f}" y="{y + 6:.0f}" text-anchor="middle" font-size="{NUMBER}" '
            f'font-weight="bold" {halo}>{int(label)}</text>'
        )
    heights: list[float] = []
    for name, x, y in sorted(named, key=lambda one: -one[2]):
        px, py = place(x, y)
        right = px > WIDTH - 70
        level = max([py, *(h + TEXT + 1 for h in heights if abs(h - py) < TEXT + 1)])
        heights.append(level)
        parts.append(
            f'<circle cx="{px:.0f}" cy="{py:.0f}" r="3.2" fill="#ffffff" stroke="{INK}"/>'
            f'<text x="{px - 5 if right else px + 5:.0f}" y="{level + 4:.0f}" '
            f'text-anchor="{"end" if right else "start"}" {halo}>{escape(name)}</text>'
        )
    for n, (label, colour) in enumerate(colours.items()):
        x, y = 8 + LEGEND_STEP * (n % across), HIGH + 16 + 17 * (n // across)
        parts.append(
            f'<circle cx="{x}" cy="{y - 4}" r="4" fill="{colour}"/>'
            f'<text x="{x + 8}" y="{y}">{called(label)}</text>'
        )
    return "".join([*parts, "</svg>"])


def _covers(point: tuple[float, float], name: str, x: float, y: float) -> bool:
    """True if a name, which begins at a point, would lie on a number at (x, y)."""
    across = len(name) * TEXT * 0.6
    return abs(point[1] - y) < NUMBER - 4 and -across - NUMBER < point[0] - x < across + NUMBER


def _map(material: Material, placed: pd.DataFrame, colours: dict[int, str]) -> Figure:
    own = placed[placed["region"].isna()]
    present = sorted(set(own["cluster"]))
    counts = own["cluster"].value_counts()
    told = "; ".join(f"{called(label)}: {counts[label]} countries" for label in present)
    data = own.assign(series=own["cluster"].map(called))
    return Figure(
        f"{material.key}_map",
        f"{material.name}: most frequent cluster of each country",
        f"Map of the world by cluster. {told}.",
        world_map.draw(data, {called(label): colours[label] for label in present}),
        data[["country", "name", "cluster", "share_of_years", "stability", "isolation"]],
    )


def _groups(placed: pd.DataFrame, colours: dict[int, str]) -> list[dict[str, Any]]:
    groups = []
    for label, rows in placed.groupby("cluster"):
        firm = rows.sort_values("name")
        loose = firm[firm["stability"] < FIRM]
        groups.append(
            {
                "cluster": int(label),
                "called": called(int(label)),
                "colour": colours[int(label)],
                "countries": len(rows),
                "share_of_years": float(rows["share_of_years"].mean()),
                "stability": float(rows["stability"].astype(float).mean()),
                "names": firm["name"].tolist(),
                "loose": loose["name"].tolist(),
            }
        )
    return groups


def _shapeless(placed: pd.DataFrame) -> list[dict[str, Any]]:
    own = placed[placed["region"].isna()]
    none = own[own["country"].map(world_map.shape_of).isna()].sort_values("name")
    columns = ["country", "name", "cluster", "share_of_years", "stability"]
    return none[columns].to_dict("records")


def _isolated(placed: pd.DataFrame) -> list[dict[str, Any]]:
    """Return the countries whose profiles are farthest from those of all others."""
    own = placed[placed["region"].isna()]
    own = own.assign(isolation=own["isolation"].astype(float))
    farthest = own[own["isolation"] >= FAR].nlargest(ISOLATED, "isolation")
    return [
        {**row, "called": called(row["cluster"])}
        for row in farthest[["country", "name", "cluster", "isolation"]].to_dict("records")
    ]


def _runs(placed: pd.DataFrame, agreement: pd.DataFrame) -> dict[str, Any]:
    """Return how far runs agree: least, median and largest adjusted Rand index, by unit."""
    index = agreement.dropna(subset=["adjusted_rand"]).groupby("unit")["adjusted_rand"]
    return {
        "runs": int(placed["runs"].max()),
        "differ": int((placed["consensus"] != placed["cluster"]).sum()),
        "units": [
            {
                "unit": unit.replace("_", "-"),
                "low": own.min(),
                "middle": own.median(),
                "high": own.max(),
            }
            for unit, own in index
        ],
    }
