import networkx as nx
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from udfs.resource_network import (
    DAMPING,
    Flows,
    Reason,
    build_network,
    gather_flows,
    log_returns,
    mirror_maximum,
    region_stability,
    scarcity,
    shock_shares,
    topology,
    trade_risk,
    traded_volume,
    unit_prices,
    volatility,
)

TO_OTHERS = 1e-9
"""Absolute, on shares and radii of at most 1, against another library or a dense solve."""
ROUNDING = 1e-12
"""Relative; a handful of sums and quotients."""


def links(matrix):
    """Sources, targets and values of a dense matrix."""
    a, c = np.nonzero(np.asarray(matrix))
    return a, c, np.asarray(matrix, float)[a, c]


def graph(sources, targets, weights, n):
    found = nx.DiGraph()
    found.add_nodes_from(range(n))
    edges = zip(sources.tolist(), targets.tolist(), weights.tolist(), strict=True)
    found.add_weighted_edges_from(edges)
    return found


def radius_by_component(directed):
    parts = nx.strongly_connected_components(directed)
    dense = [nx.to_numpy_array(directed.subgraph(part)) for part in parts]
    return max(np.abs(np.linalg.eigvals(one)).max() for one in dense)


@st.composite
def networks(draw):
    """V of up to 9 countries as sources, targets, shares, n; never twice the same link."""
    n = draw(st.integers(1, 9))
    every = [(a, c) for a in range(n) for c in range(n) if a != c]
    chosen = draw(st.lists(st.sampled_from(every), unique=True)) if every else []
    shares = draw(st.lists(st.floats(0.01, 1), min_size=len(chosen), max_size=len(chosen)))
    pairs = np.array(chosen, np.int64).reshape(-1, 2)
    shares = np.array(shares, float)
    bought = np.bincount(pairs[:, 1], shares, n)
    return pairs[:, 0], pairs[:, 1], shares / np.maximum(bought, 1)[pairs[:, 1]], n


@given(networks())
@settings(max_examples=200, deadline=None)
def test_topology_agrees_with_networkx_and_dense_algebra(network):
    n = network[3]
    directed = graph(*network)
    found = topology(*network)

    radius = radius_by_component(directed)
    largest = max(len(part) for part in nx.strongly_connected_components(directed))
    assert found.spectral_radius == pytest.approx(radius, abs=TO_OTHERS)
    assert found.scc_share == largest / n
    assert found.mean_degree == directed.number_of_edges() / n
    assert (found.in_degree == [degree for _, degree in directed.in_degree]).all()
    assert (found.out_degree == [degree for _, degree in directed.out_degree]).all()
    strength = [degree for _, degree in directed.in_degree(weight="weight")]
    assert found.in_strength == pytest.approx(strength, abs=TO_OTHERS)

    v = nx.to_numpy_array(directed)
    alpha = DAMPING / (radius or 1.0)
    handed = alpha * v.T / np.maximum((v > 0).sum(axis=1), 1)
    x = np.linalg.solve(np.eye(n) - handed, np.ones(n))
    assert found.pagerank == pytest.approx(x / x.sum(), abs=TO_OTHERS)


def test_pagerank_is_networkx_katz_centrality_of_shocks_handed_on_in_parts():
    rng = np.random.default_rng(1)
    v = rng.uniform(0, 1, (20, 20)) * (rng.random((20, 20)) < 0.2) * (1 - np.eye(20)) / 4
    sources, targets, shares = links(v)
    found = topology(sources, targets, shares, 20)
    parts = graph(sources, targets, shares / (v > 0).sum(axis=1)[sources], 20)
    alpha = DAMPING / float(found.spectral_radius)
    katz = nx.katz_centrality_numpy(parts, alpha=alpha, normalized=False, weight="weight")
    expected = np.array([katz[i] for i in range(20)])
    assert found.pagerank == pytest.approx(expected / expected.sum(), abs=TO_OTHERS)


def test_pagerank_is_networkx_pagerank_where_all_shares_are_equal_and_all_countries_export():
    ring = nx.circulant_graph(12, [1, 3]).to_directed()
    ring.remove_edges_from([(0, 1), (5, 8), (7, 4), (2, 3)])
    b = nx.to_numpy_array(ring)
    damping = DAMPING / np.abs(np.linalg.eigvals(b)).max()
    expected = nx.pagerank(ring, alpha=damping, tol=1e-14, max_iter=1_000)
    found = topology(*links(0.3 * b), 12)
    assert found.pagerank == pytest.approx([expected[i] for i in range(12)], abs=TO_OTHERS)


