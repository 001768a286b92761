"""Pruning: the least probable labels of each class, or of each pair of classes."""

import numpy as np

from sknoisy.scores.lowest import any_lowest, columns_of, lowest
from sknoisy.scores.reading import rows_of_classes


def prune_counts(joint):
    """Return how many samples labelled i (row) to prune as j; the diagonal is kept.

    At least one sample of each class is kept, at the equal expense of the counts of
    the other classes.
    """
    counts = joint.copy()
    lacking = joint.diagonal() == 0
    others = np.maximum(np.count_nonzero(joint[lacking], axis=1) - 1, 1)
    counts[lacking] = np.maximum(joint[lacking] - (1 / others)[:, None], 0)
    np.fill_diagonal(counts, joint.diagonal().clip(min=1))
    return counts


def prune_by_class(codes, own, counts):
    """Return which samples have one of the lowest probabilities of their label."""
    pruned = np.zeros(len(own), dtype=bool)
    for k, rows in rows_of_classes(codes, len(counts), least=2):
        pruned[rows] = lowest(own[rows], len(rows) - counts[k, k])
    return pruned


def prune_by_noise_rate(codes, probs, own, counts, is_judged, limit):
    """Return which samples have one of the largest margins of another class.

    Parameters
    ----------
    codes, own : ndarray of shape (n_samples,)
        Column of each label, and its probability.
    probs : Probabilities of shape (n_samples, n_classes)
        The probabilities.
    counts : ndarray of shape (n_classes, n_classes), int
        How many samples labelled i (row) to prune as j.
    is_judged : ndarray of shape (n_samples,), dtype bool
        No other sample is pruned.
    limit : float
        The probability of the label minus that of any other class is above this for all
        samples that are not judged. Mostly, more than enough judged ones are below it,
        and only columns where that is not so are ranked again with all samples.
    """
    pruned = np.zeros(len(own), dtype=bool)
    for k, rows in rows_of_classes(codes, len(counts), least=2):
        some = rows[is_judged[rows]]
        columns = np.flatnonzero(counts[k])
        columns = columns[columns != k]
        if len(some) and len(columns):
            data = probs, own, counts[k]
            pruned[some], left = _lowest_margins(*data, some, columns, limit)
            if len(left):
                pruned[rows] |= _lowest_margins(*data, rows, left)[0]
    return pruned & is_judged


def _lowest_margins(probs, own, numbers, rows, columns, below=None):
    """Return which rows are among the lowest in a column, and the columns left open.

    `numbers` says how many are the lowest in each column; for `below` see any_lowest.
    """
    is_lowest, left = np.zeros(len(rows), dtype=bool), [columns[:0]]
    for some, values in columns_of(probs, rows, columns):
        np.subtract(own[rows], values, out=values)
        found, is_open = any_lowest(values, numbers[some], below)
        is_lowest |= found
        left.append(some[is_open])
    return is_lowest, np.concatenate(left)
