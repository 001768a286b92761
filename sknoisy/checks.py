"""Checks of values, with errors that name the parameter and what is allowed."""

import os
from difflib import get_close_matches
from numbers import Integral, Real

import numpy as np
import torch
from sklearn.utils import check_consistent_length, check_random_state


def unknown(name, value, choices, optional=False):
    """Return the message for a name that is none of the `choices`, nor None."""
    lower = {choice.lower(): choice for choice in choices}
    close = get_close_matches(str(value).lower(), lower, n=1)
    hint = f" Did you mean {lower[close[0]]!r}?" if close else ""
    none = "None or " if optional else ""
    return (
        f"{name}={value!r} is not valid: it must be {none}one of {sorted(choices)}."
        f"{hint}"
    )


def as_path(name, value):
    """Return a path as a string, or raise ``ValueError`` if a value is none."""
    try:
        path = os.fsdecode(value)
    except TypeError as error:
        raise ValueError(
            f"{name}={value!r:.99} is not valid: it must be a path, a string or "
            "path-like."
        ) from error
    if "\0" in path:  # bytes may be all that a file holds
        raise ValueError(
            f"{name}={value!r:.99} is not valid: a path cannot hold a null byte."
        )
    return path


def check_choice(name, value, choices):
    """Raise ``ValueError`` unless `value` is one of the `choices`."""
    # An array compares to many values.
    is_one = isinstance(value, str) or not hasattr(value, "__len__")
    if not (is_one and any(value is one or value == one for one in choices)):
        allowed = ", ".join(map(repr, choices))
        raise ValueError(f"{name}={value!r} is not valid: it must be one of {allowed}.")


def check_integer(name, value, low=1, other=None):
    """Raise ``ValueError`` unless `value` is an integer of at least `low`, or `other`.

    `other` is a string, such as "auto", that is allowed, too.
    """
    if other is not None and isinstance(value, str) and value == other:
        return
    if isinstance(value, bool) or not isinstance(value, Integral) or value < low:
        also = "" if other is None else f", or {other!r}"
        raise ValueError(
            f"{name}={value!r} is not valid: it must be an integer >= {low}{also}."
        )


def check_real(name, value, interval, other=None):
    """Raise ``ValueError`` unless `value` lies in an interval.

    Parameters
    ----------
    name : str
        Name of the parameter.
    value : float
        Its value.
    interval : str
        Such as ``"(0, inf)"`` or ``"[0, 1)"``: round brackets exclude the end.
    other : str, default=None
        A string, such as "auto", that is allowed, too.
    """
    if other is not None and isinstance(value, str) and value == other:
        return
    low, high = (float(end) for end in interval[1:-1].split(","))
    valid = isinstance(value, Real) and not isinstance(value, bool)
    valid = valid and (low < value if interval[0] == "(" else low <= value)
    valid = valid and (value < high if interval[-1] == ")" else value <= high)
    if not valid:  # also for NaN, which compares as false
        also = "" if other is None else f", or {other!r}"
        shape = np.shape(value) if isinstance(value, np.ndarray) else ()
        shown = f" of shape {shape}" if shape else f"={value!r}"
        raise ValueError(
            f"{name}{shown} is not valid: it must be a number in {interval}{also}."
        )


def check_lengths(**arrays):
    """Raise unless all arrays, by name, have as many samples; None is left out.

    Raises
    ------
    ValueError
        If their lengths differ.
    TypeError
        If one of them has no length; names it.
    """
    for name, value in arrays.items():
        try:
            check_consistent_length(value)
        except TypeError as error:
            raise TypeError(f"{name} is not valid: {error}") from error
    check_consistent_length(*arrays.values())


def check_transition_matrix(value, n_classes=None):
    """Return a transition matrix, of which rows are true classes.

    Parameters
    ----------
    value : array-like of shape (n_classes, n_classes)
        The matrix. Rows may be off the sum of 1 by a hundredth, as printed ones are.
    n_classes : int, default=None
        How many classes there are; by default any number.

    Returns
    -------
    T : ndarray of shape (n_classes, n_classes), float64
        Its rows sum to 1.

    Raises
    ------
    ValueError
        If it is none, or one of another number of classes.
    """
    T = as_floats(value.detach().cpu() if isinstance(value, torch.Tensor) else value)
    if T.ndim != 2 or T.shape != (n_classes or len(T),) * 2:
        of_classes = f" of {n_classes} classes, as y holds" if n_classes else ""
        raise ValueError(
            f"transition_matrix of shape {T.shape} is not valid: it must be a square "
            f"matrix{of_classes}."
        )
    sums = T.sum(axis=1, keepdims=True)
    if not ((T >= 0).all() and np.allclose(sums, 1, atol=1e-2)):  # not of NaN either
        raise ValueError(
            "transition_matrix is not valid: its rows must be probabilities that sum "
            f"to 1, but it holds {T.min():.6g} to {T.max():.6g}, and its rows sum to "
            f"{sums.min():.6g} to {sums.max():.6g}."
        )
    return T / sums


