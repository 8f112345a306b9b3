"""What is known of minerals beside trade: bundled, or from a user's CSV.

A CSV replaces the bundled figures as a whole; what it does not have is missing and stays so.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass
from importlib import resources
from pathlib import Path
from typing import Any

import pandas as pd

from conf.minerals import KILOGRAMS, minerals
from conf.problem import Problem, nearest
from conf.settings import Settings
from jobs.sources.given_tables import read_given

PRINTED = "supply risk printed in Klimek et al. (2015), Table S3"


@dataclass(frozen=True)
class Criticality:
    """Mean of the lists that have a mineral, each scaled to 0 to 1, and their number."""

    score: float
    lists: int
    source: str


def digests(*paths: str | None) -> dict[str, str]:
    """Return the SHA-256 of each CSV that is given, by path."""
    return {path: hashlib.sha256(_read(path)).hexdigest() for path in paths if path}


def reserves(settings: Settings) -> dict[str, tuple[float, str]]:
    """Return reserves in kg with their source, by mineral; what is absent is not known."""
    path = settings.minerals.reserves
    if path is None:
        return {
            one.key: (one.reserves_kg, one.reserves_source or "")
            for one in minerals()
            if one.reserves_kg is not None
        }
    table = read_given(path, ("resource", "reserves", "unit", "source"), key=("resource",))
    _known_minerals(path, table)
    for place, unit in zip(table["line"], table["unit"], strict=True):
        if unit not in KILOGRAMS:
            expected = ", ".join(KILOGRAMS)
            raise Problem(f"{path}, line {place}: unit is {unit!r}; expected one of {expected}.")
    amounts = _numbers(path, table, "reserves", low=0.0, high=None)
    return {
        str(row["resource"]): (amount * KILOGRAMS[row["unit"]], str(row["source"]))
        for (_, row), amount in zip(table.iterrows(), amounts, strict=True)
        if amount > 0
    }


def criticality(settings: Settings) -> dict[str, Criticality]:
    """Return the supply risk of each mineral that is on a list."""
    path = settings.minerals.criticality
    if path is None:
        scores = printed_table()["csr"].dropna()
        return {str(key): Criticality(float(score), 1, PRINTED) for key, score in scores.items()}
    table = read_given(path, ("resource", "list", "score"), key=("resource", "list"))
    _known_minerals(path, table)
    table["score"] = _numbers(path, table, "score", low=None, high=None)
    by_list = table.groupby("list")["score"]
    low, high = by_list.transform("min"), by_list.transform("max")
    if flat := sorted(set(table.loc[low == high, "list"])):
        raise Problem(
            f"{path}: every score of {flat[0]!r} is the same; expected scores that differ."
        )
    scaled = ((table["score"] - low) / (high - low)).groupby(table["resource"])
    return {
        str(key): Criticality(float(scores.mean()), scores.size, Path(path).name)
        for key, scores in scaled
    }


def import_reliance(
    settings: Settings, codes: Mapping[str, list[int]]
) -> dict[tuple[Any, ...], float] | None:
    """Return reliance by (resource, country) or (resource, country, year); None without a CSV.

    codes: country codes by ISO3, and of the merged region by its name.
    """
    path = settings.minerals.import_reliance
    if path is None:
        return None
    table = read_given(path, ("resource", "region", "import_reliance"), key=None)
    _known_minerals(path, table)
    shares = _numbers(path, table, "import_reliance", low=None, high=1.0)
    given: dict[tuple[Any, ...], float] = {}
    for (_, row), share in zip(table.iterrows(), shares, strict=True):
        for code in _codes_of(path, row, row["region"], codes):
            year = (int(row["year"]),) if row.get("year") else ()
            place = (row["resource"], code, *year)
            if place in given:
                raise Problem(
                    f"{path}, line {row['line']}: {row['resource']} in {row['region']} "
                    "stands a second time."
                )
            given[place] = max(share, 0.0)
    return given


def governance_index(settings: Settings, codes: Mapping[str, list[int]]) -> dict[int, float] | None:
    """Return the governance index by country code; None without a CSV."""
    path = settings.minerals.governance_index
    if path is None:
        return None
    table = read_given(path, ("iso3", "score"), key=("iso3",))
    scores = _numbers(path, table, "score", low=0.0, high=100.0)
    return {
        code: score
        for (_, row), score in zip(table.iterrows(), scores, strict=True)
        for code in _codes_of(path, row, row["iso3"], codes)
    }


def printed_table() -> pd.DataFrame:
    """Return Table S3 of Klimek et al. (2015) by mineral."""
    file = resources.files("conf").joinpath("sample", "klimek2015_table_s3.csv")
    with resources.as_file(file) as path:
        return pd.read_csv(path, index_col="mineral")


def _read(path: str) -> bytes:
    try:
        return Path(path).read_bytes()
    except OSError as error:
        raise Problem(f"{path} cannot be read: {error.strerror}.") from None


def _known_minerals(path: str, table: pd.DataFrame) -> None:
    names = [one.key for one in minerals()]
    for line, name in zip(table["line"], table["resource"], strict=True):
        if name not in names:
            raise Problem(
                f"{path}, line {line}: {name!r} is no mineral of conf/minerals.toml"
                f"{nearest(name, names)}."
            )


def _numbers(
    path: str, table: pd.DataFrame, column: str, *, low: float | None, high: float | None
) -> list[float]:
    found = []
    limits = [
        f"{word} {limit:g}"
        for word, limit in (("at least", low), ("at most", high))
        if limit is not None
    ]
    expected = ", ".join(["a number", *limits])
    for line, text in zip(table["line"], table[column], strict=True):
        number = pd.to_numeric(text, errors="coerce")
        inside = abs(number) < float("inf") and (low is None or number >= low)
        if not (inside and (high is None or number <= high)):
            raise Problem(f"{path}, line {line}: {column} is {text!r}; expected {expected}.")
        found.append(float(number))
    return found


def _codes_of(path: str, row: pd.Series, name: str, codes: Mapping[str, list[int]]) -> list[int]:
    if name not in codes:
        raise Problem(
            f"{path}, line {row['line']}: no country or region {name!r}{nearest(name, codes)}."
        )
    return codes[name]
