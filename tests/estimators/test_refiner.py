"""Pseudo-label refinement: the consensus, the iterations, the copies, the estimator."""

import os
import pickle
import warnings

import numpy as np
import pytest
import torch
from sklearn.base import BaseEstimator, ClassifierMixin, TransformerMixin, clone
from sklearn.datasets import load_iris
from sklearn.linear_model import LogisticRegression, SGDClassifier
from sklearn.pipeline import Pipeline, make_pipeline
from sklearn.preprocessing import StandardScaler
from skorch.callbacks import Callback

from sknoisy import (
    Checkpoint,
    NoisyRobustClassifier,
    PseudoLabelRefiner,
    SSLPretrainer,
)
from sknoisy.estimators.copies import AugmentedCopies
from sknoisy.estimators.refinement import consensus
from sknoisy.noise import symmetric_exclusive
from sknoisy.views.base import Views
from sknoisy.views.images import ImageViews
from sknoisy.views.vectors import VectorViews


def test_consensus_by_hand():
    losses = [
        # always small, late, early, never, at the threshold, unknown
        [0.1, 1.5, 0.1, 2.0, 0.9, 0.1],
        [0.2, 0.9, 0.1, 1.5, 1.0, np.nan],
        [0.9, 0.1, 1.1, 3.0, 0.2, 0.1],
    ]
    expected = [True, False, False, False, False, False]
    assert consensus(losses, 1.0).tolist() == expected
    assert consensus(losses, 1.2).tolist() == [True, False, True, False, True, False]
    assert consensus(losses[:1], 1.0).tolist() == [True, False, True, False, True, True]


# Iterations, on a classifier whose probabilities are written down ------------------


class Scripted(ClassifierMixin, BaseEstimator):
    """Predicts from a table; keeps what it was trained on."""

    def __init__(self, script=None, max_epochs=1):
        self.script = script
        self.max_epochs = max_epochs

    def partial_fit(self, X, y, classes=None):
        if not hasattr(self, "seen_"):
            self.classes_, self.seen_ = classes, []
        self.seen_.append((np.array(X), np.array(y)))
        return self

    def predict_proba(self, X):
        """The probability of the second class, by epoch and sample."""
        p = np.array(self.script[len(self.seen_)])[: len(X)]
        return np.stack([1 - p, p], axis=1)

    def predict(self, X):
        return self.classes_[self.predict_proba(X).argmax(axis=1)]


class Shift(Views):
    """Adds 100, so that copies are known."""

    def __call__(self, batch, generator):
        return batch + 100


X4 = np.arange(4.0)[:, None]
Y4 = np.array(["a", "a", "b", "b"])
# One epoch of warm-up, stages after epochs 1 and 2, then 1 and 3 of an iteration.
SCRIPT = {
    2: [0.1, 0.9, 0.9, 0.5],
    3: [0.1, 0.9, 0.1, 0.5],  # the third changes sides; all others are stable
    4: [0.1, 0.9, 0.1, 0.5],
    6: [0.1, 0.5, 0.1, 0.9],
}
PLAN = {"warmup_epochs": 1, "n_iterations": 2, "first_stages": (1, 2), "stages": (1, 3)}


def scripted(**params):
    params = {"loss_threshold": 0.5, "views": Shift()} | PLAN | params
    refiner = PseudoLabelRefiner(Scripted(SCRIPT), **params)
    return refiner.fit(X4, Y4)


def test_iterations_by_hand():
    refiner = scripted()
    # The first stays, the second is relabelled at once, the third when it was stable.
    assert refiner.labels_.tolist() == ["a", "b", "a", "b"]
    assert refiner.refined_.tolist() == [True, True, True, False]
    assert refiner.refined_iteration_.tolist() == [2, 1, 2, 0]
    assert refiner.iteration_labels_.tolist() == [[*"abbb"], [*"abab"]]
    first, second = refiner.history_
    assert first == {
        "iteration": 1,
        "selected": 2,
        "refined": 2,
        "changed": 1,
        "agreement": 0.75,
    }
    assert second == {
        "iteration": 2,
        "selected": 2,
        "refined": 3,
        "changed": 1,
        "agreement": 0.5,
    }


def test_training_sets_by_hand():
    seen = scripted().estimator_.seen_
    assert len(seen) == 1 + 2 + 3
    for X, y in seen[:3]:
        assert X.ravel().tolist() == [0, 1, 2, 3] and y.tolist() == [*"aabb"]
    for X, y in seen[3:]:  # copies of the two refined samples, with their new labels
        assert X.ravel().tolist() == [0, 1, 2, 3, 100, 101]
        assert y.tolist() == [*"abbbab"]
    for X, _ in scripted(views=None).estimator_.seen_:
        assert len(X) == 4


