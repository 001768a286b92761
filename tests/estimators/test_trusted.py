"""Labels that are known to be right: learned, kept, never flagged, and of use."""

import numpy as np
import pytest
import torch
from sklearn.datasets import load_breast_cancer, load_digits
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import log_loss, roc_auc_score
from sklearn.neighbors import KNeighborsClassifier

from sknoisy import (
    ContrastiveFineTuner,
    CoTrainingClassifier,
    CrossEntropy,
    LabelErrorDetector,
    NoisyRobustClassifier,
    PseudoLabelRefiner,
    SSLPretrainer,
)
from sknoisy.cotraining import COTRAINING_METHODS, small_losses
from sknoisy.cotraining.coteaching import exchange_loss
from sknoisy.losses import LOSSES
from sknoisy.noise import class_conditional, symmetric_exclusive

X, Y = load_digits(return_X_y=True)
X, Y = X[:400].astype(np.float32), Y[:400]
NOISY = symmetric_exclusive(Y, rate=0.4, random_state=0).y
TRUSTED = np.arange(400) % 4 == 0
GIVEN = np.where(TRUSTED, Y, NOISY)


def clf(loss="elr", **params):
    params = {"batch_size": 50, "max_epochs": 4, "random_state": 0} | params
    return NoisyRobustClassifier(loss, "mlp", **params)


def co(method, **params):
    if method != "kernel_posterior":  # which trains no network
        params = {"batch_size": 50, "max_epochs": 6} | params
    return CoTrainingClassifier(method, **{"random_state": 0} | params)


def assert_same_weights(one, other):
    for name, values in one.state_dict_.items():
        np.testing.assert_array_equal(other.state_dict_[name], values)


@pytest.mark.parametrize("name", ["gce", "mae", "elr", "sop", "joint_optimization"])
def test_trusted_labels_are_learned_by_cross_entropy(name):
    """If all are trusted, a robust loss is plain cross-entropy."""
    every = np.ones(400, bool)
    model = clf(name).fit(X, Y, trusted=every)
    if name == "joint_optimization":  # which trains twice
        assert model.score(X, Y) > 0.8
        return
    assert_same_weights(model, clf(CrossEntropy()).fit(X, Y))


@pytest.mark.parametrize("make", [clf, lambda: co("coteaching")])
def test_a_mask_of_nothing_changes_nothing(make):
    plain = make().fit(X, NOISY)
    assert_same_weights(plain, make().fit(X, NOISY, trusted=np.zeros(400, bool)))


# Methods that know the probability of each label themselves.
SURE = "dividemix dynamic_bootstrap ido kernel_posterior self ssr".split()
NEIGHBORS = {"moit": 5, "ssr": 100}  # which favour not all trusted labels anyway


@pytest.mark.parametrize("name", COTRAINING_METHODS)
def test_methods_trust_them(name):
    plain, model = co(name), co(name)
    if name in NEIGHBORS:
        for one in (plain, model):
            one.set_params(method__n_neighbors=NEIGHBORS[name])
    few, trusted = X[:200], TRUSTED[:200]
    model.fit(few, GIVEN[:200], trusted=trusted)
    plain.fit(few, GIVEN[:200])
    assert not np.array_equal(model.predict_proba(few), plain.predict_proba(few))
    if name in SURE:
        np.testing.assert_array_equal(model.clean_proba_[trusted], 1)
    if name == "ssr":
        kept = model.loss_state_["labels"][trusted]
        np.testing.assert_array_equal(kept, Y[:200][trusted])


def test_small_losses_of_trusted_samples_do_not_matter():
    losses = torch.tensor([0.1, 0.2, 0.3, 5.0])
    trusted = torch.tensor([False, False, False, True])
    chosen = small_losses(losses, 0.5, trusted=trusted)
    assert chosen.tolist() == [True, True, False, True]
    logits = torch.zeros(4, 2, 3)
    target = torch.tensor([0, 1, 2, 0])
    none = exchange_loss(logits, target, 0.5, disagreeing=True)
    some = exchange_loss(logits, target, 0.5, disagreeing=True, trusted=trusted)
    assert none == 0 and some.item() == pytest.approx(2 * np.log(3))


def test_posterior_of_trusted_labels_is_certain():
    model = co("kernel_posterior").fit(X, GIVEN, trusted=TRUSTED)
    posterior = model.loss_state_["posterior"]
    np.testing.assert_array_equal(posterior[TRUSTED], np.eye(10)[Y[TRUSTED]])
    assert 0.2 < model.noise_rate_ < 0.45


