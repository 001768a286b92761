"""The kernel machine that corrects labels, by hand; and as what vectors get."""

import pickle

import numpy as np
import pytest
import torch
from scipy.spatial.distance import cdist
from sklearn.base import clone
from sklearn.cluster import KMeans
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
    NoisyRobustClassifier,
    SSLPretrainer,
)
from sknoisy.cotraining.kernel_posterior import alone, balanced, evenness, posterior
from sknoisy.encoders.heads import kernel, simplex
from sknoisy.kernels import ridge as kernel_ridge
from sknoisy.kernels.choice import mean_square_slopes
from sknoisy.kernels.confusion import (
    best_stretch,
    first_guess,
    sharpened,
    unmixed,
)
from sknoisy.kernels.ridge import (
    PENALTIES,
    KernelRidge,
    centres_of_clusters,
)
from sknoisy.noise import pair_flip, symmetric_exclusive

RNG = np.random.default_rng(0)


# Formulas -----------------------------------------------------------------------------


@pytest.mark.parametrize("power, metric", [(1, "cityblock"), (2, "sqeuclidean")])
def test_kernels_against_scipy(power, metric):
    X, Z = RNG.normal(size=(7, 3)), RNG.normal(size=(4, 3))
    found = kernel(torch.tensor(X), torch.tensor(Z), 0.3, power)
    np.testing.assert_allclose(found, np.exp(-0.3 * cdist(X, Z, metric)), rtol=1e-10)


@pytest.mark.parametrize("power", [1, 2])
def test_leave_one_out_is_fitting_without_the_sample(power):
    X = RNG.normal(size=(30, 2)).astype(np.float32)
    Y = RNG.normal(size=(30, 3)).astype(np.float32)
    ridge = KernelRidge(
        torch.from_numpy(X), power, 1.0, 30, torch.Generator().manual_seed(0)
    )
    left_out = ridge.fit(torch.from_numpy(Y)).numpy()
    # With as many landmarks as samples it is exact kernel ridge regression on features
    # whose mean is removed, up to the jitter.
    K = np.exp(-ridge.gamma * cdist(X, X, "cityblock" if power == 1 else "sqeuclidean"))
    values, vectors = np.linalg.eigh(K)
    features = vectors * np.sqrt(values.clip(0))
    errors, predictions = [], []
    for penalty in PENALTIES:
        predicted = np.empty_like(Y)
        for i in range(30):
            rest = np.arange(30) != i
            # The intercept and the centring of the whole fit, as in PRESS.
            A = np.c_[np.ones(30), features - features.mean(axis=0)]
            D = np.diag([0.0, *[penalty] * 30])
            w = np.linalg.solve(A[rest].T @ A[rest] + D, A[rest].T @ Y[rest])
            predicted[i] = A[i] @ w
        predictions.append(predicted)
        errors.append(np.square(predicted - Y).mean())
    best = predictions[int(np.argmin(errors))]
    np.testing.assert_allclose(left_out, best, atol=2e-3)
    assert ridge.error == pytest.approx(min(errors), rel=1e-2)


def test_predictions_of_the_head_are_the_fit():
    X = torch.randn(40, 3, generator=torch.Generator().manual_seed(0))
    ridge = KernelRidge(X, 2, 1.0, 40, torch.Generator().manual_seed(0))
    ridge.fit(X[:, :2].sin())
    values = kernel(X, ridge.landmarks, ridge.gamma, 2)
    fitted = values @ ridge.coefficients + ridge.intercept
    assert (fitted - X[:, :2].sin()).abs().mean() < 0.1


def test_the_penalty_is_at_least_what_is_asked_for():
    X = torch.linspace(-1, 1, 40)[:, None]
    ridge = KernelRidge(X, 2, 1.0, 40, torch.Generator().manual_seed(0))
    ridge.fit(X.sin())
    assert ridge.penalty == PENALTIES[0]
    ridge.fit(X.sin(), least_penalty=0.5)
    assert ridge.penalty == 1
    ridge.fit(X.sin(), least_penalty=1e6)
    assert ridge.penalty == PENALTIES[-1]


def test_parts_give_what_the_whole_gives(monkeypatch):
    """Of rows, of columns, and of what all penalties predict."""
    generator = torch.Generator()
    X = torch.randn(300, 3, generator=generator.manual_seed(0))
    found = []
    for parts in ({}, {"PART": 70, "COLUMNS": 64, "CELLS": 500}):
        for name, size in parts.items():
            monkeypatch.setattr(kernel_ridge, name, size)
        ridge = KernelRidge(X, 2, 1.0, 150, generator.manual_seed(0))
        found.append((ridge.fit(X.sin()), ridge.coefficients, ridge.error))
    (whole, coefficients, error), (in_parts, _, error_in_parts) = found
    torch.testing.assert_close(in_parts, whole, atol=1e-4, rtol=1e-3)
    assert error_in_parts == pytest.approx(error, rel=1e-3)
    assert coefficients.shape == (150, 3)


