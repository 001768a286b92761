"""Samples that are held out, or given, to see how a training goes."""

import numpy as np
import pytest
import torch
from nets import narrow
from sklearn.base import clone
from sklearn.datasets import load_digits
from sklearn.decomposition import PCA
from sklearn.metrics import log_loss
from sklearn.model_selection import GridSearchCV
from sklearn.pipeline import make_pipeline
from skorch.callbacks import Callback, EarlyStopping

from sknoisy import (
    Checkpoint,
    CoTrainingClassifier,
    LabelErrorDetector,
    NoisyRobustClassifier,
    PseudoLabelRefiner,
    SSLPretrainer,
)
from sknoisy.losses import LOSSES

X, Y = load_digits(return_X_y=True)
X = (X / 16).astype(np.float32)
X, XV, Y, YV = X[:120], X[120:180], Y[:120], Y[120:180]
NAMES = np.array([f"c{i}" for i in range(10)])


def clf(loss="elr", **params):
    params = {"batch_size": 60, "max_epochs": 3, "random_state": 0} | params
    return NoisyRobustClassifier(loss, "mlp", **params)


def co(method="dividemix", **params):
    params = {"batch_size": 40, "max_epochs": 3, "random_state": 0} | params
    return CoTrainingClassifier(method, "mlp", **params)


CLASSIFIERS = pytest.mark.parametrize("make", [clf, co])


def held_out(model):
    return np.isnan(model.label_quality_)


def assert_same_weights(one, other):
    assert one.state_dict_.keys() == other.state_dict_.keys()
    for name, values in one.state_dict_.items():
        np.testing.assert_array_equal(other.state_dict_[name], values)


def assert_scores(model, X, y, row=-1):
    probs = model.predict_proba(X).astype(float)
    probs /= probs.sum(axis=1, keepdims=True)
    row = model.history_[row]
    assert row["valid_acc"] == pytest.approx(model.score(X, y))
    loss = log_loss(y, probs, labels=model.classes_)
    assert row["valid_loss"] == pytest.approx(loss, rel=1e-3)


@CLASSIFIERS
def test_a_share_is_stratified_and_reproducible(make):
    y = np.repeat([0, 1, 2], [80, 30, 10])
    held = held_out(make(validation=0.2).fit(X, y))
    assert np.bincount(y[held]).tolist() == [16, 6, 2]
    np.testing.assert_array_equal(held, held_out(make(validation=0.2).fit(X, y)))
    other = held_out(make(validation=0.2, random_state=1).fit(X, y))
    assert (held != other).any()


@CLASSIFIERS
def test_what_is_held_out_has_no_part_in_the_training(make):
    held = held_out(make(validation=0.25).fit(X, Y))
    extreme = X.copy()
    extreme[held] *= 100  # which would set other moments
    part = make(validation=0.25).fit(extreme, Y)
    np.testing.assert_array_equal(held_out(part), held)
    alone = make().fit(X[~held], Y[~held])
    assert_same_weights(part, alone)
    np.testing.assert_array_equal(part.label_quality_[~held], alone.label_quality_)
    np.testing.assert_array_equal(part.training_loss_[~held], alone.training_loss_)
    assert np.isnan(part.training_loss_[held]).all()
    scored = make(validation=0.25).fit(X, Y)
    assert_scores(scored, X[held], Y[held])


@pytest.mark.parametrize("loss", sorted(LOSSES))
def test_no_loss_is_told_of_what_is_held_out(loss):
    part = clf(loss, validation=0.25).fit(X, Y)
    held = held_out(part)
    assert_same_weights(part, clf(loss).fit(X[~held], Y[~held]))


@pytest.mark.parametrize(
    "params",
    [{"class_weight": "balanced"}, {"regularizers": ["clustering"]}, {"views": "none"}],
)
def test_parameters_that_look_at_labels_or_samples(params):
    y = np.where(Y < 3, Y, 3)
    part = clf(validation=0.25, **params).fit(X, y)
    held = held_out(part)
    assert_same_weights(part, clf(**params).fit(X[~held], y[~held]))


def test_clean_proba_of_what_is_held_out_is_nan():
    model = co(validation=0.2).fit(X, Y)
    np.testing.assert_array_equal(np.isnan(model.clean_proba_), held_out(model))


