"""What all scores of labels and probabilities share: checks, losses, other classes."""

import numpy as np

from sknoisy.checks import as_numbers
from sknoisy.data.labels import encode_labels
from sknoisy.data.order import check_order
from sknoisy.scores.reading import Probabilities, chunks, of_labels

LEAST_PROBABILITY = np.finfo(np.float32).tiny  # so that no loss is infinite


def check_probabilities(y, pred_probs, classes=None):
    """Check that labels and probabilities are valid and match.

    Parameters
    ----------
    y : array-like of shape (n_samples,)
        Given labels.
    pred_probs : array-like of shape (n_samples, n_classes)
        Probabilities, columns in the order of `classes`; a DataFrame whose columns are
        named by the classes may have them in any order.
    classes : array-like of shape (n_classes,), default=None
        The classes, sorted; by default the distinct labels.

    Returns
    -------
    classes : ndarray of shape (n_classes,)
        The classes, sorted.
    codes : ndarray of shape (n_samples,), dtype int64
        Column of each label.
    pred_probs : ndarray of shape (n_samples, n_classes), float32 or float64
        The probabilities, not copied if they have such a type and are in order.

    Raises
    ------
    ValueError
        If lengths, classes or the order of an index do not match, a probability is
        negative, or a row does not sum to 1. Rounding errors are corrected: values from
        -1e-6 to 0 become 0, and rows whose sum differs from 1 by 0.001 to 0.01 are
        normalised.
    """
    classes, codes, probs = open_probabilities(y, pred_probs, classes)
    return classes, codes.astype(np.int64), probs.as_array()


def open_probabilities(y, pred_probs, classes=None):
    """Do the same for probabilities that are read in chunks, and checked then.

    Parameters
    ----------
    y, pred_probs, classes : array-like
        See :func:`check_probabilities`.

    Returns
    -------
    classes : ndarray of shape (n_classes,)
        The classes, sorted.
    codes : ndarray of shape (n_samples,), dtype the smallest unsigned integer
        Column of each label.
    probs : Probabilities of shape (n_samples, n_classes)
        The probabilities.

    Raises
    ------
    ValueError
        If lengths or classes do not match, or if both are pandas objects with one
        index in different orders.
    """
    check_sorted(classes)
    check_order(y, called="y", pred_probs=pred_probs)
    classes, codes = encode_labels(y, classes, dtype=None)
    pred_probs = by_class(pred_probs, classes)
    if pred_probs.ndim != 2 or len(pred_probs) != len(codes):
        raise ValueError(
            f"pred_probs of shape {pred_probs.shape} is not valid: y has {len(codes)} "
            "labels, so it must be of shape "
            f"({len(codes)}, n_classes)."
        )
    if pred_probs.shape[1] != len(classes):
        raise ValueError(
            f"pred_probs has {pred_probs.shape[1]} columns, but there are "
            f"{len(classes)} classes: {classes.tolist()[:10]}. Pass "
            "classes=clf.classes_ where y lacks some."
        )
    return classes, codes, Probabilities(pred_probs)


def by_class(values, classes, name="pred_probs"):
    """Return values with one column for each class, in the order of the classes.

    Parameters
    ----------
    values : array-like of shape (n_samples, n_classes)
        Such as probabilities. The columns of a DataFrame are matched by name, unless
        the names are 0, 1, 2 and so on, in this order.
    classes : ndarray of shape (n_classes,)
        The classes.
    name : str, default="pred_probs"
        Name of the values, for error messages.

    Returns
    -------
    values : ndarray of shape (n_samples, n_classes)
        The same, columns in the order of `classes`.

    Raises
    ------
    ValueError
        If the names of the columns are not those of the classes.
    """
    names = list(getattr(values, "columns", ()))
    values = as_numbers(name, values)
    if len(names) != len(classes) or names == list(range(len(names))):
        return values  # a wrong number of columns is refused by the callers
    position = {name: column for column, name in enumerate(names)}
    labels = classes.tolist()
    if set(position) != set(labels):  # a file may have made strings of numbers
        position = {str(name): column for name, column in position.items()}
        labels = [str(label) for label in labels]
    if set(position) != set(labels):
        raise ValueError(
            f"The columns {names[:10]} do not match the classes "
            f"{classes.tolist()[:10]}. Name the columns after the classes, or pass an "
            "array whose columns are in the order of the classes."
        )
    return values[:, [position[label] for label in labels]]


def check_sorted(classes):
    """Raise ``ValueError`` unless classes are None, or sorted and distinct."""
    if classes is None:
        return
    classes = np.asarray(classes)
    try:
        is_sorted = classes.ndim == 1 and np.array_equal(classes, np.unique(classes))
    except TypeError:  # some cannot be compared with others
        is_sorted = False
    if not is_sorted:
        shown = classes.tolist()[:10] if classes.ndim else classes.item()
        raise ValueError(
            f"classes={shown!r} is not valid: classes must be an array, sorted and "
            "distinct, as clf.classes_ are. Pass np.sort(classes), and columns in that "
            "order: pred_probs[:, np.argsort(classes)]."
        )


def losses_of(codes, pred_probs):
    """Return the cross-entropy of each label, in nats, shape (n_samples,), float64."""
    own = of_labels(codes, pred_probs).astype(np.float64)
    return -np.log(own.clip(min=LEAST_PROBABILITY))


def best_others(codes, pred_probs):
    """Return the most probable class other than the label, and its probability.

    Parameters
    ----------
    codes : ndarray of shape (n_samples,)
        Column of each label.
    pred_probs : ndarray of shape (n_samples, n_classes)
        Probabilities; or logits.

    Returns
    -------
    others : ndarray of shape (n_samples,), dtype int64
        The other classes' columns.
    values : ndarray of shape (n_samples,)
        What `pred_probs` holds there.
    """
    others = np.empty(len(codes), dtype=np.int64)
    for rows in chunks(*pred_probs.shape):
        probs = pred_probs[rows].copy()
        probs[np.arange(len(probs)), codes[rows]] = -np.inf
        others[rows] = probs.argmax(axis=1)
    return others, of_labels(others, pred_probs)


def in_columns(probs, given, classes):
    """Return probabilities of some classes in the columns of all of them.

    Parameters
    ----------
    probs : ndarray of shape (n_samples, n_given)
        Probabilities of the classes in `given`.
    given : ndarray of shape (n_given,)
        Some classes, in the order of the columns.
    classes : ndarray of shape (n_classes,)
        All classes, sorted.

    Returns
    -------
    probs : ndarray of shape (n_samples, n_classes)
        The same, and 0 for the other classes.
    """
    if np.array_equal(given, classes):
        return probs
    wide = np.zeros((len(probs), len(classes)), dtype=probs.dtype)
    wide[:, np.searchsorted(classes, given)] = probs
    return wide
