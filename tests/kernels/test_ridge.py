"""Kernel ridge regression against SciPy, scikit-learn, and fits without a sample."""

import numpy as np
import pytest
import torch
from scipy.spatial.distance import cdist
from sklearn.cluster import KMeans

from sknoisy.encoders.heads import kernel
from sknoisy.kernels import nystroem
from sknoisy.kernels import ridge as kernel_ridge
from sknoisy.kernels.choice import mean_square_slopes
from sknoisy.kernels.nystroem import KeptFeatures, RecomputedFeatures
from sknoisy.kernels.ridge import (
    PENALTIES,
    KernelRidge,
    centres_of_clusters,
    compare,
)

RNG = np.random.default_rng(0)


@pytest.mark.parametrize("power, metric", [(1, "cityblock"), (2, "sqeuclidean")])
def test_kernels_against_scipy(power, metric):
    X, Z = RNG.normal(size=(7, 3)), RNG.normal(size=(4, 3))
    found = kernel(torch.tensor(X), torch.tensor(Z), 0.3, power)
    np.testing.assert_allclose(found, np.exp(-0.3 * cdist(X, Z, metric)), rtol=1e-10)


@pytest.mark.parametrize("power, evenness", [(1, 0.0), (2, 0.0), (2, 0.6), (2, 1.0)])
def test_leave_one_out_is_fitting_without_the_sample(power, evenness):
    X = RNG.normal(size=(30, 2)).astype(np.float32)
    Y = RNG.dirichlet([0.2, 0.5, 1.0], size=30).astype(np.float32)
    ridge = KernelRidge(
        torch.from_numpy(X), power, 1.0, 30, torch.Generator().manual_seed(0)
    )
    left_out = ridge.fit(torch.from_numpy(Y), evenness=evenness).numpy()
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
            predicted[i] = A[i] @ w + evenness * (1 / 3 - Y[rest].mean(axis=0))
        predictions.append(predicted)
        errors.append(np.square(predicted - Y).mean())
    best = predictions[int(np.argmin(errors))]
    np.testing.assert_allclose(left_out, best, atol=2e-3)
    assert ridge.error == pytest.approx(min(errors), rel=1e-2)


def test_predictions_of_the_head_are_the_fit(monkeypatch):
    monkeypatch.setattr("sknoisy.kernels.ridge.PART", 7)  # rows at once
    X = torch.randn(40, 3, generator=torch.Generator().manual_seed(0))
    ridge = KernelRidge(X, 2, 1.0, 40, torch.Generator().manual_seed(0))
    ridge.fit(X[:, :2].sin())
    values = kernel(X, ridge.landmarks, ridge.gamma, 2)
    fitted = values @ ridge.coefficients + ridge.intercept
    torch.testing.assert_close(ridge.predict(X), fitted)
    assert (fitted - X[:, :2].sin()).abs().mean() < 0.1


def test_with_even_means_large_penalties_leave_the_evidence():
    """The larger class does not take all samples of the other."""
    X = torch.tensor([[-1.0]] * 7 + [[1.0]] * 3) + 0.01 * torch.arange(10)[:, None]
    Y = torch.eye(2)[[0] * 7 + [1] * 3]
    ridge = KernelRidge(X, 2, 1.0, 10, torch.Generator().manual_seed(0))
    found = [ridge.fit(Y, 1e6, s).argmax(dim=1).tolist() for s in (0.0, 1.0)]
    assert found == [[0] * 10, [0] * 7 + [1] * 3]


def test_copies_that_are_all_there_is_are_predicted_by_even_means():
    """Nothing is left to learn from, and rounding is not multiplied."""
    X, Y = torch.ones(7, 1), torch.tensor([[0.7, 0.2, 0.1]]).expand(7, 3)
    settings = {
        "weights": torch.linspace(0.1, 1, 7),
        "originals": torch.zeros(7).long(),
    }
    ridge = KernelRidge(X, 2, 1.0, 7, torch.Generator().manual_seed(0), **settings)
    left_out = ridge.fit(Y, evenness=1.0)
    torch.testing.assert_close(left_out, torch.full((7, 3), 1 / 3))


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
    sizes = (nystroem, "PART", 70), (nystroem, "COLUMNS", 64)
    generator = torch.Generator()
    X = torch.randn(300, 3, generator=generator.manual_seed(0))
    found = []
    for parts in ((), (*sizes, (kernel_ridge, "CELLS", 500))):
        for module, name, size in parts:
            monkeypatch.setattr(module, name, size)
        ridge = KernelRidge(X, 2, 1.0, 150, generator.manual_seed(0))
        found.append((ridge.fit(X.sin()), ridge.coefficients, ridge.error))
    (whole, coefficients, error), (in_parts, _, error_in_parts) = found
    torch.testing.assert_close(in_parts, whole, atol=1e-4, rtol=1e-3)
    assert error_in_parts == pytest.approx(error, rel=1e-3)
    assert coefficients.shape == (150, 3)


@pytest.mark.parametrize("power", [1, 2])
@pytest.mark.parametrize("weighted", [False, True])
def test_features_that_are_not_kept_give_the_same(monkeypatch, power, weighted):
    generator = torch.Generator()
    X = torch.randn(300, 8, generator=generator.manual_seed(0))
    weights = (
        torch.rand(300, generator=generator).round(decimals=1) if weighted else None
    )
    monkeypatch.setattr(nystroem, "PART", 70)
    found = []
    for largest, kind in ((300 * 50, KeptFeatures), (300 * 50 - 1, RecomputedFeatures)):
        monkeypatch.setattr(nystroem, "LARGEST", largest)
        settings = {"n_landmarks": 50, "generator": generator.manual_seed(0)}
        ridge = KernelRidge(X, power, 1.0, weights=weights, **settings)
        assert type(ridge._features) is kind
        left_out = ridge.fit(X.sin())
        values = kernel(X, ridge.landmarks, ridge.gamma, power)
        fitted = values @ ridge.coefficients + ridge.intercept
        found.append((left_out, fitted, ridge.error, ridge.penalty))
    torch.testing.assert_close(found[1], found[0], atol=1e-4, rtol=1e-3)


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


@pytest.mark.parametrize("power", [1, 2])
def test_widths_share_distances_and_give_the_same(power):
    X = torch.randn(90, 4, generator=torch.Generator().manual_seed(0))
    generator, settings = torch.Generator(), {"power": power, "n_landmarks": 30}
    compared = compare(X, generator=generator.manual_seed(1), **settings)
    for width in (0.5, 2.0):
        settings |= {"width": width, "generator": generator.manual_seed(1)}
        alone = KernelRidge(X, **settings)
        sharing = KernelRidge(X, compared=compared, **settings)
        assert sharing.fit(X.sin()).equal(alone.fit(X.sin()))
        assert sharing.coefficients.equal(alone.coefficients)


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


def test_penalties_are_half_decades_and_noise_gets_large_ones():
    np.testing.assert_allclose(np.log10(PENALTIES), np.arange(-4, 7) / 2)
    generator = torch.Generator().manual_seed(0)
    X, noise = torch.randn(2, 200, 2, generator=generator)
    ridge = KernelRidge(X, 2, 1.0, 100, generator)
    left_out = ridge.fit(noise)
    assert ridge.penalty > 30
    assert left_out.std() < 0.2 * noise.std()
