"""Estimates of the noise rate and the transition matrix, without clean labels."""

import numpy as np
from scipy.special import gammaln

from sknoisy.checks import as_numbers, check_choice, check_real
from sknoisy.data.given import check_trusted
from sknoisy.scores.confident import confident_joint
from sknoisy.scores.probabilities import check_probabilities
from sknoisy.scores.reading import square_matrix
from sknoisy.scores.trusted import trusted_transition_matrix

METHODS = ["confident_joint", "votes", "anchor"]
STRENGTHS = 2.0 ** np.arange(16)  # votes that symmetric noise may count as


def estimate_transition_matrix(
    y,
    pred_probs,
    classes=None,
    method="confident_joint",
    percentile=97.0,
    share=0.1,
    trusted=None,
):
    """Estimate the probability of each given label for each true class.

    Parameters
    ----------
    y : array-like of shape (n_samples,)
        Given labels.
    pred_probs : array-like of shape (n_samples, n_classes)
        Probabilities of the labels, columns in the order of `classes`.
    classes : array-like of shape (n_classes,), default=None
        The classes; by default the sorted distinct labels.
    method : {"confident_joint", "votes", "anchor"}, default="confident_joint"
        - "confident_joint": the columns of :func:`confident_joint`, normalised.
        - "votes": the rows of :func:`label_votes`, normalised.
        - "anchor": the row of a class is the predicted probabilities of its anchor
          point, a sample that almost certainly belongs to that class.
    percentile : float, default=97.0
        For "anchor": a class's anchor is the sample with the largest probability below
        this percentile, which keeps outliers out; with 100, the largest of all. The
        authors take 97 for CIFAR-10 and 100 for CIFAR-100.
    share : float, default=0.1
        For "votes": how many samples vote, see :func:`label_votes`.
    trusted : array-like of shape (n_samples,), bool, default=None
        Which labels are known to be right. They show how the classifier confuses
        classes, and so which disagreements with the other labels are its own errors;
        see :func:`trusted_transition_matrix`, which starts from the estimate by
        `method`.

    Returns
    -------
    transition_matrix : ndarray of shape (n_classes, n_classes), float64
        Row: true class; column: given label. Rows sum to 1. If nothing is known about
        a class, its row is that of the identity.

    Notes
    -----
    The confident joint counts the errors of the classifier as label noise. "votes" uses
    only the samples for which it is most confident, and is more accurate after few
    epochs of training or on frozen features. All methods need a classifier that has not
    memorised the labels.

    Without a classifier, pass the shares of labels among neighbours::

        estimate_transition_matrix(y, knn_votes(y, features, 50), method="votes")

    On 20,000 embeddings of CIFAR-10 with no, symmetric, asymmetric and instance-
    dependent noise, the noise rate from 50 neighbours was off by 2.4 points on average,
    and from 200 neighbours by 1.6. "votes" on the probabilities of a logistic
    regression was off by 1.7 to 2.6 points, "confident_joint" by 9 to 11, and
    :func:`hoc_noise_rate` by 2.6. For few samples, :func:`neighbor_label_votes` is
    better.

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
    check_real("share", share, "(0, 1]")
    if trusted is not None:
        _, codes, pred_probs = check_probabilities(y, pred_probs, classes)
        trusted = check_trusted(trusted, len(codes))
    if trusted is not None:
        return _with_trusted(codes, pred_probs, trusted, (method, percentile, share))
    if method == "confident_joint":
        rows = confident_joint(y, pred_probs, classes).T
    elif method == "votes":
        rows = label_votes(y, pred_probs, classes, share)
    else:
        _, _, pred_probs = check_probabilities(y, pred_probs, classes)
        anchors = [_anchor(of_class, percentile) for of_class in pred_probs.T]
        rows = pred_probs[anchors].astype(np.float64)
    return transition_of(rows)


def shares_of(codes, n):
    """Return how often each of n codes occurs, as shares of all."""
    return np.bincount(codes, minlength=n) / len(codes)


def count_pairs(given, true, n):
    """Count pairs of codes, ndarray of int64 of shape (n, n)."""
    return np.bincount(given * n + true, minlength=n * n).reshape(n, n)


def _with_trusted(codes, pred_probs, trusted, settings):
    """Return the estimate by the other labels, told by the trusted how it errs."""
    every = np.arange(pred_probs.shape[1])
    if trusted.all():
        return np.eye(len(every))
    rest, predicted = codes[~trusted], pred_probs.argmax(axis=1)
    return trusted_transition_matrix(
        count_pairs(codes[trusted], predicted[trusted], len(every)),
        count_pairs(predicted[~trusted], rest, len(every)),
        estimate_transition_matrix(rest, pred_probs[~trusted], every, *settings),
    )


def label_votes(y, pred_probs, classes=None, share=0.1):
    """Count the given labels of the samples that most probably belong to each class.

    Parameters
    ----------
    y : array-like of shape (n_samples,)
        Given labels.
    pred_probs : array-like of shape (n_samples, n_classes)
        Probabilities, columns in the order of `classes`.
    classes : array-like of shape (n_classes,), default=None
        The classes; by default the sorted distinct labels.
    share : float, default=0.1
        Number of samples that vote for each class, as a share of the mean class size
        ``n_samples / n_classes``; at least one sample votes.

    Returns
    -------
    votes : ndarray of shape (n_classes, n_classes), int64
        Row: probable class; column: given label.

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


