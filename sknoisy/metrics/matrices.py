"""Estimates of the transition matrix that corrected scores use."""

import numpy as np
from scipy.sparse import issparse
from sklearn.preprocessing import StandardScaler

from sknoisy.metrics.counts import is_table
from sknoisy.scores.consensus import hoc_transition_matrix
from sknoisy.scores.estimates import (
    METHODS,
    estimate_transition_matrix,
    label_votes,
    shrunk_transition_matrix,
)
from sknoisy.scores.neighborhoods import neighbor_label_votes
from sknoisy.scores.votes import knn_votes

OF_FEATURES = ["neighbors", "hoc"]
NAMES = [*OF_FEATURES, *METHODS]
FEWEST_VOTES = 30  # labels from which a row of the transition matrix is estimated
MOST_NEIGHBORS = 50
MANY = 1000  # samples of a class, of which the surest tenth are enough to count


def transition_matrix_of(method, X, y, classes, pred_probs=None):
    """Estimate a transition matrix.

    Parameters
    ----------
    method : str
        One of NAMES.
    X : array-like of shape (n_samples, n_features)
        Features, for the methods in OF_FEATURES.
    y : array-like of shape (n_samples,)
        Given labels.
    classes : ndarray of shape (n_classes,)
        The classes, sorted.
    pred_probs : ndarray of shape (n_samples, n_classes), default=None
        Probabilities, for the other methods.
    """
    if method in OF_FEATURES and not is_table(X):
        raise ValueError(
            f"the transition matrix cannot be estimated by {method!r}: X must be an "
            "array of numbers with two dimensions. Pass features of the samples, a "
            "matrix, or a classifier to NoiseCorrectedScorer.from_samples."
        )
    if method in OF_FEATURES and X.shape[0] < 2:
        raise ValueError(
            f"the transition matrix cannot be estimated by {method!r} from "
            f"{X.shape[0]} sample: pass a matrix, such as "
            "NoiseCorrectedScorer.from_samples estimates from all samples."
        )
    if method == "hoc":
        return _consensus(X, y, classes)
    if method == "neighbors":
        T, absent = _by_neighbors(X, y, classes)
    else:
        absent = pred_probs.max(axis=0) == 0
        if method == "votes":
            share = min(0.5, max(0.1, FEWEST_VOTES * len(classes) / len(pred_probs)))
            T = shrunk_transition_matrix(label_votes(y, pred_probs, classes, share))
        else:
            T = estimate_transition_matrix(y, pred_probs, classes, method)
    # Nothing is known about a class without labels, or without probability.
    T[absent] = np.eye(len(classes))[absent]
    return T


def _consensus(X, y, classes):
    near = min(MOST_NEIGHBORS, X.shape[0] - 1)
    n_pairs = max(1, min(5, (near - 1) // 2))
    return hoc_transition_matrix(y, _scaled(X), classes, near, n_pairs)


def _by_neighbors(X, y, classes):
    """Return the matrix by neighbours in a table, and which classes have no labels."""
    X = _scaled(X)
    # In a small sample, so many neighbours would be of several classes.
    n_neighbors = min(MOST_NEIGHBORS, max(5, X.shape[0] // (4 * len(classes))))
    n_neighbors = min(n_neighbors, X.shape[0] - 1)
    if X.shape[0] >= MANY * len(classes):
        votes = label_votes(y, knn_votes(y, X, n_neighbors, classes), classes)
    else:
        votes = neighbor_label_votes(y, X, classes, n_neighbors)
    return shrunk_transition_matrix(votes), ~np.isin(classes, y)


def _scaled(X):
    X = X if issparse(X) else np.asarray(X)
    return StandardScaler(with_mean=not issparse(X)).fit_transform(X)
