"""Named classes: meta-estimators take theirs from y, which may have fewer."""

import numpy as np
import pytest
from sklearn.datasets import load_iris
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from sknoisy import (
    ContrastiveFineTuner,
    LabelCleaningClassifier,
    LabelErrorDetector,
    NoisyRobustClassifier,
    PseudoLabelRefiner,
    SSLPretrainer,
)
from sknoisy.annotators import AnnotatorConsensus

X, CODES = load_iris(return_X_y=True)
Y = np.array(["setosa", "versicolor", "virginica"])[CODES]
NAMED = ["aphylla", "setosa", "versicolor", "virginica"]


def clf(classes=NAMED, **params):
    params = {"max_epochs": 5, "batch_size": 32, "random_state": 0} | params
    return NoisyRobustClassifier("ce", classes=classes, **params)


def scaled(clf):
    return make_pipeline(StandardScaler(), clf)


META = {
    "folds": lambda clf: LabelErrorDetector(clf, cv=2, random_state=0),
    "dynamics": lambda clf: LabelErrorDetector(clf, cv="dynamics"),
    "pipeline": lambda clf: LabelErrorDetector(scaled(clf), cv="dynamics"),
    "crowdlab": lambda clf: AnnotatorConsensus(clf, cv=2, random_state=0),
    "majority": lambda clf: AnnotatorConsensus(clf, "majority_vote"),
    "cleaning": lambda clf: LabelCleaningClassifier(clf),
    "refiner": lambda clf: PseudoLabelRefiner(clf, 1, 1, (1, 2), random_state=0),
    "tuner": lambda clf: ContrastiveFineTuner(
        clf, SSLPretrainer("supcon", max_epochs=1), random_state=0
    ),
    "final": lambda clf: ContrastiveFineTuner(
        LogisticRegression(), SSLPretrainer("supcon", max_epochs=1), clf
    ),
}


def found(meta):
    if isinstance(meta, LabelErrorDetector):
        return meta.error_probability_
    return meta.predict_proba(X)


@pytest.mark.parametrize("name", META)
def test_classes_are_those_of_y(name):
    with_names = META[name](clf()).set_params(random_state=0).fit(X, Y)
    assert with_names.classes_.tolist() == NAMED[1:]
    plain = META[name](clf(None)).set_params(random_state=0).fit(X, Y)
    np.testing.assert_array_equal(found(with_names), found(plain))


@pytest.mark.parametrize("name", META)
def test_labels_that_are_not_named(name):
    with pytest.raises(ValueError, match="'virginica'. The classes are 'aphylla'"):
        META[name](clf(NAMED[:3])).fit(X, Y)


def test_fitted_classifiers_keep_what_is_named():
    detector = LabelErrorDetector(clf().fit(X, Y), cv="prefit").fit(X, Y)
    assert detector.classes_.tolist() == NAMED
    assert np.isfinite(detector.noise_rate_)
