"""How probable it is that each label is wrong, and how much is wrong in all."""

from dataclasses import dataclass

import numpy as np

from sknoisy.checks import as_numbers, check_real
from sknoisy.data.given import check_trusted
from sknoisy.data.labels import check_several
from sknoisy.scores.calibration import SURE, true_classes
from sknoisy.scores.consensus import true_shares
from sknoisy.scores.estimates import (
    count_pairs,
    label_votes,
    shares_of,
    transition_of,
)
from sknoisy.scores.probabilities import (
    best_others,
    check_probabilities,
)
from sknoisy.scores.reading import of_labels
from sknoisy.scores.trusted import trusted_transition_matrix

SHARE, LEAST, MOST = 0.1, 150, 0.5  # voters: shares of the mean class size; a number
FEW = 30  # voters of each class whose errors are compared with those of the next ones
PRIOR = 15.0  # votes that each class gets by the mean of all
OWN_SHARE = 0.15  # errors among a classifier's surest predictions, over those of all
SEEING, STEEP = 0.35, 3.0  # which rises by this where they are wrong more often
TIMES = 3.0  # as many votes, among which own errors are as many times as frequent
QUANTILE = 1.96  # of intervals of 95%


@dataclass(frozen=True)
class LabelPosterior:
    """What is known of the true classes, given predictions and labels.

    Attributes
    ----------
    given : ndarray of shape (n_samples,), float64
        Probability that the label is right.
    others : ndarray of shape (n_samples,), dtype int64
        Column of the most probable other class.
    other : ndarray of shape (n_samples,), float64
        Its probability.
    transition_matrix : ndarray of shape (n_classes, n_classes), float64
        Probability of each label (column) for each true class (row).
    noise_rate : float
        Estimated share of wrong labels.
    noise_rate_interval : tuple of float
        Lower and upper end of the interval that holds it with 95%.
    own_error : float
        Estimated share of the samples that the classifier itself gets wrong.
    """

    given: np.ndarray
    others: np.ndarray
    other: np.ndarray
    transition_matrix: np.ndarray
    noise_rate: float
    noise_rate_interval: tuple
    own_error: float

    def of(self, codes, labels):
        """Return the probability of one label of each sample, the given or another.

        Parameters
        ----------
        codes : ndarray of shape (n_samples,), int
            Columns of the given labels.
        labels : ndarray of shape (n_samples,), int
            Columns of the labels whose probability is returned.

        Returns
        -------
        probability : ndarray of shape (n_samples,), float64
            Exact for the given label and the best other class; for any other class, an
            upper bound.
        """
        return np.where(labels == codes, self.given, self.other)


