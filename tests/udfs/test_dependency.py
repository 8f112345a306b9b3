"""The dependency score against scikit-learn, and where it is undefined."""

import numpy as np
import pytest
from sklearn.decomposition import PCA
from sklearn.preprocessing import StandardScaler

from udfs.dependency import Note, composite

TWO_LIBRARIES = 1e-9
"""Absolute: eigenvectors of a well separated 3 x 3 matrix in double precision."""


def fitted(rows):
    return composite(len(rows), rows.mean(axis=0), np.cov(rows, rowvar=False))


@pytest.fixture
def rows():
    rng = np.random.default_rng(7)
    latent = rng.normal(size=(500, 1))
    return latent * [0.2, 0.1, 0.4] + rng.normal(size=(500, 3)) * [0.1, 0.2, 0.3] + [0.7, 0.4, 1.8]


def test_loadings_scores_and_explained_variance_are_those_of_scikit_learn(rows):
    found = fitted(rows)

    z = StandardScaler().fit_transform(rows)
    pca = PCA().fit(z)
    sign = np.sign(pca.components_[0].sum())
    scores = sign * pca.transform(z)[:, 0]
    assert found.loadings == pytest.approx(sign * pca.components_[0], abs=TWO_LIBRARIES)
    assert found.explained_variance == pytest.approx(
        pca.explained_variance_ratio_[0], abs=TWO_LIBRARIES
    )
    assert (rows - found.mean) @ found.weights == pytest.approx(
        scores / scores.std(ddof=1), abs=TWO_LIBRARIES
    )


def test_scores_have_mean_zero_and_standard_deviation_one(rows):
    found = fitted(rows)
    scores = (rows - found.mean) @ found.weights
    assert scores.mean() == pytest.approx(0, abs=TWO_LIBRARIES)
    assert scores.std(ddof=1) == pytest.approx(1, abs=TWO_LIBRARIES)


def test_equally_correlated_indicators_load_equally():
    """Correlation r everywhere: the first eigenvalue is 1 + 2r with equal loadings."""
    r = 0.4
    correlation = np.full((3, 3), r) + np.eye(3) * (1 - r)
    found = composite(10, np.zeros(3), correlation)
    assert found.loadings == pytest.approx(np.full(3, 3**-0.5), abs=TWO_LIBRARIES)
    assert found.explained_variance == pytest.approx((1 + 2 * r) / 3, abs=TWO_LIBRARIES)
    assert found.note is None


def test_unit_of_an_indicator_does_not_matter(rows):
    scaled = rows * [1, 100, 1] + [0, 5, 0]
    assert fitted(scaled).loadings == pytest.approx(fitted(rows).loadings, abs=TWO_LIBRARIES)


def test_a_negative_loading_is_a_warning_and_high_still_means_dependent(rows):
    found = fitted(rows * [1, 1, -1])
    assert found.note is Note.NEGATIVE
    assert found.loadings.sum() > 0
    assert np.isfinite(found.weights).all()


@pytest.mark.parametrize(
    ("rows", "note"),
    [
        (np.ones((3, 3)), Note.TOO_FEW),
        (np.column_stack([np.arange(9.0), np.full(9, 0.1), np.arange(9.0) ** 2]), Note.CONSTANT),
    ],
)
def test_what_cannot_be_computed_says_why_and_is_no_number(rows, note):
    found = fitted(rows)
    assert found.note is note
    assert np.isnan([*found.loadings, *found.weights, found.explained_variance]).all()


def test_no_rows_at_all_are_too_few():
    assert composite(0, np.full(3, np.nan), np.full((3, 3), np.nan)).note is Note.TOO_FEW


def test_moments_that_are_not_finite_are_refused():
    with pytest.raises(ValueError, match="not finite"):
        composite(10, np.full(3, np.nan), np.eye(3))
