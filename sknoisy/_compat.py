"""Every private name of scikit-learn that is used, and what older versions lack."""

import sys

import numpy as np
from sklearn.base import BaseEstimator
from sklearn.pipeline import Pipeline
from sklearn.utils import _safe_indexing as safe_indexing
from sklearn.utils._set_output import _get_output_config
from sklearn.utils.fixes import parse_version
from sklearn.utils.validation import _check_y as check_y
from sklearn.utils.validation import _num_samples as num_samples

try:
    from sklearn.callback import CallbackSupportMixin, with_callbacks
except ImportError:  # scikit-learn < 1.9

    class CallbackSupportMixin:
        """Stand-in where scikit-learn has no callbacks."""

    def with_callbacks(method):
        """Return the method as it is."""
        return method


def _callers():
    """Yield the frames that are calling, the nearest first."""
    frame = sys._getframe(2)
    while frame is not None:
        yield frame
        frame = frame.f_back


def within_search():
    """Whether a scikit-learn search or cross-validation is calling."""
    names = ("_fit_and_score", "_fit_and_predict")
    return any(frame.f_code.co_name in names for frame in _callers())


def search_position():
    """Return which fit of a scikit-learn search this is, as text, if it is one.

    Examples
    --------
    >>> search_position()
    ''
    """
    for frame in _callers():
        if frame.f_code.co_name == "_fit_and_score":
            parts = ("split", "candidate")
            at = {part: frame.f_locals.get(f"{part}_progress") for part in parts}
            places = [f"{k} {v[0] + 1}/{v[1]}" for k, v in at.items() if v is not None]
            return f" ({', '.join(places)})" if places else ""
    return ""


def calling_pipeline(step):
    """Return the Pipeline that is fitting a step of it, or None.

    Parameters
    ----------
    step : estimator instance
        Whose ``fit`` calls this.
    """
    for frame in _callers():
        caller = frame.f_locals.get("self")
        if isinstance(caller, Pipeline):
            return caller
        if isinstance(caller, BaseEstimator) and caller is not step:
            return None
    return None


def is_array_output(estimator):
    """Whether ``set_output`` asks for a container that only arrays go into."""
    return _get_output_config("transform", estimator)["dense"] != "default"


# What scikit-learn keeps in an estimator while callbacks hear of its fit.
CALLBACK_STATE = ("_callback_fit_ctx", "_skl_callbacks_to_teardown")


def has_callbacks(estimator):
    """Whether callbacks of scikit-learn are set on an estimator."""
    return bool(getattr(estimator, "_skl_callbacks", None))


def without_callbacks(estimator):
    """Take all callbacks of scikit-learn from an estimator; return it."""
    vars(estimator).pop("_skl_callbacks", None)
    return estimator


def callback_context(estimator, max_subtasks):
    """Return the context of scikit-learn's callbacks of a fit; None before 1.9."""
    if not hasattr(estimator, "_init_callback_context"):
        return None
    return estimator._init_callback_context(max_subtasks=max_subtasks)


def numpy_namespace():
    """Return the array namespace that scikit-learn takes NumPy's arrays to have."""
    from sklearn.utils._array_api import get_namespace

    namespace, _ = get_namespace(np.empty(0))
    return namespace


__all__ = [
    "CALLBACK_STATE",
    "CallbackSupportMixin",
    "callback_context",
    "calling_pipeline",
    "check_y",
    "has_callbacks",
    "is_array_output",
    "num_samples",
    "numpy_namespace",
    "parse_version",
    "safe_indexing",
    "search_position",
    "with_callbacks",
    "within_search",
    "without_callbacks",
]
