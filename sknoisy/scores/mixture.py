"""Mixtures of two Gaussians of losses: one of right labels, one of wrong labels."""

from functools import partial
from typing import NamedTuple

import numpy as np
from scipy import stats

from sknoisy.checks import as_numbers, check_integer, check_real

PART = 2**15  # losses that are worked on at a time
EMPTY = 10 * np.finfo(np.float64).eps  # added to sizes, as in scikit-learn


class LossMixture(NamedTuple):
    """A two-component mixture fitted to losses, the component of lower mean first.

    Attributes
    ----------
    clean_probability : ndarray of shape (n_samples,), float64
        Posterior probability that each loss belongs to the first component.
    weights : ndarray of shape (2,), float64
        Weight of each component; empty if all losses are equal.
    components : list of two frozen distributions of scipy.stats
        On the scale of the losses; empty if all losses are equal.

    Examples
    --------
    >>> from sknoisy.scores import gaussian_mixture
    >>> mixture = gaussian_mixture([0.1, 0.2, 0.1, 4.0])
    >>> mixture.weights, [float(c.mean().round(2)) for c in mixture.components]
    (array([0.75, 0.25]), [0.13, 4.0])
    """

    clean_probability: np.ndarray
    weights: np.ndarray
    components: list


@np.errstate(under="ignore")
def gaussian_mixture(losses, max_iter=10, tol=1e-2, reg_covar=5e-4):
    """Fit a mixture of two Gaussians to losses.

    Parameters
    ----------
    losses : array-like of shape (n_samples,)
        Loss of each sample, on any scale.
    max_iter, tol, reg_covar : int, float, float
        See :func:`gmm_clean_probability`.

    Returns
    -------
    mixture : LossMixture
        With components of type ``scipy.stats.norm``.
    """
    check_integer("max_iter", max_iter)
    check_real("tol", tol, "(0, inf)")
    check_real("reg_covar", reg_covar, "(0, inf)")
    losses = check_losses(losses, at_least=2)
    spread = np.ptp(losses)
    if spread == 0:
        return all_clean(losses)
    x = (losses - losses.min()) / spread
    cut = _two_means(x)
    fitted = _gaussians(x, lambda part: (part <= cut, part > cut, 0), reg_covar)[0]
    likelihood = -np.inf
    for _ in range(max_iter):
        previous = likelihood
        expected = partial(_expectation, fitted=fitted)
        fitted, likelihood = _gaussians(x, expected, reg_covar)
        if abs(likelihood - previous) < tol:
            break
    fitted.sort(key=lambda gaussian: gaussian[1])
    low = np.concatenate([_expectation(part, fitted)[0] for part in _parts(x)])
    components = [
        stats.norm(losses.min() + spread * mean, spread * np.sqrt(variance))
        for _, mean, variance in fitted
    ]
    return LossMixture(low, np.array([w for w, _, _ in fitted]), components)


@np.errstate(under="ignore")
def gmm_clean_probability(losses, max_iter=10, tol=1e-2, reg_covar=5e-4):
    """Return the probability that each label is right, by a mixture of two Gaussians.

    The mixture is fitted to the losses, scaled to [0, 1]. The component of lower mean
    is taken as that of the right labels.

    Parameters
    ----------
    losses : array-like of shape (n_samples,)
        Loss of each sample, on any scale.
    max_iter : int, default=10
        Maximum number of steps of expectation maximisation. DivideMix takes 10, C2D
        200.
    tol : float, default=1e-2
        Steps end when the mean log-likelihood changes by less than this, in nats.
    reg_covar : float, default=5e-4
        Added to the variances of the scaled losses.

    Returns
    -------
    probability : ndarray of shape (n_samples,), float64
        Posterior of the component of lower mean; 1 if all losses are equal.

    Raises
    ------
    ValueError
        If there are fewer than two losses, a loss is not finite, or a parameter is out
        of its range.

    Notes
    -----
    The steps are those of scikit-learn's ``GaussianMixture``, which DivideMix uses, and
    which starts from k-means with a random initialisation. Here k-means starts from the
    mean, so that results are reproducible.

    References
    ----------
    Li, Socher and Hoi, DivideMix: Learning with Noisy Labels as Semi-supervised
    Learning, ICLR 2020, whose settings are the defaults.

    Examples
    --------
    >>> from sknoisy.scores import gmm_clean_probability
    >>> gmm_clean_probability([0.1, 0.2, 0.1, 4.0]).round(2)
    array([1., 1., 1., 0.])
    """
    return gaussian_mixture(losses, max_iter, tol, reg_covar).clean_probability


