"""The main job: pipelines, searches, caches, files."""

import os

import joblib
import numpy as np
import pytest
import torch
from nets import narrow
from PIL import Image
from processes import run_python
from sklearn.base import clone
from sklearn.cluster import KMeans
from sklearn.ensemble import BaggingClassifier
from sklearn.exceptions import NotFittedError
from sklearn.linear_model import LinearRegression
from sklearn.model_selection import GridSearchCV, cross_val_score
from sklearn.neighbors import KNeighborsClassifier
from sklearn.pipeline import Pipeline, make_pipeline
from sklearn.semi_supervised import SelfTrainingClassifier
from skorch.callbacks import Callback
from torch import nn

from sknoisy import (
    ELR,
    CoTrainingClassifier,
    NoisyRobustClassifier,
    PretrainedEncoder,
    PseudoLabelRefiner,
    SSLPretrainer,
)
from sknoisy.noise import symmetric_exclusive


@pytest.fixture(scope="module")
def digits(digits):
    """100 of the digits: pre-training takes its time for each."""
    return digits[0][:100], digits[1][:100]


def pipeline(memory=None, ssl=None, **clf):
    settings = {"max_epochs": 2, "random_state": 0}
    clf = settings | {"head_epochs": 2} | clf
    return Pipeline(
        [
            ("ssl", SSLPretrainer(**settings | (ssl or {}))),
            ("clf", NoisyRobustClassifier(**clf)),
        ],
        memory=memory,
    )


def test_the_designs_code_block(digits, tmp_path):
    X, y = digits[0][:60], digits[1][:60]
    pipe = pipeline(ssl={"encoder": narrow, "max_epochs": 1}).fit(X, y)
    search = GridSearchCV(
        pipe,
        [
            {"clf__loss": ["ce", "gce", "nfl_rce"]},
            {"clf__loss": [ELR()], "clf__loss__lam": [1.0, 3.0, 7.0]},
            {"ssl__method": ["simclr", "barlow_twins"]},
        ],
        cv=2,
        error_score="raise",
    ).fit(X, y)
    assert len(set(search.cv_results_["mean_test_score"])) > 1
    joblib.dump(search.best_estimator_, tmp_path / "model.joblib")
    loaded = joblib.load(tmp_path / "model.joblib")
    np.testing.assert_array_equal(loaded.predict_proba(X), search.predict_proba(X))


def test_pipeline_memory_pretrains_once_a_fold(digits, counting, tmp_path):
    X, y = digits
    pipe = Pipeline(
        [
            ("ssl", counting),
            ("clf", NoisyRobustClassifier(max_epochs=1, head_epochs=0)),
        ],
        memory=str(tmp_path / "cache"),
    )
    GridSearchCV(pipe, {"clf__loss": ["ce", "gce", "nfl_rce", "elr"]}, cv=3).fit(X, y)
    assert len(counting.log) == 4


def test_search_on_the_features_pretrains_once(digits, counting):
    X, y = digits
    features = counting.fit_transform(X)
    grid = {"loss__lam": [1.0, 3.0]}
    clf = NoisyRobustClassifier(max_epochs=1, head_epochs=1, random_state=0)
    search = GridSearchCV(clf, grid, cv=3, error_score="raise").fit(features, y)
    assert len(counting.log) == 1
    assert search.best_estimator_.history_[0]["phase"] == "head"


def test_own_memory_ignores_y(digits, counting, tmp_path):
    X, y = digits
    counting.memory = str(tmp_path / "cache")
    first = np.asarray(counting.fit_transform(X, y))
    again = np.asarray(clone(counting).fit_transform(X, y[::-1]))
    np.testing.assert_array_equal(first, again)
    assert len(counting.log) == 1
    clone(counting).set_params(max_epochs=2).fit(X)
    clone(counting).fit(X[:50])
    assert len(counting.log) == 3


