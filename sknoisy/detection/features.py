"""Features of samples, by which they are compared: a table of numbers."""

import numpy as np
from scipy.sparse import issparse
from sklearn.base import TransformerMixin
from sklearn.decomposition import TruncatedSVD
from sklearn.preprocessing import StandardScaler, normalize

from sknoisy.data.frames import as_sparse
from sknoisy.data.inputs import as_inputs
from sknoisy.detection.label_free import (
    fit_label_free,
    label_free_steps,
    pretrainers,
    transform_label_free,
)
from sknoisy.encoders.features import LazyFeatures
from sknoisy.estimators.base_classifier import TorchClassifier
from sknoisy.estimators.saving import Saved
from sknoisy.scores.distances import neighbor_distances
from sknoisy.scores.neighbors import directions
from sknoisy.scores.reading import chunks

NEIGHBORS = 10
TRIAL = 2000  # samples on which the scale of features is decided
MOST_CELLS = 2**26  # of a sparse table that is made dense: 256 MiB
MOST_COLUMNS = 256  # of the same; of more columns, as many singular vectors


class Densifier(TransformerMixin, Saved):
    """Make sparse samples dense, with few columns.

    Many columns, as those of words, become their truncated singular value
    decomposition; few stay as they are. Of many, those without an entry, such as most
    of the million that hashed words have, do not count and are left out.

    Parameters
    ----------
    random_state : int, RandomState or None, default=None
        Source of randomness of the decomposition.
    """

    def __init__(self, random_state=None):
        self.random_state = random_state

    def fit(self, X, y=None):
        """Choose the columns, and decompose them; y is not used."""
        X = as_sparse(X)
        n_samples, n_columns = X.shape
        self.n_features_in_ = n_columns
        self.columns_ = self.svd_ = None
        if n_columns > MOST_COLUMNS:
            filled = np.unique(X.tocsr().indices)
            self.columns_ = filled if len(filled) < n_columns else None
            if len(filled) > MOST_COLUMNS:
                n_vectors = min(n_samples, MOST_COLUMNS)
                svd = TruncatedSVD(n_vectors, random_state=self.random_state)
                self.svd_ = svd.fit(self._chosen(X))
        return self

    def transform(self, X):
        """Return samples, dense, of shape (n_samples, n_new_columns)."""
        X = self._chosen(as_sparse(X))
        if self.svd_ is not None:
            return self.svd_.transform(X)
        return X.toarray() if issparse(X) else X

    def _chosen(self, X):
        if self.columns_ is None:
            return X
        return (X.tocsr() if issparse(X) else np.asarray(X))[:, self.columns_]

    def __sklearn_tags__(self):
        tags = super().__sklearn_tags__()
        tags.input_tags.sparse = True
        return tags


def features_of(X, estimator=None, rest=None):
    """Return features of samples; they are computed when they are asked for.

    Parameters
    ----------
    X : array-like of shape (n_samples, ...)
        What was judged by; see :class:`Evidence`.
    estimator : estimator, default=None
        A fitted classifier, or a pipeline, that X is for.
    rest : estimator, default=None
        The same, not fitted, where there is no `estimator`.

    Returns
    -------
    features : ndarray or LazyFeatures of shape (n_samples, n_features), or None
        Those of leading pre-trainers; X itself where it is a table of finite numbers,
        or else what other leading steps that learn without labels make of it, if that
        is one; those of a fitted network.
    """
    for step in pretrainers(estimator):
        X = step.transform(X)
    if isinstance(X, LazyFeatures):
        return X
    table = as_table(X)
    if table is None and label_free_steps(estimator):
        table = as_table(transform_label_free(estimator, X), MOST_CELLS)
    elif table is None and label_free_steps(rest):
        table = as_table(fit_label_free(rest, X), MOST_CELLS)
    if table is None and isinstance(estimator, TorchClassifier):
        return LazyFeatures(as_inputs(X), estimator.encoder_)
    return table


def comparable_features(features, codes, *, angles=False):
    """Return features whose Euclidean distances mean something, float32.

    Those of encoders get the length 1. Of tables the scale is chosen by whose
    neighbours agree most often with labels, on 2,000 samples: each column divided by
    its standard deviation, all as they are, or rows of length 1.

    Parameters
    ----------
    features : array-like or LazyFeatures of shape (n_samples, n_features)
        Finite numbers.
    codes : ndarray of shape (n_samples,), dtype int64
        Given labels.
    angles : bool, default=False
        Whether rows of a table may get the length 1, which makes multiples of a row
        equal to it.
    """
    if isinstance(features, LazyFeatures):
        return normalize(np.asarray(features))
    features = np.asarray(features, dtype=np.float32)
    scaler = StandardScaler()
    # In parts, for fit would copy all of them.
    for rows in chunks(len(features), features[:1].size, n_chunks=16):
        scaler.partial_fit(features[rows])
    scaler.scale_[scaler.scale_ < np.finfo(np.float32).tiny] = 1  # as of constant ones
    scales = [scaler.transform, np.asarray]
    if angles:
        scales.append(directions)
    rows = np.linspace(0, len(codes) - 1, min(len(codes), TRIAL)).astype(int)
    agreements = [_agreement(scale(features[rows]), codes[rows]) for scale in scales]
    return scales[int(np.argmax(agreements))](features)


def _agreement(features, codes):
    """Return how often the labels of samples and of their neighbours are equal."""
    index, _ = neighbor_distances(features, min(NEIGHBORS, len(codes) - 1))
    return np.mean(codes[index] == codes[:, None])


def as_table(X, most_cells=0):
    """Return a table of finite numbers, float32, or None if X is none, or sparse."""
    if issparse(X) and np.prod(X.shape, dtype=np.int64) <= most_cells:
        X = X.toarray()
    try:
        X = as_inputs(X)  # which refuses columns that only look like numbers
        X = X if hasattr(X, "ndim") else np.asarray(X)
        if X.ndim != 2:
            return None
        with np.errstate(over="ignore"):
            table = np.asarray(X, dtype=np.float32)
    except (TypeError, ValueError):  # sparse, text, missing values
        return None
    return table if np.isfinite(table).all() else None
