"""CROWDLAB: consensus of annotators and a classifier; ActiveLab: whom to ask again."""

import numpy as np

from sknoisy.annotators.consensus import Consensus
from sknoisy.annotators.table import check_samples, read_annotations
from sknoisy.data.labels import check_several
from sknoisy.scores.probabilities import check_probabilities, check_sorted

LEAST_WEIGHT = 1e-6  # lower limit of weights, and of what errors are divided by


def crowdlab(y, pred_probs, classes=None):
    """Combine labels of annotators and of a classifier, weighted by their agreement.

    Parameters
    ----------
    y : array-like or DataFrame
        Labels of several annotators, see :func:`read_annotations`. Samples without a
        label get what the classifier predicts.
    pred_probs : array-like of shape (n_samples, n_classes)
        Out-of-sample probabilities of any classifier, such as one that was
        cross-validated on majority votes; columns in the order of `classes`, rows in
        that of the samples, which for a long table is that of their sorted names.
    classes : array-like of shape (n_classes,), default=None
        The classes, sorted; by default the distinct labels.

    Returns
    -------
    consensus : Consensus
        Labels, soft labels, the quality of labels and annotators, and the weights.

    Raises
    ------
    ValueError
        If the table is not valid, or labels and probabilities do not match, or a
        DataFrame of probabilities has the samples of y in another order.

    See Also
    --------
    AnnotatorConsensus : Cross-validates the classifier, and trains it in the end.
    majority_vote : Without a classifier.
    dawid_skene : Without a classifier, by how each annotator confuses classes.

    Notes
    -----
    A label counts as a vote that gives its class the probability P, the mean share of a
    sample's labels that are its consensus, and every other class an equal part of the
    rest. The soft label is the mean of these votes and the classifier's probabilities.
    The weight of an annotator is 1 - (1 - A) / E, at least 0: A is the agreement with
    other annotators of the same samples, E the error of always giving the most frequent
    consensus. The weight of the classifier is the same with its agreement with the
    consensus, times the root of the mean number of labels. All of this is computed on
    the samples with several labels. It is first computed with the majority vote as the
    consensus, where the classifier breaks ties, and then once more with the class of
    the highest probability.

    Results are those of cleanlab 2.9, the authors' code, with these differences. If
    probabilities are tied too, the rarer class is taken, then the first, instead of a
    random one. Annotators who share no sample with others get a quality, from the soft
    labels alone. Samples and annotators without labels are allowed. Where no sample has
    several labels, the classifier takes the place of the other annotators: agreement is
    that with its most probable class.

    References
    ----------
    Goh, Tkachenko and Mueller, CROWDLAB: Supervised Learning to Infer Consensus Labels
    and Quality Scores for Data with Multiple Annotators, 2022.

    Examples
    --------
    >>> from sknoisy.annotators import crowdlab
    >>> y = [[0, 0, 1], [1, 1, 1], [0, 0, 0], [1, 1, 0], [0, 1, None]]
    >>> probs = [[0.9, 0.1], [0.2, 0.8], [0.7, 0.3], [0.1, 0.9], [0.2, 0.8]]
    >>> found = crowdlab(y, probs)
    >>> found.labels, found.label_quality.round(2)
    (array([0, 1, 0, 1, 1]), array([0.88, 0.79, 0.71, 0.88, 0.75]))
    >>> found.annotator_quality.round(2)
    array([0.72, 0.83, 0.45])
    """
    check_sorted(classes)
    annotations = read_annotations(y, classes)
    check_several(annotations.classes)
    check_samples(pred_probs, "pred_probs", y, annotations)
    votes = annotations.counts
    # The labels are of no matter here: the probabilities are checked, and ordered.
    placeholder = annotations.classes[np.zeros(len(votes), dtype=int)]
    _, _, pred_probs = check_probabilities(placeholder, pred_probs, annotations.classes)
    pred_probs = pred_probs.astype(np.float64)
    majority = _majority(votes, pred_probs)
    first, *_ = _posterior(annotations, votes, pred_probs, majority)
    best = first == first.max(axis=1, keepdims=True)
    codes = np.where(best.sum(axis=1) == 1, first.argmax(axis=1), majority)
    soft, weights, model_weight = _posterior(annotations, votes, pred_probs, codes)
    return Consensus(
        annotations.classes[codes],
        soft,
        soft[np.arange(len(soft)), codes],
        _annotator_quality(annotations, soft, codes, weights, model_weight),
        annotations.classes,
        annotations.annotators,
        annotations,
        weights,
        model_weight,
    )


def agreement_with_others(annotations):
    """Return how often annotators agree with others on the same samples.

    Parameters
    ----------
    annotations : Annotations
        The labels.

    Returns
    -------
    agreement : ndarray of shape (n_annotators,), float64
        Share of all pairs with another label of the sample that are equal; the mean of
        the others for annotators without such pairs, NaN if none has any.
    """
    n = len(annotations.annotators)
    rows, columns = annotations.rows, annotations.columns
    equal = annotations.counts[rows, annotations.codes] - 1
    others = annotations.n_labels[rows] - 1
    pairs = np.bincount(columns, others, minlength=n)
    agreement = np.bincount(columns, equal, minlength=n) / np.where(pairs > 0, pairs, 1)
    mean = agreement[pairs > 0].mean() if (pairs > 0).any() else np.nan
    return np.where(pairs > 0, agreement, mean)


