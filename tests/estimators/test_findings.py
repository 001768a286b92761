"""What fitted estimators say of themselves in a notebook."""

import numpy as np
import pytest
from sklearn import config_context
from sklearn.datasets import load_iris
from sklearn.linear_model import LogisticRegression

from sknoisy import (
    CoTrainingClassifier,
    LabelCleaningClassifier,
    LabelErrorDetector,
    NoisyRobustClassifier,
    PseudoLabelRefiner,
)

X, Y = load_iris(return_X_y=True)
OURS = NoisyRobustClassifier("ce", max_epochs=2, random_state=0)


def html(estimator):
    return estimator._repr_mimebundle_()["text/html"]


@pytest.mark.parametrize(
    ("estimator", "expected"),
    [
        (OURS, ["Labels that the training contradicts", "<b>3</b>"]),
        (
            NoisyRobustClassifier("ce", max_epochs=2, validation=0.2, random_state=0),
            ["Accuracy on validation labels"],
        ),
        (
            CoTrainingClassifier("dividemix", max_epochs=3, random_state=0),
            ["Estimated share of wrong labels"],
        ),
        (PseudoLabelRefiner(OURS), ["Labels that were replaced"]),
        (
            LabelErrorDetector(LogisticRegression(max_iter=500), random_state=0),
            ["Labels called wrong", "of 150", "Estimated share"],
        ),
        (
            LabelCleaningClassifier(LogisticRegression(max_iter=500)),
            ["Labels trained on that differ", "of 150", "Estimated share"],
        ),
    ],
    ids=["classifier", "validation", "cotraining", "refiner", "detector", "cleaning"],
)
@pytest.mark.filterwarnings("ignore::UserWarning")
def test_a_fitted_estimator_says_what_it_found(estimator, expected):
    assert not any(text in html(estimator) for text in expected)
    shown = html(estimator.fit(X, Y))
    assert all(text in shown for text in expected)
    assert "sk-container-id" in shown  # and its diagram
    with config_context(display="text"):
        assert "text/html" not in estimator._repr_mimebundle_()


def test_findings_are_those_of_the_labels():
    detector = LabelErrorDetector(LogisticRegression(max_iter=500), random_state=0)
    y = Y.copy()
    y[:3] = 2
    detector.fit(X, y)
    assert f"<b>{np.sum(detector.label_errors_)} of 150</b>" in html(detector)
