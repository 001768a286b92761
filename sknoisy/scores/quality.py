"""Label quality: how well each label agrees with a model's predictions; low is bad."""

from collections.abc import Iterable

import numpy as np

from sknoisy.data.labels import check_several, encode_labels
from sknoisy.data.order import check_order
from sknoisy.scores.probabilities import (
    best_others,
    by_class,
    check_sorted,
    open_probabilities,
)
from sknoisy.scores.reading import chunks, of_labels, row_maxima

LEAST_DIVISOR = 1e-6  # what scores are divided by, at least


def self_confidence(y, pred_probs, classes=None):
    """Return the predicted probability of each given label.

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
    quality : ndarray of shape (n_samples,), dtype of `pred_probs`
        In [0, 1]; low is bad.

    Raises
    ------
    ValueError
        If labels and probabilities do not match.

    References
    ----------
    Northcutt, Jiang and Chuang, Confident Learning: Estimating Uncertainty in Dataset
    Labels, JAIR 2021. Kuan and Mueller, Model-agnostic Label Quality Scoring to Detect
    Real-World Label Errors, 2022.

    Examples
    --------
    >>> from sknoisy.scores import self_confidence
    >>> self_confidence([0, 1], [[0.7, 0.3], [0.8, 0.2]])
    array([0.7, 0.2])
    """
    _, codes, probs = open_probabilities(y, pred_probs, classes)
    return probs.map(of_labels, codes)


def normalized_margin(y, pred_probs, classes=None):
    """Return each label's probability minus the largest other one, scaled to [0, 1].

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
    quality : ndarray of shape (n_samples,), dtype of `pred_probs`
        (1 + margin) / 2, in [0, 1]; low is bad. Below 0.5, another class is more
        probable than the label.

    Raises
    ------
    ValueError
        If labels and probabilities do not match, or there is only one class.

    References
    ----------
    Northcutt, Jiang and Chuang, JAIR 2021. Kuan and Mueller, 2022.

    Examples
    --------
    >>> from sknoisy.scores import normalized_margin
    >>> normalized_margin([0, 1], [[0.7, 0.3], [0.8, 0.2]])
    array([0.7, 0.2])
    """
    classes, codes, probs = open_probabilities(y, pred_probs, classes)
    check_several(classes)
    return probs.map(margins, codes)


def pairwise_confidence(y, pred_probs, classes=None):
    """Return each label's probability against that of the best other class.

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
    quality : ndarray of shape (n_samples,), dtype of `pred_probs`
        p / (p + q), where p is the label's probability and q the largest other one,
        both with half of what chance gives added; in [0, 1]; low is bad. Below 0.5,
        another class is more probable than the label.

    Raises
    ------
    ValueError
        If labels and probabilities do not match, or there is only one class.

    Notes
    -----
    This lies between :func:`self_confidence`, which hardly distinguishes improbable
    labels, and :func:`normalized_margin`, for which a label of probability 0 next to a
    class of 0.6 is as bad as a label of 0.2 next to a class of 0.8. With two classes,
    all three give the same order.

    Examples
    --------
    >>> from sknoisy.scores import pairwise_confidence
    >>> pairwise_confidence([0, 1], [[0.7, 0.3], [0.95, 0.05]])
    array([0.63333333, 0.2       ])
    """
    classes, codes, probs = open_probabilities(y, pred_probs, classes)
    check_several(classes)
    return probs.map(_pairwise, codes)


def confidence_weighted_entropy(y, pred_probs, classes=None):
    """Return a quality from the entropy and the probability of each label.

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
    quality : ndarray of shape (n_samples,), float64
        log(1 + s) / s, where s is the entropy, divided by log(n_classes) and by the
        label's probability; in [0, 1], low is bad.

    Raises
    ------
    ValueError
        If labels and probabilities do not match, or there is only one class.

    Notes
    -----
    As in the authors' code, the divisors, s and the label's probability, are at least
    1e-6. If the model assigns all of the probability to one class, right or wrong, s
    and the quality are 0.

    References
    ----------
    Kuan and Mueller, Model-agnostic Label Quality Scoring to Detect Real-World Label
    Errors, 2022.

    Examples
    --------
    >>> from sknoisy.scores import confidence_weighted_entropy
    >>> confidence_weighted_entropy([0, 1], [[0.5, 0.5], [0.9, 0.1]]).round(2)
    array([0.55, 0.37])
    """
    classes, codes, probs = open_probabilities(y, pred_probs, classes)
    check_several(classes)
    return probs.map(_weighted_entropies, codes, np.float64)


