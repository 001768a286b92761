import tracemalloc

import numpy as np
import pytest
from scipy.sparse import csr_array

from sknoisy.scores import (
    hoc_transition_matrix,
    knn_agreement,
    knn_votes,
    neighbor_index,
    neighbor_label_votes,
    relative_votes,
    votes_from,
)
from sknoisy.scores.neighbors import TREE_FEATURES, fill_nearest

RNG = np.random.default_rng(0)
WIDE = RNG.normal(size=(700, 40)) + 0.3
NARROW = WIDE[:, :5]


def similarities(X, include_self=False):
    directions = X / np.linalg.norm(X, axis=1, keepdims=True)
    similarity = directions @ directions.T
    np.fill_diagonal(similarity, np.inf if include_self else -np.inf)
    return similarity


@pytest.mark.parametrize("include_self", [False, True])
@pytest.mark.parametrize("k", [1, 2, 30, 699])
@pytest.mark.parametrize("X", [WIDE, NARROW], ids=["wide", "narrow"])
def test_index_is_brute_force(X, k, include_self):
    index = neighbor_index(X, k, include_self)
    assert index.dtype == np.int32
    similarity = similarities(X, include_self)
    best = -np.sort(-similarity, axis=1)[:, :k]
    found = np.take_along_axis(similarity, index, axis=1)
    np.testing.assert_allclose(found, best, atol=1e-6)
    assert all(len(set(row)) == k for row in index.tolist())
    assert ((index == np.arange(len(X))[:, None]).any(axis=1) == include_self).all()


def test_index_of_many_samples_is_scikit_learns():
    """Limits are guessed here from a part of each row, and some are too high."""
    from sklearn.neighbors import NearestNeighbors

    X = RNG.normal(size=(4000, TREE_FEATURES + 1))
    X[::8] *= np.sign(X[::8, :1])  # the part is unlike the rest
    X /= np.linalg.norm(X, axis=1, keepdims=True)
    theirs = NearestNeighbors(n_neighbors=25).fit(X).kneighbors(return_distance=False)
    assert (neighbor_index(X, 25) == theirs).mean() > 0.9999  # float32


@pytest.mark.parametrize("X", [WIDE, NARROW], ids=["wide", "narrow"])
def test_sparse_features(X):
    X = np.where(X > 0.3, X, 0)
    X[:, 0] = 0.1
    dense, sparse = neighbor_index(X, 20), neighbor_index(csr_array(X), 20)
    similarity = similarities(X)
    np.testing.assert_allclose(
        np.take_along_axis(similarity, dense, axis=1),
        np.take_along_axis(similarity, sparse, axis=1),
        atol=1e-6,
    )


def test_chunks_do_not_show(monkeypatch):
    y = np.arange(700) % 4
    index, votes = neighbor_index(WIDE, 9), knn_votes(y, WIDE, 9)
    monkeypatch.setattr("sknoisy.scores.neighbors.SIMILARITIES", 5000)
    monkeypatch.setattr("sknoisy.scores.reading.CHUNK", 100)
    np.testing.assert_array_equal(neighbor_index(WIDE, 9), index)
    np.testing.assert_array_equal(knn_votes(y, WIDE, 9), votes)


@pytest.mark.parametrize("k", [1, 9, 60, 139])
def test_ties_among_blocks_are_taken_in_order(monkeypatch, k):
    """Products of small integers are exact, and many are equal."""
    X = np.random.default_rng(1).integers(0, 2, (140, TREE_FEATURES + 1))
    X = X.astype(np.float32)
    similarity = X @ X.T - X.sum(axis=1) / 2
    np.fill_diagonal(similarity, -np.inf)
    expected = np.argsort(-similarity, axis=1, kind="stable")[:, :k]
    for cells in (2**20, 2500, 400):
        monkeypatch.setattr("sknoisy.scores.neighbors.SIMILARITIES", cells)
        index = np.empty((140, k), dtype=np.int32)
        fill_nearest(X, index, X.sum(axis=1) / 2)
        np.testing.assert_array_equal(index, expected)


def test_samples_that_come_ever_nearer(monkeypatch):
    """Every later block has so many nearer samples that they are chosen among."""
    monkeypatch.setattr("sknoisy.scores.neighbors.SIMILARITIES", 10_000)
    X = np.ones((600, TREE_FEATURES + 1), dtype=np.float32)
    X[:, 0] = np.arange(1, 601)
    index = np.empty((600, 5), dtype=np.int32)
    fill_nearest(X, index)
    assert index[:500].tolist() == [[599, 598, 597, 596, 595]] * 500


def test_equal_samples_are_taken_in_order():
    """Of 100 equal samples, the first ones are everyone's neighbours."""
    index = neighbor_index(np.ones((100, TREE_FEATURES + 1)), 3)
    assert index[50].tolist() == [0, 1, 2]
    assert index[1].tolist() == [0, 2, 3]


def test_never_all_pairs_in_memory():
    X = RNG.normal(size=(12_000, 32)).astype(np.float32)
    tracemalloc.start()
    neighbor_index(X, 20)
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert peak < 4 * len(X) ** 2 / 4  # all pairs would take 4 bytes each


