"""Checks and codes of class labels, of every kind that scikit-learn accepts."""

import enum
import numbers

import numpy as np
import torch
from sklearn.utils.multiclass import check_classification_targets
from sklearn.utils.validation import column_or_1d

from sknoisy._compat import check_y
from sknoisy.warning import warn

PART = 2**13  # labels that are encoded at a time


def encode_labels(y, classes=None, dtype=np.int64):
    """Check class labels and turn them into integer codes.

    Parameters
    ----------
    y : array-like of shape (n_samples,)
        Labels: integers, integral floats, booleans, strings, or, in an array of
        objects, members of an enumeration of strings.
    classes : ndarray of shape (n_classes,), default=None
        The classes; by default the sorted distinct labels.
    dtype : dtype, default=np.int64
        Number format of the codes; None is the smallest unsigned integer that holds
        them.

    Returns
    -------
    classes : ndarray of shape (n_classes,)
        The classes, in the dtype of `y`; numbers and booleans that are objects in `y`
        get the dtype that NumPy gives them.
    codes : ndarray of shape (n_samples,), dtype `dtype`
        Position of each label in `classes`.

    Raises
    ------
    ValueError
        If labels are missing, continuous, one-hot or multilabel, of mixed types,
        or not among `classes`.
    """
    y = _as_column(y)
    _check_complete(y)
    y = _of_one_type(y)
    found, codes = _distinct(y)
    if classes is None:
        return found, _as_codes(codes, len(found), dtype)
    check_listed(classes)
    try:
        classes = np.unique(np.asarray(classes))
    except TypeError as error:
        raise ValueError(
            f"classes={classes!r} is not valid: they cannot be sorted ({error})."
        ) from error
    try:
        position = np.searchsorted(classes, found).clip(max=len(classes) - 1)
        strange = found[classes[position] != found] if len(classes) else found
    except TypeError:  # strings do not compare with numbers
        strange = found
    if len(strange):
        raise ValueError(
            f"y holds labels that are not among the classes: {some(strange)}. The "
            f"classes are {some(classes, 20)}."
        )
    if len(found) < len(classes):
        codes = position[codes]
    return classes, _as_codes(codes, len(classes), dtype)


def _distinct(y):
    """Return the sorted distinct labels, and the position of each label among them."""
    if y.dtype.kind in "iu" and len(y):
        low, high = int(y.min()), int(y.max())
        if high - low < max(len(y), PART) and high < 2**63:
            return _distinct_integers(y, low, high)
    if y.dtype != object:
        y = check_y(y, y_numeric=False)
    check_classification_targets(y)
    return np.unique(y, return_inverse=True)


def _distinct_integers(y, low, high):
    """Do the same for integers from low to high, by tables instead of sorting."""
    is_there = np.zeros(high - low + 1, dtype=bool)
    parts = [slice(start, start + PART) for start in range(0, len(y), PART)]
    for part in parts:
        is_there[y[part].astype(np.int64) - low] = True
    found = np.flatnonzero(is_there)
    position = _as_codes(is_there.cumsum() - 1, len(found), None)
    codes = np.empty(len(y), dtype=position.dtype)
    for part in parts:
        codes[part] = position[y[part].astype(np.int64) - low]
    found = (found + low).astype(y.dtype)
    if 2 * len(found) > len(y):  # scikit-learn warns of so many classes
        check_classification_targets(y)
    return found, codes


def _as_codes(codes, n_classes, dtype):
    if dtype is None:
        dtype = np.min_scalar_type(max(n_classes - 1, 0))
    return codes.astype(dtype, copy=False)


def some(labels, n=5):
    """Return the first n of some labels as text, with the number of the others."""
    shown = ", ".join(map(repr, np.asarray(labels[:n]).tolist()))
    return shown if len(labels) <= n else f"{shown} and {len(labels) - n} more"


def counted(n, noun):
    """Return a number with its noun, such as "1 file" or "2 files"."""
    return f"{n} {noun}" if n == 1 else f"{n} {noun}s"


def check_listed(classes):
    """Raise ``ValueError`` unless the parameter `classes` lists classes."""
    if isinstance(classes, (str, bytes)) or np.ndim(classes) != 1:
        raise ValueError(
            f"classes={classes!r} is not valid: it must be a list or array of the "
            "classes, of shape (n_classes,)."
        )


def check_several(classes):
    """Raise ``ValueError`` if there is one class only, or none."""
    if len(classes) < 2:
        one = f"one class, {classes.tolist()[0]!r}" if len(classes) else "0 samples"
        raise ValueError(f"y holds only {one}: at least 2 classes are needed.")


def warn_of_minus_one(classes):
    """Warn if -1 is a class beside 0, 1, 2 and more, where it may say "no label"."""
    if np.asarray(classes).dtype.kind not in "if" or len(classes) < 4:
        return
    if np.array_equal(classes, np.arange(-1, len(classes) - 1)):
        warn(
            f"-1 is a class like 0 to {len(classes) - 2}. If it marks samples without "
            "a label, leave these out; NoisyRobustClassifier and CoTrainingClassifier "
            "also take them, as rows of NaN in y of shape (n_samples, n_classes), with "
            "the parameter `classes`."
        )


