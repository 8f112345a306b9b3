"""What becomes of country-years that are in no cluster."""

import numpy as np
import pandas as pd
import pytest

from jobs.countries.clusters import country_rows, without_background_rows, without_cluster
from udfs.clustering import Reason

DEFAULT = "umap15 seed1 dbm"
LABELS = [0, 1, 1, 2, 0, 2, 0, 0]
"""Of countries 4 (three years), 8 (three) and 12 (two), which is in no cluster at all."""


@pytest.fixture
def clusters():
    return pd.DataFrame(
        {
            "material": "m",
            "country": [4, 4, 4, 8, 8, 8, 12, 12, 16],
            "year": [2010, 2011, 2012, 2010, 2011, 2012, 2010, 2011, 2010],
            "cluster": np.array([*LABELS, None], dtype=object),
            "reason": np.array([None] * 8 + [Reason.TOO_EMPTY.value], dtype=object),
        }
    )


def test_background_that_is_dropped_has_a_reason_and_counts_for_no_country(clusters):
    names = (DEFAULT, "umap30 seed1 dbm", "hdbscan", "kmeans")
    by_name = {name: np.array(LABELS, np.int64) for name in names}
    z = np.arange(16.0).reshape(8, 2)
    rows, labels, kept = without_background_rows(clusters, by_name, DEFAULT, z)

    assert rows["cluster"].tolist() == [None, 1, 1, 2, None, 2, None, None, None]
    dropped = rows["reason"] == Reason.BACKGROUND.value
    assert dropped.tolist() == [True, False, False, False, True, False, True, True, False]
    assert kept.tolist() == z[[1, 2, 3, 5]].tolist()
    assert clusters["cluster"].tolist() == [*LABELS, None]

    found = country_rows(rows, labels, DEFAULT, kept)
    assert found["country"].tolist() == [4, 8]
    assert found["cluster"].tolist() == [1, 2]
    assert found["share_of_years"].tolist() == [1, 1] and found["n_years"].tolist() == [2, 2]
    without = without_cluster(rows, found).set_index("country")["reason"]
    assert without.to_dict() == {12: Reason.BACKGROUND.value, 16: Reason.TOO_EMPTY.value}
