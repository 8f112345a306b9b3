"""The WGI reader, against the same small world written in every layout that is in circulation."""

import zipfile

import numpy as np
import pandas as pd
import pytest
from openpyxl import Workbook

from conf.problem import Problem
from conf.settings import SAMPLE
from jobs.sources import wgi

BUNDLED = SAMPLE / "wgi_political_stability.csv"
YEARS = (2007, 2008)
ROUND_OFF = 1e-9
"""Values are read, not computed; only text and binary forms of a number may differ."""
PRINTED = 5e-4
"""Ranks below are given to three decimals."""
COLUMNS_2025 = (
    "ID variable (economy code/ gov. dimension/ year)", "Economy (name)", "Economy (code)",
    "Region", "Income classification", "Year", "Governance dimension", "Number of sources",
    "Governance estimate (approx. -2.5 to +2.5)", "Standard error (estimate)",
    "Lower threshold (90% conf. int. estimate)", "Upper threshold (90% conf. int. estimate)",
    "Governance score (0-100)", "Standard error (gov. score)",
    "Lower threshold (90% conf. int. score)", "Upper threshold (90% conf. int. score)", "FRH mean",
)  # fmt: skip
HEADING_2024 = (
    "codeindyr", "code", "countryname", "year", "indicator", "estimate", "stddev", "nsource",
    "pctrank", "pctranklower", "pctrankupper",
)  # fmt: skip


def code_of(number: int) -> str:
    return f"Q{chr(65 + number // 26)}{chr(65 + number % 26)}"


def make_world(*, economies: int = 120) -> pd.DataFrame:
    """Economies with distinct estimates, so that rank i of n is 100 i / (n - 1) by hand."""
    rows = [
        {"code": code_of(i), "name": f"Economy {i}", "year": year, "order": (i + year) % economies}
        for i in range(economies)
        for year in YEARS
    ]
    frame = pd.DataFrame(rows)
    frame["estimate"] = (-2.4 + 4.0 * frame["order"] / (economies - 1)).round(6)
    frame["stderr"] = (0.2 + 0.001 * frame["order"]).round(6)
    frame["rank"] = (100 * frame["order"] / (economies - 1)).round(9)
    frame["score"] = (wgi.SCORE_AT_ZERO + wgi.SCORE_SLOPE * frame["estimate"]).round(6)
    return frame.sort_values(["code", "year"], ignore_index=True)


@pytest.fixture(scope="module")
def world():
    return make_world()


def long_csv(world: pd.DataFrame) -> pd.DataFrame:
    return world.rename(columns={"name": "countryname", "rank": "pctrank", "stderr": "stddev"})[
        ["code", "countryname", "year", "estimate", "stddev", "pctrank"]
    ]


def save(path, sheets: dict[str, list]) -> str:
    book = Workbook()
    book.remove(book.active)
    for title, rows in sheets.items():
        sheet = book.create_sheet(title)
        for row in rows:
            sheet.append(row)
    book.save(path)
    return str(path)


def rows_2024(world, *, indicator="pv", shift=0.0):
    return [
        (f"{r.code}{indicator}{r.year}", r.code, r.name_, r.year, indicator, r.estimate + shift,
         r.stderr, 5, r.rank, r.rank, r.rank)
        for r in world.rename(columns={"name": "name_"}).itertuples()
    ]  # fmt: skip


def workbook_2024(path, world, *, indicators=("cc", "pv")):
    """One sheet, six indicators among each other, `..` where there is no value."""
    rows = [HEADING_2024]
    for indicator in indicators:
        rows += rows_2024(world, indicator=indicator, shift=0.0 if indicator == "pv" else 0.3)
        unscored = ("QZZ", "Unscored", 2007, indicator, "..", "..", "..", "..", "..", "..")
        rows.append((f"QZZ{indicator}2007", *unscored))
    return save(path, {"Sheet1": rows})


def workbook_2023(path, world):
    """A sheet an indicator, 13 rows of text, years above the measures, `#N/A` for no value."""
    by_code = world.set_index(["code", "year"])
    measures = ("Estimate", "StdErr", "NumSrc", "Rank", "Lower", "Upper")
    rows = [["Worldwide Governance Indicators"], *[[None]] * 12]
    rows.append([None, None, *[year for year in YEARS for _ in measures]])
    rows.append(["Country/Territory", "Code", *measures * len(YEARS)])
    for code in world["code"].unique():
        cells = [by_code.loc[(code, year)] for year in YEARS]
        rows.append(
            [f"Economy {code}", code]
            + [v for c in cells for v in (c.estimate, c.stderr, 5, c["rank"], 1.0, 99.0)]
        )
    rows.append(["Unscored", "QZZ", *["#N/A"] * 12])
    heading, below = rows[:15], rows[15:]
    other = heading + [[*row[:2], *[0.5] * 12] for row in below]
    return save(
        path,
        {
            "Introduction": [["About"], ["Code", "Meaning"]],
            "VoiceandAccountability": other,
            "Political StabilityNoViolence": rows,
        },
    )