@given(st.lists(networks(), min_size=2, max_size=4))
@settings(max_examples=50, deadline=None)
def test_a_stack_holds_what_its_networks_hold_alone(several):
    n = max(network[3] for network in several)
    m = max(network[0].size for network in several)
    stack = [np.zeros((len(several), m), int) for _ in range(2)] + [np.zeros((len(several), m))]
    for row, network in enumerate(several):
        for column, values in zip(stack, network[:3], strict=True):
            column[row, : values.size] = values
    stack[1][stack[2] == 0] = n - 1  # padding: a link of share 0 is no link
    together = topology(*stack, n)
    for row, network in enumerate(several):
        alone = topology(*network[:3], n)
        for name in alone.__slots__:
            expected = getattr(alone, name)
            assert getattr(together, name)[row] == pytest.approx(expected, abs=TO_OTHERS), name


# Three suppliers of country 3: 60, 30 and 10 thousand USD; stability 50, 80 and 100.
STAR = np.array([0, 1, 2]), np.array([3, 3, 3]), np.array([60.0, 30.0, 10.0])
STABILITY = np.array([50.0, 80.0, 100.0, 0.0])


def test_shares_are_instability_times_the_share_of_imports():
    assert shock_shares(*STAR, STABILITY) == pytest.approx([0.3, 0.06, 0], rel=ROUNDING)


def test_imports_before_the_filter_are_the_other_denominator():
    imports = [0, 0, 0, 200.0]
    found = shock_shares(*STAR, STABILITY, imports=imports)
    assert found == pytest.approx([0.15, 0.03, 0], rel=ROUNDING)


def test_without_an_index_the_shares_of_an_importer_add_up_to_one():
    plain = shock_shares(*STAR, np.zeros(4))
    assert plain.sum() == pytest.approx(1, rel=ROUNDING)
    assert topology(STAR[0], STAR[1], plain, 4).in_strength[3] == pytest.approx(1, rel=ROUNDING)


def test_a_perfectly_stable_supplier_is_no_link():
    found = topology(STAR[0], STAR[1], shock_shares(*STAR, STABILITY), 4)
    assert found.in_degree.tolist() == [0, 0, 0, 2]
    assert found.out_degree.tolist() == [1, 1, 0, 0]


def test_one_exporter_is_a_defined_acyclic_network():
    found = topology(np.array([0, 0]), np.array([1, 2]), np.array([0.4, 0.2]), 3)
    assert found.spectral_radius == 0
    assert found.scc_share == 1 / 3
    # A = 0.85 V' / k_out: 1, 1 + 0.85 * 0.2 and 1 + 0.85 * 0.1 before the sum of 3.255.
    assert found.pagerank == pytest.approx(np.array([1, 1.17, 1.085]) / 3.255, rel=ROUNDING)


def test_a_chain_hands_its_shock_down_with_alpha_085_as_lambda_is_zero():
    found = topology(np.array([0, 1]), np.array([1, 2]), np.array([0.5, 0.5]), 3)
    a = DAMPING * 0.5
    expected = np.array([1, 1 + a, 1 + a + a**2])
    assert found.pagerank == pytest.approx(expected / expected.sum(), rel=ROUNDING)
    literal = topology(
        np.array([0, 1]), np.array([1, 2]), np.array([0.5, 0.5]), 3, form="literal"
    ).pagerank
    assert literal == pytest.approx((1 - DAMPING) * expected[::-1], rel=ROUNDING)


def test_taken_literally_every_pagerank_is_negative_and_normalised_none_is():
    v = np.array([[0, 0.3, 0.2], [0.4, 0, 0], [0, 0.2, 0]])
    sources, targets, shares = links(v)
    literal = topology(sources, targets, shares, 3, form="literal")
    radius = np.abs(np.linalg.eigvals(v)).max()
    assert radius < DAMPING
    alpha = DAMPING / radius
    expected = np.linalg.solve(np.eye(3) - alpha * v / (v > 0).sum(axis=1), np.full(3, 1 - alpha))
    assert literal.pagerank == pytest.approx(expected, abs=TO_OTHERS)
    assert (literal.pagerank < 0).all()
    normalised = topology(sources, targets, shares, 3).pagerank
    assert (normalised > 0).all()
    assert normalised.sum() == pytest.approx(1, rel=ROUNDING)


