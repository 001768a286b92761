"""Stopping where predictions begin to change more."""

import numpy as np
import pytest
import torch
from sklearn.base import clone
from sklearn.model_selection import GridSearchCV
from skorch.callbacks import Callback

import sknoisy
from sknoisy import Checkpoint, LabelWave, NoisyRobustClassifier, SSLPretrainer
from sknoisy.training.stopping import mean_state, smoothed

RNG = np.random.default_rng(0)
X = RNG.normal(size=(60, 4)).astype(np.float32)
Y = RNG.integers(3, size=60)  # nothing but noise
SETTINGS = {"max_epochs": 30, "batch_size": 20, "lr": 0.1, "random_state": 0}
SETTINGS |= {"schedule": "constant"}
EARLY = LabelWave("all", window=1, patience=2, rise=0.0, average=False)


def ce(**params):
    return NoisyRobustClassifier(**{"loss": "ce", **SETTINGS, **params})


def assert_same(one, other):
    for name in ("label_quality_", "training_loss_", "wrong_events_"):
        np.testing.assert_array_equal(getattr(one, name), getattr(other, name))
    for attribute in ("state_dict_", "loss_state_"):
        found, expected = getattr(one, attribute), getattr(other, attribute)
        assert {*found} == {*expected}
        for key, value in found.items():
            np.testing.assert_array_equal(value, expected[key], key)


# The rule ----------------------------------------------------------------------------


def test_onset_by_hand():
    changes = [0.9, 0.6, 0.3, 0.3, 0.6, 0.3, 0.6, 0.9]
    # Means of three: 0.6, 0.4, 0.4, 0.4, 0.5, 0.6; the first of the lowest ends at 3.
    np.testing.assert_allclose(smoothed(changes, 3), [0.6, 0.4, 0.4, 0.4, 0.5, 0.6])
    assert LabelWave(window=3, patience=3, rise=0.08).onset(changes) == 3
    assert LabelWave(window=3, patience=3, rise=0.08).onset(changes[:-1]) == 3
    assert LabelWave(window=3, patience=3, rise=0.08).onset(changes[:-2]) is None
    assert LabelWave(window=3, patience=5, rise=0.08).onset(changes) is None
    assert LabelWave(window=3, patience=3, rise=0.3).onset(changes) is None
    assert LabelWave(window=9).onset(changes) is None
    assert LabelWave().onset([]) is None


def test_the_rise_counts_predictions():
    changes = [0.9, 0.3, 0.5, 0.7]  # of a half and then a tenth of the samples
    rule = LabelWave(window=1, patience=2, rise=0.1)
    assert rule.onset(changes, [0.5] * 4) == 1
    assert rule.onset(changes, [0.5, 0.5, 0.2, 0.1]) is None
    row = {"prediction_changes": 0.3, "wrong_changes": 0.6, "wrong_events": 0.4}
    assert rule.watched(row) == (0.6, 0.4)
    assert EARLY.watched(row) == (0.3, 1.0)


@pytest.mark.parametrize(
    "changes, rise, expected",
    [
        ([0.1, 0.2, 0.3], 0.1, 0),
        ([0.5, 0.3, 0.3, 0.3], 0.0, 1),  # patience is enough
        ([0.5, 0.3, 0.3, 0.3, 0.7], 0.2, 1),  # rises when patience is over
        ([0.5, 0.3, 0.6, 0.7, 0.1], 0.2, 1),  # what comes later does not matter
    ],
)
def test_onset_of_single_epochs(changes, rise, expected):
    rule = LabelWave(window=1, patience=2, rise=rise)
    assert rule.onset(changes) == expected


def test_shares_of_the_watched_are_means_of_the_window():
    changes, wrong = [0.2, 0.2, 0.6], [1.0, 0.5, 0.1]  # means 0.2, 0.4; 0.75, 0.3
    assert LabelWave(window=2, patience=1, rise=0.05).onset(changes, wrong) == 1
    assert LabelWave(window=2, patience=1, rise=0.07).onset(changes, wrong) is None