def workbook_2025(path, world, *, with_pv=True):
    def sheet(dimension, shift):
        return [COLUMNS_2025] + [
            (f"{r.code}{dimension}{r.year}", "An economy", r.code, "Region", "High income", r.year,
             dimension, 5, r.estimate + shift, r.stderr, -9.0, 9.0, r.score, 3.0, 1.0, 99.0, "..")
            for r in world.itertuples()
        ]  # fmt: skip

    sheets = {"readme": [["text"]], "va": sheet("va", 0.4), "rl": sheet("rl", 0.1)}
    return save(path, sheets | ({"pv": sheet("pv", 0.0)} if with_pv else {}))


def databank_wide(world, series: dict[str, tuple[str, str]]) -> str:
    """Country and series in rows, years as columns; the footer that DataBank adds."""
    lines = ["Country Name,Country Code,Series Name,Series Code,2007 [YR2007],2008 [YR2008]"]
    by_code = world.set_index(["code", "year"])
    for code in world["code"].unique():
        for measure, (name, series_code) in series.items():
            values = ",".join(str(by_code.loc[(code, year), measure]) for year in YEARS)
            lines.append(f'"Economy, {code}",{code},{name},{series_code},{values}')
    lines += [
        "Unscored,QZZ,Something,PV.EST,..,..",
        ",,,,,", ",,,,,",
        "Data from database: Worldwide Governance Indicators,,,,,",
        "Last Updated: 09/25/2024,,,,,",
    ]  # fmt: skip
    return "\n".join(lines)


FULL_NAME = "Political Stability and Absence of Violence/Terrorism"
LEGACY_SERIES = {
    "estimate": (f"{FULL_NAME}: Estimate", "PV.EST"),
    "stderr": (f"{FULL_NAME}: Standard Error", "PV.STD.ERR"),
    "rank": (f"{FULL_NAME}: Percentile Rank", "PV.PER.RNK"),
}
NAME_2025 = "Political Stability"
SERIES_2025 = {
    "estimate": (f"{NAME_2025} - Governance estimate (approx. -2.5 to +2.5)", "GOV_WGI_PV.EST"),
    "stderr": (f"{NAME_2025} - Standard error", "GOV_WGI_PV.SE"),
    "score": (f"{NAME_2025} - Governance score (0-100)", "GOV_WGI_PV.SC"),
}


def write(tmp_path, text: str | bytes, name: str = "wgi.csv") -> str:
    path = tmp_path / name
    path.write_bytes(text if isinstance(text, bytes) else text.encode())
    return str(path)


def assert_same(found: pd.DataFrame, world: pd.DataFrame, *measures: str) -> None:
    pd.testing.assert_frame_equal(found[["code", "year"]], world[["code", "year"]])
    for measure in measures:
        np.testing.assert_allclose(found[measure], world[measure], rtol=0, atol=ROUND_OFF)


# Every layout gives the same numbers


def test_long_table_as_csv(tmp_path, world):
    found = wgi.read(write(tmp_path, long_csv(world).to_csv(index=False)))
    assert_same(found, world, "estimate", "stderr", "rank")
    assert list(found.columns) == wgi.COLUMNS
    assert set(found["rank_source"]) == {"published"}
    assert found["score"].isna().all()


def test_long_workbook_of_2024_reads_political_stability_only(tmp_path, world):
    found = wgi.read(workbook_2024(tmp_path / "wgi.xlsx", world))
    assert_same(found, world, "estimate", "stderr", "rank")
    assert set(found["edition"]) == {"2024 update or earlier, data to 2008"}


def test_workbook_with_a_sheet_an_indicator_and_years_side_by_side(tmp_path, world):
    assert_same(
        wgi.read(workbook_2023(tmp_path / "wgi.xlsx", world)), world, "estimate", "stderr", "rank"
    )


def test_databank_export_with_years_as_columns(tmp_path, world):
    found = wgi.read(write(tmp_path, databank_wide(world, LEGACY_SERIES)))
    assert_same(found, world, "estimate", "stderr", "rank")
    assert set(found["edition"]) == {"2024 update or earlier, updated 09/25/2024"}


