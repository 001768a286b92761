"""Each of skorch's callbacks that is said to work does what it is for."""

import copy
import json
import pickle
import re
import signal
from contextlib import suppress
from functools import partial
from pathlib import Path

import numpy as np
import pytest
import torch
from sklearn.datasets import load_digits
from sklearn.metrics import accuracy_score, log_loss, make_scorer, roc_auc_score
from sklearn.model_selection import GridSearchCV
from skorch.callbacks import (
    BatchScoring,
    Callback,
    EarlyStopping,
    EpochScoring,
    EpochTimer,
    Freezer,
    GradientNormClipping,
    Initializer,
    InputShapeSetter,
    LoadInitState,
    LRScheduler,
    MlflowLogger,
    NeptuneLogger,
    PassthroughScoring,
    PrintLog,
    ProgressBar,
    SacredLogger,
    TensorBoard,
    TrainEndCheckpoint,
    Unfreezer,
    WandbLogger,
)
from skorch.callbacks import Checkpoint as SkorchCheckpoint
from skorch.callbacks.training import ParamMapper
from torch.optim.lr_scheduler import (
    CosineAnnealingLR,
    CyclicLR,
    ExponentialLR,
    OneCycleLR,
    ReduceLROnPlateau,
    StepLR,
)

from sknoisy import (
    Checkpoint,
    CoTrainingClassifier,
    NoisyRobustClassifier,
    SSLPretrainer,
)
from sknoisy.training import StopTraining
from sknoisy.training.callbacks import WORKING

X, Y = load_digits(return_X_y=True)
X = (X / 16).astype(np.float32)
X, XV, Y, YV = X[:120], X[120:180], Y[:120], Y[120:180]
NAMES = np.array([f"c{i}" for i in range(10)])
BATCHES = 3  # in an epoch of 120 samples at batch size 40


def clf(*callbacks, **params):
    params = {"batch_size": 40, "max_epochs": 4, "random_state": 0} | params
    return NoisyRobustClassifier(
        "ce", "mlp", views="none", callbacks=[*callbacks], **params
    )


def co(*callbacks, method="coteaching", **params):
    params = {"batch_size": 40, "max_epochs": 4, "random_state": 0} | params
    return CoTrainingClassifier(
        method, "mlp", views="none", callbacks=[*callbacks], **params
    )


def ssl(*callbacks, **params):
    params = {"batch_size": 40, "max_epochs": 4, "random_state": 0} | params
    return SSLPretrainer(encoder="mlp", callbacks=[*callbacks], **params)


CLASSIFIERS = pytest.mark.parametrize("make", [clf, co])
ALL = pytest.mark.parametrize("make", [clf, co, ssl])


class Rates(Callback):
    """The rate of each step."""

    def on_train_begin(self, net, **kwargs):
        if not net.history:
            self.rates_ = []

    def on_grad_computed(self, net, named_parameters, **kwargs):
        self.rates_.append(net.optimizer_.param_groups[0]["lr"])


class Weights(Callback):
    """The weights after each epoch, and before the first."""

    def on_train_begin(self, net, **kwargs):
        self.weights_ = [self.of(net)]

    def on_epoch_end(self, net, **kwargs):
        self.weights_.append(self.of(net))

    def of(self, net):
        return {n: p.detach().clone() for n, p in net.get_all_learnable_params()}

    def changed(self, epoch):
        before, after = self.weights_[epoch - 1 : epoch + 1]
        return {name for name in after if not before[name].equal(after[name])}


# ------------------------------------------------------------------ LRScheduler


def by_pytorch(policy, settings, every, lr, n_epochs=4):
    weight = torch.nn.Parameter(torch.zeros(1))
    optimizer = torch.optim.SGD([weight], lr, momentum=0.9)
    scheduler, rates = policy(optimizer, **settings), []
    for _ in range(n_epochs):
        for _ in range(BATCHES):
            rates.append(optimizer.param_groups[0]["lr"])
            optimizer.step()
            if every == "batch":
                scheduler.step()
        if every == "epoch":
            scheduler.step()
    return rates


POLICIES = [
    (StepLR, {"step_size": 1, "gamma": 0.1}, "epoch"),
    (ExponentialLR, {"gamma": 0.5}, "epoch"),
    (CosineAnnealingLR, {"T_max": 4}, "epoch"),
    (CosineAnnealingLR, {"T_max": 12}, "batch"),
    (OneCycleLR, {"max_lr": 0.1, "total_steps": 13}, "batch"),
    (CyclicLR, {"base_lr": 0.01, "max_lr": 0.1, "step_size_up": 4}, "batch"),
]


