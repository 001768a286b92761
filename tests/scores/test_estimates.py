import numpy as np
import pytest
from scipy.stats import dirichlet_multinomial

from sknoisy.metrics import detection_average_precision
from sknoisy.noise import class_conditional, symmetric_exclusive
from sknoisy.scores import (
    area_under_margin,
    estimate_noise_rate,
    estimate_transition_matrix,
    label_posterior,
    label_votes,
    noise_concentration,
    shrunk_transition_matrix,
)

RNG = np.random.default_rng(0)


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
    """At 75% of 5, the second highest is the limit, and the third highest is taken."""
    p = np.array([[0.8, 0.2], [0.1, 0.9], [1.0, 0.0], [0.3, 0.7], [0.4, 0.6]])
    y = [0, 1, 0, 1, 1]
    top = estimate_transition_matrix(y, p, method="anchor", percentile=100)
    np.testing.assert_allclose(top, [[1.0, 0.0], [0.1, 0.9]])
    lower = estimate_transition_matrix(y, p, method="anchor", percentile=75)
    np.testing.assert_allclose(lower, [[0.4, 0.6], [0.4, 0.6]])


def test_anchor_is_the_authors():
    """Largest probability below the percentile: giorgiop/loss-correction, noise.py."""
    p = RNG.dirichlet(np.ones(4), size=500)
    anchors = []
    for column in p.T:
        limit = np.percentile(column, 97, method="higher")
        anchors.append(np.where(column >= limit, 0, column).argmax())
    T = estimate_transition_matrix(p.argmax(axis=1), p, method="anchor")
    np.testing.assert_allclose(T, p[anchors])


def test_votes_by_hand():
    """Of 6 samples, 2 vote for each of 2 classes with a share of 2/3."""
    p = np.array([0.9, 0.8, 0.6, 0.4, 0.2, 0.1])
    p, y = np.stack([p, 1 - p], axis=1), [0, 1, 1, 0, 1, 1]
    np.testing.assert_array_equal(label_votes(y, p, share=2 / 3), [[1, 1], [0, 2]])
    T = estimate_transition_matrix(y, p, method="votes", share=2 / 3)
    np.testing.assert_allclose(T, [[0.5, 0.5], [0.0, 1.0]])
    # By default a tenth votes: here one sample, the surest.
    np.testing.assert_array_equal(label_votes(y, p), [[1, 0], [0, 1]])
    assert estimate_noise_rate(y, p, method="votes") == 0


def test_votes_do_not_mind_a_classifier_that_is_poor_elsewhere():
    """It is right where it is sure, and guesses half of the samples."""
    rng = np.random.default_rng(0)
    clean = rng.integers(4, size=8000)
    noisy = symmetric_exclusive(clean, 0.3, random_state=0).y
    sure = rng.random(8000) < 0.5
    p = np.where(sure[:, None], 0.9 * np.eye(4)[clean] + 0.025, 0)
    p[~sure] = rng.dirichlet(np.full(4, 5.0), size=(~sure).sum())
    rate = estimate_noise_rate(noisy, p, method="votes")
    assert rate == pytest.approx(0.3, abs=0.03)
    assert estimate_noise_rate(noisy, p) > 0.33


def test_concentration_is_without_bias():
    rng = np.random.default_rng(0)
    found = []
    for _ in range(2000):  # three uniform wrong labels of each class
        votes = 9 * np.eye(5, dtype=int)
        for row, wrong in zip(votes, np.arange(5), strict=True):
            others = np.delete(np.arange(5), wrong)
            np.add.at(row, rng.choice(others, size=3), 1)
        found.append(noise_concentration(votes))
    assert np.mean(found) == pytest.approx(0, abs=0.01)
    pair_flip = 9 * np.eye(5) + 3 * np.roll(np.eye(5), 1, axis=1)
    assert noise_concentration(pair_flip) == 1
    assert noise_concentration(9 * np.eye(5)) == 0
    # Of two classes: shares of 3/12 and 2/20, of which ten times as many make sure, and
    # of one class alone.
    votes = np.array([[9, 3], [2, 18]])
    assert noise_concentration(votes) == 0
    assert noise_concentration(10 * votes) == pytest.approx(0.15 / 0.35)
    assert noise_concentration([[9, 0], [5, 5]]) == 1


