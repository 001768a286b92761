"""Soft labels, against Bayes' rule with what is usually unknown."""

import numpy as np
import pytest

from sknoisy.scores import label_posterior, soft_labels


def simulated(T, n=20_000, sharpness=1.0):
    """Return true classes, noisy labels, and the probabilities that classes follow."""
    rng = np.random.default_rng(0)
    p = rng.dirichlet(np.full(len(T), 0.3), size=n) ** sharpness
    p /= p.sum(axis=1, keepdims=True)
    true = (p.cumsum(axis=1) > rng.random((n, 1))).argmax(axis=1)
    y = (T.cumsum(axis=1)[true] > rng.random((n, 1))).argmax(axis=1)
    return true, y, p


T = np.array([[0.7, 0.3, 0.0], [0.1, 0.8, 0.1], [0.0, 0.2, 0.8]])


def test_it_is_bayes_rule():
    true, y, p = simulated(T)
    exact = p * T[:, y].T
    exact /= exact.sum(axis=1, keepdims=True)
    found = soft_labels(y, p)
    np.testing.assert_allclose(found.sum(axis=1), 1)
    assert np.abs(found - exact).mean() < 0.03
    # As good a prediction of the true class as one can make, but for a few.
    best = (exact.argmax(axis=1) == true).mean()
    assert (found.argmax(axis=1) == true).mean() > best - 0.005
    assert best > (y == true).mean() + 0.05


@pytest.mark.parametrize("power", [0.3, 3.0])
def test_probabilities_need_not_be_calibrated(power):
    _, y, p = simulated(T)
    raised = p**power / (p**power).sum(axis=1, keepdims=True)
    changed = np.abs(soft_labels(y, raised) - soft_labels(y, p)).mean()
    assert changed < 0.5 * np.abs(raised - p).mean()


def test_sure_predictions_are_believed_whatever_the_labels_say():
    n_classes, rng = 10, np.random.default_rng(0)
    true = rng.integers(n_classes, size=3000)
    y = np.where(rng.random(3000) < 0.8, rng.integers(n_classes, size=3000), true)
    probs = np.full((3000, n_classes), 0.01)
    probs[np.arange(3000), true] = 0.91
    found = soft_labels(y, probs)
    assert (found.argmax(axis=1) == true).mean() > 0.99


def test_bolder_than_what_people_are_shown():
    """The posterior leaves room for the classifier's own errors."""
    true, y, p = simulated(np.full((3, 3), 0.2) + 0.4 * np.eye(3), sharpness=0.5)
    careful = label_posterior(y, p)
    right = np.where(careful.other > careful.given, careful.others, y) == true
    found = soft_labels(y, p)
    assert (found[np.arange(len(y)), y] < careful.given).mean() > 0.75
    assert (found.argmax(axis=1) == true).mean() > right.mean()


def test_the_order_of_classes_does_not_matter():
    _, y, p = simulated(T, n=500)
    names = np.array(["c", "a", "b"])
    order = np.argsort(names)
    found = soft_labels(names[y], p[:, order], classes=names[order])
    np.testing.assert_allclose(found[:, np.argsort(order)], soft_labels(y, p))


def test_trusted_labels_are_kept_and_say_nothing_of_others():
    _, y, p = simulated(T, n=600)
    trusted = np.arange(600) < 200
    found = soft_labels(y, p, trusted=trusted)
    np.testing.assert_array_equal(found[trusted], np.eye(3)[y[trusted]])
    alone = soft_labels(y[~trusted], p[~trusted], classes=[0, 1, 2])
    np.testing.assert_array_equal(found[~trusted], alone)
    everything = soft_labels(y, p, trusted=np.ones(600, dtype=bool))
    np.testing.assert_array_equal(everything, np.eye(3)[y])


def test_bad_input():
    with pytest.raises(ValueError, match="one class"):
        soft_labels([0, 0], [[1.0], [1.0]])
    with pytest.raises(ValueError, match="pred_probs"):
        soft_labels([0, 1], [[0.5, 0.6], [0.5, 0.5]])
    with pytest.raises(ValueError, match="trusted"):
        soft_labels([0, 1], [[0.5, 0.5], [0.5, 0.5]], trusted=[True])
