"""What speaks for a single edge: votes, sentences, trade against its null, traders, a verdict.

Reads   candidates, responses, matches, votes, links, edges, removed_edges, indicators, countries,
        products
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from pyspark.sql import functions as F
from rich.table import Table as Printed

from conf.problem import Problem, nearest
from conf.settings import Settings, materials_available
from jobs.indicators.years import of_years
from jobs.network.chosen import ProductList, product_list
from jobs.network.known_steps import NetworkRows
from jobs.network.links import VALUES, LoadedTrade, loaded_trade
from jobs.network.verdicts import near_products
from jobs.network.votes import lines_of, matched_by
from jobs.progress import CONSOLE, cell, plain, say
from jobs.tables import (
    CANDIDATES,
    COUNTRIES,
    EDGES,
    INDICATORS,
    LINKS,
    MATCHES,
    PRODUCTS,
    REMOVED_EDGES,
    RESPONSES,
    VOTES,
    Table,
)
from jobs.warehouse import Warehouse
from udfs.link_test import Profiles, null_of_input, profiles

TABLES_READ = (
    *(CANDIDATES, RESPONSES, MATCHES, VOTES, LINKS, EDGES, REMOVED_EDGES),
    *(INDICATORS, COUNTRIES, PRODUCTS),
)
SETTINGS_READ = ("link_mode", "min_countries", "matcher", "compared_matcher", "years")
TRADERS = 5
"""Largest importers of the input and exporters of the output that are named."""
BINS = 20
"""Bars of a null."""
BAR = 40
"""Longest bar of a printed null, characters."""
PAIR = ["input", "output"]

Floats = NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class Sentence:
    """A line of answers that names the output.

    answers: how many have it. similarity: cosine with the closest text; None for a pick.
    compared, compared_similarity: what the other matcher took the line for, None without one.
    """

    line: str
    answers: int
    method: str
    similarity: float | None
    compared: str | None
    compared_similarity: float | None


@dataclass(frozen=True, slots=True)
class Trader:
    """A country's mean yearly trade in a product, thousand current USD, and its share of all."""

    country: str
    value_kusd: float
    share: float


@dataclass(frozen=True)
class Dossier:
    """All that is known of one candidate.

    decided: its row of `links` by the test that decides; tests: the rows of all tests.
    null: correlations of the input with every other output, empty where it cannot be tested.
    status: what became of it. importers: of the input; exporters: of the output.
    """

    material: str
    input: str
    output: str
    descriptions: tuple[str, str]
    votes: int
    replicates: int
    matcher: str
    status: str
    sentences: list[Sentence]
    decided: Mapping[str, Any]
    tests: list[Mapping[str, Any]]
    null: Floats
    importers: list[Trader]
    exporters: list[Trader]

    @property
    def tested(self) -> bool:
        """True if its trade is loaded and could be correlated."""
        return not pd.isna(self.decided["rho"])

    @property
    def bars(self) -> tuple[NDArray[np.int64], Floats]:
        """Counts of the null in `BINS` bars, and their BINS + 1 borders; rho lies within."""
        known = np.append(self.null, self.decided["rho"])
        counts, borders = np.histogram(self.null, BINS, (known.min(), known.max()))
        return counts.astype(np.int64), borders


