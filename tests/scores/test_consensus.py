import numpy as np
import pytest

from sknoisy.noise import class_conditional
from sknoisy.scores import hoc_noise_rate, hoc_transition_matrix
from sknoisy.scores.consensus import consensus_counts, true_shares

SYMMETRIC = np.full((4, 4), 0.1) + 0.6 * np.eye(4)
PAIR = 0.6 * np.eye(4) + 0.4 * np.roll(np.eye(4), 1, axis=1)
RANDOM = 0.55 * np.eye(4) + 0.45 * np.random.default_rng(3).dirichlet(np.ones(4), 4)


def blobs(n=8000, shares=(0.25, 0.25, 0.25, 0.25), spread=0.2, seed=0):
    rng = np.random.default_rng(seed)
    y = rng.choice(4, p=shares, size=n)
    return np.eye(4)[y] + spread * rng.normal(size=(n, 4)), y


def test_counts_by_hand():
    """Samples of labels 0, 1, 1, 0; each has one pair of neighbours but the last."""
    codes = np.array([0, 1, 1, 0])
    near = np.array([[1, 2], [2, 0], [1, 3], [0, 1]])
    triples, counts = consensus_counts(codes, near, np.arange(3), n_classes=2)
    assert triples.tolist() == [[0, 1, 1]]
    assert counts.tolist() == [3]
    triples, counts = consensus_counts(codes, near, np.arange(4), n_classes=3)
    assert triples.tolist() == [[0, 0, 1], [0, 1, 1]]
    assert counts.tolist() == [1, 3]
    near = np.array([[1, 2, 3, 3]])  # two pairs: labels 1, 1 and 0, 0
    triples, counts = consensus_counts(codes, near, np.array([0]), n_classes=2)
    assert triples.tolist() == [[0, 0, 0], [0, 1, 1]]
    assert counts.tolist() == [1, 1]


@pytest.mark.parametrize("T", [np.eye(4), SYMMETRIC, PAIR, RANDOM])
@pytest.mark.parametrize("settings", [{}, {"share": 1.0, "n_pairs": 1}])
def test_known_noise_is_recovered(T, settings):
    X, y = blobs()
    noisy = class_conditional(y, T, random_state=0)
    found = hoc_transition_matrix(noisy.y, X, **settings)
    np.testing.assert_allclose(found, noisy.transition_matrix, atol=0.07)
    np.testing.assert_allclose(found.sum(axis=1), 1)
    rate = hoc_noise_rate(noisy.y, X, **settings)
    assert rate == pytest.approx(noisy.rate, abs=0.03)


def test_rate_is_that_of_unequal_classes():
    """Only the largest class has noise; a mean over classes would be 0.1."""
    X, y = blobs(shares=(0.7, 0.1, 0.1, 0.1))
    T = np.eye(4)
    T[0, :2] = 0.6, 0.4
    noisy = class_conditional(y, T, random_state=0)
    assert hoc_noise_rate(noisy.y, X, share=1.0) == pytest.approx(0.28, abs=0.03)


def test_choosing_lowers_the_bias():
    X, y = blobs(spread=0.45)
    assert hoc_noise_rate(y, X, share=1.0) > 0.1
    assert hoc_noise_rate(y, X) < 0.03


def test_true_shares_by_hand():
    T = np.array([[0.5, 0.5], [0.0, 1.0]])
    np.testing.assert_allclose(true_shares(T, np.array([30, 70])), [0.6, 0.4])


def test_class_without_labels_and_strings():
    X, y = blobs(1000, spread=0.1)
    names = np.array(["ant", "bee", "cat", "dog"])[y]
    T = hoc_transition_matrix(names, X, classes=["ant", "bee", "cat", "dog", "eel"])
    np.testing.assert_allclose(T, np.eye(5), atol=1e-6)
    assert hoc_noise_rate(names, X) == pytest.approx(0, abs=1e-6)


@pytest.mark.parametrize(
    "settings, message",
    [
        ({"n_pairs": 0}, "n_pairs=0 is not valid"),
        ({"share": 0.0}, "share=0.0 is not valid"),
        ({"n_neighbors": 10}, "n_neighbors=10 is not valid: .* >= 11"),
        ({"n_neighbors": 100}, "n_neighbors=100 is not valid: .* less than the 100"),
        ({"classes": [1, 0]}, "sorted and distinct"),
    ],
)
def test_errors(settings, message):
    X, y = blobs(100)
    with pytest.raises(ValueError, match=message):
        hoc_transition_matrix(y % 2, X, **settings)
