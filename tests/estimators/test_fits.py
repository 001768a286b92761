"""Fits that go wrong, or on other data than one thinks: nothing is lost or silent."""

import warnings

import joblib
import numpy as np
import pandas as pd
import pytest
import torch
from sklearn.ensemble import RandomForestClassifier
from skorch.callbacks import Callback

from sknoisy import (
    ContrastiveFineTuner,
    CoTrainingClassifier,
    DivergenceError,
    LabelErrorDetector,
    NoisyRobustClassifier,
    SSLPretrainer,
)


@pytest.fixture(scope="module")
def vectors():
    from sklearn.datasets import load_digits

    X, y = load_digits(return_X_y=True)
    return (X[:300] / 16).astype(np.float32), y[:300]


def elr(**params):
    return NoisyRobustClassifier(
        **{"loss": "elr", "max_epochs": 5, "random_state": 0} | params
    )


def test_a_classifier_of_features_takes_lazy_ones_as_features(vectors):
    X, y = vectors
    features = SSLPretrainer(max_epochs=2, random_state=0).fit_transform(X)
    clf = elr().fit(np.asarray(features), y)
    with pytest.warns(UserWarning, match="did not fine-tune"):
        found = clf.predict_proba(features)
    np.testing.assert_array_equal(found, clf.predict_proba(np.asarray(features)))


def test_a_sampler_on_the_way(vectors):
    imblearn = pytest.importorskip("imblearn")
    X, y = vectors
    pipe = imblearn.pipeline.make_pipeline(
        SSLPretrainer(max_epochs=5, random_state=0),
        imblearn.over_sampling.RandomOverSampler(random_state=0),
        elr(max_epochs=20),
    )
    pipe.fit(X, y)
    with pytest.warns(UserWarning, match="did not fine-tune"):
        found = pipe.predict_proba(X)
    again = pipe[-1].predict_proba(np.asarray(pipe[0].transform(X)))
    np.testing.assert_array_equal(found, again)


@pytest.mark.parametrize(
    "estimator",
    [
        elr(),
        NoisyRobustClassifier("ce", max_epochs=1),
        CoTrainingClassifier("coteaching", max_epochs=1),
        CoTrainingClassifier("dividemix", max_epochs=1),
        SSLPretrainer(max_epochs=1, optimizer="sgd"),
    ],
)
def test_a_last_step_that_diverges_is_told(estimator, vectors):
    estimator.set_params(lr=1e20, max_epochs=1)
    with pytest.raises(DivergenceError, match="lr"):
        estimator.fit(*vectors)


class Break(Callback):
    """Fails in the first batch."""

    def __init__(self, error):
        self.error = error

    def on_batch_begin(self, net, **kwargs):
        raise self.error


@pytest.mark.parametrize("error", [KeyboardInterrupt, RuntimeError])
def test_a_refit_that_fails_leaves_the_model(vectors, error):
    X, y = vectors
    clf = elr(max_epochs=20).fit(X, y)
    before, state = clf.predict_proba(X), dict(vars(clf))
    with pytest.raises(error):
        clf.set_params(callbacks=[Break(error)]).fit(X[:, :9], y)
    assert clf.n_features_in_ == 64 and vars(clf).keys() == state.keys()
    np.testing.assert_array_equal(clf.predict_proba(X), before)
    with pytest.raises(error):
        new = elr(callbacks=[Break(error)])
        new.fit(X, y)
    assert not hasattr(new, "classes_")


def test_a_refit_of_meta_estimators_that_fails_leaves_them(vectors):
    X, y = vectors
    forest = RandomForestClassifier(5, random_state=0)
    supcon = SSLPretrainer("supcon", max_epochs=1, random_state=0)
    for meta in (
        LabelErrorDetector(forest, cv=2, random_state=0),
        ContrastiveFineTuner(elr(max_epochs=10), supcon, random_state=0),
    ):
        before = dict(vars(meta.fit(X, y)))
        broken = elr(callbacks=[Break(RuntimeError)])
        with pytest.raises(RuntimeError):
            meta.set_params(estimator=broken).fit(X[:, :9], y)
        now = vars(meta)
        assert now.keys() == before.keys()
        assert all(now[name] is before[name] for name in now if name.endswith("_"))


