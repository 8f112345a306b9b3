"""Political stability from the Worldwide Governance Indicators, as the World Bank publishes it.

`read` takes any of its files and decides by content which it is:

- the long table, one row an economy and year (CSV or workbook; the 2024 update and the extract
  bundled with this project), or one row an economy, year and indicator;
- the workbook of earlier updates, a sheet an indicator, years and measures side by side;
- DataBank's exports, years or series as columns;
- the 2025 edition, a sheet an indicator, and its series codes (GOV_WGI_PV.EST, .SC, .SE).

The 2025 edition replaced the percentile rank by an absolute score of 0-100, which is another
scale: the same year has a mean of about 67 in place of 50. Percentile ranks are then rebuilt from
the estimates, and `rank_source` says so. What cannot be read without a guess is refused.
"""

from __future__ import annotations

import re
from pathlib import Path

import numpy as np
import pandas as pd

from jobs.sources.wgi_cells import (
    EXPECTED,
    MEASURES,
    YEARS,
    Cell,
    is_missing,
    place,
    problem,
    read_cells,
    year_of,
)
from udfs.stability import percentile_rank

COLUMNS = ["code", "year", "estimate", "stderr", "rank", "score", "edition", "rank_source"]

REPAIRED_CODES = {
    "ROM": "ROU", "ZAR": "COD", "TMP": "TLS", "ADO": "AND", "WBG": "PSE", "KSV": "XKX",
}  # fmt: skip
"""The World Bank's own codes, in ISO 3166 alpha-3 (XKX for Kosovo is in common use)."""

MISLABELLED = {
    ("PUS", "US Misc. Pacific Isds"): "Jersey",
    ("R20", "Europe EFTA, nes"): "Kosovo",
    ("VGB", "Br. Virgin Isds"): "the U.S. Virgin Islands",
}
"""Economies that one extract in circulation files under BACI's codes for somebody else: the series
agree with the 2024 update's series of the economy named here, to four decimals to 2021."""

SCORE_SLOPE, SCORE_AT_ZERO = 17.0806, 65.8955
"""The 2025 edition's score of political stability is this function of its estimate; measured on 21
observations of Jersey, New Caledonia and French Polynesia, 2011-2022."""
SCORE_TOLERANCE = 0.002
"""Four printed decimals of the estimate are 0.0009 of score. No row of the 2024 update, of 5,178,
has a percentile rank that is this close to the score by chance."""

MEAN_RANK = (45.0, 55.0)
"""A percentile rank of all economies has a mean of 50; published years have 50.0 to 50.6."""
LARGEST_ESTIMATE = 5.0
"""Estimates are standard normal; the largest since 1996 are -3.3 and 2.5."""
FEWEST_TO_RANK = 100
"""Economies that make a year's percentile rank one of the world; WGI scores 188 to 214 a year."""
COUNTRY_CODE = re.compile(r"[A-Z][A-Z0-9]{2}")
NUMBER = re.compile(r"[-+]?(\d+\.?\d*|\.\d+)(e[-+]?\d+)?", re.IGNORECASE)
DECIMAL_COMMA = re.compile(r"[-+]?\d*,\d+")


def read(path: str | Path) -> pd.DataFrame:
    """Return the political-stability series of a WGI file, one row an economy and year.

    Columns: code (ISO 3166 alpha-3, repaired), year, estimate (about -2.5 to 2.5, high = stable),
    stderr (of the estimate), rank (percentile rank, 0-100), score (absolute, 0-100; NaN where the
    edition has none), edition, rank_source (published or rebuilt), sorted by code and year.
    `frame.attrs["notes"]` has a sentence for everything that was changed or left out.

    Raises:
        Problem: The file is not what it should be: what was found, what was expected, what to do.
    """
    file = Path(path)
    notes: list[str] = []
    cells, updated = read_cells(file)
    panel = _with_editions(_in_range(file, _panel(file, cells)), updated)
    panel = _without_mislabelled(_with_ranks(file, panel, notes), notes)
    panel = panel.sort_values(["code", "year"], ignore_index=True)[COLUMNS]
    panel.attrs["notes"] = (*_repairs(cells), *notes)
    return panel