@ALL
@pytest.mark.parametrize("policy, settings, every", POLICIES)
def test_rates_are_those_of_the_scheduler(make, policy, settings, every):
    rates = Rates()
    schedule = LRScheduler(policy, step_every=every, **settings)
    est = make(schedule, rates, schedule="constant", lr=0.02, optimizer="sgd")
    est.fit(X, Y)
    expected = by_pytorch(policy, settings, every, lr=0.02)
    np.testing.assert_allclose(rates.rates_, expected, rtol=1e-6)
    last = [row["lr"] for row in est.history_]
    np.testing.assert_allclose(last, expected[BATCHES - 1 :: BATCHES], rtol=1e-6)


@pytest.mark.parametrize("name", ["StepLR", "WarmRestartLR"])
def test_a_scheduler_by_name(name):
    settings = {"step_size": 2, "gamma": 0.5} if name == "StepLR" else {"max_lr": 0.04}
    est = clf(LRScheduler(name, **settings), schedule="constant").fit(X, Y)
    rates = [row["lr"] for row in est.history_]
    assert rates == [row["event_lr"] for row in est.history_]
    assert rates[0] == (0.02 if name == "StepLR" else 0.04) and rates[3] < rates[0]


@pytest.mark.parametrize("monitor", ["train_loss", "valid_loss", "own"])
@CLASSIFIERS
def test_a_plateau_is_one_of_the_monitored_value(make, monitor):
    own = {"own": lambda net: -net.history[-1, "valid_acc"]}
    plateau = LRScheduler(
        ReduceLROnPlateau, monitor=own.get(monitor, monitor), patience=0, factor=0.1
    )
    est = make(plateau, schedule="constant", validation=0.3, lr=0.3, max_epochs=8)
    est.fit(X, Y)
    optimizer = torch.optim.SGD([torch.nn.Parameter(torch.zeros(1))], 0.3)
    alone, rates = ReduceLROnPlateau(optimizer, patience=0, factor=0.1), []
    for row in est.history_:
        rates.append(optimizer.param_groups[0]["lr"])
        alone.step(-row["valid_acc"] if monitor == "own" else row[monitor])
    np.testing.assert_allclose([row["lr"] for row in est.history_], rates)


@pytest.mark.parametrize("policy, settings, every", [*POLICIES[:2], POLICIES[4]])
def test_a_scheduler_goes_on_in_partial_fit(policy, settings, every):
    rates = Rates()
    schedule = LRScheduler(policy, step_every=every, **settings)
    est = clf(schedule, rates, schedule="constant")
    for _ in range(4):
        est.partial_fit(X, Y)
    expected = by_pytorch(policy, settings, every, lr=0.02)
    np.testing.assert_allclose(rates.rates_, expected, rtol=1e-6)


class PowerCut(Callback):
    def on_epoch_begin(self, net, **kwargs):
        if net.epochs_done == 2:
            raise RuntimeError("power cut")


@pytest.mark.parametrize("policy, settings, every", [POLICIES[0], POLICIES[4]])
def test_a_scheduler_goes_on_from_a_checkpoint(policy, settings, every, tmp_path):
    def make(*others):
        schedule = LRScheduler(policy, step_every=every, **settings)
        return clf(schedule, *others, schedule="constant")

    whole = make().fit(X, Y)
    with pytest.raises(RuntimeError, match="power cut"):
        make(Checkpoint(tmp_path), PowerCut()).fit(X, Y)
    resumed = make(Checkpoint(tmp_path)).fit(X, Y)
    assert [r["lr"] for r in resumed.history_] == [r["lr"] for r in whole.history_]
    for name, values in whole.state_dict_.items():
        np.testing.assert_array_equal(resumed.state_dict_[name], values)


@ALL
@pytest.mark.parametrize("schedule", ["cosine", "steps"])
def test_two_schedules_are_refused(make, schedule):
    est = make(("named", LRScheduler(StepLR, step_size=1)), schedule=schedule)
    with pytest.raises(ValueError, match=r"schedule=.*=\[LRScheduler\]: both set"):
        est.fit(X, Y)


def test_a_rising_rate_beside_a_scheduler_is_refused():
    step = LRScheduler(StepLR, step_size=1)
    est = ssl(step, schedule="constant", max_epochs=20)
    with pytest.raises(ValueError, match="lr_warmup_epochs=2 is not valid with"):
        est.fit(X)
    est.set_params(lr_warmup_epochs=0, max_epochs=2).fit(X)
    assert [row["lr"] for row in est.history_] == pytest.approx([0.4, 0.04])


# ---------------------------------------------------------------- EarlyStopping


def noisy_validation():
    return XV, np.random.default_rng(0).permutation(YV)


@ALL
def test_early_stopping_on_the_training_loss(make):
    stop = EarlyStopping("train_loss", patience=2, threshold=10.0)
    est = make(stop, max_epochs=20).fit(X, Y)
    losses = [row["train_loss"] for row in est.history_]
    assert 3 <= len(losses) < 20
    assert stop.misses_ == 2