def test_a_subclass_with_hidden_parameters_is_refused():
    class Sub(NoisyRobustClassifier):
        def __init__(self, own=1, **kwargs):
            super().__init__(**kwargs)
            self.own = own

    with pytest.raises(RuntimeError, match="Sub must name all of its parameters"):
        Sub(max_epochs=1).get_params()


@pytest.mark.parametrize("mode", ["no_grad", "inference_mode"])
def test_fits_within_modes_of_pytorch(vectors, mode):
    X, y = vectors
    plain = elr().fit(X, y).predict_proba(X)
    with getattr(torch, mode)():
        found = elr().fit(X, y).predict_proba(X)
        default = NoisyRobustClassifier(random_state=0).fit(X, y)
        SSLPretrainer(max_epochs=1).fit(X)
    np.testing.assert_array_equal(plain, found)
    assert default.score(X, y) > 0.9


@pytest.mark.filterwarnings("error:.*not writable")
def test_what_is_mapped_may_be_read_only(vectors, tmp_path):
    """As joblib maps the samples and the models that it hands to other processes."""
    X, y = vectors
    X = X.copy()
    X.flags.writeable = False
    model = elr().partial_fit(X, y)
    joblib.dump(model, tmp_path / "model")
    mapped = joblib.load(tmp_path / "model", mmap_mode="r")
    again = joblib.load(tmp_path / "model")
    torch.set_warn_always(True)  # else only the first warning of a process
    try:
        mapped.partial_fit(X, y)
        LabelErrorDetector(elr(max_epochs=1), cv=2).fit(X, y)
    finally:
        torch.set_warn_always(False)
    found = mapped.predict_proba(X)
    np.testing.assert_array_equal(found, again.partial_fit(X, y).predict_proba(X))


@pytest.mark.parametrize("kind", [np.float32, np.float64, np.int64])
def test_numbers_of_numpy(vectors, kind):
    params = {"momentum": kind(0), "weight_decay": kind(0), "lr": kind(1)}
    for optimizer in ("sgd", "adamw", "lars", "momentum"):
        with warnings.catch_warnings():
            warnings.simplefilter("error")
            elr(optimizer=optimizer, max_epochs=1, **params).fit(*vectors)


def test_a_refit_forgets_the_columns_before(image_files):
    paths, labels = image_files
    clf = NoisyRobustClassifier("ce", max_epochs=1)
    table = pd.DataFrame(np.eye(len(labels))[:, :3], columns=["a", "b", "c"])
    assert [*clf.fit(table, labels).feature_names_in_] == ["a", "b", "c"]
    clf.set_params(image_size=8).fit(paths, labels)
    assert not hasattr(clf, "feature_names_in_") and not hasattr(clf, "n_features_in_")


def test_no_rows_of_lazy_features(vectors):
    features = SSLPretrainer(max_epochs=1).fit_transform(vectors[0])
    assert np.asarray(features[:0]).shape == (0, features.shape[1])


def test_an_encoder_that_was_taught_nothing_stays_so(digits):
    images, y = digits
    clf = NoisyRobustClassifier("ce", freeze_encoder=True, max_epochs=1)
    with pytest.warns(UserWarning, match="freeze_encoder=True keeps random weights"):
        clf.fit(images, y)
    features = SSLPretrainer(max_epochs=1).fit_transform(images)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        clf.fit(features, y)
        clf.set_params(encoder="identity").fit(images.reshape(len(y), -1), y)


def test_methods_and_losses_are_told_apart(vectors):
    with pytest.raises(
        ValueError, match=r"a method: use CoTrainingClassifier\('dividemix"
    ):
        NoisyRobustClassifier("dividemix").fit(*vectors)
    with pytest.raises(ValueError, match=r"a loss: use NoisyRobustClassifier\('elr'\)"):
        CoTrainingClassifier("elr").fit(*vectors)
    with pytest.raises(ValueError, match="loss='GCE' is not valid.*mean 'gce'"):
        NoisyRobustClassifier("GCE").fit(*vectors)
