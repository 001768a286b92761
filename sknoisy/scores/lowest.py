"""The lowest of many values, and columns of some rows."""

import numpy as np

from sknoisy.scores.reading import chunks

LONG = 1000  # rows with more values are partitioned one by one, and not sorted


def columns_of(probs, rows, columns):
    """Yield blocks of columns, and their probabilities transposed, in some rows."""
    # Blocks are wide because each one reads the rows again.
    for some in chunks(len(columns), len(rows), n_chunks=8):
        block = columns[some]
        values = np.empty((len(block), len(rows)), dtype=probs.dtype)
        for part in chunks(len(rows), probs.shape[1]):
            values[:, part] = probs[rows[part]].T[block]
        yield block, values


def any_lowest(values, numbers, below=None):
    """Return which columns are among the lowest values of at least one row.

    Parameters
    ----------
    values : ndarray of shape (n_rows, n_columns)
        Values.
    numbers : ndarray of shape (n_rows,), int
        How many are the lowest of each row.
    below : float, default=None
        If columns are missing whose values are not below this, rows are left open
        whose lowest values may be there, and those in which some are equal.

    Returns
    -------
    is_lowest : ndarray of shape (n_columns,), dtype bool
        Which columns are.
    is_open : ndarray of shape (n_rows,), dtype bool
        Which rows are left open, and do not count.
    """
    n_columns = values.shape[1]
    last = numbers.clip(max=n_columns) - 1
    if n_columns > LONG:
        parts = [np.partition(row, i)[i] for row, i in zip(values, last, strict=True)]
        limits = np.array(parts)[:, None]
    else:
        limits = np.take_along_axis(np.sort(values, axis=1), last[:, None], axis=1)
    is_low = values <= limits
    is_tied = np.count_nonzero(is_low, axis=1) > numbers
    if below is None:
        is_open = np.zeros(len(values), dtype=bool)
        for row in np.flatnonzero(is_tied):
            is_low[row] = lowest(values[row], numbers[row])
    else:
        is_open = is_tied | (numbers > n_columns) | (limits[:, 0] >= below)
        is_low[is_open] = False
    return is_low.any(axis=0), is_open


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
