"""The seeds of a material: how dependence on them moved, who depends most, who weighs most."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import pandas as pd
from pyspark.sql import DataFrame, Window
from pyspark.sql import functions as F

from conf.materials import Material
from jobs.report.figures import Figure, bars, lines, shortened

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

    @property
    def label(self) -> str:
        """Code and the beginning of the description."""
        return shortened(f"{self.product} {self.description}")


def trends(indicators: DataFrame, products: list[str]) -> pd.DataFrame:
    """Return mean str, hhi, exposure over the countries that import, by product and year.

    Columns also: countries (those in the mean) and above_one, the sum of str - 1 over them.
    """
    importing = indicators.where(F.col("product").isin(*products) & (F.col("imports_kusd") > 0))
    return (
        importing.groupBy("product", "year")
        .agg(
            *(F.avg(n).alias(n) for n in INDICATOR_NAMES),
            F.count("*").alias("countries"),
            F.sum(F.col("str") - 1).alias("above_one"),
        )
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


def trend_figures(material: Material, seeds: list[Seed]) -> list[Figure]:
    """Return how each indicator of the seeds moved, one figure an indicator."""
    if not seeds:
        return []
    together = pd.concat([seed.trends.assign(series=seed.label) for seed in seeds])
    drawn = []
    for column, name in INDICATOR_NAMES.items():
        first_last = "; ".join(
            f"{s.product}: {s.trends[column].iloc[0]:.2f} in {s.trends['year'].iloc[0]}, "
            f"{s.trends[column].iloc[-1]:.2f} in {s.trends['year'].iloc[-1]}"
            for s in seeds
        )
        drawn.append(
            Figure(
                f"{material.key}_trend_{column}",
                f"{material.name}: {name}, mean over importing countries",
                f"{name} over the years. {first_last}.",
                lines(together, y=column, title=name),
                together[["product", "year", column, "countries"]],
            )
        )
    return drawn


def ranking_figures(material: Material, seed: Seed) -> dict[str, Any]:
    """Return who depends most on a seed and who weighs most; None where nobody qualifies."""
    year = int(seed.trends["year"].max())
    named = {"dependent": ("str", "Systemic trade risk"), "influential": ("influence", "Influence")}
    return {
        which: _ranking(material, seed, which, column, title, year)
        for which, (column, title) in named.items()
    } | {"seed": seed, "year": year}


def _ranking(
    material: Material, seed: Seed, which: str, column: str, title: str, year: int
) -> Figure | None:
    data: pd.DataFrame = getattr(seed, which)
    if data.empty:
        return None
    values = ", ".join(f"{row['name']} {row[column]:.2f}" for _, row in data.iterrows())
    return Figure(
        f"{material.key}_{seed.product}_{which}",
        f"{title} in {shortened(seed.label, 60)}, {year}",
        f"{title} of {seed.product} in {year}: {values}.",
        bars(data, x=column, label="name", title=title),
        data[["place", "country", "name", column, "imports_kusd", "exports_kusd"]],
    )