@np.errstate(under="ignore")
def label_posterior(y, pred_probs, classes=None, trusted=None):
    """Estimate how probable it is that each label is right.

    Parameters
    ----------
    y : array-like of shape (n_samples,)
        Given labels.
    pred_probs : array-like of shape (n_samples, n_classes)
        Out-of-sample probabilities, columns in the order of `classes`; they need not be
        calibrated.
    classes : array-like of shape (n_classes,), default=None
        The classes; by default the sorted distinct labels.
    trusted : array-like of shape (n_samples,), bool, default=None
        Which labels are known to be right; by default none. They have probability 1,
        and count as right in the noise rate. They also improve the transition matrix,
        see :func:`trusted_transition_matrix`, and bound the classifier's own error: it
        is at most the upper end of Wilson's interval of its share among them.
        Everything else is estimated from the other labels.

    Returns
    -------
    posterior : LabelPosterior
        Probabilities of the label and of the best other class, the noise rate with an
        interval, and the transition matrix.

    See Also
    --------
    limit_false_alarms : Which labels to call wrong, given these probabilities.
    estimate_noise_rate : Estimates that do not subtract the classifier's errors.

    Notes
    -----
    As in :func:`label_votes`, the labels of the samples that most probably belong to
    each class give the transition matrix T, and the noise rate, in which each class
    counts by how often it is predicted. If a class is predicted for fewer samples than
    should vote, only these samples vote.

    Disagreement between predictions and labels that T does not explain is the
    classifier's own error. Its surest predictions are assumed to be wrong at 15% of
    that rate, or more if the error is above 35% of the error of chance. This much is
    subtracted from the votes, and no prediction is trusted further. The labels do not
    determine this number. It was chosen so that no label is called wrong where all are
    right, on embeddings of CIFAR-10 and in simulations where classes overlap. Less is
    subtracted where predictions and labels disagree hardly more among three times as
    many votes, because the classifier's own errors would be three times as frequent
    there. With few samples this cannot be decided, and fewer wrong labels are found.

    The interval of the noise rate is Wilson's, for the effective number of votes,
    extended downwards by twice what was subtracted. If it is not certain that any label
    is wrong, its lower end is 0, and T is that of one wrong vote, so that a clearly
    wrong label is still found among thousands. The noise rate is then the mean
    probability of an error.

    Probabilities p are calibrated on the noisy labels in two ways, and the mean is
    used: a power of p, chosen by the likelihood of the labels under T, and an isotonic
    regression of the agreement with the label on the margin of the best class. By
    Bayes' rule, the true class is c with probability proportional to
    ``p[c] * T[c, y]``.

    References
    ----------
    Bootkrajang and Kaban, Label-Noise Robust Logistic Regression and Its Applications,
    ECML PKDD 2012, for the posterior; Guo et al., On Calibration of Modern Neural
    Networks, ICML 2017, for the power.

    Examples
    --------
    >>> import numpy as np
    >>> from sknoisy.scores import label_posterior
    >>> y = np.repeat([0, 1], 100)
    >>> p = np.random.default_rng(0).beta(20, 2, size=(200, 1))  # of the true class
    >>> probs = np.where(y[:, None] == [0, 1], p, 1 - p)
    >>> y[:10] = 1
    >>> found = label_posterior(y, probs)
    >>> found.given[[0, 50]].round(1)
    array([0., 1.])
    """
    classes, codes, pred_probs = check_probabilities(y, pred_probs, classes)
    check_several(classes)
    return posterior_of(codes, pred_probs, check_trusted(trusted, len(codes)))


@np.errstate(under="ignore")
def posterior_of(codes, pred_probs, trusted=None, unseen=True):
    """Return what :func:`label_posterior` does, without its checks.

    Parameters
    ----------
    codes : ndarray of shape (n_samples,), int
        Columns of the given labels.
    pred_probs : ndarray of shape (n_samples, n_classes)
        Probabilities.
    trusted : ndarray of shape (n_samples,), bool, default=None
        Which labels are known to be right.
    unseen : bool, default=True
        Whether trusted samples were predicted without their labels. Only then do errors
        among them bound those among the others.

    Returns
    -------
    posterior : LabelPosterior
        See :func:`label_posterior`.
    """
    if trusted is not None:
        return _with_trusted(codes, pred_probs, trusted, unseen)
    return _posterior(codes, pred_probs)


def _posterior(codes, pred_probs, most=1.0):
    """Return the posterior of labels, none of which is trusted.

    Parameters
    ----------
    codes : ndarray of shape (n_samples,), int
        Columns of the given labels.
    pred_probs : ndarray of shape (n_samples, n_classes)
        Out-of-sample probabilities.
    most : float, default=1.0
        What the classifier's own error is at most.
    """
    n_samples, n_classes = pred_probs.shape
    share = voting_share(n_samples, n_classes)
    votes = surest_votes(codes, pred_probs, share)
    predicted = pred_probs.argmax(axis=1)
    disagree = float(np.mean(predicted != codes))
    rate, n_votes = rate_of_votes(votes, predicted)
    own_error = _own_error(disagree, rate, n_classes, most)
    blind = own_error / (1 - 1 / n_classes)  # 1 if predictions are chance
    limit = min(OWN_SHARE + STEEP * max(blind - SEEING, 0), 1) * own_error
    own_votes = limit * np.sqrt(share / SHARE)  # more voters are less sure
    if blind <= SEEING:
        wide = min(TIMES * share, 1)
        more, _ = rate_of_votes(surest_votes(codes, pred_probs, wide), predicted)
        own_votes = min(own_votes, _most_errors(rate, n_votes, more, wide / share))
        limit = min(limit, own_votes)
    least = _least_rate(codes, pred_probs, disagree, most)
    if least <= 0:
        own_error, own_votes = _own_error(disagree, 0, n_classes, most), rate
    # Labels disagree with predictions at least as often as they are wrong.
    kept = min(max(rate - own_votes, 0), disagree) / rate if rate > 0 else 0
    # That none of the votes is wrong does not mean that no label is.
    voted = matrix_of_votes(votes, kept)
    T = at_least(voted, 1 / votes.sum())
    sure = 1 - max(limit, SURE)
    given, other = np.empty(n_samples), np.empty(n_samples)
    others = np.empty(n_samples, dtype=np.int64)
    for part, true in true_classes(codes, pred_probs, T, sure):
        given[part] = of_labels(codes[part], true)
        others[part], other[part] = best_others(codes[part], true)
    prior = true_shares(T, np.bincount(codes, minlength=n_classes))
    noise_rate = float(1 - prior @ voted.diagonal())
    if noise_rate < 1 / votes.sum():  # what the labels themselves show
        noise_rate = max(noise_rate, float(min(1 / votes.sum(), 1 - given.mean())))
    low, high = _wilson(rate, n_votes)
    low = float(np.clip(min(low - 2 * own_votes, least), 0, noise_rate))
    ends = low, max(high, noise_rate)
    return LabelPosterior(given, others, other, T, noise_rate, ends, own_error)