def shrunk_transition_matrix(votes):
    """Estimate a transition matrix from few votes, as symmetric as they allow.

    Parameters
    ----------
    votes : array-like of shape (n_classes, n_classes)
        Counts as from :func:`label_votes`. Row: true class; column: given label.

    Returns
    -------
    transition_matrix : ndarray of shape (n_classes, n_classes), float64
        Row: true class; column: given label. Rows sum to 1.

    Notes
    -----
    With some tens of votes for each class, each entry has an error of several points,
    which the inverse of the matrix amplifies. Here the rows are draws from a Dirichlet
    distribution. Its mean is symmetric noise at the rate of all votes; its strength, in
    votes, maximises the likelihood of the votes (empirical Bayes). If the votes are
    compatible with symmetric noise, the result is the matrix of that noise, with which
    corrected accuracies rank models as noisy ones do. If classes are confused with
    particular others, it is nearly the matrix of the votes.

    References
    ----------
    Minka, Estimating a Dirichlet Distribution, 2000, for the likelihood.

    Examples
    --------
    >>> from sknoisy.scores import shrunk_transition_matrix
    >>> shrunk_transition_matrix([[8, 1, 1], [2, 8, 0], [0, 1, 9]]).round(1)
    array([[0.8, 0.1, 0.1],
           [0.1, 0.8, 0.1],
           [0.1, 0.1, 0.8]])
    >>> shrunk_transition_matrix([[60, 40, 0], [0, 60, 40], [40, 0, 60]]).round(1)
    array([[0.6, 0.4, 0. ],
           [0. , 0.6, 0.4],
           [0.4, 0. , 0.6]])
    """
    votes = _square(votes)
    n_classes, rate = len(votes), noise_rate_of(votes)
    mean = np.full(votes.shape, rate / max(n_classes - 1, 1))
    np.fill_diagonal(mean, 1 - rate)
    likelihoods = [_log_likelihood(votes, k * mean.clip(min=1e-6)) for k in STRENGTHS]
    strength = STRENGTHS[int(np.argmax(likelihoods))]
    return transition_of(votes + strength * mean)


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
        "confident_joint": the share of its counts that are off the diagonal. Other
        methods: the mean of 1 minus the diagonal of the transition matrix, each class
        weighted by how often it is predicted. :func:`estimate_transition_matrix`
        explains when to use which.

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
    predicted = np.argmax(as_numbers("pred_probs", pred_probs), axis=1)
    return float(1 - shares_of(predicted, len(T)) @ T.diagonal())


def noise_concentration(votes):
    """Measure whether the wrong labels of a class concentrate on one other class.

    Parameters
    ----------
    votes : array-like of shape (n_classes, n_classes), int
        Counts as from :func:`label_votes`; those off the diagonal are wrong labels.

    Returns
    -------
    concentration : float
        0 for symmetric noise; 1 if all wrong labels of each class are the same. With
        two classes, 1 if only one class has wrong labels. 0 if no class has two wrong
        labels. With three or more classes the estimate is unbiased, so it may be
        slightly negative.

    Notes
    -----
    With three or more classes, this is the share of pairs of wrong labels of the same
    class that are equal, rescaled to be 0 if all wrong labels are equally probable.
    With two classes there is only one possible wrong label. The concentration is then
    the difference between the noise rates of the two classes, divided by their sum, or
    0 if the difference is less than two standard errors.

    Examples
    --------
    >>> from sknoisy.scores import noise_concentration
    >>> noise_concentration([[80, 20, 0], [0, 80, 20], [20, 0, 80]])
    1.0
    >>> round(noise_concentration([[80, 10, 10], [10, 80, 10], [10, 10, 80]]), 2)
    -0.05
    """
    votes = _square(votes)
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


def _log_likelihood(counts, alpha):
    """Return that of rows of counts whose probabilities are draws from a Dirichlet."""
    totals = gammaln(alpha.sum(axis=1)) - gammaln((alpha + counts).sum(axis=1))
    return totals.sum() + (gammaln(alpha + counts) - gammaln(alpha)).sum()


def _anchor(of_class, percentile):
    """Return the row of a class's anchor."""
    if percentile == 100:
        return of_class.argmax()
    # The authors take the largest value below the percentile. This is the same, unless
    # many values are equal: the next smaller one could then be of another class.
    rank = max(int(np.ceil(percentile / 100 * (len(of_class) - 1))) - 1, 0)
    return np.argmax(of_class == np.partition(of_class, rank)[rank])


def transition_of(rows):
    """Divide each row of counts by its sum; empty rows become those of the identity."""
    totals = rows.sum(axis=1, keepdims=True)
    identity = np.eye(len(rows))
    return np.where(totals > 0, rows / np.where(totals > 0, totals, 1), identity)


def noise_rate_of(joint):
    """Return the share of counts that is off the diagonal."""
    return float(1 - joint.trace() / joint.sum())


def _square(votes):
    """Return votes as a matrix of classes, or raise ``ValueError``."""
    votes = square_matrix("votes", votes)
    if not votes.any():
        raise ValueError("votes is not valid: they are all 0.")
    return votes
