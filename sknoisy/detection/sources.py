"""Evidence without folds: from one training, a fitted classifier or neighbours."""

from numbers import Real

import numpy as np
from scipy.sparse import issparse
from sklearn.pipeline import Pipeline

from sknoisy.detection.evidence import Evidence, of_probabilities
from sknoisy.detection.features import comparable_features
from sknoisy.detection.label_free import (
    fit_label_free,
    label_free_steps,
    transform_label_free,
)
from sknoisy.encoders.features import LazyFeatures
from sknoisy.estimators.base_classifier import TorchClassifier
from sknoisy.estimators.lazy import LazyTransformer
from sknoisy.estimators.pipelines import split_pipeline
from sknoisy.scores.distances import neighbor_distances
from sknoisy.scores.neighbors import neighbor_index
from sknoisy.scores.probabilities import best_others, losses_of
from sknoisy.scores.reading import of_labels
from sknoisy.scores.votes import votes_from
from sknoisy.training.dynamics import N_PREDICTIONS


def leaves_out(estimator, X):
    """Whether one training of a classifier also predicts each sample without its label.

    Parameters
    ----------
    estimator : classifier or Pipeline
        What would be trained, with its last step on X; steps before that must not learn
        from labels.
    X : array-like of shape (n_samples, ...)
        Whatever it takes.
    """
    _, last = split_pipeline(estimator)
    steps = label_free_steps(estimator)
    n_before = len(estimator.steps) - 1 if isinstance(estimator, Pipeline) else 0
    if not isinstance(last, TorchClassifier) or len(steps) < n_before:
        return False
    if isinstance(last.validation, Real):
        return False
    if isinstance(X, LazyFeatures) or not steps:
        return last._method_for(X).leaves_out
    is_lazy = any(isinstance(step, LazyTransformer) for step in steps)
    return last._method_for(is_lazy=is_lazy).leaves_out


def from_prefit(estimator, X, codes):
    """Predict by a classifier that was fitted on other samples.

    Parameters
    ----------
    estimator : classifier
        Fitted.
    X : array-like of shape (n_samples, ...)
        Whatever it takes.
    codes : ndarray of shape (n_samples,), dtype int64
        Position of each label in the classifier's classes.

    Returns
    -------
    evidence : Evidence
        Probabilities and losses.
    """
    return of_probabilities(
        codes,
        estimator.predict_proba(X),
        len(estimator.classes_),
        estimator=estimator,
        inputs=X,
        source="a classifier that was fitted before",
    )


def from_dynamics(estimator, X, codes, classes, given=None):
    """Train once on all samples; take what was kept of them while it went on.

    Probabilities are those of the first epochs, in which hardly a label was memorised;
    see :class:`~sknoisy.training.dynamics.Dynamics`.

    Parameters
    ----------
    estimator : classifier
        A classifier of this package, or a pipeline that ends in one; fitted in place.
    X : array-like of shape (n_samples, ...)
        Whatever it takes.
    codes : ndarray of shape (n_samples,), dtype int64
        Position of each label in `classes`.
    classes : ndarray of shape (n_classes,)
        The classes.
    given : dict of str to ndarray, default=None
        What fit gets beside labels.

    Returns
    -------
    evidence : Evidence
        Losses, margins and wrong events; and probabilities, of all classes where they
        are out-of-sample: those of a kernel machine leave each sample out.
    """
    fitted = estimator.fit(X, classes[codes], **(given or {}))
    _, last = split_pipeline(fitted)
    losses, margins = last.training_loss_, last.label_quality_
    events = last.wrong_events_
    early, left_out = last._early_predictions(), last.loss_state_.get("left_out")
    unseen = np.isnan(losses)  # of weight 0: what is predicted is out-of-sample
    asked = np.isnan(early["label"]) if left_out is None else unseen
    if asked.any():
        probs = fitted.predict_proba(X)
        own, (best, second) = of_labels(codes, probs), best_others(codes, probs)
        losses = np.where(unseen, losses_of(codes, probs), losses)
        margins = np.where(unseen, (1 + own - second) / 2, margins)
        n_epochs = last._dynamics[:, N_PREDICTIONS].max()
        events = np.where(unseen, n_epochs * (own < second), events)
        if left_out is None:
            found = {"label": own, "other": second, "others": best}
            early = {k: np.where(asked, found[k], v) for k, v in early.items()}
        else:
            probs[~unseen] = left_out
            left_out = probs
    if left_out is None:
        others = early["others"].astype(np.int64)
        early = np.stack([early["label"], early["other"]], axis=1)
        source = "one training on all samples, by its first epochs"
    else:
        (others, _), early = best_others(codes, left_out), None
        source = "one training, whose predictions leave the label of each sample out"
    return Evidence(
        codes,
        others,
        left_out,
        losses=losses,
        margins=margins,
        early=early,
        estimator=fitted,
        n_classes=len(classes),
        wrong_events=events,
        inputs=X,
        source=source,
    )


def from_neighbors(
    estimator, X, codes, n_classes, n_neighbors, prefit=False, sample_weight=None
):
    """Let the nearest neighbours vote, in the features of leading steps, or X.

    Parameters
    ----------
    estimator : classifier, or transformer
        Its leading steps that learn without labels are used, and nothing else of it.
    X : array-like or sparse matrix of shape (n_samples, ...)
        Samples.
    codes : ndarray of shape (n_samples,), dtype int64
        Column of each label.
    n_classes : int
        Number of classes.
    n_neighbors : int
        Number of neighbours.
    prefit : bool, default=False
        Whether these steps are fitted already.
    sample_weight : ndarray of shape (n_samples,), default=None
        Weight of each sample's vote.

    Returns
    -------
    evidence : Evidence
        Shares of votes as probabilities, and their losses.
    """
    if n_neighbors >= len(codes):
        raise ValueError(
            f"n_neighbors={n_neighbors!r} is not valid: it must be less than the "
            f"{len(codes)} samples."
        )
    if hasattr(estimator, "transform") and not isinstance(estimator, Pipeline):
        estimator = Pipeline([("features", estimator)])
    X = (transform_label_free if prefit else fit_label_free)(estimator, X)
    inputs = X
    if issparse(X):
        index = neighbor_index(X, n_neighbors)
    else:
        if not isinstance(X, LazyFeatures):
            X = np.asarray(X)
            X = X.reshape(len(X), -1) if X.ndim > 2 else X  # images as vectors
        scaled = comparable_features(X, codes, angles=True)
        index, _ = neighbor_distances(scaled, n_neighbors)
    votes = votes_from(index, codes, n_classes, sample_weight)
    return of_probabilities(
        codes,
        votes,
        n_classes,
        n_votes=n_neighbors,
        inputs=inputs,
        source="labels of the nearest neighbours, without a classifier",
    )
