"""Confident learning: finding wrong labels by confident predictions of other classes.

Results are the same as those of cleanlab, the authors' code, for every sample. The
probabilities are read in chunks, so that little additional memory is needed.
"""

import numpy as np

from sknoisy.parameters import check_choice
from sknoisy.scores.lowest import any_lowest, columns_of, lowest
from sknoisy.scores.probabilities import (
    best_others,
    check_probabilities,
    chunks,
    of_labels,
)

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
    """Return the mean predicted probability of each class over the samples so labelled.

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
    _, codes, pred_probs = check_probabilities(y, pred_probs, classes)
    return _thresholds(
        _Groups(codes, pred_probs.shape[1]), of_labels(codes, pred_probs)
    )


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
    number of samples with that label, and rounded so that its sum is kept. Of several
    thresholds that are reached, the paper takes the most probable class among those;
    the authors' code, and this function, take the most probable class of all.

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
    _, codes, pred_probs = check_probabilities(y, pred_probs, classes)
    groups = _Groups(codes, pred_probs.shape[1])
    return _joint(groups, pred_probs, of_labels(codes, pred_probs))[0]


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
    Ties are broken by ``np.argsort``, as in the authors' code. Columns are partitioned,
    not sorted. In addition to `pred_probs`, some tens of bytes for each sample and a
    few megabytes of memory are needed.

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
    _, codes, pred_probs = check_probabilities(y, pred_probs, classes)
    if rule == "predicted_neq_given":
        return _predicted_other(np.ones(len(codes), dtype=bool), codes, pred_probs)
    groups = _Groups(codes, pred_probs.shape[1])
    own = of_labels(codes, pred_probs)
    joint, confident = _joint(groups, pred_probs, own)
    if rule in PRUNE_RULES:
        counts = _prune_counts(joint)
        is_error = np.ones(len(codes), dtype=bool)
        if rule != "prune_by_noise_rate":
            is_error &= _prune_by_class(groups, own, counts)
        if rule != "prune_by_class":
            is_error &= _prune_by_noise_rate(groups, pred_probs, own, counts)
    else:
        is_error = (confident >= 0) & (confident != codes)
    is_error = _predicted_other(is_error, codes, pred_probs)
    if rule == "low_self_confidence":
        return lowest(own, np.count_nonzero(is_error))
    if rule == "low_normalized_margin":
        quality = (own - best_others(codes, pred_probs)[1] + 1) / 2
        return lowest(quality, np.count_nonzero(is_error))
    return is_error


class _Groups:
    """The samples of each label, in the order of the samples."""

    def __init__(self, codes, n_classes):
        self.codes = codes
        self.n_classes = n_classes
        self.counts = np.bincount(codes, minlength=n_classes)
        # NumPy sorts 16-bit integers in linear time.
        short = codes.astype(np.uint16) if n_classes < 2**16 else codes
        self._order = np.argsort(short, kind="stable")
        self._ends = self.counts.cumsum()

    def rows(self, k):
        return self._order[self._ends[k] - self.counts[k] : self._ends[k]]


def _thresholds(groups, own):
    means = [
        own[groups.rows(k)].mean() if groups.counts[k] else UNREACHABLE
        for k in range(groups.n_classes)
    ]
    # Without a lower limit, every sample would reach the threshold of a class whose
    # probabilities are all 0.
    return np.clip(means, 2 * TIE, None)


def _joint(groups, pred_probs, own):
    """Return the calibrated joint, and the confident class of each sample, or -1."""
    n = groups.n_classes
    limits = _thresholds(groups, own) - TIE
    confident = np.full(len(own), -1)
    for rows in chunks(*pred_probs.shape):
        probs = pred_probs[rows]
        row, column = np.divmod(np.flatnonzero(probs >= limits), n)
        found = confident[rows]  # a view
        found[row] = column
        several = np.unique(row[1:][row[1:] == row[:-1]])
        found[several] = probs[several].argmax(axis=1)
    sure = confident >= 0
    cells = groups.codes[sure] * n + confident[sure]
    joint = np.bincount(cells, minlength=n * n).reshape(n, n)
    np.fill_diagonal(joint, joint.diagonal().clip(min=1))
    return _calibrate(joint, groups.counts), confident


def _calibrate(joint, counts):
    """Scale the rows to whole numbers that sum to the counts of the labels."""
    scaled = joint / joint.sum(axis=1, keepdims=True) * counts[:, None]
    # In exact arithmetic this changes nothing. But its last bit decides how ties are
    # rounded, and so does the order of summation: by columns, as in the authors' code.
    scaled = scaled / scaled.T.copy().sum() * counts.sum()
    whole = scaled.round()
    for row, exact in zip(whole, scaled, strict=True):
        missing = int(exact.sum().round() - row.sum())
        order = np.argsort(exact - row)
        if missing > 0:
            row[order[::-1][:missing]] += 1
        elif missing < 0:
            row[order[:-missing]] -= 1
    return whole.astype(np.int64)


def _prune_counts(joint):
    """Return how many samples labelled i (row) to prune as j; the diagonal is kept.

    At least one sample of each class is kept, at the equal expense of the counts of
    the other classes.
    """
    lacking = (joint.diagonal() == 0).astype(int)
    others = np.maximum(np.count_nonzero(joint, axis=1) - 1, 1)
    counts = np.maximum(joint - (lacking / others)[:, None], 0)
    np.fill_diagonal(counts, joint.diagonal() + lacking)
    return counts.astype(np.int64)


def _prune_by_class(groups, own, counts):
    pruned = np.zeros(len(own), dtype=bool)
    for k in np.flatnonzero(groups.counts > 1):
        rows = groups.rows(k)
        pruned[rows] = lowest(own[rows], len(rows) - counts[k, k])
    return pruned


def _prune_by_noise_rate(groups, pred_probs, own, counts):
    pruned = np.zeros(len(own), dtype=bool)
    counts = counts - np.diag(counts.diagonal())
    for k in np.flatnonzero(groups.counts > 1):
        rows = groups.rows(k)
        mask = np.zeros(len(rows), dtype=bool)
        columns = np.flatnonzero(counts[k])
        # Columns with equal counts become neighbours, to be partitioned in one call.
        columns = columns[np.argsort(counts[k, columns], kind="stable")]
        for some, margins in columns_of(pred_probs, rows, columns):
            np.subtract(own[rows], margins, out=margins)
            numbers, starts = np.unique(counts[k, some], return_index=True)
            for n, equal in zip(numbers, np.split(margins, starts[1:]), strict=True):
                mask |= any_lowest(equal, n)
        pruned[rows] = mask
    return pruned


def _predicted_other(mask, codes, pred_probs):
    """Remove from a mask the samples whose label is, or ties with, the best class."""
    mask = mask.copy()
    rows = np.flatnonzero(mask)
    for part in chunks(len(rows), pred_probs.shape[1]):
        some = rows[part]
        probs, y = pred_probs[some], codes[some]
        probs[np.arange(len(some)), y] += TIE
        mask[some] = probs.argmax(axis=1) != y
    return mask
