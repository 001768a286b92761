"""Which labels to look at next."""

import numpy as np
from scipy.special import xlogy

from sknoisy.scores.probabilities import check_probabilities, losses_of
from sknoisy.scores.reading import chunks


def relabel_priority(y, pred_probs, classes=None):
    """Return how much a second look at each label would gain.

    Parameters
    ----------
    y : array-like of shape (n_samples,)
        Given labels.
    pred_probs : array-like of shape (n_samples, n_classes)
        Out-of-sample probabilities, columns in the order of `classes`.
    classes : array-like of shape (n_classes,), default=None
        The classes; by default the sorted distinct labels.

    Returns
    -------
    priority : ndarray of shape (n_samples,), float64
        The cross-entropy of the label minus the entropy of the probabilities, in nats;
        look at the highest first.

    Raises
    ------
    ValueError
        If labels and probabilities do not match.

    Notes
    -----
    If the cross-entropy is large, the label is probably wrong; if the entropy is small,
    few looks settle it. Among samples whose labels are equally improbable, those with
    one probable other class come first, and ambiguous ones last.

    References
    ----------
    Bernhardt et al., Active Label Cleaning for Improved Dataset Quality under Resource
    Constraints, Nature Communications 2022.

    Examples
    --------
    >>> from sknoisy.scores import relabel_priority
    >>> probs = [[0.1, 0.9, 0.0], [0.1, 0.5, 0.4], [0.9, 0.1, 0.0]]
    >>> relabel_priority([0, 0, 0], probs, classes=[0, 1, 2]).round(2)
    array([ 1.98,  1.36, -0.22])
    """
    _, codes, pred_probs = check_probabilities(y, pred_probs, classes)
    priority = losses_of(codes, pred_probs)
    for rows in chunks(*pred_probs.shape):
        some = pred_probs[rows].astype(np.float64)
        priority[rows] += xlogy(some, some).sum(axis=1)
    return priority