def test_trusted_labels_tell_where_most_labels_are_wrong():
    """Three of four threes are called eights."""
    rng, trusted = np.random.default_rng(0), np.arange(1797) % 5 == 0
    digits, y = load_digits(return_X_y=True)
    given = np.where((y == 3) & (rng.random(1797) < 0.75) & ~trusted, 8, y)
    threes = (y == 3) & ~trusted
    scores = [
        NoisyRobustClassifier(random_state=0)
        .fit(digits, given, trusted=mask)
        .score(digits[threes], y[threes])
        for mask in (None, trusted)
    ]
    assert scores[1] > scores[0] + 0.3


def test_trusted_labels_tell_classes_apart_that_changed_places():
    """Of threes and eights, 60% have the label of the other class."""
    rng = np.random.default_rng(0)
    digits, y = load_digits(return_X_y=True)
    trusted = rng.random(1797) < 0.2
    moved = (rng.random(1797) < 0.6) & ~trusted
    given = np.select([moved & (y == 3), moved & (y == 8)], [8, 3], y)
    model = NoisyRobustClassifier(random_state=0).fit(digits, given, trusted=trusted)
    both = np.isin(y, [3, 8]) & ~trusted
    assert model.score(digits[both], y[both]) > 0.95
    for quality in (model.label_quality_, model.clean_proba_):
        assert roc_auc_score(given[both] == y[both], quality[both]) > 0.95


@pytest.mark.parametrize("weighted", [True, False])
def test_trusted_labels_with_all_weight_or_none(weighted):
    """Then nothing can be compared with them, and they are learned or ignored."""
    weights = (TRUSTED == weighted).astype(float)
    model = NoisyRobustClassifier(random_state=0)
    model.fit(X, GIVEN, sample_weight=weights, trusted=TRUSTED)
    alone = NoisyRobustClassifier(random_state=0)
    if weighted:
        alone.fit(X[TRUSTED], Y[TRUSTED])
    else:
        alone.fit(X[~TRUSTED], GIVEN[~TRUSTED])
    scores = [one.score(X, Y) for one in (model, alone)]
    assert scores[0] > scores[1] - 0.05


@pytest.mark.parametrize(
    "trusted",
    [np.arange(100) == 3, np.arange(100) != 3, TRUSTED[:100] & (Y[:100] == 3)],
    ids=["one", "all but one", "of one class"],
)
def test_hardly_any_trusted_labels_or_others(trusted):
    given = np.where(trusted, Y[:100], NOISY[:100])
    model = NoisyRobustClassifier(random_state=0).fit(X[:100], given, trusted=trusted)
    assert np.isfinite(model.predict_proba(X)).all()
    assert np.isfinite(model.loss_state_["posterior"]).all()
    np.testing.assert_array_equal(model.clean_proba_[trusted], 1)


def test_trusted_labels_calibrate():
    """Regression on noisy labels is not sure enough."""
    digits, y = (part[:900] for part in load_digits(return_X_y=True))
    noisy = symmetric_exclusive(y, rate=0.6, random_state=0).y
    trusted = np.arange(900) % 5 == 0
    given, test = np.where(trusted, y, noisy), np.arange(900) % 5 == 1
    losses = []
    for mask in (None, trusted):
        model = NoisyRobustClassifier(random_state=0)
        kept = {} if mask is None else {"trusted": mask[~test]}
        model.fit(digits[~test], given[~test], **kept)
        losses.append(log_loss(y[test], model.predict_proba(digits[test])))
    assert losses[1] < 0.8 * losses[0]


@pytest.mark.parametrize("name", ["forward", "backward"])
def test_transition_matrix(name):
    """With pairs of classes confused, trusted labels tell how often."""
    confused = np.eye(10)
    for c, other in ((7, 1), (2, 7), (5, 6)):
        confused[c, [c, other]] = 0.55, 0.45
    noisy = class_conditional(Y, confused, random_state=0).y
    true = np.array([np.bincount(noisy[Y == c], minlength=10) for c in range(10)])
    true = true / true.sum(axis=1, keepdims=True)
    given = np.where(TRUSTED, Y, noisy)
    loss = LOSSES[name](begin=0.5)
    errors = []
    for trusted in (None, TRUSTED):
        model = clf(loss, max_epochs=20, lr=0.05).fit(X, given, trusted=trusted)
        T = model.loss_state_["transition_matrix"]
        errors.append(np.abs(T - true).sum(axis=1).mean())
    assert errors[1] < errors[0]


def test_refiner_keeps_them():
    refiner = PseudoLabelRefiner(
        clf("ce", lr=0.1), warmup_epochs=3, n_iterations=2, random_state=0
    ).fit(X, GIVEN, trusted=TRUSTED)
    np.testing.assert_array_equal(refiner.labels_[TRUSTED], Y[TRUSTED])
    assert not refiner.refined_[TRUSTED].any()
    assert (refiner.labels_ == Y).mean() > (GIVEN == Y).mean()