def test_unmixed_is_the_inverse_where_that_is_positive():
    T = torch.tensor([[0.4, 0.6, 0.0], [0.5, 0.4, 0.1], [0.0, 0.2, 0.8]])
    true = torch.tensor([[0.5, 0.3, 0.2], [0.2, 0.2, 0.6]])
    # Classes 0 and 1 change places, and each step comes only a little nearer.
    start, found = true @ T, unmixed(true @ T, T)
    assert (found - true).abs().max() < 0.2 * (start - true).abs().max()
    torch.testing.assert_close(found.sum(dim=1), torch.ones(2))
    identity = torch.eye(3)
    torch.testing.assert_close(unmixed(true, identity), true)


def test_first_guess_unmixes_if_trusted_labels_say_so():
    T = torch.tensor([[0.3, 0.7], [0.7, 0.3]])
    codes = torch.arange(40) % 2
    given = torch.eye(2)[codes]
    probs = given @ T
    trusted = torch.arange(40) < 20
    assert first_guess(probs, T, given, None).argmax(dim=1).ne(codes).all()
    assert first_guess(probs, T, given, trusted).argmax(dim=1).eq(codes).all()
    # Where both guesses are as good, it is the one without trusted labels.
    given = 1 - given
    torch.testing.assert_close(
        first_guess(given, torch.eye(2), given, trusted), sharpened(given)
    )


def test_best_stretch():
    generator = torch.Generator().manual_seed(0)
    true = torch.rand(2000, 1, generator=generator)
    true = torch.cat([true, 1 - true], dim=1)
    right = torch.rand(2000, generator=generator) > true[:, 0]
    labels = torch.eye(2)[right.long()]
    shrunk = 0.5 + (true - 0.5) / 2
    assert best_stretch(shrunk, labels) == pytest.approx(2, rel=0.2)
    assert best_stretch(true, labels) == 1
    assert best_stretch(shrunk[:3], labels[:3]) == 1  # too few to tell


def test_landmarks_are_centres_of_k_means(monkeypatch):
    X = torch.randn(400, 3, generator=torch.Generator().manual_seed(0))
    start = X[torch.randperm(400, generator=torch.Generator().manual_seed(1))[:40]]
    means = KMeans(40, init=start.numpy(), n_init=1, max_iter=3).fit(X)
    monkeypatch.setattr(kernel_ridge, "PART", 70)
    found = centres_of_clusters(X, 40, torch.Generator().manual_seed(1), 3)
    np.testing.assert_allclose(found, means.cluster_centers_, atol=1e-5)


@pytest.mark.parametrize("power, are_samples", [(1, True), (2, False)])
def test_landmarks_of_the_laplacian_kernel_are_samples(power, are_samples):
    X = torch.randn(100, 2, generator=torch.Generator().manual_seed(0))
    ridge = KernelRidge(X, power, 1.0, 20, torch.Generator().manual_seed(1))
    among = (ridge.landmarks[:, None] == X).all(dim=2).any(dim=1)
    assert bool(among.all()) == are_samples


def test_as_many_landmarks_as_samples_are_the_samples():
    X = torch.randn(30, 2, generator=torch.Generator().manual_seed(0))
    found = centres_of_clusters(X, 30, torch.Generator().manual_seed(1), 3)
    assert sorted(found.tolist()) == sorted(X.tolist())


def test_centres_of_equal_samples_and_of_some_of_many():
    generator = torch.Generator().manual_seed(0)
    assert (centres_of_clusters(torch.ones(50, 2), 5, generator, 3) == 1).all()
    X = torch.arange(4.0).repeat(1000)[:, None]  # more than are clustered
    found = centres_of_clusters(X, 16, generator, 3)
    assert set(found[:, 0].tolist()) == {0.0, 1.0, 2.0, 3.0}


def test_posterior_by_hand():
    T = torch.tensor([[0.7, 0.3], [0.2, 0.8]])
    found = posterior(torch.tensor([[0.5, 0.5], [0.9, 0.1]]), T, torch.tensor([0, 1]))
    expected = [[0.35 / 0.45, 0.10 / 0.45], [0.27 / 0.35, 0.08 / 0.35]]
    np.testing.assert_allclose(found, expected, rtol=1e-6)


def test_sharpening_makes_the_median_sure_and_keeps_the_order():
    probs = torch.tensor([[0.4, 0.3, 0.3], [0.2, 0.5, 0.3], [0.1, 0.3, 0.6]])
    found = sharpened(probs)
    assert found.argmax(dim=1).equal(probs.argmax(dim=1))
    torch.testing.assert_close(found[1, 1], torch.tensor(1.0))
    torch.testing.assert_close(found.sum(dim=1), torch.ones(3))
    sure = torch.eye(3)
    torch.testing.assert_close(sharpened(sure), sure)
    assert (simplex(found) > 0).all()


