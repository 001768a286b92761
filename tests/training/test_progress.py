"""What a user sees of a training while it runs."""

import io
import logging
import os
import sys
import time
from contextlib import suppress

import numpy as np
import pytest
from sklearn.model_selection import GridSearchCV

from sknoisy import CoTrainingClassifier, NoisyRobustClassifier, SSLPretrainer
from sknoisy.bars import bar
from sknoisy.data.spec import InputSpec
from sknoisy.training import progress
from sknoisy.training.progress import Progress, advice

RNG = np.random.default_rng(0)
X = RNG.normal(size=(60, 4)).astype(np.float32)
Y = (X[:, 0] > 0).astype(int)


def clf(**params):
    return NoisyRobustClassifier("ce", **{"max_epochs": 1, "random_state": 0} | params)


def test_lines_where_there_is_no_terminal(capsys):
    clf(verbose=True, max_epochs=2, batch_size=20).fit(X, Y)
    lines = capsys.readouterr().err.splitlines()
    assert len(lines) == 2
    assert lines[0].startswith("NoisyRobustClassifier: epoch 1/2, train_loss ")
    assert "lr " in lines[0] and " left" in lines[0] and " left" not in lines[1]
    clf().fit(X, Y)
    assert capsys.readouterr().err == ""


def test_a_bar_in_a_terminal(capsys, monkeypatch):
    monkeypatch.setattr(sys.stderr, "isatty", lambda: True)
    clf(verbose=True).fit(X, Y)
    shown = capsys.readouterr().err
    assert "NoisyRobustClassifier" in shown and "loss=" in shown
    assert "samples/s" in shown


def test_a_service_may_have_no_terminal_at_all(monkeypatch, capsys):
    closed = io.StringIO()
    closed.close()
    for stream in (None, closed):
        monkeypatch.setattr(sys, "stderr", stream)
        for _ in bar([1], delay=0):
            pass
        clf(verbose=True).fit(X, Y)
    assert capsys.readouterr().out == ""


@pytest.mark.skipif(not os.path.exists("/dev/full"), reason="has no full device")
def test_a_log_on_a_full_disk(monkeypatch):
    with io.TextIOWrapper(open("/dev/full", "wb", buffering=0)) as full:
        monkeypatch.setattr(sys, "stderr", full)
        clf(verbose=True).fit(X, Y)
        monkeypatch.undo()
        with suppress(OSError):
            full.close()


def test_lines_go_to_the_log(caplog, capsys):
    with caplog.at_level(logging.INFO, logger="sknoisy"):
        SSLPretrainer(max_epochs=2, batch_size=32, verbose=True).fit(X)
        clf(max_epochs=2, validation=0.2).fit(X, Y)
    messages = [r.getMessage() for r in caplog.records if r.name == "sknoisy"]
    assert [m.split(",")[0] for m in messages] == [
        "SSLPretrainer: epoch 1/2",
        "SSLPretrainer: epoch 2/2",
        "NoisyRobustClassifier: epoch 1/2",
        "NoisyRobustClassifier: epoch 2/2",
    ]
    assert "valid_loss" in messages[-1] and "valid_acc" in messages[-1]
    assert capsys.readouterr().err == ""  # not twice


def test_lines_say_which_part_of_a_search_it_is(caplog):
    search = GridSearchCV(clf(max_epochs=1), {"lr": [0.1, 0.2]}, cv=2)
    with caplog.at_level(logging.INFO, logger="sknoisy"):
        search.fit(X, Y)
    places = [r.getMessage().split(":")[0] for r in caplog.records]
    name = "NoisyRobustClassifier"
    expected = [
        f"{name} (split {i}/2, candidate {j}/2)" for j in (1, 2) for i in (1, 2)
    ]
    assert places == [*expected, name]


def test_what_is_solved_in_closed_form_has_no_epochs(caplog):
    """A network of one epoch has a line, and within a search each fit has its place."""
    solved = NoisyRobustClassifier(random_state=0)
    with caplog.at_level(logging.INFO, logger="sknoisy"):
        solved.fit(X, Y)
        assert not caplog.records
        clf(max_epochs=1).fit(X, Y)
        assert len(caplog.records) == 1
        GridSearchCV(solved, {"class_weight": [None]}, cv=2, refit=False).fit(X, Y)
    assert [r.getMessage().split(":")[0] for r in caplog.records[1:]] == [
        f"NoisyRobustClassifier (split {i}/2, candidate 1/1)" for i in (1, 2)
    ]


class Clock:
    """A clock that is set by hand."""

    def __init__(self):
        self.now = 0.0

    def __call__(self):
        return self.now


@pytest.fixture
def clock(monkeypatch):
    clock = Clock()
    monkeypatch.setattr(time, "perf_counter", clock)
    return clock


@pytest.mark.parametrize(
    ("n_epochs", "told"),
    [(100, "NoisyRobustClassifier: 16 min 33 s left for 100 epochs."), (10, None)],
)
def test_a_long_training_is_told_once(clock, caplog, n_epochs, told):
    with Progress(NoisyRobustClassifier(), 100, n_epochs) as bar:
        clock.now += 50  # the first batch pays for what is done once
        bar.advance(10)
        for _ in range(19):
            clock.now += 1
            bar.advance(10)
    messages = [record.getMessage() for record in caplog.records]
    assert len(messages) == bool(told)
    assert not told or messages[0].startswith(told)


@pytest.mark.parametrize(
    "estimator",
    [NoisyRobustClassifier(), CoTrainingClassifier(), SSLPretrainer()],
    ids=lambda e: type(e).__name__,
)
def test_the_advice_names_what_the_estimator_has(estimator, colour, image_files):
    known = estimator.get_params()
    vectors, images = InputSpec.learn(X), InputSpec.learn(colour[0])
    files = InputSpec.learn(image_files[0], image_size=16)
    for spec in (vectors, images, files):
        told = advice(estimator, spec)
        assert "max_epochs" in told and told.count(" or ") <= 1
        assert ("max_time" in told) == ("max_time" in known)
        assert ("smaller images" in told) == (spec is not vectors)
        assert ("image_size" in told) == (spec is files)
        frozen = "freeze_encoder" in known and spec is not vectors
        assert ("freeze_encoder" in told) == frozen


@pytest.mark.parametrize("verbose", [False, None, True])
def test_who_is_told_of_a_long_training(clock, caplog, verbose):
    with Progress(NoisyRobustClassifier(verbose=verbose), 100, 100) as bar:
        for _ in range(9):
            bar.advance(10)
            clock.now += 1
    assert len(caplog.records) == (verbose is not False)


def test_the_time_left_is_that_of_the_present_pace(clock):
    with Progress(NoisyRobustClassifier(), 100, 3) as bar:
        for _ in range(10):  # of a head, at one second a batch
            bar.advance(10)
            clock.now += 1
        bar.pace_changes()
        for _ in range(5):  # of the whole network, at two seconds a batch
            clock.now += 2
            bar.advance(10)
        assert bar._seconds_left() == pytest.approx(2 * 15)


def test_durations():
    said = [progress.duration(s) for s in (0.034, 9.6, 59.7, 119.6, 3600, 90061)]
    assert said == [
        "0.034 s",
        "9.6 s",
        "1 min 0 s",
        "2 min 0 s",
        "1 h 0 min",
        "25 h 1 min",
    ]
