"""Counts and checked matrices, which corrected scores need."""

import numpy as np
from scipy.sparse import issparse

from sknoisy.checks import check_choice
from sknoisy.data.labels import encode_labels
from sknoisy.scores.estimates import count_pairs


def is_table(X):
    """Return whether X is a two-dimensional array of numbers."""
    if issparse(X):
        return True
    dtypes = [X.dtype] if hasattr(X, "dtype") else [*getattr(X, "dtypes", [object])]
    numbers = all(getattr(dtype, "kind", "O") in "fiub" for dtype in dtypes)
    return numbers and len(getattr(X, "shape", ())) == 2


def is_finite(X):
    """Whether all values of an array or sparse matrix are finite."""
    values = X.data if issparse(X) else np.asarray(X)
    if values.dtype == object and hasattr(X, "isna"):  # pandas' own integers, say
        values = X.to_numpy(dtype=np.float64, na_value=np.nan)
    return bool(np.isfinite(values).all())


def confusion_counts(y, y_pred, classes):
    """Return the counts of each given label (row) and prediction (column)."""
    n = len(classes)
    given, predicted = encode_labels(y, classes)[1], encode_labels(y_pred, classes)[1]
    if len(given) != len(predicted) or len(given) == 0:
        raise ValueError(
            f"y has {len(given)} labels, and there are {len(predicted)} predictions: "
            "pass one prediction for each label, and at least one."
        )
    return count_pairs(given, predicted, n)


def condition_of(matrix):
    """Return the condition number of a square matrix, inf if it is singular.

    The smallest singular value of a singular matrix is 0 but for rounding.
    """
    if np.linalg.matrix_rank(matrix) < len(matrix):
        return np.inf
    return float(np.linalg.cond(matrix))


def true_counts(counts, transition_matrix):
    """Return the estimated counts of each true class (row) and prediction (column)."""
    return np.linalg.solve(transition_matrix.T, counts)


def mean_score(counts, balanced):
    """Return the accuracy or the mean recall."""
    check_choice("balanced", balanced, [True, False])
    if not balanced:
        return counts.trace() / counts.sum()
    of_class = counts.sum(axis=1)
    there = of_class > min(1, of_class.max()) - 1e-9
    return np.mean(counts.diagonal()[there] / of_class[there])
