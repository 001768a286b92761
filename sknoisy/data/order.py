"""The order of samples, by the index that frames and series of pandas give them."""

import numpy as np

from sknoisy.warning import warn


def index_of(*frames):
    """Return the index of the first that has one of names, as str, or None.

    Parameters
    ----------
    *frames : object
        Perhaps frames or series of pandas; positions 0, 1 and so on are no names.
    """
    for frame in frames:
        if hasattr(frame, "iloc"):
            names = names_of(frame)
            if not _are_positions(names):
                return names
    return None


def check_order(X, /, called="X", **given):
    """Refuse what has the names of the samples of X in another order.

    Rows count by their positions, whatever index they have, so that each sample would
    get what belongs to another.

    Parameters
    ----------
    X : array-like of shape (n_samples, ...)
        Samples; only a frame or series of pandas names them.
    called : str, default="X"
        The name of X, for messages.
    **given : object
        What is given of each sample, such as ``y=y``.

    Raises
    ------
    ValueError
        If one of them has the index of X in another order.

    Warns
    -----
    UserWarning
        If one of the two has the index 0, 1 and so on, which may be new there.
    """
    for name, value in given.items():
        both = hasattr(X, "iloc") and hasattr(value, "iloc")
        if both and not X.index.equals(value.index):
            # Of a name that is there twice, loc has all rows each time.
            is_unique = value.index.is_unique
            rows = "its rows in that order"
            if is_unique:
                rows = f"{name}.loc[{called}.index]"
            what = (
                f"{name} has the index of {called} in another order. Pass {rows}, or "
                f"{name}.to_numpy() if its rows are those of {called}."
            )
            refuse_order(names_of(X), names_of(value), what)


def refuse_order(names, others, message):
    """Raise if `others` are `names` in another order; warn if either are positions.

    Positions may have been counted anew after samples were sorted: then the order is
    not known, and may be right.
    """
    if np.array_equal(names, others) or sorted(names) != sorted(others):
        return
    if not (_are_positions(names) or _are_positions(others)):
        raise ValueError(message)
    warn(message)


def names_of(frame):
    """Return the index of a frame or series, as str."""
    return np.array([str(name) for name in frame.index])


def _are_positions(names):
    """Whether names are 0, 1 and so on, as those of a frame whose index was reset."""
    return np.array_equal(names, np.arange(len(names)).astype(str))