def test_databank_export_without_series_codes_goes_by_the_names(tmp_path, world):
    named = {measure: (name, "x") for measure, (name, _) in LEGACY_SERIES.items()}
    text = databank_wide(world, named).replace(",Series Code,", ",Comment,")
    assert_same(wgi.read(write(tmp_path, text)), world, "estimate", "stderr", "rank")


def test_databank_export_with_series_as_columns(tmp_path, world):
    names = {m: f"{name} [{code}]" for m, (name, code) in LEGACY_SERIES.items()}
    table = world.assign(**{"Time Code": "YR" + world["year"].astype(str)}).rename(
        columns=names | {"code": "Country Code", "name": "Country Name", "year": "Time"}
    )
    text = table.drop(columns=["order", "score"]).to_csv(index=False)
    assert_same(wgi.read(write(tmp_path, text)), world, "estimate", "stderr", "rank")


def test_bulk_export_with_plain_years_and_other_indicators(tmp_path, world):
    text = databank_wide(world, LEGACY_SERIES | {"order": ("Rule of Law: Estimate", "RL.EST")})
    text = text.replace("2007 [YR2007],2008 [YR2008]", "2007,2008")
    text = text.replace("Series Name,Series Code", "Indicator Name,Indicator Code")
    assert_same(wgi.read(write(tmp_path, text)), world, "estimate", "stderr", "rank")


def test_one_row_an_observation(tmp_path, world):
    lines = ["REF_AREA,INDICATOR,TIME_PERIOD,OBS_VALUE"]
    for row in world.itertuples():
        lines += [
            f"{row.code},WB_WGI_PV_EST,{row.year},{row.estimate}",
            f"{row.code},WB_WGI_PV_PER_RNK,{row.year},{row.rank}",
        ]
    assert_same(wgi.read(write(tmp_path, "\n".join(lines))), world, "estimate", "rank")


@pytest.mark.parametrize(
    "encode",
    [
        lambda text: b"\xef\xbb\xbf" + text.encode(),
        lambda text: text.encode("utf-16"),
        lambda text: text.replace("Economy 0", "R\xe9union").encode("latin-1"),
        lambda text: text.replace("\n", "\r\n").encode(),
        lambda text: text.replace(",", ";").encode(),
        lambda text: text.replace(",", "\t").encode(),
    ],
    ids=["BOM", "UTF-16", "Latin-1", "CRLF", "semicolons", "tabs"],
)
def test_encodings_and_delimiters_do_not_matter(tmp_path, world, encode):
    text = long_csv(world).to_csv(index=False)
    assert_same(wgi.read(write(tmp_path, encode(text))), world, "estimate", "stderr", "rank")


def test_file_name_does_not_matter(tmp_path, world):
    path = workbook_2024(tmp_path / "wgi.csv", world)
    assert_same(wgi.read(path), world, "estimate", "rank")


# The 2025 edition


def rank_by_counting(frame: pd.DataFrame) -> np.ndarray:
    """100 times the number of economies below, over all others; estimates here are distinct."""
    return np.array(
        [
            100 * sum(o.estimate < r.estimate for o in frame.itertuples() if o.year == r.year)
            / (sum(frame["year"] == r.year) - 1)
            for r in frame.itertuples()
        ]
    )  # fmt: skip


def test_ranks_of_the_2025_workbook_are_rebuilt_and_said_to_be(tmp_path, world):
    found = wgi.read(workbook_2025(tmp_path / "wgi.xlsx", world))
    assert_same(found, world, "estimate", "stderr", "score")
    np.testing.assert_allclose(found["rank"], rank_by_counting(world), rtol=0, atol=ROUND_OFF)
    assert set(found["rank_source"]) == {"rebuilt"}
    assert set(found["edition"]) == {"2025 edition or later, data to 2008"}
    assert "rebuilt from the estimate" in " ".join(found.attrs["notes"])


def test_ranks_of_the_2025_series_codes_are_rebuilt(tmp_path, world):
    found = wgi.read(write(tmp_path, databank_wide(world, SERIES_2025)))
    assert_same(found, world, "estimate", "stderr", "score", "rank")
    assert set(found["rank_source"]) == {"rebuilt"}