def limit_false_alarms(error_probability, max_false_alarms=0.3):
    """Choose the labels to call wrong, so that few of them are expected to be right.

    Parameters
    ----------
    error_probability : array-like of shape (n_samples,)
        Probability that each label is wrong, in [0, 1].
    max_false_alarms : float, default=0.3
        Largest expected share of right labels in the set, in [0, 1).

    Returns
    -------
    is_error : ndarray of shape (n_samples,), dtype bool
        The most probable errors, without labels that are more probably right than
        wrong.

    Notes
    -----
    This is the Bayesian control of the false discovery rate. The expected rate follows
    from the given probabilities, so it is only as good as they are. Where most errors
    are certain, labels that are probably right would fit into the share, too; they are
    left out.

    References
    ----------
    Newton et al., Detecting differential gene expression with a semiparametric
    hierarchical mixture method, Biostatistics 2004.

    Examples
    --------
    >>> from sknoisy.scores import limit_false_alarms
    >>> limit_false_alarms([0.9, 0.1, 0.8, 0.6], max_false_alarms=0.2)
    array([ True, False,  True, False])
    """
    check_real("max_false_alarms", max_false_alarms, "[0, 1)")
    right = 1 - as_numbers("error_probability", error_probability).astype(np.float64)
    if right.ndim != 1 or not np.isfinite(right).all():
        raise ValueError(
            f"error_probability of shape {right.shape} is not valid: it must be finite "
            "and of shape (n_samples,)."
        )
    order = np.argsort(right, kind="stable")
    means = right[order].cumsum() / np.arange(1, len(right) + 1)
    n_errors = np.count_nonzero(means <= max_false_alarms + 1e-12)
    is_error = np.zeros(len(right), dtype=bool)
    is_error[order[:n_errors]] = True
    return is_error & (right <= 0.5)


def voting_share(n_samples, n_classes):
    """Return how many samples vote for a class, as a share of the mean class size."""
    return min(max(SHARE, LEAST * n_classes / n_samples), MOST)


def surest_votes(codes, pred_probs, share):
    """Return the labels of the surest predictions, see `label_votes`.

    Of a class that is predicted more rarely than there are votes, all that are
    predicted vote: most others would be of other classes.

    Parameters
    ----------
    codes : ndarray of shape (n_samples,), int
        Columns of the given labels.
    pred_probs : ndarray of shape (n_samples, n_classes)
        Out-of-sample probabilities.
    share : float
        Voters, as a share of the mean class size.

    Returns
    -------
    votes : ndarray of shape (n_classes, n_classes), float64
        Number of votes for each label (column) of each class (row).
    """
    n_classes = pred_probs.shape[1]
    votes = label_votes(codes, pred_probs, np.arange(n_classes), share)
    predicted = pred_probs.argmax(axis=1)
    counts = np.bincount(predicted, minlength=n_classes)
    for k in np.flatnonzero(counts < votes.sum(axis=1)):
        votes[k] = np.bincount(codes[predicted == k], minlength=n_classes)
    return votes.astype(np.float64)


def rate_of_votes(votes, predicted):
    """Return the noise rate by votes, and how many votes that is worth.

    Each class counts by how often it is predicted.
    """
    voters = votes.sum(axis=1).clip(min=1)
    wrong = 1 - votes.diagonal() / voters
    shares = shares_of(predicted, len(votes))
    return float(shares @ wrong), float(1 / np.sum(shares**2 / voters))


