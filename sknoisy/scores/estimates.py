"""What the noise is: its rate and its transition matrix, without clean labels."""

import numpy as np

from sknoisy.parameters import check_choice, check_real
from sknoisy.scores.confident import confident_joint
from sknoisy.scores.probabilities import check_probabilities

METHODS = ["confident_joint", "votes", "anchor"]


def estimate_transition_matrix(
    y, pred_probs, classes=None, method="confident_joint", percentile=97.0, share=0.1
):
    """Estimate how probable each label is for each true class, without clean labels.

    Parameters
    ----------
    y : array-like of shape (n_samples,)
        Given labels.
    pred_probs : array-like of shape (n_samples, n_classes)
        Probabilities of the labels, columns in the order of `classes`.
    classes : array-like of shape (n_classes,), default=None
        The classes; by default the sorted distinct labels.
    method : {"confident_joint", "votes", "anchor"}, default="confident_joint"
        "confident_joint": columns of :func:`confident_joint`, divided by their sums.
        "votes": rows of :func:`label_votes`, divided by their sums.
        "anchor": a class's row is the probabilities of the sample that most probably
        is of that class, its anchor point.
    percentile : float, default=97.0
        For "anchor": a class's anchor is the sample of the largest probability below
        this percentile, which keeps outliers out; with 100, the largest of all. The
        authors take 97 for CIFAR-10 and 100 for CIFAR-100.
    share : float, default=0.1
        For "votes": how many samples vote, see :func:`label_votes`.

    Returns
    -------
    transition_matrix : ndarray of shape (n_classes, n_classes), float64
        Row: true class; column: given label. Rows sum to 1; that of a class of which
        nothing is known is the identity's.

    Notes
    -----
    The confident joint counts what a poor classifier gets wrong as label noise. "votes"
    asks it only where it is most sure, and is nearer after few epochs of training or on
    frozen features; it needs a classifier that has not memorised its labels.

    References
    ----------
    Patrini et al., Making Deep Neural Networks Robust to Label Noise: A Loss Correction
    Approach, CVPR 2017 ("anchor"); Northcutt, Jiang and Chuang, JAIR 2021.

    Examples
    --------
    >>> from sknoisy.scores import estimate_transition_matrix
    >>> probs = [[0.9, 0.1], [0.8, 0.2], [0.1, 0.9], [0.2, 0.8]]
    >>> estimate_transition_matrix([0, 0, 0, 1], probs)
    array([[1. , 0. ], [0.5, 0.5]])
    """
    check_choice("method", method, METHODS)
    check_real("percentile", percentile, "[0, 100]")
    if method == "confident_joint":
        rows = confident_joint(y, pred_probs, classes).T
    elif method == "votes":
        rows = label_votes(y, pred_probs, classes, share)
    else:
        _, _, pred_probs = check_probabilities(y, pred_probs, classes)
        anchors = [_anchor(of_class, percentile) for of_class in pred_probs.T]
        rows = pred_probs[anchors].astype(np.float64)
    return transition_of(rows)


def label_votes(y, pred_probs, classes=None, share=0.1):
    """Count the labels of the samples that most probably are of each class.

    Parameters
    ----------
    y : array-like of shape (n_samples,)
        Given labels.
    pred_probs : array-like of shape (n_samples, n_classes)
        Probabilities, columns in the order of `classes`.
    classes : array-like of shape (n_classes,), default=None
        The classes; by default the sorted distinct labels.
    share : float, default=0.1
        How many samples vote for a class, at least one, as a share of all samples over
        the number of classes.

    Returns
    -------
    votes : ndarray of shape (n_classes, n_classes), int64
        Row: class that they probably are of; column: given label.

    Examples
    --------
    >>> from sknoisy.scores import label_votes
    >>> probs = [[0.9, 0.1], [0.8, 0.2], [0.1, 0.9], [0.2, 0.8]]
    >>> label_votes([0, 0, 0, 1], probs, share=1.0)
    array([[2, 0],
           [1, 1]])
    """
    check_real("share", share, "(0, 1]")
    _, codes, pred_probs = check_probabilities(y, pred_probs, classes)
    n_samples, n_classes = pred_probs.shape
    n_votes = max(1, round(share * n_samples / n_classes))
    votes = np.empty((n_classes, n_classes), dtype=np.int64)
    for row, of_class in zip(votes, pred_probs.T, strict=True):  # memory of one class
        surest = np.argpartition(of_class, n_samples - n_votes)[-n_votes:]
        row[:] = np.bincount(codes[surest], minlength=n_classes)
    return votes


