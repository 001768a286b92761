"""Warnings that point at the user's code."""

import sys
import warnings
from contextlib import contextmanager
from contextvars import ContextVar

# Packages that call each other on the way from a user's line to what warns.
BETWEEN = {"contextlib", "joblib", "numpy", "sklearn", "sknoisy", "skorch", "torch"}


def warn(message):
    """Warn, at the line of the user's code that called this package.

    How many calls lie between them depends on how it was called, for example by a
    Pipeline or not, so that no fixed number of levels is right.

    Parameters
    ----------
    message : str
        What a UserWarning says.

    Examples
    --------
    >>> import warnings
    >>> from sknoisy.warning import warn
    >>> with warnings.catch_warnings(record=True) as caught:
    ...     warnings.simplefilter("always")
    ...     warn("labels are missing")
    >>> caught[0].category.__name__
    'UserWarning'
    """
    frame, level = sys._getframe(1), 2
    while frame.f_back is not None and _is_between(frame):
        frame, level = frame.f_back, level + 1
    warnings.warn(message, UserWarning, stacklevel=level)


_ADVISES = ContextVar("whether what is fitted advises people", default=True)


@contextmanager
def without_advice():
    """In this context, what is fitted does not advise people; what fits it does."""
    token = _ADVISES.set(False)
    try:
        yield
    finally:
        _ADVISES.reset(token)


def advises():
    """Whether what is fitted may warn of the data, and of what it suggests."""
    return _ADVISES.get()


def _is_between(frame):
    name = frame.f_globals.get("__name__") or ""
    return name.partition(".")[0] in BETWEEN