@CLASSIFIERS
@pytest.mark.parametrize("load_best", [False, True])
def test_early_stopping_on_the_validation_loss(make, load_best):
    X_valid, y_valid = noisy_validation()
    stop = EarlyStopping(patience=2, load_best=load_best)
    est = make(stop, validation=(X_valid, y_valid), max_epochs=50, lr=0.1).fit(X, Y)
    losses = [row["valid_loss"] for row in est.history_]
    assert len(losses) == np.argmin(losses) + 3
    loss = log_loss(y_valid, est.predict_proba(X_valid).astype(float))
    kept = min(losses) if load_best else losses[-1]
    assert loss == pytest.approx(kept, rel=1e-4)


def test_early_stopping_on_a_score():
    score = EpochScoring("f1_macro", lower_is_better=False, name="f1")
    stop = EarlyStopping("f1", lower_is_better=False, patience=1, threshold=10.0)
    est = clf(score, stop, validation=0.2, max_epochs=20).fit(X, Y)
    assert len(est.history_) == 2


# ------------------------------------------------------- StopTraining and Ctrl-C


class StopAt(Callback):
    def __init__(self, epoch, error):
        self.epoch = epoch
        self.error = error

    def on_epoch_end(self, net, **kwargs):
        if net.history[-1, "epoch"] == self.epoch:
            raise self.error


@ALL
def test_a_callback_that_stops_ends_the_training_and_all_hear(make):
    weights = Weights()
    est = make(StopAt(2, StopTraining), weights).fit(X, Y)
    assert len(est.history_) == 2 and len(weights.weights_) == 3


@ALL
@pytest.mark.parametrize("event", ["on_train_begin", "on_batch_begin", "on_batch_end"])
def test_whenever_a_callback_stops_the_epoch_is_finished(make, event):
    def stop(self, net, **kwargs):
        raise StopTraining

    est = make(type("Stop", (Callback,), {event: stop})()).fit(X, Y)
    assert len(est.history_) == 1


@ALL
@pytest.mark.parametrize("error", [KeyboardInterrupt, ValueError("mine")])
def test_ctrl_c_and_errors_in_a_callback_are_raised(make, error):
    ended = []

    class End(Callback):
        def on_train_end(self, net, **kwargs):
            ended.append(1)

    stop = EarlyStopping("train_loss", patience=10)  # does not ask yet
    est = make(End(), stop, StopAt(2, error))
    with pytest.raises(KeyboardInterrupt if error is KeyboardInterrupt else ValueError):
        est.fit(X, Y)
    assert ended
    assert hasattr(est, "history_") == (error is KeyboardInterrupt)


def test_ctrl_c_while_early_stopping_writes_is_raised():
    # Its own sink is interrupted: the stop that it asks for comes later.
    def interrupted(text):
        raise KeyboardInterrupt

    log = PrintLog(sink=interrupted)
    with pytest.raises(KeyboardInterrupt):
        clf(EarlyStopping("train_loss"), log).fit(X, Y)


class Swallow(Callback):
    """Presses Ctrl-C where it is dropped, as C code may drop it."""

    def __init__(self, event, epoch):
        self.event = event
        self.epoch = epoch

    def press(self, event, net):
        if event == self.event and net.epochs_done == self.epoch:
            with suppress(KeyboardInterrupt):
                signal.raise_signal(signal.SIGINT)

    def on_train_begin(self, net, **kwargs):
        self.press("train_begin", net)

    def on_batch_end(self, net, **kwargs):
        self.press("batch_end", net)

    def on_epoch_end(self, net, **kwargs):
        self.press("epoch_end", net)


@pytest.mark.parametrize(
    ("event", "epoch", "done"),
    [("train_begin", 0, 0), ("batch_end", 1, 1), ("epoch_end", 2, 2)],
)
def test_a_ctrl_c_that_is_lost_is_noticed(event, epoch, done):
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    try:
        est = clf(Swallow(event, epoch), max_epochs=5)
        with pytest.raises(KeyboardInterrupt):
            est.fit(X, Y)
        assert signal.getsignal(signal.SIGINT) is signal.default_int_handler
        clf(max_epochs=2).fit(X, Y)  # it is forgotten
    finally:
        signal.signal(signal.SIGINT, before)
    assert len(getattr(est, "history_", ())) == done


def test_another_handler_of_ctrl_c_stays():
    def mine(number, frame):
        heard.append(number)

    heard, before = [], signal.signal(signal.SIGINT, mine)
    try:
        clf(Swallow("epoch_end", 1), max_epochs=2).fit(X, Y)
        assert signal.getsignal(signal.SIGINT) is mine
    finally:
        signal.signal(signal.SIGINT, before)
    assert heard == [signal.SIGINT]


def test_what_went_wrong_first_is_told():
    class Bad(Callback):
        def on_train_begin(self, net, **kwargs):
            raise RuntimeError("first")

        def on_train_end(self, net, **kwargs):
            raise RuntimeError("second")

    with pytest.raises(RuntimeError, match="first"):
        clf(Bad(), EarlyStopping("train_loss", load_best=True)).fit(X, Y)


# ---------------------------------------------------------------------- scoring