def estimate_noise_rate(y, pred_probs, classes=None, method="confident_joint"):
    """Estimate the share of wrong labels, without clean labels.

    Parameters
    ----------
    y : array-like of shape (n_samples,)
        Given labels.
    pred_probs : array-like of shape (n_samples, n_classes)
        Probabilities, columns in the order of `classes`.
    classes : array-like of shape (n_classes,), default=None
        The classes; by default the sorted distinct labels.
    method : {"confident_joint", "votes", "anchor"}, default="confident_joint"
        "confident_joint": the share of it that is off its diagonal. The others: the
        mean over the classes of 1 minus the diagonal of their matrix, see
        :func:`estimate_transition_matrix`, which also says when "votes" is better.

    Returns
    -------
    rate : float
        In [0, 1].

    Examples
    --------
    >>> from sknoisy.scores import estimate_noise_rate
    >>> probs = [[0.9, 0.1], [0.8, 0.2], [0.1, 0.9], [0.2, 0.8]]
    >>> estimate_noise_rate([0, 0, 0, 1], probs)
    0.25
    """
    check_choice("method", method, METHODS)
    if method == "confident_joint":
        return noise_rate_of(confident_joint(y, pred_probs, classes))
    T = estimate_transition_matrix(y, pred_probs, classes, method)
    return float(1 - T.diagonal().mean())


def noise_concentration(votes):
    """Return how much each class's wrong labels concentrate on one other class.

    Parameters
    ----------
    votes : array-like of shape (n_classes, n_classes), int
        Counts of labels, as of :func:`label_votes`; those off the diagonal are wrong.

    Returns
    -------
    concentration : float
        0 for symmetric noise, 1 where each class turns into one other, or, of two
        classes, where one does; 0 if there are not two wrong labels of one class.
        Without bias for three classes and more, so that it may be below 0.

    Notes
    -----
    It is the probability that two wrong labels of a class are the same, mean over such
    pairs, scaled so that it is 0 where all wrong labels are equally probable. Where
    there are two classes, wrong labels cannot but be of the other one, and it is how
    far the classes' shares of wrong labels are apart: the larger minus the smaller
    one, over their sum; but 0 if that is less than two standard errors.

    Examples
    --------
    >>> from sknoisy.scores import noise_concentration
    >>> noise_concentration([[80, 20, 0], [0, 80, 20], [20, 0, 80]])
    1.0
    >>> round(noise_concentration([[80, 10, 10], [10, 80, 10], [10, 10, 80]]), 2)
    -0.05
    """
    votes = np.array(votes, dtype=np.float64)
    wrong = votes * (1 - np.eye(len(votes)))
    totals = wrong.sum(axis=1)
    pairs = np.sum(totals * (totals - 1))
    if pairs <= 0:
        return 0.0
    others = len(wrong) - 1
    if others == 1:
        n = np.maximum(votes.sum(axis=1), 1)
        shares = totals / n
        error = np.sqrt(np.sum(shares * (1 - shares) / n))
        apart = np.ptp(shares)
        return float(apart / shares.sum()) if apart > 2 * error else 0.0
    same = np.sum(wrong * (wrong - 1)) / pairs
    return float((same - 1 / others) / (1 - 1 / others))


def _anchor(of_class, percentile):
    """Return the row of the largest probability below a percentile; of 100, of all."""
    if percentile == 100:
        return of_class.argmax()
    # The sample next below, not the next smaller value: where many probabilities are
    # the same, that one would be of another class.
    rank = max(int(np.ceil(percentile / 100 * (len(of_class) - 1))) - 1, 0)
    return np.argmax(of_class == np.partition(of_class, rank)[rank])


def transition_of(rows):
    """Divide counts by their rows' sums; an empty row becomes the identity's."""
    totals = rows.sum(axis=1, keepdims=True)
    identity = np.eye(len(rows))
    return np.where(totals > 0, rows / np.where(totals > 0, totals, 1), identity)


def noise_rate_of(joint):
    """Return the share of counts that is off the diagonal."""
    return float(1 - joint.trace() / joint.sum())
