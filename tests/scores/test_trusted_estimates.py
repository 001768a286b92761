"""Estimates of noise by labels that are known to be right."""

import tracemalloc
import warnings

import numpy as np
import pytest
from scipy.stats import binomtest

from sknoisy.detection.evidence import Evidence
from sknoisy.scores import (
    estimate_transition_matrix,
    label_posterior,
    trusted_transition_matrix,
)

T = np.array([[0.6, 0.4, 0.0], [0.1, 0.8, 0.1], [0.0, 0.0, 1.0]])


def simulated(n=6000, skill=1.2):
    """Return true classes, labels, probabilities of an unsure classifier, trust."""
    rng = np.random.default_rng(0)
    true = rng.integers(3, size=n)
    trusted = np.arange(n) % 10 == 0
    labels = (T[true].cumsum(axis=1) > rng.random((n, 1))).argmax(axis=1)
    labels[trusted] = true[trusted]
    scores = rng.normal(size=(n, 3)) + skill * np.eye(3)[true]
    probs = np.exp(2 * scores)
    return true, labels, probs / probs.sum(axis=1, keepdims=True), trusted


def test_exact_counts_give_the_matrix():
    """Of a classifier whose errors are known, in any number of classes."""
    confusion = np.array([[0.7, 0.2, 0.1], [0.1, 0.7, 0.2], [0.2, 0.1, 0.7]])
    prior = np.array([0.5, 0.3, 0.2])
    joint = 1e6 * np.einsum("i,ij,iy->jy", prior, confusion, T)
    start = joint / joint.sum(axis=1, keepdims=True)
    found = trusted_transition_matrix(1e6 * confusion, joint, start, n_steps=2000)
    np.testing.assert_allclose(found, T, atol=0.01)
    assert abs(start - T).max() > 0.15


def test_a_step_of_expectation_maximisation_by_hand():
    """Three more samples of each class are known, and predicted right."""
    confusion, joint = np.array([[5, 2], [1, 3]]), np.array([[10, 4], [3, 9]])
    start = np.array([[0.7, 0.3], [0.2, 0.8]])
    errors = np.array([[8 / 10, 2 / 10], [1 / 7, 6 / 7]])
    counts = np.zeros((2, 2))
    for predicted in (0, 1):
        for label in (0, 1):
            true = errors[:, predicted] * start[:, label] / 2
            counts[:, label] += joint[predicted, label] * true / true.sum()
    found = trusted_transition_matrix(confusion, joint, start, n_steps=1)
    np.testing.assert_allclose(found, counts / counts.sum(axis=1, keepdims=True))


def test_classes_and_labels_that_nobody_has():
    confusion = [[0, 0, 0], [0, 5, 0], [0, 0, 0]]
    joint = [[0, 0, 0], [0, 0, 0], [0, 0, 1]]
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        found = trusted_transition_matrix(confusion, joint, np.eye(3), n_steps=2000)
        nothing = trusted_transition_matrix(confusion, np.zeros((3, 3)), T)
    np.testing.assert_allclose(found.sum(axis=1), 1)
    assert found[2, 2] > 0.99
    np.testing.assert_allclose(nothing, T, atol=2e-6)


def test_memory_grows_with_the_pairs_of_classes():
    n = 200
    tracemalloc.start()
    trusted_transition_matrix(np.eye(n), np.ones((n, n)), np.eye(n), n_steps=2)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 20 * 8 * n**2


@pytest.mark.parametrize("method", ["confident_joint", "votes", "anchor"])
def test_errors_of_the_classifier_are_not_the_labels(method):
    _, labels, probs, trusted = simulated()
    plain = estimate_transition_matrix(labels, probs, method=method)
    found = estimate_transition_matrix(labels, probs, method=method, trusted=trusted)
    np.testing.assert_allclose(found.sum(axis=1), 1)
    assert abs(found - T).max() < 0.1
    assert method == "votes" or abs(plain - T).max() > 0.1


def test_if_all_are_trusted_nothing_is_noise():
    true, _, probs, _ = simulated(300)
    every = np.ones(300, bool)
    found = estimate_transition_matrix(true, probs, trusted=every)
    np.testing.assert_array_equal(found, np.eye(3))
    posterior = label_posterior(true, probs, trusted=every)
    assert posterior.noise_rate == 0 and (posterior.given == 1).all()


def test_posterior_is_of_the_others():
    _, labels, probs, trusted = simulated()
    found = label_posterior(labels, probs, trusted=trusted)
    alone = label_posterior(labels[~trusted], probs[~trusted])
    np.testing.assert_array_equal(found.given[~trusted], alone.given)
    np.testing.assert_array_equal(found.given[trusted], 1)
    assert found.noise_rate == pytest.approx(0.9 * alone.noise_rate)
    np.testing.assert_allclose(found.transition_matrix, T, atol=0.1)


def exchanged(seed):
    """Return labels of two classes, 70% of them exchanged, and what tells of them."""
    rng = np.random.default_rng(seed)
    true, trusted = np.arange(600) % 2, np.arange(600) % 10 == 0
    p = rng.beta(10, 3, size=600)  # of the true class
    probs = np.where(true[:, None] == [0, 1], p[:, None], 1 - p[:, None])
    labels = np.where((rng.random(600) < 0.7) & ~trusted, 1 - true, true)
    return true, labels, probs, trusted


def test_most_labels_may_be_wrong_where_trusted_ones_say_so():
    """Disagreement could be the classifier's fault, if they did not bound that."""
    blamed = 0
    for seed in range(4):
        true, labels, probs, trusted = exchanged(seed)
        alone = label_posterior(labels[~trusted], probs[~trusted])
        found = label_posterior(labels, probs, trusted=trusted)
        wrong, called = labels != true, found.given < 0.5
        assert abs(found.noise_rate - wrong.mean()) < 0.12
        assert (called == wrong)[~trusted].mean() > 0.9
        errors = np.count_nonzero((probs.argmax(axis=1) != true) & trusted)
        most = binomtest(errors, 60).proportion_ci(method="wilson").high
        assert found.own_error <= most + 1e-4
        blamed += alone.noise_rate < 0.1 and alone.own_error > most
    assert blamed


def test_errors_bound_nothing_where_trusted_labels_were_learned():
    """As in a single training: the others are predicted worse."""
    _, labels, probs, trusted = exchanged(1)
    alone = label_posterior(labels[~trusted], probs[~trusted])
    early = np.take_along_axis(probs, np.c_[labels, 1 - labels], axis=1)
    evidence = Evidence(labels, 1 - labels, early=early, n_classes=2)
    found = evidence.posterior(trusted)
    np.testing.assert_allclose(found.given[~trusted], alone.given)
    assert found.own_error == pytest.approx(alone.own_error)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"confusion": "x"}, "^confusion is not valid"),
        ({"joint": 3}, r"^joint of shape \(\) is not valid"),
        ({"T": [[1.0, np.nan], [0.0, 1.0]]}, "^T of shape .* finite"),
        ({"joint": np.ones((3, 3))}, r"joint of shape \(3, 3\) .* one shape"),
        ({"n_steps": 0.5}, "n_steps=0.5 is not valid"),
    ],
    ids=["text", "number", "nan", "shape", "steps"],
)
def test_matrices_that_are_none(change, message):
    given = {"confusion": np.eye(2), "joint": np.eye(2), "T": np.eye(2)} | change
    with pytest.raises(ValueError, match=message):
        trusted_transition_matrix(**given)