def test_the_importer_of_a_shock_ranks_high_not_its_origin():
    found = topology(np.array([0, 1, 1]), np.array([1, 0, 2]), np.array([0.9, 0.1, 0.9]), 3)
    assert found.pagerank.argmax() == 2


def test_no_countries_and_no_links_are_defined():
    none = np.zeros(0, np.int64)
    empty = topology(none, none, np.zeros(0), 4)
    assert (empty.mean_degree, empty.scc_share, empty.spectral_radius) == (0, 0.25, 0)
    assert empty.pagerank == pytest.approx([0.25] * 4, rel=ROUNDING)
    nobody = topology(none, none, np.zeros(0), 0)
    assert np.isnan(nobody.mean_degree)
    assert np.isnan(nobody.scc_share)
    assert nobody.pagerank.size == 0


def test_an_exporter_without_stability_is_refused():
    with pytest.raises(ValueError, match="stability is nan"):
        shock_shares(*STAR, [50.0, np.nan, 100, 0])


EU, GERMANY, FRANCE, USA, CHINA = 900, 276, 251, 842, 156


def test_codes_add_up_and_members_become_one_country_without_trade_inside():
    found = gather_flows(
        exporters=[CHINA, CHINA, CHINA, GERMANY, FRANCE, GERMANY],
        importers=[GERMANY, GERMANY, FRANCE, FRANCE, USA, USA],
        values=[10.0, 5, 20, 99, 7, 1],
        quantities=[1.0, np.nan, 2, 9, np.nan, np.nan],
        members=[GERMANY, FRANCE],
        region=EU,
    )
    assert list(zip(found.exporters, found.importers, strict=True)) == [(EU, USA), (CHINA, EU)]
    assert found.values.tolist() == [8, 35]
    assert found.quantities == pytest.approx([np.nan, 3], nan_ok=True)
    assert found.priced.tolist() == [0, 30]


def test_gathered_flows_keep_the_total_and_do_not_depend_on_row_order():
    rng = np.random.default_rng(2)
    a, c = rng.integers(0, 9, 200), rng.integers(0, 9, 200)
    value, quantity = rng.integers(1, 99, 200).astype(float), rng.integers(0, 9, 200).astype(float)
    order = rng.permutation(200)
    one = gather_flows(a, c, value, quantity)
    other = gather_flows(a[order], c[order], value[order], quantity[order])
    assert one.values.sum() == value[a != c].sum()
    assert one.quantities.sum() == quantity[a != c].sum()
    for name in Flows.__slots__:
        assert (getattr(one, name) == getattr(other, name)).all(), name


@pytest.mark.parametrize(
    ("value", "quantity", "message"),
    [(-1.0, 1.0, "a value is -1"), (np.nan, 1.0, "a value is nan"), (1.0, -2.0, "a quantity")],
)
def test_impossible_amounts_are_refused(value, quantity, message):
    with pytest.raises(ValueError, match=message):
        gather_flows([1], [2], [value], [quantity])


def test_the_larger_report_of_a_pair_stands_and_a_missing_one_does_not_matter():
    exporters = gather_flows([1, 1], [2, 3], [10.0, 4], [5.0, np.nan])
    importers = gather_flows([1, 4], [2, 3], [8.0, 6], [7.0, 1])
    found = mirror_maximum(exporters, importers)
    assert list(zip(found.exporters, found.importers, strict=True)) == [(1, 2), (1, 3), (4, 3)]
    assert found.values.tolist() == [10, 4, 6]
    assert found.quantities == pytest.approx([7, np.nan, 1], nan_ok=True)
    assert found.priced.tolist() == [10, 0, 6]


def test_region_has_the_mean_stability_of_its_members_or_the_weighted_one():
    assert region_stability([60.0, 90]) == 75
    assert region_stability([60.0, 90], [2.0, 1]) == 70
    assert region_stability([60.0, 90], [0.0, 0]) == 75


def test_a_link_is_more_than_one_percent_of_imports_before_the_filter():
    flows = gather_flows([1, 2, 3, 4], [9] * 4, [1.0, 1.000001, 0.5, 97.499999], [1.0] * 4)
    found = build_network(flows)
    assert found.countries[found.sources].tolist() == [2, 4]
    assert found.countries.tolist() == [1, 2, 3, 4, 9]
    assert found.imports.tolist() == [0, 0, 0, 0, 100]


