"""What all scores of labels and probabilities share: checks, and work in chunks."""

import numpy as np

from sknoisy.data.labels import encode_labels
from sknoisy.parameters import as_numbers

SMALLEST = np.finfo(np.float32).tiny  # so that a probability of 0 has a finite loss
CHUNK = 2**17  # probabilities in a chunk: they fit into the cache
ROUNDING = 1e-6  # negative probabilities of at most this size are set to 0
EXACT = 1e-3  # rows whose sum differs from 1 by less are not changed, nor copied
CLOSE = 1e-2  # rows whose sum differs from 1 by less, as with float16, are normalised


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
        If lengths or classes do not match, a probability is negative, or a row does
        not sum to 1. Rounding errors are corrected: values from -1e-6 to 0 become 0,
        and rows whose sum differs from 1 by 0.001 to 0.01 are normalised.
    """
    check_sorted(classes)
    classes, codes = encode_labels(y, classes)
    pred_probs = by_class(pred_probs, classes)
    if pred_probs.dtype == np.float16:
        pred_probs = pred_probs.astype(np.float32)
    elif pred_probs.dtype not in (np.float32, np.float64):
        pred_probs = pred_probs.astype(np.float64)
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
    return classes, codes, _without_rounding(pred_probs)


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


def _without_rounding(pred_probs):
    """Return probabilities without rounding errors; raise if they are not valid."""
    sums = pred_probs.sum(axis=1)
    if not np.isfinite(sums).all():
        raise ValueError("pred_probs holds NaN or infinity.")
    low, error = pred_probs.min(initial=0), np.abs(sums - 1)
    worst = error.argmax() if len(error) else None
    if low < -ROUNDING or (len(error) and error[worst] > CLOSE):
        which = (
            f"the lowest is {low:.6g}"
            if low < -ROUNDING
            else f"they sum to {sums.min():.6g} to {sums.max():.6g}; see row {worst}"
        )
        raise ValueError(
            "pred_probs is not valid: its rows must be probabilities that sum to 1, "
            f"but {which}. Logits become probabilities by "
            "scipy.special.softmax(logits, axis=1)."
        )
    if low < 0:
        pred_probs = pred_probs.clip(0, 1)
        sums = pred_probs.sum(axis=1)
    off = np.abs(sums - 1) > EXACT
    if off.any():
        pred_probs = pred_probs / np.where(off, sums, 1)[:, None].astype(
            pred_probs.dtype, copy=False
        )
    return pred_probs


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


def chunks(n_rows, n_columns, n_chunks=1):
    """Yield slices of rows with about ``n_chunks * CHUNK`` numbers each."""
    step = max(1, n_chunks * CHUNK // n_columns)
    for start in range(0, n_rows, step):
        yield slice(start, min(start + step, n_rows))


def of_labels(codes, pred_probs):
    """Return the probability of each label, shape (n_samples,)."""
    return pred_probs[np.arange(len(codes)), codes]


def losses_of(codes, pred_probs):
    """Return the cross-entropy of each label, in nats, shape (n_samples,), float64."""
    return -np.log(of_labels(codes, pred_probs).astype(np.float64).clip(min=SMALLEST))


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
