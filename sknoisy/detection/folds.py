"""Out-of-sample probabilities: folds of the samples, and a cross-validation."""

import numpy as np
import torch
from sklearn.base import clone
from sklearn.model_selection import (
    StratifiedGroupKFold,
    StratifiedKFold,
    check_cv,
    cross_val_predict,
)
from sklearn.utils import indexable

from sknoisy._compat import safe_indexing
from sknoisy.checks import random_numbers
from sknoisy.data.copies import copies_of
from sknoisy.data.labels import some
from sknoisy.detection.evidence import are_alone, of_probabilities
from sknoisy.detection.features import as_table
from sknoisy.detection.label_free import fit_pretrainers
from sknoisy.encoders.features import LazyFeatures
from sknoisy.estimators.base_classifier import TorchClassifier
from sknoisy.estimators.pipelines import finding_classes, split_pipeline

FOLDS = 5  # of cv="auto", unless one training does


def folds_of(cv, X, y, groups=None, splitter=None):
    """Return folds as a list of positions to train on and to test.

    Parameters
    ----------
    cv : int, splitter or iterable of splits
        The parameter `cv`.
    X : array-like of shape (n_samples, ...)
        Samples.
    y : ndarray of shape (n_samples,)
        Their labels.
    groups : array-like of shape (n_samples,), default=None
        Their groups.
    splitter : splitter, default=None
        What makes the folds where `cv`, which messages name, is their number.

    Raises
    ------
    ValueError
        If it has no such folds.
    """
    every = np.arange(len(y))
    try:
        splitter = cv if splitter is None else splitter
        splits = check_cv(splitter, y, classifier=True).split(X, y, groups)
        folds = [(every[train], every[test]) for train, test in splits]
    except (IndexError, OverflowError, TypeError, ValueError) as error:
        if groups is None and "groups" in str(error):
            raise ValueError(
                f"cv={cv!r} is not valid without groups: pass fit(X, y, groups=...) "
                "or, where fit takes no groups, the splits, cv=[*cv.split(X, y, "
                "groups)]."
            ) from error
        raise ValueError(
            f"cv={cv!r} is not valid: it must be a number of folds, a splitter or an "
            f"iterable of splits ({error})."
        ) from error
    if not folds:
        raise ValueError(f"cv={cv!r} is not valid: it has no folds.")
    return folds


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

    Returns
    -------
    evidence : Evidence
        Out-of-sample probabilities and losses. Samples whose labels no other sample has
        are in no fold, and these labels have the probability 1.
    """
    check_two_of_two(codes)
    folds = make_folds(cv, X, codes, random_state, groups)
    alone = are_alone(codes)
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
    return of_probabilities(
        codes,
        pred_probs,
        len(classes),
        inputs=X,
        rest=rest,
        source=f"{len(folds)} folds: no label was judged by a classifier trained on it",
    )


def _computed_once(X, estimator):
    """Return X, whose features are computed now if all folds would compute them."""
    _, last = split_pipeline(estimator)
    if not isinstance(X, LazyFeatures):
        return X
    if not isinstance(last, TorchClassifier):
        return np.asarray(X)
    if last.freeze_encoder:
        X.computed()  # which it keeps, and its parts have
    return X


def _without(folds, left_out):
    """Return folds of positions among the samples that are not left out."""
    place = np.cumsum(~left_out) - 1
    folds = [[place[part[~left_out[part]]] for part in fold] for fold in folds]
    return [(train, test) for train, test in folds if len(test)]


def check_two_of_two(codes):
    """Raise ``ValueError`` unless two classes have two samples or more."""
    if np.count_nonzero(np.bincount(codes) > 1) < 2:
        raise ValueError(
            "y has fewer than two classes of 2 samples or more, which out-of-sample "
            "probabilities need. Pass more samples, or cv='dynamics' or "
            "method='knn_agreement'."
        )


def make_folds(cv, X, codes, random_state, groups):
    """Return folds that test each sample once, a list of positions; or raise.

    Those of a number are stratified, and leave together what must not be parted:
    the samples of a group, or the copies of a row.
    """
    splitter = originals = None
    if isinstance(cv, (int, np.integer)):
        seed = random_numbers(random_state).randint(2**31 - 1)
        kind = StratifiedKFold if groups is None else StratifiedGroupKFold
        splitter = kind(cv, shuffle=True, random_state=seed)
        originals = _originals(X, codes) if groups is None else None
    if originals is None:
        folds = folds_of(cv, X, codes, groups, splitter)
    else:
        folds = _folds_of_copies(splitter, originals, codes)
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


def _folds_of_copies(splitter, originals, codes):
    """Return folds in which copies are where their originals are, if there can be."""
    n_folds = splitter.n_splits
    distinct, copied = np.unique(originals, return_inverse=True)
    counts = np.bincount(codes[distinct], minlength=codes.max() + 1)
    # Each fold trains on all classes, and so many folds need as many samples of one.
    if counts[codes].min() < 2 or counts.max() < n_folds:
        return folds_of(n_folds, originals, codes, splitter=splitter)
    tested = np.empty(len(distinct), dtype=np.int64)
    folds = folds_of(n_folds, distinct, codes[distinct], splitter=splitter)
    for number, (_, test) in enumerate(folds):
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
