"""scikit-learn's callbacks hear of all that is fitted, and score it on the way."""

import pickle
import threading

import numpy as np
import pytest
from sklearn.base import clone
from sklearn.datasets import load_digits
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import GridSearchCV
from sklearn.neighbors import KNeighborsClassifier
from sklearn.pipeline import make_pipeline
from skorch.callbacks import Callback

from sknoisy import (
    Checkpoint,
    ContrastiveFineTuner,
    CoTrainingClassifier,
    DivergenceError,
    LabelErrorDetector,
    NoisyRobustClassifier,
    PseudoLabelRefiner,
    SSLPretrainer,
)

callback = pytest.importorskip("sklearn.callback")

X, Y = load_digits(return_X_y=True)
X, Y = (X[:120] / 16).astype(np.float32), Y[:120]
NAMES = np.array([f"c{i}" for i in range(10)])


class Predictions(Callback):
    """What the network of a classifier predicts after each epoch."""

    def on_train_begin(self, net, **kwargs):
        self.predicted_ = []

    def on_epoch_end(self, net, dataset_train, **kwargs):
        self.predicted_.append(net.predict(dataset_train))


def clf(*callbacks, **params):
    params = {"max_epochs": 3, "random_state": 0} | params
    return NoisyRobustClassifier("ce", "mlp", callbacks=[*callbacks], **params)


def co(*callbacks, **params):
    params = {"max_epochs": 3, "random_state": 0} | params
    return CoTrainingClassifier("coteaching", "mlp", callbacks=[*callbacks], **params)


def ssl(**params):
    return SSLPretrainer(encoder="mlp", **{"max_epochs": 2, "random_state": 0} | params)


def rows_of(monitor, task="epoch"):
    return [row for row in monitor.get_logs().data if row["task_name"] == task]


class Tasks:
    """Counts what begins and ends."""

    max_propagation_depth = None

    def __init__(self):
        self.begun, self.ended, self.torn_down = [], [], 0

    def setup(self, estimator, context):
        pass

    def on_fit_task_begin(self, estimator, context):
        self.begun.append((context.estimator_name, context.task_name))

    def on_fit_task_end(self, estimator, context):
        self.ended.append((context.estimator_name, context.task_name))

    def teardown(self, estimator, context):
        self.torn_down += 1


@pytest.mark.parametrize("make", [clf, co])
@pytest.mark.parametrize("validation", [None, 0.25])
def test_scores_of_each_epoch(make, validation):
    monitor = callback.ScoringMonitor(scoring=["accuracy", "neg_log_loss"])
    seen = Predictions()
    model = make(seen, validation=validation).set_callbacks(monitor).fit(X, NAMES[Y])
    y = Y[~np.isnan(model.label_quality_)]  # the samples that it is trained on
    by_hand = [(predicted == y).mean() for predicted in seen.predicted_]
    assert [row["accuracy"] for row in rows_of(monitor)] == pytest.approx(by_hand)
    (last,) = rows_of(monitor, "fit")
    assert last["accuracy"] == rows_of(monitor)[-1]["accuracy"]
    plain = make(validation=validation).fit(X, NAMES[Y])
    for name, values in plain.state_dict_.items():
        np.testing.assert_array_equal(model.state_dict_[name], values)


def test_scores_of_images_lazy_features_and_lists():
    images = X.reshape(-1, 8, 8)
    features = ssl().fit(images).transform(images)
    for data in (images, features, X.tolist()):
        monitor = callback.ScoringMonitor(scoring="accuracy")
        params = {"max_epochs": 2, "validation": 0.2, "random_state": 0}
        model = NoisyRobustClassifier("elr", **params)
        model.set_callbacks(monitor).fit(data, Y.tolist())
        assert len(rows_of(monitor)) >= 2


def test_scores_of_an_encoder():
    def neighbours(encoder, X, y):
        features = np.asarray(encoder.transform(X))
        return KNeighborsClassifier().fit(features, y).score(features, y)

    monitor = callback.ScoringMonitor(scoring={"knn": neighbours})
    model = ssl().set_callbacks(monitor).fit(X, Y)
    scores = [row["knn"] for row in rows_of(monitor)]
    assert len(scores) == 2
    assert scores[-1] == pytest.approx(neighbours(model, X, Y))
    ssl().set_callbacks(callback.ScoringMonitor(scoring={"knn": neighbours})).fit(X)


def test_a_cached_encoder_is_found_with_callbacks(tmp_path):
    plain = ssl(memory=str(tmp_path)).fit(X)
    tasks = Tasks()
    model = ssl(memory=str(tmp_path)).set_callbacks(tasks).fit(X)
    assert tasks.begun == []  # nothing is trained
    for name, values in plain.encoder_.state.items():
        np.testing.assert_array_equal(model.encoder_.state[name], values)


def test_a_training_that_goes_on_tells_of_what_is_left(tmp_path):
    class PowerCut(Callback):
        def on_epoch_begin(self, net, **kwargs):
            if net.epochs_done == 2:
                raise RuntimeError("power cut")

    tasks = Tasks()
    with pytest.raises(RuntimeError):
        clf(Checkpoint(tmp_path), PowerCut()).set_callbacks(tasks).fit(X, Y)
    assert tasks.torn_down == 1
    tasks = Tasks()
    clf(Checkpoint(tmp_path)).set_callbacks(tasks).fit(X, Y)
    assert [name for _, name in tasks.ended] == ["epoch", "fit"]