@CLASSIFIERS
def test_other_samples_change_nothing(make):
    plain = make().fit(X, NAMES[Y])
    model = make(validation=(XV, NAMES[YV])).fit(X, NAMES[Y])
    assert_same_weights(plain, model)
    assert not held_out(model).any()
    assert_scores(model, XV, NAMES[YV])
    assert all("valid_loss" in row for row in model.history_)


def test_images_of_any_form(image_files, colour):
    paths, y = image_files
    images = colour[0]
    for train, other in [
        (images, images[:20]),
        (torch.from_numpy(images), torch.from_numpy(images[:20])),
        (paths, paths[:20]),
        (paths, paths[:20].tolist()),
    ]:
        size = 16 if train is paths else None
        for validation in ((other, y[:20]), 0.3):
            model = NoisyRobustClassifier(
                encoder=narrow,
                max_epochs=2,
                validation=validation,
                image_size=size,
                random_state=0,
            ).fit(train, y)
            held = held_out(model)
            if not held.any():
                held[:20] = True
            assert_scores(model, train[held], y[held])


def test_memmaps(tmp_path):
    mapped = np.memmap(tmp_path / "X", np.float32, "w+", shape=X.shape)
    mapped[:] = X
    model = clf(validation=0.2).fit(mapped, Y)
    held = held_out(model)
    assert_scores(model, X[held], Y[held])


@pytest.mark.parametrize("freeze", [False, True])
def test_lazy_features_and_frozen_encoders(freeze):
    ssl = SSLPretrainer(encoder="mlp", max_epochs=2, random_state=0).fit(X)
    features, others = ssl.transform(X), ssl.transform(XV)
    params = {"loss": "elr", "freeze_encoder": freeze, "head_epochs": 2}
    params |= {"max_epochs": 3, "random_state": 0}
    for validation in ((others, YV), (XV, YV)):
        model = NoisyRobustClassifier(validation=validation, **params)
        model.fit(features, Y)
        assert_scores(model, XV, YV)
        phases = [row["phase"] for row in model.history_]
        expected = ["head"] * 3 if freeze else ["head"] * 2 + ["all"] * 3
        assert phases == expected
        assert all("valid_acc" in row for row in model.history_)
    part = NoisyRobustClassifier(validation=0.25, **params).fit(features, Y)
    held = held_out(part)
    assert_scores(part, X[held], Y[held])
    alone = NoisyRobustClassifier(**params)
    assert_same_weights(part, alone.fit(features[~held], Y[~held]))


def test_in_a_pipeline_and_a_search():
    stop = EarlyStopping(patience=1, threshold=10.0)
    pipe = make_pipeline(PCA(16), clf(validation=0.2, callbacks=[stop]))
    name = "noisyrobustclassifier__"
    search = GridSearchCV(
        pipe, {f"{name}validation": [0.2, 0.3, None], f"{name}callbacks": [None]}, cv=2
    ).fit(X, Y)
    assert np.isfinite(search.cv_results_["mean_test_score"]).all()
    assert len(clone(pipe).fit(X, Y)[-1].history_) == 2


@CLASSIFIERS
def test_partial_fit_holds_out_the_same(make):
    whole, parts = make(validation=0.25).fit(X, Y), make(validation=0.25)
    for _ in range(3):
        parts.partial_fit(X, Y)
        np.testing.assert_array_equal(held_out(parts), held_out(whole))
    assert_same_weights(whole, parts)
    scores = [[row["valid_loss"] for row in m.history_] for m in (whole, parts)]
    assert scores[0] == scores[1]


def test_what_is_held_out_may_lose_its_label():
    """Later samples without a label or a weight are not scored, whatever they were."""
    model = clf("ce", validation=0.25, classes=range(10)).partial_fit(X, Y)
    (rows,) = np.nonzero(held_out(model))
    table = np.eye(10)[Y]
    table[rows[0]] = np.nan
    weights = np.ones(len(Y))
    weights[rows[1]] = 0
    model.partial_fit(X, table, sample_weight=weights)
    assert_scores(model, X[rows[2:]], Y[rows[2:]])
    weights[rows] = 0
    with pytest.raises(ValueError, match="none of the samples that validation holds"):
        model.partial_fit(X, Y, sample_weight=weights)


