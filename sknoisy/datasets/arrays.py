"""Tables of numbers in files of NumPy."""

from zipfile import is_zipfile

import numpy as np


def read_array(path):
    """Return a table of numbers in a ``.npy`` file, which runs no code.

    Parameters
    ----------
    path : str
        The file.

    Returns
    -------
    array : memmap of shape (n_rows, n_columns)
        Numbers, read from the file when they are used.

    Raises
    ------
    ValueError
        If the file cannot be read, or holds anything else.
    """
    try:
        array = np.lib.format.open_memmap(path, mode="r")
    except OSError as error:
        raise ValueError(
            f"{path!r} is not valid: the file cannot be opened ({error.strerror})"
        ) from error
    except ValueError as error:
        if is_zipfile(path):  # as numpy.savez writes it
            raise ValueError(
                f"{path!r} may hold several arrays: write one of them to a .npy file, "
                f"numpy.save('one.npy', numpy.load({path!r})['NAME'])"
            ) from error
        raise ValueError(
            f"{path!r} is not an array written by numpy.save: {error}"
        ) from error
    if array.ndim != 2 or array.dtype.kind not in "fiub":
        raise ValueError(
            f"{path!r} holds an array of shape {array.shape} and dtype {array.dtype}: "
            "it must be numbers of shape (n_rows, n_columns)"
        )
    return array


def check_finite(path, array, rows=None):
    """Raise ``ValueError`` if rows hold NaN or infinity; tell which is the first.

    Parameters
    ----------
    path : str
        The file that they are from.
    array : ndarray of shape (n_rows, n_columns)
        Numbers.
    rows : ndarray of int of shape (n_rows,), default=None
        Positions of the rows in the file; None: from 0 on.
    """
    wrong = np.flatnonzero(~np.isfinite(array).all(axis=1))
    if len(wrong):
        first = wrong[0] if rows is None else rows[wrong[0]]
        raise ValueError(
            f"{path!r} holds NaN or infinity in {len(wrong):,} of {len(array):,} "
            f"rows, first in row {first} (counted from 0)"
        )
