"""A whole fit of the kernel machine, against its formulas in NumPy.

Predictions of samples that are left out are those of regressions without them.
"""

import numpy as np
import pytest
import torch
from scipy.spatial.distance import cdist, pdist

from sknoisy import NoisyRobustClassifier
from sknoisy.kernels.choice import CANDIDATES, RELEVANT, WHITENED
from sknoisy.kernels.nystroem import JITTER
from sknoisy.scores import trusted_transition_matrix

N_CLASSES, N = 3, 60
ORIGINALS = [0, 1, 24, 25, 44, 45]  # of the last samples, which are copies
KERNELS = [*CANDIDATES, *RELEVANT, *WHITENED]
PENALTIES = np.sqrt(10.0) ** np.arange(-4, 7)


def simplex(values):
    values = np.maximum(values, 1e-3)
    return values / values.sum(axis=1, keepdims=True)


def normalised(rows):
    return rows / rows.sum(axis=1, keepdims=True)


class Ridge:
    """Kernel ridge regression with an intercept; all samples are landmarks."""

    def __init__(self, X, power, width, weights, groups):
        metric = "cityblock" if power == 1 else "euclidean"
        distances = pdist(X, metric)
        gamma = width / np.median(distances[distances > 0]) ** power
        K = np.exp(-gamma * cdist(X, X, metric) ** power)
        values, vectors = np.linalg.eigh(K + JITTER * len(K) ** 0.5 * np.eye(len(K)))

        def features(others):
            K = np.exp(-gamma * cdist(others, X, metric) ** power)
            return np.c_[np.ones(len(K)), K @ vectors / np.sqrt(values)]

        self.features, self.A = features, features(X)
        self.weights, self.groups = weights, groups

    def solved(self, Y, penalty, rows, evenness, others=None):
        """Return the predictions of all samples, or others, by a regression on some."""
        A, w = self.A[rows], self.weights[rows, None]
        D = penalty * np.diag(np.r_[0, np.ones(len(self.A))])
        solution = np.linalg.solve(A.T @ (w * A) + D, A.T @ (w * Y[rows]))
        found = (self.A if others is None else self.features(others)) @ solution
        mean = np.average(Y[rows], axis=0, weights=self.weights[rows])
        return found + evenness * (1 / N_CLASSES - mean)

    def fit(self, Y, evenness, least=0.0):
        """Return predictions without and with each sample, the penalty, and leverage.

        Leverage: how far a sample's prediction follows its and its copies' target.
        """
        found = []
        for penalty in PENALTIES[PENALTIES > 0.999 * least]:
            left_out = np.empty_like(Y)
            for group in np.unique(self.groups):
                own = self.groups == group
                left_out[own] = self.solved(Y, penalty, ~own, evenness)[own]
            squares = np.square(left_out - Y).sum(axis=1)
            found.append((self.weights @ squares, penalty, left_out))
        _, penalty, left_out = min(found, key=lambda one: one[0])
        every = np.full(len(Y), True)
        fitted = self.solved(Y, penalty, every, evenness)
        own = (self.groups == self.groups[:, None]).astype(float)
        leverage = np.average(
            self.solved(own, penalty, every, 0.0).diagonal(), weights=self.weights
        )
        return left_out, fitted, penalty, leverage


def of_few_trusted(gains):
    """Whether gains are more than chance explains, if one sample more loses 1."""
    gains = np.append(gains, -1.0)
    return gains.mean() > 2 * gains.std() / len(gains) ** 0.5


def surer_agreement(probs, shares):
    """Return how often the surer half of each class's predictions is the label."""
    predicted, counted = probs.argmax(axis=1), shares.sum(axis=1)
    agreeing = total = 0.0
    for label in range(N_CLASSES):
        ones = np.flatnonzero((predicted == label) & (counted > 0))
        ones = ones[np.argsort(-probs[ones, label])]
        reached = np.cumsum(counted[ones])
        last = ones[np.searchsorted(reached, reached[-1] / 2)]
        surer = ones[probs[ones, label] >= probs[last, label] - 1e-7]
        agreeing += shares[surer, label].sum()
        total += counted[surer].sum()
    return agreeing / total


