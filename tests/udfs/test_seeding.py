import os
import subprocess
import sys

import numpy as np
import pytest

from udfs.seeding import group_rng

CRC32_CHECK = 0xCBF43926
"""CRC-32 of the text 123456789, the check value in every catalogue of CRCs."""


def test_seed_is_the_catalogued_checksum_of_the_key():
    expected = np.random.default_rng([CRC32_CHECK, 7]).random(5)
    assert (group_rng(7, "123456789").random(5) == expected).all()
    assert (group_rng(7, 123456789).random(5) == expected).all()


def test_another_process_with_another_hash_seed_draws_the_same():
    code = "from udfs.seeding import group_rng; print(group_rng(1, 'Cobalt', 2012).integers(2**60))"
    environment = {**os.environ, "PYTHONHASHSEED": "12345", "PYTHONPATH": os.pathsep.join(sys.path)}
    printed = subprocess.run(
        [sys.executable, "-c", code], env=environment, capture_output=True, check=True, timeout=60
    ).stdout
    assert int(printed) == group_rng(1, "Cobalt", 2012).integers(2**60)


def test_seed_and_every_part_of_the_key_and_their_order_matter():
    keys = [(1, "a", "b"), (2, "a", "b"), (1, "b", "a"), (1, "ab"), (1, "a"), (1,)]
    assert len({int(group_rng(seed, *key).integers(2**60)) for seed, *key in keys}) == len(keys)


def test_a_negative_seed_is_refused():
    with pytest.raises(ValueError, match="-1"):
        group_rng(-1, "a")
