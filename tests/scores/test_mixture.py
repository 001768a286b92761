import numpy as np
import pytest

from sknoisy.scores import (
    gaussian_mixture,
    gmm_clean_probability,
)
from sknoisy.scores.mixture import _two_means

RNG = np.random.default_rng(0)


def test_gmm_finds_two_known_gaussians():
    rng = np.random.default_rng(0)
    wrong = np.arange(5000) < 1500
    losses = np.where(wrong, rng.normal(3, 0.5, 5000), rng.normal(0.5, 0.3, 5000))
    clean = gmm_clean_probability(losses)
    assert ((clean < 0.5) == wrong).mean() > 0.99
    np.testing.assert_allclose(gmm_clean_probability(7 * losses - 3), clean, atol=1e-9)


def test_gmm_is_scikit_learns():
    from sklearn.mixture import GaussianMixture

    rng = np.random.default_rng(1)
    losses = np.r_[rng.exponential(0.3, 3000), rng.normal(3, 1, 2000).clip(0)]
    x = (losses / losses.max() - losses.min() / losses.max())[:, None]
    theirs = GaussianMixture(2, tol=1e-8, max_iter=1000, reg_covar=5e-4, random_state=0)
    posterior = theirs.fit(x).predict_proba(x)[:, theirs.means_.argmin()]
    mine = gmm_clean_probability(losses, max_iter=1000, tol=1e-8)
    np.testing.assert_allclose(mine, posterior, atol=1e-3)


def random_losses(kind, n, rng):
    return {
        "exponential": lambda: rng.exponential(size=n),
        "two normals": lambda: np.r_[rng.normal(0, 0.2, n), rng.normal(3, 1, n // 3)],
        "two values": lambda: np.r_[0.0, 1.0, rng.integers(0, 2, n)],
        "one outlier": lambda: np.r_[1e-8 * rng.random(n), 1.0],
        "mostly zero": lambda: np.r_[np.zeros(n), rng.random(2)],
        "far from zero": lambda: 1e8 + 1e6 * rng.random(n),
    }[kind]()


@pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")
@pytest.mark.parametrize("settings", [(1, 1e-2), (10, 1e-2), (200, 1e-4)])
@pytest.mark.parametrize(
    "kind",
    [
        "exponential",
        "two normals",
        "two values",
        "one outlier",
        "mostly zero",
        "far from zero",
    ],
)
def test_gmm_is_scikit_learns_step_by_step(kind, settings):
    """From the same start, which scikit-learn draws at random."""
    from sklearn.mixture import GaussianMixture

    class FromTwoMeans(GaussianMixture):
        def _initialize_parameters(self, X, random_state, xp=None):
            low = (X[:, 0] <= _two_means(X[:, 0])).astype(float)
            self._initialize(X, np.stack([low, 1 - low], axis=1))

    max_iter, tol = settings
    rng = np.random.default_rng(0)
    for n in (3, 30, 2000):
        losses = random_losses(kind, n, rng)
        x = ((losses - losses.min()) / np.ptp(losses))[:, None]
        theirs = FromTwoMeans(2, max_iter=max_iter, tol=tol, reg_covar=5e-4).fit(x)
        mine = gaussian_mixture(losses, max_iter, tol)
        low = theirs.means_.argmin()
        posterior = theirs.predict_proba(x)[:, low]
        np.testing.assert_allclose(mine.clean_probability, posterior, atol=1e-6)
        weights = theirs.weights_[[low, 1 - low]]
        np.testing.assert_allclose(mine.weights, weights, atol=1e-6)


def test_gmm_degenerate():
    assert gmm_clean_probability([2.0, 2.0, 2.0]).tolist() == [1, 1, 1]
    assert gmm_clean_probability([0.0, 1.0]).round(6).tolist() == [1, 0]
    for losses in ([1.0], [1.0, np.nan], [[1.0, 2.0]]):
        with pytest.raises(ValueError, match="losses of shape"):
            gmm_clean_probability(losses)
    with pytest.raises(ValueError, match="tol=0 is not valid"):
        gmm_clean_probability([1.0, 2.0], tol=0)
