"""What a language model would have said about a generated world, in the columns of recordings."""

from __future__ import annotations

import pandas as pd

from udfs.matching import normalise_line
from udfs.seeding import group_rng
from udfs.world.model import LAST_TIER, World

REPLICATES, VOTE = 10, 0.85
"""Answers for an input, and the chance that an answer names a proposed output."""


def answers(world: World) -> pd.DataFrame:
    """Return ten answers for each input: material, input, replicate, prompt_version, model, text.

    Each names each proposed output with a chance of 0.85, by its official description, whether
    true or a decoy. Products that nothing is made of answer `none`.
    """
    named: dict[tuple[str, str], list[str]] = {}
    for pair in world.networks.proposals:
        named.setdefault((pair.material, pair.input), []).append(pair.output)
        if pair.output_tier <= LAST_TIER:
            named.setdefault((pair.material, pair.output), [])
    rows = []
    for (material, made_from), outputs in sorted(named.items()):
        rng = group_rng(world.settings.seed, "answers", material, made_from)
        for replicate in range(1, REPLICATES + 1):
            said = [world.products[output] for output in outputs if rng.random() < VOTE]
            text = "\n".join(said) or "none"
            rows.append((material, made_from, replicate, "v1", "synthetic", text))
    columns = ["material", "input", "replicate", "prompt_version", "model", "text"]
    return pd.DataFrame(rows, columns=columns)


def picks(world: World) -> pd.DataFrame:
    """Return which product each line of the answers means: line, product, second."""
    named = sorted({pair.output for pair in world.networks.proposals})
    rows = [(normalise_line(world.products[product]), product, "") for product in named]
    return pd.DataFrame(rows, columns=["line", "product", "second"])
