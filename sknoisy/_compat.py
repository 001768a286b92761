"""Every private name of scikit-learn that is used, and what older versions lack."""

import sys

from sklearn.utils import _safe_indexing as safe_indexing
from sklearn.utils._set_output import _get_output_config
from sklearn.utils.validation import _check_y as check_y

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


def callback_context(estimator, n_epochs):
    """Return the context of scikit-learn's callbacks of a fit; None if it has none."""
    if not getattr(estimator, "_skl_callbacks", None):
        return None
    return estimator._init_callback_context(max_subtasks=n_epochs)


__all__ = [
    "CallbackSupportMixin",
    "callback_context",
    "check_y",
    "is_array_output",
    "safe_indexing",
    "with_callbacks",
    "within_search",
]