def test_absolute_scores_in_a_column_of_ranks_are_refused(tmp_path, world):
    table = long_csv(world.assign(rank=world["score"].where(world["year"] == 2008, world["rank"])))
    with pytest.raises(Problem, match=r"mean of 59\.1 in 2008; expected a mean from 45 to 55"):
        wgi.read(write(tmp_path, table.to_csv(index=False)))


def test_single_scores_among_the_ranks_are_found_and_rebuilt(tmp_path, world):
    strange = world["code"].isin(["QAC", "QBD"])
    mixed = world.assign(rank=world["score"].where(strange, world["rank"]))
    found = wgi.read(write(tmp_path, long_csv(mixed).to_csv(index=False)))
    assert_same(found, world, "rank")
    assert (found["rank_source"] == np.where(strange, "rebuilt", "published")).all()
    assert set(found.loc[strange, "edition"]) == {"2025 edition"}
    assert "4 percentile ranks (QAC, QBD)" in found.attrs["notes"][0]


def test_score_without_estimate_is_refused(tmp_path, world):
    text = databank_wide(world, {"score": SERIES_2025["score"]})
    with pytest.raises(Problem, match="neither a percentile rank nor an estimate of QAA in 2007"):
        wgi.read(write(tmp_path, text))


def test_rank_among_a_part_of_the_world_is_refused(tmp_path, world):
    part = world[world["code"] < "QBA"]
    with pytest.raises(Problem, match="estimates of 26 economies; expected at least 100"):
        wgi.read(workbook_2025(tmp_path / "wgi.xlsx", part))


# Codes


def test_codes_are_repaired_and_namibia_survives(tmp_path, world):
    old = dict(zip(world["code"].unique()[:7], [*wgi.REPAIRED_CODES, "NAM"], strict=True))
    table = long_csv(world.assign(code=world["code"].replace(old), name="NA"))
    found = wgi.read(write(tmp_path, table.to_csv(index=False)))
    assert {"ROU", "COD", "TLS", "AND", "PSE", "XKX", "NAM"} <= set(found["code"])
    assert not set(wgi.REPAIRED_CODES) & set(found["code"])
    assert len(found) == len(world)
    assert "ROM to ROU" in found.attrs["notes"][0]


def test_french_guiana_is_not_guyana(tmp_path, world):
    table = long_csv(world.assign(code=world["code"].replace({"QAA": "GUF"}), name="French Guiana"))
    found = wgi.read(write(tmp_path, table.to_csv(index=False)))
    assert "GUF" in set(found["code"])
    assert "GUY" not in set(found["code"])


def test_bundled_extract_has_no_series_under_a_wrong_name():
    found = wgi.read(BUNDLED)
    assert not {"GUY", "PUS", "R20", "VGB"} & set(found["code"])
    assert {"TWN", "NAM", "ROU", "COD"} <= set(found["code"])
    notes = " ".join(found.attrs["notes"])
    assert "12 rows of PUS (US Misc. Pacific Isds) are the series of Jersey" in notes


def test_code_that_is_old_and_new_with_two_values_is_refused(tmp_path, world):
    table = long_csv(world.assign(code=world["code"].replace({"QAA": "ROM", "QAB": "ROU"})))
    with pytest.raises(Problem, match="two values of estimate of ROU in 2007"):
        wgi.read(write(tmp_path, table.to_csv(index=False)))


# The bundled extract, against the World Bank's workbook of the 2024 update, read by hand


@pytest.mark.parametrize(
    ("code", "year", "rank", "estimate"),
    [
        ("CHN", 2007, 28.019, -0.5006),
        ("TWN", 2010, 76.303, 0.8566),
        ("ZWE", 2021, 16.981, -0.9544),
        ("NAM", 2015, 69.048, 0.7253),
        ("COD", 2015, 4.762, -2.1389),
    ],
)
def test_bundled_extract_has_the_values_of_the_2024_workbook(code, year, rank, estimate):
    found = wgi.read(BUNDLED).set_index(["code", "year"]).loc[(code, year)]
    assert found["rank"] == pytest.approx(rank, abs=PRINTED)
    assert found["estimate"] == pytest.approx(estimate, abs=PRINTED)
    assert found["rank_source"] == "published"


def test_bundled_extract_says_which_ranks_are_rebuilt():
    found = wgi.read(BUNDLED)
    rebuilt = found[found["rank_source"] == "rebuilt"]
    before = rebuilt[rebuilt["year"] < 2023]
    assert set(found.loc[found["year"] == 2023, "rank_source"]) == {"rebuilt"}
    assert before.groupby("code").size().to_dict() == {"JEY": 12, "NCL": 5, "PYF": 4}
    means = found.groupby("year")["rank"].mean()
    assert means.between(49.5, 50.6).all()


