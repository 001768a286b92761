import warnings

import numpy as np
import pytest
from sklearn.datasets import load_digits
from sklearn.pipeline import make_pipeline
from torch import nn

from sknoisy import NoisyRobustClassifier, SSLPretrainer
from sknoisy.scores import rankme

DIGITS = load_digits()
X, Y = DIGITS.data[:120], DIGITS.target[:120]


def pretrain(X=X, y=None, **params):
    settings = {"max_epochs": 3, "random_state": 0, "verbose": False}
    return SSLPretrainer(**settings | params).fit(X, y)


def test_history_has_scores_every_some_epochs_and_at_the_end():
    seen = pretrain(monitor=2)
    assert ["rankme" in row for row in seen.history_] == [False, True, True]
    features = np.asarray(seen.transform(X))
    assert seen.history_[-1]["rankme"] == pytest.approx(rankme(features), rel=1e-3)
    assert 1 < seen.history_[-1]["lidar"] < 120
    assert "neighbor_accuracy" not in seen.history_[-1]


@pytest.mark.parametrize("samples", [X, DIGITS.images[:60]], ids=["vectors", "images"])
def test_the_training_is_the_same(samples):
    params = {"X": samples, "max_epochs": 2}
    plain, seen = pretrain(**params), pretrain(monitor=1, **params)
    for name, value in plain.encoder_.state.items():
        np.testing.assert_array_equal(value, seen.encoder_.state[name])


def test_labels_are_only_looked_at(tmp_path):
    right = pretrain(y=Y, monitor=3, memory=tmp_path)
    shuffled = np.random.default_rng(0).permutation(Y)
    wrong = pretrain(y=shuffled, monitor=3, memory=tmp_path)
    accuracies = [p.history_[-1]["neighbor_accuracy"] for p in (right, wrong)]
    assert accuracies[0] > 0.5 > 0.3 > accuracies[1]
    assert right.history_[-1]["rankme"] == wrong.history_[-1]["rankme"]


def test_labels_may_be_soft_or_missing():
    table = np.eye(10)[Y]
    table[::2] = np.nan
    assert pretrain(y=table, monitor=3).history_[-1]["neighbor_accuracy"] > 0.3
    pipe = make_pipeline(
        SSLPretrainer(monitor=1, max_epochs=1, random_state=0),
        NoisyRobustClassifier("ce", classes=range(10), max_epochs=1),
    )
    assert pipe.fit(X, 0.9 * np.eye(10)[Y] + 0.01).predict(X).shape == Y.shape
    assert "neighbor_accuracy" in pipe[0].history_[-1]


class OneFeature(nn.Module):
    """An encoder whose features are all the same number."""

    def __init__(self, shape):
        super().__init__()
        self.linear = nn.Linear(shape[0], 1)

    def forward(self, batch):
        return self.linear(batch).repeat(1, 64)


def test_collapse_warns_once():
    with pytest.warns(UserWarning, match="collapsed: after epoch 1 .*RankMe") as found:
        seen = pretrain(encoder=OneFeature, monitor=1)
    assert sum("collapsed" in str(w.message) for w in found) == 1
    assert seen.history_[-1]["rankme"] == pytest.approx(1, abs=0.01)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        pretrain(monitor=1)


def test_monitor_is_checked():
    with pytest.raises(ValueError, match="monitor=0 is not valid"):
        pretrain(monitor=0)
