"""The lowest of many values, and columns of some rows."""

import numpy as np

from sknoisy.scores.probabilities import (
    chunks,
)

LONG = 1000  # for classes with more samples, one column is partitioned at a time


def columns_of(pred_probs, rows, columns):
    """Yield blocks of columns, and their probabilities transposed, in some rows."""
    # Blocks are wide because each one reads the rows again.
    for some in chunks(len(columns), len(rows), n_chunks=8):
        block = columns[some]
        values = np.empty((len(block), len(rows)), dtype=pred_probs.dtype)
        for part in chunks(len(rows), pred_probs.shape[1]):
            values[:, part] = pred_probs[rows[part]].T[block]
        yield block, values


def any_lowest(values, n):
    """Return which columns are among the n lowest values of at least one row."""
    if values.shape[1] > LONG:
        return np.any([lowest(row, n) for row in values], axis=0)
    n = min(n, values.shape[1])
    if n == 1:
        limits = values.min(axis=1, keepdims=True)
    else:
        limits = np.partition(values, n - 1, axis=1)[:, n - 1 : n]
    reached = values <= limits
    for row in np.flatnonzero(np.count_nonzero(reached, axis=1) > n):  # ties
        reached[row] = lowest(values[row], n)
    return reached.any(axis=0)


def lowest(values, n):
    """Return the mask of the n lowest values."""
    if n < 1:
        return np.zeros(len(values), dtype=bool)
    if n >= len(values):
        return np.ones(len(values), dtype=bool)
    # Few margins are negative. If there are n of them, the n lowest are among them.
    negative = values[values < 0]
    candidates = negative if len(negative) >= n else values
    mask = values <= np.partition(candidates, n - 1)[n - 1]
    if np.count_nonzero(mask) > n:  # ties at the border
        mask[:] = False
        mask[np.argsort(values)[:n]] = True
    return mask
