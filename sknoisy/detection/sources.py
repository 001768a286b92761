"""Where evidence comes from: folds, one training, a fitted model or neighbours."""

from dataclasses import replace
from numbers import Real

import numpy as np
import torch
from scipy.sparse import issparse
from sklearn import get_config
from sklearn.base import clone
from sklearn.model_selection import (
    StratifiedGroupKFold,
    StratifiedKFold,
    cross_val_predict,
)
from sklearn.pipeline import Pipeline
from sklearn.utils import indexable
from sklearn.utils.metadata_routing import MetadataRequest, get_routing_for_object

from sknoisy._compat import safe_indexing
from sknoisy.checks import random_numbers
from sknoisy.data.copies import copies_of
from sknoisy.data.labels import some
from sknoisy.detection.checks import folds_of
from sknoisy.detection.evidence import Evidence
from sknoisy.detection.features import as_table, comparable_features
from sknoisy.detection.label_free import (
    fit_label_free,
    fit_pretrainers,
    label_free_steps,
    transform_label_free,
)
from sknoisy.encoders.features import LazyFeatures
from sknoisy.estimators.base_classifier import TorchClassifier
from sknoisy.estimators.lazy import LazyTransformer
from sknoisy.estimators.pipelines import finding_classes, split_pipeline
from sknoisy.scores.distances import neighbor_distances
from sknoisy.scores.neighbors import neighbor_index
from sknoisy.scores.probabilities import best_others, check_probabilities, losses_of
from sknoisy.scores.reading import of_labels
from sknoisy.scores.votes import votes_from


def from_folds(
    estimator,
    X,
    codes,
    classes,
    cv,
    n_jobs=None,
    random_state=None,
    groups=None,
    given=None,
    trusted=None,
):
    """Cross-validate; pre-trainers that lead a pipeline are fitted once, on all of X.

    Parameters
    ----------
    estimator : classifier
        What is cloned for each fold.
    X : array-like of shape (n_samples, ...)
        Whatever it takes.
    codes : ndarray of shape (n_samples,), dtype int64
        Position of each label in `classes`.
    classes : ndarray of shape (n_classes,)
        The classes.
    cv : int, splitter or iterable
        Number of stratified, shuffled folds; or the folds.
    n_jobs : int, default=None
        Folds that run at the same time.
    random_state : int, RandomState or None, default=None
        Source of randomness of the folds.
    groups : array-like of shape (n_samples,), default=None
        Samples of one group are in one fold.
    given : dict of str to ndarray, default=None
        What fits get beside labels, see :func:`with_arguments`.
    trusted : ndarray of shape (n_samples,), bool, default=None
        Which labels are right. Those of them that no other sample has are in no fold,
        and have the probability 1.

    Returns
    -------
    evidence : Evidence
        Out-of-sample probabilities and losses.
    """
    check_two_of_each(codes, classes, trusted)
    folds = make_folds(cv, X, codes, random_state, groups)
    alone = np.bincount(codes)[codes] == 1
    present, judged = np.unique(codes[~alone], return_inverse=True)
    estimator = finding_classes(estimator, classes)
    rest, X = fit_pretrainers(_weighted_by_code(estimator, classes[present]), X)
    of_folds = _computed_once(X, rest)
    if alone.any():
        of_folds = safe_indexing(*indexable(of_folds), np.flatnonzero(~alone))
        given = {name: values[~alone] for name, values in (given or {}).items()}
        folds = _without(folds, alone)
    pred_probs = cross_val_predict(
        rest,
        of_folds,
        judged,
        cv=folds,
        n_jobs=n_jobs,
        method="predict_proba",
        params=given or None,
    )
    if alone.any():
        found, pred_probs = pred_probs, np.eye(len(classes))[codes]
        pred_probs[np.ix_(~alone, present)] = found
    evidence = _of_probabilities(codes, pred_probs, len(classes), inputs=X)
    source = f"{len(folds)} folds: no label was judged by a classifier trained on it"
    return replace(evidence, rest=rest, source=source)