def test_votes_of_codes_that_change():
    index = neighbor_index(WIDE, 15, include_self=True)
    for seed in range(2):
        codes = np.random.default_rng(seed).integers(6, size=700)
        votes = votes_from(index, codes, 7)
        expected = (codes[index][:, :, None] == np.arange(7)).mean(axis=1)
        np.testing.assert_allclose(votes, expected, atol=1e-7)
        np.testing.assert_array_equal(
            votes, knn_votes(codes, WIDE, 15, np.arange(7), include_self=True)
        )


def test_relative_votes_by_hand():
    votes = np.array([[0.6, 0.4, 0.0], [0.9, 0.1, 0.0]])
    relative = relative_votes(votes, [0.8, 0.2, 0.0])
    np.testing.assert_allclose(relative, [[0.375, 1, 0], [1, 4 / 9, 0]])
    counts = relative_votes([[6, 4, 0], [0, 0, 9]], [0.8, 0.2, 0.0])
    np.testing.assert_allclose(counts, [[0.375, 1, 0], [0, 0, 0]])
    with pytest.raises(ValueError, match=r"prior of shape \(2,\)"):
        relative_votes(votes, [0.8, 0.2])
    with pytest.raises(ValueError, match="prior=.* is not valid: shares must be"):
        relative_votes(votes, [0.8, np.nan, 0.2])


def test_too_few_samples():
    with pytest.raises(ValueError, match="n_neighbors=5 is not valid: .* less than"):
        neighbor_index(WIDE[:5], 5)
    with pytest.raises(ValueError, match="n_neighbors=6 is not valid: .* at most"):
        neighbor_index(WIDE[:5], 6, include_self=True)
    assert neighbor_index(WIDE[:5], 5, include_self=True).shape == (5, 5)


def test_votes_have_weights():
    index = np.array([[1, 2], [0, 2], [0, 1]])
    codes, weights = np.array([0, 1, 1]), np.array([1.0, 0.0, 3.0])
    votes = votes_from(index, codes, 2, weights)
    np.testing.assert_allclose(votes, [[0, 1], [0.25, 0.75], [1, 0]])
    none = votes_from(index, codes, 2, np.zeros(3))
    np.testing.assert_allclose(none, np.full((3, 2), 0.5))
    X, y = np.random.default_rng(0).normal(size=(50, 3)), np.arange(50) % 3
    equal = knn_votes(y, X, 5, sample_weight=np.full(50, 7.0))
    np.testing.assert_array_equal(equal, knn_votes(y, X, 5))


@pytest.mark.parametrize("scale", [1e-30, 1e30, 1e-200, 1e200])
@pytest.mark.parametrize("X", [WIDE, NARROW], ids=["wide", "narrow"])
def test_directions_of_any_scale(X, scale):
    dtype = np.float32 if 1e-40 < scale < 1e40 else np.float64
    index = neighbor_index((scale * X).astype(dtype), 3)
    same = index == neighbor_index(X, 3)
    assert same.mean() > 0.99
    if X is WIDE:
        sparse = neighbor_index(csr_array((scale * X).astype(dtype)), 3)
        assert (sparse == index).mean() > 0.99


def test_votes_of_what_is_not_there():
    index, codes = np.array([[1], [0]]), np.array([0, 1])
    for wrong in ([[2], [0]], [[-1], [0]], [[0.5], [1.0]]):
        with pytest.raises(ValueError, match="^index is not valid.* from 0 to 1"):
            votes_from(wrong, codes, 2)
    with pytest.raises(ValueError, match="^codes is not valid.* from 0 to 0"):
        votes_from(index, codes, 1)
    for wrong in (0.5, [1.0], [1.0, -1.0], "x"):
        with pytest.raises(ValueError, match="^sample_weight"):
            votes_from(index, codes, 2, sample_weight=wrong)


def test_knn_votes_are_counted():
    X, y = RNG.normal(size=(60, 5)), RNG.integers(3, size=60)
    directions = X / np.linalg.norm(X, axis=1, keepdims=True)
    similarity = directions @ directions.T
    np.fill_diagonal(similarity, -np.inf)
    nearest = y[np.argsort(-similarity, axis=1)[:, :4]]
    expected = (nearest[:, :, None] == np.arange(3)).mean(axis=1)
    np.testing.assert_allclose(knn_votes(y, X, n_neighbors=4), expected)
    agreement = knn_agreement(y, X, n_neighbors=4)
    np.testing.assert_allclose(agreement, expected[np.arange(60), y])


@pytest.mark.parametrize("wrong", [np.float32(0.5), 3])
@pytest.mark.parametrize(
    "score", [knn_votes, knn_agreement, hoc_transition_matrix, neighbor_label_votes]
)
def test_features_that_are_a_number(score, wrong):
    with pytest.raises(TypeError, match="^features is not valid"):
        score([0, 1, 0, 1], wrong)


@pytest.mark.parametrize(
    "features, n_neighbors, message",
    [
        (np.zeros((3, 2)), 1, "inconsistent numbers of samples"),
        (np.zeros((4, 2)), 4, "n_neighbors=4 is not valid: .* less than the 4"),
        (np.zeros((4, 2)), 0, "n_neighbors=0 is not valid"),
        (np.full((4, 2), np.nan), 1, "features contains NaN"),
    ],
)
def test_bad_features(features, n_neighbors, message):
    with pytest.raises(ValueError, match=message):
        knn_votes([0, 1, 0, 1], features, n_neighbors)
