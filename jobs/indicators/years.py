"""The years a run is about."""

from __future__ import annotations

from collections.abc import Iterable

from pyspark.sql import DataFrame
from pyspark.sql import functions as F

from conf.problem import Problem
from conf.settings import Settings
from jobs.warehouse import Slice


def years_part(settings: Settings) -> Slice:
    """The years asked for; empty = all."""
    return {"year": settings.years} if settings.years else {}


def of_years(frame: DataFrame, settings: Settings) -> DataFrame:
    """Return the rows of the years asked for, refusing a year the table does not have."""
    asked = if_asked(frame, settings)
    if settings.years:
        refuse_absent(_years(asked), frame, settings)
    return asked


def if_asked(frame: DataFrame, settings: Settings) -> DataFrame:
    """Return the rows of the years asked for, all if none are; see `refuse_absent`."""
    return frame.where(F.col("year").isin(*settings.years)) if settings.years else frame


def refuse_absent(found: Iterable[int], frame: DataFrame, settings: Settings) -> None:
    """Refuse years asked for that are not among those found in `frame`, unless it has no rows.

    What is made from trade may rightly be empty, as the networks of minerals where none is loaded.
    The other years are only looked at to name them: in a whole cube that takes longer than to read
    a year.
    """
    missing = sorted(set(settings.years) - set(found))
    if missing and (loaded := _years(frame)):
        raise Problem(
            f"--years: {', '.join(map(str, missing))} not loaded; the warehouse has "
            f"{', '.join(map(str, sorted(loaded)))}."
        )


def _years(frame: DataFrame) -> set[int]:
    return {row.year for row in frame.select("year").distinct().collect()}
