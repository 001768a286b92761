"""Any input and any parameters: a finite result, or an error that says what is wrong.

``pytest tests/fuzz --fuzz 2000`` tries that many; some tens are always tried.
"""

import re
import signal
import threading
import warnings
from collections import Counter
from contextlib import contextmanager

import numpy as np
import pytest
from drawing import FUNCTIONS, arguments, estimator, labels, pick, samples
from sklearn.exceptions import NotFittedError
from sklearn.utils.validation import check_is_fitted

from sknoisy import DivergenceError

SECONDS = 600  # after which a fit hangs
ALWAYS = r"\b(X|y|samples?|features?|labels?|class(es)?|array|data|input)\b"


def pytest_generate_tests(metafunc):
    n = metafunc.config.getoption("--fuzz")
    seeds = {"fit_seed": range(n), "call_seed": range(n)}
    for name in seeds.keys() & set(metafunc.fixturenames):
        metafunc.parametrize(name, seeds[name])


@contextmanager
def watched():
    """An error where something hangs, or warns again and again."""

    def hang(*args):
        raise TimeoutError(f"more than {SECONDS} seconds")

    alarm = hasattr(signal, "SIGALRM")
    alarm = alarm and threading.current_thread() is threading.main_thread()
    if alarm:
        before = signal.signal(signal.SIGALRM, hang)
        signal.alarm(SECONDS)
    try:
        with warnings.catch_warnings(record=True) as caught:
            warnings.simplefilter("always")
            yield caught
    finally:
        if alarm:
            signal.alarm(0)
            signal.signal(signal.SIGALRM, before)
    counts = Counter((w.category, w.lineno, w.filename) for w in caught)
    assert max(counts.values(), default=0) < 20, counts


def assert_no_numbers_go_wrong(caught):
    """Check that nothing overflows or is divided by zero on the way to a result."""
    for warning in caught:
        assert not issubclass(warning.category, RuntimeWarning), warning


def assert_named(error, names):
    """Check that an error says what it is about."""
    message = str(error)
    found = re.search(ALWAYS, message) or any(name in message for name in names)
    assert found, f"{type(error).__name__} names nothing: {message}"
    assert len(message) < 2500, message


def assert_finite(fitted, X):
    """Check what an estimator that has been fitted gives."""
    if hasattr(fitted, "suggested_labels_"):
        for name in ("error_probability_", "label_quality_", "suggestion_confidence_"):
            assert np.isfinite(getattr(fitted, name)).all(), name
        assert np.isfinite(fitted.noise_rate_)
    elif hasattr(fitted, "predict_proba"):
        probs = fitted.predict_proba(X)
        assert np.isfinite(probs).all()
        np.testing.assert_allclose(probs.sum(axis=1), 1, atol=1e-3)
    else:
        assert np.isfinite(np.asarray(fitted.transform(X))).all()


def test_fits(fit_seed):
    rng = np.random.default_rng([fit_seed, 0])
    one, changed = estimator(rng)
    n = int(pick(rng, [4, 13, 40, 40]))
    X, y = samples(rng, n), labels(rng, n)
    names = [*changed, *(name.rpartition("__")[2] for name in one.get_params())]
    with watched() as caught:
        try:
            fitted = one.fit(X, y)
        except (ValueError, TypeError, DivergenceError) as error:
            assert_named(error, names)
            with pytest.raises(NotFittedError):
                check_is_fitted(one)
        else:
            assert_finite(fitted, X)
            assert_no_numbers_go_wrong(caught)


def test_functions(call_seed):
    rng = np.random.default_rng([call_seed, 1])
    function = pick(rng, FUNCTIONS)
    chosen = arguments(rng, function)
    with watched() as caught:
        try:
            result = function(**chosen)
        except (ValueError, TypeError) as error:
            assert_named(error, chosen)
            return
    assert_no_numbers_go_wrong(caught)
    for value in result if isinstance(result, tuple) else (result,):
        value = getattr(value, "given", value)
        if (
            isinstance(value, (np.ndarray, float))
            and np.asarray(value).dtype.kind == "f"
        ):
            assert np.isfinite(value).all(), function.__name__
