"""What becomes of country-years that are in no cluster."""

import numpy as np
import pandas as pd
import pytest

from conf.settings import load
from jobs.countries import clusters as job
from jobs.countries.clusters import country_rows, without_background_rows, without_cluster
from udfs.clustering import Prepared, Reason, Run

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


@pytest.fixture
def written(monkeypatch):
    """Return what the job writes of 20 countries in two years, given the labels of its run."""

    class Kept(dict):
        spark = None

        def replace(self, table, frame, _):
            self[table.name] = frame

    monkeypatch.setattr(job, "driver_frame", lambda _, __, frames: pd.concat(frames[1:]))
    rng = np.random.default_rng(3)
    frame = pd.DataFrame({"material": "m", "country": np.repeat(range(20), 2), "year": [1, 2] * 20})
    z = rng.normal(size=(40, 3))
    nothing = np.full(40, None, dtype=object)
    prepared = Prepared(z, np.ones(40, bool), np.zeros(40, int), nothing, ("a", "b", "c"), {})

    def write(labels, background):
        given = {"cluster_background": background, "materials": "rare_earths"}
        run = pd.DataFrame({"x": z[:, 0], "y": z[:, 1], "label": labels})
        kept = Kept()
        job.write(
            kept, load(given, environment={}), {"m": frame}, {"m": prepared},
            {Run("m", 15, 1): run},
        )  # fmt: skip
        return kept

    return write


def test_dropped_background_is_in_no_table_of_countries(written):
    labels = np.array([0, 0, 0, 1] + [1] * 16 + [2] * 20)
    dropped, labelled = written(labels, "drop"), written(labels, "label")
    assert labelled["clusters"]["cluster"].tolist() == labels.tolist()
    assert dropped["clusters"]["cluster"].tolist() == [None] * 3 + labels[3:].tolist()
    reasons = dropped["clusters"]["reason"]
    assert reasons[:3].tolist() == [Reason.BACKGROUND.value] * 3 and reasons[3:].isna().all()
    countries = dropped["country_clusters"].set_index("country")
    assert sorted(countries.index) == list(range(20))
    assert countries.loc[0, "reason"] == Reason.BACKGROUND.value
    assert countries.loc[1, ["cluster", "n_years"]].tolist() == [1, 1]
    assert set(dropped["cluster_agreement"].query("unit == 'country_year'")["n"]) == {37}
    assert set(labelled["cluster_agreement"].query("unit == 'country_year'")["n"]) == {40}


def test_if_all_is_background_and_dropped_no_country_has_a_cluster(written):
    tables = written(np.zeros(40, int), "drop")
    assert set(tables["country_clusters"]["reason"]) == {Reason.BACKGROUND.value}
    assert len(tables["country_clusters"]) == 20
    assert tables["cluster_agreement"].empty
