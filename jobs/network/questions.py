"""What still has to be asked, and asking it in breadth from the seeds, tier by tier."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pandas as pd

from conf.materials import Material
from conf.problem import Problem
from conf.settings import Settings
from jobs.network.chosen import ProductList, chosen_materials, seed_products
from jobs.network.live import (
    Question,
    Saved,
    batch_answers,
    endpoint_of,
    needs_local_disk,
    used_up,
    write_batch,
)
from jobs.network.matches import SavedLines, matched_lines
from jobs.network.picks import record_picks
from jobs.network.recordings import (
    REPLICATES,
    SAVED,
    answer_frame,
    folders,
    prompt,
    recorded_answers,
)
from jobs.network.votes import lines_of, matched_by
from jobs.progress import say
from jobs.storage import Storage
from udfs import chain
from udfs.matching import lines_of_answer

BATCH_QUESTIONS = "answers/batch_questions.jsonl"
BATCH_ANSWERS = "batch_answers*.jsonl"
"""Output files of a batch, to be put beside its questions."""


def saved_in(files: Storage) -> Saved | None:
    """Return the answers kept in a warehouse; None where it is not a local folder."""
    return Saved(files.folder / SAVED) if files.is_local else None


def all_answers(settings: Settings, saved: Saved | None) -> pd.DataFrame:
    """Return the recorded answers, and of other inputs the saved ones once all ten are there."""
    recorded = recorded_answers(settings)
    kept = answer_frame(saved.read() if saved else [])
    kept = kept[kept["prompt_version"] == settings.network.prompt_version]
    known = set(zip(recorded["material"], recorded["input"], strict=True))
    new = [key not in known for key in zip(kept["material"], kept["input"], strict=True)]
    kept = kept[np.array(new, dtype=np.bool_)].drop_duplicates(chain.ANSWER)
    complete = kept.groupby(chain.QUESTION)["replicate"].transform("size") >= REPLICATES
    kept = kept[complete.astype(bool)]
    return pd.concat([recorded, kept], ignore_index=True) if len(kept) else recorded


class Matcher:
    """Lines to products, each line matched once in a run, and picked first if that is asked for."""

    def __init__(self, settings: Settings, products: ProductList, saved: SavedLines | None) -> None:
        self.settings, self.products, self.saved = settings, products, saved
        self.method = settings.network.matcher
        self.found = pd.DataFrame()

    def __call__(self, lines: set[str]) -> pd.DataFrame:
        """Return one row for each of `lines`: line, product, second, similarity."""
        known = set(self.found["line"]) if len(self.found) else set()
        if new := sorted(lines - known):
            rows = matched_lines(new, self.settings, self.products, self.saved, {self.method})
            self.found = pd.concat([self.found, rows]) if len(self.found) else rows
        return matched_by(self.method, self.found)


def frontier(
    answers: pd.DataFrame, one: Material, products: ProductList, matcher: Matcher
) -> list[str]:
    """Return the products of a material that the walk reaches and nobody has answered for."""
    mine = answers[answers["material"] == one.key]
    seeds = seed_products(one, products)
    if mine.empty:
        return seeds
    lines = {line for text in mine["text"].unique() for line in lines_of_answer(text)}
    counted = chain.votes(lines_of(mine), matcher(lines), mine[chain.ANSWER])
    found = chain.walk(counted, set(mine["input"]), seeds, least=one.votes, depth=one.depth)
    return list(found.frontier["product"])


def open_questions(
    answers: pd.DataFrame, settings: Settings, products: ProductList, matcher: Matcher
) -> list[Question]:
    """Return ten questions for each product of the frontier, of all materials asked for."""
    wording = prompt(settings.network.prompt_version, folders(settings))
    return [
        Question(
            one.key,
            product,
            replicate,
            wording.version,
            products.nomenclature,
            wording.messages(one, products.nomenclature, product, products.descriptions[product]),
        )
        for one in chosen_materials(settings)
        for product in frontier(answers, one, products, matcher)
        for replicate in range(1, REPLICATES + 1)
    ]


def asked(
    settings: Settings,
    products: ProductList,
    saved: Saved | None,
    saved_lines: SavedLines | None = None,
) -> pd.DataFrame:
    """Return all answers, after asking for those that are missing as --answers says.

    Raises:
        Problem: something could not be asked: what, and how to go on.
    """
    if settings.network.answers == "recorded":
        return all_answers(settings, saved)
    if saved is None:
        raise needs_local_disk(settings, f"--answers {settings.network.answers}")
    matcher = Matcher(settings, products, saved_lines)

    def still_open() -> list[Question]:
        return open_questions(all_answers(settings, saved), settings, products, matcher)

    if settings.network.answers == "live":
        _ask_live(still_open, settings, saved)
    else:
        _exchange_batch(still_open, settings, saved)
    return all_answers(settings, saved)


def _ask_live(still_open: Callable[[], list[Question]], settings: Settings, saved: Saved) -> None:
    endpoint = endpoint_of(settings)
    while questions := still_open():
        inputs = len({(one.material, one.input) for one in questions})
        say(f"  {inputs:,} products have no answers yet: {len(questions):,} questions at most")
        if left := endpoint.ask(questions, saved):
            raise used_up(settings, f"{left:,} questions", "--answers recorded")


def _exchange_batch(
    still_open: Callable[[], list[Question]], settings: Settings, saved: Saved
) -> None:
    """Take in the answers of a batch that lie there, and write the questions that are open."""
    folder = saved.path.parent
    known = saved.keys()
    for path in sorted(folder.glob(BATCH_ANSWERS)):
        text = path.read_text(encoding="utf-8")
        answers, failed = batch_answers(text, str(path), settings.network.model)
        for answer in answers:
            key = tuple(answer[name] for name in saved.form.key)
            if key not in known:
                known.add(key)
                saved.add(answer)
        say(f"  {path.name}: {len(answers):,} answers, {failed:,} lines without one")
    questions = [one for one in still_open() if one.key not in known]
    target = folder / Path(BATCH_QUESTIONS).name
    write_batch(questions, settings.network.model, target)
    if questions:
        raise Problem(
            f"{len(questions):,} questions are written to {target}. Send them as a batch, put its "
            f"output beside them as {BATCH_ANSWERS}, and run the same command again (one more "
            "round for each tier)."
        )


def record(settings: Settings, saved: Saved | None, target: Path) -> int:
    """Write the saved answers as a recording, and return how many there are.

    The file belongs into conf/recordings or a folder for --recordings; only inputs with all ten
    answers are in it.
    """
    found = all_answers(settings, saved)
    mine = found[found["source"] != "recorded"].sort_values(chain.ANSWER)
    if mine.empty:
        raise Problem(
            f"{settings.warehouse} has no complete answers of its own; ask with --answers live."
        )
    asked_at = mine["asked_at"].map(lambda at: None if pd.isna(at) else at.isoformat())
    rows = mine.drop(columns="source").assign(asked_at=asked_at)
    partial = target.with_suffix(".partial")
    rows.to_json(partial, orient="records", lines=True, force_ascii=False)
    partial.replace(target)
    return len(rows)


def record_all(settings: Settings, warehouse: Path, target: Path) -> dict[Path, int]:
    """Write saved answers to `target` and saved picks beside it; return how many are in each file.

    Of responses_NAME.jsonl the picks are picks_NAME_REVISION.csv.
    """
    lines = SavedLines.in_folder(warehouse)
    name = target.stem.removeprefix("responses_")
    written = record_picks(lines.picks, target.parent, name)
    try:
        written[target] = record(settings, Saved(warehouse / SAVED), target)
    except Problem:
        if not written:
            raise
    return written