def plain_accuracy(net, X, y):
    return float((net.predict(X) == y).mean())


SCORINGS = [
    ("accuracy", accuracy_score, "predict"),
    ("neg_log_loss", lambda y, p: -log_loss(y, p, labels=range(10)), "predict_proba"),
    (
        "roc_auc_ovr",
        partial(roc_auc_score, multi_class="ovr", labels=range(10)),
        "predict_proba",
    ),
    (make_scorer(accuracy_score), accuracy_score, "predict"),
    (accuracy_score, accuracy_score, "predict"),
    (plain_accuracy, accuracy_score, "predict"),
    (None, accuracy_score, "predict"),
]


@CLASSIFIERS
@pytest.mark.parametrize("use_caching", [True, False])
def test_scores_of_validation_samples_are_scikit_learns(make, use_caching):
    scores = [
        EpochScoring(scoring, use_caching=use_caching, name=f"s{i}")
        for i, (scoring, _, _) in enumerate(SCORINGS)
    ]
    est = make(*scores, validation=(XV, NAMES[YV])).fit(X, NAMES[Y])
    for i, (_, metric, method) in enumerate(SCORINGS):
        if method == "predict":
            expected = metric(NAMES[YV], est.predict(XV))
        else:
            probs = est.predict_proba(XV).astype(float)
            expected = metric(YV, probs / probs.sum(axis=1, keepdims=True))
        assert est.history_[-1][f"s{i}"] == pytest.approx(expected, rel=1e-5)
    assert est.history_[-1]["s0"] == pytest.approx(est.history_[-1]["valid_acc"])


@CLASSIFIERS
def test_scores_of_training_samples_are_scikit_learns(make):
    after = EpochScoring("accuracy", on_train=True, use_caching=False, name="after")
    on_way = EpochScoring("accuracy", on_train=True, name="on_way")
    est = make(after, on_way).fit(X, Y)
    assert est.history_[-1]["after"] == pytest.approx(est.score(X, Y))
    assert est.history_[0]["on_way"] < est.history_[-1]["on_way"] <= 1


def test_scores_on_the_way_are_those_of_the_batches():
    class Collect(Callback):
        def on_train_begin(self, net, **kwargs):
            self.right_ = []

        def on_batch_end(self, net, batch, training, y_pred, **kwargs):
            if training:
                samples, codes = batch
                assert samples.shape == (40, 64) and y_pred.shape == (40, 10)
                self.right_ += (y_pred.argmax(dim=1) == codes).tolist()

    collect = Collect()
    epoch = EpochScoring("accuracy", on_train=True, name="by_epoch")
    batch = BatchScoring("accuracy", on_train=True, name="by_batch")
    est = clf(collect, epoch, batch, max_epochs=2).fit(X, Y)
    for name in ("by_epoch", "by_batch"):
        by_hand = np.reshape(collect.right_, (2, -1)).mean(axis=1)
        assert [row[name] for row in est.history_] == pytest.approx(by_hand)


@CLASSIFIERS
@pytest.mark.parametrize("use_caching", [True, False])
def test_batch_scores_of_validation_samples(make, use_caching):
    score = BatchScoring("accuracy", use_caching=use_caching, lower_is_better=False)
    est = make(score, validation=(XV, YV)).fit(X, Y)
    assert est.history_[-1]["accuracy"] == pytest.approx(est.score(XV, YV))
    best = max(row["accuracy"] for row in est.history_)
    flags = [row["accuracy_best"] for row in est.history_]
    assert est.history_[flags.index(True, 0)] and isinstance(flags[0], bool)
    assert best == [r["accuracy"] for r in est.history_ if r["accuracy_best"]][-1]


def test_scoring_changes_nothing():
    scores = [
        EpochScoring("accuracy", on_train=True, use_caching=False),
        BatchScoring("accuracy", on_train=True, use_caching=False, name="batch"),
        EpochScoring("accuracy", name="valid"),
    ]
    for make in (clf, partial(co, method="dividemix")):
        plain = make(validation=(XV, YV)).fit(X, Y)
        scored = make(*map(copy.deepcopy, scores), validation=(XV, YV)).fit(X, Y)
        for name, values in plain.state_dict_.items():
            np.testing.assert_array_equal(scored.state_dict_[name], values)


@CLASSIFIERS
def test_batch_values_pass_through(make):
    train = PassthroughScoring("train_loss", on_train=True)
    valid = PassthroughScoring("valid_loss")
    plain = make(validation=0.3).fit(X, Y)
    est = make(train, valid, validation=0.3).fit(X, Y)
    # The second without a listener to batches, which are recorded all the same.
    alone = make(copy.deepcopy(train)).fit(X, Y)
    for name in ("train_loss", "valid_loss"):
        expected = [row[name] for row in plain.history_]
        assert [row[name] for row in est.history_] == pytest.approx(expected, rel=1e-5)
    assert alone.history_[0]["train_loss"] > 0


