"""What all scores of labels and probabilities begin with: checks, and chunks."""

import numpy as np

from sknoisy.data.labels import encode_labels

SMALLEST = np.finfo(np.float32).tiny  # a probability of 0 gives a large, finite loss
CHUNK = 2**17  # probabilities that are worked on at a time: they fit into a cache


def check_probabilities(y, pred_probs, classes=None):
    """Check labels and probabilities against each other.

    Parameters
    ----------
    y : array-like of shape (n_samples,)
        Given labels.
    pred_probs : array-like of shape (n_samples, n_classes)
        Probabilities, columns in the order of `classes`.
    classes : array-like of shape (n_classes,), default=None
        The classes, sorted; by default the distinct labels.

    Returns
    -------
    classes : ndarray of shape (n_classes,)
        The classes, sorted.
    codes : ndarray of shape (n_samples,), dtype int64
        Column of each label.
    pred_probs : ndarray of shape (n_samples, n_classes), float32 or float64
        The probabilities, without a copy if they were of such a type.

    Raises
    ------
    ValueError
        If lengths or classes do not fit, or rows are not probabilities that sum to 1,
        give or take a thousandth.
    """
    check_sorted(classes)
    classes, codes = encode_labels(y, classes)
    pred_probs = np.asarray(pred_probs)
    if pred_probs.dtype not in (np.float32, np.float64):
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
    sums = pred_probs.sum(axis=1)
    if not np.isfinite(sums).all():
        raise ValueError("pred_probs holds NaN or infinity.")
    if pred_probs.min() < 0 or np.abs(sums - 1).max() > 1e-3:
        raise ValueError(
            "pred_probs is not valid: its rows must be probabilities that sum to 1, "
            f"but they sum to {sums.min():.3g} to {sums.max():.3g}."
        )
    return classes, codes, pred_probs


def check_sorted(classes):
    """Raise ``ValueError`` unless classes are None, or sorted and distinct."""
    if classes is None:
        return
    classes = np.asarray(classes)
    if not np.array_equal(classes, np.unique(classes)):
        raise ValueError(
            f"classes={classes.tolist()[:10]} is not valid: classes must be sorted and "
            "distinct, as clf.classes_ are. Pass np.sort(classes), and columns in that "
            "order: pred_probs[:, np.argsort(classes)]."
        )


def chunks(n_rows, n_columns, n_chunks=1):
    """Yield slices of rows that hold about ``n_chunks * CHUNK`` numbers each."""
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
