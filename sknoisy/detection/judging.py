"""Choice of who judges the labels: the kernel machine, or the classifier to be trained.

The kernel machine mostly predicts unseen labels better than other classifiers do, and
takes one training of seconds. Where another classifier is better, as on rules of a few
columns, its own folds judge better.
"""

import logging
import warnings

import numpy as np
from scipy.sparse import issparse
from sklearn.base import clone
from sklearn.utils import indexable

from sknoisy._compat import safe_indexing
from sknoisy.data.frames import as_sparse
from sknoisy.data.given import Labels
from sknoisy.data.weights import check_sample_weight
from sknoisy.detection.detector import LabelErrorDetector
from sknoisy.detection.features import as_table
from sknoisy.detection.folds import FOLDS, make_folds
from sknoisy.encoders.features import LazyFeatures
from sknoisy.encoders.heads import LEAST_PROBABILITY
from sknoisy.estimators.pipelines import with_arguments
from sknoisy.scores.probabilities import in_columns
from sknoisy.scores.reading import of_labels

LOGGER = logging.getLogger("sknoisy")
# Standard errors by which a classifier must be ahead of the kernel machine: in one fold
# for the others to be computed, and in all of them to judge.
WORTH_A_LOOK, SURELY = 0, 2


def kernel_can_judge(X):
    """Whether X is a table of finite numbers, dense or sparse, or lazy features."""
    X = as_sparse(X)
    if issparse(X):
        return bool(np.isfinite(X.tocsr().data).all())
    return isinstance(X, LazyFeatures) or as_table(X) is not None


def lead(right, others):
    """Return by how many standard errors one prediction is better than another.

    Parameters
    ----------
    right, others : ndarray of shape (n_samples,), bool or float64
        Where two predictions of the same labels are right, or how good they are.

    Returns
    -------
    lead : float
        Mean of the differences over its standard error; 0 where they are all equal.
    """
    differences = right.astype(float) - others
    squares = np.square(differences).sum()
    return float(differences.sum() / np.sqrt(squares)) if squares else 0.0


def better_judge(detector, estimator, X, y, weights=None, groups=None, trusted=None):
    """Return the detector itself, or one by folds of a classifier that predict better.

    The folds must predict more of the labels, and with a lower log loss, both by two
    standard errors.

    Parameters
    ----------
    detector : LabelErrorDetector
        A fitted detector with out-of-sample probabilities.
    estimator : classifier
        Classifier whose clones are fitted: first to four fifths of the samples, and to
        all folds only if that one predicts better.
    X : array-like of shape (n_samples, ...)
        Samples, in any form that `estimator` takes.
    y : array-like of shape (n_samples,)
        Labels.
    weights, groups, trusted : array-like of shape (n_samples,), default=None
        The arguments that the detector was fitted with.

    Returns
    -------
    detector : LabelErrorDetector
        The fitted detector that is the better judge.
    """
    other = LabelErrorDetector(clone(estimator), random_state=detector.random_state)
    with warnings.catch_warnings():
        # The training on all samples, at the end, repeats the classifier's own warnings
        # and errors. All others are due to the folds, which then cannot judge.
        warnings.simplefilter("ignore")
        try:
            if not _may_predict_better(estimator, X, detector, weights, groups):
                return detector
            other.fit(X, y, weights, groups, trusted)
        except Exception:
            name = type(estimator).__name__
            LOGGER.debug("folds of %s cannot judge", name, exc_info=True)
            return detector
    # Labels are judged by probabilities: those of a tree, 0 and 1, are too sure.
    ahead = lead(_right(other), _right(detector)) > SURELY
    ahead = ahead and lead(_losses(detector), _losses(other)) > SURELY
    # Of imbalanced labels a constant may predict most, and tells nothing.
    return other if ahead and not other.by_chance_ else detector


def _may_predict_better(estimator, X, detector, weights, groups):
    """Whether a classifier predicts labels better, by a single fold."""
    codes, labels = detector._codes, detector.classes_[detector._codes]
    known = np.flatnonzero(np.bincount(codes)[codes] >= FOLDS)
    if len(np.unique(codes[known])) < 2:
        return False
    (X,) = indexable(X)
    weights = check_sample_weight(weights, len(codes))
    estimator, given = with_arguments(estimator, Labels(codes, weights=weights))
    groups = None if groups is None else np.asarray(groups)[known]
    of_known = safe_indexing(X, known), codes[known], detector.random_state, groups
    train, test = (known[rows] for rows in make_folds(FOLDS, *of_known)[0])
    given = {name: values[train] for name, values in given.items()}
    clf = clone(estimator).fit(safe_indexing(X, train), labels[train], **given)
    probs = clf.predict_proba(safe_indexing(X, test))
    predicted = in_columns(probs, clf.classes_, detector.classes_).argmax(axis=1)
    return lead(predicted == codes[test], _right(detector)[test]) > WORTH_A_LOOK


def _right(detector):
    """Return which labels a detector's classifier predicts, without their help."""
    return detector.pred_probs_.argmax(axis=1) == detector._codes


def _losses(detector):
    """Return losses of the same predictions, with the kernel machine's bound."""
    own = of_labels(detector._codes, detector.pred_probs_)
    return -np.log(own.clip(min=LEAST_PROBABILITY))
