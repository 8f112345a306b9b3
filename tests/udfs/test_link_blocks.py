"""The link test in blocks, against the plain functions, brute force and statsmodels."""

from dataclasses import replace

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st
from statsmodels.stats.multitest import multipletests

from udfs.link_blocks import (
    COLUMNS,
    CountryTest,
    link_tests_of_all_pairs,
    link_tests_of_pairs,
    p_counts_of_all_pairs,
    q_of_counted,
)
from udfs.link_test import Trade, profiles

SCHEMA = pa.schema(
    [("i", pa.int32()), ("j", pa.int32()), ("test", pa.string())]
    + [(name, pa.int32() if name == "n_countries" else pa.float64()) for name in COLUMNS]
)
PRODUCTS, NATIONS = 9, 12
EXACT = 1e-12
"""Sums of 12 terms in another order."""


@pytest.fixture
def trade() -> Trade:
    rng = np.random.default_rng(5)
    imports, exports = rng.lognormal(0, 2, (2, PRODUCTS, NATIONS))
    exports[7] = 3.0  # the same everywhere
    imports[8, 2:] = 0.0  # two importers
    return Trade(imports, exports)


def rows(function, **columns) -> list[dict]:
    batch = pa.RecordBatch.from_pydict({k: pa.array(v, pa.int32()) for k, v in columns.items()})
    return pa.Table.from_batches(list(function(iter([batch])))).to_pylist()


def test_all_pairs_are_those_of_brute_force(trade):
    given_trade = profiles(trade, min_countries=3)
    found = rows(link_tests_of_all_pairs(given_trade, "paper", SCHEMA), i=range(PRODUCTS))

    assert [(r["i"], r["j"]) for r in found] == [
        (i, j) for i in range(PRODUCTS) for j in range(PRODUCTS) if i != j
    ]
    for row in found:
        i, j = row["i"], row["j"]
        if i == 8 or j == 7:
            assert row["rho"] is None and row["p_value"] == 1
            continue
        null = [
            np.corrcoef(trade.imports[i], trade.exports[k])[0, 1]
            for k in range(PRODUCTS)
            if k not in (i, 7)
        ]
        rho = np.corrcoef(trade.imports[i], trade.exports[j])[0, 1]
        assert row["rho"] == pytest.approx(rho, abs=EXACT)
        assert row["null_mean"] == pytest.approx(np.mean(null), abs=EXACT)
        assert row["null_sd"] == pytest.approx(np.std(null), abs=EXACT)
        assert row["p_value"] == np.mean(np.array(null) >= rho - EXACT)


def test_listed_pairs_are_those_of_all_pairs_and_a_batch_may_be_split(trade):
    given_trade = {"paper": profiles(trade, min_countries=3)}
    by_countries = CountryTest(trade, given_trade["paper"], "abcdefghi", 19, seed=1)
    listed = link_tests_of_pairs(given_trade, by_countries, SCHEMA)
    whole = rows(listed, i=[0, 0, 3, 8], j=[1, 2, 7, 0])
    every = {
        (r["i"], r["j"]): r
        for r in rows(link_tests_of_all_pairs(given_trade["paper"], "paper", SCHEMA), i=range(9))
    }
    for row in (r for r in whole if r["test"] == "paper"):
        assert row == pytest.approx(every[row["i"], row["j"]], abs=EXACT)
    apart = [*rows(listed, i=[0, 0], j=[1, 2]), *rows(listed, i=[3, 8], j=[7, 0])]
    together = {(r["test"], r["i"], r["j"]): r for r in whole}
    assert len(apart) == len(together) == 8
    for row in apart:
        assert row == pytest.approx(together[row["test"], row["i"], row["j"]], abs=EXACT)


def test_country_test_has_the_closed_moments_and_drawn_p_values(trade):
    given_trade = profiles(trade, min_countries=3)
    drawn = CountryTest(trade, given_trade, "abcdefghi", 99, seed=1)
    listed = link_tests_of_pairs({}, drawn, SCHEMA)
    tested, refused = rows(listed, i=[0, 8], j=[1, 1])
    assert tested["null_mean"] == 0 and tested["null_sd"] == pytest.approx((NATIONS - 1) ** -0.5)
    assert tested["z"] == pytest.approx(tested["rho"] * (NATIONS - 1) ** 0.5)
    assert tested["p_value"] * 100 == pytest.approx(round(tested["p_value"] * 100))
    assert 0.01 <= tested["p_value"] <= 1
    assert refused["rho"] is None and refused["p_value"] == 1

    undrawn = link_tests_of_pairs({}, replace(drawn, draws=0), SCHEMA)
    assert rows(undrawn, i=[0], j=[1])[0] == tested | {"p_value": None}


def test_counted_p_values_are_those_of_all_pairs(trade):
    given_trade = profiles(trade, min_countries=3)
    counted = rows(p_counts_of_all_pairs(given_trade), i=range(PRODUCTS))
    found = rows(link_tests_of_all_pairs(given_trade, "paper", SCHEMA), i=range(PRODUCTS))
    written_out = sorted(r["p_value"] for r in counted for _ in range(r["pairs"]))
    assert written_out == sorted(r["p_value"] for r in found if r["rho"] is not None)


@given(
    st.dictionaries(st.floats(1e-6, 1), st.integers(1, 5), min_size=1, max_size=30),
    st.sampled_from(["bh", "by"]),
)
def test_rates_of_counted_p_values_are_those_of_statsmodels(counts, method):
    p = np.array(sorted(counts))
    n = np.array([counts[value] for value in p])
    expected = multipletests(np.repeat(p, n), method=f"fdr_{method}")[1]
    np.testing.assert_allclose(np.repeat(q_of_counted(p, n, method=method), n), expected, rtol=1e-9)


def test_no_p_values_have_no_rates():
    assert q_of_counted([], []).size == 0