def confusion(probs, shares, trusted, leverage):
    predicted = np.eye(N_CLASSES)[probs.argmax(axis=1)]
    if trusted.any():
        errors = shares[trusted].T @ predicted[trusted]
        predicted, shares = predicted[~trusted], shares[~trusted]
        joint = predicted.T @ shares + 0.1
        T = trusted_transition_matrix(errors, joint, normalised(joint))
        T = normalised(np.maximum(T, 1e-6))
    else:
        T = normalised(predicted.T @ shares + 0.1)
    # Random effects: shares of right labels with their sampling variances.
    counted = shares.sum(axis=1)
    n = (predicted.T @ counted) ** 2 / (predicted.T @ counted**2)
    right, mean = T.diagonal(), n @ T.diagonal() / n.sum()
    chance = mean * (1 - mean)
    tau = n @ (right - mean) ** 2 - (N_CLASSES - 1) * chance
    tau = max(0, tau) / (n.sum() - n @ n / n.sum())
    target = mean
    if not trusted.any():
        target += leverage * (max(mean, surer_agreement(probs, shares)) - mean)
    moved = (right * tau + target * chance / n) / (tau + chance / n)
    T = T * ((1 - moved) / (1 - right))[:, None]
    T[np.diag_indices(N_CLASSES)] = moved
    return T


def evenness(shares):
    counted = shares.sum(axis=1)
    n, frequencies = counted.sum() ** 2 / (counted @ counted), shares.sum(axis=0)
    spread = np.var(frequencies / frequencies.sum(), ddof=1)
    return min(1.0, 1 / (N_CLASSES * n) / spread)


def first_guess(probs, given, trusted, X, known_ridge):
    """Return first probabilities of the true classes, and the errors' penalty."""
    if trusted.any():
        first = simplex(probs)
        errors = (given - first)[trusted]
        left_out, _, penalty, _ = known_ridge.fit(errors, 0.0)
        every = np.full(len(errors), True)
        off = known_ridge.solved(errors, penalty, every, 0.0, others=X)
        off[trusted] = left_out
        return simplex(first + off), penalty
    even = 1 / N_CLASSES
    sure = (np.quantile(probs.max(axis=1), 0.5, method="lower") - even) / (1 - even)
    return even + (probs - even) / np.clip(sure, 0.02, 1), np.inf


def fit_by_hand(
    X, ridge, labelled_ridge, known_ridge, given, weights, trusted, class_weights
):
    """Return the posteriors, left-out probabilities and probabilities of samples."""
    labelled = given.sum(axis=1) > 0
    shares = given * weights[:, None]
    strength = evenness(shares)
    probs, _, penalty, leverage = labelled_ridge.fit(given, strength)
    first = simplex(probs)
    guess, of_errors = first_guess(probs, given, trusted, X, known_ridge)
    least = min(penalty / 30, of_errors)
    T = confusion(guess if trusted.any() else probs, shares, trusted, leverage)

    def corrected(probs, T):
        of_label = np.where(labelled[:, None], given @ T.T, 1)
        labels = normalised(simplex(probs) * of_label)
        labels = normalised(labels / labels.mean(axis=0) ** strength)
        return np.where(trusted[:, None], given, labels)

    labels = corrected(guess, T)
    for _ in range(3):
        probs, fitted, *_ = ridge.fit(labels, strength, least)
        if trusted.any():
            T = confusion(probs, shares, trusted, leverage)
        labels = corrected(probs, T)
    left_out = ((guess if trusted.any() else first) + simplex(probs)) / 2
    loss = -(labels * np.log(simplex(probs))).sum(axis=1).mean()
    if class_weights is not None:
        probs, fitted, *_ = ridge.fit(normalised(labels * class_weights), 0.0, least)
    even, factor = 1 / N_CLASSES, 1.0
    if trusted.any():

        def errors(factor):
            p = simplex(even + factor * (probs[trusted] - even))
            return -(given[trusted] * np.log(p)).sum(axis=1)

        best = min(2 ** np.arange(-1, 4.1, 0.25), key=lambda f: errors(f).mean())
        factor = best if of_few_trusted(errors(1.0) - errors(best)) else 1.0
    return labels, left_out, simplex(even + factor * (fitted - even)), loss, factor