def test_own_memory_notices_changed_files(image_files, tmp_path, counting):
    paths, _ = image_files
    ssl = counting.set_params(memory=str(tmp_path / "cache"), image_size=8)
    ssl.fit(paths)
    for same in (paths, paths.tolist()):
        clone(ssl).fit(same)
    assert len(counting.log) == 1
    Image.new("RGB", (16, 16)).save(paths[0])
    clone(ssl).fit(paths)
    assert len(counting.log) == 2
    with pytest.raises(ValueError, match="1 file that cannot be found"):
        ssl.fit([paths[0] + "x", *paths[1:]])


def test_fine_tuning_starts_from_the_encoder_and_changes_it(digits):
    X, y = digits
    features = SSLPretrainer(max_epochs=2, random_state=0).fit_transform(X)
    pretrained = features.encoder.state

    def encoder_weights(clf):
        return {
            k.removeprefix("encoder."): v
            for k, v in clf.state_dict_.items()
            if k.startswith("encoder.")
        }

    settings = {"random_state": 0, "max_epochs": 1}
    frozen = NoisyRobustClassifier(freeze_encoder=True, **settings).fit(features, y)
    for key, value in encoder_weights(frozen).items():
        np.testing.assert_array_equal(value, pretrained[key])
    tiny = NoisyRobustClassifier(lr=1e-9, **settings).fit(features, y)
    tuned = NoisyRobustClassifier(lr=0.05, **settings).fit(features, y)
    for key, value in encoder_weights(tiny).items():
        if key.endswith("weight"):
            np.testing.assert_allclose(value, pretrained[key], atol=1e-6)
            assert (encoder_weights(tuned)[key] != pretrained[key]).any()


def test_frozen_features_are_a_linear_probe(digits):
    """The head on frozen features predicts what it does on the features as an array."""
    X, y = digits
    features = SSLPretrainer(max_epochs=2, random_state=0).fit_transform(X)
    clf = NoisyRobustClassifier("ce", freeze_encoder=True, max_epochs=3, random_state=0)
    p = clf.fit(features, y).predict_proba(X)
    weight, bias = clf.state_dict_["head.weight"], clf.state_dict_["head.bias"]
    logits = np.asarray(features) @ weight.T + bias
    expected = np.exp(logits) / np.exp(logits).sum(axis=1, keepdims=True)
    np.testing.assert_allclose(p, expected, atol=1e-4)


def test_predict_takes_one_forward_pass(digits):
    from torch import nn

    passes = []

    class Watched(nn.Module):
        def __init__(self):
            super().__init__()
            self.linear = nn.Linear(64, 8)

        def forward(self, x):
            passes.append(len(x))
            return self.linear(x.flatten(1))

    X, y = digits
    pipe = pipeline(ssl={"encoder": Watched}).fit(X, y)
    passes.clear()
    pipe.predict(X)
    assert sum(passes) == 100


def test_explicit_other_encoder_is_refused(digits):
    X, y = digits
    with pytest.raises(ValueError, match="encoder='mlp' is not valid.*'convnet'"):
        pipeline(encoder="mlp").fit(X, y)
    pipeline(encoder="convnet", max_epochs=1).fit(X, y)


def test_predicts_on_raw_inputs_but_not_on_bare_features(digits):
    X, y = digits
    ssl = SSLPretrainer(max_epochs=1, random_state=0)
    features = ssl.fit_transform(X)
    clf = NoisyRobustClassifier(max_epochs=1, random_state=0).fit(features, y)
    np.testing.assert_array_equal(clf.predict_proba(X), clf.predict_proba(features))
    with pytest.raises(ValueError, match="lazy features"):
        clf.predict(np.asarray(features))


def test_plain_features_train_a_network_of_their_own(digits):
    X, y = digits
    ssl = {"output": "array"}
    pipe = pipeline(ssl=ssl, loss="elr", max_epochs=10).fit(X, y)
    assert pipe["clf"].n_features_in_ == 192
    assert pipe.score(X, y) > 0.5


def test_chained_pretraining_starts_where_the_first_ended(digits):
    X, _ = digits
    first = SSLPretrainer("simclr", max_epochs=1, random_state=0)
    features = first.fit_transform(X)
    still = SSLPretrainer("simclr", max_epochs=1, lr=1e-9, optimizer="sgd")
    second = still.fit(features)
    for key, value in second.encoder_.state.items():
        if key.endswith("weight"):
            np.testing.assert_allclose(value, first.encoder_.state[key], atol=1e-6)


