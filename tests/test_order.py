"""Frames whose index tells that their rows are in another order than those of X."""

import warnings
from inspect import signature

import numpy as np
import pandas as pd
import pytest
from sklearn.base import clone
from sklearn.datasets import load_iris
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from torch import nn

from sknoisy import (
    ContrastiveFineTuner,
    LabelCleaningClassifier,
    LabelErrorDetector,
    NoisyRobustClassifier,
    PretrainedEncoder,
    PseudoLabelRefiner,
    SSLPretrainer,
)
from sknoisy.annotators import AnnotatorConsensus

X, Y = load_iris(return_X_y=True, as_frame=True)
NAMES = [f"flower {i}" for i in range(len(Y))]
NETWORK = NoisyRobustClassifier("ce", max_epochs=1)
SUPCON = SSLPretrainer("supcon", max_epochs=1)
SCALED = make_pipeline(StandardScaler(), LogisticRegression())
ESTIMATORS = {
    "network": NETWORK,
    "detector": LabelErrorDetector(LogisticRegression(max_iter=500), cv=2),
    "cleaning": LabelCleaningClassifier(SCALED),
    "refiner": PseudoLabelRefiner(NETWORK, 1, 1, (1, 2)),
    "tuner": ContrastiveFineTuner(NETWORK, SUPCON),
    "annotators": AnnotatorConsensus(LogisticRegression(max_iter=500), cv=2),
}


@pytest.mark.parametrize("name", ESTIMATORS)
def test_labels_in_another_order_than_their_samples(name):
    estimator = clone(ESTIMATORS[name])
    named, labels = X.set_axis(NAMES), Y.set_axis(NAMES)
    with pytest.raises(ValueError, match=r"y has the index of X in another order"):
        estimator.fit(named, labels.sort_index())
    # The index of X may be new, and its rows those of y.
    with pytest.warns(UserWarning, match=r"order. Pass y.loc\[X.index\], or y.to_nu"):
        estimator.fit(X, Y.sample(frac=1, random_state=0))
    with warnings.catch_warnings():
        warnings.filterwarnings("error", message=".*another order")
        estimator.fit(named, labels)
        estimator.fit(named, labels.sort_index().loc[named.index])
        estimator.fit(named, labels.sort_index().to_numpy())
        estimator.fit(named, Y)  # other names


def test_a_name_that_is_there_twice():
    """By loc, its rows would be there four times."""
    names = [f"flower {i // 2}" for i in range(len(Y))]
    named, labels = X.set_axis(names), Y.set_axis(names)
    with pytest.raises(ValueError, match=r"Pass its rows in that order, or y.to_numpy"):
        clone(NETWORK).fit(named, labels[::-1])
    clone(NETWORK).fit(named, labels)


@pytest.mark.parametrize("name", ESTIMATORS)
@pytest.mark.parametrize("given", ["sample_weight", "trusted", "groups"])
def test_what_else_is_given_in_another_order(name, given):
    if given not in signature(ESTIMATORS[name].fit).parameters:
        return
    value = pd.Series(np.arange(len(Y)) % 2 == 0, NAMES)
    named = X.set_axis(NAMES), Y.set_axis(NAMES)
    with pytest.raises(ValueError, match=rf"{given} has the index of X in another"):
        clone(ESTIMATORS[name]).fit(*named, **{given: value.sort_index()})


@pytest.mark.parametrize("first", [SUPCON, PretrainedEncoder(nn.Linear(4, 2))])
def test_what_comes_first_looks_at_the_order_for_what_follows(first):
    """Lazy features do not know the index of the samples."""
    named, labels = X.set_axis(NAMES), Y.set_axis(NAMES)
    pipeline = clone(make_pipeline(first, NETWORK))
    with pytest.raises(ValueError, match="y has the index of X in another order"):
        pipeline.fit(named, labels.sort_index())
    pipeline.fit(named, labels)


def test_validation_samples_in_another_order():
    validation = X.set_axis(NAMES), Y.set_axis(NAMES).sort_index()
    with pytest.raises(ValueError, match="validation=.* y has the index of X in anoth"):
        clone(NETWORK).set_params(validation=validation).fit(X, Y)
