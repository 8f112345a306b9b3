"""Which product does each line of an answer mean?

Reads   responses  (material, input, replicate) -> text
        products   (nomenclature, product) -> description
Writes  matches    (line, nomenclature, method) -> product, second, similarity, runner_up, margin

pick: a reader's choice, recorded (from the whole list) or asked for with --picks live or batch
(from the nearest twenty). tfidf, embedding:MODEL, sentence-transformers: the official description
nearest by that embedding, as Klimek et al. (2025) match. neighbours: the same nearness (by the
embedding of --neighbours-embedding), voted over picked lines too.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from pathlib import Path

import pandas as pd

from conf.settings import Settings
from jobs.network.chosen import ProductList, product_list, rows_of
from jobs.network.embeddings import (
    SAVED_VECTORS,
    Embedding,
    VectorStore,
    embedding,
    folder_digest,
    offline,
)
from jobs.network.live import Saved
from jobs.network.picks import all_picks, asked_picks, described_index
from jobs.network.recordings import PICKS, SAVED_PICKS, digests
from jobs.progress import say
from jobs.storage import Storage
from jobs.tables import MATCHES, PRODUCTS, RESPONSES
from jobs.warehouse import Warehouse
from udfs.matching import (
    Matches,
    lines_of_answer,
    nearest,
    voted,
)

READS = (RESPONSES, PRODUCTS)
WRITES = (MATCHES,)
SETTINGS = ("matcher", "compared_matcher", "neighbours_embedding", "picks")

COLUMNS = ["line", "method", "product", "second", "similarity", "runner_up", "margin", "source"]


@dataclass
class SavedLines:
    """What a warehouse keeps of lines that it asked about: picks, and vectors of embeddings."""

    picks: Saved
    vectors: VectorStore

    @classmethod
    def in_folder(cls, folder: Path) -> SavedLines:
        """Return those of the warehouse in a folder."""
        return cls(Saved(folder / SAVED_PICKS, PICKS), VectorStore(folder / SAVED_VECTORS))


def saved_lines_in(files: Storage) -> SavedLines | None:
    """Return what is kept in a warehouse; None where it is not a local folder."""
    return SavedLines.in_folder(files.folder) if files.is_local else None


def files(settings: Settings) -> dict[str, str]:
    """Digest of the picks, recorded and saved, and of a model's folder.

    Where missing picks are asked for, the model that answers counts too.
    """
    found = digests(settings, "picks_*.csv") | pick_digests(settings) | folder_digest(settings)
    if settings.network.picks != "recorded":
        found["asked for"] = settings.network.model
    return found


def pick_digests(settings: Settings) -> dict[str, str]:
    """Digest of the picks that the warehouse asked for, if it did."""
    saved = Path(settings.warehouse) / SAVED_PICKS
    if not saved.is_file():
        return {}
    return {"saved picks": hashlib.sha256(saved.read_bytes()).hexdigest()}


def picked(lines: list[str], picks: pd.DataFrame, products: ProductList) -> pd.DataFrame:
    """Return the picks of `lines`, without those of a product that is not in the list."""
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
        source=mine.get("source", "recorded"),
    )[COLUMNS]


def by_words(lines: list[str], products: ProductList) -> pd.DataFrame:
    """Match lines to the official descriptions nearest by words."""
    return by_descriptions(lines, products, "tfidf", offline)


def by_descriptions(
    lines: list[str], products: ProductList, method: str, embeddings: Embedding
) -> pd.DataFrame:
    """Match lines to the official descriptions nearest by the embedding of that name."""
    index, embed = described_index(products, lines, embeddings, method)
    return _rows(lines, nearest(lines, index, embed), method)


def by_neighbours(
    lines: list[str],
    picks: pd.DataFrame,
    products: ProductList,
    embeddings: Embedding = offline,
    name: str = "tfidf",
) -> pd.DataFrame:
    """Match lines by a vote of descriptions and picked lines, a line's own pick left out."""
    index, embed = described_index(products, lines, embeddings, name, taught_by=picks)
    return _rows(lines, voted(lines, index, embed), "neighbours")


def _rows(lines: list[str], found: Matches, method: str) -> pd.DataFrame:
    known = (found.product, None, found.similarity, found.runner_up, found.margin, None)
    return pd.DataFrame(dict(zip(COLUMNS, (lines, method, *known), strict=True)))


def matches(
    lines: list[str],
    picks: pd.DataFrame,
    products: ProductList,
    methods: set[str],
    embeddings: Embedding = offline,
    neighbours_embedding: str = "tfidf",
) -> pd.DataFrame:
    """Return one row for each line and method; with `pick`, neighbours where no pick is."""
    found = []
    by_neighbour = lines if "neighbours" in methods else []
    if "pick" in methods:
        found.append(picked(lines, picks, products))
        by_neighbour = by_neighbour or sorted(set(lines) - set(found[0]["line"]))
    if by_neighbour:
        options = (embeddings, neighbours_embedding)
        found.append(by_neighbours(by_neighbour, picks, products, *options))
    if lines:
        found += [
            by_descriptions(lines, products, method, embeddings)
            for method in sorted(methods - {"pick", "neighbours"})
        ]
    rows = pd.concat(
        [frame.astype({"similarity": float}) for frame in found if len(frame)] or found
    )
    return rows.assign(nomenclature=products.nomenclature)


def matched_lines(
    lines: list[str],
    settings: Settings,
    products: ProductList,
    saved: SavedLines | None,
    methods: set[str],
) -> pd.DataFrame:
    """Match lines as the settings say, after asking for picks that are missing."""
    kept = saved.picks if saved else None
    if "pick" in methods:
        picks = asked_picks(lines, settings, products, kept)
    else:
        picks = all_picks(settings, kept, products.nomenclature)
    embeddings = embedding(settings, saved.vectors if saved else None)
    by = settings.network.neighbours_embedding
    return matches(lines, picks, products, methods, embeddings, by)


def run(warehouse: Warehouse, settings: Settings) -> None:
    """Match every distinct line of the answers, of all materials."""
    texts = [row.text for row in warehouse.read(RESPONSES).select("text").distinct().collect()]
    lines = sorted({line for text in texts for line in lines_of_answer(text)})
    methods = {settings.network.matcher, settings.network.compared_matcher} - {"none"}
    saved = saved_lines_in(warehouse.files)
    rows = matched_lines(lines, settings, product_list(warehouse), saved, methods)
    for method, mine in rows.groupby("method"):
        unmatched = int(mine["product"].isna().sum())
        say(f"  {method}: {len(mine):,} lines matched, of these {unmatched:,} to no product")
    warehouse.replace(MATCHES, rows_of(warehouse.spark, MATCHES, rows))