def _computed_once(X, estimator):
    """Return X, whose features are computed now if all folds would compute them."""
    _, last = split_pipeline(estimator)
    if not isinstance(X, LazyFeatures):
        return X
    if not isinstance(last, TorchClassifier):
        return np.asarray(X)
    if last.freeze_encoder:
        np.asarray(X)  # which it keeps, and its parts have
    return X


def _without(folds, left_out):
    """Return folds of positions among the samples that are not left out."""
    place = np.cumsum(~left_out) - 1
    folds = [[place[part[~left_out[part]]] for part in fold] for fold in folds]
    return [(train, test) for train, test in folds if len(test)]


def check_two_of_each(codes, classes, trusted=None):
    """Raise ``ValueError`` if a class has one sample, which no other can vouch for.

    Those that are trusted need not be vouched for, if there are two other classes.
    """
    single = np.bincount(codes) == 1
    if trusted is not None and np.count_nonzero(~single) >= 2:
        single[codes[trusted]] = False
    single = classes[single]
    if len(single):
        of = "the class" if len(single) == 1 else "each of the classes"
        raise ValueError(
            f"y has 1 sample of {of} {some(single)}: out-of-sample probabilities need "
            "at least 2 of each class. Leave those samples out, merge their classes "
            "with others, trust their labels, or pass cv='dynamics' or "
            "method='knn_agreement'."
        )


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


def with_arguments(estimator, labels):
    """Return a classifier, or its pipeline, and what its fit gets beside labels.

    Parameters
    ----------
    estimator : classifier or Pipeline
        What is to be fitted.
    labels : Labels
        Whose weights and trust are handed on to the last step of a Pipeline; with
        scikit-learn's metadata routing also wherever else they are requested.

    Returns
    -------
    estimator : classifier or Pipeline
        The same, or with routing a clone, whose last step asks for what it is given
        unless it says itself whether it does.
    arguments : dict of str to ndarray
        Keyword arguments.
    """
    given = labels.arguments(split_pipeline(estimator)[1], "estimator")
    if get_config()["enable_metadata_routing"]:
        return _asking(estimator, given), given
    if isinstance(estimator, Pipeline):
        name, _ = estimator.steps[-1]
        given = {f"{name}__{argument}": values for argument, values in given.items()}
    return estimator, given


def _asking(estimator, names):
    """Return an estimator whose last step asks for metadata, unless it says itself."""
    routing = get_routing_for_object(split_pipeline(estimator)[1])
    if not isinstance(routing, MetadataRequest):
        return estimator  # it routes by itself
    unsaid = {name: True for name in names if routing.fit.requests.get(name) is None}
    if unsaid:
        estimator = clone(estimator)
        split_pipeline(estimator)[1].set_fit_request(**unsaid)
    return estimator


def make_folds(cv, X, codes, random_state, groups):
    """Return the folds as a list; raise if they do not test each sample once."""
    originals = None
    if isinstance(cv, (int, np.integer)):
        seed = random_numbers(random_state).randint(2**31 - 1)
        kind = StratifiedKFold if groups is None else StratifiedGroupKFold
        cv = kind(cv, shuffle=True, random_state=seed)
        originals = _originals(X, codes) if groups is None else None
    if originals is None:
        folds = folds_of(cv, X, codes, groups)
    else:
        folds = _folds_of_copies(cv, originals, codes)
    if any(np.isin(test, train).any() for train, test in folds):
        raise ValueError(
            f"cv={cv!r} is not valid: it trains on samples that it tests, which says "
            "nothing about their labels."
        )
    tested = np.concatenate([test for _, test in folds])
    times = np.bincount(tested, minlength=len(codes))
    if (times != 1).any():
        raise ValueError(
            f"cv={cv!r} is not valid: it must test each sample once, but "
            f"{np.count_nonzero(times != 1)} of {len(codes)} are tested never, or more "
            "than once. Pass a number of folds, or a splitter such as KFold."
        )
    return folds