def test_scores_of_a_frozen_encoder_and_of_images():
    images, images_valid = X.reshape(-1, 8, 8), XV.reshape(-1, 8, 8)
    score = EpochScoring("accuracy", use_caching=False)
    for params in ({"freeze_encoder": True}, {"views": "auto"}):
        est = NoisyRobustClassifier(
            max_epochs=3,
            validation=(images_valid, YV),
            callbacks=[score],
            random_state=0,
            **params,
        ).fit(images, Y)
        accuracy = est.score(images_valid, YV)
        assert est.history_[-1]["accuracy"] == pytest.approx(accuracy)


def test_a_score_of_features():
    def spread(net, X, y):
        assert y is None
        features = net.predict(X)
        assert len(features) == len(X) == 120 and features.ndim == 2
        return float(features.std())

    est = ssl(EpochScoring(spread, on_train=True)).fit(X)
    features = np.asarray(est.transform(X))
    assert est.history_[-1]["spread"] == pytest.approx(features.std(), rel=1e-4)


def test_data_sets_are_skorchs():
    class Look(Callback):
        def on_epoch_end(self, net, dataset_train, dataset_valid, **kwargs):
            assert len(dataset_train) == 120 and len(dataset_valid) == 60
            samples, codes = zip(*dataset_valid, strict=True)
            np.testing.assert_allclose(torch.stack(samples), XV, rtol=1e-6)
            assert torch.stack(codes).tolist() == YV.tolist()
            assert net.predict(XV).shape == (60,)
            with pytest.raises(IndexError):
                dataset_train[120]

    clf(Look(), validation=(XV, YV)).fit(X, Y)


# ------------------------------------------------------------------ checkpoints


@CLASSIFIERS
@pytest.mark.parametrize("safe", [False, True])
def test_a_checkpoint_of_skorch_restores_the_best(make, safe, tmp_path):
    if safe:
        pytest.importorskip("safetensors")
    X_valid, y_valid = noisy_validation()
    files = {"f_optimizer": None, "f_criterion": None} if safe else {}
    best = SkorchCheckpoint(
        dirname=str(tmp_path), load_best=True, use_safetensors=safe, **files
    )
    est = make(best, validation=(X_valid, y_valid), max_epochs=12, lr=0.1).fit(X, Y)
    losses = [row["valid_loss"] for row in est.history_]
    assert np.argmin(losses) < 11  # or nothing is to be restored
    loss = log_loss(y_valid, est.predict_proba(X_valid).astype(float))
    assert loss == pytest.approx(min(losses), rel=1e-4)
    events = [row["event_cp"] for row in est.history_]
    assert np.flatnonzero(events)[-1] == np.argmin(losses)
    assert len(json.loads((tmp_path / "history.json").read_text())) == (
        np.argmin(losses) + 1
    )
    if not safe:
        params = torch.load(tmp_path / "params.pt", weights_only=True)
        for name, values in est.state_dict_.items():
            np.testing.assert_array_equal(params[name], values)


@ALL
@pytest.mark.parametrize(
    "monitor", [None, "train_loss_best", lambda net: len(net.history) == 2]
)
def test_what_a_checkpoint_of_skorch_monitors(make, monitor, tmp_path):
    name = "epoch{last_epoch[epoch]}-{last_batch[train_batch_size]}.pt"
    cp = SkorchCheckpoint(monitor, f_params=name, dirname=str(tmp_path))
    est = make(cp).fit(X, Y)
    written = [i + 1 for i, row in enumerate(est.history_) if row["event_cp"]]
    assert {1: [2], 4: [1, 2, 3, 4]}.get(len(written), written) == written
    for epoch in written:
        assert (tmp_path / f"epoch{epoch}-40.pt").exists()


@ALL
def test_a_checkpoint_at_the_end(make, tmp_path):
    est = make(TrainEndCheckpoint(dirname=str(tmp_path))).fit(X, Y)
    params = torch.load(tmp_path / "train_end_params.pt", weights_only=True)
    if make is ssl:
        state = {f"encoder.{k}": v for k, v in est.encoder_.state.items()}
    else:
        state = est.state_dict_
    for name, values in state.items():
        np.testing.assert_array_equal(params[name], values)
    assert (tmp_path / "train_end_history.json").exists()


def test_the_state_of_a_loss_is_saved(tmp_path):
    best = SkorchCheckpoint("train_loss_best", dirname=str(tmp_path), load_best=True)
    est = clf(best).set_params(loss="elr").fit(X, Y)
    saved = torch.load(tmp_path / "criterion.pt", weights_only=True)
    assert {*saved} == {*est.loss_state_}
    for name, values in est.loss_state_.items():
        np.testing.assert_array_equal(saved[name], values)


# ------------------------------------------------------------- named parameters


@ALL
def test_frozen_weights_stay(make):
    weights = Weights()
    make(Freezer("*encoder.*"), weights).fit(X, Y)
    for epoch in range(1, 5):
        changed = weights.changed(epoch)
        assert changed and not any("encoder." in name for name in changed)


