"""What do the numbers say, and what may be concluded from them?

Reads   the tables of sources, network, indicators, countries and minerals
Writes  index.html in the report folder, one self-contained page, and figures/ beside it: every
        figure as SVG, PNG and CSV
"""

from __future__ import annotations

import shlex
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pandas as pd

from conf.materials import Material, material
from conf.problem import Problem
from conf.settings import Settings
from jobs.network.chosen import chosen_materials
from jobs.report import (
    by_tier,
    clusters,
    country_networks,
    dossiers,
    growth,
    minerals,
    networks,
    suppliers,
)
from jobs.report.countries import MaterialFrames, pages
from jobs.report.coverage import coverage
from jobs.report.exports import FOLDER, export, figures_in, write
from jobs.report.figures import Figure
from jobs.report.ledger import ledger
from jobs.report.page import digests, render
from jobs.report.reading import quoted, rows
from jobs.report.seeds import (
    LEAST_IMPORTS_KUSD,
    Seed,
    ranking_figures,
    rankings,
    seeds_of,
    trend_figures,
    trends,
)
from jobs.tables import (
    CLUSTER_AGREEMENT,
    CLUSTERS,
    CONTRIBUTIONS,
    COUNTRIES,
    COUNTRY_CLUSTERS,
    DEPENDENCY_SCORES,
    EDGES,
    GROWTH,
    GROWTH_DIAGNOSTICS,
    INDICATORS,
    INFLUENCES,
    PRODUCTS,
    PROFILES_WIDE,
    REGION_MEMBERS,
    REJECTS,
    SCORE_LOADINGS,
    SOURCES,
    STABILITY,
    STRENGTHS,
    TABLES,
    TIERS,
    TRADE,
    Table,
)
from jobs.warehouse import Warehouse

READS = (
    *(SOURCES, TRADE, REJECTS, COUNTRIES, REGION_MEMBERS, STABILITY, INDICATORS),
    *(DEPENDENCY_SCORES, SCORE_LOADINGS, CONTRIBUTIONS, INFLUENCES, STRENGTHS),
    *(PROFILES_WIDE, CLUSTERS, COUNTRY_CLUSTERS, CLUSTER_AGREEMENT, GROWTH, GROWTH_DIAGNOSTICS),
    *networks.TABLES_READ,
    *dossiers.TABLES_READ,
    *minerals.TABLES_READ,
)
WRITES = ()
SETTINGS = (
    *("materials", "link_mode", "untested", "votes", "depth"),
    *dossiers.SETTINGS_READ,
    *minerals.SETTINGS_READ,
)


def files(_: Settings) -> dict[str, str]:
    """Digests of the templates."""
    return digests()


def is_current(settings: Settings, fingerprint: str) -> bool:
    """True if the page in the report folder was made from the same inputs."""
    page = _page(settings)
    if not page.is_file() or not (page.parent / FOLDER).is_dir():
        return False
    return f'content="{fingerprint}"' in page.read_text(encoding="utf-8")[:2000]


@dataclass(frozen=True)
class Shared:
    """Rows that the sections of all materials read, once each.

    Tables with a column `material` hold all materials; contributions and trade only the seeds.
    """

    products: pd.DataFrame
    countries: pd.DataFrame
    members: pd.DataFrame
    stability: pd.DataFrame
    trend: pd.DataFrame
    ranked: pd.DataFrame
    scores: pd.DataFrame
    seed_indicators: pd.DataFrame
    trade: pd.DataFrame
    by_material: dict[str, pd.DataFrame]

    def of(self, table: Table, key: str) -> pd.DataFrame:
        """Return the rows of a material."""
        frame = self.by_material[table.name]
        return frame[frame["material"] == key]


AT_A_TIME = 4
"""Tables read at the same time: Spark plans one while it reads another."""
WHOLE = (
    *(TIERS, EDGES, SCORE_LOADINGS, PROFILES_WIDE, STRENGTHS, CLUSTERS, COUNTRY_CLUSTERS),
    *(CLUSTER_AGREEMENT, GROWTH, GROWTH_DIAGNOSTICS),
)
"""Tables of which all rows of the materials asked for are read."""
OF_SEEDS = (
    (CONTRIBUTIONS, ("material", "year", "product", "supplier", "country", "contribution")),
    (INFLUENCES, ("material", "year", "product", "supplier", "summand")),
)
"""Tables of which the rows of seeds are read, and the columns."""


