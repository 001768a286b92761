"""Trainings that fit into a given time."""

import time

import numpy as np
import pytest
from sklearn.base import clone
from sklearn.datasets import load_digits
from skorch.callbacks import Callback

from sknoisy import NoisyRobustClassifier, SSLPretrainer
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
    clf = NoisyRobustClassifier(**settings, random_state=0, **params)
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


def test_partial_fit_has_no_limit(clock):
    clf = fit(clock, 1, max_time=13)
    epochs = len(clf.history_)
    clock.now += 100
    assert len(clf.partial_fit(X, Y).history_) == epochs + 1


def test_a_pretrainer_ends_in_time(clock):
    ssl = SSLPretrainer(max_epochs=20, batch_size=100, max_time=10, random_state=0)
    ssl.set_params(callbacks=[Takes(clock, 1)]).fit(X)
    assert len(ssl.history_) == 3
    assert ssl.history_[-1]["lr"] < 0.2 * max(row["lr"] for row in ssl.history_)


@pytest.mark.parametrize(
    "estimator", [NoisyRobustClassifier(), SSLPretrainer()], ids=str
)
@pytest.mark.parametrize("max_time", [0, -1.0, "1 h", np.nan])
def test_what_is_no_time(estimator, max_time):
    with pytest.raises(ValueError, match="max_time=.* is not valid"):
        clone(estimator).set_params(max_time=max_time).fit(X, Y)
