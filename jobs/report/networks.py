"""What the report says of a production network: its tiers, its picture, and how far to trust it."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass
from html import escape
from typing import Any

import networkx as nx
import pandas as pd
from pyspark.sql import functions as F

from conf.materials import Material
from conf.settings import Settings
from jobs.network.chosen import product_list as listed_products
from jobs.network.links import refused
from jobs.network.network_variants import AS_SET
from jobs.tables import (
    EDGES,
    FRONTIER,
    LINKS,
    NETWORK_VARIANTS,
    PRODUCTS,
    REMOVED_EDGES,
    RESPONSES,
    TIERS,
)
from jobs.warehouse import Warehouse

TABLES_READ = (
    PRODUCTS,
    RESPONSES,
    FRONTIER,
    LINKS,
    EDGES,
    NETWORK_VARIANTS,
    REMOVED_EDGES,
    TIERS,
)
PRINTED = {"rare_earths": 168}
"""Products in tiers 0 to 4 in Klimek et al. (2025)."""
SECTIONS = (
    (5, "animals"),
    (14, "plants"),
    (15, "fats and oils"),
    (24, "food, drink, tobacco"),
    (27, "minerals and fuels"),
    (38, "chemicals"),
    (40, "plastics and rubber"),
    (43, "leather"),
    (46, "wood"),
    (49, "paper"),
    (63, "textiles"),
    (67, "footwear, headgear"),
    (70, "stone, ceramics, glass"),
    (71, "precious metals"),
    (83, "base metals"),
    (85, "machinery, electronics"),
    (89, "vehicles, aircraft, ships"),
    (92, "instruments"),
    (93, "arms"),
    (96, "furniture, toys, other"),
    (99, "art and unspecified"),
)
"""Last chapter of each section of the Harmonized System, and what the section is about."""
COLUMN, ROW, LEFT, TOP = 150, 44, 190, 46
HALO = ' stroke="#ffffff" stroke-width="3" paint-order="stroke"'
"""Keeps a number legible on lines."""
LARGEST = 19.0
"""Radius of the largest circle, pixels."""


@dataclass(frozen=True)
class NetworkStory:
    """What the page shows of one material."""

    svg: str
    told: str
    tiers: list[dict[str, Any]]
    products: int
    printed: int | None
    edges: int
    tested: int
    confirmed: int
    refused: int
    untested: int
    pairs: int
    removed: list[tuple[str, int]]
    frontier: int
    inputs: int
    tests: list[dict[str, Any]]
    variants: list[dict[str, Any]]


def section_of(product: str) -> str:
    """Return what the HS section of a product is about."""
    return next(name for last, name in SECTIONS if int(product[:2]) <= last)


def figure(tiers: Mapping[str, int], edges: list[tuple[str, str]]) -> str:
    """Draw a network: tiers from left to right, sections of the HS as rows, areas as products.

    A line joins two circles that edges connect, the wider the more edges. Edges inside a tier are
    not drawn.
    """
    place = {product: (tier, section_of(product)) for product, tier in tiers.items()}
    sizes = Counter(place.values())
    rows = [name for _, name in SECTIONS if any(section == name for _, section in sizes)]
    columns = max(tiers.values(), default=0) + 1
    width, height = LEFT + COLUMN * columns, TOP + ROW * len(rows) + 10

    def point(at: tuple[int, str]) -> tuple[float, float]:
        return LEFT + COLUMN * (at[0] + 0.45), TOP + ROW * (rows.index(at[1]) + 0.5)

    flows = Counter((place[i], place[j]) for i, j in edges if tiers[i] != tiers[j])
    most, largest = max(flows.values(), default=1), max(sizes.values(), default=1)
    parts = [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width} {height}" '
        'aria-hidden="true" focusable="false" font-family="Arial, Liberation Sans, sans-serif" '
        'font-size="12" fill="#222222">'
    ]
    parts += [
        f'<text x="{LEFT + COLUMN * (tier + 0.45):.0f}" y="20" text-anchor="middle">'
        f"{'seeds' if tier == 0 else f'tier {tier}'}</text>"
        for tier in range(columns)
    ]
    parts += [
        f'<text x="{LEFT - 12}" y="{TOP + ROW * (n + 0.5) + 4:.0f}" text-anchor="end">'
        f"{escape(name)}</text>"
        for n, name in enumerate(rows)
    ]
    for (start, end), count in sorted(flows.items(), key=lambda item: item[1]):
        (x1, y1), (x2, y2) = point(start), point(end)
        bend = COLUMN * 0.4
        parts.append(
            f'<path d="M{x1:.0f} {y1:.0f}C{x1 + bend:.0f} {y1:.0f} {x2 - bend:.0f} {y2:.0f} '
            f'{x2:.0f} {y2:.0f}" fill="none" stroke="#0072b2" stroke-opacity="0.35" '
            f'stroke-width="{0.5 + 5.5 * count / most:.1f}"/>'
        )
    for at, count in sorted(sizes.items()):
        x, y = point(at)
        radius = max(3.0, LARGEST * (count / largest) ** 0.5)
        inside = radius >= 9
        parts.append(
            f'<circle cx="{x:.0f}" cy="{y:.0f}" r="{radius:.1f}" fill="#0072b2"/>'
            f'<text x="{x if inside else x + radius + 3:.0f}" y="{y + 4:.0f}" '
            f'text-anchor="{"middle" if inside else "start"}" '
            f'fill="{"#ffffff" if inside else "#222222"}"{"" if inside else HALO}>{count}</text>'
        )
    return "".join([*parts, "</svg>"])


def graph(tiers: pd.DataFrame, edges: pd.DataFrame, descriptions: Mapping[str, str]) -> nx.DiGraph:
    """Return a network with what is known of its products and edges, for export."""
    made = nx.DiGraph()
    for row in tiers.sort_values(["tier", "product"]).itertuples():
        made.add_node(
            row.product,
            tier=int(row.tier),
            description=descriptions.get(row.product, ""),
            trade_loaded=bool(row.trade_loaded),
            answered=bool(row.answered),
        )
    for row in edges.sort_values(["input", "output"]).itertuples():
        known: dict[str, Any] = {} if pd.isna(row.z) else {"z": float(row.z)}
        if not pd.isna(row.verdict):
            known["verdict"] = row.verdict
        made.add_edge(row.input, row.output, votes=int(row.votes), tested=bool(row.tested), **known)
    return made


def graphml(made: nx.DiGraph) -> str:
    """Return a network as GraphML."""
    return "\n".join(nx.generate_graphml(made)) + "\n"


def as_json(made: nx.DiGraph) -> str:
    """Return a network as JSON: nodes and edges."""
    return json.dumps(nx.node_link_data(made, edges="edges"), indent=1, ensure_ascii=False) + "\n"


def network_graph(warehouse: Warehouse, key: str) -> nx.DiGraph:
    """Return the network of a material."""
    of_material = F.col("material") == key
    tiers = warehouse.read(TIERS).where(of_material).toPandas()
    edges = warehouse.read(EDGES).where(of_material).toPandas()
    return graph(tiers, edges, listed_products(warehouse).descriptions)


def story(warehouse: Warehouse, one: Material, settings: Settings) -> NetworkStory:
    """Return what the page says of a material's network, from its tables alone."""

    def rows(table: Any) -> pd.DataFrame:
        return warehouse.read(table).where(F.col("material") == one.key).toPandas()

    tiers, edges, links = rows(TIERS), rows(EDGES), rows(LINKS)
    decided = links[links["test"] == settings.network.link_mode]
    tested = decided["rho"].notna()
    counts = tiers["tier"].value_counts().sort_index()
    loaded = tiers[tiers["trade_loaded"]]["tier"].value_counts()
    pairs = list(edges[["input", "output"]].itertuples(index=False, name=None))
    told = ", ".join(f"{n} products in tier {tier}" for tier, n in counts.items())
    return NetworkStory(
        svg=figure(dict(zip(tiers["product"], tiers["tier"], strict=True)), pairs),
        told=f"Production network of {one.name}: {told}, {len(edges)} edges.",
        tiers=[
            {"tier": t, "products": int(n), "loaded": int(loaded.get(t, 0))}
            for t, n in counts.items()
        ],
        products=len(tiers),
        printed=PRINTED.get(one.key),
        edges=len(edges),
        tested=int(tested.sum()),
        confirmed=int((tested & decided["kept"] & decided["verdict"].isna()).sum()),
        refused=int((refused(decided) & decided["verdict"].isna()).sum()),
        untested=int(decided["p_value"].isna().sum()),
        pairs=len(decided),
        removed=list(rows(REMOVED_EDGES)["reason"].value_counts().items()),
        frontier=len(rows(FRONTIER)),
        inputs=rows(RESPONSES)["input"].nunique(),
        tests=_tests(links),
        variants=_variants(rows(NETWORK_VARIANTS), [int(tier) for tier in counts.index]),
    )


def _tests(links: pd.DataFrame) -> list[dict[str, Any]]:
    """Return for each test how many pairs it tested and would keep, and the mean correlation."""
    tested = links[links["rho"].notna()]
    return [
        {
            "test": test,
            "tested": len(mine),
            "kept": int(mine["kept"].sum()),
            "rho": float(mine["rho"].mean()),
        }
        for test, mine in tested.groupby("test")
    ]


def _variants(rows: pd.DataFrame, columns: list[int]) -> list[dict[str, Any]]:
    """Return for each variant its products by tier, and what enters and leaves against as set."""
    products = rows.groupby("variant")["product"].agg(set)
    counts = rows.pivot_table(index="variant", columns="tier", aggfunc="size", fill_value=0)
    first = sorted(products.index, key=lambda name: (name != AS_SET, name))
    return [
        {
            "variant": name,
            "tiers": [int(counts.loc[name].get(tier, 0)) for tier in columns],
            "products": len(products[name]),
            "entered": len(products[name] - products[AS_SET]),
            "left": len(products[AS_SET] - products[name]),
        }
        for name in first
    ]
