"""Confident learning: finding wrong labels by confident predictions of other classes.

Results are the same as those of cleanlab, the authors' code, for every sample. The
probabilities are read in chunks, so that little additional memory is needed: once for
the checks and the thresholds, once for what reaches them, and in part for the ranks.
"""

import numpy as np

from sknoisy.checks import check_choice
from sknoisy.scores.lowest import lowest
from sknoisy.scores.probabilities import open_probabilities
from sknoisy.scores.pruning import prune_by_class, prune_by_noise_rate, prune_counts
from sknoisy.scores.quality import margins
from sknoisy.scores.reading import FEW, of_labels, row_maxima, rows_of_classes

TIE = 1e-6  # tolerance when a probability is compared to a threshold or a maximum
UNREACHABLE = 2.0  # threshold of a class without samples: no probability reaches it

PRUNE_RULES = ["prune_by_noise_rate", "prune_by_class", "both"]
RULES = [
    *PRUNE_RULES,
    "confident_learning",
    "low_self_confidence",
    "low_normalized_margin",
    "predicted_neq_given",
]


def confident_thresholds(y, pred_probs, classes=None):
    """Return each class's mean predicted probability over the samples with its label.

    Parameters
    ----------
    y : array-like of shape (n_samples,)
        Given labels.
    pred_probs : array-like of shape (n_samples, n_classes)
        Probabilities, columns in the order of `classes`.
    classes : array-like of shape (n_classes,), default=None
        The classes; by default the sorted distinct labels.

    Returns
    -------
    thresholds : ndarray of shape (n_classes,)
        At least 2e-6. The threshold of a class without samples is 2, which no
        probability reaches.

    Raises
    ------
    ValueError
        If labels and probabilities do not match.

    References
    ----------
    Northcutt, Jiang and Chuang, Confident Learning: Estimating Uncertainty in Dataset
    Labels, JAIR 2021, equation 2.

    Examples
    --------
    >>> from sknoisy.scores import confident_thresholds
    >>> confident_thresholds([0, 0, 1], [[0.9, 0.1], [0.5, 0.5], [0.2, 0.8]])
    array([0.7, 0.8])
    """
    classes, codes, probs = open_probabilities(y, pred_probs, classes)
    return _thresholds(codes, probs.map(of_labels, codes), len(classes))


def confident_joint(y, pred_probs, classes=None):
    """Estimate how many samples there are of each given label and each true class.

    A sample is confidently of class j if its probability of j reaches the threshold of
    j, see :func:`confident_thresholds`. If it reaches several thresholds, it is counted
    as its most probable class; if it reaches none, it is not counted.

    Parameters
    ----------
    y : array-like of shape (n_samples,)
        Given labels.
    pred_probs : array-like of shape (n_samples, n_classes)
        Out-of-sample probabilities, columns in the order of `classes`.
    classes : array-like of shape (n_classes,), default=None
        The classes; by default the sorted distinct labels.

    Returns
    -------
    joint : ndarray of shape (n_classes, n_classes), dtype int64
        Estimated number of samples with each given label (row) and true class
        (column). Rows sum to the number of samples with that label.

    Raises
    ------
    ValueError
        If labels and probabilities do not match.

    Notes
    -----
    The diagonal is at least 1. Counts are then calibrated: each row is scaled to the
    number of samples with that label, and rounded so that its sum is kept. If several
    thresholds are reached, the paper counts the most probable class among those; the
    authors' code, and this function, count the most probable class of all.

    References
    ----------
    Northcutt, Jiang and Chuang, Confident Learning: Estimating Uncertainty in Dataset
    Labels, JAIR 2021.

    Examples
    --------
    >>> from sknoisy.scores import confident_joint
    >>> probs = [[0.9, 0.1], [0.8, 0.2], [0.1, 0.9], [0.2, 0.8]]
    >>> confident_joint([0, 0, 0, 1], probs)
    array([[2, 1], [0, 1]])
    """
    classes, codes, probs = open_probabilities(y, pred_probs, classes)
    joint = _Joint(len(classes))
    for rows, _, confident in _confident(codes, probs, probs.map(of_labels, codes)):
        joint.count(codes[rows], confident)
    return joint.calibrated()