def test_files_hold_neither_data_nor_optimiser(tmp_path):
    """Ten times the images, and the file grows by what is kept for each sample."""
    rng = np.random.default_rng(0)
    sizes = []
    for n in (20, 200):
        X = rng.integers(0, 256, (n, 16, 16, 3), dtype=np.uint8)
        pipe = pipeline(ssl={"encoder": narrow}, max_epochs=1).fit(X, np.arange(n) % 2)
        joblib.dump(pipe, tmp_path / "model.joblib")
        sizes.append((tmp_path / "model.joblib").stat().st_size)
    states = pipe["ssl"].encoder_.state, pipe["clf"].state_dict_
    weights = sum(value.nbytes for state in states for value in state.values())
    assert sizes[0] < weights + 20_000  # what else there is; the images have 15,360
    assert sizes[1] - sizes[0] < 180 * 80  # a sample is 768 bytes


def test_same_seed_same_result_in_threads(digits):
    """In processes, too: see test_backends."""
    X, y = digits
    clf = NoisyRobustClassifier(encoder="mlp", max_epochs=3, random_state=0)
    alone = cross_val_score(clf, X.reshape(100, -1), y, cv=3)
    with joblib.parallel_config("threading"):
        threads = cross_val_score(clf, X.reshape(100, -1), y, cv=3, n_jobs=2)
    np.testing.assert_array_equal(alone, threads)


def test_a_model_of_another_machines_device_predicts_on_the_cpu(digits):
    X, y = digits
    pipe = pipeline().fit(X, y)
    expected = pipe.predict_proba(X)
    pipe.set_params(ssl__device="cuda:31", clf__device="cuda:31")
    with pytest.warns(UserWarning, match="cuda:31.*not available on this machine"):
        np.testing.assert_array_equal(pipe.predict_proba(X), expected)


def test_names_are_searchable_like_objects():
    pipe = pipeline(loss="elr")
    pipe.set_params(clf__loss__lam=7.0, ssl__method__temperature=0.1)
    assert pipe["clf"].loss.lam == 7.0 and pipe["ssl"].method.temperature == 0.1
    assert clone(pipe)["clf"].loss.lam == 7.0
    pipe.set_params(clf__loss="gce", clf__loss__q=0.5)
    assert pipe["clf"].loss.get_params() == {"q": 0.5}


def test_the_users_objects_stay_as_they_are(digits):
    X, y = digits
    loss = ELR(lam=2.0)
    before = dict(vars(loss))
    NoisyRobustClassifier(loss, max_epochs=1).fit(X, y)
    assert vars(loss) == before


def test_the_pipeline_resists_noise_that_cross_entropy_memorises():
    from sklearn.datasets import load_digits
    from sklearn.model_selection import train_test_split

    digits = load_digits()
    X, X_test, y, y_test = train_test_split(
        digits.images, digits.target, train_size=300, test_size=300, random_state=0
    )
    noisy = symmetric_exclusive(y, rate=0.5, random_state=0).y
    settings = {"views": "none", "max_epochs": 30, "random_state": 0}
    ce = NoisyRobustClassifier("ce", narrow, **settings).fit(X, noisy)
    ssl = {"encoder": narrow, "max_epochs": 10}
    robust = pipeline(ssl=ssl, head_epochs=5, **settings).fit(X, noisy)
    assert (ce.predict(X) == noisy).mean() > 0.95
    assert (robust.predict(X) == y).mean() > (ce.predict(X) == y).mean() + 0.1
    assert robust.score(X_test, y_test) > ce.score(X_test, y_test)


