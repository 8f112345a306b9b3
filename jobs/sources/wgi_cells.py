"""The tables of a WGI file, whatever its layout: every cell of political stability, and its place.

`read_cells` opens the file with suspicion, finds the heading of each sheet by what it says, and
returns one row a cell. What the cells must hold is not its business: see `jobs.sources.wgi`.
"""

from __future__ import annotations

import csv
import io
import re
import warnings
import zipfile
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import Any

import pandas as pd
from openpyxl import load_workbook

from conf.problem import Problem

HEADER_WITHIN = 40
"""Rows in which the heading is looked for; the workbook of 2023 has 13 rows of text above it."""
MOST_UNPACKED = 2**30
"""Bytes of the largest plausible workbook, unpacked; the official ones have less than a tenth."""
YEARS = range(1990, 2101)

Cell = Any
"""A cell as stored: text, a number, or None."""

DIMENSIONS = {
    "cc": "controlofcorruption", "ge": "governmenteffectiveness", "pv": "politicalstability",
    "rl": "ruleoflaw", "rq": "regulatoryquality", "va": "voiceandaccountability",
}  # fmt: skip
ROLES = {
    "code": "code countrycode economycode iso3 iso3c wbcode refarea countryiso3code",
    "name": "countryname economyname countryterritory country economy",
    "year": "year time timeperiod date",
    "series": "indicator indicatorcode seriescode governancedimension",
    "series_name": "indicatorname seriesname",
    "id": "codeindyr idvariableeconomycodegovdimensionyear",
    "value": "value obsvalue",
    "edition": "edition",
    "rank_source": "pctranksource ranksource",
}
MEASURES = {
    "estimate": "est estimate governanceestimate governanceestimateapprox25to25",
    "stderr": "se stderr stddev standarderror standarderrorestimate",
    "rank": "perrnk rank pctrank percentilerank percentilerank0100",
    "score": "sc score governancescore governancescore0100",
}
ROLE_OF = {text: role for role, texts in ROLES.items() for text in texts.split()}
MEASURE_OF = {text: measure for measure, texts in MEASURES.items() for text in texts.split()}

SERIES_CODE = re.compile(r"(?:GOV_WGI_|WB_WGI_)?(?P<dimension>CC|GE|PV|RL|RQ|VA)[._](?P<rest>.+)")
IN_BRACKETS = re.compile(r".*\[(?P<code>[A-Z_.]+)\]")
ROW_ID = re.compile(r"\w{3}(?P<dimension>cc|ge|pv|rl|rq|va)\d{4}")
YEAR_TEXT = re.compile(r"(?:YR)?(?P<year>\d{4})(?:\.0)?(?:\s*\[YR\d{4}\])?")
LAST_UPDATED = re.compile(r"last updated\W*(?P<date>\S+)", re.IGNORECASE)
MISSING_MARKS = frozenset({"", "..", "#N/A", "NA", "N/A", "NAN", "NULL"})

EXPECTED = (
    "a table of the Worldwide Governance Indicators with a country code, a year and the estimate "
    "or the percentile rank of political stability"
)
DOWNLOAD = "download it again from the World Bank, as CSV or .xlsx"


@dataclass(frozen=True, slots=True)
class Sheet:
    """A sheet of a workbook, or a CSV file, which has no name."""

    name: str
    rows: Iterator[Sequence[Cell]]


@dataclass(frozen=True, slots=True)
class Column:
    """What a column holds, as far as its heading says.

    role: a key of `ROLES`, "value" for numbers, or "other". A column of numbers may name its
    measure, dimension and year; what it does not name, the row or the sheet says.
    """

    role: str
    measure: str | None = None
    dimension: str | None = None
    year: int | None = None


@dataclass(frozen=True, slots=True)
class Table:
    """The rows below a heading; `first_line` is the line of the first, counted from 1."""

    sheet: Sheet
    columns: tuple[Column, ...]
    first_line: int
    rows: list[Sequence[Cell]]


def problem(file: Path, found: str, expected: str, todo: str) -> Problem:
    """Word a refusal of `file`."""
    return Problem(f"{file}: found {found}; expected {expected}; {todo}.")


def place(sheet: str, line: int) -> str:
    """Name a row for a message."""
    return f"sheet {sheet!r}, row {line}" if sheet else f"line {line}"