def random_numbers(random_state):
    """Return the RandomState that the parameter `random_state` stands for.

    Parameters
    ----------
    random_state : int, RandomState or None
        Value of the parameter.

    Raises
    ------
    ValueError
        If it is anything else; names the parameter.
    """
    try:
        return check_random_state(random_state)
    except (TypeError, ValueError) as error:
        raise ValueError(
            f"random_state={random_state!r} is not valid: it must be None, an integer "
            "from 0 to 2**32 - 1, or a numpy.random.RandomState."
        ) from error


def seed_for_clones(random_state):
    """Return what to give estimators that are cloned before they are fitted.

    Parameters
    ----------
    random_state : int, RandomState or None
        A clone would begin with a copy of a RandomState, which never moves on: of one,
        an int is drawn. An int and None stay as they are.
    """
    drawn = isinstance(random_state, np.random.RandomState)
    return int(random_state.randint(2**31 - 1)) if drawn else random_state


def as_numbers(name, value):
    """Return a value as an ndarray of numbers, or raise ``ValueError``.

    Parameters
    ----------
    name : str
        Name of the argument, for the error message.
    value : array-like
        Its value.

    Returns
    -------
    values : ndarray
        In its own dtype if that is real; booleans and objects as float64.
    """
    refuse_masked(name, value)
    try:
        values = np.asarray(_on_host(value))
        if values.dtype.kind not in "iuf":
            if values.dtype.kind not in "bO":
                raise TypeError(f"it holds {values.dtype}")
            values = values.astype(np.float64)
    except (TypeError, ValueError, OverflowError) as error:
        raise ValueError(
            f"{name} is not valid: it must be an array of numbers ({error})."
        ) from error
    return values


def as_mask(name, value, n=None):
    """Return a value as an ndarray of bool, or raise ``ValueError``.

    Parameters
    ----------
    name : str
        Name of the argument, for the error message.
    value : array-like of shape (n,)
        Booleans, or 0 and 1.
    n : int, default=None
        How long it must be; by default 1 or more.

    Returns
    -------
    mask : ndarray of shape (n,), bool
        The mask.
    """
    refuse_masked(name, value)
    try:
        mask = np.asarray(_on_host(value))
        valid = mask.ndim == 1 and bool(np.isin(mask, (0, 1)).all())
    except (TypeError, ValueError):  # pandas.NA has no truth value
        valid = False
    if not valid or (len(mask) == 0 if n is None else len(mask) != n):
        raise ValueError(
            f"{name} of shape {tuple(np.shape(value))} is not valid: it must be a mask "
            f"of shape ({'n_samples' if n is None else n},), of True and False."
        )
    return mask.astype(bool)


def refuse_masked(name, value):
    """Raise ``ValueError`` if values of a masked array are masked.

    NumPy's functions take what lies below the mask for values.
    """
    count = np.ma.count_masked(value) if np.ma.isMaskedArray(value) else 0
    if count:
        raise ValueError(
            f"{name} is a masked array, of which {count} values are masked: pass "
            "numbers in their place, or leave them out."
        )


def _on_host(value):
    """Return a tensor as one that NumPy reads; anything else as it is."""
    if not isinstance(value, torch.Tensor) or value.is_meta:
        return value
    value = value.detach().cpu()
    return value.float() if value.dtype == torch.bfloat16 else value


def as_floats(value):
    """Return a value as an ndarray of floats; a single NaN if it is none."""
    try:
        return np.asarray(value, dtype=np.float64)
    except (TypeError, ValueError):
        return np.array(np.nan)


def described(value):
    """Return what a value is, for messages: a tensor with its shape, or its type."""
    if isinstance(value, torch.Tensor):
        return f"a tensor of shape {tuple(value.shape)} and {value.dtype}"
    return f"an object of type {type(value).__name__}"
