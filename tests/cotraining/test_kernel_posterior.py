"""The kernel machine that corrects labels, by hand; and as what vectors get."""

import pickle
import warnings

import numpy as np
import pytest
import torch
from nets import narrow
from sklearn.base import clone
from sklearn.datasets import load_breast_cancer, load_digits
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import roc_auc_score
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from torch import nn

from sknoisy import (
    ELR,
    CoTrainingClassifier,
    KernelPosterior,
    LabelErrorDetector,
    NoisyRobustClassifier,
    SSLPretrainer,
)
from sknoisy.cotraining.kernel_posterior import alone, posterior
from sknoisy.noise import pair_flip, symmetric_exclusive

RNG = np.random.default_rng(0)


# Formulas -----------------------------------------------------------------------------


def test_posterior_by_hand():
    T = torch.tensor([[0.7, 0.3], [0.2, 0.8]])
    found = posterior(torch.tensor([[0.5, 0.5], [0.9, 0.1]]), T, torch.tensor([0, 1]))
    expected = [[0.35 / 0.45, 0.10 / 0.45], [0.27 / 0.35, 0.08 / 0.35]]
    np.testing.assert_allclose(found, expected, rtol=1e-6)


# As what vectors get ------------------------------------------------------------------


@pytest.fixture(scope="module")
def digits_of_vectors():
    X, y = load_digits(return_X_y=True)
    return (X / 16).astype(np.float32), y


@pytest.mark.parametrize("make_noise", [symmetric_exclusive, pair_flip])
def test_default_beats_logistic_regression(digits_of_vectors, make_noise):
    X, y = digits_of_vectors
    rate = 0.6 if make_noise is symmetric_exclusive else 0.4
    noisy = make_noise(y[:1200], rate=rate, random_state=0)
    clf = NoisyRobustClassifier(random_state=0).fit(X[:1200], noisy.y)
    peer = make_pipeline(StandardScaler(), LogisticRegression(C=0.01))
    peer.fit(X[:1200], noisy.y)
    assert clf.score(X[1200:], y[1200:]) > peer.score(X[1200:], y[1200:]) + 0.02
    assert clf.noise_rate_ == pytest.approx(rate, abs=0.1)
    assert roc_auc_score(noisy.is_wrong, -clf.clean_proba_) > 0.95
    assert roc_auc_score(noisy.is_wrong, -clf.label_quality_) > 0.85
    posteriors = clf.loss_state_["posterior"]
    assert (posteriors.argmax(axis=1) == y[:1200]).mean() > 0.75
    np.testing.assert_allclose(posteriors.sum(axis=1), 1, atol=1e-5)


def test_scales_of_columns_do_not_matter_to_tables():
    X, y = load_breast_cancer(return_X_y=True)
    scaled = X * np.logspace(-6, 6, X.shape[1])
    first, second = (
        NoisyRobustClassifier(random_state=0).fit(data[::2], y[::2])
        for data in (X, scaled)
    )
    assert first.score(X[1::2], y[1::2]) > 0.93
    assert second.score(scaled[1::2], y[1::2]) > 0.93


def test_the_scale_of_components_is_kept(digits_of_vectors):
    """Whitening would lift the noise of components that vary little."""
    X, y = digits_of_vectors
    clf = NoisyRobustClassifier(random_state=0).fit(X[:400], y[:400])
    scale = clf.state_dict_["networks.0.head.rescale.scale"]
    assert (scale == scale[0]).all()


def test_what_auto_stands_for(digits_of_vectors, digits):
    images, y = digits[0][:100], digits[1][:100]
    X = digits_of_vectors[0][:100]
    settings = {"max_epochs": 1, "random_state": 0}

    def loss_of(X=X, **params):
        clf = NoisyRobustClassifier(**settings | params).fit(X, y)
        return clf._training.loss

    assert isinstance(loss_of(), KernelPosterior)
    for params in (
        {"encoder": "mlp"},
        {"head": "mlp"},
        {"regularizers": ["clustering"]},
        {"X": images},
    ):
        assert isinstance(loss_of(**params), ELR)
    ssl = SSLPretrainer(encoder=narrow, max_epochs=1, random_state=0)
    features = ssl.fit_transform(images)
    assert isinstance(loss_of(X=features), ELR)
    assert isinstance(loss_of(X=features, freeze_encoder=True), KernelPosterior)
    assert len(NoisyRobustClassifier("ce").fit(X, y).history_) == 20