# From file to sheets


def _sheets(file: Path) -> Iterator[Sheet]:
    if not file.is_file():
        what = "a folder" if file.is_dir() else "no such file"
        raise problem(file, what, "a WGI file, CSV or .xlsx", "check the path")
    with file.open("rb") as stream:
        start = stream.read(2048)
    text = start.lstrip(b"\xef\xbb\xbf \t\r\n")
    if not text:
        raise problem(file, "an empty file", "a WGI table", DOWNLOAD)
    if start.startswith(b"PK\x03\x04"):
        yield from _workbook_sheets(file)
    elif start.startswith(b"\xd0\xcf\x11\xe0"):
        raise problem(
            file,
            "an old .xls or a password-protected workbook",
            "CSV, or .xlsx without a password",
            "open it in a spreadsheet program and save it so",
        )
    elif text.startswith(b"<"):
        title = re.search(rb"<title>\s*(.*?)\s*</title>", text, re.DOTALL | re.IGNORECASE)
        named = f" ({title[1].decode('utf-8', 'replace')!r})" if title else ""
        raise problem(file, f"a web page{named} in place of data", "a WGI table", DOWNLOAD)
    else:
        yield Sheet("", _csv_rows(file))


def _workbook_sheets(file: Path) -> Iterator[Sheet]:
    with _damage_reported(file):
        with zipfile.ZipFile(file) as package:
            names, size = package.namelist(), sum(member.file_size for member in package.infolist())
        if "[Content_Types].xml" not in names:
            raise problem(
                file,
                f"a zip with {', '.join(names[:3])}",
                "a workbook or CSV",
                "unpack it and give the file inside",
            )
        if size > MOST_UNPACKED:
            found = f"{size:,} bytes when unpacked"
            raise problem(file, found, f"at most {MOST_UNPACKED:,}", DOWNLOAD)
        stream = file.open("rb")  # by its path the reader would go by the suffix
    with stream:
        with _damage_reported(file), warnings.catch_warnings():
            warnings.simplefilter("ignore")  # styles and extensions that the reader passes over
            book = load_workbook(stream, read_only=True, data_only=True)
        for sheet in book.worksheets:
            sheet.reset_dimensions()  # the stated size of a sheet is often wrong
            yield Sheet(sheet.title, _workbook_rows(file, sheet))


def _workbook_rows(file: Path, sheet: Any) -> Iterator[Sequence[Cell]]:
    with _damage_reported(file):
        yield from sheet.iter_rows(values_only=True)


@contextmanager
def _damage_reported(file: Path) -> Iterator[None]:
    """Word whatever fails in reading a workbook: a damaged one fails in zip, XML or cells alike."""
    try:
        yield
    except Problem:
        raise
    except Exception as error:
        cause = f"{type(error).__name__}: {error}".splitlines()[0]
        raise problem(file, f"a damaged workbook ({cause})", "a whole .xlsx", DOWNLOAD) from error


def _csv_rows(file: Path) -> Iterator[Sequence[Cell]]:
    raw = file.read_bytes()
    if raw.startswith((b"\xff\xfe", b"\xfe\xff")):
        text = raw.decode("utf-16", "replace")
    else:
        try:
            text = raw.decode("utf-8-sig")
        except UnicodeDecodeError:
            text = raw.decode("latin-1")  # only names can differ; codes and numbers are ASCII
    if "\0" in text:
        raise problem(file, "binary data", "a WGI table as CSV or .xlsx", DOWNLOAD)
    heading = next((line for line in text.splitlines() if line.strip()), "")
    delimiter = max(",;\t", key=heading.count)
    try:
        yield from csv.reader(io.StringIO(text, newline=""), delimiter=delimiter)
    except csv.Error as error:
        raise problem(file, f"text that is not CSV ({error})", "a WGI table", DOWNLOAD) from None


# From sheets to observations


