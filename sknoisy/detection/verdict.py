"""What is made of the evidence: wrong labels, their quality, and suggestions."""

import numpy as np

from sknoisy.scores.confident import confident_joint
from sknoisy.scores.estimates import count_pairs
from sknoisy.scores.posterior import limit_false_alarms
from sknoisy.scores.relabeling import relabel_priority


def verdict(method, evidence, posterior, labels, max_false_alarms, by_chance):
    """Return what is wrong, by the rule of a method or the control of false alarms.

    Parameters
    ----------
    method : DetectionMethod
        Ranks the labels, and decides where false alarms are not controlled.
    evidence : Evidence
        What the method works on.
    posterior : LabelPosterior
        Probabilities of the labels, by the same evidence.
    labels : Labels
        The given labels, and which of them are trusted.
    max_false_alarms : float or None
        The parameter of the detector.
    by_chance : bool
        Whether predictions say nothing of the labels, of which none is changed then.

    Returns
    -------
    errors : ndarray of shape (n_samples,), bool
        Which labels are called wrong.
    quality : ndarray of shape (n_samples,), float
        In [0, 1].
    suggested : ndarray of shape (n_samples,), int64
        Codes of the suggested labels.
    """
    errors, quality = _checked(method, method.judge(evidence), len(labels))
    controlled = method.ranks_only and max_false_alarms is not None
    if controlled:
        errors = limit_false_alarms(1 - posterior.given, max_false_alarms)
    if labels.trusted is not None:
        errors, quality = errors & ~labels.trusted, quality.copy()
        quality[labels.trusted] = 1
    if not controlled:
        return errors, quality, np.where(errors, evidence.others, labels.codes)
    # A label may be improbable, and still not sure enough for the errors.
    changed = posterior.other > posterior.given
    if by_chance:
        errors, changed = np.zeros((2, len(labels)), dtype=bool)
    return errors, quality, np.where(changed, posterior.others, labels.codes)


def joint_of(evidence, trusted, suggested):
    """Return how many samples have each label (row) and true class (column).

    Trusted labels are on the diagonal. Without probabilities, the suggested labels
    count as the true ones.
    """
    codes, n = evidence.codes, evidence.n_classes
    if evidence.pred_probs is None:
        return count_pairs(codes, suggested, n)
    classes = np.arange(n)
    if trusted is None:
        return confident_joint(codes, evidence.pred_probs, classes)
    joint = count_pairs(codes[trusted], codes[trusted], n)
    if trusted.all():
        return joint
    others = codes[~trusted], evidence.pred_probs[~trusted]
    return joint + confident_joint(*others, classes)


def relabel_order(evidence, trusted):
    """Return positions in the order in which labels deserve another look."""
    classes = np.arange(evidence.n_classes)
    priority = relabel_priority(evidence.codes, evidence.probabilities(), classes)
    if trusted is not None:
        priority[trusted] = -np.inf
    return np.argsort(-priority, kind="stable")


def _checked(method, judgement, n):
    """Return what a method, maybe of the user, said of n labels, or raise."""
    try:
        errors, quality = map(np.asarray, judgement)
        valid = errors.dtype == bool and quality.dtype.kind == "f"
        valid = valid and errors.shape == quality.shape == (n,)
        # Also false for NaN; rounding is forgiven.
        valid = valid and bool(((quality >= -1e-6) & (quality <= 1 + 1e-6)).all())
    except (TypeError, ValueError):
        valid = False
    if not valid:
        raise ValueError(
            f"{type(method).__name__}.judge is not valid: it must return two arrays "
            f"of shape ({n},): whether each label is wrong (bool), and the quality of "
            "each label (floats in [0, 1])."
        )
    return errors, quality
