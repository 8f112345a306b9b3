"""How many answers name each product as made from another?

Reads   responses  (material, input, replicate) -> text
        matches    (line, nomenclature, method) -> product, second, similarity
Writes  votes      (material, matcher, input, output) -> votes, replicates, similarity
"""

from __future__ import annotations

import pandas as pd

from conf.settings import Settings
from jobs.network.chosen import materials_part, of_materials, rows_of, stacked
from jobs.tables import MATCHES, RESPONSES, VOTES
from jobs.warehouse import Warehouse
from udfs import chain
from udfs.matching import lines_of_answer

READS = (RESPONSES, MATCHES)
WRITES = (VOTES,)
SETTINGS = ("matcher", "compared_matcher")

part = materials_part


def lines_of(answers: pd.DataFrame) -> pd.DataFrame:
    """Return one row for each distinct line of an answer: material, input, replicate, line."""
    rows = [
        (*key, line)
        for *key, text in answers[[*chain.ANSWER, "text"]].itertuples(index=False, name=None)
        for line in lines_of_answer(text)
    ]
    return pd.DataFrame(rows, columns=[*chain.ANSWER, "line"])


def matched_by(matcher: str, matches: pd.DataFrame) -> pd.DataFrame:
    """Return one row for each line: its pick, or that of its neighbours where none is recorded."""
    mine = matches[matches["method"] == matcher]
    if matcher == "pick":
        others = matches[(matches["method"] == "neighbours") & ~matches["line"].isin(mine["line"])]
        mine = pd.concat([mine, others]) if len(others) else mine
    return mine[["line", "product", "second", "similarity"]]


def run(warehouse: Warehouse, settings: Settings) -> None:
    """Count the votes by each matcher chosen, and replace those of the materials asked for."""
    answers = of_materials(warehouse.read(RESPONSES), settings).toPandas()
    matches = warehouse.read(MATCHES).toPandas()
    lines = lines_of(answers)
    matchers = {settings.network.matcher, settings.network.compared_matcher} - {"none"}
    counted = [
        chain.votes(lines, matched_by(one, matches), answers[chain.ANSWER]).assign(matcher=one)
        for one in sorted(matchers)
    ]
    frame = rows_of(warehouse.spark, VOTES, stacked(counted))
    warehouse.replace(VOTES, frame, part(settings))
