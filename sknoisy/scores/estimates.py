"""What the noise is: its rate and its transition matrix, without clean labels."""

import numpy as np

from sknoisy.parameters import check_choice, check_real
from sknoisy.scores.confident import confident_joint
from sknoisy.scores.probabilities import check_probabilities


def estimate_transition_matrix(
    y, pred_probs, classes=None, method="confident_joint", percentile=97.0
):
    """Estimate how probable each label is for each true class, without clean labels.

    Parameters
    ----------
    y : array-like of shape (n_samples,)
        Given labels.
    pred_probs : array-like of shape (n_samples, n_classes)
        Probabilities of the labels, columns in the order of `classes`.
    classes : array-like of shape (n_classes,), default=None
        The classes; by default the sorted distinct labels.
    method : {"confident_joint", "anchor"}, default="confident_joint"
        "confident_joint": columns of :func:`confident_joint`, divided by their sums.
        "anchor": a class's row is the probabilities of the sample that most probably
        is of that class, its anchor point.
    percentile : float, default=97.0
        Of "anchor": the percentile of a class's probabilities that the anchor is
        taken at, so that an outlier is none; 100 takes the maximum. The authors take
        97 for CIFAR-10 and 100 for CIFAR-100.

    Returns
    -------
    transition_matrix : ndarray of shape (n_classes, n_classes), float64
        Row: true class; column: given label. Rows sum to 1; that of a class of which
        nothing is known is the identity's.

    References
    ----------
    Patrini et al., Making Deep Neural Networks Robust to Label Noise: A Loss Correction
    Approach, CVPR 2017 ("anchor"); Northcutt, Jiang and Chuang, JAIR 2021.

    Examples
    --------
    >>> from sknoisy.scores import estimate_transition_matrix
    >>> probs = [[0.9, 0.1], [0.8, 0.2], [0.1, 0.9], [0.2, 0.8]]
    >>> estimate_transition_matrix([0, 0, 0, 1], probs)
    array([[1. , 0. ], [0.5, 0.5]])
    """
    check_choice("method", method, ["confident_joint", "anchor"])
    check_real("percentile", percentile, "[0, 100]")
    if method == "confident_joint":
        rows = confident_joint(y, pred_probs, classes).T
    else:
        _, _, pred_probs = check_probabilities(y, pred_probs, classes)
        # The sample at the percentile, not a value between two samples.
        at = np.percentile(pred_probs, percentile, axis=0, method="higher")
        rows = pred_probs[np.abs(pred_probs - at).argmin(axis=0)].astype(np.float64)
    return transition_of(rows)


def estimate_noise_rate(y, pred_probs, classes=None):
    """Estimate the share of wrong labels, without clean labels.

    Parameters
    ----------
    y : array-like of shape (n_samples,)
        Given labels.
    pred_probs : array-like of shape (n_samples, n_classes)
        Probabilities, columns in the order of `classes`.
    classes : array-like of shape (n_classes,), default=None
        The classes; by default the sorted distinct labels.

    Returns
    -------
    rate : float
        The share of :func:`confident_joint` that is off its diagonal.

    Examples
    --------
    >>> from sknoisy.scores import estimate_noise_rate
    >>> probs = [[0.9, 0.1], [0.8, 0.2], [0.1, 0.9], [0.2, 0.8]]
    >>> estimate_noise_rate([0, 0, 0, 1], probs)
    0.25
    """
    return noise_rate_of(confident_joint(y, pred_probs, classes))


def transition_of(rows):
    """Divide counts by their rows' sums; an empty row becomes the identity's."""
    totals = rows.sum(axis=1, keepdims=True)
    identity = np.eye(len(rows))
    return np.where(totals > 0, rows / np.where(totals > 0, totals, 1), identity)


def noise_rate_of(joint):
    """Return the share of counts that is off the diagonal."""
    return float(1 - joint.trace() / joint.sum())
