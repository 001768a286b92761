"""Weights of samples: in every fit, through scikit-learn's routing, and of nothing."""

from inspect import signature

import numpy as np
import pytest
import torch
from scipy.sparse import csr_array
from sklearn import config_context
from sklearn.datasets import load_digits
from sklearn.discriminant_analysis import LinearDiscriminantAnalysis as LDA
from sklearn.ensemble import BaggingClassifier
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import GridSearchCV, cross_validate
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from sknoisy import (
    ContrastiveFineTuner,
    CoTrainingClassifier,
    LabelCleaningClassifier,
    LabelErrorDetector,
    NoisyRobustClassifier,
    PseudoLabelRefiner,
    SSLPretrainer,
)
from sknoisy.annotators import AnnotatorConsensus
from sknoisy.cotraining import COTRAINING_METHODS
from sknoisy.cotraining.coteaching import exchange_loss
from sknoisy.cotraining.cufit import cascade_loss
from sknoisy.encoders.heads import kernel
from sknoisy.kernels.ridge import KernelRidge
from sknoisy.losses.expected import weighted_mean

X, Y = load_digits(return_X_y=True)
X, Y = X[:120].astype(np.float32), Y[:120]
WEIGHTS = np.random.default_rng(0).uniform(0.5, 2.0, len(Y))
SOME = WEIGHTS * (np.arange(len(Y)) % 4 > 0)  # a quarter is 0


def clf(loss="ce", **params):
    params = {"batch_size": 40, "max_epochs": 2, "random_state": 0} | params
    return NoisyRobustClassifier(loss, "mlp", **params)


def co(method, **params):
    if method != "kernel_posterior":  # which trains no network
        params = {"batch_size": 60, "max_epochs": 4} | params
    return CoTrainingClassifier(method, **{"random_state": 0} | params)


MODELS = {
    "ce": clf,
    "auto": lambda: NoisyRobustClassifier(random_state=0),
    **{name: lambda name=name: co(name) for name in COTRAINING_METHODS},
}


def assert_same_weights(one, other):
    assert one.state_dict_.keys() == other.state_dict_.keys()
    for name, values in one.state_dict_.items():
        np.testing.assert_array_equal(other.state_dict_[name], values)


@pytest.mark.parametrize(
    "kind",
    [
        AnnotatorConsensus,
        ContrastiveFineTuner,
        CoTrainingClassifier,
        LabelCleaningClassifier,
        LabelErrorDetector,
        NoisyRobustClassifier,
        PseudoLabelRefiner,
    ],
)
def test_weights_come_third_as_in_scikit_learn(kind):
    assert [*signature(kind.fit).parameters][:4] == ["self", "X", "y", "sample_weight"]


@pytest.mark.parametrize("name", MODELS)
def test_samples_of_weight_0_are_left_out(name):
    """The network is that of the other samples alone, bit for bit."""
    model, kept = MODELS[name]().fit(X, Y, SOME), SOME > 0
    alone = MODELS[name]().fit(X[kept], Y[kept], SOME[kept])
    assert_same_weights(model, alone)
    np.testing.assert_array_equal(np.isnan(model.label_quality_), ~kept)
    np.testing.assert_array_equal(model.label_quality_[kept], alone.label_quality_)


@pytest.mark.parametrize("name", MODELS)
def test_weights_have_an_effect_but_not_their_scale(name):
    plain, equal = MODELS[name]().fit(X, Y), MODELS[name]().fit(X, Y, np.full(120, 7))
    assert_same_weights(plain, equal)
    weighted = MODELS[name]().fit(X, Y, WEIGHTS)
    scaled = MODELS[name]().fit(X, Y, 4 * WEIGHTS)
    assert_same_weights(weighted, scaled)
    probs = plain.predict_proba(X), weighted.predict_proba(X)
    assert not np.allclose(*probs, atol=1e-4)


