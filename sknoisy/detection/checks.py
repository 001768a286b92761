"""Checks of a detector's parameters."""

from inspect import signature
from numbers import Real

import numpy as np
from sklearn.base import is_classifier
from sklearn.utils.validation import check_is_fitted

from sknoisy.checks import check_choice, check_real, random_numbers
from sknoisy.detection.methods import (
    DETECTION_METHODS,
    ConfidentLearning,
    DetectionMethod,
)
from sknoisy.estimators.base import TorchEstimator
from sknoisy.estimators.pipelines import check_classifier, check_steps, split_pipeline
from sknoisy.parameters import resolve

SOURCES = ["auto", "dynamics", "prefit"]
NEEDS = ["probabilities", "margins", "losses", "wrong_events", "features"]


def source_of(cv, method):
    """Return where evidence comes from: "folds", "dynamics" or "prefit".

    With ``cv="auto"``, "folds" may still become one training that leaves out samples.
    """
    if isinstance(cv, str) and cv == "auto":
        return "dynamics" if method.needs in ("margins", "wrong_events") else "folds"
    return cv if isinstance(cv, str) else "folds"


def check_detector(detector):
    """Check all parameters of a detector against each other.

    Parameters
    ----------
    detector : LabelErrorDetector
        What is about to be fitted.

    Returns
    -------
    method : DetectionMethod
        Its method, as an object.
    """
    _check_estimator(detector._classifier)
    check_source(detector.cv)
    random_numbers(detector.random_state)
    name = detector.method
    if isinstance(name, str) and name == "auto":
        dynamics = isinstance(detector.cv, str) and detector.cv == "dynamics"
        best = ConfidentLearning(quality="pairwise_confidence")
        name = "loss_gmm" if dynamics else best
    allowed = {"auto": None, **DETECTION_METHODS}
    method = resolve("method", name, allowed, DetectionMethod)
    source = source_of(detector.cv, method)
    check_choice(f"needs of {type(method).__name__}", method.needs, NEEDS)
    _check_control(detector.max_false_alarms, method)
    if source == "prefit":
        check_is_fitted(detector._classifier)
    else:
        check_steps(detector._classifier)
    _check_together(detector, source, method)
    return method


def _check_control(max_false_alarms, method):
    """Refuse parameters of the rule of a method that `max_false_alarms` replaces."""
    if max_false_alarms is None:
        return
    check_real("max_false_alarms", max_false_alarms, "[0, 1)")
    if not method.ranks_only:
        return
    defaults = signature(type(method)).parameters
    for name in method.rule_parameters:
        value = getattr(method, name)
        if name in defaults and value != defaults[name].default:
            raise ValueError(
                f"{name}={value!r} is not valid with "
                f"max_false_alarms={max_false_alarms!r}, which takes its place. Pass "
                "max_false_alarms=None for the method's own rule."
            )


def _check_together(detector, source, method):
    """Refuse an estimator, a method and a source of evidence that do not fit."""
    if source == "dynamics" and method.needs == "probabilities":
        raise ValueError(
            f"method={detector.method!r} is not valid with cv='dynamics': it needs "
            "out-of-sample probabilities. Pass 'loss_gmm', 'area_under_margin' or "
            "'wrong_events', or cv=5."
        )
    if source != "dynamics" and method.needs in ("margins", "wrong_events"):
        raise ValueError(
            f"method={detector.method!r} is not valid with cv={detector.cv!r}: it "
            f"needs the {method.needs.replace('_', ' ')} of one training. Pass "
            "cv='dynamics'."
        )
    _, last = split_pipeline(detector._classifier)
    by_cv = isinstance(detector.cv, str) and detector.cv == "dynamics"
    asked = "cv='dynamics'" if by_cv else f"method={detector.method!r}"
    trains = isinstance(last, TorchEstimator) and is_classifier(last)
    if source == "dynamics" and method.needs != "features" and not trains:
        raise ValueError(
            f"{asked} is not valid with estimator={last!r}: it must be, or "
            "end in, a classifier of this package, which keeps the losses of a "
            "training."
        )
    held_out = getattr(last, "validation", None)
    if source == "dynamics" and isinstance(held_out, Real):
        raise ValueError(
            f"validation={held_out!r} is not valid with {asked}: nothing would be "
            "known about the samples that are held out. Pass other samples, "
            "validation=(X, y), or None."
        )
    estimator = detector._classifier
    if method.needs != "features" and not hasattr(estimator, "predict_proba"):
        check_classifier(estimator)
        raise ValueError(
            f"estimator={estimator!r} is not valid: it must have predict_proba. "
            "CalibratedClassifierCV gives it to any classifier."
        )


def _check_estimator(estimator):
    if isinstance(estimator, type) or not hasattr(estimator, "fit"):
        raise ValueError(
            f"estimator={estimator!r} is not valid: it must be a classifier, an object "
            "with fit and predict_proba"
            + (", not a class." if isinstance(estimator, type) else ".")
        )


def check_source(cv, names=SOURCES):
    """Raise ``ValueError`` unless `cv` is one of the names, or may be folds."""
    is_folds = isinstance(cv, (int, np.integer)) and not isinstance(cv, bool)
    if is_folds and cv >= 2 or (isinstance(cv, str) and cv in names):
        return
    if is_folds or isinstance(cv, (str, bool, float)) or cv is None:
        named = "".join(f"{name!r}, " for name in names)
        raise ValueError(
            f"cv={cv!r} is not valid: it must be {named}an integer >= 2, a splitter or "
            "an iterable of splits."
        )
