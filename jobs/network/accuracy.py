"""How often does each matcher find the product that a reader found?

Measured on lines that two readers classified independently: those that come with the recordings,
or a file of one's own with the columns line, label_1 and, if there is one, label_2. To agree with
one reader is right; how far the readers agree with each other is the noise of the task.
"""

from __future__ import annotations

import csv
from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np
import pandas as pd
from rich.table import Table as Printed

from conf.problem import Problem
from conf.settings import CONF, Settings
from jobs.network.chosen import ProductList, product_list
from jobs.network.embeddings import Embedding, embedding
from jobs.network.matches import SavedLines, picked, saved_lines_in
from jobs.network.picks import all_picks, described_index
from jobs.progress import CONSOLE, say
from udfs.matching import (
    Accuracy,
    Names,
    accuracy,
    nearest,
    normalise_line,
    voted,
)

LABELLED = CONF / "recordings" / "lines_labelled.csv"
READERS = ("label_1", "label_2")
SECOND_READER = "the second reader, held against the first"


def labelled_lines(path: Path, products: ProductList) -> tuple[list[str], Names]:
    """Return normalised lines, and their labels, shape (n lines, n readers), None = nothing fits.

    Raises:
        Problem: the file lacks a column, has no line, or has a label that is no product.
    """
    with path.open(encoding="utf-8-sig", newline="") as lines:
        rows = list(csv.DictReader(lines))
    if not rows or not {"line", READERS[0]} <= set(rows[0]):
        found = ", ".join(rows[0]) if rows else "no line"
        raise Problem(f"{path}: has {found}; expected the columns line, label_1 and label_2.")
    readers = [name for name in READERS if name in rows[0]]
    labels = [[row[name] or None for name in readers] for row in rows]
    unknown = sorted({x for row in labels for x in row if x and x not in products.descriptions})
    if unknown:
        raise Problem(
            f"{path}: {len(unknown)} labels are not in the {products.nomenclature} product list: "
            f"{', '.join(unknown[:5])}. A label is a code of six digits, or empty: nothing fits."
        )
    return [normalise_line(row["line"]) for row in rows], np.array(labels, np.object_)


def found_by_each(
    lines: Sequence[str],
    picks: pd.DataFrame,
    products: ProductList,
    embeddings: Embedding,
    names: Sequence[str],
) -> Iterator[tuple[str, Names, Names]]:
    """Yield each method, the places of the lines it serves, and their products, best first.

    picks: line, product, second. names: embeddings to match by; `pick` serves lines with a pick,
    the others all.
    """
    every = np.arange(len(lines))
    of_line = picked(list(lines), picks, products).set_index("line")
    served = np.flatnonzero([line in of_line.index for line in lines])
    if served.size:
        mine = of_line.loc[[lines[n] for n in served], ["product", "second"]]
        yield "pick", served, mine.to_numpy(object)
    for name in names:
        index, embed = described_index(products, lines, embeddings, name, taught_by=picks)
        yield f"neighbours by {name}, own pick left out", every, voted(lines, index, embed).products
        index, embed = described_index(products, lines, embeddings, name)
        yield name, every, nearest(lines, index, embed).products


def accuracies(
    lines: Sequence[str],
    labels: Names,
    settings: Settings,
    products: ProductList,
    saved: SavedLines | None,
) -> dict[str, Accuracy]:
    """Return the accuracy of the second reader and of every method that the settings allow."""
    network = settings.network
    chosen = {"tfidf", network.matcher, network.compared_matcher, network.neighbours_embedding}
    names = sorted(chosen - {"pick", "neighbours", "none"})
    picks = all_picks(settings, saved.picks if saved else None, products.nomenclature)
    embeddings = embedding(settings, saved.vectors if saved else None)
    found = {}
    if labels.shape[1] > 1:
        found[SECOND_READER] = accuracy(labels[:, 1:], labels[:, :1])
    for method, served, named in found_by_each(lines, picks, products, embeddings, names):
        found[method] = accuracy(named, labels[served])
    return found


def print_accuracy(settings: Settings, words: Sequence[str]) -> None:
    """Print the accuracy of every method on the labelled lines, or on those of a file."""
    from jobs.session import start

    path = Path(words[0]) if words else LABELLED
    warehouse = start("accuracy", settings.warehouse)
    products = product_list(warehouse)
    lines, labels = labelled_lines(path, products)
    found = accuracies(lines, labels, settings, products, saved_lines_in(warehouse.files))
    say(f"{len(lines)} lines of {path.name}; right = what a reader found, in percent")
    CONSOLE.print(printed(found))


def printed(found: dict[str, Accuracy]) -> Printed:
    """Return a table of accuracies."""
    table = Printed("method", title="Accuracy of matching", title_justify="left")
    for name in ("lines", "subheading", "in top 5", "heading", "in top 5"):
        table.add_column(name, justify="right")
    for method, one in found.items():
        shares = (
            *(one.subheading_top1, one.subheading_top5),
            *(one.heading_top1, one.heading_top5),
        )
        table.add_row(method, str(one.lines), *(f"{100 * share:.1f}" for share in shares))
    return table