def area_under_margin(y, logits, classes=None):
    """Return each label's logit minus the largest other logit, averaged over epochs.

    Parameters
    ----------
    y : array-like of shape (n_samples,)
        Given labels, on which the model is trained.
    logits : iterable of array-like of shape (n_samples, n_classes)
        The model's logits after (or during) each epoch of training. They are read one
        at a time, so a generator saves memory.
    classes : array-like of shape (n_classes,), default=None
        The classes; by default the sorted distinct labels.

    Returns
    -------
    margin : ndarray of shape (n_samples,), float64
        Low is bad. Below 0, another class had the larger logit on average.

    Raises
    ------
    ValueError
        If shapes do not match, logits are not finite, or there are none.

    References
    ----------
    Pleiss et al., Identifying Mislabeled Data using the Area Under the Margin Ranking,
    NeurIPS 2020.

    Examples
    --------
    >>> from sknoisy.scores import area_under_margin
    >>> area_under_margin([0, 1], [[[1.0, 2.0], [0.0, 3.0]], [[4.0, 2.0], [0.0, 1.0]]])
    array([0.5, 2. ])
    """
    check_sorted(classes)
    classes, codes = encode_labels(y, classes)
    check_several(classes)
    total, n_epochs = np.zeros(len(codes)), 0
    if not isinstance(logits, Iterable) or getattr(logits, "ndim", 1) == 0:
        raise ValueError(
            f"logits={logits!r} is not valid: it must hold an array for each epoch."
        )
    for epoch in logits:
        check_order(y, called="y", logits=epoch)
        epoch = by_class(epoch, classes, "logits")
        shape = len(codes), len(classes)
        if epoch.shape != shape:
            raise _not_valid(epoch, n_epochs, shape)
        for rows in chunks(*shape):
            part = np.ascontiguousarray(epoch[rows], dtype=np.float64)
            if not np.isfinite(part).all():
                raise _not_valid(epoch, n_epochs, shape)
            total[rows] += of_labels(codes[rows], part)
            total[rows] -= best_others(codes[rows], part)[1]
        n_epochs += 1
    if n_epochs == 0:
        raise ValueError("logits is empty: it must hold at least one epoch.")
    return total / n_epochs


def _not_valid(logits, epoch, shape):
    return ValueError(
        f"logits of shape {logits.shape} in epoch {epoch} are not valid: they must be "
        f"finite and of shape {shape}."
    )


def margins(codes, pred_probs):
    """Return the normalised margin of each label, see :func:`normalized_margin`."""
    others = pred_probs.copy()
    others[np.arange(len(codes)), codes] = -np.inf
    return (of_labels(codes, pred_probs) - row_maxima(others) + 1) / 2


def _pairwise(codes, pred_probs):
    others = pred_probs.copy()
    others[np.arange(len(codes)), codes] = -np.inf
    prior = pred_probs.dtype.type(0.5 / pred_probs.shape[1])
    own, other = of_labels(codes, pred_probs) + prior, row_maxima(others) + prior
    return own / (own + other)


def _weighted_entropies(codes, pred_probs):
    logs = np.maximum(pred_probs, np.finfo(pred_probs.dtype).tiny)
    np.log(logs, out=logs)
    entropy = -np.einsum("ij,ij->i", pred_probs, logs).astype(np.float64)
    own = of_labels(codes, pred_probs).clip(min=LEAST_DIVISOR)
    s = entropy / np.log(pred_probs.shape[1]) / own
    return np.log(s + 1) / s.clip(min=LEAST_DIVISOR)