def test_frozen_features_of_images(digits):
    X, y = digits
    ssl = SSLPretrainer(encoder=narrow, max_epochs=2, random_state=0)
    features = ssl.fit_transform(X)
    clf = NoisyRobustClassifier(freeze_encoder=True, random_state=0).fit(features, y)
    assert clf.score(X, y) > 0.9
    loaded = pickle.loads(pickle.dumps(clf))
    np.testing.assert_allclose(loaded.predict_proba(X), clf.predict_proba(X), atol=1e-5)
    probs = clf.to_module()(torch.from_numpy(X)).detach()
    np.testing.assert_allclose(probs, clf.predict_proba(X), atol=1e-4)


def test_class_weights_move_the_boundary(digits_of_vectors):
    X, y = digits_of_vectors
    shares = []
    for weight in (1.0, 20.0):
        clf = NoisyRobustClassifier(class_weight={8: weight}, random_state=0)
        noisy = symmetric_exclusive(y[:300], rate=0.3, random_state=0).y
        shares.append((clf.fit(X[:300], noisy).predict(X[900:]) == 8).mean())
    assert shares[0] < shares[1]


@pytest.mark.parametrize(
    "n, expected",
    [
        (30, 30),
        (3000, 1000),
        (10_000, 2500),
        (60_000, 4000),
        (2**17, 2**11),  # as many numbers as are kept
        (1_000_000, 2000),
    ],
)
def test_landmarks_are_a_quarter_of_the_samples(n, expected):
    method = KernelPosterior()
    method.start(n, 2, "cpu")
    assert method.resolved() == {"n_landmarks": expected}
    assert KernelPosterior(n_landmarks=7).resolved() == {"n_landmarks": 7}


@pytest.mark.filterwarnings("ignore:setting max_epochs=5 changes nothing")
def test_more_epochs_change_nothing(digits_of_vectors):
    X, y = digits_of_vectors[0][:300], digits_of_vectors[1][:300]
    once, often = (
        NoisyRobustClassifier(max_epochs=n, random_state=0).fit(X, y) for n in (1, 5)
    )
    np.testing.assert_array_equal(once.predict_proba(X), often.predict_proba(X))
    assert len(often.history_) == 5
    assert often.history_[0]["train_loss"] == often.history_[4]["train_loss"]


@pytest.mark.filterwarnings("ignore:setting max_epochs=3 changes nothing")
def test_it_goes_on_epoch_by_epoch_and_with_other_labels(digits_of_vectors):
    X, y = digits_of_vectors[0][:400], digits_of_vectors[1][:400]
    whole = NoisyRobustClassifier(max_epochs=3, random_state=0).fit(X, y)
    steps = NoisyRobustClassifier(max_epochs=3, random_state=0)
    for _ in range(3):
        steps.partial_fit(X, y)
    np.testing.assert_array_equal(whole.predict_proba(X), steps.predict_proba(X))
    before = steps.loss_state_["posterior"].copy()
    flipped = (y + 1) % 10
    after = steps.partial_fit(X, flipped).loss_state_["posterior"]
    assert (after.argmax(axis=1) == flipped).mean() > 0.95
    assert (before.argmax(axis=1) == y).mean() > 0.95


@pytest.mark.parametrize("n", [2, 3, 11])
def test_few_samples(n):
    X, y = RNG.normal(size=(n, 3)), np.arange(n) % 2
    clf = NoisyRobustClassifier(random_state=0).fit(X, y)
    assert clf.predict_proba(X).shape == (n, 2)


@pytest.mark.parametrize("n", [4, 6, 8])
def test_labels_of_few_samples_are_not_exchanged(n):
    """A sample that is left out makes its class rarer, so others predict another."""
    scores = []
    for seed in range(10):
        rng = np.random.default_rng(seed)
        y = np.arange(n) % 2
        X = rng.normal(size=(n, 5)) + y[:, None]
        clf = NoisyRobustClassifier(random_state=0).fit(X, y)
        scores.append(clf.score(X, y))
    assert min(scores) >= 0.5


@pytest.mark.parametrize("sizes", [[1, 1], [1, 1, 1, 1], [20, 20, 1], [5, 1, 1]])
def test_a_label_that_no_other_sample_has_is_kept(sizes):
    """The others never predict it, which says nothing against it."""
    rng = np.random.default_rng(0)
    y = np.repeat(np.arange(len(sizes)), sizes)
    X = 5 * np.eye(len(sizes))[y] + 0.3 * rng.normal(size=(len(y), len(sizes)))
    clf = NoisyRobustClassifier(random_state=0).fit(X, y)
    np.testing.assert_array_equal(clf.predict(X), y)
    single = np.bincount(y)[y] == 1
    np.testing.assert_array_equal(clf.clean_proba_[single], 1)