def test_balancing_by_hand():
    labels = torch.tensor([[0.5, 0.5], [1.0, 0.0]])  # frequencies 0.75 and 0.25
    found = balanced(labels, 1.0)
    torch.testing.assert_close(found, torch.tensor([[0.25, 0.75], [1.0, 0.0]]))
    torch.testing.assert_close(balanced(labels, 0.0), labels)


def test_chance_explains_the_frequencies_of_even_labels():
    rng = np.random.default_rng(0)
    for n_classes in (2, 10):
        even = rng.multinomial(1000, [1 / n_classes] * n_classes, size=500) / 1000
        spread = np.square(even - 1 / n_classes).sum(axis=1) / (n_classes - 1)
        assert spread.mean() == pytest.approx(1 / (1000 * n_classes), rel=0.2)
        found = [evenness(torch.tensor(row), 1000).item() for row in even]
        assert np.mean(found) > 0.8
    # The variance 0.5 x 0.5 / 1000 by chance, over the squared difference of 0.2.
    found = evenness(torch.tensor([0.7, 0.3]), 1000)
    assert found == pytest.approx(0.00025 / 0.04)
    assert evenness(torch.tensor([0.5, 0.5]), 1000) == 1


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
    clf = NoisyRobustClassifier(random_state=0).fit(X, y)
    scale = clf.state_dict_["networks.0.head.rescale.scale"]
    assert (scale == scale[0]).all()


def test_what_auto_stands_for(digits_of_vectors, digits):
    X, y = digits_of_vectors[0][:300], digits_of_vectors[1][:300]
    settings = {"max_epochs": 1, "random_state": 0}

    def loss_of(X=X, **params):
        clf = NoisyRobustClassifier(**settings | params).fit(X, y)
        return clf._training.loss

    assert isinstance(loss_of(), KernelPosterior)
    for params in (
        {"encoder": "mlp"},
        {"head": "mlp"},
        {"regularizers": ["clustering"]},
        {"X": digits[0]},
    ):
        assert isinstance(loss_of(**params), ELR)
    features = SSLPretrainer(max_epochs=1, random_state=0).fit_transform(digits[0])
    assert isinstance(loss_of(X=features), ELR)
    assert isinstance(loss_of(X=features, freeze_encoder=True), KernelPosterior)
    assert len(NoisyRobustClassifier("ce").fit(X, y).history_) == 20


def test_frozen_features_of_images(digits):
    X, y = digits
    features = SSLPretrainer(max_epochs=2, random_state=0).fit_transform(X)
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
        noisy = symmetric_exclusive(y[:900], rate=0.3, random_state=0).y
        shares.append((clf.fit(X[:900], noisy).predict(X[900:]) == 8).mean())
    assert shares[0] < shares[1]


@pytest.mark.parametrize(
    "n, expected", [(30, 30), (3000, 1000), (10_000, 2500), (99_999, 4000)]
)
def test_landmarks_are_a_quarter_of_the_samples(n, expected):
    method = KernelPosterior()
    method.start(n, 2, "cpu")
    assert method.resolved() == {"n_landmarks": expected}
    assert KernelPosterior(n_landmarks=7).resolved() == {"n_landmarks": 7}


@pytest.mark.filterwarnings("ignore:max_epochs=5 changes nothing")
def test_more_epochs_change_nothing(digits_of_vectors):
    X, y = digits_of_vectors[0][:300], digits_of_vectors[1][:300]
    once, often = (
        NoisyRobustClassifier(max_epochs=n, random_state=0).fit(X, y) for n in (1, 5)
    )
    np.testing.assert_array_equal(once.predict_proba(X), often.predict_proba(X))
    assert len(often.history_) == 5
    assert often.history_[0]["train_loss"] == often.history_[4]["train_loss"]


@pytest.mark.filterwarnings("ignore:max_epochs=3 changes nothing")
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


def test_many_classes_take_the_penalty_that_all_of_them_would(monkeypatch):
    generator = torch.Generator()
    centres = 2 * torch.randn(150, 8, generator=generator.manual_seed(0))
    y = torch.arange(600) % 150
    X = centres[y] + torch.randn(600, 8, generator=generator)
    targets, fits = torch.nn.functional.one_hot(y).float(), []
    for many in (kernel_ridge.MANY, 1000):
        monkeypatch.setattr(kernel_ridge, "MANY", many)
        ridge = KernelRidge(X, 2, 1.0, 300, generator.manual_seed(0))
        left_out = ridge.fit(targets)
        slopes = mean_square_slopes(ridge, X[:50])
        fits.append((left_out, ridge.penalty, ridge.error, slopes))
    (left_out, penalty, error, slopes), exact = fits
    assert penalty == exact[1]
    torch.testing.assert_close(left_out, exact[0])
    assert error == pytest.approx(exact[2], rel=0.05)
    assert error != exact[2]
    torch.testing.assert_close(slopes, exact[3], rtol=0.1, atol=0)


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