def read(warehouse: Warehouse, materials: list[Material]) -> Shared:
    """Return the rows behind the page, some tables at a time: each takes Spark a moment."""
    seeds = sorted({seed.product for one in materials for seed in one.seeds})
    asked = f"material in ({quoted([one.key for one in materials])})"
    of_seeds = f"product in ({quoted(seeds)})"
    indicators, countries = warehouse.read(INDICATORS), warehouse.read(COUNTRIES)
    known, members = rows(warehouse, COUNTRIES), rows(warehouse, REGION_MEMBERS)
    traded = ("year", "product", "exporter", "importer", "value_kusd")
    measured = ("year", "product", "country", "imports_kusd", "exports_kusd", "str", "damping")
    with ThreadPoolExecutor(AT_A_TIME) as pool:
        whole = {table.name: pool.submit(rows, warehouse, table, asked) for table in WHOLE}
        of_seed = {
            table.name: pool.submit(rows, warehouse, table, f"{asked} and {of_seeds}", columns)
            for table, columns in OF_SEEDS
        }
        trend = pool.submit(trends, indicators, seeds)
        ranked = pool.submit(rankings, indicators, countries, seeds)
        scores = pool.submit(_scores, warehouse, asked, known, members)
        stability = pool.submit(rows, warehouse, STABILITY, columns=("country", "year", "pv"))
        seed_indicators = pool.submit(rows, warehouse, INDICATORS, of_seeds, measured)
        trade = pool.submit(rows, warehouse, TRADE, of_seeds, traded)
    return Shared(
        products=rows(warehouse, PRODUCTS),
        countries=known,
        members=members,
        stability=stability.result(),
        trend=trend.result(),
        ranked=ranked.result(),
        scores=scores.result(),
        seed_indicators=seed_indicators.result(),
        trade=trade.result(),
        by_material={name: read.result() for name, read in {**whole, **of_seed}.items()},
    )


def _scores(
    warehouse: Warehouse, asked: str, countries: pd.DataFrame, members: pd.DataFrame
) -> pd.DataFrame:
    """Return the last year's scores, with exports, of the countries whose networks are drawn."""
    region = members.loc[members["region"] == country_networks.REGION, "country"]
    looked_at = countries.loc[countries["iso3"].isin(country_networks.LOOKED_AT), "country"]
    codes = ", ".join(str(code) for code in sorted({*region, *looked_at})) or "null"
    every = warehouse.read(DEPENDENCY_SCORES).where(f"{asked} and country in ({codes})")
    year = every.where("score is not null").selectExpr("max(year)").first()
    if year is None or year[0] is None:
        return every.limit(0).toPandas().assign(exports_kusd=0.0)
    exports = warehouse.read(INDICATORS).select("year", "product", "country", "exports_kusd")
    joined = every.where(f"year = {year[0]}").join(exports, ["year", "product", "country"])
    return joined.orderBy("material", "product", "country").toPandas()


def material_story(one: Material, shared: Shared, network: networks.NetworkStory) -> dict[str, Any]:
    """Return what the page says of one material."""
    key = one.key
    seeds, missing = seeds_of(one, shared.products, shared.trend, shared.ranked)
    tiers, labels = shared.of(TIERS, key), shared.of(COUNTRY_CLUSTERS, key)
    members = shared.members[shared.members["region"] == country_networks.REGION]
    notes = shared.of(SCORE_LOADINGS, key)["note"].dropna()
    behind = [
        suppliers.story(one, seed, shared.of(INFLUENCES, key), shared.countries) for seed in seeds
    ]
    return {
        "material": one,
        "missing": missing,
        "network": network,
        "network_figure": _network_figure(one, network, tiers),
        "country_networks": country_networks.story(
            one,
            tiers,
            shared.of(EDGES, key),
            shared.scores[shared.scores["material"] == key],
            shared.countries,
            members,
        ),
        "score_note": notes.iloc[0] if len(notes) else "",
        "trends": trend_figures(one, seeds),
        "suppliers": behind,
        "years": sorted({row["year"] for story in behind for row in story.rows}),
        "seeds": [ranking_figures(one, seed) for seed in seeds],
        "tiers": by_tier.story(one, shared.of(PROFILES_WIDE, key), shared.countries, labels),
        "clusters": clusters.story(
            one, shared.of(CLUSTERS, key), labels, shared.of(CLUSTER_AGREEMENT, key),
            shared.countries,
        ),
        "growth": growth.story(
            one, shared.of(GROWTH, key), shared.of(GROWTH_DIAGNOSTICS, key)
        ),
    }  # fmt: skip