def test_loss_of_the_label_selects_what_agrees():
    refiner = scripted(loss_of="label")
    assert refiner.labels_.tolist() == Y4.tolist()
    assert refiner.refined_iteration_.tolist() == [2, 0, 0, 0]
    # A label of probability 0.45 passes a threshold of 1, and another class wins.
    close = {epoch: [0.1, 0.55, 0.9, 0.9] for epoch in SCRIPT}
    refiner = PseudoLabelRefiner(Scripted(close), loss_of="label", **PLAN)
    assert refiner.fit(X4, Y4).labels_.tolist() == ["a", "b", "b", "b"]


def test_nothing_below_the_threshold_changes_nothing():
    refiner = scripted(loss_threshold=0.01)
    assert refiner.labels_.tolist() == Y4.tolist()
    assert not refiner.refined_.any()
    assert [row["selected"] for row in refiner.history_] == [0, 0]
    assert [row["agreement"] for row in refiner.history_] == [1.0, 1.0]


def test_the_schedule_ends_with_the_refinement():
    assert scripted().estimator_.max_epochs == 6
    refiner = scripted(stages=[3, 1])  # in any order
    assert refiner.refined_iteration_.tolist() == [2, 1, 2, 0]


# On our classifiers ----------------------------------------------------------------


def classifier(**params):
    settings = {"loss": "elr", "batch_size": 32, "random_state": 0}
    return NoisyRobustClassifier(**settings | params)


def test_no_iterations_are_plain_training(digits):
    X, y = digits[0].reshape(300, -1), digits[1]
    refiner = PseudoLabelRefiner(classifier(), warmup_epochs=3, n_iterations=0)
    plain = classifier(max_epochs=3).fit(X, y)
    np.testing.assert_array_equal(
        refiner.fit(X, y).predict_proba(X), plain.predict_proba(X)
    )
    np.testing.assert_array_equal(refiner.labels_, y)
    assert refiner.history_ == [] and refiner.iteration_labels_.shape == (0, 300)


def test_labels_get_better_and_y_stays(digits):
    X, y = digits[0].reshape(300, -1), digits[1]
    given = symmetric_exclusive(y, 0.3, random_state=0).y
    noisy = given.copy()
    noisy.flags.writeable = False
    estimator = classifier(loss="gce")
    refiner = PseudoLabelRefiner(estimator, random_state=0).fit(X, noisy)
    assert (refiner.labels_ == y).mean() > 0.85
    np.testing.assert_array_equal(noisy, given)
    assert refiner.labels_.dtype == noisy.dtype
    assert refiner.history_[-1]["agreement"] == (refiner.labels_ == noisy).mean()
    assert [row["iteration"] for row in refiner.history_] == [1, 2, 3, 4]
    assert len(refiner.estimator_.history_) == 5 + 4 + 3 * 7
    assert refiner.estimator_.history_[-1]["lr"] < 0.001
    assert not hasattr(estimator, "classes_")  # a clone was trained
    loaded = pickle.loads(pickle.dumps(refiner))
    np.testing.assert_array_equal(loaded.predict(X), refiner.predict(X))


SHORT = {"warmup_epochs": 1, "n_iterations": 2, "first_stages": (1,), "stages": (1,)}
FITS = []


class CountingPretrainer(SSLPretrainer):
    """Counts its fits."""

    def fit(self, X, y=None):
        FITS.append(len(X))
        return super().fit(X, y)


@pytest.mark.parametrize("memory", [False, True])
def test_a_pipeline_pretrains_once_and_its_encoder_is_fine_tuned(
    digits, memory, tmp_path
):
    X, y = digits
    FITS.clear()
    pipe = Pipeline(
        [
            ("ssl", CountingPretrainer(encoder="mlp", max_epochs=1, random_state=0)),
            ("clf", classifier(loss="ce")),
        ],
        memory=str(tmp_path) if memory else None,
    )
    refiner = PseudoLabelRefiner(
        pipe, **SHORT | {"loss_threshold": 2.5}, random_state=0
    ).fit(X, y)
    assert FITS == [300]
    assert refiner.refined_.any()
    assert isinstance(refiner.estimator_, Pipeline)
    fitted = refiner.estimator_["clf"]
    assert [row["phase"] for row in fitted.history_][-1] == "all"
    assert fitted.label_quality_.shape[0] > 300  # with copies
    pretrained = refiner.estimator_["ssl"].encoder_.state
    assert any(
        (fitted.state_dict_["encoder." + key] != value).any()
        for key, value in pretrained.items()
    )
    assert refiner.predict(X).shape == (300,)
    nested = clone(refiner).set_params(estimator__clf__loss="gce")
    assert nested.estimator["clf"].loss == "gce"


