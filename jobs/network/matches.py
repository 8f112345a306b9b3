"""Which product does each line of an answer mean?

Reads   responses  (material, input, replicate) -> text
        products   (nomenclature, product) -> description
Writes  matches    (line, nomenclature, method) -> product, second, similarity, runner_up, margin

pick: a recorded reader's choice from the whole list. tfidf: the official description nearest by
words, as Klimek et al. (2025) match. neighbours: the same nearness, voted over picked lines too.
"""

from __future__ import annotations

import pandas as pd

from conf.settings import Settings
from jobs.network.chosen import ProductList, product_list, rows_of
from jobs.network.recordings import digests, recorded_picks
from jobs.progress import say
from jobs.tables import MATCHES, PRODUCTS, RESPONSES
from jobs.warehouse import Warehouse
from udfs.matching import (
    Matches,
    TextEmbedding,
    index_of_descriptions,
    index_of_picks,
    joined,
    lines_of_answer,
    nearest,
    plain_description,
    voted,
)

READS = (RESPONSES, PRODUCTS)
WRITES = (MATCHES,)
SETTINGS = ("matcher", "compared_matcher")

COLUMNS = ["line", "method", "product", "second", "similarity", "runner_up", "margin"]


def files(settings: Settings) -> dict[str, str]:
    """Digest of the recorded picks."""
    return digests(settings, "picks_*.csv")


def picked(lines: list[str], picks: pd.DataFrame, products: ProductList) -> pd.DataFrame:
    """Return the recorded picks of `lines`, without those of a product that is not in the list."""
    mine = picks[picks["line"].isin(lines)]
    listed = mine[["product", "second"]].isin([*products.descriptions, ""])
    mine = mine.assign(second=mine["second"].where(listed["second"]))[listed["product"]]
    texts = mine[["product", "second"]].replace("", None)
    return mine.assign(
        product=texts["product"],
        second=texts["second"],
        method="pick",
        similarity=float("nan"),
        runner_up=None,
        margin=float("nan"),
    )[COLUMNS]


def by_words(lines: list[str], products: ProductList) -> pd.DataFrame:
    """Match lines to the nearest official descriptions."""
    embed = TextEmbedding.fit([plain_description(t) for t in products.descriptions.values()])
    index = index_of_descriptions(products.descriptions, embed)
    return _rows(lines, nearest(lines, index, embed), "tfidf")


def by_neighbours(lines: list[str], picks: pd.DataFrame, products: ProductList) -> pd.DataFrame:
    """Match lines by a vote of descriptions and picked lines, a line's own pick left out."""
    listed = picks["product"].isin(products.descriptions.keys())
    taught = picks[listed & picks["second"].isin([*products.descriptions, ""])]
    rows = list(taught[["line", "product", "second"]].itertuples(index=False, name=None))
    texts = [plain_description(text) for text in products.descriptions.values()]
    embed = TextEmbedding.fit([*texts, *taught["line"]])
    index = joined(index_of_descriptions(products.descriptions, embed), index_of_picks(rows, embed))
    return _rows(lines, voted(lines, index, embed), "neighbours")


def _rows(lines: list[str], found: Matches, method: str) -> pd.DataFrame:
    columns = (lines, method, found.product, None, found.similarity, found.runner_up, found.margin)
    return pd.DataFrame(dict(zip(COLUMNS, columns, strict=True)))


def matches(
    lines: list[str], picks: pd.DataFrame, products: ProductList, methods: set[str]
) -> pd.DataFrame:
    """Return one row for each line and method; with `pick`, neighbours where no pick is."""
    found = []
    by_neighbour = lines if "neighbours" in methods else []
    if "pick" in methods:
        found.append(picked(lines, picks, products))
        by_neighbour = by_neighbour or sorted(set(lines) - set(found[0]["line"]))
    if by_neighbour:
        found.append(by_neighbours(by_neighbour, picks, products))
    if "tfidf" in methods and lines:
        found.append(by_words(lines, products))
    rows = pd.concat(
        [frame.astype({"similarity": float}) for frame in found if len(frame)] or found
    )
    return rows.assign(nomenclature=products.nomenclature)


def run(warehouse: Warehouse, settings: Settings) -> None:
    """Match every distinct line of the answers, of all materials."""
    texts = [row.text for row in warehouse.read(RESPONSES).select("text").distinct().collect()]
    lines = sorted({line for text in texts for line in lines_of_answer(text)})
    methods = {settings.network.matcher, settings.network.compared_matcher} - {"none"}
    rows = matches(lines, recorded_picks(settings), product_list(warehouse), methods)
    for method, mine in rows.groupby("method"):
        unmatched = int(mine["product"].isna().sum())
        say(f"  {method}: {len(mine):,} lines matched, of these {unmatched:,} to no product")
    warehouse.replace(MATCHES, rows_of(warehouse.spark, MATCHES, rows))
