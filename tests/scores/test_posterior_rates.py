"""Rates, intervals and transition matrices of label posteriors, against formulas."""

import numpy as np
import pytest
from scipy.optimize import nnls
from scipy.special import softmax
from scipy.stats import binomtest
from sklearn.isotonic import IsotonicRegression

from sknoisy.noise import symmetric_exclusive
from sknoisy.scores import label_posterior
from sknoisy.scores.posterior import at_least, matrix_of_votes


def votes_by_hand(codes, probs, n):
    """Return the labels of the n surest samples of each class, or of all predicted."""
    n_classes, votes = probs.shape[1], []
    predicted = probs.argmax(axis=1)
    for k in range(n_classes):
        rows = np.argsort(-probs[:, k])[:n]
        if (predicted == k).sum() < n:
            rows = np.flatnonzero(predicted == k)
        votes.append(np.bincount(codes[rows], minlength=n_classes))
    return np.array(votes)


def rate_by_hand(votes, shares):
    """Return the noise rate, each class by its share, and its number of votes."""
    n = votes.sum(axis=1)
    wrong = 1 - votes.diagonal() / n
    return shares @ wrong, 1 / (shares**2 / n).sum()


def least_rate(codes, probs, n):
    """Return where the line through the surest and thrice as many ends, at none."""
    near, far = (
        np.concatenate([codes[np.argsort(-p)[:m]] != k for k, p in enumerate(probs.T)])
        for m in (n, 3 * n)
    )
    rise = far.mean() - near.mean()
    chance = np.sqrt(near.mean() * (1 - near.mean()) / len(near))
    return near.mean(), near.mean() - 3 * max(0, rise - chance)


def own_errors(disagree, rate, n_classes):
    """Return how often predictions are wrong.

    Labels agree with right predictions unless they are wrong, and with wrong ones where
    both chose the same of the other classes. Nothing is divided by less than 0.05.
    """
    found = (disagree - rate) / max(1 - rate - rate / (n_classes - 1), 0.05)
    return np.clip(found, 0, 1 - 1 / n_classes)


def by_hand(codes, probs, given):
    """Return rate, interval, own errors, transition matrix and true classes."""
    n, C = probs.shape
    shares = np.bincount(probs.argmax(axis=1), minlength=C) / n
    share = np.clip(150 * C / n, 0.1, 0.5)
    votes = votes_by_hand(codes, probs, round(share * n / C))
    rate, n_votes = rate_by_hand(votes, shares)
    disagree = np.mean(probs.argmax(axis=1) != codes)
    own = own_errors(disagree, rate, C)
    blind = own / (1 - 1 / C)
    of_surest = min(1, 0.15 + 3 * max(0, blind - 0.35)) * own
    among_votes, lower = of_surest * np.sqrt(share / 0.1), 1.0
    if blind <= 0.35:
        more, _ = rate_by_hand(
            votes_by_hand(codes, probs, round(3 * share * n / C)), shares
        )
        chance = np.sqrt(more * (1 - more) / n_votes)
        among_votes = min(among_votes, (max(0, more - rate) + 2 * chance) / 2)
        of_surest = min(of_surest, among_votes)
    n_few = round(np.clip(30 * C / n, 0.1, 1 / 3) * n / C)
    near, line = least_rate(codes, probs, n_few)
    blind = own_errors(disagree, near, C) / (1 - 1 / C)
    if near > 0.5 and blind > 0.35 / 2:
        lower = 0.0
    elif blind > 0.35:
        lower = line
    if lower <= 0:
        own, among_votes = own_errors(disagree, 0, C), rate
    wrong = votes * (1 - np.eye(C)) * min(max(0, rate - among_votes), disagree) / rate
    votes_left = wrong + np.diag(votes.sum(axis=1) - wrong.sum(axis=1))
    of_all = wrong.sum() / votes.sum()
    mean = np.where(np.eye(C), 1 - of_all, of_all / (C - 1))
    T = votes_left + 15 * mean
    T = T / T.sum(axis=1, keepdims=True)
    prior, _ = nnls(T.T, np.bincount(codes, minlength=C) / n)
    found = 1 - prior / prior.sum() @ T.diagonal()
    least = 1 / votes.sum()  # that no vote is wrong does not mean that no label is
    if found < least:
        found = max(found, min(least, 1 - given.mean()))
    for k in np.flatnonzero(T.diagonal() > 1 - least):
        wrong = np.where(np.arange(C) == k, 0, 1 / (C - 1))
        missing = least - (1 - T[k, k])
        T[k] = (1 - missing) * T[k] + missing * wrong
    low, high = wilson(rate, n_votes)
    low = np.clip(min(low - 2 * among_votes, lower), 0, found)
    true = true_classes(codes, probs, T, sure=1 - max(of_surest, 1e-3))
    return found, (low, max(high, found)), own, T, true


