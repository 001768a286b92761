"""What labels and predicted probabilities tell of the noise: plain NumPy functions.

`pred_probs` should be out-of-sample, such as from ``cross_val_predict``: a network has
seen its own training labels, and agrees with them.
"""

import numpy as np

from sknoisy.labels import encode_labels
from sknoisy.parameters import check_choice, check_real

TIE = 1e-6  # by how much a probability may miss its class's threshold
CHUNK = 2**20  # probabilities that are worked on at a time


def confident_joint(y, pred_probs, classes=None):
    """Count labels against what they confidently are.

    A sample counts as class j if its probability of j reaches the mean probability
    of j among the samples that are labelled j; if several classes do, as the most
    probable of them; if none does, not at all.

    Parameters
    ----------
    y : array-like of shape (n_samples,)
        Given labels.
    pred_probs : array-like of shape (n_samples, n_classes)
        Probabilities, columns in the order of `classes`.
    classes : array-like of shape (n_classes,), default=None
        The classes; by default the sorted distinct labels.

    Returns
    -------
    joint : ndarray of shape (n_classes, n_classes), float64
        Estimated number of samples with each given label (row) and true class
        (column). Rows sum to the number of samples with that label.

    Notes
    -----
    Counts are calibrated: rows are scaled to the labels' counts. Every class is itself
    at least once, so that no row of a class that has samples is empty.

    References
    ----------
    Northcutt, Jiang and Chuang, Confident Learning: Estimating Uncertainty in Dataset
    Labels, JAIR 2021.

    Examples
    --------
    >>> from sknoisy.scores import confident_joint
    >>> probs = [[0.9, 0.1], [0.8, 0.2], [0.1, 0.9], [0.2, 0.8]]
    >>> confident_joint([0, 0, 0, 1], probs)
    array([[2., 1.], [0., 1.]])
    """
    classes, codes, pred_probs = _check(y, pred_probs, classes)
    n = len(classes)
    counts = np.bincount(codes, minlength=n)
    own = pred_probs[np.arange(len(codes)), codes]
    sums = np.bincount(codes, weights=own, minlength=n)
    # A class without samples has no threshold, and nothing confidently is it.
    thresholds = np.divide(sums, counts, out=np.full(n, np.inf), where=counts > 0)
    joint = np.zeros(n * n)
    step = max(1, CHUNK // n)
    for start in range(0, len(codes), step):
        probs = pred_probs[start : start + step]
        reached = np.where(probs >= thresholds - TIE, probs, -1.0)
        best = reached.argmax(axis=1)
        sure = reached[np.arange(len(probs)), best] >= 0
        cells = codes[start : start + step][sure] * n + best[sure]
        joint += np.bincount(cells, minlength=n * n)
    joint = joint.reshape(n, n)
    present = counts > 0
    np.fill_diagonal(joint, np.maximum(joint.diagonal(), present))
    totals = joint.sum(axis=1)
    scale = np.divide(counts, totals, out=np.zeros(n), where=totals > 0)
    return joint * scale[:, None]


def estimate_transition_matrix(
    y, pred_probs, classes=None, method="confident_joint", percentile=97.0
):
    """Estimate how probable each label is for each true class, without clean labels.

    Parameters
    ----------
    y : array-like of shape (n_samples,)
        Given labels.
    pred_probs : array-like of shape (n_samples, n_classes)
        Probabilities of the labels, columns in the order of `classes`.
    classes : array-like of shape (n_classes,), default=None
        The classes; by default the sorted distinct labels.
    method : {"confident_joint", "anchor"}, default="confident_joint"
        "confident_joint": columns of :func:`confident_joint`, divided by their sums.
        "anchor": a class's row is the probabilities of the sample that most probably
        is of that class, its anchor point.
    percentile : float, default=97.0
        Of "anchor": the percentile of a class's probabilities that the anchor is
        taken at, so that an outlier is none; 100 takes the maximum. The authors take
        97 for CIFAR-10 and 100 for CIFAR-100.

    Returns
    -------
    transition_matrix : ndarray of shape (n_classes, n_classes), float64
        Row: true class; column: given label. Rows sum to 1; that of a class of which
        nothing is known is the identity's.

    References
    ----------
    Patrini et al., Making Deep Neural Networks Robust to Label Noise: A Loss Correction
    Approach, CVPR 2017 ("anchor"); Northcutt, Jiang and Chuang, JAIR 2021.

    Examples
    --------
    >>> from sknoisy.scores import estimate_transition_matrix
    >>> probs = [[0.9, 0.1], [0.8, 0.2], [0.1, 0.9], [0.2, 0.8]]
    >>> estimate_transition_matrix([0, 0, 0, 1], probs)
    array([[1. , 0. ], [0.5, 0.5]])
    """
    check_choice("method", method, ["confident_joint", "anchor"])
    check_real("percentile", percentile, "[0, 100]")
    if method == "confident_joint":
        rows = confident_joint(y, pred_probs, classes).T
    else:
        _, _, pred_probs = _check(y, pred_probs, classes)
        # The sample at the percentile, not a value between two samples.
        at = np.percentile(pred_probs, percentile, axis=0, method="higher")
        rows = pred_probs[np.abs(pred_probs - at).argmin(axis=0)].astype(np.float64)
    totals = rows.sum(axis=1, keepdims=True)
    identity = np.eye(len(rows))
    return np.where(totals > 0, rows / np.where(totals > 0, totals, 1), identity)


def estimate_noise_rate(y, pred_probs, classes=None):
    """Estimate the share of wrong labels, without clean labels.

    Parameters
    ----------
    y : array-like of shape (n_samples,)
        Given labels.
    pred_probs : array-like of shape (n_samples, n_classes)
        Probabilities, columns in the order of `classes`.
    classes : array-like of shape (n_classes,), default=None
        The classes; by default the sorted distinct labels.

    Returns
    -------
    rate : float
        The share of :func:`confident_joint` that is off its diagonal.

    Examples
    --------
    >>> from sknoisy.scores import estimate_noise_rate
    >>> probs = [[0.9, 0.1], [0.8, 0.2], [0.1, 0.9], [0.2, 0.8]]
    >>> estimate_noise_rate([0, 0, 0, 1], probs)
    0.25
    """
    joint = confident_joint(y, pred_probs, classes)
    return float(1 - joint.trace() / joint.sum())


def _check(y, pred_probs, classes):
    classes, codes = encode_labels(y, classes)
    pred_probs = np.asarray(pred_probs)
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
