import networkx as nx
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import sparse
from scipy.sparse.csgraph import connected_components

from udfs import spectral_radius
from udfs.spectral_radius import spectral_radii

ENCLOSED = 1e-11
"""Relative: bounds close at 1e-12, dense eigenvalues of small matrices add some rounding."""


def radii(*matrices):
    """Radii of dense matrices of one size, by way of the sparse stack."""
    stack = np.array(matrices, float)
    count, n, _ = stack.shape
    draw, row, column = np.nonzero(stack)
    sources, targets = draw * n + row, draw * n + column
    weights = stack[draw, row, column]
    graph = sparse.csr_array((weights, (sources, targets)), shape=(count * n, count * n))
    _, component = connected_components(graph, connection="strong")
    matrix = np.repeat(np.arange(count), n)
    return spectral_radii(sources, targets, weights, component.astype(np.int64), matrix, count)


def cycle(weights):
    n = len(weights)
    matrix = np.zeros((n, n))
    matrix[np.arange(n), (np.arange(n) + 1) % n] = weights
    return matrix


@st.composite
def stacks(draw):
    n, count = draw(st.integers(2, 9)), draw(st.integers(1, 4))
    entry = st.one_of(st.just(0.0), st.just(0.0), st.floats(0.001, 1))
    cells = draw(st.lists(entry, min_size=count * n * n, max_size=count * n * n))
    stack = np.array(cells).reshape(count, n, n)
    stack[:, np.arange(n), np.arange(n)] = 0
    return stack


def largest_eigenvalue(matrix):
    """By component, as equal components in a row cost dense eigenvalues half their digits."""
    parts = [list(part) for part in nx.strongly_connected_components(nx.DiGraph(matrix))]
    return max(np.abs(np.linalg.eigvals(matrix[np.ix_(part, part)])).max() for part in parts)


@given(stacks())
@settings(max_examples=150, deadline=None)
def test_radii_of_a_stack_are_the_largest_dense_eigenvalues(stack):
    for value, matrix in zip(radii(*stack), stack, strict=True):
        assert value == pytest.approx(largest_eigenvalue(matrix), rel=1e-9, abs=0)


@pytest.mark.parametrize("n", [2, 3, 7, 60])
def test_radius_of_a_cycle_is_the_geometric_mean_of_its_weights(n):
    weights = np.random.default_rng(n).uniform(0.05, 1, n)
    expected = np.exp(np.log(weights).mean())
    assert radii(cycle(weights))[0] == pytest.approx(expected, rel=ENCLOSED)


def test_radius_of_equal_weights_is_the_number_of_neighbours_times_the_weight():
    complete = 0.1 * (1 - np.eye(8))
    assert radii(complete)[0] == pytest.approx(0.7, rel=ENCLOSED)


def test_an_acyclic_matrix_has_radius_exactly_zero():
    chain = np.triu(np.ones((6, 6)), 1)
    found = radii(chain, cycle([0.5] * 6))
    assert found[0] == 0
    assert found[1] == pytest.approx(0.5, rel=ENCLOSED)


def test_the_largest_component_of_a_matrix_decides_not_the_last():
    matrix = np.zeros((7, 7))
    matrix[:3, :3], matrix[3:5, 3:5], matrix[5:, 5:] = cycle([0.2] * 3), cycle([0.9] * 2), 0
    matrix[0, 4] = matrix[1, 6] = 1.0
    assert radii(matrix)[0] == pytest.approx(0.9, rel=ENCLOSED)


@pytest.mark.parametrize("coupling", [1e-2, 1e-6, 1e-10])
def test_two_strong_pairs_joined_by_a_weak_link_are_told_apart(coupling):
    matrix = np.zeros((4, 4))
    matrix[:2, :2], matrix[2:, 2:] = cycle([0.5, 0.5]), cycle([0.5, 0.499])
    matrix[1, 2] = matrix[3, 0] = coupling
    expected = np.abs(np.linalg.eigvals(matrix)).max()
    assert radii(matrix)[0] == pytest.approx(expected, rel=ENCLOSED)


@pytest.mark.parametrize("scale", [1e-9, 1.0])
def test_the_scale_of_a_matrix_does_not_matter(scale):
    matrix = np.random.default_rng(3).uniform(0, 1, (9, 9)) * (1 - np.eye(9))
    expected = np.abs(np.linalg.eigvals(matrix)).max()
    assert radii(scale * matrix)[0] == pytest.approx(scale * expected, rel=ENCLOSED)


def test_components_that_resist_are_solved_densely(monkeypatch):
    monkeypatch.setattr(spectral_radius, "ROUNDS", 0)
    matrix = np.random.default_rng(4).uniform(0, 1, (9, 9)) * (1 - np.eye(9))
    expected = np.abs(np.linalg.eigvals(matrix)).max()
    assert radii(matrix)[0] == pytest.approx(expected, rel=ENCLOSED)