def active_scores(consensus):
    """Score how much another label of each sample would help, by ActiveLab.

    Parameters
    ----------
    consensus : Consensus
        What :func:`crowdlab` returns.

    Returns
    -------
    scores : ndarray of shape (n_samples,), float64
        In [0, 1]; ask for another label where they are lowest.

    Raises
    ------
    ValueError
        If the consensus is not CROWDLAB's.

    Notes
    -----
    The score is the weighted mean of the quality of the consensus label and of chance,
    1 / n_classes. The first has the summed weights of the sample's annotators and of
    the classifier, the second the mean weight of an annotator. Of two samples of low
    quality, it is lower for the one with fewer labels. The authors' code rescales the
    classifier's probabilities by a temperature beforehand, which fits them to the
    labels; here they are taken as they are.

    References
    ----------
    Goh and Mueller, ActiveLab: Active Learning with Re-Labeling by Multiple
    Annotators, 2023.

    Examples
    --------
    >>> from sknoisy.annotators import active_scores, crowdlab
    >>> y = [[0, 0, 0], [0, None, None], [1, 1, 1], [1, None, 1]]
    >>> probs = [[0.6, 0.4], [0.6, 0.4], [0.2, 0.8], [0.2, 0.8]]
    >>> active_scores(crowdlab(y, probs)).round(2)
    array([0.8 , 0.69, 0.85, 0.82])
    """
    if consensus.model_weight is None:
        raise ValueError(
            "consensus is not valid: ActiveLab needs a consensus of CROWDLAB."
        )
    annotations, weights = consensus.annotations, consensus.annotator_weights
    n = annotations.n_samples
    own = np.bincount(annotations.rows, weights[annotations.columns], minlength=n)
    own += consensus.model_weight
    mean = weights[annotations.n_labels_of_annotators > 0].mean()
    chance = 1 / len(consensus.classes)
    return (consensus.label_quality * own + chance * mean) / (own + mean)


def _majority(votes, pred_probs):
    """Return the class of most votes; of equals, the most probable, then the rarer."""
    tied = votes == votes.max(axis=1, keepdims=True)
    probs = np.where(tied, pred_probs, -1)
    tied &= probs == probs.max(axis=1, keepdims=True)
    return np.where(tied, -votes.sum(axis=0), -np.inf).argmax(axis=1)


def _posterior(annotations, votes, pred_probs, codes):
    """Return soft labels, and the weights of annotators and classifier."""
    n_samples, n_classes = votes.shape
    n_labels = annotations.n_labels
    several = n_labels > 1
    alone = not several.any()
    if alone:
        several = n_labels > 0
    own = votes[np.arange(n_samples), codes]
    predicted = pred_probs.argmax(axis=1)
    if alone:
        equal = annotations.codes == predicted[annotations.rows]
        agreement = np.nan_to_num(annotations.of_annotators(equal.astype(np.float64)))
        likelihood = equal.mean()  # of a label, as the classifier sees it
        error = 1 - likelihood
    else:
        agreement = agreement_with_others(annotations)
        likelihood = np.mean(own[several] / n_labels[several])
        error = np.mean(predicted[several] != codes[several])
    counts = np.bincount(codes[several], minlength=n_classes)
    most = max(1 - counts.max() / counts.sum(), LEAST_WEIGHT)  # of one constant label
    weights = np.maximum(1 - (1 - agreement) / most, LEAST_WEIGHT)
    mean_labels = n_labels[n_labels > 0].mean()
    model_weight = max(1 - error / most, LEAST_WEIGHT) * np.sqrt(mean_labels)
    cells = annotations.rows * n_classes + annotations.codes
    given = weights[annotations.columns]
    of_class = np.bincount(cells, given, minlength=votes.size).reshape(votes.shape)
    total = np.bincount(annotations.rows, given, minlength=n_samples)[:, None]
    rest = (1 - likelihood) / (n_classes - 1)
    soft = model_weight * pred_probs + likelihood * of_class + rest * (total - of_class)
    return soft / (model_weight + total), weights, float(model_weight)


def _annotator_quality(annotations, soft, codes, weights, model_weight):
    """Return the mean quality of an annotator's labels and agreement with consensus."""
    rows, n_labels = annotations.rows, annotations.n_labels
    quality = annotations.of_annotators(soft[rows, annotations.codes])
    agreement = annotations.of_annotators(
        (annotations.codes == codes[rows]).astype(np.float64),
        where=n_labels[rows] > 1,
    )
    mean_labels = n_labels[n_labels > 0].mean() / len(weights)
    share = model_weight / (model_weight + weights.sum() * mean_labels)
    both = share * quality + (1 - share) * agreement
    return np.where(np.isnan(agreement), quality, both)
