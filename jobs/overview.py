"""A country or a product in the terminal, alone or two side by side.

Reads   profiles    (material, country, year, feature) -> value, reason
        indicators  (year, product, country) -> imports, exposure, hhi, str, influence
        countries, products  -> names
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from string import ascii_lowercase
from typing import Literal

import numpy as np
import pandas as pd
from rich.box import SIMPLE
from rich.table import Table as Grid

from conf.problem import Problem, nearest
from conf.settings import Settings
from jobs.progress import CONSOLE, cell, say
from jobs.tables import COUNTRIES, INDICATORS, PRODUCTS, PROFILES
from jobs.warehouse import Warehouse
from udfs.profiles import FEATURE_NAMES

Ask = Callable[[str], pd.DataFrame]
"""Answers a query in SQL over the tables of the warehouse."""

WIDTH = 10
"""Characters of a full bar."""
EIGHTHS = " ▏▎▍▌▋▊▉█"
HEIGHTS = "▁▂▃▄▅▆▇█"
NONE = "–"
SHOWN = 8
"""Importers and suppliers of a product that are named."""
FEATURES = tuple(name for name in FEATURE_NAMES if "_inputs_" not in name)
PRODUCT_MEASURES = {
    "imports, million USD": "imports",
    "importing countries": "importers",
    "exposure, mean by imports": "exposure",
    "hhi, mean by imports": "hhi",
    "str, mean by imports": "str",
    "largest influence": "influence",
}
NO_IMPORTS = "nobody imports it in this year"
NO_ROW = "no row in this year: it trades none of the products"


@dataclass(frozen=True)
class Subject:
    """What is looked at: a country (or region) by code, or a product by HS code."""

    kind: Literal["country", "product"]
    key: str
    title: str


@dataclass(frozen=True)
class Question:
    """Subjects and years, one pair a column of the answer; the material is of countries only."""

    sides: tuple[tuple[Subject, int], ...]
    material: str | None


@dataclass(frozen=True)
class Line:
    """One measure of one side.

    value: NaN where there is none, and then a reason. place: share of the other countries
    (products) with a lower value in the same year, 0 to 1, NaN without a value or others.
    trend: values of all years loaded, oldest first, NaN = none.
    """

    measure: str
    value: float
    place: float
    trend: tuple[float, ...]
    reason: str | None


def asked(ask: Ask, settings: Settings, words: Sequence[str], *, sides: int) -> Question:
    """Return what the words ask for; order is free but for that of subjects and of years.

    A word of four digits is a year, of six a product; the key of a loaded material is that;
    any other is a country.
    """
    materials = _values(ask, "select distinct material from profiles order by material")
    years = [word for word in words if re.fullmatch(r"\d{4}", word)]
    named = [word for word in words if word in materials]
    subjects = [_subject(ask, w, materials) for w in words if w not in (*years, *named)]
    if (len(subjects), len(years)) not in _forms(sides) or len(named) > 1:
        raise Problem(
            f"found {len(subjects)} countries or products, {len(years)} years and {len(named)} "
            "materials; expected "
            + (
                "one country or product, and maybe a year and a material: profile CHN 2020"
                if sides == 1
                else "two of a kind and maybe a year, or one and two years: compare CHN USA, "
                "compare 280530 2010 2020"
            )
        )
    if len({subject.kind for subject in subjects}) == 2:
        raise Problem(
            f"compare: {subjects[0].title} is a {subjects[0].kind} and {subjects[1].title} a "
            f"{subjects[1].kind}; expected two of a kind."
        )
    countries = subjects[0].kind == "country"
    if named and not countries:
        raise Problem(f"a product has no material; leave {named[0]!r} out.")
    material = (named or [m for m in settings.materials if m in materials] or materials)[0]
    chosen = _years(ask, f"profiles where material = '{material}'" if countries else "indicators")
    wanted = [_year(year, chosen) for year in years] or chosen[-1:]
    pairs = [(subject, year) for subject in subjects for year in wanted]
    return Question(tuple(pairs), material if countries else None)


def _forms(sides: int) -> tuple[tuple[int, int], ...]:
    """Return the allowed numbers of (subjects, years)."""
    return ((1, 0), (1, 1)) if sides == 1 else ((2, 0), (2, 1), (1, 2))


def _values(ask: Ask, query: str) -> list[str]:
    return [str(value) for value in ask(query).iloc[:, 0]]


def _years(ask: Ask, source: str) -> list[int]:
    return [int(year) for year in _values(ask, f"select distinct year from {source} order by year")]


def _year(word: str, loaded: Sequence[int]) -> int:
    if int(word) not in loaded:
        raise Problem(f"year {word} is not loaded; loaded are {', '.join(map(str, loaded))}.")
    return int(word)


def _subject(ask: Ask, word: str, materials: Iterable[str]) -> Subject:
    return _product(ask, word) if re.fullmatch(r"\d{6}", word) else _country(ask, word, materials)


def _product(ask: Ask, code: str) -> Subject:
    loaded = _values(ask, "select distinct product from indicators order by product")
    text = dict(ask("select product, description from products").itertuples(index=False))
    if code not in loaded:
        known = f"{code} ({text[code]}) is not in the loaded trade" if code in text else None
        raise Problem(f"{known or f'there is no product {code}'}{nearest(code, loaded)}.")
    return Subject("product", code, f"{code} {text.get(code, '')}".strip())


def _country(ask: Ask, word: str, materials: Iterable[str]) -> Subject:
    """Find a country by ISO code, name or number, or a region by name."""
    rows = ask(
        "select c.country, c.name, c.iso3, c.iso2, max(p.year) as last from countries c "
        "left join profiles p on c.country = p.country group by c.country, c.name, c.iso3, c.iso2 "
        "order by last, c.country"
    )
    regions = ask("select distinct country, region from profiles where region is not null")
    codes = {str(row.region).lower(): (row.country, row.region) for row in regions.itertuples()}
    for row in rows[rows["last"].notna()].itertuples():
        for name in (row.iso2, row.iso3, row.name, row.country):
            codes[str(name).lower()] = (row.country, row.name)  # the last to trade has the code
    if word.lower() not in codes:
        valid = [*rows["name"], *rows["iso3"].dropna(), *regions["region"], *materials]
        gone = word.lower() in {str(x).lower() for x in rows[["name", "iso3", "country"]].stack()}
        raise Problem(
            f"{word} trades none of the products loaded."
            if gone
            else f"there is no country or material {word!r}{nearest(word, valid)}."
        )
    code, name = codes[word.lower()]
    return Subject("country", str(code), str(name))


def answer(ask: Ask, question: Question) -> list[list[Line]]:
    """Return the lines of each side; all sides have the same measures in the same order."""
    products = question.sides[0][0].kind == "product"
    wide = _product_measures(ask) if products else _profiles(ask, question)
    measures = tuple(PRODUCT_MEASURES) if products else FEATURES
    by_measure = {str(name): rows for name, rows in wide.groupby("measure")}
    nothing = wide.iloc[:0]
    return [
        [_line(m, by_measure.get(m, nothing), subject.key, year) for m in measures]
        for subject, year in question.sides
    ]


def _line(measure: str, rows: pd.DataFrame, key: str, year: int) -> Line:
    own = rows[rows["key"] == key].set_index("year").sort_index()
    trend = tuple(float(value) for value in own["value"])
    if year not in own.index:
        return Line(measure, np.nan, np.nan, trend, NO_ROW)
    value = float(own.at[year, "value"])
    others = rows[(rows["year"] == year) & (rows["key"] != key) & rows["peer"]]["value"].dropna()
    undefined = np.isnan(value) or others.empty
    place = np.nan if undefined else float((others < value).mean())
    return Line(measure, value, place, trend, own.at[year, "reason"] if np.isnan(value) else None)


def _profiles(ask: Ask, question: Question) -> pd.DataFrame:
    years = ", ".join(str(year) for _, year in question.sides)
    keys = ", ".join(subject.key for subject, _ in question.sides)
    rows = ask(
        "select country, year, feature, value, reason from profiles "
        f"where material = '{question.material}' and (year in ({years}) or country in ({keys}))"
    )
    return rows.assign(
        key=rows["country"].astype(str), peer=rows["country"] > 0, measure=rows["feature"]
    )


def _product_measures(ask: Ask) -> pd.DataFrame:
    means = ", ".join(
        f"sum({name} * imports_kusd) / nullif(sum(case when {name} is not null then imports_kusd "
        f"end), 0) as {name}"
        for name in ("exposure", "hhi", "str")
    )
    rows = ask(
        "select product, year, sum(imports_kusd) / 1000 as imports, "
        "sum(case when imports_kusd > 0 then 1 else 0 end) as importers, "
        f"{means}, max(influence) as influence from indicators group by product, year"
    ).rename(columns={short: long for long, short in PRODUCT_MEASURES.items()})
    long = rows.melt(["product", "year"], var_name="measure", value_name="value")
    return long.assign(key=long["product"], peer=True, reason=NO_IMPORTS)


def traders(ask: Ask, product: str, year: int, by: str) -> pd.DataFrame:
    """Return the first countries by `by`, imports_kusd or influence, with their indicators."""
    return ask(
        "select c.name, i.imports_kusd, i.exposure, i.hhi, i.str, i.influence from indicators i "
        f"join countries c on i.country = c.country where i.product = '{product}' "
        f"and i.year = {year} and i.{by} > 0 order by i.{by} desc, c.name limit {SHOWN}"
    )


def bar(share: float) -> str:
    """Return a bar of eighths of characters for a share of 0 to 1; empty for NaN."""
    if np.isnan(share):
        return ""
    full, rest = divmod(round(8 * WIDTH * min(max(share, 0.0), 1.0)), 8)
    return ("█" * full + EIGHTHS[rest] * (rest > 0)) or EIGHTHS[1]


def spark_line(values: Sequence[float]) -> str:
    """Return one block a value between the least and the largest of them, a dash for NaN."""
    x = np.asarray(values, np.float64)
    if not np.isfinite(x).any():
        return ""
    low, high = np.nanmin(x), np.nanmax(x)
    scaled = np.full(x.shape, 3.0) if high == low else (x - low) / (high - low) * 7
    return "".join(
        NONE if np.isnan(v) else HEIGHTS[round(s)] for v, s in zip(x, scaled, strict=True)
    )


def number(value: float) -> str:
    """Return a value in four significant digits or whole, a dash for NaN."""
    if np.isnan(value):
        return NONE
    return f"{value:,.0f}" if abs(value) >= 1000 else f"{value:.4g}"


def print_profile(settings: Settings, words: Sequence[str]) -> None:
    """Print one country or product."""
    ask = _asking("profile", settings)
    question = asked(ask, settings, words, sides=1)
    [(subject, year)], [lines] = question.sides, answer(ask, question)
    notes = footnotes(lines)
    grid = _grid(_title(subject, year, question), "measure", "value>", "higher than>", "", "years")
    for line in lines:
        cells = (_percent(line.place), bar(line.place), spark_line(line.trend))
        grid.add_row(line.measure, _shown(line, notes), *cells)
    CONSOLE.print(grid)
    _explain(subject, notes)
    if subject.kind == "product":
        for by, title in (("imports_kusd", "Largest importers"), ("influence", "Most influential")):
            CONSOLE.print(_traders_grid(traders(ask, subject.key, year, by), by, title))


def print_compare(settings: Settings, words: Sequence[str]) -> None:
    """Print two countries, two products or two years side by side."""
    ask = _asking("compare", settings)
    question = asked(ask, settings, words, sides=2)
    left, right = answer(ask, question)
    notes = footnotes([*left, *right])
    titles = [_title(subject, year, question) for subject, year in question.sides]
    grid = _grid(f"A  {titles[0]}\nB  {titles[1]}", "measure", "A>", "", "B>", "", "B - A>")
    for a, b in zip(left, right, strict=True):
        cells = (_shown(a, notes), bar(a.place), _shown(b, notes), bar(b.place))
        grid.add_row(a.measure, *cells, number(b.value - a.value))
    CONSOLE.print(grid)
    _explain(question.sides[0][0], notes)


def footnotes(lines: Iterable[Line]) -> dict[str, str]:
    """Return a letter for every reason why a line has no value."""
    reasons = dict.fromkeys(line.reason for line in lines if line.reason)
    return {reason: letter for reason, letter in zip(reasons, ascii_lowercase, strict=False)}


def _shown(line: Line, notes: dict[str, str]) -> str:
    return f"{NONE} {notes[line.reason]}" if line.reason else number(line.value)


def _grid(title: str, *headings: str) -> Grid:
    """Return an empty grid; a heading that ends in > is of numbers."""
    grid = Grid(title=title, title_justify="left", box=SIMPLE)
    for heading in headings:
        right = heading.endswith(">")
        grid.add_column(heading.rstrip(">"), justify="right" if right else "left", no_wrap=True)
    return grid


def _asking(name: str, settings: Settings) -> Ask:
    from jobs.session import open_warehouse

    warehouse: Warehouse = open_warehouse(name, settings.warehouse)
    for table in (PROFILES, INDICATORS, COUNTRIES, PRODUCTS):
        warehouse.read(table)  # says which job writes it, if there is none
    return lambda query: warehouse.spark.sql(query).toPandas()


def _title(subject: Subject, year: int, question: Question) -> str:
    return ", ".join(
        [cell(subject.title), *([question.material] if question.material else []), str(year)]
    )


def _explain(subject: Subject, notes: dict[str, str]) -> None:
    others = "countries" if subject.kind == "country" else "products loaded"
    say(f"Bars: share of the other {others} with a lower value in the same year.")
    for reason, letter in notes.items():
        say(f"{NONE} {letter}: {reason}")


def _percent(share: float) -> str:
    return NONE if np.isnan(share) else f"{share:.0%}"


def _traders_grid(rows: pd.DataFrame, by: str, title: str) -> Grid:
    grid = _grid(title, "country", *(f"{name}>" for name in rows.columns[1:]), "")
    for values, share in zip(rows.itertuples(index=False), rows[by] / rows[by].max(), strict=True):
        cells = (number(np.nan if value is None else float(value)) for value in values[1:])
        grid.add_row(cell(str(values[0])), *cells, bar(float(share)))
    return grid