def _with_trusted(codes, pred_probs, trusted, unseen):
    """Return the posterior of all labels, of which some are right for sure."""
    n_classes, rest = pred_probs.shape[1], ~trusted
    given, other = np.ones(len(codes)), np.zeros(len(codes))
    others, _ = best_others(codes, pred_probs)
    if trusted.all():
        nothing = np.eye(n_classes), 0.0, (0.0, 0.0), 0.0
        return LabelPosterior(given, others, other, *nothing)
    predicted = pred_probs.argmax(axis=1)
    most = 1.0
    if unseen:
        errors = float(np.mean(predicted[trusted] != codes[trusted]))
        most = _wilson(errors, np.count_nonzero(trusted))[1]
    found = _posterior(codes[rest], pred_probs[rest], most)
    given[rest], others[rest], other[rest] = found.given, found.others, found.other
    T = trusted_transition_matrix(
        count_pairs(codes[trusted], predicted[trusted], n_classes),
        count_pairs(predicted[rest], codes[rest], n_classes),
        found.transition_matrix,
    )
    share = float(rest.mean())
    low, high = found.noise_rate_interval
    rates = share * found.noise_rate, (share * low, share * high)
    return LabelPosterior(given, others, other, T, *rates, found.own_error)


def _most_errors(rate, n_votes, more, times):
    """Return how large a share of the votes may be a classifier's own errors.

    It errs the more often the less sure it is: among so many times as many votes, its
    errors are at least as many times as frequent, and wrong labels are no rarer. So its
    errors grow by no more than the disagreement does, from `rate` to `more`; two
    standard errors are allowed for.
    """
    chance = np.sqrt(more * (1 - more) / n_votes)
    return (max(more - rate, 0) + 2 * chance) / (times - 1)


def _least_rate(codes, pred_probs, disagree, most):
    """Return the least noise rate where predictions are poor, at most 0 if none; or 1.

    Wrong labels are as many among the surest predictions as among the next; where
    classes overlap, there are ever fewer. The line through both ends at the least rate,
    where they differ by more than chance does. If most of the surest disagree, too,
    they are no evidence, unless trusted labels say that predictions are mostly right.
    """
    n_samples, n_classes = pred_probs.shape
    if most <= SEEING * (1 - 1 / n_classes):
        return 1.0
    share = min(max(SHARE, FEW * n_classes / n_samples), 1 / 3)
    surest, more = (
        label_votes(codes, pred_probs, np.arange(n_classes), part)
        for part in (share, 3 * share)
    )
    near, far = (1 - votes.trace() / votes.sum() for votes in (surest, more))
    blind = _own_error(disagree, near, n_classes, most) / (1 - 1 / n_classes)
    if near > 0.5 and blind > SEEING / 2:
        return 0.0
    if blind <= SEEING:
        return 1.0
    chance = np.sqrt(near * (1 - near) / surest.sum())  # a standard error
    return near - 3 * max(far - near - chance, 0)


def _own_error(disagree, rate, n_classes, most):
    """Return how often predictions are wrong, from how often labels disagree."""
    chance = rate / max(n_classes - 1, 1)  # a wrong prediction meets the wrong label
    own = (disagree - rate) / max(1 - rate - chance, 0.05)
    return float(np.clip(own, 0, min(most, 1 - 1 / n_classes)))


def matrix_of_votes(votes, kept):
    """Return a transition matrix of votes, of whose wrong labels a share is kept."""
    wrong = votes * (1 - np.eye(len(votes))) * kept
    votes = wrong + np.diag(votes.sum(axis=1) - wrong.sum(axis=1))
    rate = wrong.sum() / votes.sum()
    mean = np.full(votes.shape, rate / max(len(votes) - 1, 1))
    np.fill_diagonal(mean, 1 - rate)
    return transition_of(votes + PRIOR * mean)


def at_least(T, rate):
    """Return a transition matrix by which labels of each class are wrong at a rate."""
    n_classes = len(T)
    missing = np.clip(rate - (1 - T.diagonal()), 0, None)[:, None]
    return T * (1 - missing) + missing * (1 - np.eye(n_classes)) / (n_classes - 1)


def _wilson(share, n):
    """Return the ends of Wilson's interval of a share of n."""
    z = QUANTILE**2 / n
    half = QUANTILE * np.sqrt(share * (1 - share) / n + z / (4 * n))
    return tuple(float((share + z / 2 + s * half) / (1 + z)) for s in (-1, 1))