def test_freezing_and_thawing_at_an_epoch():
    weights = Weights()
    freeze = Freezer(["encoder.*", "head.bias"], at=2)
    clf(freeze, Unfreezer(lambda name: name == "head.bias", at=3), weights).fit(X, Y)
    assert "head.bias" in weights.changed(1) and len(weights.changed(1)) > 2
    assert weights.changed(2) == {"head.weight"}
    assert weights.changed(3) == weights.changed(4) == {"head.weight", "head.bias"}


@pytest.mark.parametrize("optimizer", ["sgd", "momentum", "lars", "adamw"])
def test_thawing_at_an_epoch_after_fit(optimizer):
    weights, thaw = Weights(), Unfreezer("encoder.*", at=4)
    est = clf(Freezer("encoder.*"), thaw, weights, max_epochs=2, optimizer=optimizer)
    est.fit(X, Y)
    seen = []
    for _ in range(3):
        before = est.encoder_.state
        after = est.partial_fit(X, Y).encoder_.state
        seen.append(
            any(
                name.endswith("weight")
                and not np.array_equal(before[name], after[name])
                for name in before
            )
        )
    assert seen == [False, True, True]


def test_frozen_weights_thaw_without_the_callback():
    est = clf(Freezer("encoder.*"), max_epochs=1).fit(X, Y)
    before = est.encoder_.state
    est.set_params(callbacks=None).partial_fit(X, Y)
    after = est.encoder_.state
    assert any(not np.array_equal(before[name], after[name]) for name in before)


@pytest.mark.parametrize("params", [{}, {"freeze_encoder": True}])
def test_names_are_those_of_the_whole_network(params):
    weights = Weights()
    clf(Freezer("head.bias"), weights, **params).fit(X, Y)
    assert "head.weight" in weights.changed(1)
    assert "head.bias" not in weights.changed(1)
    expected = r"head\." if params else r"(encoder|head)\."
    assert all(re.match(expected, name) for name in weights.weights_[0])


@pytest.mark.parametrize("params", [{}, {"freeze_encoder": True}])
def test_names_of_several_networks(params):
    weights = Weights()
    co(Freezer("networks.0.head.*"), weights, **params).fit(X, Y)
    changed = weights.changed(1)
    assert "networks.1.head.weight" in changed
    assert not any(name.startswith("networks.0.head.") for name in changed)


def test_names_with_regularisers():
    weights = Weights()
    est = clf(Freezer("encoder.*"), weights, regularizers=["clustering"])
    est.fit(X, Y)
    changed = weights.changed(1)
    assert "head.weight" in changed
    assert not any(name.startswith("encoder.") for name in changed)


@ALL
def test_initial_weights(make):
    constant = partial(torch.nn.init.constant_, val=0.01)
    weights = Weights()
    bias = "*head.bias" if make is not ssl else "encoder.*bias"
    make(Initializer(bias, fn=constant), weights, lr=1e-12).fit(X, Y)
    names = [n for n in weights.weights_[1] if re.search("head.bias|^encoder.*bias", n)]
    names = [n for n in names if make is ssl or "head" in n]
    assert names
    for name in names:
        np.testing.assert_allclose(weights.weights_[1][name], 0.01, atol=1e-6)


def test_mapped_parameters():
    def schedule(net):
        return lambda p: p.data.fill_(len(net.history))

    weights = Weights()
    clf(ParamMapper("head.*", schedule=schedule), weights, lr=1e-12).fit(X, Y)
    for epoch in range(1, 5):
        np.testing.assert_allclose(weights.weights_[epoch]["head.weight"], epoch)


@ALL
def test_all_frozen_is_said(make):
    with pytest.raises(ValueError, match="frozen all of the network's weights"):
        make(Freezer("*")).fit(X, Y)


@ALL
def test_a_pattern_that_matches_nothing_is_refused(make):
    heard = Rates()
    with pytest.raises(ValueError, match=r"Freezer.* 'encodr\.\*', which matches none"):
        make(Freezer("encodr.*"), heard).fit(X, Y)
    assert not hasattr(heard, "rates_")


def test_patterns_of_a_network_without_weights():
    kernel = NoisyRobustClassifier(callbacks=[Freezer("encoder.*")])
    with pytest.raises(ValueError, match="which matches none .* it has none"):
        kernel.fit(X, Y)


@ALL
def test_gradients_are_clipped(make):
    class Norm(Callback):
        def on_train_begin(self, net, **kwargs):
            self.norms_ = []

        def on_grad_computed(self, net, named_parameters, **kwargs):
            grads = [p.grad for _, p in named_parameters if p.grad is not None]
            squares = sum(float(g.square().sum()) for g in grads)
            self.norms_.append(squares**0.5)

    free, clipped = Norm(), Norm()
    make(free).fit(X, Y)
    make(GradientNormClipping(0.01), clipped).fit(X, Y)
    assert max(free.norms_) > 0.02
    np.testing.assert_allclose(clipped.norms_, 0.01, rtol=0.01)


