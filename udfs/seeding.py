"""Random numbers that follow from what is drawn, not from where or when it is drawn."""

from __future__ import annotations

from zlib import crc32

import numpy as np


def group_rng(seed: int, *key: str | int) -> np.random.Generator:
    """Return the generator of one group, the same on every worker, in every order of groups.

    Args:
        seed: The seed of the run, >= 0.
        key: What names the group, for instance `("Cobalt", 2012, "in_degree")`. Its parts count as
            text, so 2012 and "2012" are the same key. CRC-32 stands in for `hash`, which differs
            between processes.

    Raises:
        ValueError: The seed is negative.

    Source: NumPy, "Parallel random number generation", sequence of integer seeds.
    """
    if seed < 0:
        raise ValueError(f"the seed is {seed}; expected an integer >= 0")
    return np.random.default_rng([*(crc32(str(part).encode()) for part in key), seed])
