"""What a run says at its end: where things are, and three questions to start with."""

from __future__ import annotations

import shlex
from pathlib import Path

from pyspark.sql import functions as F

from conf.materials import material
from conf.settings import Settings
from jobs.progress import say
from jobs.tables import INDICATORS, REJECTS, SOURCES, STABILITY, TABLES, TRADE
from jobs.warehouse import Warehouse

FIRST_QUESTIONS = {
    "Who depends most on unstable suppliers of {product}?": (
        "select c.name, i.str, i.hhi, i.exposure from indicators i join countries c "
        "using (country) where product = '{product}' and year = {year} and imports_kusd > 1000 "
        "order by str desc limit 10"
    ),
    "How did systemic trade risk in {product} move over the years?": (
        "select year, round(avg(str), 3) as mean_str, round(avg(hhi), 3) as mean_hhi "
        "from indicators where product = '{product}' group by year order by year"
    ),
    "Which supplier of {product} weighs most on everybody else?": (
        "select year, max_by(name, influence) as supplier, round(max(influence), 1) as influence "
        "from indicators join countries using (country) where product = '{product}' "
        "group by year order by year"
    ),
}


def print_summary(warehouse: Warehouse, settings: Settings) -> None:
    """Print the account of the run."""
    sums = (F.sum("rows"), F.min("year"), F.max("year"))
    rows, first, last = warehouse.read(SOURCES).where("kind = 'baci'").agg(*sums).collect()[0]
    kept, refused = warehouse.read(TRADE).count(), warehouse.read(REJECTS).count()
    computed = warehouse.read(INDICATORS).count()
    filled = F.avg(F.expr("int(pv_source <> 'observed')"))
    imputed = warehouse.read(STABILITY).agg(filled).collect()[0][0]
    present = ", ".join(table.name for table in TABLES if warehouse.exists(table))
    say("")
    say(f"Read      {rows:,} rows of {first}-{last}: {kept:,} in trade, {refused:,} in rejects")
    say(f"Computed  {computed:,} rows of indicators")
    say(f"Filled in {imputed:.1%} of the stability scores; stability.pv_source says which and how")
    say(f"Tables    {_whole(settings.warehouse)}: {present}")
    page = Path(settings.report_dir) / "index.html"
    if page.is_file():
        say(f"Report    {_whole(str(page))}")
    say("\nQuestions to start with")
    product = _product_to_ask_about(warehouse, settings)
    where = "" if settings.warehouse == "warehouse" else _option(settings.warehouse)
    for question, query in FIRST_QUESTIONS.items():
        asked = query.format(product=product, year=last)
        say(f'  {question.format(product=product)}\n    ./spark-submit.sh sql{where} "{asked}"')


def _product_to_ask_about(warehouse: Warehouse, settings: Settings) -> str:
    """Return a seed of the first material that is loaded, or else any product."""
    loaded = {row[0] for row in warehouse.read(INDICATORS).select("product").distinct().collect()}
    seeds = [seed.product for key in settings.materials for seed in material(key).seeds]
    return next((seed for seed in seeds if seed in loaded), min(loaded))


def _option(warehouse: str) -> str:
    return f" --warehouse {shlex.quote(warehouse)}"


def _whole(path: str) -> str:
    return path if "://" in path else str(Path(path).absolute())