def test_alone_by_hand():
    hard = torch.tensor([[1.0, 0, 0], [1, 0, 0], [0, 1, 0]])
    assert alone(hard).tolist() == [False, False, True]
    soft = torch.tensor([[1.0, 0, 0], [0.2, 0.8, 0], [0, 0, 1]])
    assert alone(soft).tolist() == [False, False, True]


def test_constant_and_equal_samples():
    X, y = np.ones((30, 2)), np.arange(30) % 2
    probs = NoisyRobustClassifier(random_state=0).fit(X, y).predict_proba(X)
    assert np.isfinite(probs).all()


def test_parameters_are_searched_and_checked(digits_of_vectors):
    X, y = digits_of_vectors[0][:200], digits_of_vectors[1][:200]
    clf = CoTrainingClassifier("kernel_posterior", random_state=0)
    clf.set_params(method__n_rounds=0, method__n_landmarks=50)
    assert clone(clf).fit(X, y).score(X, y) > 0.8
    for bad in ({"n_rounds": -1}, {"n_landmarks": 0}):
        (name,) = bad
        with pytest.raises(ValueError, match=f"{name}="):
            CoTrainingClassifier(KernelPosterior(**bad)).fit(X, y)


def test_it_needs_an_encoder_that_stays(digits):
    clf = CoTrainingClassifier("kernel_posterior", max_epochs=1)
    with pytest.raises(ValueError, match="KernelPosterior.*freeze_encoder=True"):
        clf.fit(*digits)


def test_parameters_of_a_loss_make_auto_that_loss():
    clf = NoisyRobustClassifier().set_params(loss__lam=1.0)
    assert isinstance(clf.loss, ELR) and clf.loss.lam == 1.0


def test_an_identity_encoder_keeps_relative_scales():
    X = RNG.normal(size=(50, 2)) * [1.0, 100.0] + 7
    y = (X[:, 0] > 7).astype(int)
    clf = NoisyRobustClassifier("ce", encoder="identity", max_epochs=1).fit(X, y)
    features = clf.encoder_.transform(X)
    np.testing.assert_allclose(features.mean(axis=0), 0, atol=1e-4)
    assert features[:, 1].std() / features[:, 0].std() == pytest.approx(
        X[:, 1].std() / X[:, 0].std(), rel=1e-3
    )
    assert isinstance(clf._network.head, nn.Linear)


def test_chunks_are_forgotten_with_a_warning():
    X, y = load_digits(return_X_y=True)
    forgets = pytest.warns(UserWarning, match="partial_fit forgets the samples")
    clf = NoisyRobustClassifier(random_state=0).fit(X[:300], y[:300])
    with forgets:
        clf.partial_fit(X[300:600], y[300:600])
    with forgets:
        clf.partial_fit(X[:300], y[:300])
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        clf.partial_fit(X[:300], y[:300]).partial_fit(X[:600], y[:600])
        elr = NoisyRobustClassifier("elr", random_state=0).fit(X[:300], y[:300])
        elr.partial_fit(X[300:600], y[300:600])


def test_near_copies_are_warned_of_once(digits_of_vectors):
    X, y = (part[:100] for part in digits_of_vectors)
    jitter = np.random.default_rng(0).normal(scale=1 / 16, size=X.shape)
    both, labels = np.r_[X, X + jitter].astype(np.float32), np.r_[y, y]

    def warnings_of(estimator, *args, **given):
        with warnings.catch_warnings(record=True) as caught:
            warnings.simplefilter("always")
            estimator.set_params(random_state=0).fit(*args, **given)
        texts = [str(warning.message) for warning in caught]
        return [text for text in texts if "samples are nearly copies" in text]

    (text,) = warnings_of(NoisyRobustClassifier(), both, labels)
    assert "Train without the copies" in text
    assert not warnings_of(NoisyRobustClassifier(), X, y)
    half = np.eye(10)[labels]
    half[len(X) :] = np.nan  # copies without a label confirm nothing
    soft = NoisyRobustClassifier(classes=range(10))
    assert not warnings_of(soft, both, half)
    (text,) = warnings_of(LabelErrorDetector(), both, labels)
    assert "Pass groups=" in text
    groups = np.tile(np.arange(len(X)), 2)
    assert not warnings_of(LabelErrorDetector(), both, labels, groups=groups)
