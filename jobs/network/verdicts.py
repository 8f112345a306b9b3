"""What a person says of single edges: a file of verdicts, which override the test by trade."""

from __future__ import annotations

import csv
import hashlib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd

from conf.problem import Problem, nearest
from conf.settings import Settings, materials_available
from jobs.network.chosen import ProductList
from jobs.progress import say

ACCEPT, REJECT = "accept", "reject"
REQUIRED = ("material", "input", "output", "verdict", "reason")
OPTIONAL = ("by", "date")
EDGE = ["material", "input", "output"]
SHOWN = 40
"""Characters of a description in a message."""
NAMED = 6
"""Verdicts that are named on the screen."""


@dataclass(frozen=True, slots=True)
class Verdict:
    """A person accepts or rejects an edge; `by` and `date` are empty where not given."""

    material: str
    input: str
    output: str
    verdict: str
    reason: str
    by: str = ""
    date: str = ""

    @property
    def told(self) -> str:
        """The verdict in words, as in `links.reason`."""
        signed = ", ".join(filter(None, (self.by, self.date)))
        return f"verdict: {self.verdict}: {self.reason}" + (f" ({signed})" if signed else "")


def verdict_digest(settings: Settings) -> dict[str, str]:
    """Digest of the file of verdicts, if one is given."""
    path = settings.network.verdicts
    if path is None:
        return {}
    return {"verdicts": hashlib.sha256(_content(path)).hexdigest()}


def verdicts(settings: Settings, products: ProductList) -> list[Verdict]:
    """Read the verdicts of the settings, of all materials; none without a file.

    Raises:
        Problem: everything that is wrong with the file, line by line.
    """
    path = settings.network.verdicts
    if path is None:
        return []
    try:
        text = _content(path).decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise Problem(f"--verdicts: {path} is not UTF-8: {error.reason}.") from None
    rows = csv.DictReader(text.splitlines())
    _check_columns(path, rows.fieldnames or [])
    found: dict[tuple[str, str, str], Verdict] = {}
    faults = []
    for row in rows:
        given = {name: (row.get(name) or "").strip() for name in (*REQUIRED, *OPTIONAL)}
        one = Verdict(**given)
        faults += [f"  line {rows.line_num}: {fault}" for fault in _faults(one, products)]
        key = (one.material, one.input, one.output)
        if key in found:
            faults.append(f"  line {rows.line_num}: {' '.join(key)} has a verdict already")
        found[key] = one
    if faults:
        raise Problem("\n".join([f"--verdicts: {path} cannot be used:", *faults]))
    return list(found.values())


def _content(path: str) -> bytes:
    try:
        return Path(path).read_bytes()
    except OSError as error:
        raise Problem(f"--verdicts: {path} cannot be read: {error.strerror}.") from None


def _check_columns(path: str, columns: list[str]) -> None:
    known = [*REQUIRED, *OPTIONAL]
    missing = [name for name in REQUIRED if name not in columns]
    unknown = [f"{name!r}{nearest(name, known)}" for name in columns if name not in known]
    if missing or unknown:
        raise Problem(
            f"--verdicts: {path} has the columns {', '.join(columns) or 'none'}; "
            f"expected {', '.join(REQUIRED)}, and {' and '.join(OPTIONAL)} if wanted"
            + (f"; not known: {', '.join(unknown)}" if unknown else "")
            + "."
        )


def _faults(one: Verdict, products: ProductList) -> Iterator[str]:
    valid = materials_available()
    if one.material not in valid:
        hint = nearest(one.material, valid)
        yield f"material {one.material!r}{hint}; expected one of {', '.join(valid)}"
    for side in ("input", "output"):
        code = getattr(one, side)
        if code not in products.descriptions:
            hint = near_products(code, products.descriptions)
            yield f"{side} {code!r} is not in the {products.nomenclature} product list{hint}"
    if one.verdict not in (ACCEPT, REJECT):
        hint = nearest(one.verdict, (ACCEPT, REJECT))
        yield f"verdict {one.verdict!r}{hint}; expected {ACCEPT} or {REJECT}"
    if not one.reason:
        yield "no reason is given"


def near_products(code: str, descriptions: Mapping[str, str]) -> str:
    """Return ' (nearest: CODE description; ...)' for the codes most like `code`."""
    hint = nearest(code, descriptions)
    if not hint:
        return ""
    codes = hint.removeprefix(" (nearest: ").removesuffix(")").split(", ")
    return f" (nearest: {'; '.join(f'{one} {descriptions[one][:SHOWN]}' for one in codes)})"


def overridden(rows: pd.DataFrame, given: list[Verdict], modes: list[str]) -> pd.DataFrame:
    """Return judged links with `verdict`, and with kept and reason of a person where one spoke.

    Args:
        rows: material, input, output, test, kept, reason.
        given: verdicts, of other materials too.
        modes: tests that may decide about an edge; the others are left alone.

    The statistics of the test stay, and what it said stays in the reason.
    """
    said = {(one.material, one.input, one.output): one for one in given}
    keys = rows[EDGE].itertuples(index=False, name=None)
    mine = [
        said.get(key) if test in modes else None
        for key, test in zip(keys, rows["test"], strict=True)
    ]
    spoken = np.array([one is not None for one in mine], np.bool_)
    reasons = [
        reason if one is None else f"{one.told}; by the test: {reason}"
        for one, reason in zip(mine, rows["reason"], strict=True)
    ]
    accepted = np.array([one is not None and one.verdict == ACCEPT for one in mine], np.bool_)
    return rows.assign(
        verdict=pd.Series([one and one.verdict for one in mine], rows.index, dtype=object),
        kept=np.where(spoken, accepted, rows["kept"].astype(bool)),
        reason=reasons,
    )


def say_idle(given: list[Verdict], candidates: pd.DataFrame, materials: tuple[str, ...]) -> None:
    """Say which verdicts about the materials asked for are on pairs that are no candidates."""
    outputs = candidates.groupby(["material", "input"])["output"].apply(list).to_dict()
    idle = [
        one
        for one in given
        if one.material in materials
        and one.output not in outputs.get((one.material, one.input), ())
    ]
    for one in idle[:NAMED]:
        others = outputs.get((one.material, one.input), [])
        near = nearest(one.output, others)
        say(
            f"  verdict on {one.material} {one.input} -> {one.output} changes nothing: the pair is "
            f"no candidate, {one.input} leads to {len(others)} others{near}"
        )
    if len(idle) > NAMED:
        say(f"  and {len(idle) - NAMED} more verdicts on pairs that are no candidates")
