"""Filling of stability scores, against hand-made panels, pandas, and published ranks."""

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from udfs.stability import (
    WGI_CODES,
    fill,
    fill_gaps,
    percentile_rank,
    score_of_estimate,
    wgi_code,
)

ROUND_OFF = 1e-12
"""Interpolation is one product and one sum of numbers up to 100."""
SINGLE_PRECISION = 1e-5
"""The World Bank stores ranks up to 100 in single precision, 4e-6 apart from the exact value."""

NA = np.nan
YEARS = [2000, 2001, 2002, 2003, 2004, 2005, 2006, 2007, 2008, 2009]
PANEL = {
    "GAP": [NA, NA, 20, NA, NA, 50, 60, NA, NA, NA],
    "OLD": [90, 80, NA, NA, NA, NA, NA, NA, NA, NA],
    "NEW": [NA, NA, NA, NA, NA, NA, NA, NA, 10, 30],
    "ALL": [1, 2, 3, 4, 5, 6, 7, 8, 9, 10],
}


def observations(panel=PANEL, years=YEARS) -> pd.DataFrame:
    rows = [
        {"code": code, "year": year, "rank": rank, "score": rank / 2, "estimate": rank / 20 - 2.5,
         "stderr": rank / 1000, "edition": "2024 update", "rank_source": "published"}
        for code, ranks in panel.items()
        for year, rank in zip(years, ranks, strict=True)
        if not np.isnan(rank)
    ]  # fmt: skip
    return pd.DataFrame(rows)


def filled(code, **options):
    found = fill(observations(), [code], YEARS, **options)
    return found["pv"].tolist(), found["pv_source"].tolist()


# One country


def test_gap_is_interpolated_and_the_end_carried_for_three_years():
    pv, source = filled("GAP")
    assert pv == pytest.approx([20, 20, 20, 30, 40, 50, 60, 60, 60, 60], abs=ROUND_OFF)
    inside = ["observed", "interpolated", "interpolated", "observed", "observed"]
    assert source == ["carried"] * 2 + inside + ["carried"] * 3


def test_a_parent_stands_in_where_a_country_has_no_score_of_its_own():
    found = fill(observations(), ["OLD", None, "GAP"], YEARS, parents=["ALL", "NEW", "ALL"])
    old, none, gap = (found.iloc[10 * n : 10 * n + 10] for n in range(3))
    assert old["pv"].tolist() == [90, 80, 80, 80, 80, 6, 7, 8, 9, 10]
    assert old["pv_source"].tolist() == ["observed"] * 2 + ["carried"] * 3 + ["parent"] * 5
    assert old["estimate"].notna().tolist() == [True] * 2 + [False] * 8
    assert none["pv"].tolist()[5:] == [10, 10, 10, 10, 30]
    assert none["pv_source"].tolist() == ["year_median"] * 5 + ["parent"] * 5
    assert (gap["pv_source"] != "parent").all()


def test_after_three_years_the_median_of_the_year_takes_over():
    pv, source = filled("OLD")
    # 2005: median of 50 and 6; 2006 of 60 and 7; 2007 of 8; 2008 of 10 and 9; 2009 of 30 and 10
    assert pv == pytest.approx([90, 80, 80, 80, 80, 28, 33.5, 8, 9.5, 20], abs=ROUND_OFF)
    assert source == ["observed"] * 2 + ["carried"] * 3 + ["year_median"] * 5


def test_before_three_years_too():
    pv, source = filled("NEW")
    assert pv[5:] == pytest.approx([10, 10, 10, 10, 30], abs=ROUND_OFF)
    assert source == ["year_median"] * 5 + ["carried"] * 3 + ["observed"] * 2


def test_country_that_is_never_scored_has_the_median_over_those_observed():
    expected = pd.DataFrame(PANEL).median(axis=1).tolist()
    for code in ("XXX", None):
        pv, source = filled(code)
        assert pv == pytest.approx(expected, abs=ROUND_OFF)
        assert source == ["year_median"] * len(YEARS)


@pytest.mark.parametrize(("missing", "value"), [("0", 0), ("50", 50), ("100", 100)])
def test_constant_takes_the_place_of_the_median_and_is_named(missing, value):
    pv, source = filled("OLD", missing=missing)
    assert pv[5:] == [value] * 5
    assert set(source[5:]) == {f"constant_{missing}"}
    assert pv[:5] == filled("OLD")[0][:5]


def test_nothing_is_carried_where_that_is_asked_for():
    _, source = filled("GAP", carry_years=0)
    assert source[:2] == ["year_median"] * 2
    assert source[7:] == ["year_median"] * 3
    assert source[3:5] == ["interpolated"] * 2


# Scales


def test_scale_chooses_the_column_and_the_estimate_is_mapped():
    assert filled("ALL", scale="score")[0] == [rank / 2 for rank in PANEL["ALL"]]
    assert filled("ALL", scale="estimate")[0] == pytest.approx(PANEL["ALL"], abs=ROUND_OFF)


def test_estimate_is_mapped_from_its_range_and_clipped():
    found = score_of_estimate([-3.3, -2.5, -1.25, 0, 2.5, 2.6])
    assert found.tolist() == [0, 0, 25, 50, 100, 100]


def test_scale_that_was_not_published_is_an_error_that_says_so():
    with pytest.raises(ValueError, match=r"no score; .*2025 edition"):
        fill(observations().assign(score=NA), ["ALL"], YEARS, scale="score")


