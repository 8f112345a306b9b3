"""Tiers and acyclicity, against networkx on random networks and by hand on a small one."""

import networkx as nx
import pytest
from hypothesis import given
from hypothesis import strategies as st

from udfs.tiers import Edge, Reason, tiered_network

PRODUCTS = "abcdefgh"


@st.composite
def networks(draw):
    """Edges among eight products with few distinct z, so ties are common, and one or two seeds."""
    possible = [(i, j) for i in PRODUCTS for j in PRODUCTS]
    chosen = draw(st.lists(st.sampled_from(possible), unique=True, max_size=30))
    strengths = st.sampled_from([-1.0, 0.5, 2.0, 3.0, float("nan")])
    edges = [Edge(i, j, draw(strengths)) for i, j in chosen]
    return edges, draw(st.sets(st.sampled_from(PRODUCTS), min_size=1, max_size=2))


def graph(edges) -> nx.DiGraph:
    return nx.DiGraph((edge.input, edge.output) for edge in edges)


def strength(edge: Edge) -> float:
    return edge.z if edge.z == edge.z else float("-inf")


@given(networks())
def test_tiers_are_shortest_paths_from_the_seeds(world):
    edges, seeds = world
    whole = graph(edges)
    whole.add_nodes_from(seeds)
    expected = nx.multi_source_dijkstra_path_length(whole, seeds, weight=None)
    assert dict(tiered_network(edges, seeds).tiers) == dict(expected)


@given(networks())
def test_network_has_no_cycle_and_every_edge_leads_to_the_same_tier_or_the_next(world):
    found = tiered_network(*world)
    assert nx.is_directed_acyclic_graph(graph(found.edges))
    assert {found.tiers[e.output] - found.tiers[e.input] for e in found.edges} <= {0, 1}


@given(networks())
def test_tiers_survive_the_removal_of_edges(world):
    edges, seeds = world
    found = tiered_network(edges, seeds)
    assert tiered_network(found.edges, seeds).tiers == found.tiers
    assert not tiered_network(found.edges, seeds).removed


@given(networks())
def test_every_edge_is_kept_or_removed_with_a_true_reason(world):
    edges, seeds = world
    found = tiered_network(edges, seeds)
    tiers = found.tiers
    assert sorted(map(id, edges)) == sorted(
        [*map(id, found.edges), *(id(one.edge) for one in found.removed)]
    )
    true = {
        Reason.UNREACHABLE: lambda e: e.input not in tiers,
        Reason.SELF: lambda e: e.input == e.output,
        Reason.BACKWARD: lambda e: tiers[e.output] < tiers[e.input],
        Reason.CYCLE: lambda e: tiers[e.output] == tiers[e.input],
    }
    assert all(true[one.reason](one.edge) for one in found.removed)


@given(networks())
def test_each_edge_removed_for_a_cycle_is_the_weakest_of_it(world):
    found = tiered_network(*world)
    kept = {(edge.input, edge.output): edge for edge in found.edges}
    for one in found.removed:
        if one.reason is Reason.CYCLE:
            others = [kept[step] for step in zip(one.path, one.path[1:], strict=False)]
            assert (one.path[0], one.path[-1]) == (one.edge.output, one.edge.input)
            assert all(strength(edge) >= strength(one.edge) for edge in others)
        else:
            assert not one.path


@given(networks(), st.randoms(use_true_random=False))
def test_order_of_edges_does_not_matter(world, random):
    edges, seeds = world
    shuffled = edges.copy()
    random.shuffle(shuffled)
    assert tiered_network(shuffled, seeds) == tiered_network(edges, seeds)


@given(networks(), st.integers(0, 3))
def test_depth_cuts_the_network_after_a_tier(world, depth):
    edges, seeds = world
    whole, cut = tiered_network(edges, seeds), tiered_network(edges, seeds, depth=depth)
    assert dict(cut.tiers) == {p: tier for p, tier in whole.tiers.items() if tier <= depth}
    beyond = [one.edge for one in cut.removed if one.reason is Reason.BEYOND_DEPTH]
    assert all(whole.tiers[edge.output] == depth + 1 for edge in beyond)


def test_small_chain_by_hand():
    ore, metal, magnet, motor, scrap = "ore", "metal", "magnet", "motor", "scrap"
    edges = [
        Edge(ore, metal, 3),
        Edge(metal, magnet, 2),
        Edge(metal, motor, 2),
        Edge(magnet, motor, 2.5),
        Edge(motor, magnet, 1),  # weaker than the way back
        Edge(motor, ore, 9),
        Edge(metal, metal, 1),
        Edge(scrap, metal, 4),
    ]
    found = tiered_network(edges, [ore])
    assert found.tiers == {ore: 0, metal: 1, magnet: 2, motor: 2}
    assert {(one.edge.input, one.edge.output, one.reason) for one in found.removed} == {
        (motor, magnet, Reason.CYCLE),
        (motor, ore, Reason.BACKWARD),
        (metal, metal, Reason.SELF),
        (scrap, metal, Reason.UNREACHABLE),
    }


def test_only_the_weakest_edge_of_nested_cycles_goes():
    # a -> b -> a and a -> c -> b -> a share b -> a: without it both are gone.
    seeds = ["s"]
    ring = [Edge("a", "b", 5), Edge("b", "a", 1), Edge("a", "c", 2), Edge("c", "b", 3)]
    found = tiered_network([*(Edge("s", p, 1) for p in "abc"), *ring], seeds)
    assert [(one.edge.input, one.edge.output) for one in found.removed] == [("b", "a")]


def test_seed_without_edges_is_a_network_of_one_product():
    found = tiered_network([], ["280530"])
    assert (dict(found.tiers), found.edges, found.removed) == ({"280530": 0}, (), ())


def test_pair_that_stands_twice_and_missing_seeds_are_refused():
    with pytest.raises(ValueError, match="a -> b stands twice"):
        tiered_network([Edge("a", "b", 1), Edge("a", "b", 2)], ["a"])
    with pytest.raises(ValueError, match="no seeds"):
        tiered_network([Edge("a", "b", 1)], [])
