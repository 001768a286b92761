"""Who judges the labels that a classifier is trained on: the kernel machine, or itself.

The kernel machine mostly predicts labels that it has not seen better than other
classifiers do, and takes one training of seconds. Where another one is better, as on
rules that hold of few columns together, it is the better judge.
"""

import numpy as np
from scipy.sparse import issparse
from sklearn.base import clone
from sklearn.utils import indexable

from sknoisy._compat import safe_indexing
from sknoisy.data.given import Labels
from sknoisy.data.inputs import as_sparse
from sknoisy.detection.checks import FOLDS
from sknoisy.detection.features import as_table
from sknoisy.detection.sources import make_folds, with_arguments
from sknoisy.encoders.features import LazyFeatures

# Standard errors by which a classifier must be ahead: of the kernel machine in one
# fold, to be asked for all, and then in all of them, to judge.
WORTH_A_LOOK, SURELY = 0, 2


def kernel_can_judge(X):
    """Whether X is a table of finite numbers, dense or sparse, or lazy features."""
    X = as_sparse(X)
    if issparse(X):
        return bool(np.isfinite(X.tocsr().data).all())
    return isinstance(X, LazyFeatures) or as_table(X) is not None


def lead(right, others):
    """Return by how many standard errors one prediction is right more often.

    Parameters
    ----------
    right, others : ndarray of shape (n_samples,), bool
        Where two predictions of the same labels are right.

    Returns
    -------
    lead : float
        Mean of the differences over its standard error; 0 where they are all equal.
    """
    differences = right.astype(float) - others
    squares = np.square(differences).sum()
    return float(differences.sum() / np.sqrt(squares)) if squares else 0.0


def predicts_better(estimator, X, detector, weights=None, groups=None, seed=None):
    """Whether a classifier may predict labels better than a detector's classifier.

    It is trained on four fifths of the samples, and asked about the last one.

    Parameters
    ----------
    estimator : classifier
        What is cloned.
    X : array-like of shape (n_samples, ...)
        Whatever it takes.
    detector : LabelErrorDetector
        Fitted to the same samples, with out-of-sample probabilities.
    weights : ndarray of shape (n_samples,), float64, default=None
        Weights of the samples.
    groups : array-like of shape (n_samples,), default=None
        Samples that are trained on or asked about together.
    seed : int, default=None
        Of the folds.
    """
    codes, labels = detector._codes, detector.classes_[detector._codes]
    known = np.flatnonzero(np.bincount(codes)[codes] >= FOLDS)
    if len(np.unique(codes[known])) < 2:
        return False
    (X,) = indexable(X)
    estimator, given = with_arguments(estimator, Labels(codes, weights=weights))
    groups = None if groups is None else np.asarray(groups)[known]
    of_known = safe_indexing(X, known), codes[known], seed, groups
    train, test = (known[rows] for rows in make_folds(FOLDS, *of_known)[0])
    given = {name: values[train] for name, values in given.items()}
    try:
        clf = clone(estimator).fit(safe_indexing(X, train), labels[train], **given)
        predicted = clf.predict(safe_indexing(X, test))
    except ValueError:  # then its folds could not judge either
        return False
    return lead(predicted == labels[test], _right(detector)[test]) > WORTH_A_LOOK


def better_judge(detector, other):
    """Return which of two fitted detectors predicts labels better; the first if equal.

    Parameters
    ----------
    detector, other : LabelErrorDetector
        Fitted to the same samples and labels, with out-of-sample probabilities.
    """
    ahead = lead(_right(other), _right(detector)) > SURELY
    return other if ahead else detector


def _right(detector):
    """Return which labels a detector's classifier predicts, without their help."""
    return detector.pred_probs_.argmax(axis=1) == detector._codes
