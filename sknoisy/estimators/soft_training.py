"""Training on soft labels, of classifiers that may not take them."""

import numpy as np
from sklearn.utils import indexable
from sklearn.utils.validation import has_fit_parameter

from sknoisy._compat import safe_indexing
from sknoisy.estimators.base_classifier import TorchClassifier
from sknoisy.estimators.pipelines import split_pipeline

LEAST_SHARE = 0.05  # less probable classes of a sample are not trained on as copies


def fit_soft(
    estimator, X, labels, soft_labels, classes, labelled=None, sample_weight=None
):
    """Fit a classifier to soft labels, as far as it takes them.

    One of this package, whose loss or method takes soft labels, is given them as they
    are. Another that takes a ``sample_weight`` is given each sample once for each of
    its probable classes, weighted by their probabilities; and any other one the hard
    labels.

    Parameters
    ----------
    estimator : classifier
        Fitted in place.
    X : array-like of shape (n_samples, ...)
        Whatever it takes.
    labels : ndarray of shape (n_samples,)
        Hard labels, which also the steps before the classifier in a pipeline get.
    soft_labels : ndarray of shape (n_samples, n_classes)
        Probability of each class.
    classes : ndarray of shape (n_classes,)
        The classes, sorted.
    labelled : ndarray of shape (n_samples,), bool, default=None
        Which samples have a label; by default all. From the others learn only what
        comes before the classifier in a pipeline, and classifiers that take soft
        labels.
    sample_weight : ndarray of shape (n_samples,), float64, default=None
        Weights of the samples, for a classifier that takes them.

    Returns
    -------
    estimator : classifier
        The same.
    """
    front, last = split_pipeline(estimator)
    if front is not None:
        X = front.fit_transform(X, labels)
        estimator.steps = [*front.steps, estimator.steps[-1]]
    if labelled is None:
        labelled = np.ones(len(soft_labels), dtype=bool)
    if takes_soft_labels(last):
        soft = np.where(labelled[:, None], soft_labels, np.nan)
        last.set_params(classes=classes).fit(X, soft, sample_weight=sample_weight)
        return estimator
    rows = np.flatnonzero(labelled)
    if has_fit_parameter(last, "sample_weight"):
        copies, codes, weights = weighted_copies(soft_labels[rows])
        if sample_weight is not None:
            weights = weights * sample_weight[rows[copies]]
        copied = safe_indexing(*indexable(X), rows[copies])
        last.fit(copied, classes[codes], sample_weight=weights)
    else:
        last.fit(safe_indexing(*indexable(X), rows), labels[rows])
    return estimator


def takes_soft_labels(estimator):
    """Whether a classifier is one of this package, with a loss or method for them."""
    return isinstance(estimator, TorchClassifier) and estimator.takes_soft_labels()


def weighted_copies(soft_labels):
    """Return samples as copies with one label each, weighted by its probability.

    Parameters
    ----------
    soft_labels : ndarray of shape (n_samples, n_classes)
        Probabilities.

    Returns
    -------
    rows : ndarray of shape (n_copies,), dtype int64
        The samples, as often as they have classes of a probability of at least 0.05.
    codes : ndarray of shape (n_copies,), dtype int64
        The class of each copy.
    weights : ndarray of shape (n_copies,), float64
        Its probability; those of a sample sum to 1.
    """
    best = soft_labels.max(axis=1, keepdims=True)
    kept = np.where(soft_labels >= np.minimum(best, LEAST_SHARE), soft_labels, 0)
    kept = kept / kept.sum(axis=1, keepdims=True)
    rows, codes = np.nonzero(kept)
    return rows, codes, kept[rows, codes]


def in_columns(probs, given, classes):
    """Return probabilities of some classes in the columns of all of them.

    Parameters
    ----------
    probs : ndarray of shape (n_samples, n_given)
        Probabilities of the classes in `given`.
    given : ndarray of shape (n_given,)
        Some classes, sorted.
    classes : ndarray of shape (n_classes,)
        All classes, sorted.

    Returns
    -------
    probs : ndarray of shape (n_samples, n_classes)
        The same, and 0 for the other classes.
    """
    if len(given) == len(classes):
        return probs
    wide = np.zeros((len(probs), len(classes)), dtype=probs.dtype)
    wide[:, np.searchsorted(classes, given)] = probs
    return wide