def test_in_a_refiner_it_keeps_its_labels_and_has_no_copies():
    seen = []

    class See(Callback):
        def on_epoch_end(self, net, dataset_train, dataset_valid, **kwargs):
            seen.append((len(dataset_train), dataset_valid.codes.tolist()))

    noisy = Y.copy()
    noisy[::3] = (Y[::3] + 1) % 10
    model = clf("ce", validation=0.25, callbacks=[See()])
    refiner = PseudoLabelRefiner(model, random_state=0).fit(X, noisy)
    held = refiner.estimator_._held_rows
    assert len(held) == 30 and refiner.refined_[held].any()
    assert all(codes == noisy[held].tolist() for _, codes in seen)
    others = np.setdiff1d(np.arange(120), held)
    assert max(n for n, _ in seen) <= 90 + refiner.refined_[others].sum()
    assert max(n for n, _ in seen) > 90


def test_in_a_refiner_other_samples_are_scored():
    model = clf("ce", validation=(XV, YV))
    refiner = PseudoLabelRefiner(model, n_iterations=1, random_state=0).fit(X, Y)
    assert_scores(refiner.estimator_, XV, YV)


def test_detection_by_dynamics_needs_all_samples():
    with pytest.raises(ValueError, match="validation=0.2 is not valid with cv='dyn"):
        LabelErrorDetector(clf(validation=0.2), cv="dynamics").fit(X, Y)
    LabelErrorDetector(clf(validation=(XV, YV)), cv="dynamics").fit(X, Y)


class PowerCut(Callback):
    def on_epoch_begin(self, net, **kwargs):
        if net.epochs_done == 2:
            raise RuntimeError("power cut")


@CLASSIFIERS
@pytest.mark.parametrize("validation", [0.25, (XV, YV)])
def test_a_checkpoint_goes_on(make, validation, tmp_path):
    whole = make(validation=validation).fit(X, Y)
    broken = make(validation=validation, callbacks=[Checkpoint(tmp_path), PowerCut()])
    with pytest.raises(RuntimeError, match="power cut"):
        broken.fit(X, Y)
    resumed = make(validation=validation, callbacks=[Checkpoint(tmp_path)]).fit(X, Y)
    assert_same_weights(whole, resumed)
    for name in ("valid_loss", "valid_acc", "train_loss"):
        assert [r[name] for r in resumed.history_] == [r[name] for r in whole.history_]


def test_without_a_seed_the_same_are_held_out():
    # Or a training that goes on from a file would be scored on what it has seen.
    held = [held_out(clf(validation=0.2, random_state=None).fit(X, Y)) for _ in "ab"]
    np.testing.assert_array_equal(*held)


def test_the_only_sample_of_a_class_is_trained_on():
    y = np.r_[[2], np.repeat([0, 1], [79, 40])]
    held = held_out(clf(validation=0.2).fit(X, y))
    assert not held[0] and np.bincount(y[held]).tolist() == [16, 8]


@CLASSIFIERS
@pytest.mark.parametrize(
    "validation, message",
    [
        (0.0, "validation=0.0 is not valid"),
        (1.0, "validation=1.0 is not valid"),
        (-0.1, "validation=-0.1 is not valid"),
        (True, "validation=True is not valid"),
        ("0.1", "validation='0.1' is not valid"),
        (np.nan, "validation=nan is not valid"),
        (0.01, "validation=0.01 is not valid: The test_size = 2 should be"),
        ((XV,), r"validation is not valid.* a pair \(X, y\), but it has 1"),
        ((XV, YV[:-1]), r"validation=\(X, y\) is not valid: Found input variables"),
        ((XV, None), r"validation=\(X, y\) is not valid: .* requires y"),
        ((XV, YV + 5), r"validation=\(X, y\) is not valid: y holds labels that are"),
        ((XV[:, 1:], YV), r"validation=\(X, y\) is not valid: X has 63 features"),
        ((XV * np.nan, YV), r"validation=\(X, y\) is not valid: Input X contains NaN"),
        ((XV[:0], YV[:0]), r"validation=\(X, y\) is not valid"),
    ],
)
def test_bad_values_are_named_before_training(make, validation, message):
    class Begun(Callback):
        def on_train_begin(self, net, **kwargs):
            raise AssertionError("it has begun")

    with pytest.raises(ValueError, match=message):
        make(validation=validation, callbacks=[Begun()]).fit(X, Y)
