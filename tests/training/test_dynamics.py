"""What is kept of each sample: predictions that miss the label, and that change."""

import pickle

import numpy as np
import pytest
import torch
from skorch.callbacks import Callback

from sknoisy import CoTrainingClassifier, NoisyRobustClassifier
from sknoisy.training.dynamics import Dynamics, early_predictions

RNG = np.random.default_rng(0)
X = RNG.normal(size=(60, 4)).astype(np.float32)
Y = RNG.integers(3, size=60)


def one_hot(predicted):
    return 5 * torch.eye(3)[predicted]


def test_events_by_hand():
    """Three epochs of two batches; sample 3 is not seen in the second one."""
    dynamics, shares = Dynamics(4, torch.device("cpu")), []
    labels = torch.tensor([0, 1, 2, 0])
    epochs = [
        [([0, 1], [0, 2]), ([2, 3], [2, 1])],
        [([1, 2], [1, 2]), ([0], [1])],
        [([3, 0], [1, 2]), ([1, 2], [1, 0])],
    ]
    for batches in epochs:
        for index, predicted in batches:
            index = torch.tensor(index)
            dynamics.update(one_hot(predicted), labels[index], index)
        shares.append(dynamics.end_epoch())
    # Predictions: 0 1 2, 2 1 1, 2 2 0, 1 - 1; labels 0, 1, 2, 0.
    np.testing.assert_array_equal(dynamics.wrong_events, [2, 1, 1, 2])
    np.testing.assert_array_equal(dynamics.prediction_changes, [2, 1, 1, 0])
    assert shares == [
        {"wrong_events": 2 / 4},
        {"wrong_events": 1 / 3, "prediction_changes": 2 / 3, "wrong_changes": 1 / 1},
        {"wrong_events": 3 / 4, "prediction_changes": 2 / 4, "wrong_changes": 1 / 2},
    ]


def test_early_predictions_by_hand():
    """Of wrong predictions 2 of 2, 1 of 2, 1 of 2, then none change: three are early.

    Sample 2 is not seen in the second epoch, sample 4 not before the last one.
    """
    dynamics = Dynamics(5, torch.device("cpu"))
    labels = torch.tensor([0, 0, 1, 2, 0])
    epochs = [
        [([0, 1], [1, 2]), ([2, 3], [1, 2])],
        [([3, 1], [2, 1]), ([0], [2])],
        [([0, 1, 2, 3], [0, 1, 1, 2])],
        [([0, 1, 2, 3], [0, 0, 1, 2])],
        [([0, 1, 2, 3, 4], [0, 0, 0, 2, 0])],
    ]
    for batches in epochs:
        for index, predicted in batches:
            index = torch.tensor(index)
            dynamics.update(one_hot(predicted), labels[index], index)
        dynamics.end_epoch()
    early = early_predictions(dynamics.numpy())
    most = np.exp(5) / (np.exp(5) + 2)
    least = (1 - most) / 2
    label = [(2 * least + most) / 3, least, most, most, np.nan]
    other = [(2 * most + least) / 3, most, least, least, np.nan]
    np.testing.assert_allclose(early["label"], label, rtol=1e-5)
    np.testing.assert_allclose(early["other"], other, rtol=1e-5)
    np.testing.assert_array_equal(early["others"][[1, 4]], [1, np.nan])


def test_all_epochs_are_early_without_memorisation():
    """Ever fewer of the wrong predictions change: 3 of 3, 2 of 3, 1 of 3."""
    dynamics = Dynamics(3, torch.device("cpu"))
    labels, every = torch.zeros(3, dtype=torch.int64), torch.arange(3)
    for predicted in ([1, 1, 1], [2, 2, 2], [1, 1, 2], [2, 1, 2]):
        dynamics.update(one_hot(predicted), labels, every)
        dynamics.end_epoch()
    early = early_predictions(dynamics.numpy())
    np.testing.assert_allclose(early["label"], 1 / (np.exp(5) + 2), rtol=1e-5)
    np.testing.assert_array_equal(early["others"], [2, 1, 2])


