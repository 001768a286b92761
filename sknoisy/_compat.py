"""Every private name of scikit-learn that is used, and what older versions lack."""

import sys

import numpy as np
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


def within_search():
    """Whether a scikit-learn search or cross-validation is calling."""
    frame = sys._getframe(1)
    while frame is not None:
        if frame.f_code.co_name in ("_fit_and_score", "_fit_and_predict"):
            return True
        frame = frame.f_back
    return False


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
    "check_y",
    "has_callbacks",
    "is_array_output",
    "num_samples",
    "numpy_namespace",
    "parse_version",
    "safe_indexing",
    "with_callbacks",
    "within_search",
    "without_callbacks",
]
