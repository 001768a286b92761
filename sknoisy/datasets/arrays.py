"""Tables of numbers in files of NumPy."""

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
        Numbers, read when they are asked for.

    Raises
    ------
    ValueError
        If the file cannot be read, or holds anything else.
    """
    try:
        array = np.lib.format.open_memmap(path, mode="r")
    except (OSError, ValueError) as error:
        raise ValueError(
            f"{path!r} is no array of NumPy, as numpy.save writes it: {error}"
        ) from error
    if array.ndim != 2 or array.dtype.kind not in "fiub":
        raise ValueError(
            f"{path!r} holds an array of shape {array.shape} and dtype {array.dtype}: "
            "it must be numbers of shape (n_rows, n_columns)"
        )
    return array
