"""Trainings that fit into a given time."""

import time

import numpy as np
import pytest
from sklearn.base import clone
from sklearn.datasets import load_digits
from skorch.callbacks import Callback

from sknoisy import CoTrainingClassifier, NoisyRobustClassifier, SSLPretrainer
from sknoisy.cotraining import CoTeaching, DivideMix
from sknoisy.losses import PENCIL, JointOptimization
from sknoisy.selfsup import BYOL
from sknoisy.training.optim import cosine
from sknoisy.training.pace import TimeLimit

X, Y = load_digits(return_X_y=True)
X, Y = X[:300], Y[:300]


class Clock:
    """A clock that is set by hand."""

    def __init__(self):
        self.now = 1000.0

    def __call__(self):
        return self.now


@pytest.fixture
def clock(monkeypatch):
    clock = Clock()
    monkeypatch.setattr(time, "perf_counter", clock)
    return clock


class Takes(Callback):
    """Each batch takes some seconds of a clock."""

    def __init__(self, clock, seconds):
        self.clock = clock
        self.seconds = seconds

    def on_batch_end(self, net, **kwargs):
        self.clock.now += self.seconds


def fit(clock, seconds, **params):
    settings = {"loss": "ce", "encoder": "mlp", "max_epochs": 10, "batch_size": 100}
    clf = NoisyRobustClassifier(**settings | params, random_state=0)
    return clf.set_params(callbacks=[Takes(clock, seconds)]).fit(X, Y)


def test_a_limit_in_two_phases(clock):
    limit = TimeLimit(10)
    clock.now += 2
    limit.begin_phase()
    assert limit.share() == 0
    clock.now += 2
    assert limit.share() == pytest.approx(0.25) and limit.seconds_left() == 6
    assert limit.is_over(6.1) and not limit.is_over(6)
    clock.now += 9
    assert limit.share() == 1 and limit.is_over(0)
    limit.begin_phase()
    assert limit.share() == 1
    limit = TimeLimit(10)
    clock.now += 10
    limit.begin_phase()
    assert limit.share() == 1


def test_no_epoch_begins_that_would_not_end_in_time(clock):
    clf = fit(clock, 1, max_time=13)  # epochs of three seconds
    assert len(clf.history_) == 4
    # The rate of the last step: eleven of 13 seconds had passed before it.
    assert clf.history_[-1]["lr"] == pytest.approx(0.02 * cosine(11 / 13, 0))


def test_one_epoch_at_least(clock):
    assert len(fit(clock, 1, max_time=0.5).history_) == 1


def test_enough_time_changes_nothing(clock):
    limited, free = fit(clock, 1, max_time=1000), fit(clock, 1)
    np.testing.assert_array_equal(limited.predict_proba(X), free.predict_proba(X))
    assert len(limited.history_) == 10


def test_a_head_that_is_trained_before_has_its_epochs(clock):
    clf = fit(clock, 1, max_time=13, head_epochs=2)
    phases = [row["phase"] for row in clf.history_]
    assert phases.count("head") == 2 and phases.count("all") == 4


def test_the_time_of_a_head_is_no_measure_of_later_epochs(clock):
    class Slow(PENCIL):
        seen = []

        def on_epoch(self, epoch, n_epochs):
            super().on_epoch(epoch, n_epochs)
            self.seen.append(n_epochs)
            clock.now += 10 if epoch < 3 else 0  # of the head

    settings = {"loss": Slow(begin=0.3, end=0.7), "max_epochs": 50, "head_epochs": 3}
    fit(clock, 1, max_time=29, **settings)
    # All of its 30 seconds pass, and one epoch of the encoder follows.
    assert Slow.seen == [53] * 4
    Slow.seen.clear()
    fit(clock, 1, max_time=42, **settings)
    # Four epochs of three seconds fit into the twelve that are left.
    assert Slow.seen == [53] * 4 + [7] * 3


def test_epochs_that_fit_into_the_time(clock):
    limit = TimeLimit(20)
    clock.now += 4  # of a head
    limit.begin_phase(epochs_done=2)
    assert limit.epochs(2, planned=50) == 50  # nothing is known yet
    clock.now += 4
    assert limit.epochs(3, planned=50) == 6  # 12 seconds are left for epochs of 4
    assert limit.epochs(3, planned=5) == 5
    clock.now += 12
    assert limit.epochs(4, planned=50) == 5


def test_an_epoch_that_would_not_end_in_time_is_not_counted(clock):
    limit = TimeLimit(20)
    assert limit.epochs(1, planned=50) == 50  # no time has passed
    clock.now += 3
    assert limit.epochs(0, planned=50) == 50  # no epoch has ended
    assert limit.epochs(1, planned=50) == 6  # five of three seconds fit into 17
    clock.now += 15
    assert limit.is_over(3)


