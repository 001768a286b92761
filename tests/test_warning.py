"""Warnings point at the line of the user's code, whatever lies between."""

import numpy as np
import pytest
from sklearn.model_selection import cross_val_predict
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import FunctionTransformer

from sknoisy import LabelErrorDetector, NoisyRobustClassifier, SSLPretrainer

# Each on a line of its own, which is the one to be pointed at.
WAYS = {
    "fit": lambda clf, X, y: clf.fit(X, y),
    "partial_fit": lambda clf, X, y: clf.partial_fit(X, y),
    "pipeline": lambda clf, X, y: make_pipeline(FunctionTransformer(), clf).fit(X, y),
    "folds": lambda clf, X, y: cross_val_predict(clf, X, y, cv=2),
    "detector": lambda clf, X, y: LabelErrorDetector(clf, cv=2).fit(X, y),
}


def assert_points_at(way, caught, message):
    """Check where the warnings with a message point at."""
    said = [w for w in caught if message in str(w.message)]
    lines = {(w.filename, w.lineno) for w in said}
    assert lines == {(way.__code__.co_filename, way.__code__.co_firstlineno)}


@pytest.mark.parametrize("way", WAYS.values(), ids=WAYS)
@pytest.mark.filterwarnings("always")
def test_of_what_a_classifier_is_given(way, digits):
    images, y = digits
    clf = NoisyRobustClassifier(
        "ce", freeze_encoder=True, max_epochs=1, batch_size=1000, random_state=0
    )
    with pytest.warns(UserWarning) as caught:
        way(clf, images, y)
    assert_points_at(way, caught, "freeze_encoder=True keeps random weights")
    assert_points_at(way, caught, "batch_size=1000 is more than")


@pytest.mark.filterwarnings("always")
def test_of_what_a_pretrainer_is_given(digits):
    X = digits[0].reshape(300, -1).copy()
    X[0, 20] = 1e6
    ssl = SSLPretrainer(max_epochs=1, random_state=0)
    ways = {
        "fit_transform": lambda: ssl.fit_transform(X),
        "pipeline": lambda: make_pipeline(ssl, "passthrough").fit_transform(X),
    }
    for way in ways.values():
        with pytest.warns(UserWarning) as caught:
            way()
        assert_points_at(way, caught, "far outside the range of all others")


@pytest.mark.filterwarnings("always")
def test_of_a_detection(digits):
    noise = np.random.default_rng(0).normal(size=(300, 3))
    way = WAYS["detector"]
    with pytest.warns(UserWarning) as caught:
        way(NoisyRobustClassifier("ce", max_epochs=1), noise, digits[1])
    assert_points_at(way, caught, "may be chance")


@pytest.mark.parametrize("method", ["predict", "predict_proba", "predict_log_proba"])
@pytest.mark.filterwarnings("always")
def test_of_what_is_predicted(method, digits):
    images, y = digits
    features = SSLPretrainer(max_epochs=1, random_state=0).fit_transform(images)
    clf = NoisyRobustClassifier(random_state=0).fit(np.asarray(features), y)
    way = lambda: getattr(clf, method)(features)  # noqa: E731
    with pytest.warns(UserWarning) as caught:
        way()
    assert_points_at(way, caught, "fitted on an array of features")