def test_fine_tuner_keeps_them():
    supcon = SSLPretrainer("supcon", max_epochs=1, batch_size=50)
    tuner = ContrastiveFineTuner(
        clf("ce", max_epochs=10, lr=0.1), supcon, random_state=0
    )
    tuner.fit(X, GIVEN, trusted=TRUSTED)
    np.testing.assert_array_equal(tuner.pseudo_labels_[TRUSTED], Y[TRUSTED])
    np.testing.assert_array_equal(tuner.clean_proba_[TRUSTED], 1)


@pytest.mark.parametrize("method", ["confident_learning", "knn_agreement"])
@pytest.mark.parametrize("max_false_alarms", [0.2, None])
def test_detector_never_calls_them_wrong(method, max_false_alarms):
    """Also where a label that is trusted is plainly wrong."""
    detector = LabelErrorDetector(
        KNeighborsClassifier(20),
        method=method,
        max_false_alarms=max_false_alarms,
        cv=3,
        random_state=0,
    ).fit(X, NOISY, trusted=TRUSTED)
    assert detector.label_errors_.any() and not detector.label_errors_[TRUSTED].any()
    assert (detector.label_quality_[TRUSTED] == 1).all()
    suggested = detector.suggested_labels_
    np.testing.assert_array_equal(suggested[TRUSTED], NOISY[TRUSTED])
    if method == "confident_learning":
        joint = detector.confident_joint_
        np.testing.assert_array_equal(
            joint.sum(axis=1), np.bincount(NOISY, minlength=10)
        )


def test_detector_counts_them_as_right():
    neighbors = KNeighborsClassifier(20)
    plain = LabelErrorDetector(neighbors, random_state=0).fit(X, GIVEN)
    trusting = LabelErrorDetector(neighbors, random_state=0).fit(
        X, GIVEN, trusted=TRUSTED
    )
    np.testing.assert_array_equal(trusting.error_probability_[TRUSTED], 0)
    low, high = trusting.noise_rate_interval_
    assert low <= trusting.noise_rate_ <= high <= 0.75
    wrong = (GIVEN != Y).mean()
    assert abs(trusting.noise_rate_ - wrong) < abs(plain.noise_rate_ - wrong) + 0.03
    every = np.ones(400, bool)
    none = LabelErrorDetector(neighbors, random_state=0).fit(X, GIVEN, trusted=every)
    assert none.noise_rate_ == 0 and not none.label_errors_.any()


def test_detector_tells_a_classifier_that_takes_them():
    plain, told = (
        LabelErrorDetector(clf("gce"), cv=2, random_state=0).fit(X, GIVEN, trusted=mask)
        for mask in (None, TRUSTED)
    )
    assert not np.allclose(plain.pred_probs_, told.pred_probs_)


def test_detector_finds_that_most_labels_are_wrong():
    """Of two classes, 70% of the other labels are exchanged."""
    samples, y = load_breast_cancer(return_X_y=True)
    rng = np.random.default_rng(0)
    trusted = rng.random(len(y)) < 0.2
    wrong = (rng.random(len(y)) < 0.7) & ~trusted
    given = np.where(wrong, 1 - y, y)
    detector = LabelErrorDetector(random_state=0).fit(samples, given, trusted=trusted)
    assert detector.agreement_ < 0.5 and not detector.by_chance_
    assert abs(detector.noise_rate_ - wrong.mean()) < 0.1
    assert (detector.label_errors_ == wrong).mean() > 0.9
    assert (detector.suggested_labels_ == y).mean() > 0.9


@pytest.mark.parametrize(
    ("trusted", "message"),
    [
        (np.ones(3, bool), r"trusted of shape \(3,\)"),
        (np.full(400, 2), "must be a mask"),
        (np.array(["a"] * 400), "must be a mask"),
    ],
)
def test_bad_masks(trusted, message):
    for model in (clf(), co("dividemix"), LabelErrorDetector(LogisticRegression())):
        with pytest.raises(ValueError, match=message):
            model.fit(X, GIVEN, trusted=trusted)


def test_what_has_no_label_cannot_be_trusted():
    y = np.where(TRUSTED[:, None], np.nan, np.eye(10)[Y])
    with pytest.raises(ValueError, match="100 trusted samples have no label"):
        clf(classes=range(10)).fit(X, y, trusted=TRUSTED)


def test_by_epochs_they_are_those_of_fit():
    whole, parts = clf("gce").fit(X, GIVEN, trusted=TRUSTED), clf("gce")
    for _ in range(4):
        parts.partial_fit(X, GIVEN, trusted=TRUSTED)
    assert_same_weights(whole, parts)