def test_what_falls_has_no_onset():
    falling = 0.9 ** np.arange(50)
    assert LabelWave(window=1, patience=1, rise=0.0).onset(falling) is None


def followed(rule, changes, wrong):
    """Return a rule after epochs whose only weight is the number of the epoch."""
    rule.start()
    for epoch, shares in enumerate(zip(changes, wrong, strict=True), start=1):
        row = dict(zip(["wrong_changes", "wrong_events"], shares, strict=True))
        rule.after_epoch(epoch, row, {"w": torch.tensor([1.0 * epoch])}, dict)
    return rule


@pytest.mark.parametrize("average, weight", [(True, 2.5), (False, 3.0)])
def test_the_first_of_the_lowest_windows_is_kept(average, weight):
    rule = LabelWave(window=2, patience=2, rise=0.1, average=average)
    followed(rule, [0.5, 0.3, 0.3, 0.3, 0.9], [0.5] * 5)
    assert rule.stopped_ and rule.epoch_ == 3
    assert rule.kept_["weights"]["w"].item() == weight


def test_a_rise_among_few_watched_does_not_stop():
    rule = LabelWave(window=1, patience=2, rise=0.1)
    assert not followed(rule, [0.5, 0.3, 0.5, 0.7], [0.5, 0.5, 0.2, 0.1]).stopped_


def test_a_rule_begins_anew():
    rule = LabelWave(window=2, patience=2, rise=0.1)
    assert followed(rule, [0.5, 0.3, 0.3, 0.3, 0.9], [0.5] * 5).stopped_
    followed(rule, [0.9], [0.5])
    assert not rule.stopped_ and rule.epoch_ is None


def test_mean_of_states():
    states = [
        {"w": torch.tensor([1.0, 2.0]), "n": torch.tensor(3)},
        {"w": torch.tensor([3.0, 6.0]), "n": torch.tensor(5)},
    ]
    mean = mean_state(states)
    assert mean["w"].tolist() == [2, 4] and mean["n"].item() == 5
    assert mean_state(states[:1])["w"] is states[0]["w"]


def test_means_of_half_precision_do_not_overflow():
    states = [{"w": torch.tensor([6e4], dtype=torch.float16)}] * 2
    torch.testing.assert_close(mean_state(states), states[0])


# A fit that stops --------------------------------------------------------------------


@pytest.mark.parametrize("among", ["wrong", "all"])
@pytest.mark.parametrize("loss", ["ce", "elr"])
def test_the_weights_are_those_of_a_shorter_training(loss, among):
    rule = clone(EARLY).set_params(among=among)
    stopped = ce(loss=loss, stopping=rule).fit(X, Y)
    epoch = stopped.stopped_epoch_
    assert epoch + 2 <= len(stopped.history_) < 30
    changes, wrong = np.transpose([rule.watched(row) for row in stopped.history_[1:]])
    assert changes[epoch - 2] == min(changes)
    assert rule.onset(changes, wrong) == epoch - 2
    assert rule.onset(changes[:-1], wrong[:-1]) is None
    short = ce(loss=loss, max_epochs=epoch).fit(X, Y)
    assert short.stopped_epoch_ is None
    assert_same(stopped, short)
    np.testing.assert_array_equal(stopped.predict_proba(X), short.predict_proba(X))


def test_the_mean_is_of_the_epochs_of_the_window():
    stopping = clone(EARLY).set_params(window=3, average=True)
    stopped = ce(stopping=stopping).fit(X, Y)
    last = stopped.stopped_epoch_
    states = [
        ce(max_epochs=epoch).fit(X, Y).state_dict_
        for epoch in range(last - 2, last + 1)
    ]
    for name, value in stopped.state_dict_.items():
        mean = np.mean([state[name] for state in states], axis=0)
        expected = mean if value.dtype.kind == "f" else states[-1][name]
        np.testing.assert_allclose(value, expected, rtol=1e-5, atol=1e-6)


