"""Probabilities of true classes, calibrated by noisy labels."""

import numpy as np
from scipy.special import softmax
from sklearn.isotonic import IsotonicRegression

from sknoisy.scores.probabilities import LEAST_PROBABILITY
from sknoisy.scores.reading import chunks, of_labels

SURE = 1e-3  # no prediction is surer than 1 minus this
ROWS = 20_000  # samples that the power and the agreement are fitted to
POWERS = 2.0 ** np.arange(-2, 3.5, 0.5)  # what probabilities may be raised to


def true_classes(codes, pred_probs, T, sure):
    """Yield probabilities of the true classes, given predictions and labels, by parts.

    Parameters
    ----------
    codes : ndarray of shape (n_samples,), int
        Columns of the given labels.
    pred_probs : ndarray of shape (n_samples, n_classes)
        Out-of-sample probabilities.
    T : ndarray of shape (n_classes, n_classes), float64
        Probability of each label (column) for each true class (row).
    sure : float
        No prediction is believed more.

    Yields
    ------
    rows : slice
        Some samples.
    probs : ndarray of shape (n_rows, n_classes), float64
        Their probabilities.
    """
    n_samples, n_classes = pred_probs.shape
    rows = np.linspace(0, n_samples - 1, min(n_samples, ROWS)).astype(int)
    some = codes[rows], pred_probs[rows]
    power = fit_power(*some, T, sure)
    agreement = fit_agreement(*some)
    for part in chunks(n_samples, n_classes):
        true = calibrated(pred_probs[part], T, sure, power, agreement)
        true *= T.T[codes[part]]
        true /= true.sum(axis=1, keepdims=True).clip(min=LEAST_PROBABILITY)
        yield part, true


def fit_power(codes, pred_probs, T, sure):
    """Return the power of the probabilities under which labels are most likely."""
    likelihoods = []
    for power in POWERS:
        true = _raised(pred_probs, power, sure)
        given = np.einsum("ij,ij->i", true, T.T[codes])
        likelihoods.append(np.log(given.clip(min=LEAST_PROBABILITY)).sum())
    return POWERS[int(np.argmax(likelihoods))]


def fit_agreement(codes, pred_probs):
    """Return how often labels are the best class, as a function of its margin."""
    agree = pred_probs.argmax(axis=1) == codes
    isotonic = IsotonicRegression(y_min=0, y_max=1, out_of_bounds="clip")
    return isotonic.fit(_log_margin(pred_probs), agree.astype(np.float64))


def calibrated(pred_probs, T, sure, power, agreement):
    """Return probabilities of true classes, by the mean of two calibrations.

    Parameters
    ----------
    pred_probs : ndarray of shape (n_samples, n_classes)
        Out-of-sample probabilities.
    T : ndarray of shape (n_classes, n_classes), float64
        Probability of each label (column) for each true class (row).
    sure : float
        No probability is above it.
    power : float
        What :func:`fit_power` returns.
    agreement : IsotonicRegression
        What :func:`fit_agreement` returns.
    """
    n_classes = len(T)
    best = pred_probs.argmax(axis=1)
    right = T.diagonal()
    wrong = (T.sum(axis=0) - right) / max(n_classes - 1, 1)
    agree = agreement.predict(_log_margin(pred_probs))
    top = (agree - wrong[best]) / (right - wrong)[best].clip(min=SURE)
    of_margin = _with_top(softmax(_log(pred_probs), axis=1), best, top, sure)
    return (of_margin + _raised(pred_probs, power, sure)) / 2


def _raised(pred_probs, power, sure):
    """Return a power of the probabilities, normalised, of which none is too sure."""
    raised = softmax(power * _log(pred_probs), axis=1)
    best = pred_probs.argmax(axis=1)
    return _with_top(raised, best, of_labels(best, raised), sure)


def _with_top(probs, best, top, sure):
    """Set the probability of the best class; scale the others to the rest."""
    n_classes, rows = probs.shape[1], np.arange(len(probs))
    top = np.clip(top, 1 / n_classes, sure)
    probs[rows, best] = 0
    total = probs.sum(axis=1, keepdims=True)
    even = np.full(n_classes, 1 / max(n_classes - 1, 1))
    shares = probs / total.clip(min=LEAST_PROBABILITY)
    probs = np.where(total > LEAST_PROBABILITY, shares, even)
    probs *= (1 - top)[:, None]
    probs[rows, best] = top
    return probs


def _log(pred_probs):
    return np.log(pred_probs.astype(np.float64).clip(min=1e-6))


def _log_margin(pred_probs):
    """Return how much more probable the best class is than the second, in nats."""
    second, best = np.partition(pred_probs, -2, axis=1)[:, -2:].T
    return _log(best) - _log(second)