# ---------------------------------------------------------------------- loggers


@ALL
def test_a_table_is_printed(make, capsys):
    est = make(PrintLog()).fit(X, Y)
    lines = capsys.readouterr().out.splitlines()
    assert len(lines) == 6 and "train_loss" in lines[0]
    last = re.sub(r"\x1b\[\d+m", "", lines[-1]).split()
    assert last[0] == "4" and f"{est.history_[-1]['train_loss']:.4f}" in last
    make(PrintLog(), verbose=False).fit(X, Y)
    assert "train_loss" not in capsys.readouterr().out


def test_a_table_with_validation_and_a_sink():
    lines = []
    score = EpochScoring("f1_macro", lower_is_better=False)
    clf(PrintLog(sink=lines.append), score, validation=0.2).fit(X, Y)
    for name in ("train_loss", "valid_loss", "valid_acc", "f1_macro", "lr", "dur"):
        assert name in lines[0]


@ALL
def test_the_timer(make):
    est = make(EpochTimer()).fit(X, Y)
    assert all(0 < row["dur"] < 60 for row in est.history_)


@ALL
@pytest.mark.parametrize("batches", ["auto", "count", 3])
def test_the_progress_bar(make, batches, capsys):
    params = {} if make is ssl else {"validation": (XV, YV)}
    bar = ProgressBar(batches)
    make(bar, **params).fit(X, Y)
    n_batches = BATCHES + (make is not ssl)
    assert bar.pbar_.n == n_batches
    assert bar.pbar_.total == (3 if batches == 3 else n_batches)
    assert "_loss" in bar.pbar_.postfix
    assert "it/s" in capsys.readouterr().err


class Writer:
    def __init__(self):
        self.scalars, self.closed = {}, False

    def add_scalar(self, tag, scalar_value, global_step):
        self.scalars.setdefault(tag, []).append(scalar_value)

    def close(self):
        self.closed = True


@ALL
@pytest.mark.parametrize("close", [True, False])
def test_tensorboard(make, close):
    writer = Writer()
    params = {} if make is ssl else {"validation": 0.2}
    board = TensorBoard(writer, close_after_train=close)
    est = make(board, **params).fit(X, Y)
    assert writer.closed == close
    for tag, name in {"Loss/train_loss": "train_loss", "lr": "lr"}.items():
        assert writer.scalars[tag] == [row[name] for row in est.history_]
    assert ("Loss/valid_acc" in writer.scalars) == (make is not ssl)


class Record(dict):
    """Keeps what it is called with, as clients of tracking services are called."""

    def __init__(self, folder=None):
        self.info, self.run_id, self.dir = self, "1", folder

    def __getattr__(self, name):
        if name.startswith("__"):
            raise AttributeError(name)
        return lambda *args, **kw: self.setdefault(name, []).append((args, kw))


@ALL
@pytest.mark.parametrize("artifacts", [True, False])
def test_mlflow(make, artifacts):
    client = Record()
    log = MlflowLogger(
        run=Record(),
        client=client,
        create_artifact=artifacts,
        log_on_batch_end=True,
    )
    est = make(log).fit(X, Y)
    logged = [args[2] for args, _ in client["log_metric"] if args[1] == "lr_epoch"]
    assert logged == [row["lr"] for row in est.history_]
    batches = [a for a, _ in client["log_metric"] if a[1] == "train_loss_batch"]
    assert len(batches) == 12
    files = [args[1].name for args, _ in client.get("log_artifact", [])]
    assert files == artifacts * [
        "params.pth",
        "optimizer.pth",
        "criterion.pth",
        "history.json",
    ]
    assert len(client["set_terminated"]) == 1


@ALL
def test_sacred(make):
    experiment = Record()
    est = make(SacredLogger(experiment, log_on_batch_end=True)).fit(X, Y)
    logged = {}
    for args, _ in experiment["log_scalar"]:
        logged.setdefault(args[0], []).append(args[1])
    assert logged["lr_epoch"] == [row["lr"] for row in est.history_]
    assert len(logged["train_loss_batch"]) == 12


@CLASSIFIERS
def test_wandb_keeps_the_best(make, tmp_path):
    X_valid, y_valid = noisy_validation()
    run = Record(tmp_path)
    est = make(WandbLogger(run), validation=(X_valid, y_valid), max_epochs=8, lr=0.1)
    est.fit(X, Y)
    rows = [args[0] for args, _ in run["log"]]
    assert [r["valid_loss"] for r in rows] == [r["valid_loss"] for r in est.history_]
    assert len(run["watch"]) == 1
    weights = Weights()
    stop = StopAt(1 + np.argmin([r["valid_loss"] for r in rows]), StopTraining)
    params = {"validation": (X_valid, y_valid), "max_epochs": 8, "lr": 0.1}
    at_best = make(stop, weights, **params).fit(X, Y)
    best = torch.load(tmp_path / "best_model.pth", weights_only=True)
    for name, values in at_best.state_dict_.items():
        np.testing.assert_array_equal(best[name], values)