def test_a_batch_of_repeated_samples_has_the_same_loss():
    """The first epoch, in one batch: the loss is the mean over repeated samples."""
    times = np.arange(120) % 3 + 1
    model = clf(batch_size=120, max_epochs=1).fit(X, Y, times)
    losses = np.repeat(model.training_loss_, times)
    assert model.history_[0]["train_loss"] == pytest.approx(losses.mean(), rel=1e-5)


def test_weights_of_samples_and_classes_are_multiplied():
    of_classes = {label: 1 + label for label in range(10)}
    model = clf(batch_size=120, max_epochs=1, class_weight=of_classes).fit(
        X, Y, WEIGHTS
    )
    weights = WEIGHTS * (1 + Y)
    expected = (weights * model.training_loss_).sum() / weights.sum()
    assert model.history_[0]["train_loss"] == pytest.approx(expected, rel=1e-5)


def test_balanced_classes_are_so_by_weight():
    """A class that is rare by number, but not by weight, needs none."""
    y = np.repeat([0, 1], [100, 20])
    weights = np.where(y == 1, 5.0, 1.0)
    plain = clf().fit(X, y, weights)
    balanced = clf(class_weight="balanced").fit(X, y, weights)
    np.testing.assert_allclose(
        plain.predict_proba(X), balanced.predict_proba(X), atol=1e-4
    )


def test_weighted_kernel_ridge_is_that_of_repeated_samples():
    """At one penalty; with all samples as landmarks, whose order does not matter."""
    rng = np.random.default_rng(0)
    inputs = torch.tensor(rng.normal(size=(12, 2)), dtype=torch.float32)
    targets = torch.tensor(rng.normal(size=(12, 1)), dtype=torch.float32)
    times = torch.arange(12) % 3
    kept = times > 0
    generator = torch.Generator()

    def ridge(rows, weights=None):
        made = KernelRidge(inputs[rows], 2, 1.0, 8, generator.manual_seed(0), weights)
        made.fit(targets[rows])
        return made

    every = torch.arange(12)
    weighted = ridge(every, times.float())
    # Sums over repeated samples, in the same basis: that of the same landmarks.
    repeated = every.repeat_interleave(times)
    features = torch.cat([*weighted._features._parts()])
    gram = features[repeated].T @ features[repeated]
    np.testing.assert_allclose(gram, torch.diag(weighted._features.spectrum), atol=1e-3)
    np.testing.assert_allclose(features[repeated].mean(dim=0), np.zeros(8), atol=1e-5)
    # What has no weight is predicted as any new sample is.
    left_out = weighted.fit(targets)[~kept]
    values = kernel(inputs[~kept], weighted.landmarks, weighted.gamma, 2)
    predicted = values @ weighted.coefficients + weighted.intercept
    np.testing.assert_allclose(left_out, predicted, atol=1e-4)


def test_leave_one_out_of_weighted_ridge_is_by_hand():
    """The prediction for a sample is that of a fit in which its weight is 0."""
    rng = np.random.default_rng(1)
    inputs = torch.tensor(rng.normal(size=(15, 2)), dtype=torch.float32)
    targets = inputs.sin()
    weights = torch.rand(15, generator=torch.Generator().manual_seed(0)) + 0.5
    generator = torch.Generator()
    whole = KernelRidge(inputs, 2, 1.0, 6, generator.manual_seed(0), weights)
    left_out = whole.fit(targets)
    for i in (0, 7):
        without = weights.clone()
        without[i] = 0
        others = KernelRidge(inputs, 2, 1.0, 6, generator.manual_seed(0), without)
        np.testing.assert_allclose(others.fit(targets)[i], left_out[i], atol=0.02)


def test_losses_of_batches_are_weighted():
    logits = torch.randn(6, 2, 3, generator=torch.Generator().manual_seed(0))
    target, times = torch.tensor([0, 1, 2, 0, 1, 2]), torch.tensor([1, 2, 1, 3, 1, 1])
    rows = torch.arange(6).repeat_interleave(times)
    found = exchange_loss(logits, target, 1.0, weights=times.float())
    assert found.item() == pytest.approx(exchange_loss(logits[rows], target[rows], 1.0))
    found = cascade_loss(logits, target, times.float())
    assert found.item() == pytest.approx(cascade_loss(logits[rows], target[rows]))
    assert weighted_mean(torch.ones(2), torch.zeros(2)) == 0