@dataclass
class Evidence:
    """The tables behind dossiers, each read once, when it is first needed."""

    warehouse: Warehouse
    settings: Settings
    _read: dict[tuple[str, str], pd.DataFrame] = field(default_factory=dict)

    @cached_property
    def products(self) -> ProductList:
        """The product list."""
        return product_list(self.warehouse)

    @cached_property
    def countries(self) -> dict[int, str]:
        """Names by country code."""
        rows = self.warehouse.read(COUNTRIES).select("country", "name").collect()
        return {int(row.country): row["name"] for row in rows}

    @cached_property
    def loaded(self) -> LoadedTrade:
        """Mean yearly trade over the years of the settings."""
        return loaded_trade(of_years(self.warehouse.read(INDICATORS), self.settings))

    @cached_property
    def rows(self) -> dict[str, int]:
        """Row of each product in the trade loaded."""
        return {product: n for n, product in enumerate(self.loaded.products)}

    @cached_property
    def profiles(self) -> Profiles:
        """Trade made ready for the test that decides."""
        network = self.settings.network
        values = VALUES[network.link_mode]
        return profiles(self.loaded.trade, values=values, min_countries=network.min_countries)

    def of_material(self, table: Table, material: str) -> pd.DataFrame:
        """Return the rows of a material."""
        key = (table.name, material)
        if key not in self._read:
            rows = self.warehouse.read(table).where(F.col("material") == material)
            self._read[key] = rows.toPandas()
        return self._read[key]

    def decided(self, material: str) -> pd.DataFrame:
        """Return the links of a material by the test that decides."""
        links = self.of_material(LINKS, material)
        return links[links["test"] == self.settings.network.link_mode]

    @cached_property
    def matches(self) -> pd.DataFrame:
        """What each line was matched to, of every material."""
        return self.warehouse.read(MATCHES).toPandas()

    def rows_of_network(self, material: str) -> NetworkRows:
        """Return what known steps of a material are held against."""
        votes = self.of_material(VOTES, material)
        return NetworkRows(
            edges=self.of_material(EDGES, material),
            removed=self.of_material(REMOVED_EDGES, material),
            decided=self.decided(material),
            votes=votes[votes["matcher"] == self.settings.network.matcher],
        )

    def null(self, product: str) -> Floats:
        """Return the enumerated null of an input, empty where it cannot be tested."""
        if product not in self.rows:
            return np.empty(0)
        return null_of_input(self.profiles, self.rows[product])

    def traders(self, product: str, side: str) -> list[Trader]:
        """Return the largest importers or exporters of a product, none where it is not loaded."""
        if product not in self.rows:
            return []
        values: Floats = getattr(self.loaded.trade, side)[self.rows[product]]
        largest = np.argsort(-values, kind="stable")[:TRADERS]
        codes = [self.loaded.countries[n] for n in largest if values[n] > 0]
        total = float(values.sum())
        return [
            Trader(self.countries.get(code, str(code)), float(value), float(value) / total)
            for code, value in zip(codes, values[largest], strict=False)
        ]


def dossiers(evidence: Evidence, material: str, pairs: Sequence[tuple[str, str]]) -> list[Dossier]:
    """Return the dossiers of some candidates of a material, in the order given."""
    wanted = pd.DataFrame(pairs, columns=PAIR)
    known = evidence.of_material(CANDIDATES, material).merge(wanted, on=PAIR)
    if known.empty:
        return []
    links = evidence.of_material(LINKS, material).merge(wanted, on=PAIR)
    sentences = _sentences(evidence, material, known)
    fates = _fates(evidence, material)
    mode = evidence.settings.network.link_mode
    found = {}
    for row in known.itertuples(index=False):
        key = (row.input, row.output)
        mine = links[(links["input"] == row.input) & (links["output"] == row.output)]
        tests = [dict(test) for test in mine.sort_values("test").to_dict("records")]
        decided = next(test for test in tests if test["test"] == mode)
        texts = evidence.products.descriptions
        found[key] = Dossier(
            material=material,
            input=row.input,
            output=row.output,
            descriptions=(texts.get(row.input, ""), texts.get(row.output, "")),
            votes=int(row.votes),
            replicates=int(row.replicates),
            matcher=row.matcher,
            status=fates.get(key, "kept" if decided["kept"] else "not in the network"),
            sentences=sentences.get(key, []),
            decided=decided,
            tests=tests,
            null=evidence.null(row.input),
            importers=evidence.traders(row.input, "imports"),
            exporters=evidence.traders(row.output, "exports"),
        )
    return [found[pair] for pair in pairs if pair in found]