def test_features_of_a_pretrainer_are_refined_on(digits):
    X, y = digits
    ssl = SSLPretrainer(encoder="mlp", max_epochs=1, random_state=0)
    features = ssl.fit_transform(X)
    refiner = PseudoLabelRefiner(classifier(), **SHORT | {"loss_threshold": 2.5})
    refiner.fit(features, y)
    assert refiner.refined_.any()
    np.testing.assert_array_equal(refiner.predict(X), refiner.predict(features))


def test_other_classifiers_with_partial_fit(digits):
    X, y = digits[0].reshape(300, -1), digits[1]
    noisy = symmetric_exclusive(y, 0.2, random_state=0).y
    sgd = SGDClassifier(loss="log_loss", alpha=0.01, random_state=0)
    pipe = make_pipeline(StandardScaler(), sgd)
    refiner = PseudoLabelRefiner(pipe, random_state=0).fit(X, noisy)
    assert (refiner.labels_ == y).mean() > 0.85


def test_the_same_seed_gives_the_same_labels(colour):
    X, y = colour
    refiner = PseudoLabelRefiner(
        classifier(encoder="mlp"), **SHORT, random_state=0
    ).fit(X, y)
    again = clone(refiner).fit(X, y)
    np.testing.assert_array_equal(refiner.predict_proba(X), again.predict_proba(X))
    np.testing.assert_array_equal(refiner.labels_, again.labels_)


# Copies ------------------------------------------------------------------------------


def extended(X, views="none", index=(4, 1), **params):
    generator = torch.Generator().manual_seed(0)
    copies = AugmentedCopies(X, views, torch.device("cpu"), generator, **params)
    return copies.extend(np.array(index, np.int64))


RNG = np.random.default_rng(0)
BYTES = RNG.integers(0, 256, (6, 8, 8, 3), dtype=np.uint8)


@pytest.mark.parametrize(
    "X",
    [
        RNG.normal(size=(6, 3)),
        RNG.normal(size=(6, 3)).astype(np.float32),
        BYTES,
        BYTES.transpose(0, 3, 1, 2),
        BYTES[..., 0],
        BYTES / 255,
        BYTES[..., 0].astype(np.float64),
        BYTES.astype(np.int16) - 100,
    ],
)
def test_copies_lie_as_the_samples_do(X):
    whole = extended(X)
    expected = np.concatenate([X, X[[4, 1]]])
    assert whole.shape == expected.shape
    if X.dtype == np.uint8 or X.dtype.kind == "f":
        assert whole.dtype == X.dtype
    np.testing.assert_allclose(whole, expected, atol=1e-4)
    np.testing.assert_array_equal(whole[:6], X)


def test_copies_of_tensors_frames_and_features():
    pd = pytest.importorskip("pandas")
    X = torch.tensor(BYTES)
    np.testing.assert_array_equal(extended(X), np.concatenate([X, X[[4, 1]]]))
    frame = pd.DataFrame(RNG.normal(size=(6, 2)), columns=["a", "b"], index=[*"stuvwx"])
    whole = extended(frame)
    assert whole.columns.tolist() == ["a", "b"]
    np.testing.assert_allclose(whole, np.concatenate([frame, frame.iloc[[4, 1]]]))
    features = SSLPretrainer(max_epochs=1, random_state=0).fit_transform(BYTES)
    whole = extended(features)
    assert whole.encoder is features.encoder
    np.testing.assert_array_equal(whole.inputs, np.concatenate([BYTES, BYTES[[4, 1]]]))


def test_copies_of_files_are_files(image_files):
    paths, y = image_files
    generator = torch.Generator().manual_seed(0)
    copies = AugmentedCopies(
        paths, ImageViews(), torch.device("cpu"), generator, image_size=16
    )
    whole = copies.extend(np.array([4, 1]))
    assert whole[:60].tolist() == paths.tolist() and len(whole) == 62
    assert all(os.path.isfile(path) for path in whole)
    refiner = PseudoLabelRefiner(
        classifier(image_size=16, encoder="mlp"), **SHORT, random_state=0
    ).fit(paths, y)
    assert refiner.refined_.any() and refiner.predict(paths).shape == (60,)


def test_copies_are_new_views_each_time():
    generator = torch.Generator().manual_seed(0)
    copies = AugmentedCopies(BYTES, "auto", torch.device("cpu"), generator)
    first, second = copies.extend(np.arange(6)), copies.extend(np.arange(6))
    assert (first[6:] != BYTES).any() and (first[6:] != second[6:]).any()
    assert copies.extend(np.arange(0)) is BYTES