def test_wandb_without_the_model():
    run = Record()
    ssl(WandbLogger(run, save_model=False)).fit(X)
    assert len(run["log"]) == 4


# --------------------------------------------------------------------- refusals


class Shape(InputShapeSetter):
    """A user's own, derived from one that cannot work."""


@ALL
@pytest.mark.parametrize(
    "callback, message",
    [
        (InputShapeSetter(), r"\[InputShapeSetter\].* the encoder takes the shape"),
        (Shape(), r"\[InputShapeSetter\].* the encoder takes the shape"),
        (LoadInitState(SkorchCheckpoint()), r"\[LoadInitState\].* Checkpoint lets"),
        (NeptuneLogger(None), r"\[NeptuneLogger\].* net.history\[-1\]"),
        (EarlyStopping(), r"\[EarlyStopping\].* 'valid_loss', which it asks for"),
        (SkorchCheckpoint(), r"\[Checkpoint\].* 'valid_loss_best', which"),
        (WandbLogger(None), r"\[WandbLogger\].* 'valid_loss_best', which"),
        (EpochScoring("accuracy"), r"\[EpochScoring\].* on_train=False where"),
        (BatchScoring("accuracy"), r"\[BatchScoring\].* on_train=False where"),
        (SkorchCheckpoint(None, f_pickle="a"), r"\[Checkpoint\].* f_pickle='a'"),
        (TrainEndCheckpoint(f_pickle="a"), r"f_pickle='a': the net is a part of"),
    ],
)
def test_what_cannot_work_is_refused_before_training(make, callback, message):
    heard = Rates()
    with pytest.raises(ValueError, match=message):
        make(heard, callback).fit(X, Y)
    assert not hasattr(heard, "rates_")


def test_scores_without_labels_are_refused():
    with pytest.raises(ValueError, match="scoring='accuracy': no label is known"):
        ssl(EpochScoring("accuracy", on_train=True)).fit(X)


def test_what_skorch_may_have_later_is_refused():
    later = type("Later", (Callback,), {"__module__": "skorch.callbacks.later"})
    with pytest.raises(ValueError, match=r"\[Later\].* callbacks of skorch that work"):
        clf(later()).fit(X, Y)


def test_all_of_skorchs_callbacks_are_judged():
    from skorch import callbacks

    known = {*WORKING, "InputShapeSetter", "LoadInitState", "NeptuneLogger"}
    assert {*callbacks.__all__} - {"Callback", "WarmRestartLR"} == known


def test_the_guide_has_the_same_list():
    guide = Path(__file__).parents[2] / "docs" / "guide" / "training.md"
    section = guide.read_text().split("\n## Callbacks\n")[1].split("\n## ")[0]
    cells = [line.split("|")[1] for line in section.splitlines() if "|" in line]
    assert {*re.findall("`(.+?)`", " ".join(cells))} == {*WORKING}


def test_monitors_that_another_callback_records_are_taken():
    own = EpochScoring(lambda net, X, y: 1.0, on_train=True, name="valid_loss")
    clf(own, EarlyStopping(patience=2)).fit(X, Y)


def test_a_cached_encoder_is_one_of_the_same_schedule(tmp_path):
    def rates(**settings):
        decay = LRScheduler(StepLR, step_size=1, **settings)
        est = ssl(decay, schedule="constant", max_epochs=2, memory=str(tmp_path))
        return [row["lr"] for row in est.fit(X).history_]

    assert rates(gamma=0.1) == pytest.approx([0.4, 0.04])
    assert rates(gamma=0.5) == pytest.approx([0.4, 0.2])
    assert rates(gamma=0.1) == pytest.approx([0.4, 0.04])


def test_callbacks_in_a_search():
    search = GridSearchCV(
        clf(("stop", EarlyStopping(patience=1, threshold=10.0)), validation=0.2),
        {"lr": [0.01, 0.1]},
        cv=2,
    ).fit(X, Y)
    assert len(search.best_estimator_.history_) == 2


@pytest.mark.parametrize("load_best", [False, True])
def test_a_pickle_holds_no_network_of_a_callback(load_best):
    """Which would be on the device of the training, that others may not have."""
    schedule = ("rates", LRScheduler("StepLR", step_size=1))
    best = EarlyStopping("train_loss", load_best=load_best)
    with_callbacks = clf(schedule, best, schedule="constant").fit(X, Y)
    loaded = pickle.loads(pickle.dumps(with_callbacks))
    (_, rates), stopping = loaded.callbacks
    assert not hasattr(rates, "lr_scheduler_")
    assert stopping.best_model_weights_ is None
    assert stopping.best_epoch_ == best.best_epoch_
    assert hasattr(schedule[1], "lr_scheduler_")
    loaded.partial_fit(X, Y)