def read_cells(file: Path) -> tuple[pd.DataFrame, str | None]:
    """Return every cell of political stability, and the date of the update if the file has one.

    Columns: code, name, year, edition and rank_source as text or number of the file; measure, a
    key of `MEASURES`; cell, as stored; sheet and line, where it stands.
    """
    dimensions: set[str] = set()
    headings: list[str] = []
    found: list[pd.DataFrame] = []
    updated = None
    for sheet in _sheets(file):
        table = _table(sheet, headings, dimensions)
        if table is None:
            continue
        keyed, footer = _with_codes(file, table)
        updated = updated or footer
        observations = _melted(table, keyed)
        dimensions |= set(observations["dimension"])
        found.append(observations[observations["dimension"] == "pv"])
    stability = pd.concat(found, ignore_index=True) if found else pd.DataFrame({"measure": []})
    stability = stability[stability["measure"].isin(list(MEASURES))]
    if stability.empty:
        raise _nothing_found(file, headings, dimensions)
    return stability, updated


def _nothing_found(file: Path, headings: list[str], dimensions: set[str]) -> Problem:
    if "pv" in dimensions:
        found = "neither the estimate nor the percentile rank of political stability"
    elif dimensions:
        found = f"no series of political stability, only {_some(sorted(dimensions))}"
    elif headings:
        found = f"the columns {_some(headings)}"
    else:
        found = "no rows"
    return problem(file, found, EXPECTED, "add its series (PV.EST, PV.PER.RNK) or " + DOWNLOAD)


def _some(texts: Sequence[str], most: int = 8) -> str:
    shown = ", ".join(map(repr, texts[:most]))
    return f"{shown} and {len(texts) - most} more" if len(texts) > most else shown


def _table(sheet: Sheet, headings: list[str], dimensions: set[str]) -> Table | None:
    """Find the heading of a sheet and return the rows below; None where there is no table.

    Headings that were seen and the dimension that a sheet is named for are noted for messages;
    a sheet named for another dimension is not read.
    """
    named_for = _dimension(sheet.name)
    above: Sequence[Cell] = ()
    for line, row in enumerate(islice(sheet.rows, HEADER_WITHIN), start=1):
        columns = _columns(row, above)
        if columns is not None:
            dimensions |= {named_for} if named_for else set()
            if named_for not in (None, "pv"):
                return None
            return Table(sheet, columns, line + 1, list(sheet.rows))
        if not headings:
            headings += [str(cell) for cell in row if str(cell or "").strip()]
        above = row
    return None


def _columns(row: Sequence[Cell], above: Sequence[Cell]) -> tuple[Column, ...] | None:
    """Return what each column holds if `row` is a heading, else None.

    The workbook of earlier updates has the years one row above, once or for each measure.
    """
    years: list[int | None] = []
    for position in range(len(row)):
        year = year_of(above[position]) if position < len(above) else None
        years.append(year if year or not years else years[-1])
    columns = tuple(_column(cell, year) for cell, year in zip(row, years, strict=True))
    roles = {column.role for column in columns}
    dated = "year" in roles or any(column.year for column in columns)
    return columns if {"code", "value"} <= roles and dated else None


def _column(heading: Cell, year_above: int | None) -> Column:
    text = "" if heading is None else str(heading).strip()
    plain = _plain(text)
    if role := ROLE_OF.get(plain):
        return Column(role)
    if year := year_of(text):
        return Column("value", year=year)
    if measure := MEASURE_OF.get(plain):
        return Column("value", measure=measure, year=year_above)
    in_brackets = IN_BRACKETS.fullmatch(text)
    dimension, measure = _series(in_brackets["code"] if in_brackets else text)
    return Column("value", measure, dimension) if measure else Column("other")


def _with_codes(file: Path, table: Table) -> tuple[pd.DataFrame, str | None]:
    """Return the rows with a country code, and the date in a footer of DataBank."""
    width = len(table.columns)
    rows = [[*row[:width], *[None] * (width - len(row))] for row in table.rows]
    frame = pd.DataFrame(rows, columns=range(width), dtype=object)
    frame.index = pd.RangeIndex(table.first_line, table.first_line + len(frame), name="line")
    code = frame[_position(table, "code")].map(lambda cell: str(cell or "").strip())
    values = [at for at, column in enumerate(table.columns) if column.role == "value"]
    uncoded = frame[(code == "") & ~frame[values].map(is_missing).all(axis=1)]
    if len(uncoded):
        where = place(table.sheet.name, uncoded.index[0])
        raise problem(
            file,
            f"{len(uncoded)} rows of values without a country code, the first in {where}",
            "ISO 3166 alpha-3 in each row",
            "add the codes or remove the rows",
        )
    footers = " ".join(str(cell) for cell in frame.loc[code == "", 0] if cell)
    updated = LAST_UPDATED.search(footers)
    return frame[code != ""], updated["date"] if updated else None