def test_a_threshold_of_zero_keeps_every_flow_of_some_value():
    flows = gather_flows([1, 2], [9, 9], [0.0, 1e-6], [1.0, 1])
    assert build_network(flows, threshold=0).values.tolist() == [1e-6]


def test_given_countries_are_the_nodes_and_a_stranger_is_refused():
    flows = gather_flows([1], [2], [5.0], [1.0])
    assert build_network(flows, countries=[1, 2, 3, 4]).countries.size == 4
    with pytest.raises(ValueError, match="first 2"):
        build_network(flows, countries=[1, 3])


def test_trade_risk_is_none_for_net_exporters_and_unknown_without_a_reliance():
    found = trade_risk([0.2, 0.2, 0.2, 0.2], [0.5, 0, -3, np.nan])
    assert found == pytest.approx([0.1, 0, 0, np.nan], nan_ok=True)
    with pytest.raises(ValueError, match="reliance is 50"):
        trade_risk([0.2], [50.0])


def test_price_is_value_over_quantity_in_usd_per_kg_or_says_why_there_is_none():
    flows = gather_flows(
        exporters=[1, 1, 2, 3, 5],
        importers=[2, 3, 3, 4, 4],
        values=[10.0, 30, 5, 0, 7],
        quantities=[4.0, np.nan, np.nan, 2, 0],
    )
    found = unit_prices(flows, [1, 2, 3, 4, 5])
    # 10 thousand USD for 4 t; the 30 thousand without a quantity count on neither side.
    assert found.values == pytest.approx([2.5, np.nan, 0, np.nan, np.nan], nan_ok=True)
    assert found.reasons.tolist() == [
        Reason.COMPUTED, Reason.NO_QUANTITY, Reason.ZERO_PRICE, Reason.NO_EXPORTS,
        Reason.NO_QUANTITY,
    ]  # fmt: skip


def test_returns_are_logarithms_between_adjacent_years_only():
    nan = np.nan
    prices = [[1.0, np.e, 1, 1], [2.0, 0, 4, 8], [nan, 1, nan, 1]]
    found = log_returns(prices, [2007, 2008, 2009, 2011])
    expected = [[nan, 1, -1, nan], [nan, nan, nan, nan], [nan, nan, nan, nan]]
    assert found.values == pytest.approx(np.array(expected), rel=ROUNDING, nan_ok=True)
    gap, zero = Reason.NO_PRICE, Reason.ZERO_PRICE
    assert found.reasons[0].tolist() == [gap, Reason.COMPUTED, Reason.COMPUTED, gap]
    assert found.reasons[1].tolist() == [gap, zero, zero, gap]


def test_volatility_is_the_sample_deviation_of_at_least_two_returns():
    nan = np.nan
    found = volatility([[nan, 0.1, 0.3, nan], [nan, 0.2, nan, nan], [nan] * 4, [nan, 1, 1, 1]])
    # 0.1 and 0.3 are 0.1 off their mean: sqrt(2 * 0.01 / 1).
    assert found.values == pytest.approx([np.sqrt(0.02), nan, nan, 0], nan_ok=True, rel=ROUNDING)
    few = Reason.FEW_RETURNS
    assert found.reasons.tolist() == [Reason.COMPUTED, few, few, Reason.COMPUTED]


def test_traded_volume_is_in_kg_with_the_share_of_value_that_it_covers():
    found = traded_volume(gather_flows([1, 2], [2, 3], [30.0, 10], [2.5, np.nan]))
    assert (found.kilograms, found.value_share, found.reason) == (2500, 0.75, Reason.COMPUTED)
    none = traded_volume(gather_flows([1], [2], [30.0], [np.nan]))
    assert np.isnan(none.kilograms)
    assert (none.value_share, none.reason) == (0, Reason.NO_QUANTITY)


def test_scarcity_is_the_logarithm_of_kg_over_kg_or_says_what_is_missing():
    assert scarcity(np.e * 1e9, 1e9).value == pytest.approx(1, rel=ROUNDING)
    assert scarcity(1.0, np.nan).reason == Reason.NO_RESERVES
    assert scarcity(np.nan, 1.0).reason == Reason.NO_QUANTITY
    assert np.isnan(scarcity(np.nan, 1.0).value)
    with pytest.raises(ValueError, match="reserves are 0"):
        scarcity(1.0, 0.0)
