"""How stable is each country in each year, and how do we know?

Reads   trade      (year, ...), for the years
        countries  (country) -> wgi_code
        a file of the World Bank's Worldwide Governance Indicators, CSV or workbook
        a CSV of parents, if one is given: countries that take the score of another
Writes  stability  (country, year) -> pv, pv_source, estimate, stderr, edition
"""

from __future__ import annotations

import pandas as pd
from pyspark.sql import DataFrame, SparkSession

from conf.problem import Problem, nearest
from conf.settings import Settings
from jobs.progress import say
from jobs.sources import baci, wgi
from jobs.sources.given_tables import read_given
from jobs.tables import COUNTRIES, STABILITY, TRADE
from jobs.warehouse import Warehouse
from udfs.stability import ALWAYS_SCORED, fill
from udfs.world import SYNTHETIC

READS = (TRADE, COUNTRIES)
WRITES = (STABILITY,)
SETTINGS = ("stability",)


def files(settings: Settings) -> dict[str, str]:
    """Digests of the WGI file and of the CSV of parents."""
    parents = settings.stability.parents
    given = {"wgi": _path(settings)} | ({"parents": parents} if parents else {})
    return {name: baci.digest(path) for name, path in given.items()}


def run(warehouse: Warehouse, settings: Settings) -> None:
    """Score every country of the release in every year loaded."""
    path = _path(settings)
    observed = wgi.read(path)
    for note in observed.attrs["notes"]:
        say(f"  {note}")
    years = sorted(row.year for row in warehouse.read(TRADE).select("year").distinct().collect())
    countries = warehouse.read(COUNTRIES).orderBy("country").toPandas()
    _refuse_mixing(warehouse, observed, path)
    _refuse_strangers(observed, countries, path)
    options = settings.stability
    try:
        filled = fill(
            observed,
            countries["wgi_code"].tolist(),
            years,
            scale=options.scale,
            missing=options.missing,
            carry_years=options.carry_years,
            parents=_parents(options.parents, countries, observed) if options.parents else None,
        )
    except ValueError as error:
        raise Problem(f"{path}: {error}") from None
    filled["country"] = countries["country"].repeat(len(years)).to_numpy()
    warehouse.replace(STABILITY, _frame(warehouse.spark, filled))


def _parents(path: str, countries: pd.DataFrame, observed: pd.DataFrame) -> list[str | None]:
    """Return for each country the WGI code of its parent, None where the file names none."""
    table = read_given(path, ("iso3", "parent"), key=("iso3",))
    named = countries.dropna(subset="iso3")
    wgi_codes = dict(zip(named["iso3"], named["wgi_code"], strict=True))
    scored, parents = set(observed["code"]), {}
    for row in table.itertuples():
        for name in (row.iso3, row.parent):
            if name not in wgi_codes:
                raise Problem(
                    f"{path}, line {row.line}: {name!r} is no ISO3 of the release"
                    f"{nearest(name, wgi_codes)}."
                )
        parents[row.iso3] = wgi_codes[row.parent]
        if parents[row.iso3] not in scored:
            raise Problem(
                f"{path}, line {row.line}: WGI scores no {row.parent}, the parent of {row.iso3}; "
                "expected a country that it scores."
            )
    used = countries["iso3"].map(parents)
    return [None if pd.isna(code) else str(code) for code in used]


def _path(settings: Settings) -> str:
    if settings.stability.wgi is None:
        raise Problem(
            "No stability scores: give --wgi the World Bank's file (wgidataset.xlsx or its CSV)."
        )
    return settings.stability.wgi


def _refuse_mixing(warehouse: Warehouse, observed: pd.DataFrame, path: str) -> None:
    """Refuse generated scores beside real trade, and real scores beside generated trade."""
    generated = bool((observed["edition"] == SYNTHETIC).any())
    if generated != warehouse.is_synthetic:
        scores, trade = ("generated", "real") if generated else ("real", "generated")
        raise Problem(
            f"{path} holds {scores} scores and the warehouse {warehouse.root} {trade} trade; "
            "expected both of a kind. A generated world has its own: --wgi FOLDER/wgi.csv."
        )


def _refuse_strangers(observed: pd.DataFrame, countries: pd.DataFrame, path: str) -> None:
    """Refuse a file that is not whole, or whose codes are not WGI's."""
    expected = ALWAYS_SCORED & set(countries["wgi_code"].dropna())
    if missing := sorted(expected - set(observed["code"])):
        raise Problem(
            f"{path} scores no {', '.join(missing)}; expected a file that covers all economies."
        )


def _frame(spark: SparkSession, filled: pd.DataFrame) -> DataFrame:
    names = [column.name for column in STABILITY.columns]
    rows = filled[names].astype(object).where(filled[names].notna(), None)
    return spark.createDataFrame(rows.to_records(index=False).tolist(), STABILITY.result_schema)
