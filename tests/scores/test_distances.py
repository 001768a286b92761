import warnings

import numpy as np
import pytest
from scipy.spatial.distance import cdist
from sklearn.datasets import load_digits

from sknoisy.scores import (
    far_samples,
    near_duplicates,
    neighbor_distances,
    relabel_priority,
)
from sknoisy.scores.distances import near_copies


@pytest.mark.parametrize("n_features", [3, 40])
@pytest.mark.parametrize("mean", [0, 100])
def test_distances_are_exact(n_features, mean):
    X = np.random.default_rng(0).normal(mean, size=(300, n_features))
    index, distances = neighbor_distances(X, 5)
    full = cdist(X, X)
    np.fill_diagonal(full, np.inf)
    np.testing.assert_allclose(distances, np.sort(full)[:, :5], rtol=1e-3)
    np.testing.assert_array_equal(index[:, 0], full.argmin(axis=1))
    with pytest.raises(ValueError, match="n_neighbors=300 is not valid"):
        neighbor_distances(X, 300)


@pytest.mark.parametrize("n_features", [2, 8, 64, 400])
def test_no_duplicates_by_chance(n_features):
    X = np.random.default_rng(0).normal(size=(1000, n_features))
    groups, closeness = near_duplicates(*neighbor_distances(X))
    assert (groups >= 0).sum() <= 4
    assert (closeness[groups < 0] == 0).all()


@pytest.mark.parametrize("share, found", [(0.5, 1), (0.8, 0)])
def test_pairs_are_much_closer_than_neighbors_whatever_the_columns(share, found):
    """By chance, no pair of 400 columns is at 0.8 of the tenth neighbour's distance."""
    rng = np.random.default_rng(0)
    X, noise = rng.normal(size=(500, 400)), rng.normal(size=(20, 400))
    tenth = neighbor_distances(X)[1][:20, -1:]
    noise *= share * tenth / np.linalg.norm(noise, axis=1, keepdims=True)
    groups, _ = near_duplicates(*neighbor_distances(np.vstack([X, X[:20] + noise])))
    assert ((groups[-20:] >= 0) & (groups[-20:] == groups[:20])).mean() == found


def test_copies_with_little_noise_are_found():
    X, _ = load_digits(return_X_y=True)
    rng = np.random.default_rng(0)
    rows = rng.choice(len(X), 100, replace=False)
    noise = rng.normal(scale=0.3, size=(100, 64))  # of values from 0 to 16
    more = np.vstack([X, X[rows] + noise, X[:1], X[:1]])
    groups, closeness = near_duplicates(*neighbor_distances(more))
    n = len(X)
    assert (groups[n : n + 100] == groups[rows]).mean() > 0.95
    assert groups[0] == groups[-1] == groups[-2] >= 0
    assert closeness[0] == closeness[-1] == 1  # copies
    others = np.setdiff1d(np.arange(1, n), rows)
    assert (groups[others] >= 0).sum() <= 4
    assert set(groups) == set(range(-1, groups.max() + 1))


def test_many_copies_of_one_sample():
    X = np.random.default_rng(0).normal(size=(200, 30))
    X[50:90] = X[50]
    groups, closeness = near_duplicates(*neighbor_distances(X))
    assert len(set(groups[50:90])) == 1 and (closeness[50:90] == 1).all()
    assert (groups[:50] == -1).all()
    groups, _ = near_duplicates(*neighbor_distances(np.zeros((20, 3))))
    assert (groups == 0).all()
    assert (far_samples(np.zeros((20, 3))) == 0).all()


@pytest.mark.parametrize("scale", [1, 1e-30, 1e30])
def test_near_copies_of_any_scale(scale):
    rng = np.random.default_rng(0)
    X = np.repeat(rng.normal(size=(400, 8)), 2, axis=0)
    X += 0.01 * rng.normal(size=X.shape)
    codes = np.arange(800) // 2 % 4
    assert near_copies((scale * X).astype(np.float32), codes) > 0.9


