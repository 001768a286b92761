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

import sknoisy
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
from sknoisy.metrics import NoiseCorrectedScorer
from sknoisy.noise import instance_dependent
from sknoisy.scores import (
    area_under_margin,
    find_label_errors,
    hoc_noise_rate,
    knn_agreement,
    knn_votes,
    neighbor_label_votes,
    self_confidence,
)

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


def test_scores_of_samples_in_another_order():
    named, labels = X.set_axis(NAMES), Y.set_axis(NAMES)
    clf = clone(NETWORK).fit(named, labels)
    weights = pd.Series(np.ones(len(Y)), NAMES)
    with pytest.raises(ValueError, match="y has the index of X in another order"):
        clf.score(named, labels.sort_index())
    with pytest.raises(ValueError, match="sample_weight has the index of X in anoth"):
        clf.score(named, labels, weights.sort_index())
    assert clf.score(named, labels, weights) == clf.score(named, Y.to_numpy())


@pytest.mark.parametrize("score", [self_confidence, find_label_errors])
def test_probabilities_in_another_order_than_their_labels(score):
    """Each label would be judged by the probabilities of another sample."""
    labels = Y.set_axis(NAMES)
    probs = pd.DataFrame(np.eye(3)[Y] * 0.7 + 0.1, index=NAMES)
    message = (
        r"pred_probs has the index of y in another order. Pass pred_probs.loc\[y.i"
    )
    with pytest.raises(ValueError, match=message):
        score(labels, probs.sort_index())
    expected = score(Y.to_numpy(), probs.to_numpy())
    given = probs.sort_index().loc[labels.index]
    np.testing.assert_array_equal(score(labels, given), expected)


@pytest.mark.parametrize(
    "score", [knn_votes, knn_agreement, neighbor_label_votes, hoc_noise_rate]
)
def test_features_in_another_order_than_their_labels(score):
    named, labels = X.set_axis(NAMES), Y.set_axis(NAMES)
    with pytest.raises(ValueError, match="features has the index of y in another ord"):
        score(labels, named.sort_index())
    given = named.sort_index().loc[labels.index]
    np.testing.assert_array_equal(score(labels, given), score(Y, X))


def test_what_noise_is_drawn_or_corrected_from_in_another_order():
    named, labels = X.set_axis(NAMES), Y.set_axis(NAMES).sort_index()
    for use in (
        lambda: instance_dependent(labels, 0.2, named, random_state=0),
        lambda: NoiseCorrectedScorer.from_samples(named, labels),
    ):
        with pytest.raises(ValueError, match="y has the index of X in another order"):
            use()
    logits = pd.DataFrame(np.eye(3)[Y], index=NAMES)
    with pytest.raises(ValueError, match="logits has the index of y in another order"):
        area_under_margin(labels, [logits.loc[labels.index], logits])


def test_a_comparison_of_samples_in_another_order():
    named, labels = X.set_axis(NAMES), Y.set_axis(NAMES)
    methods = {"lr": LogisticRegression(max_iter=500)}
    with pytest.raises(ValueError, match="y has the index of X in another order"):
        sknoisy.compare(methods, named, labels.sort_index())
    test = {"X_test": named, "y_test": labels.sort_index()}
    with pytest.raises(ValueError, match="y_test has the index of X_test in another"):
        sknoisy.compare(methods, named, labels, **test)
