"""Weights of samples, of labels and of classes."""

import numpy as np

from sknoisy.checks import refuse_masked


def check_sample_weight(sample_weight, n_samples):
    """Return weights that are 1 on average, but for zeros; None if all are equal.

    Parameters
    ----------
    sample_weight : array-like of shape (n_samples,), float or None
        Weights, not negative.
    n_samples : int
        Number of samples.
    """
    if sample_weight is None:
        return None
    weights = _numbers(sample_weight, n_samples, one=True)
    wrong = ~((weights >= 0) & np.isfinite(weights))
    if wrong.any():
        at = wrong.argmax()
        raise ValueError(
            f"sample_weight holds {weights[at]} at index {at}: weights must be finite "
            "and not negative."
        )
    if not weights.any():
        raise ValueError("sample_weight is not valid: all weights are zero.")
    if (weights == weights[0]).all():
        return None
    weights = weights / weights.max()  # sums of huge ones would overflow
    return (weights / weights[weights > 0].mean()).astype(np.float32)


def check_label_weights(sample_weight, n_samples):
    """Check weights of labels.

    Parameters
    ----------
    sample_weight : array-like of shape (n_samples,) or None
        Probability that each label is right; None means that all are 1.
    n_samples : int
        Number of samples.

    Returns
    -------
    weights : ndarray of shape (n_samples,), float32
        The weights.
    """
    if sample_weight is None:
        return np.ones(n_samples, np.float32)
    weights = _numbers(sample_weight, n_samples).astype(np.float32)
    wrong = ~((weights >= 0) & (weights <= 1))  # also NaN
    if wrong.any():
        at = wrong.argmax()
        raise ValueError(
            f"sample_weight holds {weights[at]} at index {at}: it must hold "
            "probabilities, in [0, 1]."
        )
    return weights


def check_class_weight(class_weight):
    """Raise ``ValueError`` unless it is None, "balanced" or weights by label."""
    if class_weight is None:
        return
    if isinstance(class_weight, str) and class_weight == "balanced":
        return
    if isinstance(class_weight, dict):
        weights = np.asarray([*class_weight.values()])
        is_real = weights.dtype.kind in "iuf"
        if is_real and (weights > 0).all() and np.isfinite(weights).all():
            return
    raise ValueError(
        f"class_weight={class_weight!r} is not valid: it must be None, 'balanced' or a "
        "dict of labels and their weights, above 0."
    )


def class_weights(class_weight, classes, counts):
    """Return the weights of the classes as float32, or None if all are equal.

    Parameters
    ----------
    class_weight : dict, "balanced" or None
        As in scikit-learn; labels that a dict lacks have weight 1.
    classes : ndarray of shape (n_classes,)
        The classes.
    counts : ndarray of shape (n_classes,)
        How often each label is given, by the samples' weights; a class may have none.
    """
    if class_weight is None:
        return None
    if isinstance(class_weight, dict):
        labels = classes.tolist()
        strange = [label for label in class_weight if label not in labels]
        # A fold may lack a class. If a class lacks a weight, too, a label is mistyped.
        if strange and any(label not in class_weight for label in labels):
            raise ValueError(
                f"class_weight={class_weight!r} is not valid: {strange} are not among "
                f"the classes {labels}."
            )
        weights = [class_weight.get(label, 1.0) for label in labels]
        return np.array(weights, dtype=np.float32)
    mean = counts.sum() / len(classes)
    return (mean / np.where(counts > 0, counts, 1)).astype(np.float32)


def _numbers(sample_weight, n_samples, one=False):
    """Return weights as float64, or raise ``ValueError``; maybe one is that of all."""
    refuse_masked("sample_weight", sample_weight)
    try:
        weights = np.asarray(sample_weight, dtype=np.float64)
    except (TypeError, ValueError) as error:
        raise ValueError(
            f"sample_weight is not valid: it must hold numbers ({error})."
        ) from error
    if one and weights.ndim == 0:
        weights = np.full(n_samples, weights)
    if weights.shape != (n_samples,):
        raise ValueError(
            f"sample_weight of shape {weights.shape} is not valid: it must be of "
            f"shape ({n_samples},), one weight for each sample."
        )
    return weights
