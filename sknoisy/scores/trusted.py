"""A transition matrix by labels that are known to be right."""

import numpy as np

from sknoisy.checks import check_integer
from sknoisy.scores.reading import square_matrix

AGREEING = 3.0  # known samples that are added to each class, and predicted right
UNSEEN = 1e-6  # least probability of what was not seen


def trusted_transition_matrix(confusion, joint, T, n_steps=100):
    """Estimate a transition matrix, given how a classifier errs on known classes.

    Parameters
    ----------
    confusion : array-like of shape (n_classes, n_classes)
        Counts of samples whose class is known: row, that class; column, the predicted
        one.
    joint : array-like of shape (n_classes, n_classes)
        Counts of samples of which only the label is known: row, the predicted class;
        column, the given label.
    T : array-like of shape (n_classes, n_classes)
        Initial matrix: probability of each label (column) for each true class (row).
    n_steps : int, default=100
        Steps of expectation maximisation.

    Returns
    -------
    T : ndarray of shape (n_classes, n_classes), float64
        The most likely matrix if, given the true class, predictions and labels are
        independent. A class of which `joint` holds nothing keeps its row.

    Notes
    -----
    Three more samples of each class are assumed to be known and predicted right.
    Without them, errors seen in a handful of samples can mislead more than assuming
    that the classifier is never wrong.

    References
    ----------
    Dawid and Skene, Maximum Likelihood Estimation of Observer Error-Rates Using the EM
    Algorithm, 1979, for two observers, one of whom is known. For the use of trusted
    labels: Hendrycks et al., Using Trusted Data to Train Deep Networks on Labels
    Corrupted by Severe Noise, NeurIPS 2018, which averages predicted probabilities.

    Examples
    --------
    A classifier is wrong for a fifth of the samples of each class, and right labels
    look wrong as often:

    >>> from sknoisy.scores import trusted_transition_matrix
    >>> counts = [[80, 20], [20, 80]]
    >>> trusted_transition_matrix(counts, counts, T=[[0.8, 0.2], [0.2, 0.8]]).round(1)
    array([[1., 0.],
           [0., 1.]])
    """
    named = {"confusion": confusion, "joint": joint, "T": T}
    confusion, joint, T = (square_matrix(*pair) for pair in named.items())
    check_integer("n_steps", n_steps, low=0)
    if not confusion.shape == joint.shape == T.shape:
        raise ValueError(
            f"confusion of shape {confusion.shape}, joint of shape {joint.shape} and T "
            f"of shape {T.shape} are not valid: they must be of one shape."
        )
    confusion = confusion + AGREEING * np.eye(len(T))
    confusion = np.maximum(confusion / confusion.sum(axis=1, keepdims=True), UNSEEN)
    prior = np.full(len(T), 1 / len(T))
    T = np.maximum(T, UNSEEN)
    for _ in range(n_steps if joint.any() else 0):
        given = prior[:, None] * T  # true class, label
        sums = confusion.T @ given  # predicted class, label
        counts = given * (confusion @ (joint / np.where(sums > 0, sums, 1)))
        totals = counts.sum(axis=1, keepdims=True)
        T = np.where(totals > 0, counts / np.where(totals > 0, totals, 1), T)
        prior = totals[:, 0] / totals.sum()
    return T