def check_losses(losses, at_least, name="losses"):
    """Return losses as float64 of shape (n_samples,), or raise ``ValueError``."""
    losses = as_numbers(name, losses).astype(np.float64, copy=False)
    if losses.ndim != 1 or len(losses) < at_least or not np.isfinite(losses).all():
        raise ValueError(
            f"{name} of shape {losses.shape} are not valid: they must be finite and of "
            f"shape (n_samples,), with n_samples at least {at_least}."
        )
    return losses


def all_clean(losses):
    """Return the mixture of losses that are all equal, which tell nothing."""
    return LossMixture(np.ones(len(losses)), np.empty(0), [])


def _two_means(x):
    """Return the boundary between two clusters, by k-means in one dimension."""
    cut = x.mean()
    for _ in range(100):
        previous, cut = cut, (x[x <= cut].mean() + x[x > cut].mean()) / 2
        if cut == previous:
            break
    return cut


def _parts(x):
    """Return x in parts, whose posteriors take little memory and stay in the cache."""
    return [x[start : start + PART] for start in range(0, len(x), PART)]


def _gaussians(x, expectation, reg_covar):
    """Return weight, mean and variance of two Gaussians, and the mean log-likelihood.

    Parameters
    ----------
    x : ndarray of shape (n,)
        In [0, 1].
    expectation : callable
        From a part of x to both posteriors, and the sum of the log-likelihoods.
    reg_covar : float
        Added to the variances.
    """
    sums, likelihood = np.zeros((2, 3)), 0.0
    for part in _parts(x):
        *shares, of_part = expectation(part)
        powers = np.stack([np.ones(len(part)), part, part * part], axis=1)
        sums += np.stack(shares) @ powers
        likelihood += of_part
    fitted = []
    for size, first, second in sums:
        total = size + EMPTY
        mean = first / total
        # x lies in [0, 1], so that rounding errors are far below reg_covar.
        variance = max(second / total - (2 - size / total) * mean**2, 0)
        fitted.append([total, mean, variance + reg_covar])
    weights = np.array([weight for weight, _, _ in fitted])
    for gaussian, weight in zip(fitted, weights / weights.sum(), strict=True):
        gaussian[0] = weight
    return fitted, likelihood / len(x)


def _expectation(x, fitted):
    """Return both posteriors, and the sum of the log-likelihoods."""
    # The logarithm of weight times density is a parabola in x.
    (a, b, c), (d, e, f) = (
        (
            np.log(weight) - 0.5 * (np.log(2 * np.pi * variance) + mean**2 / variance),
            mean / variance,
            -0.5 / variance,
        )
        for weight, mean, variance in fitted
    )
    square = x * x
    log_high = d + e * x + f * square
    odds = a - d + (b - e) * x + (c - f) * square
    # One exponential, of a negative number, serves for both posteriors.
    small = np.exp(-np.abs(odds))
    large = 1 / (1 + small)
    likelihood = log_high.sum() + (np.maximum(odds, 0) + np.log1p(small)).sum()
    small *= large
    is_low = odds > 0
    low, high = np.where(is_low, large, small), np.where(is_low, small, large)
    return low, high, likelihood