def _melted(table: Table, frame: pd.DataFrame) -> pd.DataFrame:
    """Return one row a cell: code, name, year, dimension, measure, cell, line, and what it says."""
    named_for = _dimension(table.sheet.name)
    of_row = _series_of_rows(table, frame)

    def of_rows(role: str) -> pd.Series[Any]:
        at = _position(table, role)
        empty = pd.Series([None] * len(frame), index=frame.index, dtype=object)
        return empty if at is None else frame[at]

    shared = pd.DataFrame(
        {
            "code": of_rows("code").map(lambda cell: str(cell).strip().upper()),
            "name": of_rows("name").map(lambda cell: str(cell or "").strip()),
            "edition": of_rows("edition").map(lambda cell: str(cell or "").strip()),
            "rank_source": of_rows("rank_source").map(lambda cell: str(cell or "").strip()),
            "sheet": table.sheet.name,
            "line": frame.index,
        },
        index=frame.index,
    )
    parts = []
    for at, column in enumerate(table.columns):
        if column.role != "value":
            continue
        year = column.year or of_rows("year")
        dimension = column.dimension or of_row["dimension"].fillna(named_for or "pv")
        measure = column.measure or of_row["measure"]
        parts.append(shared.assign(year=year, dimension=dimension, measure=measure, cell=frame[at]))
    cells = pd.concat(parts, ignore_index=True)
    return cells.astype({"measure": object, "dimension": object})


def _series_of_rows(table: Table, frame: pd.DataFrame) -> pd.DataFrame:
    """Return dimension and measure of each row, None where it does not say."""
    columns: dict[str, Callable[[Cell], tuple[str | None, str | None]]] = {
        "series": _series,
        "series_name": _series,
        "id": lambda cell: (
            (found["dimension"], None) if (found := ROW_ID.fullmatch(str(cell))) else (None, None)
        ),
    }
    said = pd.DataFrame({"dimension": None, "measure": None}, index=frame.index, dtype=object)
    for role, meaning in columns.items():
        at = _position(table, role)
        if at is not None:
            known = {cell: meaning(cell) for cell in frame[at].unique()}
            pairs = pd.DataFrame(
                [known[cell] for cell in frame[at]], columns=said.columns, index=frame.index
            ).astype(object)
            said = said.where(said.notna(), pairs)
    return said


def _position(table: Table, role: str) -> int | None:
    return next((at for at, column in enumerate(table.columns) if column.role == role), None)


# What texts mean


def _plain(text: str) -> str:
    return re.sub(r"[^a-z0-9]", "", text.lower())


def _dimension(text: str) -> str | None:
    """Return the dimension of governance that `text` names, as pv or a full name."""
    plain = _plain(text)
    if plain in DIMENSIONS:
        return plain
    return next((key for key, name in DIMENSIONS.items() if plain.startswith(name)), None)


def _series(cell: Cell) -> tuple[str | None, str | None]:
    """Return dimension and measure of a series, by code (PV.EST) or name; any other text as it is.

    The name of a dimension stands before a colon or a dash: "Political Stability and Absence of
    Violence/Terrorism: Percentile Rank", "Political Stability - Governance score (0-100)".
    """
    text = str(cell or "").strip()
    if code := SERIES_CODE.fullmatch(text):
        return code["dimension"].lower(), MEASURE_OF.get(_plain(code["rest"]))
    if dimension := _dimension(text):
        _, _, measure = re.sub(r" [-\u2013] ", ": ", text).partition(": ")
        return dimension, MEASURE_OF.get(_plain(measure))
    return text or None, None


def year_of(cell: Cell) -> int | None:
    """Return the year of a heading or cell: 2007, "2007", "YR2007" or "2007 [YR2007]"."""
    match = YEAR_TEXT.fullmatch("" if cell is None else str(cell).strip())
    return int(match["year"]) if match and int(match["year"]) in YEARS else None


def is_missing(cell: Cell) -> bool:
    """Whether a cell stands for no value; .. is the World Bank's mark, #N/A its earlier one."""
    return cell is None or (isinstance(cell, str) and cell.strip().upper() in MISSING_MARKS)