def _panel(file: Path, cells: pd.DataFrame) -> pd.DataFrame:
    """Return one row an economy and year, with a column for each measure."""
    values = cells.assign(value=_numbers(file, cells)).dropna(subset="value")
    if values.empty:
        raise problem(file, "no value of political stability", EXPECTED, "give a file with data")
    values = values.assign(year=_years(file, values), code=_codes(file, values))
    key = ["code", "year"]
    once = values.drop_duplicates([*key, "measure", "value"])
    twice = once[once.duplicated([*key, "measure"], keep=False)]
    if len(twice):
        order = twice.sort_values([*key, "measure"], kind="stable")
        first, second = order.iloc[0], order.iloc[1]
        raise problem(
            file,
            f"two values of {first['measure']} of {first['code']} in {first['year']}: "
            f"{first['value']:g} ({place(first['sheet'], first['line'])}) and "
            f"{second['value']:g} ({place(second['sheet'], second['line'])})",
            "one for an economy and year",
            "keep one of them",
        )
    wide = once.pivot(index=key, columns="measure", values="value").reindex(columns=list(MEASURES))
    said = once.drop_duplicates(key).set_index(key)[["name", "edition", "rank_source"]]
    return wide.join(said).dropna(subset=["estimate", "rank", "score"], how="all").reset_index()


def _numbers(file: Path, cells: pd.DataFrame) -> list[float]:
    numbers = []
    for at, cell in enumerate(cells["cell"]):
        try:
            numbers.append(_number(cell))
        except ValueError as error:
            row = cells.iloc[at]
            raise problem(
                file,
                f"{cell!r} as {row['measure']} of {row['code']} in {row['year']} "
                f"({place(row['sheet'], row['line'])})",
                str(error),
                "correct the cell, or leave it empty if there is no value",
            ) from None
    return numbers


def _number(cell: Cell) -> float:
    """Return a number, NaN for a missing one; ValueError with what is wrong otherwise."""
    if is_missing(cell):
        return np.nan
    if isinstance(cell, bool) or not isinstance(cell, (int, float, str)):
        raise ValueError("a number")
    if isinstance(cell, str):
        if DECIMAL_COMMA.fullmatch(cell.strip()):
            raise ValueError("a decimal point, not a comma")
        if not NUMBER.fullmatch(cell.strip()):
            raise ValueError("a number")
    number = float(cell)
    if not np.isfinite(number):
        raise ValueError("a finite number")
    return number


def _years(file: Path, cells: pd.DataFrame) -> pd.Series[int]:
    years = cells["year"].map(year_of)
    wrong = cells[years.isna()]
    if len(wrong):
        row = wrong.iloc[0]
        raise problem(
            file,
            f"the year {row['year']!r} ({place(row['sheet'], row['line'])})",
            f"a year from {YEARS[0]} to {YEARS[-1]}",
            "correct the row",
        )
    return years.astype("int64")


def _codes(file: Path, cells: pd.DataFrame) -> pd.Series[str]:
    wrong = cells[~cells["code"].str.fullmatch(COUNTRY_CODE)]
    if len(wrong):
        row = wrong.iloc[0]
        raise problem(
            file,
            f"the country code {row['code']!r} ({place(row['sheet'], row['line'])})",
            "ISO 3166 alpha-3 such as AFG",
            "give a file with three-letter codes",
        )
    return cells["code"].replace(REPAIRED_CODES)


def _repairs(cells: pd.DataFrame) -> list[str]:
    repaired = sorted(set(REPAIRED_CODES) & set(cells["code"]))
    names = ", ".join(f"{code} to {REPAIRED_CODES[code]}" for code in repaired)
    return [f"Country codes repaired: {names}."] if repaired else []


def _in_range(file: Path, panel: pd.DataFrame) -> pd.DataFrame:
    """Refuse what no edition can hold."""
    ranges = {
        "rank": (0.0, 100.0),
        "score": (0.0, 100.0),
        "estimate": (-LARGEST_ESTIMATE, LARGEST_ESTIMATE),
        "stderr": (0.0, LARGEST_ESTIMATE),
    }
    for measure, (low, high) in ranges.items():
        wrong = panel[~panel[measure].between(low, high) & panel[measure].notna()]
        if len(wrong):
            row = wrong.iloc[0]
            more = f" and {len(wrong) - 1} more like it" if len(wrong) > 1 else ""
            raise problem(
                file,
                f"the {measure} {row[measure]:g} of {row['code']} in {row['year']}{more}",
                f"{low:g} to {high:g}",
                "check that the column holds what its heading says",
            )
    return panel


