"""Consensus from the labels alone: majority vote and Dawid-Skene."""

import numpy as np
from scipy.sparse import csr_array
from scipy.special import logsumexp, softmax

from sknoisy.annotators.consensus import Consensus
from sknoisy.annotators.table import read_annotations
from sknoisy.checks import check_integer, check_real
from sknoisy.data.labels import some
from sknoisy.warning import warn

LEAST = 1e-10  # samples of a class that get a label which the annotator uses
FEW = 2  # labels of an annotator for each class, below which they tell little


def majority_vote(y, classes=None):
    """Take the label that most annotators give to each sample.

    Parameters
    ----------
    y : array-like or DataFrame
        Labels of several annotators, see :func:`read_annotations`.
    classes : array-like of shape (n_classes,), default=None
        The classes; by default the sorted distinct labels.

    Returns
    -------
    consensus : Consensus
        Soft labels are shares of votes; if classes are tied, the first is the label.
        The quality of an annotator is the share of labels that are the consensus, the
        annotator's own vote included.

    Raises
    ------
    ValueError
        If the table is not valid, or a sample has no label.

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
    votes = _votes(annotations)
    right = votes.argmax(axis=1)[annotations.rows] == annotations.codes
    return _consensus(annotations, votes, annotations.of_annotators(right))


def dawid_skene(y, classes=None, n_iter=1000, tol=1e-9):
    """Weigh labels by how each annotator confuses classes: Dawid and Skene's model.

    Parameters
    ----------
    y : array-like or DataFrame
        Labels of several annotators, see :func:`read_annotations`.
    classes : array-like of shape (n_classes,), default=None
        The classes; by default the sorted distinct labels.
    n_iter : int, default=1000
        Largest number of steps of expectation maximisation.
    tol : float, default=1e-9
        The steps end when the log-likelihood, in nats per label, rises by less than
        this.

    Returns
    -------
    consensus : Consensus
        Soft labels are the probabilities of the true classes. The quality of an
        annotator is the estimated probability of a right label.

    Raises
    ------
    ValueError
        If the table or a parameter is not valid, or a sample has no label.

    Notes
    -----
    The steps begin with the shares of votes. If an annotator uses a label, but never
    for some class, its probability in that class is about 1e-10, not 0. The likelihood
    may have other maxima, and a class that no label names stays empty. Of an annotator
    with hardly more labels than classes the confusion cannot be told, and a majority
    vote may be better; a warning says so if most labels are of such annotators.

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
    n_classes, n_labels = len(annotations.classes), len(annotations.codes)
    n_own = np.median(annotations.n_labels_of_annotators[annotations.columns])
    if n_own < FEW * n_classes:
        warn(
            f"most labels are of annotators who gave {n_own:g} or fewer, which is too "
            f"few to tell how somebody confuses {n_classes} classes, as Dawid-Skene "
            "does. Compare with majority_vote, or use CROWDLAB."
        )
    # One row for each label that an annotator uses: which samples it was given to.
    pairs, pair = np.unique(
        annotations.columns * n_classes + annotations.codes, return_inverse=True
    )
    annotator, label = np.divmod(pairs, n_classes)
    _, first, own = np.unique(annotator, return_index=True, return_inverse=True)
    given = csr_array(
        (np.ones(n_labels), (pair, annotations.rows)),
        shape=(len(pairs), annotations.n_samples),
    )
    soft, before = _votes(annotations), -np.inf
    for _ in range(n_iter):
        prior = soft.mean(axis=0)
        # errors[i, k]: how probably an annotator calls class k by the label of pair i
        errors = (given @ soft).clip(min=LEAST)
        errors /= np.add.reduceat(errors, first, axis=0)[own]
        log_prior = np.log(prior, where=prior > 0, out=np.full(n_classes, -np.inf))
        joint = log_prior + given.T @ np.log(errors)
        soft = softmax(joint, axis=1)
        likelihood = logsumexp(joint, axis=1).sum() / n_labels
        if likelihood - before < tol:
            break
        before = likelihood
    right = prior[label] * errors[np.arange(len(pairs)), label]
    quality = np.bincount(annotator, right, len(annotations.annotators))
    quality[annotations.n_labels_of_annotators == 0] = np.nan
    return _consensus(annotations, soft, quality)


def _votes(annotations):
    """Return the share of each class in each sample's labels."""
    counts = annotations.counts
    return counts / counts.sum(axis=1, keepdims=True)


def _complete(annotations, method):
    """Return annotations in which every sample has a label."""
    empty = np.flatnonzero(annotations.n_labels == 0)
    if len(empty):
        raise ValueError(
            f"y has no label for the samples {some(annotations.samples[empty])}: "
            f"{method} can say nothing about them. Leave them out, or use CROWDLAB, "
            "which also learns from a classifier's predictions."
        )
    return annotations


def _consensus(annotations, soft, annotator_quality):
    codes = soft.argmax(axis=1)
    return Consensus(
        annotations.classes[codes],
        soft,
        soft[np.arange(len(soft)), codes],
        annotator_quality,
        annotations.classes,
        annotations.annotators,
        annotations,
    )
