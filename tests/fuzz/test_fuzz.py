"""Any input and any parameters: a finite result, or an error that says what is wrong.

``pytest tests/fuzz --fuzz 2000`` tries that many; some tens are always tried. Each is
drawn by the number in its name: ``pytest "tests/fuzz/test_fuzz.py::test_fits[7]"``.
"""

import pickle
import re
import signal
import threading
import warnings
from collections import Counter
from contextlib import contextmanager

import numpy as np
import pytest
from calls import FUNCTIONS, arguments
from drawing import case_of, comparison
from inputs import pick
from sklearn.base import clone, is_classifier
from sklearn.exceptions import NotFittedError
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import Pipeline
from sklearn.utils.validation import check_is_fitted

import sknoisy
from sknoisy import DivergenceError

SECONDS = 600  # after which a fit hangs
FITTED = Counter()  # whether each input that was tried in this process was taken
ALWAYS = r"\b(X|y|samples?|features?|labels?|class(es)?|array|data|input)\b"


def pytest_generate_tests(metafunc):
    n = metafunc.config.getoption("--fuzz")
    seeds = {"fit_seed": range(n), "call_seed": range(n), "pair_seed": range(n // 10)}
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
    shown = [w for w in caught if not issubclass(w.category, DeprecationWarning)]
    counts = Counter((w.category, w.lineno, w.filename) for w in shown)
    assert max(counts.values(), default=0) < 20, counts


def assert_no_numbers_go_wrong(caught):
    """Check that nothing overflows or is divided by zero on the way to a result."""
    for warning in caught:
        assert not issubclass(warning.category, RuntimeWarning), warning


def assert_named(error, names):
    """Check that an error says what it is about."""
    message = str(error)
    words = set(re.findall(r"\w+", message))
    found = re.search(ALWAYS, message) or words & {*names}
    assert found, f"{type(error).__name__} names nothing: {message}"
    assert len(message) < 2500, message


def of_scikit_learn(estimator, error):
    """Whether LogisticRegression, the last step, refuses labels without their name."""
    last = estimator[-1] if isinstance(estimator, Pipeline) else estimator
    unnamed = str(error) == "Input contains NaN"
    return unnamed and isinstance(last, LogisticRegression)


def outcome(fitted, X):
    """Return what an estimator that has been fitted says of X, and of its labels."""
    if hasattr(fitted, "suggested_labels_"):
        return fitted.error_probability_, fitted.label_quality_
    if hasattr(fitted, "predict_proba"):
        return fitted.predict_proba(X), getattr(fitted, "label_quality_", np.zeros(1))
    return np.asarray(fitted.transform(X)), np.zeros(1)


def assert_finite(fitted, X):
    """Check what an estimator that has been fitted gives."""
    values, _ = outcome(fitted, X)
    assert np.isfinite(values).all()
    if hasattr(fitted, "suggested_labels_"):
        for name in ("label_quality_", "suggestion_confidence_"):
            assert np.isfinite(getattr(fitted, name)).all(), name
        assert np.isfinite(fitted.noise_rate_)
    elif hasattr(fitted, "predict_proba"):
        np.testing.assert_allclose(values.sum(axis=1), 1, atol=1e-3)
        assert np.isin(fitted.predict(X), fitted.classes_).all()


def saved(case, path):
    """Save and load; code of others, and modules that are not found, are refused."""
    try:
        sknoisy.save(case.estimator, path)
    except ValueError as error:
        assert "cannot be saved" in str(error)
        return case.estimator
    try:
        return sknoisy.load(path)
    except ValueError as error:
        assert "pass allow=" in str(error)
        return case.estimator


def again(case, path):
    return clone(case.estimator).fit(case.X, case.y, **case.beside)


def pickled(case, path):
    return pickle.loads(pickle.dumps(case.estimator))


def assert_lives_on(rng, case, folder):
    """Check what is done with a fitted estimator later."""
    later = pick(rng, [saved, saved, pickled, again])
    params = case.estimator.get_params().items()
    seeded = all(isinstance(v, int) for k, v in params if "random_state" in k)
    timed = any(v is not None for k, v in params if "max_time" in k)
    if later is again and (timed or not seeded):
        later = saved
    other = later(case, folder / "model.safetensors")
    for a, b in zip(
        outcome(case.estimator, case.X), outcome(other, case.X), strict=True
    ):
        np.testing.assert_allclose(a, b, rtol=1e-4, atol=1e-5)
    last = case.estimator
    if not isinstance(last, Pipeline) and is_classifier(last) and rng.random() < 0.3:
        if hasattr(last, "partial_fit"):
            assert_finite(last.partial_fit(case.X, case.y, **case.beside), case.X)


def test_fits(fit_seed, tmp_path, record_property):
    rng = np.random.default_rng([fit_seed, 0])
    kind, case = case_of(rng, tmp_path)
    record_property("kind", kind)
    record_property("outcome", "fitted")
    params = case.estimator.get_params()
    names = [n.rpartition("__")[2] for n in (*case.changed, *case.beside, *params)]
    with watched() as caught:
        try:
            case.estimator.fit(case.X, case.y, **case.beside)
        except DivergenceError as error:
            record_property("outcome", "diverged")
            assert_named(error, names)
        except (ValueError, TypeError) as error:
            record_property("outcome", "refused")
            if not of_scikit_learn(case.estimator, error):
                assert_named(error, names)
            if type(case.estimator) is not Pipeline:  # of which a part may be
                with pytest.raises(NotFittedError):
                    check_is_fitted(case.estimator)
        else:
            FITTED[True] += 1
            assert_finite(case.estimator, case.X)
            assert_no_numbers_go_wrong(caught)
            assert_lives_on(rng, case, tmp_path)
            return
    FITTED[False] += 1


def test_not_everything_is_refused():
    """Or nothing would be tested."""
    if FITTED.total() < 8:
        pytest.skip("only a few inputs were tried in this process")
    assert FITTED[True] >= FITTED.total() / 4


def test_comparisons(pair_seed, record_property):
    chosen = comparison(np.random.default_rng([pair_seed, 2]))
    record_property("kind", "comparison")
    record_property("outcome", "fitted")
    with watched() as caught:
        try:
            found = sknoisy.compare(**chosen)
        except DivergenceError:
            record_property("outcome", "diverged")
            return
        except (ValueError, TypeError) as error:
            record_property("outcome", "refused")
            named = chosen["methods"]
            listed = named if isinstance(named, list) else []
            parts = [*listed, chosen["estimator"]]
            parts = named.values() if isinstance(named, dict) else parts
            params = [k for part in parts for k in getattr(part, "get_params", dict)()]
            assert_named(error, [*chosen, *(k.rpartition("__")[2] for k in params)])
            return
    assert_no_numbers_go_wrong(caught)
    scores = [row[name] for row in found.rows for name in found.scores]
    assert np.isfinite(scores).all()


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