def _with_editions(panel: pd.DataFrame, updated: str | None) -> pd.DataFrame:
    """Name the edition where the file does not: by its scale, and its update or last year."""
    by_score = "2025 edition or later" if panel["score"].notna().any() else "2024 update or earlier"
    until = f"updated {updated}" if updated else f"data to {panel['year'].max()}"
    named = panel["edition"].replace("", f"{by_score}, {until}")
    return panel.assign(edition=named)


def _with_ranks(file: Path, panel: pd.DataFrame, notes: list[str]) -> pd.DataFrame:
    """Rebuild percentile ranks where the file has none, or has the absolute score in their place.

    Each year's ranks must have the mean of ranks, both as found and as rebuilt.
    """
    _refuse_off_centre(file, panel)
    said_rebuilt = panel["rank_source"].str.contains("rebuilt", case=False)
    expected_score = SCORE_AT_ZERO + SCORE_SLOPE * panel["estimate"]
    is_score = ((panel["rank"] - expected_score).abs() < SCORE_TOLERANCE) & ~said_rebuilt
    is_absent = panel["rank"].isna()
    rebuild = is_score | is_absent
    _refuse_to_rank_a_part(file, panel, rebuild)

    rebuilt = panel.groupby("year")["estimate"].transform(percentile_rank)
    panel = panel.assign(
        rank=panel["rank"].mask(rebuild, rebuilt),
        score=panel["score"].mask(is_score, panel["rank"]),
        edition=panel["edition"].mask(is_score, "2025 edition"),
        rank_source=np.where(rebuild | said_rebuilt, "rebuilt", "published"),
    )
    if is_score.any():
        codes = ", ".join(sorted(set(panel.loc[is_score, "code"])))
        notes.append(
            f"{is_score.sum()} percentile ranks ({codes}) are absolute scores of the 2025 edition: "
            "rebuilt from the estimate."
        )
    if is_absent.any():
        years = panel.loc[is_absent, "year"]
        notes.append(
            f"{is_absent.sum()} percentile ranks of {years.min()} to {years.max()}, which the file "
            "does not have: rebuilt from the estimate."
        )
    _refuse_off_centre(file, panel)
    return panel


def _refuse_off_centre(file: Path, panel: pd.DataFrame) -> None:
    low, high = MEAN_RANK
    means = panel.groupby("year")["rank"].mean().dropna()
    wrong = means[~means.between(low, high)]
    if len(wrong):
        shown = ", ".join(f"{mean:.1f} in {year}" for year, mean in wrong.head(3).items())
        more = f" and so in {len(wrong) - 3} more years" if len(wrong) > 3 else ""
        raise problem(
            file,
            f"percentile ranks with a mean of {shown}{more}",
            f"a mean from {low:g} to {high:g}, as ranks among all economies have",
            "give a file with every economy, and with ranks rather than the absolute scores "
            "(0-100) of the 2025 edition under that name",
        )


def _refuse_to_rank_a_part(file: Path, panel: pd.DataFrame, rebuild: pd.Series[bool]) -> None:
    """Refuse to rebuild a rank without its estimate, or among too few economies."""
    without = panel[rebuild & panel["estimate"].isna()]
    if len(without):
        row = without.iloc[0]
        raise problem(
            file,
            f"neither a percentile rank nor an estimate of {row['code']} in {row['year']}",
            "one of them beside the absolute score, which is another scale",
            "add the series of the estimate (GOV_WGI_PV.EST) to the download",
        )
    economies = panel.groupby("year")["estimate"].transform("count")
    few = panel[rebuild & (economies < FEWEST_TO_RANK)]
    if len(few):
        raise problem(
            file,
            f"no percentile rank of {few['code'].iloc[0]} in {few['year'].iloc[0]}, and estimates "
            f"of {economies[few.index[0]]} economies",
            f"at least {FEWEST_TO_RANK}, to rebuild a rank among all economies",
            "give a file with every economy",
        )


def _without_mislabelled(panel: pd.DataFrame, notes: list[str]) -> pd.DataFrame:
    """Leave out series that belong to another economy than their code says."""
    wrong = pd.Series(False, index=panel.index)
    for (code, name), owner in MISLABELLED.items():
        these = (panel["code"] == code) & (panel["name"] == name)
        wrong |= these
        if these.any():
            notes.append(
                f"{these.sum()} rows of {code} ({name}) are the series of {owner}: left out."
            )
    return panel[~wrong]
