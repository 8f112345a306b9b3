"""Production networks: what is made from what, and what only sounds as if it were.

Names propose pairs of products; a share of them is true. What an input is proposed to make are
neighbours in the HS list, half of them true, so that descriptions cannot tell which.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np

from udfs.seeding import group_rng
from udfs.world.model import Networks, Proposal, WorldSettings

SECOND_PARENT = 0.5
"""Chance that a further input that proposes a chosen output is a true input of it too."""
REPEATED, INSIDE = 0.3, 0.3
"""Chances that an invented proposal also goes to another input, or points back into the network."""


def make_networks(
    products: Mapping[str, str], seeds: Mapping[str, Sequence[str]], settings: WorldSettings
) -> Networks:
    """Invent proposals for each material and choose which of them are true.

    Args:
        products: HS codes with descriptions.
        seeds: products of tier 0 of each material.
        settings: seed of the run and products in each tier.

    A product belongs to one material: what one network holds can only be a decoy in the next.
    """
    taken = _checked_seeds(products, seeds)
    tiers: dict[tuple[str, str], int] = {}
    pairs: list[Proposal] = []
    planted: dict[str, int] = dict.fromkeys(sorted(taken), 0)
    for material, own_seeds in seeds.items():
        rng = group_rng(settings.seed, "network", material)
        frontier = list(own_seeds)
        tiers |= {(material, seed): 0 for seed in own_seeds}
        for tier, size in enumerate(settings.tier_sizes):
            suggested = _proposals(frontier, sorted(products), taken, size, rng)
            chosen = _choose(suggested, taken, size, rng)
            taken.update(output for _, output in suggested)
            true = _true_pairs(suggested, chosen, rng)
            for made_from, made in suggested:
                made_tier = planted.setdefault(made, tier + 1)
                is_true = (made_from, made) in true
                pairs.append(Proposal(material, made_from, made, is_true, tier, made_tier))
            tiers |= {(material, output): tier + 1 for output in chosen}
            frontier = chosen
    return Networks(tiers, tuple(pairs), planted)


def _checked_seeds(products: Mapping[str, str], seeds: Mapping[str, Sequence[str]]) -> set[str]:
    every = [seed for own in seeds.values() for seed in own]
    unknown = sorted(set(every) - set(products))
    if unknown or len(set(every)) < len(every) or not every:
        raise ValueError(
            f"found {len(every)} seeds, of which {len(set(every))} differ, not among the products: "
            f"{unknown[:5]}; expected products of the list, each the seed of one material"
        )
    return set(every)


def _proposals(
    inputs: Sequence[str],
    codes: Sequence[str],
    taken: set[str],
    size: int,
    rng: np.random.Generator,
) -> list[tuple[str, str]]:
    """Propose neighbours in the HS list, two for each product wanted, and some old products."""
    pairs: dict[tuple[str, str], None] = {}
    inside = sorted(taken - set(inputs))
    for neighbours in _free_neighbours(codes, taken, size, rng):
        parents = [str(rng.choice(inputs))]
        if rng.random() < REPEATED:
            parents.append(str(rng.choice(inputs)))
        pairs |= {(parent, output): None for parent in parents for output in neighbours}
        if inside and rng.random() < INSIDE:
            pairs[parents[0], str(rng.choice(inside))] = None
    return list(pairs)


def _free_neighbours(
    codes: Sequence[str], taken: set[str], size: int, rng: np.random.Generator
) -> list[tuple[str, str]]:
    free = [code for code in codes if code not in taken]
    starts = range(0, len(free) - 1, 2)
    if len(starts) < size:
        raise ValueError(
            f"{len(codes)} products leave room for {len(starts)} more outputs with a decoy, "
            f"but a tier has {size}; generate more products or smaller tiers"
        )
    chosen = rng.choice(len(starts), size, replace=False)
    return [(free[starts[at]], free[starts[at] + 1]) for at in sorted(chosen)]


def _choose(
    suggested: Sequence[tuple[str, str]], taken: set[str], size: int, rng: np.random.Generator
) -> list[str]:
    """Choose the next tier's products among new outputs, at most `size`."""
    new = list(dict.fromkeys(output for _, output in suggested if output not in taken))
    chosen = rng.permutation(len(new))[:size]
    return [new[at] for at in sorted(chosen.tolist())]


def _true_pairs(
    suggested: Sequence[tuple[str, str]], chosen: Sequence[str], rng: np.random.Generator
) -> set[tuple[str, str]]:
    """Give each chosen output one true input, and by chance more of those that propose it."""
    true = set()
    for output in chosen:
        inputs = [i for i, j in suggested if j == output]
        first = int(rng.integers(len(inputs)))
        true |= {
            (made_from, output)
            for at, made_from in enumerate(inputs)
            if at == first or rng.random() < SECOND_PARENT
        }
    return true