# The estimator -----------------------------------------------------------------------


def test_fit_resample_in_a_pipeline_of_imbalanced_learn(digits):
    pipeline = pytest.importorskip("imblearn.pipeline")
    X, y = digits[0].reshape(300, -1), digits[1]
    noisy = symmetric_exclusive(y, 0.3, random_state=0).y
    refiner = PseudoLabelRefiner(classifier(loss="gce"), random_state=0)
    pipe = pipeline.make_pipeline(
        StandardScaler(), refiner, LogisticRegression(max_iter=500)
    ).fit(X, noisy)
    assert (pipe[1].labels_ == y).mean() > 0.85
    without = make_pipeline(StandardScaler(), LogisticRegression(max_iter=500))
    assert pipe.score(X, y) > without.fit(X, noisy).score(X, y)


def test_fit_resample_returns_x_and_labels():
    refiner = PseudoLabelRefiner(Scripted(SCRIPT), loss_threshold=0.5, **PLAN)
    X, labels = refiner.fit_resample(X4, Y4)
    assert X is X4 and labels.tolist() == ["a", "b", "a", "b"]
    assert Y4.tolist() == ["a", "a", "b", "b"]


class Unreachable(TransformerMixin, BaseEstimator):
    """A step before the classifier, which no faulty fit gets to."""

    def fit(self, X, y=None):
        raise AssertionError("training started")


@pytest.mark.parametrize(
    "params, message",
    [
        ({"warmup_epochs": -1}, "warmup_epochs=-1 is not valid"),
        ({"n_iterations": 1.5}, "n_iterations=1.5 is not valid"),
        ({"warmup_epochs": 0, "n_iterations": 0}, "nothing is trained"),
        ({"stages": ()}, r"stages=\(\) is not valid"),
        ({"first_stages": 3}, "first_stages=3 is not valid"),
        ({"first_stages": (0, 1)}, "first_stages=0 is not valid"),
        ({"loss_threshold": 0.0}, "loss_threshold=0.0 is not valid"),
        ({"loss_of": "given"}, "loss_of='given' is not valid"),
        ({"views": "strong"}, "views='strong' is not valid"),
        ({"views": VectorViews(noise=-1)}, "noise=-1 is not valid"),
    ],
)
def test_bad_parameters_are_named_before_training(params, message):
    pipe = make_pipeline(Unreachable(), classifier())
    with pytest.raises(ValueError, match=message):
        PseudoLabelRefiner(pipe, **params).fit(X4, Y4)


def test_bad_estimators_and_labels_are_refused_before_training():
    for estimator in (LogisticRegression(), make_pipeline(Unreachable())):
        with pytest.raises(ValueError, match="with partial_fit.* has none"):
            PseudoLabelRefiner(estimator).fit(X4, Y4)
    refiner = PseudoLabelRefiner(make_pipeline(Unreachable(), classifier()))
    with pytest.raises(ValueError, match="only one class"):
        refiner.fit(X4, ["a"] * 4)
    with pytest.raises(ValueError, match="inconsistent numbers"):
        refiner.fit(X4, Y4[:3])


def test_an_interrupted_refinement_keeps_what_was_learned(digits):
    X, y = digits[0].reshape(300, -1), digits[1]

    class CtrlC(Callback):
        def on_epoch_begin(self, net, **kwargs):
            if net.epochs_done == 5:
                raise KeyboardInterrupt

    clf = NoisyRobustClassifier("ce", callbacks=[CtrlC()], random_state=0)
    refiner = PseudoLabelRefiner(clf, warmup_epochs=2, first_stages=(1, 2), stages=(2,))
    with pytest.raises(KeyboardInterrupt):
        refiner.fit(X, y)
    assert len(refiner.history_) == 1 and refiner.labels_.shape == (300,)
    assert refiner.score(X, y) > 0.5


def test_a_checkpoint_in_the_classifier_is_of_no_use(digits, tmp_path):
    clf = NoisyRobustClassifier("ce", "mlp", callbacks=[Checkpoint(tmp_path)])
    with pytest.warns(UserWarning, match="saves nothing"):
        PseudoLabelRefiner(clf, warmup_epochs=1, n_iterations=0).fit(*digits)
    assert not [*tmp_path.iterdir()]


def test_a_kernel_machine_is_not_told_of_epochs():
    """It would warn of a parameter that the user did not set."""
    X, y = load_iris(return_X_y=True)
    refiner = PseudoLabelRefiner(NoisyRobustClassifier(random_state=0), 1, 1, (1,))
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        refiner.fit(X, y)
    assert refiner.estimator_.max_epochs == "auto"