def test_what_an_older_version_kept_is_left():
    dynamics = Dynamics(60, torch.device("cpu"))
    dynamics.load(np.ones((60, 6), np.float32))
    assert not dynamics.wrong_events.any()


def test_what_is_loaded_goes_on():
    whole, first, second = (Dynamics(60, torch.device("cpu")) for _ in range(3))
    batches = torch.from_numpy(RNG.integers(3, size=(4, 60)))
    target, every = torch.from_numpy(Y), torch.arange(60)
    for epoch, predicted in enumerate(batches):
        if epoch == 2:
            second.load(first.numpy())
        for dynamics in (whole, first if epoch < 2 else second):
            dynamics.update(one_hot(predicted), target, every)
            dynamics.end_epoch()
    np.testing.assert_array_equal(whole.numpy(), second.numpy())
    changed = (np.diff(batches.numpy(), axis=0) != 0).sum(axis=0)
    np.testing.assert_array_equal(whole.prediction_changes, changed)
    wrong = (batches.numpy() != Y).sum(axis=0)
    np.testing.assert_array_equal(whole.wrong_events, wrong)


class Predictions(Callback):
    """Keeps the predictions of an epoch in which the network stands still."""

    def on_train_begin(self, net, X=None, y=None, **kwargs):
        self.kept_ = []

    def on_epoch_begin(self, net, **kwargs):
        self.kept_.append(net.predict(net.data_))


class Norm(torch.nn.Module):
    """Features that depend on no other sample of a batch."""

    def __init__(self, shape):
        super().__init__()
        self.linear = torch.nn.Linear(*shape, 8)

    def forward(self, x):
        return self.linear(x)


SETTINGS = {"max_epochs": 6, "batch_size": 60, "lr": 0.5, "random_state": 0}


def test_of_a_classifier():
    """With one batch an epoch, a prediction is that of the network before the epoch."""
    watch = Predictions()
    clf = NoisyRobustClassifier("ce", encoder=Norm, **SETTINGS, callbacks=[watch])
    clf.fit(X, Y)
    predicted = np.array(watch.kept_)
    np.testing.assert_array_equal(clf.wrong_events_, (predicted != Y).sum(axis=0))
    changed = predicted[1:] != predicted[:-1]
    np.testing.assert_array_equal(clf.prediction_changes_, changed.sum(axis=0))
    assert changed.any()
    assert "prediction_changes" not in clf.history_[0]
    shares = [row["prediction_changes"] for row in clf.history_[1:]]
    np.testing.assert_allclose(shares, changed.mean(axis=1))
    was_wrong = (predicted != Y)[:-1]
    shares = [row["wrong_changes"] for row in clf.history_[1:]]
    expected = (changed & was_wrong).sum(axis=1) / was_wrong.sum(axis=1)
    np.testing.assert_allclose(shares, expected)
    shares = [row["wrong_events"] for row in clf.history_]
    np.testing.assert_allclose(shares, (predicted != Y).mean(axis=1))


@pytest.mark.parametrize("kind", ["ce", "coteaching"])
def test_epoch_by_epoch_and_from_a_file(kind):
    cls = NoisyRobustClassifier if kind == "ce" else CoTrainingClassifier
    whole = cls(kind, **SETTINGS).fit(X, Y)
    steps = cls(kind, **SETTINGS)
    for _ in range(6):
        steps.partial_fit(X, Y)
    for name in ("wrong_events_", "prediction_changes_"):
        np.testing.assert_array_equal(getattr(whole, name), getattr(steps, name))
        assert 0 < getattr(whole, name).max() <= 6
    loaded = pickle.loads(pickle.dumps(whole)).partial_fit(X, Y)
    more = loaded.wrong_events_ - whole.wrong_events_
    assert {*more} == {0, 1}  # one epoch more


def test_held_out_samples_have_none():
    clf = NoisyRobustClassifier("ce", validation=0.2, **SETTINGS).fit(X, Y)
    held = np.isnan(clf.label_quality_)
    assert held.sum() == 12
    for values in (clf.wrong_events_, clf.prediction_changes_):
        np.testing.assert_array_equal(np.isnan(values), held)
