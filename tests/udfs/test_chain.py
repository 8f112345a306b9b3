"""Votes and the walk from the seeds, against counting by hand and networkx."""

import networkx as nx
import pandas as pd
from hypothesis import given
from hypothesis import strategies as st

from udfs.chain import votes, walk

PRODUCTS = "abcdefg"


def answers(*texts: str) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Return lines and answers of input `i` from texts such as "magnet,alloy", "" = none."""
    answered = pd.DataFrame(
        {"material": "m", "input": "i", "replicate": range(1, len(texts) + 1), "text": texts}
    )
    lines = answered.assign(line=answered["text"].str.split(",")).explode("line")
    lines = lines[lines["line"] != ""]
    key = ["material", "input", "replicate"]
    return lines[[*key, "line"]], answered[key]


def matched(**products: tuple[str | None, str | None, float]) -> pd.DataFrame:
    """Return matches: line -> product, second, similarity."""
    rows = [(line, *found) for line, found in products.items()]
    return pd.DataFrame(rows, columns=["line", "product", "second", "similarity"])


def test_an_answer_votes_once_for_a_product_however_often_it_names_it():
    lines, answered = answers("magnets,magnet", "magnets", "", "nothing")
    matches = matched(
        magnets=("8505", None, 0.8), magnet=("8505", None, 0.5), nothing=(None, None, 0.0)
    )
    (row,) = votes(lines, matches, answered).to_dict("records")
    assert (row["output"], row["votes"], row["replicates"]) == ("8505", 2, 4)
    assert abs(row["similarity"] - 0.7) < 1e-12  # mean of 0.8, 0.5 and 0.8


def test_a_line_with_two_kinds_of_goods_votes_for_both():
    lines, answered = answers("hoists and mills", "mills")
    matches = matched(**{"hoists and mills": ("8425", "8455", 1.0), "mills": ("8455", None, 1.0)})
    found = votes(lines, matches, answered).set_index("output")["votes"]
    assert found.to_dict() == {"8425": 1, "8455": 2}


@st.composite
def worlds(draw):
    pairs = st.tuples(st.sampled_from(PRODUCTS), st.sampled_from(PRODUCTS))
    chosen = draw(st.dictionaries(pairs, st.integers(1, 10), max_size=25))
    rows = [(i, j, n) for (i, j), n in chosen.items()]
    counted = pd.DataFrame(rows, columns=["input", "output", "votes"])
    seeds = draw(st.sets(st.sampled_from(PRODUCTS), min_size=1, max_size=2))
    return counted, sorted(seeds), draw(st.integers(1, 10)), draw(st.integers(1, 5))


@given(worlds(), st.sets(st.sampled_from(PRODUCTS)))
def test_stages_are_shortest_paths_and_pairs_start_before_the_last(world, answered):
    counted, seeds, least, depth = world
    found = walk(counted, answered, seeds, least=least, depth=depth)

    enough = counted[counted["votes"] >= least]
    graph = nx.DiGraph(list(zip(enough["input"], enough["output"], strict=True)))
    graph.add_nodes_from(seeds)
    lengths = nx.multi_source_dijkstra_path_length(graph, seeds, cutoff=depth, weight=None)
    assert found.stages == dict(lengths)
    expected = {(i, j, lengths[i]) for i, j in graph.edges if lengths.get(i, depth) < depth}
    assert (
        set(zip(found.pairs["input"], found.pairs["output"], found.pairs["depth"], strict=True))
        == expected
    )
    assert set(found.frontier["product"]) == {
        p for p, stage in lengths.items() if stage < depth and p not in answered
    }


def test_frontier_says_with_how_many_votes_a_product_was_reached():
    counted = pd.DataFrame(
        [("a", "b", 7), ("a", "c", 9), ("c", "b", 8)], columns=["input", "output", "votes"]
    )
    found = walk(counted, {"c"}, ["a"], least=5, depth=4).frontier.set_index("product")
    assert found["depth"].to_dict() == {"a": 0, "b": 1}
    assert found["votes"].isna()["a"] and found["votes"]["b"] == 8