@pytest.mark.parametrize("rate", [0.0, 0.2, 0.5])
@pytest.mark.parametrize("method", ["confident_joint", "votes"])
def test_noise_rate_on_real_digits(method, rate):
    from sklearn.datasets import load_digits
    from sklearn.linear_model import LogisticRegression
    from sklearn.model_selection import cross_val_predict
    from sklearn.pipeline import make_pipeline
    from sklearn.preprocessing import StandardScaler

    X, y = load_digits(return_X_y=True)
    noisy = symmetric_exclusive(y, rate, random_state=0)
    clf = make_pipeline(StandardScaler(), LogisticRegression(C=0.01))
    p = cross_val_predict(clf, X, noisy.y, method="predict_proba")
    found = estimate_noise_rate(noisy.y, p, method=method)
    assert found == pytest.approx(rate, abs=0.08)


@pytest.mark.parametrize("noise", ["symmetric", "pair"])
def test_shrunk_transition_matrix(noise):
    """The strength is the likeliest by SciPy's distribution."""
    n, rng = 4, np.random.default_rng(0)
    T = 0.6 * np.eye(n) + 0.4 * np.roll(np.eye(n), 1, axis=1)
    if noise == "symmetric":
        T = np.full((n, n), 0.2 / (n - 1)) + (0.8 - 0.2 / (n - 1)) * np.eye(n)
    votes = np.stack([rng.multinomial(30, row) for row in T])
    rate = 1 - votes.trace() / votes.sum()
    mean = np.where(np.eye(n), 1 - rate, rate / (n - 1))
    likely = [
        dirichlet_multinomial.logpmf(votes, k * mean, 30).sum()
        for k in 2.0 ** np.arange(16)
    ]
    k = 2.0 ** np.argmax(likely)
    found = shrunk_transition_matrix(votes)
    np.testing.assert_allclose(found, (votes + k * mean) / (30 + k))
    assert k > 50 if noise == "symmetric" else k < 5
    error, raw = np.abs(found - T).sum(), np.abs(votes / 30 - T).sum()
    assert error < raw if noise == "symmetric" else error < 1.3 * raw + 0.2


def test_shrunk_transition_matrix_without_noise():
    np.testing.assert_array_equal(shrunk_transition_matrix(9 * np.eye(3)), np.eye(3))
    np.testing.assert_array_equal(shrunk_transition_matrix([[5]]), [[1.0]])


@pytest.mark.parametrize("function", [estimate_transition_matrix, label_posterior])
@pytest.mark.parametrize("trusted", [-1, "x", [0, 5], [2.5] * 60, np.ones((60, 1))])
def test_trusted_is_a_mask(function, trusted):
    """Positions, or anything that is merely true, would be taken for a mask."""
    rows = np.random.default_rng(0).dirichlet(np.ones(3), 60)
    with pytest.raises(ValueError, match="trusted .* must be a mask of shape"):
        function(np.arange(60) % 3, rows, trusted=trusted)
    none = function(np.arange(60) % 3, rows, trusted=np.zeros(60))
    np.testing.assert_equal(vars_of(none), vars_of(function(np.arange(60) % 3, rows)))


def vars_of(found):
    return vars(found) if hasattr(found, "__dict__") else found


@pytest.mark.parametrize("function", [noise_concentration, shrunk_transition_matrix])
@pytest.mark.parametrize("votes", [None, 3, [1, 2], {}, [[np.nan]], -np.eye(3)])
def test_what_are_no_votes(function, votes):
    with pytest.raises(ValueError, match="votes .*is not valid"):
        function(votes)


def test_arguments_are_checked_by_every_method():
    rows = np.full((6, 2), 0.5)
    with pytest.raises(ValueError, match="share=-1 is not valid"):
        estimate_transition_matrix([0, 1] * 3, rows, share=-1)
    with pytest.raises(ValueError, match="classes=.*None.* is not valid"):
        estimate_transition_matrix([0, 1] * 3, rows, [None, None])
    with pytest.raises(ValueError, match="logits=.* is not valid"):
        area_under_margin([0, 1] * 3, np.array(0.5))
    with pytest.raises(ValueError, match="label_quality is not valid"):
        detection_average_precision([True, False], {})


@pytest.mark.parametrize("method", ["votes", "anchor"])
def test_the_rate_is_a_share_of_samples_where_classes_are_of_different_sizes(method):
    rng = np.random.default_rng(0)
    true = (rng.random(3000) < 0.1).astype(int)
    given = np.where((true == 1) & (rng.random(3000) < 0.4), 0, true)
    noisy_probs = np.array([[1.0, 0.0], [0.4, 0.6]])[true]  # of the given labels
    probs = noisy_probs + 1e-3 * rng.random((3000, 1)) * [-1, 1]
    rate = estimate_noise_rate(given, np.clip(probs, 0, 1), method=method)
    assert rate == pytest.approx(np.mean(given != true), abs=0.01)  # 0.2 by classes