def check_passed_on(y):
    """Check labels, as those do that learn from them, before they are passed on.

    Parameters
    ----------
    y : array-like of shape (n_samples,)
        Labels. Rows of floats are left to the one who learns from them.

    Raises
    ------
    ValueError
        As :func:`encode_labels`, or if there is one class only.
    """
    if np.ndim(y) == 2 and np.shape(y)[1] > 1 and np.asarray(y).dtype.kind == "f":
        return
    classes, _ = encode_labels(y)
    check_several(classes)


def check_given(estimator, y):
    """Raise ``ValueError`` if y is None, in scikit-learn's words."""
    if y is None:
        raise ValueError(
            f"{type(estimator).__name__} requires y to be passed, but the target y is "
            "None."
        )


def _as_column(y):
    """Return labels of any kind as a 1-D ndarray, or raise."""
    given = y
    if hasattr(y, "y") and hasattr(y, "is_wrong"):
        raise ValueError(
            f"y is a {type(y).__name__}, which holds the labels and what is wrong with "
            "them: pass its attribute y."
        )
    if isinstance(y, torch.Tensor):
        if y.is_meta:
            raise ValueError(
                "y is a tensor on the device 'meta', which holds no values: pass one "
                "on the CPU or a GPU."
            )
        y = y.detach().cpu().numpy()
    elif isinstance(y, np.ma.MaskedArray):
        _refuse_missing(np.ma.getmaskarray(y).ravel(), "masked")
        y = y.data
    else:
        y = np.asarray(y)
        y = y.astype(object) if y.dtype.kind == "T" else y  # NumPy's long strings
    if y.dtype.kind in "US" and isinstance(given, (list, tuple)):
        _refuse_enumerations(given)
        # NumPy makes strings of numbers, None and NaN that stand among strings.
        if not all(isinstance(value, (str, bytes)) for value in given):
            y = np.asarray(given, dtype=object)
    if y.ndim == 2 and y.shape[1] > 1:
        binary = y.dtype.kind in "biuf" and np.isin(y, (0, 1)).all()
        one_hot = binary and (y.sum(axis=1) == 1).all()
        hint = " It looks one-hot: pass y.argmax(axis=1)." if one_hot else ""
        raise ValueError(
            f"y of shape {y.shape} is not valid: it must be of shape (n_samples,), "
            "with one label for each sample; multilabel targets are not "
            f"supported.{hint} Soft labels are taken by NoisyRobustClassifier and "
            "CoTrainingClassifier, with the class of each column in the parameter "
            "`classes`."
        )
    return column_or_1d(y, warn=True)


def _refuse_enumerations(labels):
    """Refuse a list of members of which NumPy, also in any metric, takes the name."""
    for label in labels:
        is_member = isinstance(label, enum.Enum) and isinstance(label, str)
        if is_member and str(label) != str.__str__(label):
            raise ValueError(
                f"y is a list of members of an enumeration, such as {label!r}. NumPy "
                "keeps neither their values nor their whole names: pass "
                "[label.value for label in y]."
            )


def _check_complete(y):
    """Raise ``ValueError`` if a label is missing."""
    if y.dtype == object:
        _refuse_missing(np.array([is_missing(label) for label in y], dtype=bool))
    elif y.dtype.kind == "f":
        _refuse_missing(np.isnan(y))
    elif y.dtype.kind in "mM":
        _refuse_missing(np.isnat(y), "NaT")


def is_missing(label):
    """Whether a label is None, NaN, NaT or pandas.NA."""
    if label is None:
        return True
    try:
        return not label == label  # NaN and NaT
    except TypeError:  # pandas.NA has no truth value
        return True
    except ValueError:  # nor have arrays
        return False


def _refuse_missing(missing, kind="NaN or None"):
    if missing.any():
        raise ValueError(
            f"y holds {counted(missing.sum(), 'missing label')} ({kind}), the first at "
            f"index {missing.argmax()}: every sample needs a label, right or wrong. "
            "Input y contains NaN. Leave out samples without a label; "
            "NoisyRobustClassifier and CoTrainingClassifier also take them, as rows of "
            "NaN in y of shape (n_samples, n_classes), with the parameter `classes`."
        )


def _of_one_type(y):
    """Return labels that are objects in the dtype of their one type."""
    if y.dtype != object:
        return y
    kinds = {_kind(label) for label in y}
    if len(kinds) > 1:
        raise ValueError(
            f"y mixes {' and '.join(sorted(kinds, reverse=True))}: its labels must be "
            "of one type, for example y.astype(str). If y has several columns, all of "
            "them must hold labels."
        )
    if kinds & {"numbers", "booleans"}:
        return np.array(y.tolist())
    strange = kinds - {"strings"}
    if strange:
        raise ValueError(
            f"y holds {strange.pop()}, the first is {y[0]!r}: its labels must be "
            "integers, strings or booleans."
        )
    return y


def _kind(label):
    if isinstance(label, (str, bytes)):
        return "strings"
    if isinstance(label, (bool, np.bool_)):
        return "booleans"
    if isinstance(label, numbers.Real):
        return "numbers"
    if isinstance(label, enum.Enum):
        return "members of an enumeration that are no strings"
    return f"objects of the type {type(label).__name__}"