def _network_figure(one: Material, network: networks.NetworkStory, tiers: pd.DataFrame) -> Figure:
    cells = tiers.assign(section=tiers["product"].map(networks.section_of))
    counted = cells.groupby(["tier", "section"]).size().rename("products").reset_index()
    title = f"{one.name}: production network by tier and section"
    return Figure(f"{one.key}_network", title, network.told, network.svg, counted)


def country_frames(one: Material, shared: Shared) -> MaterialFrames:
    """Return what the pages of countries are made from, for one material."""
    codes = {seed.product for seed in one.seeds}
    of_seeds = shared.trade["product"].isin(codes)
    indicators = shared.seed_indicators[shared.seed_indicators["product"].isin(codes)]
    account = ledger(
        shared.of(CONTRIBUTIONS, one.key), shared.trade[of_seeds], shared.stability, indicators
    )
    return MaterialFrames(
        shared.of(PROFILES_WIDE, one.key),
        account,
        shared.of(STRENGTHS, one.key),
        shared.of(COUNTRY_CLUSTERS, one.key),
    )


def gather(warehouse: Warehouse, settings: Settings) -> dict[str, Any]:
    """Return everything the page says, by the names that the templates use."""
    chosen = chosen_materials(settings)
    with ThreadPoolExecutor(AT_A_TIME) as pool:
        told = [pool.submit(networks.story, warehouse, one, settings) for one in chosen]
        of_minerals = pool.submit(minerals.story, warehouse, settings)
        account = pool.submit(coverage, warehouse)
        of_edges = pool.submit(dossiers.stories, warehouse, chosen, settings)
        shared = read(warehouse, [material(key) for key in settings.materials])
        stories = [
            material_story(one, shared, network.result())
            for one, network in zip(chosen, told, strict=True)
        ]
        for one, told_of_edges in zip(stories, of_edges.result(), strict=True):
            one["dossiers"] = told_of_edges
    if not any(one["seeds"] for one in stories):
        names = ", ".join(settings.materials)
        raise Problem(f"No seed of {names} is in the loaded trade; ingest a release that has it.")
    described = dict(shared.products[["product", "description"]].itertuples(index=False, name=None))
    return {
        "materials": stories,
        "summary": [sentence for one in stories for sentence in in_short(one)],
        "countries": pages(
            {one.key: (one, country_frames(one, shared)) for one in chosen},
            shared.countries,
            described,
        ),
        "minerals": of_minerals.result(),
        "network": settings.network,
        "least_imports": LEAST_IMPORTS_KUSD / 1000,
        "coverage": account.result(),
        "synthetic": warehouse.is_synthetic,
        "versions": [(t.name, warehouse.version(t)) for t in TABLES if warehouse.exists(t)],
        "fingerprint": warehouse.metadata.get("fingerprint", ""),
        "revision": warehouse.metadata.get("revision", "unknown"),
        "command": _command(settings),
        "made": datetime.now(UTC).strftime("%Y-%m-%d %H:%M UTC"),
    }


def in_short(one: dict[str, Any]) -> list[str]:
    """Return a sentence for each seed of a material: its mean risk and who stands behind it."""
    told = []
    for story in one["suppliers"]:
        if not story.rows:
            continue
        first, last = story.rows[0], story.rows[-1]
        seed: Seed = story.seed
        moved = "rose" if last["mean"] > first["mean"] else "fell"
        told.append(
            f"{one['material'].name}, {seed.label}: mean systemic trade risk {moved} from "
            f"{first['mean']:.2f} in {first['year']} to {last['mean']:.2f} in {last['year']} "
            f"(indicators.str); {story.watched} stands behind {first['share']:.0%} and "
            f"{last['share']:.0%} of what is above 1 (influences.summand)."
        )
    return told


def _command(settings: Settings) -> str:
    years = f" --years {settings.years[0]}-{settings.years[-1]}" if settings.years else ""
    materials = ",".join(settings.materials)
    place = shlex.quote(settings.warehouse)
    return f"./spark-submit.sh report --materials {materials}{years} --warehouse {place}"


def _page(settings: Settings) -> Path:
    return Path(settings.report_dir) / "index.html"


def run(warehouse: Warehouse, settings: Settings) -> None:
    """Write the figures, then the page; each file appears whole or not at all."""
    told = gather(warehouse, settings)
    page = _page(settings)
    page.parent.mkdir(parents=True, exist_ok=True)
    export(list(figures_in(told)), page.parent / FOLDER, synthetic=told["synthetic"])
    write(page, render(told).encode())