@pytest.mark.parametrize(
    ("weights", "message"),
    [
        (np.ones(3), r"shape \(3,\) is not valid: it must be of shape \(120,\)"),
        (np.ones((120, 2)), r"shape \(120, 2\)"),
        (-np.ones(120), "holds -1.0 at index 0"),
        (np.full(120, np.nan), "holds nan at index 0"),
        (np.zeros(120), "all weights are zero"),
        (["a"] * 120, "must hold numbers"),
        (np.arange(120) == 3, "only one class|has 1 sample"),
        (np.where(Y == 3, 1.0, 0.0), "only one class"),
    ],
)
@pytest.mark.parametrize("make", [clf, lambda: co("coteaching")])
def test_bad_weights(make, weights, message):
    with pytest.raises(ValueError, match=message):
        make().fit(X, Y, sample_weight=weights)


def test_a_classifier_that_takes_no_weights():
    lda = LDA()
    for estimator in (LabelErrorDetector(lda), ContrastiveFineTuner(lda)):
        with pytest.raises(ValueError, match="sample_weight is not valid with estimat"):
            estimator.fit(X, Y, sample_weight=WEIGHTS)
    fitted = LogisticRegression().fit(X, Y)
    detector = LabelErrorDetector(fitted, cv="prefit")
    with pytest.raises(ValueError, match="no classifier is trained"):
        detector.fit(X, Y, sample_weight=WEIGHTS)


def test_by_epochs_they_are_those_of_fit():
    whole, parts = clf("elr").fit(X, Y, SOME), clf("elr")
    for _ in range(2):
        parts.partial_fit(X, Y, sample_weight=SOME)
    assert_same_weights(whole, parts)


def test_validation_is_drawn_from_what_has_a_weight():
    model = clf(validation=0.25).fit(X, Y, SOME)
    assert np.isnan(model.label_quality_).sum() == 30 + 23
    assert (SOME[model._held_rows] > 0).all()


@pytest.mark.parametrize("make", [clf, lambda **p: co("coteaching", **p)])
def test_scores_of_what_is_held_out_are_weighted(make):
    weights = np.where(Y < 5, 0.2, 5.0)
    model = make(validation=0.25).fit(X, Y, weights)
    held, row = model._held_rows, model.history_[-1]
    own = model.predict_proba(X[held])[np.arange(len(held)), Y[held]]
    loss = np.average(-np.log(own), weights=weights[held])
    assert row["valid_loss"] == pytest.approx(loss, rel=1e-3)
    accuracy = model.score(X[held], Y[held], weights[held])
    assert row["valid_acc"] == pytest.approx(accuracy)
    assert abs(accuracy - model.score(X[held], Y[held])) > 0.01


def test_refiner():
    refiner = PseudoLabelRefiner(
        clf(lr=0.1), warmup_epochs=1, n_iterations=1, first_stages=(1,), random_state=0
    )
    refiner.fit(X, Y, sample_weight=SOME)
    assert np.isnan(refiner.estimator_.label_quality_[:120]).sum() == 30
    assert len(refiner.labels_) == 120


def test_contrastive_fine_tuner():
    def tuner():
        supcon = SSLPretrainer("supcon", max_epochs=1, batch_size=40)
        return ContrastiveFineTuner(clf(max_epochs=5, lr=0.1), supcon, random_state=0)

    kept = SOME > 0
    model, alone = tuner().fit(X, Y, SOME), tuner().fit(X[kept], Y[kept], SOME[kept])
    np.testing.assert_array_equal(model.predict_proba(X), alone.predict_proba(X))
    np.testing.assert_array_equal(model.pseudo_labels_[~kept], Y[~kept])
    np.testing.assert_array_equal(np.isnan(model.clean_proba_), ~kept)