# Refusals


def refused(tmp_path, content: str | bytes, name: str = "wgi.csv") -> str:
    path = write(tmp_path, content, name)
    with pytest.raises(Problem) as caught:
        wgi.read(path)
    sentence = str(caught.value)
    assert sentence.startswith(f"{path}: found ")
    assert "; expected " in sentence
    assert "\n" not in sentence
    return sentence


def edited(world, old: str, new: str) -> str:
    text = long_csv(world).to_csv(index=False)
    assert old in text
    return text.replace(old, new, 1)


def cell(world, code="QAA", year=2007, measure="pctrank") -> str:
    row = long_csv(world).set_index(["code", "year"]).loc[(code, year)]
    return str(row[measure])


def test_other_indicators_are_listed_when_political_stability_is_absent(tmp_path, world):
    text = databank_wide(world, {"estimate": ("Rule of Law: Estimate", "RL.EST")})
    text = text.replace("Unscored,QZZ,Something,PV.EST,..,..\n", "")
    assert "no series of political stability, only 'rl'" in refused(tmp_path, text)


@pytest.mark.parametrize("layout", ["2024", "2025"])
def test_workbook_without_political_stability_is_refused(tmp_path, world, layout):
    path = tmp_path / "wgi.xlsx"
    if layout == "2024":
        workbook_2024(path, world, indicators=("cc", "va"))
    else:
        workbook_2025(path, world, with_pv=False)
    with pytest.raises(Problem, match=r"only '(cc|rl)', 'va'"):
        wgi.read(path)


def test_series_that_are_no_scores_are_not_enough(tmp_path, world):
    text = databank_wide(world, {"order": ("Number of Sources", "PV.NO.SRC")})
    text = text.replace("Unscored,QZZ,Something,PV.EST,..,..\n", "")
    assert "neither the estimate nor the percentile rank" in refused(tmp_path, text)


def test_table_of_something_else_is_refused_with_its_columns(tmp_path):
    text = "iso3,year,gdp\nAFG,2007,9.7\n"
    assert "found the columns 'iso3', 'year', 'gdp'" in refused(tmp_path, text)


def test_other_world_bank_series_are_named(tmp_path):
    text = "Country Name,Country Code,Series Name,Series Code,2007\nA,AFG,GDP,NY.GDP.MKTP.CD,9.7\n"
    assert "only 'NY.GDP.MKTP.CD'" in refused(tmp_path, text)


def test_heading_without_rows_is_refused(tmp_path, world):
    text = long_csv(world).head(0).to_csv(index=False)
    assert "expected a table of the Worldwide Governance Indicators" in refused(tmp_path, text)


def test_table_of_missing_marks_is_refused(tmp_path):
    text = "code,year,estimate,pctrank\nAFG,2007,..,#N/A\nALB,2007,,NA\n"
    assert "no value of political stability" in refused(tmp_path, text)


@pytest.mark.parametrize("content", [b"", b"\xef\xbb\xbf", b"\r\n\r\n"])
def test_empty_file_is_refused(tmp_path, content):
    assert "an empty file" in refused(tmp_path, content)


def test_empty_workbook_is_refused(tmp_path):
    path = save(tmp_path / "wgi.xlsx", {"Sheet1": [], "Sheet2": [[None, None]]})
    with pytest.raises(Problem, match="found no rows"):
        wgi.read(path)


def test_missing_file_and_folder_are_refused(tmp_path):
    with pytest.raises(Problem, match="found no such file"):
        wgi.read(tmp_path / "none.csv")
    with pytest.raises(Problem, match="found a folder"):
        wgi.read(tmp_path)


def test_web_page_saved_as_csv_is_refused_with_its_title(tmp_path):
    page = "\n<!DOCTYPE html><html><head><title> 404 Not Found </title></head></html>"
    assert "a web page ('404 Not Found')" in refused(tmp_path, page)


def test_workbook_that_unpacks_to_absurd_size_is_refused(tmp_path, world, monkeypatch):
    path = workbook_2024(tmp_path / "wgi.xlsx", world)
    monkeypatch.setattr("jobs.sources.wgi_cells.MOST_UNPACKED", 10_000)
    with pytest.raises(Problem, match="bytes when unpacked; expected at most"):
        wgi.read(path)