def test_patience_beyond_the_epochs_is_no_stopping():
    stopped = ce(stopping=LabelWave(patience=30)).fit(X, Y)
    assert stopped.stopped_epoch_ is None and len(stopped.history_) == 30
    assert_same(stopped, ce().fit(X, Y))


class Killed(Exception):
    """The end of a process."""


class Kill(Callback):
    def __init__(self, epoch):
        self.epoch = epoch

    def on_epoch_end(self, net, **kwargs):
        if net.epochs_done == self.epoch:
            raise Killed


@pytest.mark.parametrize("before_the_end", [0, 1, 4])
@pytest.mark.parametrize("average", [True, False])
def test_goes_on_from_a_file(average, before_the_end, tmp_path):
    stopping = clone(EARLY).set_params(window=2, average=average)
    clf = ce(loss="elr", stopping=stopping)
    whole = clone(clf).fit(X, Y)
    epoch = len(whole.history_) - before_the_end
    clf.set_params(callbacks=[Checkpoint(tmp_path), Kill(epoch)])
    with pytest.raises(Killed):
        clf.fit(X, Y)
    clf.set_params(callbacks=[Checkpoint(tmp_path)]).fit(X, Y)
    assert clf.stopped_epoch_ == whole.stopped_epoch_
    assert len(clf.history_) == len(whole.history_)
    assert_same(clf, whole)


def test_the_warm_up_of_the_head_is_not_watched():
    features = SSLPretrainer(max_epochs=1, random_state=0).fit_transform(X)
    stopped = ce(stopping=EARLY, head_epochs=9).fit(features, Y)
    assert stopped.stopped_epoch_ > 9
    short = ce(head_epochs=9, max_epochs=stopped.stopped_epoch_ - 9).fit(features, Y)
    assert_same(stopped, short)


def test_partial_fit_goes_on_from_the_epoch():
    stopped = ce(stopping=EARLY).fit(X, Y)
    done = len(stopped.history_)
    stopped.partial_fit(X, Y)
    assert len(stopped.history_) == done + 1 and stopped.stopped_epoch_ is None
    steps = ce(stopping=EARLY)
    for _ in range(12):
        steps.partial_fit(X, Y)
    assert_same(steps, ce(max_epochs=12).fit(X, Y))


def test_saved_and_searched(tmp_path):
    stopped = ce(stopping=EARLY).fit(X, Y)
    stopped.save(tmp_path / "model")
    loaded = sknoisy.load(tmp_path / "model")
    assert loaded.stopped_epoch_ == stopped.stopped_epoch_
    assert repr(loaded.stopping) == repr(EARLY)
    grid = {"stopping__patience": [2, 40], "stopping__rise": [0.0]}
    search = GridSearchCV(ce(stopping="label_wave", max_epochs=8), grid, cv=2)
    assert isinstance(search.fit(X, Y).best_estimator_.stopping, LabelWave)


@pytest.mark.parametrize(
    "stopping, message",
    [
        ("wave", "stopping='wave' is not valid.*label_wave"),
        (LabelWave, "not a class"),
        (LabelWave("right"), "among='right' is not valid"),
        (LabelWave(window=0), "window=0 is not valid"),
        (LabelWave(patience=0.5), "patience=0.5 is not valid"),
        (LabelWave(rise=-1), "rise=-1 is not valid"),
        (LabelWave(average="mean"), "average='mean' is not valid"),
    ],
)
def test_bad_parameters(stopping, message):
    with pytest.raises(ValueError, match=message):
        ce(stopping=stopping).fit(X, Y)


def test_not_for_the_kernel_machine():
    with pytest.raises(
        ValueError, match="stopping='label_wave' is not valid with loss"
    ):
        NoisyRobustClassifier(stopping="label_wave").fit(X, Y)