def samples(seed, rate, apart):
    """Return samples, a few copies, true labels, and labels of which some are wrong."""
    rng = np.random.default_rng(seed)
    y = np.r_[np.repeat([0, 1, 2], [24, 20, 10]), 0, 0, 1, 1, 2, 2]
    X = rng.normal(size=(N, 3)) + apart * np.eye(3)[y]
    wrong = rng.random(N) < rate
    noisy = np.where(wrong, (y + rng.integers(1, 3, size=N)) % 3, y)
    X[54:], noisy[54:] = X[ORIGINALS], noisy[ORIGINALS]
    return X.astype(np.float32), y, noisy


CASES = ["plain", "weights", "class weights", "trusted", "soft", "some unlabelled"]


@pytest.mark.parametrize("case", CASES)
def test_a_fit_is_its_formulas(case):
    drawn = (4, 0.8, 2.0) if case == "trusted" else (1, 0.3, 1.6)
    X, y, noisy = samples(*drawn)
    given, weights, trusted = np.eye(N_CLASSES)[noisy], np.ones(N), np.zeros(N, bool)
    class_weights, params, labels = None, {}, noisy
    if case == "weights":
        weights = params["sample_weight"] = np.r_[0.5 * np.ones(30), 1.5 * np.ones(30)]
    elif case == "class weights":
        class_weights = np.array([1.0, 1.0, 4.0])
    elif case == "trusted":
        trusted = params["trusted"] = np.arange(N) % 3 == 0
        noisy[trusted] = y[trusted]
        noisy[54:] = noisy[ORIGINALS]
        given = np.eye(N_CLASSES)[noisy]
    elif case == "soft":
        given = labels = 0.8 * given + 0.2 / N_CLASSES
    elif case == "some unlabelled":
        given = np.where((np.arange(N) % 4 == 3)[:, None], 0, given)
        labels = np.where((given == 0).all(axis=1, keepdims=True), np.nan, given)
    by_class = None if class_weights is None else dict(enumerate(class_weights))
    clf = NoisyRobustClassifier(
        random_state=0, class_weight=by_class, classes=[0, 1, 2]
    )
    clf.fit(X, labels, **params)

    (network,) = clf._network.networks
    head = network.head
    with torch.no_grad():
        scaled = head.rescale(network.encoder(torch.from_numpy(X))).double().numpy()
    power = 1 if len(head.laplacian) else 2
    gamma = float(head.gamma)
    distances = pdist(scaled, "cityblock" if power == 1 else "euclidean")
    width = gamma * np.median(distances[distances > 0]) ** power
    widths = {kernel.width for kernel in KERNELS if kernel.power == power}
    assert min(abs(np.log(width / other)) for other in widths) < 0.02
    groups = np.arange(N)
    groups[54:] = ORIGINALS
    ridge = Ridge(scaled, power, width, weights, groups)
    labelled = (given.sum(axis=1) > 0).astype(float)
    posteriors, left_out, probs, loss, factor = fit_by_hand(
        scaled,
        ridge,
        Ridge(scaled, power, width, weights * labelled, groups),
        trusted.any()
        and Ridge(scaled[trusted], power, width, weights[trusted], groups[trusted]),
        given,
        weights,
        trusted,
        class_weights,
    )
    state = clf.loss_state_
    np.testing.assert_allclose(state["posterior"], posteriors, atol=5e-3)
    np.testing.assert_allclose(state["left_out"], left_out, atol=5e-3)
    np.testing.assert_allclose(clf.predict_proba(X), probs, atol=5e-3)
    assert clf.history_[0]["train_loss"] == pytest.approx(loss, rel=1e-2)
    assert (factor != 1) == (case == "trusted")
