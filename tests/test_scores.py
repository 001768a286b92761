import numpy as np
import pytest

from sknoisy.noise import class_conditional, symmetric_exclusive
from sknoisy.scores import (
    confident_joint,
    estimate_noise_rate,
    estimate_transition_matrix,
)

RNG = np.random.default_rng(0)


def joint_by_loops(y, p):
    """Transcribe the definition, one sample at a time."""
    n = p.shape[1]
    t = [p[y == j, j].mean() if (y == j).any() else np.inf for j in range(n)]
    counts = np.zeros((n, n))
    for label, row in zip(y, p, strict=True):
        sure = [j for j in range(n) if row[j] >= t[j] - 1e-6]
        if sure:
            counts[label, max(sure, key=lambda j: row[j])] += 1
    for j in range(n):
        if (y == j).any():
            counts[j, j] = max(counts[j, j], 1)
            counts[j] *= (y == j).sum() / counts[j].sum()
    return counts


@pytest.mark.parametrize("n_classes", [2, 3, 10])
def test_confident_joint_is_its_definition(n_classes):
    p = RNG.dirichlet(np.ones(n_classes) / 2, size=300)
    y = RNG.integers(n_classes, size=300)
    joint = confident_joint(y, p, classes=range(n_classes))
    np.testing.assert_allclose(joint, joint_by_loops(y, p))
    np.testing.assert_allclose(joint.sum(axis=1), np.bincount(y, minlength=n_classes))


def test_class_without_samples():
    p = RNG.dirichlet(np.ones(4), size=50)
    y = RNG.integers(3, size=50)
    joint = confident_joint(y, p, classes=range(4))
    np.testing.assert_allclose(joint, joint_by_loops(y, p))
    assert joint[3].sum() == joint[:, 3].sum() == 0
    T = estimate_transition_matrix(y, p, classes=range(4))
    assert T[3].tolist() == [0, 0, 0, 1]


def test_chunks_do_not_show(monkeypatch):
    p = RNG.dirichlet(np.ones(5), size=200)
    y = RNG.integers(5, size=200)
    whole = confident_joint(y, p)
    monkeypatch.setattr("sknoisy.scores.CHUNK", 35)
    np.testing.assert_array_equal(whole, confident_joint(y, p))


@pytest.mark.parametrize("method, atol", [("confident_joint", 0.05), ("anchor", 0.02)])
def test_known_noise_is_recovered(method, atol):
    """With the true posterior of the noisy labels, both estimates find T."""
    T = np.array([[0.7, 0.2, 0.1], [0.0, 0.9, 0.1], [0.3, 0.0, 0.7]])
    clean = np.arange(3000) % 3
    noisy = class_conditional(clean, T, random_state=0)
    posterior = T[clean]
    if method == "confident_joint":  # which wants the posterior of the clean ones
        posterior = 0.95 * np.eye(3)[clean] + 0.05 / 3
    estimate = estimate_transition_matrix(noisy.y, posterior, method=method)
    np.testing.assert_allclose(estimate, T, atol=atol)
    np.testing.assert_allclose(estimate.sum(axis=1), 1)


def test_anchor_by_hand():
    """Column 0 is highest in row 2, its second highest is in row 0."""
    p = np.array([[0.8, 0.2], [0.1, 0.9], [1.0, 0.0], [0.3, 0.7], [0.4, 0.6]])
    y = [0, 1, 0, 1, 1]
    top = estimate_transition_matrix(y, p, method="anchor", percentile=100)
    np.testing.assert_allclose(top, [[1.0, 0.0], [0.1, 0.9]])
    lower = estimate_transition_matrix(y, p, method="anchor", percentile=75)
    np.testing.assert_allclose(lower, [[0.8, 0.2], [0.3, 0.7]])


@pytest.mark.parametrize("rate", [0.0, 0.2, 0.5])
def test_noise_rate_on_real_digits(rate):
    from sklearn.datasets import load_digits
    from sklearn.linear_model import LogisticRegression
    from sklearn.model_selection import cross_val_predict
    from sklearn.pipeline import make_pipeline
    from sklearn.preprocessing import StandardScaler

    X, y = load_digits(return_X_y=True)
    noisy = symmetric_exclusive(y, rate, random_state=0)
    clf = make_pipeline(StandardScaler(), LogisticRegression(C=0.01))
    p = cross_val_predict(clf, X, noisy.y, method="predict_proba")
    assert estimate_noise_rate(noisy.y, p) == pytest.approx(rate, abs=0.08)


@pytest.mark.parametrize(
    "y, p, message",
    [
        ([0, 1], [[0.5, 0.5]], r"shape \(1, 2\) is not valid: y has 2 labels"),
        ([0, 1], [0.5, 0.5], r"shape \(2,\) is not valid"),
        ([0, 1], np.full((2, 3), 1 / 3), "3 columns, but there are 2 classes"),
        ([0, 1], [[np.nan, 1], [0, 1]], "NaN"),
        ([0, 1], [[0.5, 0.6], [0, 1]], "sum to 1 to 1.1"),
        ([0, 1], [[-0.5, 1.5], [0, 1]], "must be probabilities"),
    ],
)
def test_bad_input(y, p, message):
    with pytest.raises(ValueError, match=message):
        confident_joint(y, p)


def test_string_labels():
    p = [[0.9, 0.1], [0.2, 0.8]]
    assert estimate_noise_rate(["cat", "dog"], p) == 0