@pytest.mark.parametrize("size", [2, 5])
def test_samples_of_a_small_class_are_no_near_copies(size):
    """Their tenth neighbour is of another class, as far away as the classes are."""
    rng = np.random.default_rng(0)
    codes = np.repeat(np.arange(200), size)
    X = rng.normal(size=(200, 64))[codes] + 0.5 * rng.normal(size=(len(codes), 64))
    assert near_copies(X.astype(np.float32), codes) == 0


def test_far_samples():
    X, _ = load_digits(return_X_y=True)
    shuffled = np.random.default_rng(0).permuted(X[:20], axis=1)  # pixels at random
    severity = far_samples(neighbor_distances(np.vstack([X, shuffled]))[1])
    assert (severity[-20:] > 0).mean() > 0.9
    assert (severity[:-20] > 0).mean() < 0.01
    assert severity.max() < 1


def test_far_samples_by_hand():
    """Logarithms 0 to 3 and 8: quartiles 1 and 3, and a limit 1.5 ranges above."""
    logs = np.array([0.0, 1, 2, 3, 8])
    severity = far_samples(np.exp(logs)[:, None])
    np.testing.assert_allclose(severity, [0, 0, 0, 0, 1 - np.exp(6.0 - 8)])
    # Of several neighbours the mean counts, and copies have no part in the limit.
    mean, half = np.exp(np.append(logs, -np.inf)), np.array([5, 4, 3, 2, 1, 0]) / 6
    near = np.stack([(1 - half) * mean, (1 + half) * mean], axis=1)
    np.testing.assert_allclose(far_samples(near), np.append(severity, 0))


def test_relabel_priority_by_hand():
    p = np.array([[0.2, 0.8, 0], [0.2, 0.4, 0.4], [1, 0, 0]])
    entropy = -(p * np.log(np.where(p > 0, p, 1))).sum(axis=1)
    expected = -np.log(p[:, 0]) - entropy
    found = relabel_priority([0, 0, 0], p, classes=[0, 1, 2])
    np.testing.assert_allclose(found, expected)
    assert found[0] > found[1] > found[2]  # clear errors before ambiguous samples


@pytest.mark.parametrize("n_features", [3, 40])
@pytest.mark.parametrize("scale", [1e-30, 1e-12, 1e12, 1e30])
def test_distances_of_any_scale(n_features, scale):
    X = np.random.default_rng(0).normal(size=(100, n_features)).astype(np.float32)
    index, distances = neighbor_distances(X, 5)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        scaled = neighbor_distances(scale * X, 5)
    np.testing.assert_array_equal(index, scaled[0])
    np.testing.assert_allclose(scaled[1], scale * distances, rtol=1e-4)


@pytest.mark.parametrize("wrong", ["x", 0.5, {"a": 1}, np.zeros(3), [[np.nan]], [[-1]]])
def test_distances_that_are_none(wrong):
    with pytest.raises(ValueError, match="^distances .*is not valid"):
        far_samples(wrong)
    with pytest.raises(ValueError, match="^distances .*is not valid"):
        near_duplicates([[0]], wrong)


@pytest.mark.parametrize("index", [[[1], [2]], [[-1], [0]], [[0.5], [0.0]]])
def test_neighbors_that_are_none(index):
    with pytest.raises(ValueError, match="^index is not valid.* integers from 0 to 1"):
        near_duplicates(index, np.ones((2, 1)))


@pytest.mark.parametrize("scale", [0.1, 0.3])
def test_where_all_samples_have_copies_with_little_noise(scale):
    X, _ = load_digits(return_X_y=True)
    noise = np.random.default_rng(0).normal(scale=scale, size=X.shape)
    groups, _ = near_duplicates(*neighbor_distances(np.vstack([X, X + noise])))
    first, second = np.split(groups, 2)
    assert ((first == second) & (first >= 0)).mean() > 0.9
    assert np.bincount(groups[groups >= 0]).mean() < 2.2