@pytest.mark.parametrize("routing", [False, True])
def test_detector_hands_them_on(routing):
    """To the last step of a pipeline, or to whatever requests them."""
    with config_context(enable_metadata_routing=routing):
        last = LogisticRegression(max_iter=200)
        scaler = StandardScaler()
        if routing:
            last.set_fit_request(sample_weight=True)
            scaler.set_fit_request(sample_weight=False)
        detector = LabelErrorDetector(make_pipeline(scaler, last), cv=3, random_state=0)
        plain = detector.fit(X, Y).pred_probs_
        weighted = detector.fit(X, Y, sample_weight=10 * WEIGHTS**4).pred_probs_
    assert not np.allclose(plain, weighted, atol=1e-3)


@pytest.mark.parametrize(
    "fit",
    [
        lambda: LabelErrorDetector(cv=3, random_state=0).fit(X, Y, WEIGHTS),
        lambda: LabelErrorDetector(random_state=0).fit(csr_array(X), Y, WEIGHTS),
        lambda: AnnotatorConsensus(clf(), cv=3, random_state=0).fit(
            X, np.stack([Y, Y], 1), sample_weight=WEIGHTS
        ),
        lambda: (
            LabelCleaningClassifier(LDA(), random_state=0)
            .fit(X, np.where(np.arange(120) == 5, 77, Y), groups=np.arange(120) // 2)
            .detector_
        ),
    ],
    ids=["folds", "sparse", "annotators", "a label that no other has"],
)
def test_routing_needs_no_request_of_the_last_step(fit):
    """Nobody could ask for what a classifier that is made within a fit is given."""
    plain = fit().pred_probs_
    with config_context(enable_metadata_routing=True):
        np.testing.assert_array_equal(fit().pred_probs_, plain)


def test_routing_leaves_what_was_said():
    """A request that was declined, and those of an ensemble, which routes itself."""
    with config_context(enable_metadata_routing=True):
        declining = clf().set_fit_request(sample_weight=False)
        asking = clf().set_fit_request(sample_weight=True)
        many = BaggingClassifier(asking, n_estimators=2, random_state=0)
        LabelErrorDetector(many, cv=2).fit(X, Y, sample_weight=WEIGHTS)
        with pytest.raises(TypeError, match="not routed to any object"):
            LabelErrorDetector(declining, cv=3).fit(X, Y, sample_weight=WEIGHTS)


def test_detector_by_dynamics_judges_what_has_no_weight():
    detector = LabelErrorDetector(clf("elr"), cv="dynamics", random_state=0)
    detector.fit(X, Y, sample_weight=SOME)
    assert np.isfinite(detector.label_quality_).all()
    assert np.isfinite(detector.error_probability_).all()


@pytest.mark.parametrize(
    "make", [clf, lambda: co("coteaching"), lambda: PseudoLabelRefiner(clf())]
)
def test_metadata_routing(make):
    with config_context(enable_metadata_routing=True):
        model = make().set_fit_request(sample_weight=True, trusted=False)
        model.set_score_request(sample_weight=False)
        if isinstance(model, PseudoLabelRefiner):
            model.set_params(warmup_epochs=1, n_iterations=0)
        ssl = SSLPretrainer(max_epochs=1, random_state=0)
        pipe = make_pipeline(ssl.set_fit_request(sample_weight=False), model)
        fitted = pipe.fit(X, Y, sample_weight=SOME)[-1]
        quality = getattr(fitted, "estimator_", fitted).label_quality_
        assert np.isnan(quality).sum() == 30
        params = {"sample_weight": SOME}
        found = cross_validate(model, X, Y, cv=2, params=params, return_estimator=True)
        for one in found["estimator"]:
            quality = getattr(one, "estimator_", one).label_quality_
            assert 0 < np.isnan(quality).sum() < 30
        name = "estimator__lr" if isinstance(model, PseudoLabelRefiner) else "lr"
        search = GridSearchCV(model, {name: [0.01, 0.1]}, cv=2)
        best = search.fit(X, Y, sample_weight=SOME).best_estimator_
        quality = getattr(best, "estimator_", best).label_quality_
        assert np.isnan(quality).sum() == 30
