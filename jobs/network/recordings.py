"""Recorded answers and picks, the wording they answer, and where answers of a run are saved."""

from __future__ import annotations

import csv
import hashlib
import json
import tomllib
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any

import pandas as pd

from conf.materials import Material
from conf.problem import Problem
from conf.settings import CONF, Settings

SHIPPED = CONF / "recordings"
SAVED, SAVED_PICKS = "answers/responses.jsonl", "answers/picks.jsonl"
"""Where a warehouse keeps what was asked on its account."""
PICK_WORDING = SHIPPED / "pick_prompt_v1.toml"
REPLICATES = 10
"""Independent answers to a question, as in Klimek et al. (2025)."""
REQUIRED = {
    "material": str,
    "input": str,
    "replicate": int,
    "prompt_version": str,
    "model": str,
    "nomenclature": str,
    "text": str,
}
COLUMNS = [*REQUIRED, "asked_at", "source"]
PICK_COLUMNS = ["line", "product", "second"]


@dataclass(frozen=True, slots=True)
class LineForm:
    """What a JSON line must hold, and which of it makes two lines the same."""

    required: Mapping[str, type]
    key: tuple[str, ...]


ANSWERS = LineForm(REQUIRED, ("material", "input", "replicate", "prompt_version"))
PICKS = LineForm(
    {
        "line": str,
        "nomenclature": str,
        "prompt_version": str,
        "model": str,
        "offered": list,
        "text": str,
    },
    ("line", "nomenclature", "prompt_version"),
)


@dataclass(frozen=True, slots=True)
class Prompt:
    """A version of the question; `user` has places for what is asked about."""

    version: str
    system: str
    user: str
    materials: dict[str, str]

    def messages(self, chosen: Material, nomenclature: str, code: str, description: str) -> Any:
        """Return the question about one product as chat messages."""
        asked = self.user.strip().format(
            material=self.materials.get(chosen.key, chosen.name.lower()),
            nomenclature=nomenclature,
            code=code,
            description=description,
        )
        return [{"role": "system", "content": self.system}, {"role": "user", "content": asked}]


def prompt(version: str, folders: Iterable[Path]) -> Prompt:
    """Return the wording of a version."""
    found = {}
    for path in _files(folders, "prompt_*.toml"):
        content = tomllib.loads(path.read_text(encoding="utf-8"))
        found[content["version"]] = content
    if version not in found:
        raise Problem(
            f"--prompt-version: there is no version {version!r}; expected {', '.join(found)}."
        )
    return Prompt(**found[version])


@dataclass(frozen=True, slots=True)
class PickPrompt:
    """A version of the question which of some products a line means."""

    version: str
    system: str
    user: str

    def messages(self, line: str, nomenclature: str, offered: Mapping[str, str]) -> Any:
        """Return the question about one line as chat messages; offered: code -> description."""
        listed = "\n".join(f"{code} {text}" for code, text in offered.items())
        asked = self.user.strip().format(line=line, nomenclature=nomenclature, offered=listed)
        return [{"role": "system", "content": self.system}, {"role": "user", "content": asked}]


def pick_prompt() -> PickPrompt:
    """Return the wording of the question about lines."""
    return PickPrompt(**tomllib.loads(PICK_WORDING.read_text(encoding="utf-8")))


def folders(settings: Settings) -> list[Path]:
    """Return the folders with recordings, the user's own first."""
    if settings.network.recordings is None:
        return [SHIPPED]
    own = Path(settings.network.recordings)
    if not own.is_dir():
        raise Problem(f"--recordings: {own} is not a folder.")
    return [own, SHIPPED]


def digests(settings: Settings, *patterns: str) -> dict[str, str]:
    """Return file -> SHA-256 of the recordings whose names fit."""
    return {
        str(path): hashlib.sha256(path.read_bytes()).hexdigest()
        for pattern in patterns
        for path in _files(folders(settings), pattern)
    }


def material_digests(settings: Settings) -> dict[str, str]:
    """Return file -> SHA-256 of the files of the materials asked for."""
    paths = [CONF / "materials" / f"{key}.toml" for key in settings.materials]
    return {path.name: hashlib.sha256(path.read_bytes()).hexdigest() for path in paths}


def recorded_answers(settings: Settings) -> pd.DataFrame:
    """Return the recorded answers; where two recordings answer an input, the first counts.

    Columns: those of `responses`.
    """
    found: dict[tuple[str, str], Path] = {}
    rows = []
    for path in _files(folders(settings), "responses_*.jsonl"):
        for row in answers_in(path.read_text(encoding="utf-8"), str(path)):
            right_version = row["prompt_version"] == settings.network.prompt_version
            if right_version and found.setdefault((row["material"], row["input"]), path) == path:
                rows.append({"source": "recorded", **row})
    return answer_frame(rows)


def answer_frame(rows: list[dict[str, Any]]) -> pd.DataFrame:
    """Return answers as a frame with the columns of `responses`."""
    frame = pd.DataFrame(rows, columns=COLUMNS)
    frame["asked_at"] = pd.to_datetime(frame["asked_at"], utc=True, format="ISO8601")
    return frame


def answers_in(
    text: str, where: str, *, torn_end: bool = False, form: LineForm = ANSWERS
) -> Iterator[dict[str, Any]]:
    """Yield the answers of JSON lines, or raise what is wrong with which line.

    torn_end: a last line without its end is what a killed run leaves; it is passed over.
    """
    whole = text[: text.rfind("\n") + 1] if torn_end else text
    for number, line in enumerate(whole.splitlines(), start=1):
        try:
            row = json.loads(line)
        except ValueError:
            raise Problem(f"{where}, line {number}: not JSON: {line[:60]!r}.") from None
        faults = [
            f"{name} is {row.get(name) if isinstance(row, dict) else row!r}"
            for name, kind in form.required.items()
            if not isinstance(row, dict) or type(row.get(name)) is not kind
        ]
        if faults:
            raise Problem(
                f"{where}, line {number}: {faults[0]}; expected an object with "
                + ", ".join(f"{name} ({kind.__name__})" for name, kind in form.required.items())
                + "."
            )
        if row.get("asked_at"):
            datetime.fromisoformat(row["asked_at"])
        yield row


def recorded_picks(settings: Settings) -> pd.DataFrame:
    """Return the recorded picks: line, product, second; empty text = none."""
    frames = []
    for path in _files(folders(settings), "picks_*.csv"):
        with path.open(encoding="utf-8", newline="") as lines:
            rows = list(csv.DictReader(lines))
        if rows and not {"line", "product", "second"} <= set(rows[0]):
            raise Problem(f"{path}: has {', '.join(rows[0])}; expected line, product, second.")
        frames.append(pd.DataFrame(rows, columns=PICK_COLUMNS))
    if not frames:
        return pd.DataFrame(columns=PICK_COLUMNS)
    return pd.concat(frames).drop_duplicates("line", ignore_index=True)


def _files(places: Iterable[Path], pattern: str) -> list[Path]:
    return [path for place in places for path in sorted(place.glob(pattern))]
