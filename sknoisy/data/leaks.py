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
    >>> import pandas as pd
    >>> gaps = pd.array(["a", None, "b"] * 10, dtype="string")
    >>> names = np.array(["a", "c", "b"])[labels]
    >>> columns_like_labels(pd.DataFrame({"gaps": gaps, "names": names}), labels)
    [1]
    """
    _, first, codes = np.unique(labels, return_index=True, return_inverse=True)
    if len(codes) < FEWEST or len(first) < 2:
        return []
    if not hasattr(table, "iloc"):
        return _alike(table, first, codes)
    # Columns by themselves: values of one that do not compare are no obstacle.
    columns = (table.iloc[:, [j]].to_numpy() for j in range(table.shape[1]))
    return [j for j, column in enumerate(columns) if _alike(column, first, codes)]


def _alike(table, first, codes):
    values = table[first]
    some = np.linspace(0, len(codes) - 1, min(len(codes), LOOKED_AT)).astype(int)
    try:
        alike = (table[some] == values[codes[some]]).all(axis=0)
        return [
            int(j)
            for j in np.flatnonzero(alike)
            if len(set(values[:, j].tolist())) == len(values)
            and (table[:, j] == values[codes, j]).all()
        ]
    except (TypeError, ValueError):  # of pandas.NA, or lists and arrays in cells
        return []