def true_classes(codes, probs, T, sure):
    """Return probabilities of the true classes, by two calibrations and the labels."""
    n, C = probs.shape
    rows, best = np.arange(n), probs.argmax(axis=1)
    logs = np.log(probs.clip(min=1e-6))

    def with_top(p, top):
        p, top = p.copy(), np.clip(top, 1 / C, sure)
        p[rows, best] = 0
        p = p / p.sum(axis=1, keepdims=True) * (1 - top)[:, None]
        p[rows, best] = top
        return p

    def raised(power):
        p = softmax(power * logs, axis=1)
        return with_top(p, p.max(axis=1))

    def likelihood(p):
        return np.log((p * T[:, codes].T).sum(axis=1)).sum()

    by_power = max(map(raised, 2 ** np.arange(-2, 3.1, 0.5)), key=likelihood)
    ordered = np.sort(logs, axis=1)
    agree = IsotonicRegression(y_min=0, y_max=1, out_of_bounds="clip").fit_transform(
        ordered[:, -1] - ordered[:, -2], best == codes
    )
    wrong = (T.sum(axis=0) - T.diagonal()) / (C - 1)  # mean of the other classes
    top = (agree - wrong[best]) / (T.diagonal() - wrong)[best].clip(min=1e-3)
    true = (with_top(softmax(logs, axis=1), top) + by_power) / 2
    true = true * T[:, codes].T
    return true / true.sum(axis=1, keepdims=True)


def wilson(share, n):
    """Return the ends where the share is 1.96 standard errors away."""
    ends = np.roots([1 + 1.96**2 / n, -2 * share - 1.96**2 / n, share**2])
    return tuple(sorted(ends))


def test_the_interval_is_wilsons():
    theirs = binomtest(30, 200).proportion_ci(0.95, method="wilson")
    assert wilson(0.15, 200) == pytest.approx(tuple(theirs), abs=1e-5)


def drawn(rate, skill, n=4000, n_classes=4):
    """Return labels and the probabilities of a classifier of some skill."""
    rng = np.random.default_rng(0)
    true = rng.choice(n_classes, n, p=[0.4, 0.3, 0.2, 0.1])
    powers = np.exp(
        2 * rng.normal(size=(n, n_classes)) + skill * np.eye(n_classes)[true]
    )
    codes = symmetric_exclusive(true, rate, random_state=0).y
    return codes, powers / powers.sum(axis=1, keepdims=True)


# From classes that are clearly apart to those that can hardly be told from each other.
@pytest.mark.parametrize("skill", [8.0, 4.0, 2.5, 1.0])
@pytest.mark.parametrize("rate", [0.1, 0.3, 0.65])
@pytest.mark.parametrize("n", [300, 600, 4000, 20_000])
def test_rates_and_matrices_are_their_formulas(skill, rate, n):
    codes, probs = drawn(rate, skill, n)
    found = label_posterior(codes, probs)
    noise_rate, interval, own, T, true = by_hand(codes, probs, found.given)
    assert found.noise_rate == pytest.approx(noise_rate)
    assert found.noise_rate_interval == pytest.approx(interval)
    assert found.own_error == pytest.approx(own)
    np.testing.assert_allclose(found.transition_matrix, T, atol=1e-12)
    rows = np.arange(n)
    np.testing.assert_allclose(found.given, true[rows, codes], atol=1e-6)
    true[rows, codes] = 0
    np.testing.assert_array_equal(found.others, true.argmax(axis=1))
    np.testing.assert_allclose(found.other, true.max(axis=1), atol=1e-6)


def test_matrix_of_votes_by_hand():
    """Half of the wrong votes stay, and 15 votes of the mean, 3/40, are added."""
    found = matrix_of_votes(np.array([[18.0, 2.0], [4.0, 16.0]]), kept=0.5)
    mean = 15 * 3 / 40
    expected = [[19 + 15 - mean, 1 + mean], [2 + mean, 18 + 15 - mean]]
    np.testing.assert_allclose(found, np.array(expected) / 35)


def test_labels_of_each_class_are_wrong_at_least_at_a_rate():
    T = np.array([[1.0, 0.0, 0.0], [0.3, 0.7, 0.0], [0.02, 0.0, 0.98]])
    found = at_least(T, 0.1)
    np.testing.assert_allclose(found[0], [0.9, 0.05, 0.05])
    np.testing.assert_array_equal(found[1], T[1])
    np.testing.assert_allclose(found[2], [0.02 * 0.92 + 0.04, 0.04, 0.98 * 0.92])


def test_that_no_vote_is_wrong_does_not_mean_that_no_label_is():
    y = np.arange(600) % 3
    found = label_posterior(y, 0.94 * np.eye(3)[y] + 0.02)
    # Of 300 votes, half of the mean class size of each.
    np.testing.assert_allclose(1 - found.transition_matrix.diagonal(), 1 / 300)
