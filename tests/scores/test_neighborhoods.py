import numpy as np
import pytest

from sknoisy.noise import class_conditional, symmetric_exclusive
from sknoisy.scores import (
    knn_votes,
    label_votes,
    neighbor_label_votes,
    shrunk_transition_matrix,
)
from sknoisy.scores import neighborhoods as room

SYMMETRIC = np.full((4, 4), 0.1) + 0.6 * np.eye(4)
PAIR = 0.6 * np.eye(4) + 0.4 * np.roll(np.eye(4), 1, axis=1)


def blobs(n=2000, shares=(0.25, 0.25, 0.25, 0.25), spread=0.2, seed=0):
    rng = np.random.default_rng(seed)
    y = rng.choice(4, p=shares, size=n)
    return np.eye(4)[y] + spread * rng.normal(size=(n, 4)), y


def rows_of(votes):
    return votes / votes.sum(axis=1, keepdims=True)


@pytest.mark.parametrize("T", [np.eye(4), SYMMETRIC, PAIR])
@pytest.mark.parametrize("shares", [(0.25,) * 4, (0.55, 0.25, 0.15, 0.05)])
def test_known_noise_is_recovered(T, shares):
    X, y = blobs(shares=shares)
    noisy = class_conditional(y, T, random_state=0)
    votes = neighbor_label_votes(noisy.y, X)
    assert votes.sum() == pytest.approx(2000)
    realised = np.array([(noisy.y == c) & (y == i) for i in range(4) for c in range(4)])
    realised = rows_of(realised.sum(axis=1).reshape(4, 4))
    np.testing.assert_allclose(rows_of(votes), realised, atol=0.06)


def test_neighbours_of_other_classes_are_not_taken_for_noise():
    X, y = blobs(spread=0.5)
    of_others = 1 - knn_votes(y, X, 50)[np.arange(2000), y].mean()
    rate = 1 - rows_of(neighbor_label_votes(y, X)).diagonal().mean()
    assert rate < of_others / 3


def test_wrong_labels_do_not_look_surer():
    """The surest samples have more noise than all; expected counts do not."""
    rates = []
    for seed in range(10):
        X, y = blobs(400, seed=seed)
        noisy = symmetric_exclusive(y, 0.4, random_state=seed).y
        of_surest = label_votes(noisy, knn_votes(noisy, X, 25), share=0.25)
        of_all = neighbor_label_votes(noisy, X, n_neighbors=25)
        rates.append([1 - rows_of(v).diagonal().mean() for v in (of_surest, of_all)])
    surest, expected = np.mean(rates, axis=0)
    assert surest > 0.45
    assert expected == pytest.approx(0.4, abs=0.02)


def test_a_step_by_hand(monkeypatch):
    """Bayes' rule over the true class, sample by sample."""
    monkeypatch.setattr(room, "MAX_ITER", 1)
    rng = np.random.default_rng(0)
    codes = rng.integers(3, size=20)
    shares, posterior = rng.dirichlet(np.ones(3), 20), rng.dirichlet(np.ones(3), 20)
    weight, n, eps = 2.5, 3, room.UNSEEN / 3
    T, near = np.full((n, n), eps), np.full((n, n), eps)
    for i in range(20):
        T[:, codes[i]] += posterior[i]
        near += np.outer(posterior[i], shares[i])
    T, near = rows_of(T), rows_of(near)
    prior = posterior.sum(axis=0) + eps
    joint, likelihood = np.zeros((n, n)), 0.0
    for i in range(20):
        by_near = prior / prior.sum() * np.prod(near ** (weight * shares[i]), axis=1)
        both = by_near * T[:, codes[i]]
        joint[:, codes[i]] += both / both.sum()
        likelihood += np.log(both.sum() / by_near.sum()) / 20
    found = room._fit(codes, shares, posterior, weight)
    assert found[0] == pytest.approx(likelihood)
    np.testing.assert_allclose(found[1], joint)


def test_a_whole_fit_is_its_formulas():
    """Eight weights of the neighbours; of their fits the most likely is returned."""
    n_neighbors = 10
    X, y = blobs(200, spread=0.5)
    y = symmetric_exclusive(y, 0.2, random_state=0).y
    unit = X / np.linalg.norm(X, axis=1, keepdims=True)
    cosines = unit @ unit.T - 2 * np.eye(200)
    labels = np.eye(4)[y]
    shares = labels[np.argsort(-cosines, axis=1)[:, :n_neighbors]].mean(axis=1)
    eps, fits = 1e-3 / 4, {}
    for weight in n_neighbors / 1.5 ** np.arange(8):
        posterior = np.eye(4)[shares.argmax(axis=1)]
        for _ in range(100):
            prior = rows_of(posterior.sum(axis=0)[None] + eps)
            T, near = (rows_of(posterior.T @ seen + eps) for seen in (labels, shares))
            by_near = prior * np.exp(weight * shares @ np.log(near).T)
            both = by_near * T[:, y].T
            before, posterior = posterior, rows_of(both)
            if np.abs(posterior - before).mean() < 1e-5:
                break
        likelihood = np.log(both.sum(axis=1) / by_near.sum(axis=1)).mean()
        fits[likelihood] = posterior.T @ labels
    votes = neighbor_label_votes(y, X, n_neighbors=n_neighbors)
    np.testing.assert_allclose(votes, fits[max(fits)], atol=1e-3)


def test_many_samples_are_drawn_from(monkeypatch):
    X, y = blobs()
    noisy = class_conditional(y, PAIR, random_state=0).y
    whole = shrunk_transition_matrix(neighbor_label_votes(noisy, X))
    monkeypatch.setattr(room, "MOST_SAMPLES", 1000)
    votes = neighbor_label_votes(noisy, X)
    assert votes.sum() == pytest.approx(1000)
    np.testing.assert_array_equal(votes, neighbor_label_votes(noisy, X))
    np.testing.assert_allclose(shrunk_transition_matrix(votes), whole, atol=0.08)


def test_class_without_labels_and_strings():
    X, y = blobs(1000, spread=0.1)
    names = np.array(["ant", "bee", "cat", "dog"])[y]
    votes = neighbor_label_votes(names, X, ["ant", "bee", "cat", "dog", "eel"])
    np.testing.assert_allclose(votes[:4, :4], np.diag(np.bincount(y)), atol=0.1)
    np.testing.assert_allclose(votes[4], 0, atol=0.01)
    np.testing.assert_array_equal(
        neighbor_label_votes(["a"] * 9, X[:9], None, 3), [[9]]
    )


@pytest.mark.parametrize(
    "y, settings, message",
    [
        ([0, 1, 0], {}, "inconsistent numbers of samples"),
        ([0, 1, 0, 1], {"n_neighbors": 4}, "n_neighbors=4 is not valid"),
        ([0, 1, 0, 1], {"classes": [1, 0]}, "sorted and distinct"),
    ],
)
def test_errors(y, settings, message):
    with pytest.raises(ValueError, match=message):
        neighbor_label_votes(y, np.eye(4), **settings)
