"""The figures that methods E.6 recomputes from the printed table, as rows of the table."""

import pandas as pd
import pytest

from jobs.minerals.correlation_tables import LoadedMinerals, against_printed, printed_rows
from jobs.minerals.given import printed_table
from jobs.tables import RESOURCE_CORRELATIONS

FIGURE = 0.001
"""The notes' figures are to be met to the third digit; where they print two, to the second."""
TO_PAPER = 0.08
"""The published table was computed from slightly other data (methods E.6)."""

# sample, x, y, control, r and n as the notes print them.
HERE = [
    ("all", "lambda", "criticality", "none", "-0.28", 48),
    ("without Bauxite", "lambda", "criticality", "none", "-0.29", 47),
    ("all", "scc_share", "criticality", "none", "-0.40", 48),
    ("all", "lambda", "scarcity_printed_units", "none", "0.52", 44),
    ("all", "lambda", "exp_scarcity", "none", "0.24", 44),
    ("without Iron Ore", "lambda", "scarcity_printed_units", "none", "0.48", 43),
    ("all", "scc_share", "scarcity_printed_units", "none", "0.52", 44),
    ("all", "scc_share", "exp_scarcity", "none", "0.03", 44),
    ("all", "ln_mean_degree", "scarcity_printed_units", "none", "0.306", 44),
    ("all", "lambda", "ttv_kg", "none", "0.246", 71),
    ("with scarcity", "lambda", "ttv_kg", "none", "0.248", 44),
    ("all", "lambda", "ln_ttv", "none", "0.49", 71),
    ("all", "scc_share", "ttv_kg", "none", "0.16", 71),
    ("with scarcity", "scc_share", "ttv_kg", "none", "0.036", 44),
    ("all", "scc_share", "ln_ttv", "none", "0.50", 71),
    ("without Iron Ore", "scc_share", "ttv_kg", "none", "0.64", 70),
    ("without Iron Ore", "lambda", "ttv_kg", "none", "0.19", 70),
    ("with known unit", "lambda", "scarcity_printed_units", "none", "0.53", 39),
    ("with known unit", "scc_share", "scarcity_printed_units", "none", "0.57", 39),
    ("with known unit", "lambda", "scarcity", "none", "-0.02", 39),
    ("with known unit", "scc_share", "scarcity", "none", "0.31", 39),
]

PAPER = [
    ("all", "lambda", "criticality", -0.32),
    ("all", "scc_share", "criticality", -0.41),
    ("all", "lambda", "scarcity_printed_units", 0.47),
    ("all", "scc_share", "scarcity_printed_units", 0.45),
    ("all", "lambda", "ttv_kg", 0.21),
    ("with scarcity", "scc_share", "ttv_kg", 0.05),
]


@pytest.fixture(scope="module")
def rows():
    table = pd.DataFrame(printed_rows(printed_table()))
    key = ["table", "sample", "x", "y", "control"]
    return table[table["method"] == "pearson"].set_index(key).sort_index()


@pytest.mark.parametrize(("sample", "x", "y", "control", "r", "n"), HERE)
def test_figures_of_the_notes_come_out(rows, sample, x, y, control, r, n):
    found = rows.loc[("1", sample, x, y, control)].iloc[0]
    digits = len(r.split(".")[1])
    assert found["r"] == pytest.approx(float(r), abs=max(FIGURE, 0.5 * 10.0**-digits) * 1.05)
    assert found["n"] == n


@pytest.mark.parametrize(("sample", "x", "y", "r"), PAPER)
def test_figures_of_the_paper_are_near(rows, sample, x, y, r):
    assert rows.loc[("1", sample, x, y, "none"), "r"].item() == pytest.approx(r, abs=TO_PAPER)


@pytest.mark.parametrize(("x", "r"), [("lambda", 0.30), ("scc_share", 0.47)])
def test_volume_held_constant_weakens_the_link_with_scarcity(rows, x, r):
    given = rows.loc[("1", "all", x, "scarcity_printed_units", "ln_ttv"), "r"].item()
    assert given == pytest.approx(r, abs=0.01)  # the notes round the complete cases once more
    assert given < rows.loc[("1", "all", x, "scarcity_printed_units", "none"), "r"].item()


def test_no_row_stands_twice_and_each_says_what_it_may_be_read_as():
    table = pd.DataFrame(printed_rows(printed_table()))
    assert not table.duplicated(list(RESOURCE_CORRELATIONS.key)).any()
    assert table["note"].str.contains("not a cause").all()


def test_without_a_year_of_the_paper_the_comparison_says_so():
    years = pd.DataFrame(
        {"resource": ["Copper"], "year": [2020], "lambda": [0.4], "scc_share": [0.1],
         "mean_degree": [2.0], "ttv_kg": [1e9]}
    )  # fmt: skip
    resources = pd.DataFrame(
        {"coverage": ["complete"], "criticality": [0.1], "printed_unit_factor": [1.0],
         "bundled_with": [None]},
        index=pd.Index(["Copper"], name="resource"),
    )  # fmt: skip
    loaded = LoadedMinerals(resources, years, pd.DataFrame(), pd.DataFrame(), {})
    for row in against_printed(loaded, printed_table()):
        assert row["r"] is None and row["n"] == 0
        assert row["reason"] == "too few pairs"
        assert row["note"] == "No year from 2007 to 2012 is loaded."
