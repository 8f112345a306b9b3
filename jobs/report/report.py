"""What do the numbers say, and what may be concluded from them?

Reads   sources, trade, rejects, countries, products, stability, indicators, and those of networks
Writes  index.html in the report folder: one self-contained page
"""

from __future__ import annotations

import re
import shlex
from dataclasses import dataclass
from datetime import UTC, datetime
from importlib import resources
from pathlib import Path
from typing import Any

import pandas as pd
from jinja2 import Environment, StrictUndefined
from markupsafe import Markup
from pyspark.sql import DataFrame, Window
from pyspark.sql import functions as F

from conf.materials import Material, material
from conf.problem import Problem
from conf.settings import Settings
from jobs.network.chosen import chosen_materials
from jobs.report import dossiers, minerals, networks
from jobs.report.figures import bars, lines
from jobs.tables import COUNTRIES, INDICATORS, PRODUCTS, REJECTS, SOURCES, STABILITY, TABLES, TRADE
from jobs.warehouse import Warehouse

READS = (
    *(SOURCES, TRADE, REJECTS, COUNTRIES, STABILITY, INDICATORS),
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

LEAST_IMPORTS_KUSD = 1000.0
"""Imports of a product from which a country enters the ranking of dependence: 1 million USD."""
RANKED = 10
INDICATOR_NAMES = {
    "str": "Systemic trade risk",
    "hhi": "Concentration of suppliers (HHI)",
    "exposure": "Exposure: imports / (imports + exports)",
}


@dataclass(frozen=True)
class Seed:
    """A seed product with its trends and rankings, as the page shows them."""

    product: str
    description: str
    reason: str
    trends: pd.DataFrame
    dependent: pd.DataFrame
    influential: pd.DataFrame


def is_current(settings: Settings, fingerprint: str) -> bool:
    """True if the page in the report folder was made from the same inputs."""
    page = _page(settings)
    return page.is_file() and f'content="{fingerprint}"' in page.read_text(encoding="utf-8")[:2000]


def trends(indicators: DataFrame, products: list[str]) -> pd.DataFrame:
    """Return mean str, hhi, exposure over the countries that import, by product and year."""
    importing = indicators.where(F.col("product").isin(*products) & (F.col("imports_kusd") > 0))
    return (
        importing.groupBy("product", "year")
        .agg(*(F.avg(n).alias(n) for n in INDICATOR_NAMES), F.count("*").alias("countries"))
        .orderBy("product", "year")
        .toPandas()
    )


def rankings(indicators: DataFrame, countries: DataFrame, products: list[str]) -> pd.DataFrame:
    """Return the countries with the highest str and influence, by product, in its last year.

    Columns: ranking (dependent or influential), those of `indicators`, and the country's name.
    """
    last = Window.partitionBy("product")
    rows = (
        indicators.where(F.col("product").isin(*products))
        .withColumn("last_year", F.max("year").over(last))
        .where("year = last_year")
        .join(F.broadcast(countries.select("country", "name")), "country")
    )
    importing = F.col("imports_kusd") >= LEAST_IMPORTS_KUSD
    both = [
        (rows.where(among).withColumn("ranking", F.lit(name)), column)
        for name, column, among in (
            ("dependent", "str", importing),
            ("influential", "influence", F.col("exports_kusd") > 0),
        )
    ]
    ranked = [
        frame.withColumn("place", F.row_number().over(last.orderBy(F.desc(column), "country")))
        for frame, column in both
    ]
    top = ranked[0].unionByName(ranked[1]).where(F.col("place") <= RANKED)
    return top.orderBy("ranking", "product", "place").toPandas()


def seeds_of(
    chosen: Material, products: pd.DataFrame, trend: pd.DataFrame, ranked: pd.DataFrame
) -> tuple[list[Seed], list[str]]:
    """Return the seeds whose trade is loaded, and a sentence for each that is not."""
    described = products.set_index("product")["description"]
    seeds, missing = [], []
    for seed in chosen.seeds_in(products["nomenclature"].iloc[0]):
        mine = trend[trend["product"] == seed.product]
        if mine.empty:
            missing.append(f"{seed.product} ({seed.reason}): its trade is not in the loaded data.")
            continue
        top = ranked[ranked["product"] == seed.product]
        seeds.append(
            Seed(
                seed.product,
                described.get(seed.product, "not in the product list"),
                seed.reason,
                mine,
                top[top["ranking"] == "dependent"],
                top[top["ranking"] == "influential"],
            )
        )
    return seeds, missing


def coverage(warehouse: Warehouse) -> dict[str, Any]:
    """Return what went in, what was refused and what was filled in, from the tables alone."""
    sources = warehouse.read(SOURCES).where("kind = 'baci'").orderBy("year").toPandas()
    rejects = (
        warehouse.read(REJECTS)
        .groupBy("reason")
        .agg(F.count("*").alias("rows"), F.sum("value_kusd").alias("value_kusd"))
        .orderBy(F.desc("rows"))
        .toPandas()
    )
    filled = (
        warehouse.read(STABILITY).groupBy("pv_source").count().orderBy(F.desc("count")).toPandas()
    )
    products = warehouse.read(TRADE).select("product").distinct().count()
    editions = (
        warehouse.read(STABILITY)
        .where("edition is not null")
        .groupBy("edition")
        .agg(F.min("year").alias("first"), F.max("year").alias("last"))
        .orderBy("first", "edition")
        .toPandas()
    )
    return {
        "editions": editions,
        "sources": sources,
        "rejects": rejects,
        "filled": filled,
        "filled_total": int(filled["count"].sum()),
        "products_loaded": products,
        "products_listed": warehouse.read(PRODUCTS).count(),
        "years": (int(sources["year"].min()), int(sources["year"].max())),
    }


def chart(svg: str, says: str) -> Markup:
    """Return a figure with a text alternative; the SVG is made here, the text is escaped."""
    return (
        Markup('<div class="chart" role="img" aria-label="{}">').format(says)
        + Markup(svg)
        + Markup("</div>")
    )


def figures(seeds: list[Seed]) -> list[dict[str, Any]]:
    """Return the trend figures of the seeds."""
    together = pd.concat(
        [s.trends.assign(series=f"{s.product} {_short(s.description)}") for s in seeds]
    )
    drawn = []
    for column, name in INDICATOR_NAMES.items():
        first_last = "; ".join(
            f"{s.product}: {s.trends[column].iloc[0]:.2f} in {s.trends['year'].iloc[0]}, "
            f"{s.trends[column].iloc[-1]:.2f} in {s.trends['year'].iloc[-1]}"
            for s in seeds
        )
        drawn.append(
            {
                "column": column,
                "name": name,
                "told": first_last,
                "svg": chart(
                    lines(together, y=column, title=name), f"{name} over the years. {first_last}."
                ),
            }
        )
    return drawn


def render(warehouse: Warehouse, settings: Settings) -> str:
    """Return the page as HTML."""
    products = warehouse.read(PRODUCTS).toPandas()
    materials = [material(key) for key in settings.materials]
    codes = [seed.product for one in materials for seed in one.seeds]
    trend = trends(warehouse.read(INDICATORS), codes)
    ranked = rankings(warehouse.read(INDICATORS), warehouse.read(COUNTRIES), codes)
    chosen = []
    for what in chosen_materials(settings):
        seeds, missing = seeds_of(what, products, trend, ranked)
        chosen.append(
            {
                "material": what,
                "missing": missing,
                "network": networks.story(warehouse, what, settings),
                "dossiers": dossiers.section(warehouse, what.key, settings),
                "figures": figures(seeds) if seeds else [],
                "seeds": [
                    {
                        "seed": s,
                        "year": int(s.trends["year"].max()),
                        "dependent_svg": _bars(s, "dependent", "str", "systemic trade risk"),
                        "influential_svg": _bars(s, "influential", "influence", "influence"),
                    }
                    for s in seeds
                ],
            }
        )
    if not any(one["seeds"] for one in chosen):
        names = ", ".join(settings.materials)
        raise Problem(f"No seed of {names} is in the loaded trade; ingest a release that has it.")
    versions = [(t.name, warehouse.version(t)) for t in TABLES if warehouse.exists(t)]
    environment = Environment(
        autoescape=True, undefined=StrictUndefined, trim_blocks=True, lstrip_blocks=True
    )
    environment.filters["thousands"] = lambda number: f"{number:,.0f}"
    environment.filters["number"] = lambda number, digits=2: (
        "–" if pd.isna(number) else f"{number:,.{digits}f}"
    )
    template = resources.files("jobs.report").joinpath("page.html").read_text(encoding="utf-8")
    return environment.from_string(template).render(
        materials=chosen,
        minerals=minerals.story(warehouse, settings),
        chart=chart,
        network=settings.network,
        least_imports=LEAST_IMPORTS_KUSD / 1000,
        coverage=coverage(warehouse),
        versions=versions,
        fingerprint=warehouse.metadata.get("fingerprint", ""),
        revision=warehouse.metadata.get("revision", "unknown"),
        command=_command(settings),
        made=datetime.now(UTC).strftime("%Y-%m-%d %H:%M UTC"),
    )


def _bars(seed: Seed, which: str, column: str, title: str) -> Markup:
    data: pd.DataFrame = getattr(seed, which)
    if data.empty:
        return Markup("<p>No country qualifies in this year.</p>")
    says = ", ".join(f"{row['name']} {row[column]:.2f}" for _, row in data.iterrows())
    return chart(
        bars(data, x=column, label="name", title=title), f"{title} of {seed.product}: {says}."
    )


def _short(text: str) -> str:
    return text if len(text) <= 48 else re.sub(r"\W*\s?\w*$", "", text[:48]) + " …"


def _command(settings: Settings) -> str:
    years = f" --years {settings.years[0]}-{settings.years[-1]}" if settings.years else ""
    materials = ",".join(settings.materials)
    place = shlex.quote(settings.warehouse)
    return f"./spark-submit.sh report --materials {materials}{years} --warehouse {place}"


def _page(settings: Settings) -> Path:
    return Path(settings.report_dir) / "index.html"


def run(warehouse: Warehouse, settings: Settings) -> None:
    """Write the page; it appears whole or not at all."""
    page = _page(settings)
    page.parent.mkdir(parents=True, exist_ok=True)
    partial = page.with_suffix(".partial")
    partial.write_text(render(warehouse, settings), encoding="utf-8")
    partial.replace(page)
