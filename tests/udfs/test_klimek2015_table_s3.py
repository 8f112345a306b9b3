"""Statistics of K15, recomputed from the table that it prints (methods E.6)."""

from importlib import resources

import numpy as np
import pandas as pd
import pytest
from scipy import stats

from conf.minerals import minerals
from udfs.partial_correlation import partial, pearson
from udfs.resource_network import DAMPING

TO_PAPER = 0.08
"""The table is rounded to two digits and differs a little from what the paper used (E.6)."""
TO_SCIPY = 1e-9
UNCORROBORATED = {"Rutile"}
"""Its unit was inferred from this very table, so it may not count in a test of units."""


def half_a_digit(printed: str) -> float:
    return 0.5 * 10.0 ** -len(printed.split(".")[1])


@pytest.fixture(scope="module")
def table() -> pd.DataFrame:
    path = resources.files("conf").joinpath("sample", "klimek2015_table_s3.csv")
    with resources.as_file(path) as file:
        printed = pd.read_csv(file, index_col="mineral")
    every = minerals()
    factor = pd.Series({m.key: m.printed_scarcity_factor for m in every}, dtype=float)
    checked = pd.Series(
        {m.key: m.usgs_unit in {"kg", "t", "kt", "Mt"} and m.key not in UNCORROBORATED
         for m in every}
    )  # fmt: skip
    return printed.assign(
        s=np.log(printed["exp_s"]),
        s_checked=np.log(printed["exp_s"]).where(checked),
        s_kg=np.log(printed["exp_s"] * factor).where(checked),
        ln_ttv=np.log(printed["ttv_kg"]),
        ln_k=np.log(printed["k_avg"]),
        ttv_where_s=printed["ttv_kg"].where(printed["exp_s"].notna()),
    )


# x, y, left out, r and p as methods E.6 prints them, n.
HERE = [
    ("lambda_max", "csr", [], "-0.28", ".053", 48),
    ("lambda_max", "csr", ["Bauxite"], "-0.29", None, 47),
    ("scc_frac", "csr", [], "-0.40", ".005", 48),
    ("lambda_max", "s", [], "0.52", ".0003", 44),
    ("lambda_max", "exp_s", [], "0.24", None, 44),
    ("lambda_max", "s", ["Iron Ore"], "0.48", None, 43),
    ("scc_frac", "s", [], "0.52", None, 44),
    ("scc_frac", "exp_s", [], "0.03", None, 44),
    ("ln_k", "s", [], "0.306", ".043", 44),
    ("lambda_max", "ttv_kg", [], "0.246", None, 71),
    ("lambda_max", "ttv_where_s", [], "0.248", None, 44),
    ("lambda_max", "ln_ttv", [], "0.49", None, 71),
    ("scc_frac", "ttv_kg", [], "0.16", None, 71),
    ("scc_frac", "ttv_where_s", [], "0.036", None, 44),
    ("scc_frac", "ln_ttv", [], "0.50", None, 71),
    ("scc_frac", "ttv_kg", ["Iron Ore"], "0.64", None, 70),
    ("lambda_max", "ttv_kg", ["Iron Ore"], "0.19", None, 70),
    ("lambda_max", "s_checked", [], "0.53", None, 39),
    ("scc_frac", "s_checked", [], "0.57", None, 39),
    ("lambda_max", "s_kg", [], "-0.02", ".88", 39),
    ("scc_frac", "s_kg", [], "0.31", ".05", 39),
]

# x, y, r of K15's Table 1.
PAPER = [
    ("lambda_max", "csr", -0.32),
    ("scc_frac", "csr", -0.41),
    ("lambda_max", "s", 0.47),
    ("scc_frac", "s", 0.45),
    ("ln_k", "s", 0.31),
    ("lambda_max", "ttv_kg", 0.21),
    ("scc_frac", "ttv_where_s", 0.05),
]


@pytest.mark.parametrize(("x", "y", "without", "r", "p", "n"), HERE)
def test_figures_of_the_notes_come_out_to_their_last_digit(table, x, y, without, r, p, n):
    rows = table.drop(index=without)
    found = pearson(rows[x], rows[y])
    assert found.r == pytest.approx(float(r), abs=half_a_digit(r))
    assert found.n == n
    if p is not None:
        assert found.p_value == pytest.approx(float(p), abs=half_a_digit(p))


@pytest.mark.parametrize(("x", "y", "without", "r", "p", "n"), HERE)
def test_figures_agree_with_scipy(table, x, y, without, r, p, n):
    rows = table.drop(index=without)[[x, y]].dropna()
    expected = stats.pearsonr(rows[x], rows[y])
    found = pearson(rows[x], rows[y])
    assert found.r == pytest.approx(expected.statistic, abs=TO_SCIPY)
    assert found.p_value == pytest.approx(expected.pvalue, abs=TO_SCIPY)


@pytest.mark.parametrize(("x", "y", "r"), PAPER)
def test_figures_of_the_paper_are_near(table, x, y, r):
    assert pearson(table[x], table[y]).r == pytest.approx(r, abs=TO_PAPER)


@pytest.mark.parametrize(("x", "r"), [("lambda_max", 0.30), ("scc_frac", 0.47)])
def test_given_traded_volume_the_link_with_scarcity_is_weaker(table, x, r):
    found = partial(table[x], table["s"], table["ln_ttv"], deletion="listwise")
    assert found.r == pytest.approx(r, abs=0.01)  # the notes round the complete cases once more
    assert found.r < pearson(table[x], table["s"]).r


def test_every_printed_lambda_makes_the_literal_constant_of_pagerank_negative(table):
    assert table["lambda_max"].max() == 0.63
    assert (1 - DAMPING / table["lambda_max"] < 0).all()


def test_rows_of_rutile_and_rhenium_repeat_indium_and_titanium(table):
    network = ["ttv_kg", "k_avg", "lambda_max", "scc_frac"]
    assert (table.loc["Rutile", network] == table.loc["Indium", network]).all()
    assert (table.loc["Rhenium", network] == table.loc["Titanium", network]).all()
