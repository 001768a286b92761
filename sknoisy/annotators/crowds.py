"""Consensus from the labels alone: majority vote and Dawid-Skene, of crowd-kit."""

import warnings
from contextlib import contextmanager

import numpy as np

from sknoisy.annotators.consensus import Consensus
from sknoisy.annotators.table import read_annotations
from sknoisy.checks import check_integer, check_real
from sknoisy.data.labels import some


def majority_vote(y, classes=None):
    """Take the label that most annotators give to each sample.

    It needs the package crowd-kit: ``pip install "sknoisy[annotators]"``.

    Parameters
    ----------
    y : array-like or DataFrame
        Labels of several annotators, see :func:`read_annotations`.
    classes : array-like of shape (n_classes,), default=None
        The classes; by default the sorted distinct labels.

    Returns
    -------
    consensus : Consensus
        Soft labels are shares of votes; of classes with equally many, the first is the
        label. The quality of an annotator is the share of labels that are the
        consensus, the annotator's own vote included.

    Raises
    ------
    ValueError
        If the table is not valid, or a sample has no label.
    ImportError
        If crowd-kit is not installed.

    Examples
    --------
    >>> from sknoisy.annotators import majority_vote
    >>> y = [["cat", "cat", "dog"], ["dog", None, "dog"]]
    >>> found = majority_vote(y)
    >>> found.labels.tolist(), found.label_quality.round(2).tolist()
    (['cat', 'dog'], [0.67, 1.0])
    >>> found.annotator_quality
    array([1. , 1. , 0.5])
    """
    annotations = _complete(read_annotations(y, classes), "majority vote")
    with _without_deprecations():
        voting = _crowdkit().MajorityVote().fit(_as_frame(annotations))
    return _consensus(annotations, voting.probas_, _of_annotators(voting.skills_))


def dawid_skene(y, classes=None, n_iter=100, tol=1e-5):
    """Weigh labels by how each annotator confuses classes: Dawid and Skene's model.

    It needs the package crowd-kit: ``pip install "sknoisy[annotators]"``.

    Parameters
    ----------
    y : array-like or DataFrame
        Labels of several annotators, see :func:`read_annotations`.
    classes : array-like of shape (n_classes,), default=None
        The classes; by default the sorted distinct labels.
    n_iter : int, default=100
        Steps of expectation maximisation, at most.
    tol : float, default=1e-5
        It ends where the likelihood's bound, in nats for each label, rises by less.

    Returns
    -------
    consensus : Consensus
        Soft labels are the probabilities of the true classes. The quality of an
        annotator is the estimated probability of a right label.

    Raises
    ------
    ValueError
        If the table or a parameter is not valid, or a sample has no label.
    ImportError
        If crowd-kit is not installed.

    References
    ----------
    Dawid and Skene, Maximum Likelihood Estimation of Observer Error-Rates Using the EM
    Algorithm, Journal of the Royal Statistical Society C, 1979.

    Examples
    --------
    >>> import numpy as np
    >>> from sknoisy.annotators import dawid_skene
    >>> true = np.arange(200) % 2
    >>> y = np.stack([true, true, np.random.default_rng(0).integers(2, size=200)], 1)
    >>> dawid_skene(y).annotator_quality.round(1)
    array([1. , 1. , 0.5])
    """
    check_integer("n_iter", n_iter)
    check_real("tol", tol, "[0, inf)")
    annotations = _complete(read_annotations(y, classes), "Dawid-Skene")
    with _without_deprecations():
        model = _crowdkit().DawidSkene(n_iter=n_iter, tol=tol)
        model.fit(_as_frame(annotations))
    priors, right = model.priors_, {}
    for (annotator, label), row in model.errors_.iterrows():
        right[annotator] = right.get(annotator, 0.0) + priors[label] * row[label]
    return _consensus(annotations, model.probas_, right)


def _crowdkit():
    try:
        from crowdkit import aggregation
    except ImportError as error:
        raise ImportError(
            "Majority vote and Dawid-Skene need crowd-kit: pip install crowd-kit, or "
            'pip install "sknoisy[annotators]". CROWDLAB does not.'
        ) from error
    return aggregation


@contextmanager
def _without_deprecations():
    """In this context, pandas warns of no use of it that is crowd-kit's."""
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", module="crowdkit")
        yield


def _complete(annotations, method):
    """Return annotations in which every sample has a label."""
    empty = np.flatnonzero(annotations.n_labels == 0)
    if len(empty):
        raise ValueError(
            f"y has no label of the samples {some(annotations.samples[empty])}: "
            f"{method} knows nothing of them. Leave them out, or use CROWDLAB, which "
            "takes what a classifier predicts."
        )
    return annotations


def _as_frame(annotations):
    import pandas as pd

    columns = annotations.rows, annotations.columns, annotations.codes
    return pd.DataFrame(dict(zip(("task", "worker", "label"), columns, strict=True)))


def _of_annotators(skills):
    return dict(zip(skills.index.tolist(), skills.tolist(), strict=True))


def _consensus(annotations, probas, qualities):
    """Return a consensus of crowd-kit's frame of probabilities, and its qualities."""
    n_classes = len(annotations.classes)
    probas = probas.reindex(
        index=range(annotations.n_samples), columns=range(n_classes)
    )
    soft = np.nan_to_num(probas.to_numpy(dtype=np.float64))
    codes = soft.argmax(axis=1)
    everyone = range(len(annotations.annotators))
    return Consensus(
        annotations.classes[codes],
        soft,
        soft[np.arange(len(soft)), codes],
        np.array([qualities.get(j, np.nan) for j in everyone], dtype=np.float64),
        annotations.classes,
        annotations.annotators,
        annotations,
    )