def _originals(X, codes):
    """Return what each row of a table is a copy of; None of others, or without any."""
    table = as_table(X)
    if table is None:
        return None
    given = torch.from_numpy(codes[:, None] + 1)
    table = np.require(table, requirements="W")  # a mapped one may be read-only
    originals = copies_of(torch.from_numpy(table), given)
    return None if originals is None else originals.numpy()


def _folds_of_copies(cv, originals, codes):
    """Return folds, in which copies are where their originals are."""
    distinct, copied = np.unique(originals, return_inverse=True)
    counts = np.bincount(codes[distinct], minlength=codes.max() + 1)
    # Each fold trains on all classes, and so many folds need as many samples of one.
    if counts[codes].min() < 2 or counts.max() < cv.n_splits:
        return folds_of(cv, originals, codes)
    tested = np.empty(len(distinct), dtype=np.int64)
    for number, (_, test) in enumerate(folds_of(cv, distinct, codes[distinct])):
        tested[test] = number
    of_all = tested[copied]
    numbers = range(tested.max() + 1)
    return [(np.flatnonzero(of_all != i), np.flatnonzero(of_all == i)) for i in numbers]


def _weighted_by_code(estimator, classes):
    """Return an estimator whose class weights are those of codes, not of labels."""
    if not hasattr(estimator, "get_params"):
        return estimator
    codes = {label: code for code, label in enumerate(classes.tolist())}
    weights = {}
    for name, value in estimator.get_params().items():
        if name.split("__")[-1] == "class_weight" and isinstance(value, dict):
            strange = np.array([k for k in value if k not in codes], dtype=object)
            # Labels that the data lack may be there, as long as none is mistyped.
            if len(strange) and any(label not in value for label in codes):
                raise ValueError(
                    f"{name}={value!r} is not valid: {some(strange)} are not among the "
                    f"classes {some(classes, 20)}."
                )
            known = value.keys() & codes.keys()
            weights[name] = {codes[label]: value[label] for label in known}
    return clone(estimator).set_params(**weights) if weights else estimator


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
    pred_probs = estimator.predict_proba(X)
    n_classes = len(estimator.classes_)
    evidence = _of_probabilities(codes, pred_probs, n_classes, estimator, X)
    return replace(evidence, source="a classifier that was fitted before")


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
    early = last._early_predictions()
    label, other, others = early["label"], early["other"], early["others"]
    left_out = last.loss_state_.get("left_out")
    unseen = np.isnan(losses)  # of weight 0: what is predicted is out-of-sample
    asked = np.isnan(label) if left_out is None else unseen
    source = "one training on all samples, by its first epochs"
    probs = left_out
    if asked.any():
        probs = fitted.predict_proba(X)
    if left_out is not None:
        if asked.any():
            probs[~asked] = left_out
        left_out, asked = probs, np.ones_like(asked)
        source = "one training, whose predictions leave the label of each sample out"
    if probs is not None:
        best, second = best_others(codes, probs)
        own = of_labels(codes, probs)
        others = np.where(asked, best, others)
        label, other = np.where(asked, own, label), np.where(asked, second, other)
        losses = np.where(unseen, losses_of(codes, probs), losses)
        margins = np.where(unseen, (1 + own - second) / 2, margins)
        n_epochs = last._dynamics[:, 2].max()
        events = np.where(unseen, n_epochs * (own < second), events)
    return Evidence(
        codes,
        others.astype(np.int64),
        left_out,
        losses=losses,
        margins=margins,
        early=None if left_out is not None else np.stack([label, other], axis=1),
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
    evidence = _of_probabilities(codes, votes, n_classes, inputs=inputs)
    source = "labels of the nearest neighbours, without a classifier"
    return replace(evidence, n_votes=n_neighbors, source=source)


def _of_probabilities(codes, pred_probs, n_classes, estimator=None, inputs=None):
    _, _, pred_probs = check_probabilities(codes, pred_probs, np.arange(n_classes))
    others, _ = best_others(codes, pred_probs)
    losses = losses_of(codes, pred_probs)
    return Evidence(
        codes, others, pred_probs, losses, estimator=estimator, inputs=inputs
    )