def _fates(evidence: Evidence, material: str) -> dict[tuple[str, str], str]:
    """Return what the tiers made of each link that was kept."""
    fates = {
        (row.input, row.output): "in the network"
        for row in evidence.of_material(EDGES, material).itertuples()
    }
    for row in evidence.of_material(REMOVED_EDGES, material).itertuples():
        way = f" with {row.path}" if row.path else ""
        fates[row.input, row.output] = f"kept by the test, but taken out: {row.reason}{way}"
    return fates


def _sentences(
    evidence: Evidence, material: str, candidates: pd.DataFrame
) -> dict[tuple[str, str], list[Sentence]]:
    """Return for each pair the lines that named its output, the most frequent first."""
    answers = evidence.of_material(RESPONSES, material)
    lines = lines_of(answers[answers["input"].isin(candidates["input"])])
    counted = lines.groupby(["input", "line"])["replicate"].nunique().rename("answers")
    matches = evidence.matches[evidence.matches["line"].isin(set(lines["line"]))]
    matcher = candidates["matcher"].iloc[0]
    named = counted.reset_index().merge(matched_by(matcher, matches), on="line")
    by_other = evidence.settings.network.compared_matcher
    other = matches[matches["method"] == by_other].set_index("line")
    methods = matches[matches["method"] != by_other].set_index("line")["method"].to_dict()
    goods = [
        named.rename(columns={column: "output"})[
            ["input", "output", "line", "answers", "similarity"]
        ]
        for column in ("product", "second")
    ]
    both = pd.concat([frame for frame in goods if len(frame)] or goods).dropna(subset=["output"])
    both = both.merge(candidates[PAIR], on=PAIR).sort_values(
        ["answers", "line"], ascending=[False, True]
    )
    found: dict[tuple[str, str], list[Sentence]] = {}
    for row in both.itertuples(index=False):
        known = row.line in other.index
        found.setdefault((row.input, row.output), []).append(
            Sentence(
                line=row.line,
                answers=int(row.answers),
                method=methods.get(row.line, matcher),
                similarity=None if pd.isna(row.similarity) else float(row.similarity),
                compared=other.loc[row.line, "product"] if known else None,
                compared_similarity=float(other.loc[row.line, "similarity"]) if known else None,
            )
        )
    return found


def print_edge(settings: Settings, words: Sequence[str]) -> None:
    """Print the dossier of an edge, of every material that has it unless some are named."""
    from jobs.session import start

    if len(words) != 2:
        raise Problem("edge takes INPUT OUTPUT, two HS codes; see ./spark-submit.sh edge --help.")
    evidence = Evidence(start("edge", settings.warehouse), settings)
    for found in edge(evidence, words[0], words[1]):
        print_dossier(found)


def edge(evidence: Evidence, source: str, target: str) -> list[Dossier]:
    """Return the dossiers of a pair, of the materials asked for, or of all that have it.

    Raises:
        Problem: a product is not in the list, or the pair is no candidate: what is nearest.
    """
    descriptions = evidence.products.descriptions
    for code in (source, target):
        if code not in descriptions:
            raise Problem(
                f"edge: {code} is not in the {evidence.products.nomenclature} product list"
                f"{near_products(code, descriptions)}."
            )
    settings = evidence.settings
    named = "materials" in settings.model_fields_set
    materials = settings.materials if named else tuple(materials_available())
    found = [one for key in materials for one in dossiers(evidence, key, [(source, target)])]
    if not found:
        raise Problem("\n".join(_absent(evidence, materials, source, target)))
    return found