@pytest.mark.parametrize("front", [False, True])
def test_a_refiner(front):
    estimator = clf()
    if front:
        estimator = make_pipeline(
            ssl(), NoisyRobustClassifier("ce", head_epochs=0, random_state=0)
        )
    refiner = PseudoLabelRefiner(estimator, 2, 1, (1, 2), random_state=0)
    monitor, tasks = callback.ScoringMonitor(scoring="accuracy"), Tasks()
    refiner.set_callbacks(monitor, tasks).fit(X, Y)
    scores = [row["accuracy"] for row in rows_of(monitor)]
    assert len(scores) == 4
    assert scores[-1] == pytest.approx(refiner.score(X, Y))
    assert rows_of(monitor, "fit")[0]["accuracy"] == scores[-1]
    assert sorted(tasks.begun) == sorted(tasks.ended)
    epochs = tasks.ended.count(("SSLPretrainer", "epoch"))
    assert epochs == (2 if front else 0)


def test_a_tuner():
    monitor, tasks = callback.ScoringMonitor(scoring="accuracy"), Tasks()
    inner = callback.ScoringMonitor(scoring="accuracy")
    tuner = ContrastiveFineTuner(
        clf(max_epochs=8).set_callbacks(inner), ssl(method="supcon"), random_state=0
    )
    tuner.set_callbacks(monitor, tasks).fit(X, Y)
    (row,) = rows_of(monitor, "fit")
    assert row["accuracy"] == pytest.approx(tuner.score(X, Y))
    assert sorted(tasks.begun) == sorted(tasks.ended)
    assert tasks.ended.count(("NoisyRobustClassifier", "epoch")) >= 16
    assert tasks.ended.count(("SSLPretrainer", "epoch")) == 2
    assert tasks.torn_down == 1
    assert len(rows_of(inner)) >= 16  # both classifiers, in one run


@pytest.mark.parametrize("cv", ["dynamics", 3])
def test_a_detector(cv):
    inner, tasks = callback.ScoringMonitor(scoring="accuracy"), Tasks()
    detector = LabelErrorDetector(clf().set_callbacks(inner), cv=cv, random_state=0)
    detector.set_callbacks(tasks).fit(X, Y)
    assert ("LabelErrorDetector", "fit") in tasks.ended and tasks.torn_down == 1
    assert sorted(tasks.begun) == sorted(tasks.ended)
    if cv == "dynamics":
        assert tasks.ended.count(("NoisyRobustClassifier", "epoch")) == 3
    assert len(inner.get_logs("all")) == (1 if cv == "dynamics" else 3)
    assert len(rows_of(inner)) == 3


def test_what_has_no_callbacks_is_told_of():
    tasks = Tasks()
    with pytest.warns(UserWarning, match="KNeighborsClassifier does not support"):
        ContrastiveFineTuner(
            KNeighborsClassifier(), ssl(method="supcon"), LogisticRegression()
        ).set_callbacks(tasks).fit(X, Y)
    assert sorted(tasks.begun) == sorted(tasks.ended)


def test_a_failed_fit_tears_down():
    tasks = Tasks()
    model = clf(lr=1e20).set_callbacks(tasks)
    with pytest.raises(DivergenceError):
        model.fit(X, Y)
    assert tasks.torn_down == 1
    assert not hasattr(model, "_callback_fit_ctx")
    refiner = PseudoLabelRefiner(clf(lr=1e20)).set_callbacks(tasks)
    with pytest.raises(DivergenceError):
        refiner.fit(X, Y)
    assert tasks.torn_down == 2


@pytest.mark.parametrize(
    "make",
    [
        clf,
        co,
        ssl,
        lambda: PseudoLabelRefiner(clf(), 1, 0),
        lambda: ContrastiveFineTuner(clf(), ssl(method="supcon", max_epochs=1)),
        lambda: LabelErrorDetector(clf(), cv="dynamics"),
        lambda: make_pipeline(ssl(), NoisyRobustClassifier(max_epochs=1)),
        lambda: GridSearchCV(clf(), {"lr": [0.01, 0.02]}, cv=2),
    ],
)
def test_progress_bars(make, capsys):
    pytest.importorskip("rich")
    before = {t for t in threading.enumerate() if "Rich" in type(t).__name__}
    bar = callback.ProgressBar(max_propagation_depth=None)
    model = make().set_callbacks(bar).fit(X, Y)
    assert f"{type(model).__name__} - fit" in capsys.readouterr().out
    after = {t for t in threading.enumerate() if "Rich" in type(t).__name__}
    assert before == after
    copy = clone(model)
    assert copy._skl_callbacks[0] is bar
    assert pickle.loads(pickle.dumps(model.set_callbacks())) is not None


def test_an_early_stop_of_scikit_learn():
    class Stop(Tasks):
        def on_fit_task_end(self, estimator, context, *, fitted_estimator=None):
            super().on_fit_task_end(estimator, context)
            return self.ended.count((context.estimator_name, "epoch")) == 2

    assert len(clf().set_callbacks(Stop()).fit(X, Y).history_) == 2
    assert len(ssl(max_epochs=5).set_callbacks(Stop()).fit(X).history_) == 2
