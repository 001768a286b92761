"""Out-of-sample probabilities for a consensus of annotators."""

import numpy as np
from sklearn.base import clone

from sknoisy._compat import safe_indexing
from sknoisy.annotators.agreement import agreement_with_others
from sknoisy.data.given import Labels
from sknoisy.detection.folds import from_folds
from sknoisy.detection.label_free import fit_pretrainers
from sknoisy.estimators.pipelines import finding_classes, with_arguments
from sknoisy.scores.probabilities import in_columns


def out_of_sample(
    estimator,
    X,
    annotations,
    cv,
    n_jobs=None,
    random_state=None,
    groups=None,
    sample_weight=None,
):
    """Cross-validate a classifier on what most annotators say.

    Samples without a label, or of a class that no other sample has, are predicted by a
    classifier that is trained on the others.

    Parameters
    ----------
    estimator : classifier
        What is cloned for each fold.
    X : array-like of shape (n_samples, ...)
        Whatever it takes.
    annotations : Annotations
        The labels.
    cv, n_jobs, random_state, groups : int or splitter, int, int, array-like
        See :func:`sknoisy.detection.folds.from_folds`.
    sample_weight : ndarray of shape (n_samples,), float64, default=None
        Weights of the samples in each training.

    Returns
    -------
    pred_probs : ndarray of shape (n_samples, n_classes), float64
        Columns are in the order of the annotations' classes.
    """
    n_samples, classes = annotations.n_samples, annotations.classes
    codes, labelled = most_votes(annotations), annotations.n_labels > 0
    counts = np.bincount(codes[labelled], minlength=len(classes))
    usable = labelled & (counts[codes] > 1)
    present, rows = np.flatnonzero(counts > 1), np.flatnonzero(usable)
    if len(present) < 2:
        raise ValueError(
            f"by majority vote, {len(present)} of {len(classes)} classes have at "
            "least two samples, and at least 2 such classes are needed to predict "
            "samples from others. Pass more samples, or a method that needs no "
            "predictions, such as method='majority_vote'."
        )
    if not usable.all():
        estimator, X = fit_pretrainers(estimator, X)
        groups = None if groups is None else safe_indexing(groups, rows)
    of_rows = X if usable.all() else safe_indexing(X, rows)
    given = np.searchsorted(present, codes[rows])
    weights = None if sample_weight is None else sample_weight[rows]
    labels = Labels(given, weights=weights)
    estimator, arguments = with_arguments(estimator, labels)
    settings = cv, n_jobs, random_state, groups, arguments
    evidence = from_folds(estimator, of_rows, given, classes[present], *settings)
    probs = np.zeros((n_samples, len(present)))
    probs[rows] = evidence.pred_probs
    if not usable.all():
        estimator = finding_classes(estimator, classes[present])
        model = clone(estimator).fit(of_rows, classes[codes[rows]], **arguments)
        rest = np.flatnonzero(~usable)
        probs[rest] = model.predict_proba(safe_indexing(X, rest))
    return in_columns(probs, classes[present], classes)


def most_votes(annotations):
    """Return the class that most annotators give to each sample.

    Parameters
    ----------
    annotations : Annotations
        The labels.

    Returns
    -------
    codes : ndarray of shape (n_samples,), dtype int64
        Positions of the classes. Of equally many votes those count whose annotators
        agree most with others; without labels it is 0.
    """
    n_classes = len(annotations.classes)
    agreement = np.nan_to_num(agreement_with_others(annotations))
    # Less than one vote in all.
    weights = 1 + agreement / (1 + annotations.n_labels.max())
    cells = annotations.rows * n_classes + annotations.codes
    size = annotations.n_samples * n_classes
    votes = np.bincount(cells, weights[annotations.columns], minlength=size)
    return votes.reshape(-1, n_classes).argmax(axis=1)