def find_label_errors(y, pred_probs, classes=None, rule="prune_by_noise_rate"):
    """Find the labels that are probably wrong.

    Parameters
    ----------
    y : array-like of shape (n_samples,)
        Given labels.
    pred_probs : array-like of shape (n_samples, n_classes)
        Out-of-sample probabilities, columns in the order of `classes`.
    classes : array-like of shape (n_classes,), default=None
        The classes; by default the sorted distinct labels.
    rule : str, default="prune_by_noise_rate"
        The first two rules use the counts of :func:`confident_joint`.

        - "prune_by_noise_rate": for each pair of classes i and j, as many samples
          labelled i as are counted as j, those with the largest difference between
          the probabilities of j and i.
        - "prune_by_class": for each class i, as many samples labelled i as are counted
          as other classes, those with the lowest probability of i.
        - "both": samples that both of these rules find.
        - "confident_learning": samples that are confidently of another class.
        - "low_self_confidence", "low_normalized_margin": as many samples as
          "confident_learning" finds, those with the lowest quality.
        - "predicted_neq_given": samples for which another class is more probable.

    Returns
    -------
    is_error : ndarray of shape (n_samples,), dtype bool
        Except under the two "low" rules, a label that is the most probable class is
        never an error. The first three rules keep at least one sample of each class.

    Raises
    ------
    ValueError
        If labels and probabilities do not match, or the rule is unknown.

    Notes
    -----
    Ties are broken by ``np.argsort``, as in the authors' code. In addition to
    `pred_probs`, some ten bytes for each sample, 32 for each pair of classes, and a few
    megabytes of memory are needed. `pred_probs` may be of float16, and memory-mapped.

    References
    ----------
    Northcutt, Jiang and Chuang, Confident Learning: Estimating Uncertainty in Dataset
    Labels, JAIR 2021, section 3.2.

    Examples
    --------
    >>> from sknoisy.scores import find_label_errors
    >>> probs = [[0.9, 0.1], [0.8, 0.2], [0.1, 0.9], [0.2, 0.8]]
    >>> find_label_errors([0, 0, 0, 1], probs)
    array([False, False,  True, False])
    """
    check_choice("rule", rule, RULES)
    classes, codes, probs = open_probabilities(y, pred_probs, classes)
    if rule == "predicted_neq_given":
        return probs.map(_predicts_other, codes, bool)
    own = probs.map(of_labels, codes)
    quality = np.empty_like(own) if rule == "low_normalized_margin" else own
    joint = _Joint(len(classes))
    is_error = np.empty(len(codes), dtype=bool)
    for rows, some, confident in _confident(codes, probs, own):
        given = codes[rows]
        is_error[rows] = _predicts_other(given, some)
        if rule in PRUNE_RULES:
            joint.count(given, confident)
        else:
            is_error[rows] &= (confident < len(classes)) & (confident != given)
        if rule == "low_normalized_margin":
            quality[rows] = margins(given, some)
    if rule == "confident_learning":
        return is_error
    if rule not in PRUNE_RULES:
        return lowest(quality, np.count_nonzero(is_error))
    counts = prune_counts(joint.calibrated())
    if rule != "prune_by_noise_rate":
        by_class = prune_by_class(codes, own, counts)
    if rule != "prune_by_class":
        # The margins of samples without such a prediction are above the limit.
        is_error = prune_by_noise_rate(codes, probs, own, counts, is_error, -2 * TIE)
    return is_error if rule == "prune_by_noise_rate" else is_error & by_class


def _thresholds(codes, own, n_classes):
    means = np.full(n_classes, UNREACHABLE)
    for k, rows in rows_of_classes(codes, n_classes):
        means[k] = own[rows].mean()
    # Without a lower limit, every sample would reach the threshold of a class whose
    # probabilities are all 0.
    return means.clip(2 * TIE)


def _confident(codes, probs, own):
    """Yield slices of rows, their probabilities, and their confident classes, or n."""
    n = probs.shape[1]
    limits = _thresholds(codes, own, n) - TIE
    least = limits.astype(probs.dtype)  # that are not below the limits
    least = np.where(least < limits, np.nextafter(least, probs.dtype.type(3)), least)
    tiled = least[None]
    for rows, some in probs.read():
        if n > FEW and len(tiled) < len(some):  # arrays of one shape: compared faster
            tiled = np.tile(least, (len(some), 1))
        cells = np.flatnonzero(some >= tiled[: len(some)])
        row = cells // n
        confident = np.full(len(some), n)
        confident[row] = cells - n * row
        several = np.flatnonzero(np.bincount(row) > 1)
        confident[several] = some[several].argmax(axis=1)
        yield rows, some, confident


class _Joint:
    """Counts of given labels (rows) and confident classes, the last column of none."""

    def __init__(self, n_classes):
        self.counts = np.zeros((n_classes, n_classes + 1), dtype=np.int64)

    def count(self, given, confident):
        cells = np.multiply(given, self.counts.shape[1], dtype=np.int64)
        np.add.at(self.counts.reshape(-1), cells + confident, 1)

    def calibrated(self):
        """Scale the rows to whole numbers that sum to the counts of the labels."""
        n_given = self.counts.sum(axis=1, keepdims=True)
        joint = self.counts[:, :-1]
        np.fill_diagonal(joint, joint.diagonal().clip(min=1))
        scaled = joint / joint.sum(axis=1, keepdims=True) * n_given
        # In exact arithmetic this changes nothing. But its last bit decides how ties
        # are rounded, and so does the order of summation: by columns, as in the
        # authors' code.
        scaled = scaled / scaled.T.copy().sum() * n_given.sum()
        whole = scaled.round()
        missing = (scaled.sum(axis=1).round() - whole.sum(axis=1)).astype(int)
        for i in np.flatnonzero(missing):
            order = np.argsort(scaled[i] - whole[i])
            if missing[i] > 0:
                whole[i, order[::-1][: missing[i]]] += 1
            else:
                whole[i, order[: -missing[i]]] -= 1
        return whole.astype(np.int64)


def _predicts_other(codes, probs):
    """Return where another class is more probable than the label, and no tie."""
    lifted, best = of_labels(codes, probs) + TIE, row_maxima(probs)
    is_other = best > lifted
    tied = np.flatnonzero(best == lifted)  # the first one counts
    if len(tied):
        some = probs[tied]
        some[np.arange(len(tied)), codes[tied]] = lifted[tied]
        is_other[tied] = some.argmax(axis=1) != codes[tied]
    return is_other
