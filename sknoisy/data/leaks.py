"""Columns of a table that are the labels under another name."""

import numpy as np

LOOKED_AT = 200  # rows by which columns are chosen that are looked at as a whole
FEWEST = 20  # rows, of which a column may say the same by chance


def columns_like_labels(table, labels):
    """Return the columns that have one value in each class, another in each.

    Parameters
    ----------
    table : ndarray or pandas.DataFrame of shape (n_samples, n_columns)
        Numbers, or any other values.
    labels : ndarray of shape (n_samples,)
        Class of each sample.

    Returns
    -------
    columns : list of int
        Their positions; none of fewer than 20 samples, or of one class.

    Examples
    --------
    >>> import numpy as np
    >>> from sknoisy.data.leaks import columns_like_labels
    >>> labels = np.arange(30) % 3
    >>> columns_like_labels(np.c_[np.arange(30), 7 - labels], labels)
    [1]
    """
    _, first, codes = np.unique(labels, return_index=True, return_inverse=True)
    if len(codes) < FEWEST or len(first) < 2:
        return []
    table = getattr(table, "iloc", table)
    values = np.asarray(table[first])
    some = np.linspace(0, len(codes) - 1, min(len(codes), LOOKED_AT)).astype(int)
    alike = (np.asarray(table[some]) == values[codes[some]]).all(axis=0)
    return [
        int(j)
        for j in np.flatnonzero(alike)
        if len(set(values[:, j].tolist())) == len(values)
        and (np.asarray(table[:, j]) == values[codes, j]).all()
    ]
