"""Weights of classes: of the loss, by the label."""

import numpy as np
import pytest
from sklearn.metrics import recall_score
from sklearn.utils.class_weight import compute_class_weight

from sknoisy import (
    JointOptimization,
    NoisyRobustClassifier,
    SSLPretrainer,
)
from sknoisy.data.weights import class_weights

RNG = np.random.default_rng(0)
Y = np.repeat(["common", "rare"], [190, 10])
X = RNG.normal(size=(200, 4)) + np.where(Y == "rare", 1.0, 0.0)[:, None]


def clf(**params):
    return NoisyRobustClassifier("ce", random_state=0, **params)


def test_balanced_is_scikit_learns():
    classes, counts = np.unique(Y, return_counts=True)
    expected = compute_class_weight("balanced", classes=classes, y=Y)
    np.testing.assert_allclose(class_weights("balanced", classes, counts), expected)
    given = class_weights({"rare": 3}, classes, counts)
    assert given.tolist() == [1, 3] and given.dtype == np.float32
    # A class that no sample has: its weight is finite, and of no use.
    assert np.isfinite(
        class_weights("balanced", np.arange(3), np.array([1, 1, 0]))
    ).all()


def test_the_loss_is_the_weighted_mean():
    """In one batch of all samples, before any step."""
    weights = {"common": 0.5, "rare": 4.0}
    model = clf(class_weight=weights, max_epochs=1, batch_size=200).fit(X, Y)
    w = np.array([weights[label] for label in Y])
    expected = (w * model.training_loss_).sum() / w.sum()
    assert model.history_[0]["train_loss"] == pytest.approx(expected, rel=1e-5)


def test_equal_weights_are_none():
    plain = clf(max_epochs=5).fit(X, Y).predict_proba(X)
    for weight in ({"rare": 1}, {"common": 7, "rare": 7}):
        found = clf(max_epochs=5, class_weight=weight).fit(X, Y).predict_proba(X)
        np.testing.assert_allclose(found, plain, rtol=1e-3)


def test_rare_classes_are_found():
    recalls = [
        recall_score(Y, clf(max_epochs=20, **w).fit(X, Y).predict(X), pos_label="rare")
        for w in ({}, {"class_weight": "balanced"})
    ]
    assert recalls[1] > recalls[0]


def test_by_epochs_and_in_all_phases():
    features = SSLPretrainer(max_epochs=1, random_state=0).fit_transform(X)
    loss = JointOptimization(begin=0.3, retrain=0.5)
    settings = {"max_epochs": 4, "head_epochs": 2, "random_state": 0}
    plain, whole, steps = (
        NoisyRobustClassifier(loss, class_weight=weight, **settings)
        for weight in (None, "balanced", "balanced")
    )
    for _ in range(6):
        steps.partial_fit(features, Y)
    plain.fit(features, Y)
    whole.fit(features, Y)
    phases = [row["phase"] for row in whole.history_]
    assert phases == ["head", "head", "all", "anew", "anew", "anew"]
    np.testing.assert_array_equal(
        whole.predict_proba(features), steps.predict_proba(features)
    )
    for one, other in zip(plain.history_, whole.history_, strict=True):
        assert one["train_loss"] != other["train_loss"]


@pytest.mark.parametrize(
    "weight",
    [
        "even",
        2.0,
        {"rare": 0},
        {"rare": -1.0},
        {"rare": "much"},
        {"rare": np.inf},
        [1, 2],
    ],
)
def test_bad_weights(weight):
    with pytest.raises(ValueError, match="class_weight=.* is not valid: it must be"):
        clf(class_weight=weight).fit(X, Y)


def test_a_subset_without_one_of_the_classes():
    weight = {"common": 1.0, "rare": 2.0, "unseen": 3.0}
    clf(class_weight=weight, max_epochs=1).fit(X, Y)


def test_strange_labels():
    with pytest.raises(ValueError, match=r"\['rar'\] are not among the classes"):
        clf(class_weight={"rar": 2.0}).fit(X, Y)
