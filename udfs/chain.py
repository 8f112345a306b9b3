"""From many answers to a chain of products: votes over answers, and the walk from the seeds.

Klimek, Baum, Gerschberger and Hess (2025) ask a language model several times what is made from a
product, match each line of the answers to a product, and ask again about what was named. A pair
of products is a candidate once enough of the answers name it.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable
from dataclasses import dataclass

import pandas as pd

ANSWER = ["material", "input", "replicate"]
QUESTION = ["material", "input"]
PAIR = ["material", "input", "output"]


@dataclass(frozen=True, slots=True)
class Walk:
    """Candidates of one material, stage by stage.

    pairs: columns of the votes, and depth, the stage at which the input was reached, 0 = seed;
    by depth, input and output. frontier: product, depth, votes of products that were reached
    before the last stage and have no answers; votes: the most with which any input named it.
    stages: stage at which each product was reached.
    """

    pairs: pd.DataFrame
    frontier: pd.DataFrame
    stages: dict[str, int]


def votes(lines: pd.DataFrame, matches: pd.DataFrame, answered: pd.DataFrame) -> pd.DataFrame:
    """Count for each pair of products the answers that name it.

    Args:
        lines: material, input, replicate, line; one row a line of an answer.
        matches: line, product, second, similarity; products null where nothing fits. A line with
            a second kind of goods votes for both, as it names both.
        answered: material, input, replicate; one row an answer, also where it has no lines.

    Returns:
        material, input, output, votes, replicates, similarity (mean over the lines, NaN where
        all are NaN), by key. An answer has one vote for an output, however often it names it.
    """
    named = lines.merge(matches, on="line", validate="many_to_one")
    goods = [
        named[[*ANSWER, column, "similarity"]].rename(columns={column: "output"})
        for column in ("product", "second")
    ]
    ballots = pd.concat(goods).dropna(subset=["output"])
    of_pairs = ballots.groupby(PAIR, sort=True)
    counted = pd.DataFrame(
        {
            "votes": ballots.drop_duplicates([*ANSWER, "output"]).groupby(PAIR).size(),
            "similarity": of_pairs["similarity"].mean(),
        }
    ).reset_index()
    replicates = answered.groupby(QUESTION)["replicate"].nunique().rename("replicates")
    found = counted.merge(replicates.reset_index(), on=QUESTION, validate="many_to_one")
    return found[[*PAIR, "votes", "replicates", "similarity"]]


def walk(
    of_material: pd.DataFrame,
    answered: Collection[str],
    seeds: Iterable[str],
    *,
    least: int,
    depth: int,
) -> Walk:
    """Go from the seeds to what is made from them, stage by stage, over pairs with enough votes.

    Args:
        of_material: input, output, votes and further columns, of one material.
        answered: inputs that have answers, those that named nothing among them.
        seeds: products of stage 0.
        least: votes that a pair needs.
        depth: last stage; its products are reached and not asked about.
    """
    enough = of_material[of_material["votes"] >= least]
    outputs = enough.groupby("input")["output"].apply(list).to_dict()
    stages = dict.fromkeys(seeds, 0)
    reached = list(stages)
    for product in reached:
        if stages[product] == depth:
            break
        for output in outputs.get(product, ()):
            if output not in stages:
                stages[output] = stages[product] + 1
                reached.append(output)
    stage_of_input = enough["input"].map(stages)
    asked = stage_of_input < depth
    pairs = enough[asked].assign(depth=stage_of_input[asked].astype(int))
    open_products = [p for p in reached if stages[p] < depth and p not in answered]
    most = pairs.groupby("output")["votes"].max()
    frontier = pd.DataFrame(
        {
            "product": open_products,
            "depth": [stages[product] for product in open_products],
            "votes": most.reindex(open_products).astype("Int64").array,
        }
    )
    return Walk(
        pairs=pairs.sort_values(["depth", "input", "output"], ignore_index=True),
        frontier=frontier,
        stages=stages,
    )