def test_old_xls_is_refused(tmp_path):
    assert "an old .xls" in refused(tmp_path, b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1" + bytes(600))


def test_binary_data_is_refused(tmp_path):
    assert "binary data" in refused(tmp_path, b"code,year\0\1\2\3")


@pytest.mark.parametrize("keep", [0.3, 0.95])
def test_truncated_workbook_is_refused(tmp_path, world, keep):
    workbook_2024(tmp_path / "whole.xlsx", world)
    whole = (tmp_path / "whole.xlsx").read_bytes()
    assert "a damaged workbook" in refused(tmp_path, whole[: int(keep * len(whole))], "wgi.xlsx")


def test_workbook_with_a_damaged_sheet_is_refused(tmp_path, world):
    workbook_2024(tmp_path / "whole.xlsx", world)
    with (
        zipfile.ZipFile(tmp_path / "whole.xlsx") as whole,
        zipfile.ZipFile(tmp_path / "wgi.xlsx", "w") as damaged,
    ):
        for member in whole.namelist():
            data = whole.read(member)
            is_sheet = member.startswith("xl/worksheets/")
            damaged.writestr(member, data[: len(data) // 2] if is_sheet else data)
    with pytest.raises(Problem, match="a damaged workbook"):
        wgi.read(tmp_path / "wgi.xlsx")


def test_zip_that_is_no_workbook_is_refused(tmp_path):
    with zipfile.ZipFile(tmp_path / "wgi.zip", "w") as archive:
        archive.writestr("WGIData.csv", "code,year")
    with pytest.raises(Problem, match=r"a zip with WGIData\.csv; .*unpack it"):
        wgi.read(tmp_path / "wgi.zip")


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        ("high", "expected a number"),
        ("12 %", "expected a number"),
        ("inf", "expected a number"),
        ("1e400", "expected a finite number"),
        ('"5,88"', "expected a decimal point, not a comma"),
    ],
)
def test_text_for_a_number_is_refused_with_its_place(tmp_path, world, value, expected):
    sentence = refused(tmp_path, edited(world, cell(world), value))
    assert expected in sentence
    assert "as rank of QAA in 2007 (line 2)" in sentence


@pytest.mark.parametrize(
    ("measure", "value", "expected"),
    [
        ("pctrank", "100.5", "the rank 100.5 of QAA in 2007; expected 0 to 100"),
        ("pctrank", "-0.1", "the rank -0.1 of QAA in 2007; expected 0 to 100"),
        ("estimate", "5.2", "the estimate 5.2 of QAA in 2007; expected -5 to 5"),
        ("stddev", "-0.2", "the stderr -0.2 of QAA in 2007; expected 0 to 5"),
    ],
)
def test_value_out_of_range_is_refused(tmp_path, world, measure, value, expected):
    text = edited(world, cell(world, measure=measure), value)
    assert expected in refused(tmp_path, text)


def test_mean_rank_off_centre_is_refused(tmp_path, world):
    table = long_csv(world.assign(rank=world["rank"] ** 2 / 100))
    sentence = refused(tmp_path, table.to_csv(index=False))
    assert "percentile ranks with a mean of 33.5 in 2007, 33.5 in 2008" in sentence


def test_two_values_of_a_country_and_year_are_refused_with_both_places(tmp_path, world):
    text = long_csv(world).to_csv(index=False) + "QAA,Economy 0,2007,1.5,0.2,50\n"
    sentence = refused(tmp_path, text)
    assert "two values of estimate of QAA in 2007" in sentence
    assert "(line 2) and 1.5 (line 242)" in sentence


def test_repeated_row_counts_once(tmp_path, world):
    table = long_csv(pd.concat([world, world.head(3)]))
    assert_same(wgi.read(write(tmp_path, table.to_csv(index=False))), world, "estimate", "rank")


@pytest.mark.parametrize("code", ["AF", "AFGH", "004"])
def test_code_that_is_not_three_letters_is_refused(tmp_path, world, code):
    sentence = refused(tmp_path, edited(world, "QAA,", f"{code},"))
    assert f"the country code '{code}' (line 2); expected ISO 3166 alpha-3" in sentence


def test_values_without_a_code_are_refused(tmp_path, world):
    sentence = refused(tmp_path, edited(world, "QAA,", ","))
    assert "1 rows of values without a country code, the first in line 2" in sentence


@pytest.mark.parametrize("year", ["20x7", "1907", "2007.5"])
def test_year_that_is_none_is_refused(tmp_path, world, year):
    sentence = refused(tmp_path, edited(world, ",2007,", f",{year},"))
    assert f"the year '{year}' (line 2); expected a year from 1990 to 2100" in sentence