# Years that the source does not have


def test_years_that_wgi_skips_are_interpolated_and_so_are_their_medians():
    panel = observations({"A": [10, 30, 40], "B": [20, 60, 60]}, [1996, 1998, 2000])
    found = fill(panel, ["A", None], [1997, 1998, 1999])
    assert found["pv"].tolist() == pytest.approx([20, 30, 35, 30, 45, 47.5], abs=ROUND_OFF)
    assert found["pv_source"].tolist() == [
        "interpolated", "observed", "interpolated", *["year_median"] * 3
    ]  # fmt: skip


def test_scores_and_medians_are_carried_three_years_past_the_last_year():
    found = fill(observations(), ["ALL", None], [2012])
    assert found["pv"].tolist() == [10, 20]
    assert found["pv_source"].tolist() == ["carried", "year_median"]


@pytest.mark.parametrize("missing", ["year_median", "50"])
def test_years_further_away_are_an_error_that_names_them(missing):
    with pytest.raises(ValueError, match=r"within 3 years of 1990, 2013; .* from 2000 to 2009"):
        fill(observations(), ["ALL"], [1990, 2005, 2012, 2013], missing=missing)


# The table


def test_rows_come_country_by_country_in_the_order_asked_for():
    codes, years = ["OLD", None, "ALL", "OLD"], [2008, 2001]
    found = fill(observations(), codes, years)
    assert found["code"].where(found["code"].notna(), None).tolist() == [
        code for code in codes for _ in years
    ]
    assert found["year"].tolist() == years * len(codes)
    assert found["pv"].tolist() == [9.5, 80, 9.5, 41, 9, 2, 9.5, 80]


def test_estimate_error_and_edition_stand_only_beside_observed_scores():
    found = fill(observations(), ["GAP", None], YEARS)
    observed = found["pv_source"] == "observed"
    assert observed.sum() == 3
    assert found.loc[observed, "estimate"].tolist() == [-1.5, 0.0, 0.5]
    assert found.loc[observed, "stderr"].tolist() == [0.02, 0.05, 0.06]
    assert set(found.loc[observed, "edition"]) == {"2024 update"}
    assert found.loc[~observed, ["estimate", "stderr", "edition"]].isna().all(axis=None)


def test_two_observations_of_a_year_are_an_error():
    twice = pd.concat([observations(), observations().head(1)])
    with pytest.raises(ValueError, match="GAP has two observations in 2002"):
        fill(twice, ["GAP"], YEARS)


scores = st.one_of(st.just(NA), st.floats(0, 100))
panels = st.integers(1, 12).flatmap(
    lambda n: st.lists(st.lists(scores, min_size=n, max_size=n), min_size=1, max_size=4)
)


@given(panel=panels, carry=st.integers(0, 5))
def test_gaps_are_filled_as_pandas_fills_them(panel, carry):
    observed = pd.DataFrame(panel, dtype=float)
    expected = observed.interpolate(axis=1, limit_area="inside")
    if carry:
        ahead = expected.ffill(axis=1, limit=carry)
        expected = ahead.bfill(axis=1, limit=carry)
    found = fill_gaps(observed, 2000 + np.arange(observed.shape[1]), carry_years=carry)
    np.testing.assert_allclose(found.values, expected, atol=100 * ROUND_OFF)
    assert ((found.source == "missing") == np.isnan(found.values)).all()
    assert ((found.source == "observed") == observed.notna()).all(axis=None)


def test_no_countries_and_no_scores():
    assert fill_gaps(np.empty((0, 3)), [1, 2, 3], carry_years=3).values.shape == (0, 3)
    assert (fill_gaps(np.full((2, 3), NA), [1, 2, 3], carry_years=3).source == "missing").all()


# Percentile ranks


def test_rank_is_the_one_the_world_bank_published_for_ties():
    """Political stability in 2003 (2024 update): 200 economies, some with one source in common.

    Kyrgyz Republic and Tajikistan share places 36 and 37, Bermuda, the Cayman Islands and
    Martinique 146 to 148; Somalia is last and Finland first.
    """
    estimate = np.linspace(-2.5, 1.7, 200)
    estimate[35] = estimate[36]
    estimate[145:147] = estimate[147]
    rank = percentile_rank(estimate)
    published = {0: 0, 35: 18.090452, 36: 18.090452, 145: 73.869347, 147: 73.869347, 199: 100}
    assert {at: rank[at] for at in published} == pytest.approx(published, abs=SINGLE_PRECISION)


def test_rank_depends_on_order_alone_and_leaves_gaps():
    x = np.array([0.3, NA, -2.0, 1.1, 0.3])
    found = percentile_rank(x)
    np.testing.assert_allclose(found, [200 / 3, NA, 0, 100, 200 / 3])
    np.testing.assert_array_equal(percentile_rank(x[::-1]), found[::-1])
    np.testing.assert_array_equal(percentile_rank(np.exp(x)), found)


def test_rank_of_one_economy_is_undefined():
    assert np.isnan(percentile_rank([0.5, NA])).all()


# Codes


def test_taiwan_is_found_under_the_code_of_other_asia():
    assert wgi_code("S19") == "TWN"
    assert wgi_code("FRA") == "FRA"


def test_remainders_and_unions_have_no_score_of_their_own():
    assert {code for code, wgi in WGI_CODES.items() if wgi is None} == {
        "CSK", "DDR", "SUN", "R20", "PUS", "ZA1",
    }  # fmt: skip