def test_features_of_a_classifier(digits):
    X, y = digits
    features = SSLPretrainer(max_epochs=1, random_state=0).fit_transform(X)
    clf = NoisyRobustClassifier("ce", max_epochs=2, random_state=0)
    with pytest.raises(NotFittedError):
        clf.encoder_.transform(X)
    frozen = clone(clf).set_params(freeze_encoder=True).fit(features, y)
    np.testing.assert_allclose(frozen.encoder_.transform(X), features, atol=1e-5)
    tuned = clf.fit(features, y).encoder_.transform(X)
    assert tuned.shape == features.shape
    assert np.abs(tuned - np.asarray(features)).max() > 0.01
    # With its head, that is what predicts.
    logits = tuned @ clf.state_dict_["head.weight"].T + clf.state_dict_["head.bias"]
    np.testing.assert_array_equal(clf.classes_[logits.argmax(axis=1)], clf.predict(X))


@pytest.mark.parametrize(
    ("y", "params", "message"),
    [
        (np.where(np.arange(40) == 3, np.nan, np.arange(40) % 2), {}, "missing label"),
        (np.eye(2, dtype=int)[np.arange(40) % 2], {}, "one-hot"),
        (np.zeros(40, int), {}, "only one class"),
        (np.random.default_rng(0).random(40), {}, "Unknown label type"),
        (None, {}, "requires y"),
        (np.arange(40) % 2, {"clf__loss": "eler"}, "loss='eler'"),
        (np.arange(40) % 2, {"clf__lr": -1}, "lr=-1"),
        (np.arange(40) % 2, {"clf__class_weight": {0: 1, 3: 2}}, "class_weight="),
    ],
    ids=["missing", "one-hot", "one class", "continuous", "none", "loss", "lr"]
    + ["class weight"],
)
@pytest.mark.parametrize("wrapped", [False, True])
def test_a_pipeline_is_checked_before_pre_training(y, params, message, wrapped):
    class Never(Callback):
        def on_train_begin(self, net, **kwargs):
            raise AssertionError("training has begun")

    X = np.random.default_rng(0).normal(size=(40, 3))
    clf = NoisyRobustClassifier(max_epochs=1)
    ssl = SSLPretrainer(max_epochs=1, callbacks=[Never()])
    pipe = Pipeline([("ssl", ssl), ("clf", clf)]).set_params(**params)
    if wrapped:
        pipe = PseudoLabelRefiner(pipe)
    with pytest.raises(ValueError, match=message):
        pipe.fit(X, y)


@pytest.mark.parametrize(
    ("clf", "classes", "message"),
    [
        (NoisyRobustClassifier(), None, "one-hot"),
        (NoisyRobustClassifier(), ["a", "b", "c"], "column for each of the 3"),
        (CoTrainingClassifier("moit"), ["a", "b"], "soft labels, which MOIT"),
    ],
    ids=["no classes", "other classes", "hard labels only"],
)
def test_soft_labels_are_checked_before_pre_training(clf, classes, message):
    class Never(Callback):
        def on_train_begin(self, net, **kwargs):
            raise AssertionError("training has begun")

    X = np.random.default_rng(0).normal(size=(40, 3))
    soft = np.eye(2)[np.arange(40) % 2]
    soft[3] = [0.4, 0.6] if classes else [0.0, 1.0]
    ssl = SSLPretrainer(max_epochs=1, callbacks=[Never()])
    with pytest.raises(ValueError, match=message):
        Pipeline([("ssl", ssl), ("clf", clone(clf).set_params(classes=classes))]).fit(
            X, soft
        )


def test_pipelines_of_other_targets_are_left_alone():
    X = np.random.default_rng(0).normal(size=(40, 3))
    for last, y in [
        (LinearRegression(), X[:, 0]),
        (KNeighborsClassifier(3), np.eye(2, dtype=int)[np.arange(40) % 2]),
        (KNeighborsClassifier(3), np.zeros(40, int)),
        (KMeans(2), None),
    ]:
        make_pipeline(SSLPretrainer(max_epochs=1), last).fit(X, y)


def test_a_cache_and_a_function_that_has_no_name(tmp_path):
    ssl = SSLPretrainer(encoder=lambda shape: nn.Flatten(), memory=tmp_path)
    with pytest.raises(ValueError, match="encoder=.*lambda.* with memory=") as caught:
        ssl.fit(np.random.default_rng(0).normal(size=(20, 3)))
    assert len(str(caught.value)) < 600


