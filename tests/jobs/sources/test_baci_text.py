import io

import numpy as np
import pandas as pd
import pytest

from jobs.sources.baci_text import HEADER, lines

HALF_A_THOUSANDTH = 0.0005 + 1e-9
"""Three decimals are printed."""


def test_lines_are_laid_out_as_in_the_bundled_release():
    text = lines(2010, [4, 12], [156, 504], ["260111", "271111"], [67.925, 155554.605],
                 [596.024, np.nan])  # fmt: skip
    assert text == (
        b"2010,4,156,260111,         67.925,        596.024\n"
        b"2010,12,504,271111,     155554.605,             NA\n"
    )


def test_pandas_reads_back_what_was_written():
    rng = np.random.default_rng(1)
    n = 5_000
    exporters, importers = rng.integers(4, 895, n), rng.integers(4, 895, n)
    values = rng.lognormal(3.4, 4.1, n)
    quantities = np.where(rng.random(n) < 0.04, np.nan, values * 2)
    text = HEADER + lines(2012, exporters, importers, "010111", values, quantities)
    found = pd.read_csv(io.BytesIO(text), dtype={"k": str}, skipinitialspace=True, na_values=["NA"])
    assert (found["t"] == 2012).all() and (found["k"] == "010111").all()
    assert (found["i"] == exporters).all() and (found["j"] == importers).all()
    assert np.abs(found["v"] - values).max() <= HALF_A_THOUSANDTH
    assert (found["q"].isna() == np.isnan(quantities)).all()


@pytest.mark.parametrize("value", [-1.0, np.nan, np.inf, 1e11])
def test_a_value_that_does_not_fit_is_refused(value):
    with pytest.raises(ValueError, match="found a value"):
        lines(2010, [4], [8], "010111", [value], [1.0])
