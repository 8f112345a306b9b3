"""The path of a shock against powers of a dense matrix."""

import numpy as np
import pytest

from udfs.shock_path import shock_path

TWO_WAYS = 1e-12
"""Both sides add up the same products of doubles."""


@pytest.fixture
def network():
    rng = np.random.default_rng(3)
    v = np.where(rng.random((8, 8)) < 0.4, rng.random((8, 8)) / 4, 0.0)
    np.fill_diagonal(v, 0.0)
    return v


@pytest.mark.parametrize("origin", [0, 7])
def test_step_k_is_a_row_of_the_kth_power(network, origin):
    sources, targets = np.nonzero(network)
    path = shock_path(sources, targets, network[sources, targets], 8, origin=origin, steps=4)
    for step in range(4):
        power = np.linalg.matrix_power(network, step + 1)
        np.testing.assert_allclose(path.hit[step], power[origin], atol=TWO_WAYS)


def test_through_is_the_country_that_hands_on_most(network):
    sources, targets = np.nonzero(network)
    path = shock_path(sources, targets, network[sources, targets], 8, origin=2, steps=3)
    for step in (1, 2):
        parts = path.hit[step - 1][:, None] * network
        arrived = parts.sum(axis=0) > 0
        assert (path.through[step][arrived] == parts.argmax(axis=0)[arrived]).all()
        assert (path.through[step][~arrived] == -1).all()


def test_a_chain_hands_on_one_step_at_a_time():
    path = shock_path(
        np.array([0, 1]), np.array([1, 2]), np.array([0.5, 0.4]), 3, origin=0, steps=3
    )
    assert path.hit.tolist() == [[0, 0.5, 0], [0, 0, pytest.approx(0.2)], [0, 0, 0]]
    assert path.through.tolist() == [[-1, 0, -1], [-1, -1, 1], [-1, -1, -1]]


def test_an_origin_outside_the_network_is_refused():
    with pytest.raises(ValueError, match="expected 0 to 2"):
        shock_path(np.array([0]), np.array([1]), np.array([0.5]), 3, origin=3, steps=1)
