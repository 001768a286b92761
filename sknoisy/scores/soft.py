"""Soft labels: probabilities of the classes, given predictions and labels."""

import numpy as np

from sknoisy.data.given import check_trusted
from sknoisy.data.labels import check_several
from sknoisy.scores.calibration import SURE, true_classes
from sknoisy.scores.posterior import (
    at_least,
    matrix_of_votes,
    rate_of_votes,
    surest_votes,
    voting_share,
)
from sknoisy.scores.probabilities import check_probabilities


@np.errstate(under="ignore")
def soft_labels(y, pred_probs, classes=None, trusted=None):
    """Return probabilities of the true classes, to train a classifier on.

    Parameters
    ----------
    y : array-like of shape (n_samples,)
        Given labels.
    pred_probs : array-like of shape (n_samples, n_classes)
        Out-of-sample probabilities, columns in the order of `classes`; they need not be
        calibrated.
    classes : array-like of shape (n_classes,), default=None
        The classes; by default the sorted distinct labels.
    trusted : array-like of shape (n_samples,), bool, default=None
        Which labels are known to be right; by default none. They are kept, and the
        probabilities of the others do not depend on them.

    Returns
    -------
    soft_labels : ndarray of shape (n_samples, n_classes), float64
        Rows sum to 1.

    See Also
    --------
    label_posterior : How probable it is that a label is wrong, for people.
    LabelCleaningClassifier : Trains on these.

    Notes
    -----
    As in :func:`label_posterior`, the labels of the surest predictions give the
    transition matrix T, and the true class is c with probability proportional to
    ``p[c] * T[c, y]``, with calibrated predictions p. But here nothing is subtracted
    for the classifier's own errors. People who review labels need few false alarms. A
    classifier trained on soft labels loses little if they are too far from the given
    label, but much if wrong labels are kept.

    References
    ----------
    Bootkrajang and Kaban, Label-Noise Robust Logistic Regression and Its Applications,
    ECML PKDD 2012.

    Examples
    --------
    >>> import numpy as np
    >>> from sknoisy.scores import soft_labels
    >>> y = np.repeat([0, 1], 100)
    >>> p = np.random.default_rng(0).beta(20, 2, size=(200, 1))  # of the true class
    >>> probs = np.where(y[:, None] == [0, 1], p, 1 - p)
    >>> y[:10] = 1
    >>> soft_labels(y, probs)[[0, 50]].round(1)
    array([[1., 0.],
           [1., 0.]])
    """
    classes, codes, pred_probs = check_probabilities(y, pred_probs, classes)
    check_several(classes)
    trusted = check_trusted(trusted, len(codes))
    if trusted is None:
        return _posterior(codes, pred_probs)
    soft = np.eye(pred_probs.shape[1])[codes]
    if not trusted.all():
        soft[~trusted] = _posterior(codes[~trusted], pred_probs[~trusted])
    return soft


def _posterior(codes, pred_probs):
    votes = surest_votes(codes, pred_probs, voting_share(*pred_probs.shape))
    predicted = pred_probs.argmax(axis=1)
    rate, _ = rate_of_votes(votes, predicted)
    # Labels disagree with predictions at least as often as they are wrong.
    disagree = float(np.mean(predicted != codes))
    kept = min(rate, disagree) / rate if rate > 0 else 0
    T = at_least(matrix_of_votes(votes, kept), 1 / votes.sum())
    soft = np.empty(pred_probs.shape)
    for rows, probs in true_classes(codes, pred_probs, T, 1 - SURE):
        soft[rows] = probs
    return soft
