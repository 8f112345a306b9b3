"""Asking a language model which product a line of an answer means: one of the nearest, or none."""

from __future__ import annotations

import csv
import hashlib
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pandas as pd

from conf.problem import Problem
from conf.settings import Settings
from jobs.network.chosen import ProductList
from jobs.network.embeddings import Embedding, offline
from jobs.network.live import (
    Saved,
    batch_replies,
    endpoint_of,
    needs_local_disk,
    used_up,
    write_batch,
)
from jobs.network.recordings import (
    PICK_COLUMNS,
    PickPrompt,
    pick_prompt,
    recorded_picks,
)
from jobs.progress import say
from udfs.matching import (
    Embed,
    Index,
    index_of_descriptions,
    index_of_picks,
    joined,
    nearest,
    plain_description,
)

OFFERED = 20
"""Products among which a line's product is picked."""
NEAREST_TEXTS = 256
"""Texts whose products are offered, the nearest first: of twenty products nearly always."""
BATCH_QUESTIONS, BATCH_ANSWERS = "pick_questions.jsonl", "pick_answers*.jsonl"
CODE = re.compile(r"(?<!\d)\d{6}(?!\d)")
NONE = re.compile(r"\bnone\b", re.IGNORECASE)


@dataclass(frozen=True, slots=True)
class PickQuestion:
    """Which of the products offered does a line mean?"""

    line: str
    nomenclature: str
    prompt_version: str
    offered: tuple[str, ...]
    messages: Any

    @property
    def fields(self) -> Mapping[str, Any]:
        """All that is kept of the question with its answer."""
        return {
            "line": self.line,
            "nomenclature": self.nomenclature,
            "prompt_version": self.prompt_version,
            "offered": list(self.offered),
        }

    @property
    def key(self) -> tuple[str, str, str]:
        """What makes two questions the same."""
        return self.line, self.nomenclature, self.prompt_version

    @property
    def custom_id(self) -> str:
        """Its name in a batch, at most 64 characters: a digest of all that was asked."""
        asked = "|".join((*self.key, *self.offered))
        return f"pick|{hashlib.sha256(asked.encode()).hexdigest()[:48]}"


def pick_of(text: str, offered: Sequence[str]) -> tuple[str, str] | None:
    """Return product and second product that an answer picks, empty for none.

    None for an answer that is no pick: it names no product and not "none", more than two, or one
    that was not offered.
    """
    codes = list(dict.fromkeys(CODE.findall(text)))
    if not codes:
        return ("", "") if NONE.search(text) else None
    if len(codes) > 2 or not set(codes) <= set(offered):
        return None
    return codes[0], codes[1] if len(codes) == 2 else ""


def saved_picks(saved: Saved | None, nomenclature: str) -> pd.DataFrame:
    """Return the picks that a warehouse asked for: line, product, second, source.

    An answer that is no pick is left out, so that its line goes to its neighbours; how many there
    are is said.
    """
    rows, spoilt = [], []
    for row in saved.read() if saved else []:
        if row["nomenclature"] != nomenclature:
            continue
        picked = pick_of(row["text"], row["offered"])
        if picked is None:
            spoilt.append(row["line"])
        else:
            rows.append((row["line"], *picked, row.get("source", "live")))
    if spoilt:
        say(
            f"  {len(spoilt):,} answers name none of the products offered and count as no pick, "
            f"such as that on {spoilt[0]!r}"
        )
    return pd.DataFrame(rows, columns=[*PICK_COLUMNS, "source"]).drop_duplicates("line")


def all_picks(settings: Settings, saved: Saved | None, nomenclature: str) -> pd.DataFrame:
    """Return recorded picks and, of other lines, saved ones: line, product, second, source."""
    recorded = recorded_picks(settings).assign(source="recorded")
    own = saved_picks(saved, nomenclature)
    return pd.concat([recorded, own]).drop_duplicates("line", ignore_index=True)


def described_index(
    products: ProductList,
    lines: Sequence[str],
    embeddings: Embedding = offline,
    name: str = "tfidf",
    *,
    taught_by: pd.DataFrame | None = None,
) -> tuple[Index, Embed]:
    """Return the official descriptions as the embedding of that name sees them, and the embedding.

    lines: those that will be matched. taught_by: picks, whose lines are in the index too.
    """
    texts = [plain_description(text) for text in products.descriptions.values()]
    rows = [] if taught_by is None else taught_rows(products, taught_by)
    embed = embeddings(name, [*texts, *(line for line, *_ in rows)], lines)
    index = index_of_descriptions(products.descriptions, embed)
    return index if taught_by is None else joined(index, index_of_picks(rows, embed)), embed