def test_the_stages_of_a_loss_follow_the_time(clock):
    class Stages(PENCIL):
        seen = []

        def on_epoch(self, epoch, n_epochs):
            super().on_epoch(epoch, n_epochs)
            self.seen.append((epoch, n_epochs, self._stage))

    fit(clock, 1, loss=Stages(begin=0.3, end=0.7), max_epochs=100, max_time=31)
    # Epochs of three seconds: ten of them, of which the first is not timed yet.
    assert Stages.seen[0] == (0, 100, 1)
    assert Stages.seen[1:] == [
        (epoch, 10, 1 + (epoch >= 3) + (epoch >= 7)) for epoch in range(1, 10)
    ]


def test_moving_averages_follow_the_time(clock):
    class Momenta(BYOL):
        seen = []

        def after_step(self, networks, progress):
            self.seen.append(progress)

    method = Momenta(hidden_features=8, projection_features=4)
    ssl = SSLPretrainer(method, max_epochs=20, batch_size=100, max_time=10)
    ssl.set_params(callbacks=[Takes(clock, 1)]).fit(X)
    # Three epochs of three steps; the first ends when no second has passed.
    np.testing.assert_allclose(Momenta.seen, np.arange(9) / 10 + 1 / 60)


@pytest.mark.parametrize("method", [CoTeaching, DivideMix])
def test_the_warm_up_of_co_training_follows_the_time(method, clock):
    class Watched(method):
        seen = []

        def on_epoch(self, epoch, n_epochs):
            super().on_epoch(epoch, n_epochs)
            self.seen.append(self.warmup_epochs_)

    clf = CoTrainingClassifier(Watched(), encoder="mlp", batch_size=100, random_state=0)
    clf.set_params(max_epochs=100, max_time=31, callbacks=[Takes(clock, 1)]).fit(X, Y)
    # Ten epochs of three batches would fit; those of DivideMix become longer.
    assert Watched.seen[0] == 10 and set(Watched.seen[1:]) == {3}
    assert 1020 < clock.now <= 1031 and clf.history_[-1]["lr"] < 0.002
    assert np.isfinite(clf.noise_rate_)


def test_what_follows_a_shortened_warm_up_begins_at_its_beginning():
    method = CoTeaching()
    method.plan(n_epochs=100, head_epochs=0)
    method.on_epoch(6, 100)
    assert method.is_warmup and method.warmup_epochs_ == 10
    method.on_epoch(7, 20)  # whose warm-up would have had three epochs
    assert not method.is_warmup and method.epochs_after_warmup == 0


def test_a_method_with_a_plan_of_its_own(clock):
    class Planned(CoTeaching):
        def plan(self, n_epochs, head_epochs):
            self.warmup_epochs_ = self.ramp_epochs_ = 4

    clf = CoTrainingClassifier(Planned(), encoder="mlp", batch_size=100, random_state=0)
    clf.set_params(max_epochs=100, max_time=31, callbacks=[Takes(clock, 1)]).fit(X, Y)
    assert len(clf.history_) == 10


def test_a_loss_that_trains_twice_has_no_limit(clock):
    with pytest.raises(ValueError, match="max_time=5 is not valid.*a second time"):
        fit(clock, 1, loss="joint_optimization", max_time=5)
    once = JointOptimization(retrain=0)
    assert len(fit(clock, 1, loss=once, max_time=13).history_) == 4


def test_partial_fit_has_no_limit(clock):
    clf = fit(clock, 1, max_time=13)
    epochs = len(clf.history_)
    clock.now += 100
    assert len(clf.partial_fit(X, Y).history_) == epochs + 1
    # The rate of the last of its three steps: 14 of 30 were done before it.
    assert clf.history_[-1]["lr"] == pytest.approx(0.02 * cosine(14 / 30, 0))


def test_a_pretrainer_ends_in_time(clock):
    ssl = SSLPretrainer(max_epochs=20, batch_size=100, max_time=10, random_state=0)
    ssl.set_params(callbacks=[Takes(clock, 1)]).fit(X)
    assert len(ssl.history_) == 3
    assert ssl.history_[-1]["lr"] < 0.2 * max(row["lr"] for row in ssl.history_)


@pytest.mark.parametrize(
    "estimator",
    [NoisyRobustClassifier(), CoTrainingClassifier(), SSLPretrainer()],
    ids=str,
)
@pytest.mark.parametrize("max_time", [0, -1.0, "1 h", np.nan])
def test_what_is_no_time(estimator, max_time):
    with pytest.raises(ValueError, match="max_time=.* is not valid"):
        clone(estimator).set_params(max_time=max_time).fit(X, Y)
