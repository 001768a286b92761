"""Training on soft labels, of classifiers that may not take them."""

import numpy as np
from sklearn.utils import get_tags, indexable
from sklearn.utils.metaestimators import available_if
from sklearn.utils.validation import check_is_fitted, has_fit_parameter

from sknoisy._compat import safe_indexing
from sknoisy.data.given import check_takes_weights
from sknoisy.data.weights import check_sample_weight
from sknoisy.estimators.base_classifier import TorchClassifier
from sknoisy.estimators.delegating import Delegating
from sknoisy.estimators.pipelines import resamples, split_pipeline

LEAST_SHARE = 0.05  # less probable classes of a sample are not trained on as copies


def _estimator_has(name):
    """Return whether a meta-estimator's estimator, fitted if it is, has a method."""

    def check(meta):
        return hasattr(getattr(meta, "estimator_", meta.estimator), name)

    return check


class OnSoftLabels(Delegating):
    """Mixin of classifiers that train another one, `estimator`, on soft labels."""

    predict_proba = available_if(_estimator_has("predict_proba"))(
        Delegating.predict_proba
    )

    @available_if(_estimator_has("decision_function"))
    def decision_function(self, X):
        """Return the scores of the fitted classifier.

        Parameters
        ----------
        X : array-like of shape (n_samples, ...)
            Samples, in any form that `estimator` takes.

        Returns
        -------
        scores : ndarray of shape (n_samples,) or (n_samples, n_columns)
            As the classifier has them, for the classes in ``estimator_.classes_``.
        """
        check_is_fitted(self, "estimator_")
        return self.estimator_.decision_function(X)

    def _weights(self, sample_weight, n_samples):
        """Return checked weights, float64, as they are given, or None."""
        if sample_weight is None:
            return None
        check_sample_weight(sample_weight, n_samples)
        weights = np.broadcast_to(np.asarray(sample_weight, np.float64), n_samples)
        _, last = split_pipeline(self.estimator)
        check_takes_weights(last, "estimator")
        if resamples(self.estimator):
            raise ValueError(
                f"sample_weight is not valid with estimator={self.estimator!r}, which "
                "has a sampler: the samples that it makes have no weights."
            )
        return weights

    def __sklearn_tags__(self):
        tags = super().__sklearn_tags__()
        if hasattr(self.estimator, "__sklearn_tags__"):
            tags.input_tags = get_tags(self.estimator).input_tags
        return tags


def fit_soft(
    estimator, X, labels, soft_labels, classes, labelled=None, sample_weight=None
):
    """Fit a classifier to soft labels, as far as it takes them.

    One of this package, whose loss or method takes soft labels, is given them as they
    are. Another that takes a ``sample_weight`` is given each sample once for each of
    its probable classes, weighted by their probabilities; and any other one the hard
    labels, as is a pipeline with a sampler, such as those of imbalanced-learn.

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
    if labelled is None:
        labelled = np.ones(len(soft_labels), dtype=bool)
    rows = np.flatnonzero(labelled)
    if resamples(estimator):
        return estimator.fit(safe_indexing(*indexable(X), rows), labels[rows])
    front, last = split_pipeline(estimator)
    if front is not None:
        X = front.fit_transform(X, labels)
        estimator.steps = [*front.steps, estimator.steps[-1]]
    if takes_soft_labels(last):
        soft = np.where(labelled[:, None], soft_labels, np.nan)
        last.set_params(classes=classes).fit(X, soft, sample_weight=sample_weight)
        return estimator
    if has_fit_parameter(last, "sample_weight"):
        copies, codes, weights = weighted_copies(soft_labels[rows])
        if sample_weight is not None:
            weights = weights * sample_weight[rows[copies]]
        copied = safe_indexing(*indexable(X), rows[copies])
        # Weights that are all 1 say nothing, but make boosted trees much slower.
        given = {} if (weights == 1).all() else {"sample_weight": weights}
        last.fit(copied, classes[codes], **given)
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