def taught_rows(products: ProductList, picks: pd.DataFrame) -> list[tuple[str, str, str]]:
    """Return the picks that can teach: those of a product in the list."""
    listed = picks["product"].isin(products.descriptions.keys())
    taught = picks[listed & picks["second"].isin([*products.descriptions, ""])]
    return list(taught[PICK_COLUMNS].itertuples(index=False, name=None))


def pick_questions(
    lines: Sequence[str], picks: pd.DataFrame, products: ProductList, wording: PickPrompt
) -> list[PickQuestion]:
    """Return a question for each line; it is offered the products of the texts nearest to it."""
    if not lines:
        return []
    index, embed = described_index(products, lines, taught_by=picks)
    found = nearest(lines, index, embed, neighbours=NEAREST_TEXTS, top=OFFERED)
    questions = []
    for line, codes in zip(lines, found.products, strict=True):
        offered = {code: products.descriptions[code] for code in codes if code is not None}
        messages = wording.messages(line, products.nomenclature, offered)
        named = (line, products.nomenclature, wording.version, tuple(offered))
        questions.append(PickQuestion(*named, messages))
    return questions


def asked_picks(
    lines: Sequence[str], settings: Settings, products: ProductList, saved: Saved | None
) -> pd.DataFrame:
    """Return all picks, after asking for those of `lines` that are missing, as --picks says.

    Raises:
        Problem: something could not be asked: what, and how to go on.
    """
    how = settings.network.picks
    known = all_picks(settings, saved, products.nomenclature)
    if how == "recorded":
        return known
    if saved is None:
        raise needs_local_disk(settings, f"--picks {how}")
    wording = pick_prompt()
    asked = {
        row["line"]
        for row in saved.read()
        if (row["nomenclature"], row["prompt_version"]) == (products.nomenclature, wording.version)
    }
    missing = sorted(set(lines) - set(known["line"]) - asked)
    questions = pick_questions(missing, recorded_picks(settings), products, wording)
    if how == "live":
        if questions:
            say(f"  {len(questions):,} lines have no pick yet")
        if left := endpoint_of(settings).ask(questions, saved):
            raise used_up(settings, f"{left:,} lines", "--picks recorded")
    else:
        _exchange_batch(questions, settings, saved)
    return all_picks(settings, saved, products.nomenclature)


def _exchange_batch(questions: Sequence[PickQuestion], settings: Settings, saved: Saved) -> None:
    """Take in the picks of a batch that lie there, and write the questions that are open."""
    folder = saved.path.parent
    waiting = {one.custom_id: one for one in questions}
    for path in sorted(folder.glob(BATCH_ANSWERS)):
        text = path.read_text(encoding="utf-8")
        replies, failed = batch_replies(text, str(path), settings.network.model)
        new = 0
        for reply in replies:
            question = waiting.pop(reply.custom_id, None)
            if question is None:  # taken in before, or asked of other lines or products
                continue
            new += 1
            said = {"model": reply.model, "text": reply.text, "asked_at": reply.asked_at}
            saved.add({**question.fields, **said, "source": "batch"})
        say(f"  {path.name}: {len(replies):,} picks, {new:,} new; {failed:,} lines without one")
    target = folder / BATCH_QUESTIONS
    write_batch(list(waiting.values()), settings.network.model, target)
    if waiting:
        raise Problem(
            f"{len(waiting):,} questions about lines are written to {target}. Send them as a "
            f"batch, put its output beside them as {BATCH_ANSWERS}, and run the same command again."
        )


def record_picks(saved: Saved, folder: Path, name: str) -> dict[Path, int]:
    """Write the saved picks as recordings picks_NAME_REVISION.csv; return how many are in each.

    The files belong into conf/recordings or a folder for --recordings.
    """
    written = {}
    for nomenclature in sorted({row["nomenclature"] for row in saved.read()}):
        rows = saved_picks(saved, nomenclature).sort_values("line")
        target = folder / f"picks_{name}_{nomenclature.lower()}.csv"
        partial = target.with_suffix(".partial")
        rows[PICK_COLUMNS].to_csv(
            partial, index=False, lineterminator="\n", quoting=csv.QUOTE_MINIMAL
        )
        partial.replace(target)
        written[target] = len(rows)
    return written