def _absent(
    evidence: Evidence, materials: Sequence[str], source: str, target: str
) -> Iterator[str]:
    """Yield why a pair is no candidate of any of the materials."""
    pair = (F.col("input") == source) & F.col("material").isin(*materials)
    votes = evidence.warehouse.read(VOTES).where(pair).toPandas()
    candidates = evidence.warehouse.read(CANDIDATES).where(pair).toPandas()
    yield f"edge: {source} -> {target} is no candidate of {', '.join(materials)}."
    for row in votes[votes["output"] == target].itertuples():
        yield (
            f"  {row.material}: {row.votes} of {row.replicates} answers name it ({row.matcher}); "
            "too few, or its input is not reached from the seeds"
        )
    for key, mine in candidates.groupby("material"):
        texts = evidence.products.descriptions
        top = mine.sort_values(["votes", "output"], ascending=[False, True]).head(TRADERS)
        outputs = "; ".join(f"{code} {texts.get(code, '')[:40]}" for code in top["output"])
        yield f"  {key}: {source} leads to {len(mine)} products{nearest(target, mine['output'])}"
        yield f"    with most votes: {outputs}"
    if candidates.empty:
        yield f"  {source} is the input of no candidate; see the table frontier."


def print_dossier(one: Dossier) -> None:
    """Print a dossier; what others wrote in it cannot steer the terminal."""
    source, target, reason = map(plain, (*one.descriptions, one.decided["reason"]))
    say(f"\n{one.material}: {one.input} {source}")
    say(f"  -> {one.output} {target}")
    say(
        f"  {one.status}; {one.votes} of {one.replicates} answers name it, matched by {one.matcher}"
    )
    say(f"  {reason}")
    heads = ("line", "answers", "matched by", "similarity", "by the other matcher")
    lines = _printed("Lines that name it", heads)
    for sentence in one.sentences:
        lines.add_row(
            cell(sentence.line),
            str(sentence.answers),
            sentence.method,
            "" if sentence.similarity is None else f"{sentence.similarity:.2f}",
            ""
            if sentence.compared is None
            else f"{sentence.compared} ({sentence.compared_similarity:.2f})",
        )
    CONSOLE.print(lines)
    if one.tested:
        _print_tests(one)
        _print_null(one)
    for title, traders in (
        (f"Largest importers of {one.input}", one.importers),
        (f"Largest exporters of {one.output}", one.exporters),
    ):
        if not traders:
            say(f"{title}: its trade is not loaded")
            continue
        table = _printed(title, ("country", "million USD a year", "share"))
        for trader in traders:
            table.add_row(
                cell(trader.country), f"{trader.value_kusd / 1000:,.1f}", f"{trader.share:.1%}"
            )
        CONSOLE.print(table)


def _print_tests(one: Dossier) -> None:
    table = _printed("Trade", ("test", "rho", "null mean", "null sd", "z", "p", "q", "kept"))
    for row in one.tests:
        names = ("rho", "null_mean", "null_sd", "z", "p_value", "q_value")
        numbers = ["" if pd.isna(row[name]) else f"{row[name]:.3f}" for name in names]
        table.add_row(row["test"], *numbers, "yes" if row["kept"] else "no")
    CONSOLE.print(table)


def _print_null(one: Dossier) -> None:
    """Print the null as bars, with a mark where the correlation of the pair stands."""
    counts, borders = one.bars
    rho, most = float(one.decided["rho"]), max(1, int(counts.max()))
    at = min(int(np.searchsorted(borders, rho, side="right")) - 1, BINS - 1)
    say(f"Correlations of {one.input} with every other output ({one.null.size}):")
    for n, count in enumerate(counts):
        mark = f"  <- rho = {rho:.3f}" if n == at else ""
        bar = "#" * round(BAR * count / most)
        say(f"  {borders[n]:+.2f} to {borders[n + 1]:+.2f} {count:5d} {bar}{mark}")


def _printed(title: str, columns: Sequence[str]) -> Printed:
    table = Printed(title=title, title_justify="left")
    for n, name in enumerate(columns):
        table.add_column(name, justify="left" if n == 0 else "right", overflow="fold")
    return table