@pytest.mark.parametrize("kind", ["bagging", "self-training"])
def test_meta_estimators_that_make_arrays_of_features(kind):
    y = np.arange(40) % 2
    X = (np.random.default_rng(0).normal(size=(40, 3)) + y[:, None]).astype(np.float32)
    features = SSLPretrainer(max_epochs=1, random_state=0).fit_transform(X)
    clf = NoisyRobustClassifier("ce", max_epochs=1, batch_size=10, random_state=0)
    if kind == "bagging":
        meta = BaggingClassifier(clf, n_estimators=2, random_state=0)
    else:
        meta = SelfTrainingClassifier(clf)
    meta.fit(features, np.where(np.arange(40) < 4, -1, y) if "self" in kind else y)
    found = meta.predict_proba(features)
    np.testing.assert_array_equal(found, meta.predict_proba(np.asarray(features)))


def test_lazy_features_within_the_array_api():
    pytest.importorskip("scipy", minversion="1.14")  # which scikit-learn asks for there
    code = """
import numpy as np, sklearn
from sklearn.linear_model import LogisticRegression
from sknoisy import NoisyRobustClassifier, SSLPretrainer

y = np.arange(40) % 2
X = (np.random.default_rng(0).normal(size=(40, 3)) + y[:, None]).astype(np.float32)
features = SSLPretrainer(max_epochs=1, random_state=0).fit_transform(X)
clf = NoisyRobustClassifier("ce", max_epochs=1, random_state=0)
found = clf.fit(features, y).predict_proba(features)
with sklearn.config_context(array_api_dispatch=True):
    again = clf.fit(features, y).predict_proba(features)
    LogisticRegression().fit(features, y).predict(features)
assert (found == again).all()
"""
    run_python(code, env=os.environ | {"SCIPY_ARRAY_API": "1"})


@pytest.mark.parametrize(
    "clf",
    [
        NoisyRobustClassifier(freeze_encoder=True, random_state=0),
        NoisyRobustClassifier("ce", freeze_encoder=True, max_epochs=1, random_state=0),
        CoTrainingClassifier(
            "coteaching", freeze_encoder=True, max_epochs=1, random_state=0
        ),
        NoisyRobustClassifier("ce", max_epochs=1, head_epochs=0, random_state=0),
    ],
)
def test_features_that_are_there_predict_as_their_samples(clf, digits):
    X, y = digits
    ssl = SSLPretrainer(max_epochs=1, precision="float32", random_state=0)
    features = ssl.fit_transform(X)
    clf = clone(clf).fit(features, y)
    np.asarray(features)
    expected = clf.predict_proba(X)
    np.testing.assert_allclose(clf.predict_proba(features), expected, atol=1e-6)
    np.testing.assert_allclose(
        clf.predict_proba(features[7:9]), expected[7:9], atol=1e-6
    )
    others = clone(ssl).set_params(random_state=1).fit_transform(X)
    np.asarray(others)
    np.testing.assert_allclose(clf.predict_proba(others), expected, atol=1e-6)


def test_features_of_images_of_another_size_are_not_mistaken(digits):
    """The same weights see images of another size, and features are others."""
    images, y = digits
    torch.manual_seed(0)
    net = torch.nn.Sequential(
        torch.nn.Conv2d(3, 8, 3),
        torch.nn.ReLU(),
        torch.nn.AdaptiveAvgPool2d(2),
        torch.nn.Flatten(),
    )
    settings = {"normalization": "imagenet", "precision": "float32"}
    small, large = (
        PretrainedEncoder(net, image_size=side, **settings).fit_transform(images)
        for side in (12, 16)
    )
    clf = NoisyRobustClassifier(freeze_encoder=True, random_state=0).fit(small, y)
    expected = clf.predict_proba(large)
    assert np.ptp(np.asarray(large) - np.asarray(small)) > 0.1
    np.testing.assert_array_equal(clf.predict_proba(large), expected)
