"""The years a run is about."""

from __future__ import annotations

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
    if not settings.years:
        return frame
    loaded = {row.year for row in frame.select("year").distinct().collect()}
    if missing := sorted(set(settings.years) - loaded):
        raise Problem(
            f"--years: {', '.join(map(str, missing))} not loaded; the warehouse has "
            f"{', '.join(map(str, sorted(loaded))) or 'no years'}."
        )
    return frame.where(F.col("year").isin(*settings.years))
