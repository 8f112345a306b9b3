"""Rows of the mineral tables where there is little to compute from."""

import numpy as np
import pandas as pd
import pytest

from udfs.resource_rows import (
    Reliance,
    Rules,
    YearOfTrade,
    draw_rows,
    gather,
    network_rows,
    risk_rows,
)

EU = 97


def shared(members=(), stability=None):
    scores = np.full(100, np.nan)
    scores[1:6] = [50.0, 20.0, 80.0, 60.0, 40.0] if stability is None else stability
    nodes = [c for c in (1, 2, 3, 4, 5) if c not in members] + ([EU] if members else [])
    return YearOfTrade(np.array(nodes), np.array(members, np.int64), EU, scores, None)


def gathered(flows, *, members=(), weigh=False, year=2012):
    rows = pd.DataFrame(flows, columns=["exporter", "importer", "value_kusd", "quantity_t"])
    function = gather({year: shared(members)}, weigh_region=weigh)
    return function(("X", year), rows.assign(product="284690"))


def network(row, reserves=None):
    function = network_rows({"X": reserves} if reserves else {}, {"X": "complete"}, Rules())
    return next(function(iter([row]))).iloc[0]


ONE_EXPORTER = [(1, 2, 10.0, 5.0), (1, 3, 30.0, 5.0)]


def test_one_exporter_is_a_network_without_cycles():
    found = network(gathered(ONE_EXPORTER), reserves=1e6)
    assert found["lambda"] == 0 and found["resilience"] is None
    assert found["scc_share"] == pytest.approx(1 / 5)
    assert found["mean_degree"] == pytest.approx(2 / 5)
    assert found["scarcity"] == pytest.approx(np.log(10_000 / 1e6))


def test_without_quantity_there_is_no_volume_price_or_scarcity():
    row = gathered([(1, 2, 10.0, np.nan)])
    found = network(row, reserves=1e6)
    assert np.isnan(found["ttv_kg"]) and found["ttv_reason"] == "no quantity"
    assert np.isnan(found["scarcity"]) and found["scarcity_reason"] == "no quantity"
    risk = risk_rows(Reliance(), Rules())(row).set_index("country")
    assert risk.loc[1, "price_reason"] == "no quantity"
    assert risk.loc[2, "price_reason"] == "no exports"


def test_without_reserves_there_is_no_scarcity():
    found = network(gathered(ONE_EXPORTER))
    assert np.isnan(found["scarcity"]) and found["scarcity_reason"] == "no reserves"


def test_goods_shipped_at_no_value_have_no_return():
    years = [gathered([(1, 2, v, 5.0)], year=y) for v, y in ((0.0, 2011), (10.0, 2012))]
    risk = risk_rows(Reliance(), Rules())(pd.concat(years)).set_index(["country", "year"])
    assert risk.loc[(1, 2011), "price_reason"] == "zero price"
    assert risk.loc[(1, 2012), "log_return_reason"] == "zero price"


def test_trade_inside_a_region_disappears_and_its_stability_is_a_mean():
    flows = [(1, 2, 90.0, 1.0), (1, 3, 30.0, 1.0), (2, 3, 10.0, 1.0), (3, 4, 5.0, 1.0)]
    row = gathered(flows, members=(1, 2)).iloc[0]
    assert list(zip(row["exporters"], row["importers"], row["values"], strict=True)) == [
        (EU, 3, 40.0), (3, 4, 5.0)]  # fmt: skip
    own = dict(zip(row["countries"], row["stability"], strict=True))
    assert own[EU] == pytest.approx((50 + 20) / 2)
    weighed = gathered(flows, members=(1, 2), weigh=True).iloc[0]
    own = dict(zip(weighed["countries"], weighed["stability"], strict=True))
    assert own[EU] == pytest.approx((50 * 30 + 20 * 10) / 40)


def test_a_resource_traded_only_inside_the_region_is_an_empty_network():
    found = network(gathered([(1, 2, 90.0, 1.0)], members=(1, 2)))
    assert found["links"] == 0 and found["lambda"] == 0 and found["mean_degree"] == 0


def test_reliance_that_is_given_replaces_the_proxy_and_missing_stays_missing():
    row = gathered([(1, 2, 10.0, 5.0), (2, 1, 4.0, 1.0), (1, 3, 1.0, 1.0)])
    proxy = risk_rows(Reliance(), Rules())(row).set_index("country")
    assert proxy.loc[2, "import_reliance"] == pytest.approx(0.6)
    assert proxy.loc[1, "import_reliance"] == 0  # it exports more than it imports
    given = risk_rows(Reliance({("X", 2): 0.3}), Rules())(row).set_index("country")
    assert given.loc[2, "trade_risk"] == pytest.approx(0.3 * given.loc[2, "pagerank"])
    assert np.isnan(given.loc[3, "trade_risk"])
    assert given.loc[3, "import_reliance_source"] is None


def test_a_governance_index_has_its_gaps_at_the_median_and_says_how_much():
    shared_year = shared()
    index = np.full(100, np.nan)
    index[[1, 2]] = 30.0, 50.0
    years = {2012: YearOfTrade(shared_year.countries, np.array([], np.int64), EU,
                               shared_year.stability, index)}  # fmt: skip
    rows = pd.DataFrame(
        {"exporter": [1, 3], "importer": [2, 2], "value_kusd": [30.0, 10.0],
         "quantity_t": [1.0, 1.0], "product": "284690"}
    )  # fmt: skip
    found = network(gather(years, weigh_region=False)(("X", 2012), rows))
    assert found["governance_filled_share"] == pytest.approx(0.25)
    assert found["lambda_governance"] == 0


def test_a_country_that_does_not_trade_has_no_drawn_risk():
    row = gathered([*ONE_EXPORTER, (2, 1, 5.0, 1.0), (3, 2, 5.0, 1.0)]).assign(scheme="degree")
    drawn = next(draw_rows((2, 5), Rules(), draws=3, seed=1)(iter([row])))
    assert len(drawn) == 3
    for pagerank in drawn["pagerank"]:
        assert pagerank[0] > 0 and pagerank[1] is None
