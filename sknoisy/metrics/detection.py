"""How well wrong labels were found, where it is known which are wrong."""

import numpy as np
from sklearn.metrics import average_precision_score, balanced_accuracy_score, f1_score

from sknoisy.checks import as_mask, as_numbers


def detection_f1(is_wrong, label_errors):
    """Return the F1 score of detected label errors.

    Parameters
    ----------
    is_wrong : array-like of shape (n_samples,), dtype bool
        Which labels are wrong.
    label_errors : array-like of shape (n_samples,), dtype bool
        Which labels were detected as wrong.

    Returns
    -------
    score : float
        Harmonic mean of precision and recall, in [0, 1]; 0 if none was detected.

    Raises
    ------
    ValueError
        If a mask is not boolean, or lengths differ.

    Examples
    --------
    >>> from sknoisy.metrics import detection_f1
    >>> detection_f1([True, True, False, False], [True, False, False, False])
    0.666...
    """
    is_wrong, label_errors = _masks(is_wrong, label_errors)
    return float(f1_score(is_wrong, label_errors, zero_division=0.0))


def detection_balanced_accuracy(is_wrong, label_errors):
    """Return the balanced accuracy of label error detection.

    Parameters
    ----------
    is_wrong : array-like of shape (n_samples,), dtype bool
        Which labels are wrong: some, but not all.
    label_errors : array-like of shape (n_samples,), dtype bool
        Which labels were detected as wrong.

    Returns
    -------
    score : float
        Mean of the recalls of wrong and of right labels, in [0, 1]; chance is 0.5.

    Raises
    ------
    ValueError
        If a mask is not boolean, lengths differ, or all labels are right or all wrong.

    Examples
    --------
    >>> from sknoisy.metrics import detection_balanced_accuracy
    >>> found = [True, False, False, False]
    >>> detection_balanced_accuracy([True, True, False, False], found)
    0.75
    """
    is_wrong, label_errors = _masks(is_wrong, label_errors)
    _check_both(is_wrong)
    return float(balanced_accuracy_score(is_wrong, label_errors))


def detection_average_precision(is_wrong, label_quality):
    """Return the average precision of a ranking of labels, worst first.

    Parameters
    ----------
    is_wrong : array-like of shape (n_samples,), dtype bool
        Which labels are wrong: some, but not all.
    label_quality : array-like of shape (n_samples,)
        Quality of each label; low is bad.

    Returns
    -------
    score : float
        Mean, over the wrong labels, of the precision at their ranks, in [0, 1]; chance
        is the share of wrong labels.

    Raises
    ------
    ValueError
        If the mask is not boolean, lengths differ, a quality is not finite, or all
        labels are right or all wrong.

    Examples
    --------
    >>> from sknoisy.metrics import detection_average_precision
    >>> detection_average_precision([True, False, True, False], [0.1, 0.2, 0.3, 0.9])
    0.833...
    """
    is_wrong = as_mask("is_wrong", is_wrong)
    label_quality = as_numbers("label_quality", label_quality).astype(np.float64)
    _check_lengths(is_wrong, "label_quality", label_quality)
    if not np.isfinite(label_quality).all():
        raise ValueError("label_quality holds NaN or infinity.")
    _check_both(is_wrong)
    return float(average_precision_score(is_wrong, -label_quality))


def _masks(is_wrong, label_errors):
    is_wrong = as_mask("is_wrong", is_wrong)
    label_errors = as_mask("label_errors", label_errors)
    _check_lengths(is_wrong, "label_errors", label_errors)
    return is_wrong, label_errors


def _check_lengths(is_wrong, name, values):
    if values.shape != is_wrong.shape:
        raise ValueError(
            f"{name} of shape {values.shape} is not valid: is_wrong is of shape "
            f"{is_wrong.shape}."
        )


def _check_both(is_wrong):
    if is_wrong.all() or not is_wrong.any():
        raise ValueError(
            f"is_wrong is {bool(is_wrong[0])} for all samples: this score needs both "
            "right and wrong labels."
        )
