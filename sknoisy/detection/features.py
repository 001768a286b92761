"""Features of samples: what pre-trainers and networks make of them, or X itself."""

import numpy as np
from scipy.sparse import issparse
from sklearn.base import clone
from sklearn.pipeline import Pipeline
from sklearn.utils import get_tags

from sknoisy.data.inputs import as_inputs
from sknoisy.encoders.features import LazyFeatures
from sknoisy.estimators.base_classifier import TorchClassifier
from sknoisy.estimators.lazy import LazyTransformer


def fit_label_free(estimator, X):
    """Return the rest of a pipeline, and its pre-trainers' features, fitted once."""
    n = len(label_free_steps(estimator))
    if n == 0:
        return estimator, X
    # A last step that does nothing, for a pipeline's cache leaves out its last step.
    steps = [*estimator.steps[:n], ("rest", "passthrough")]
    pretrainers = clone(Pipeline(steps, memory=estimator.memory))
    return estimator[n:], pretrainers.fit_transform(X)


def label_free_steps(estimator):
    """Return the pre-trainers that lead a pipeline, and learn without labels."""
    steps = []
    for _, step in estimator.steps if isinstance(estimator, Pipeline) else []:
        if not isinstance(step, LazyTransformer) or get_tags(step).target_tags.required:
            break
        steps.append(step)
    return steps


def features_of(X, estimator=None):
    """Return features of samples; they are computed when they are asked for.

    Parameters
    ----------
    X : array-like of shape (n_samples, ...)
        What was judged by; see :class:`Evidence`.
    estimator : estimator, default=None
        A fitted classifier, or a pipeline, that X is for.

    Returns
    -------
    features : ndarray or LazyFeatures of shape (n_samples, n_features), or None
        Those of leading pre-trainers; X itself where it is a table of finite numbers;
        those of a fitted network.
    """
    for step in label_free_steps(estimator):
        X = step.transform(X)
    if isinstance(X, LazyFeatures):
        return X
    if np.ndim(X) == 2 and not issparse(X):
        try:
            table = np.asarray(X, dtype=np.float32)
        except (TypeError, ValueError):  # text, missing values
            return None
        return table if np.isfinite(table).all() else None
    if isinstance(estimator, TorchClassifier):
        return LazyFeatures(as_inputs(X), estimator.encoder_)
    return None
