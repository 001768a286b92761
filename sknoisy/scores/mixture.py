"""Mixture models of losses: one component for right labels, one for wrong labels."""

from functools import partial
from typing import NamedTuple

import numpy as np
from scipy import stats
from scipy.special import betaln, expit

from sknoisy.parameters import as_numbers, check_integer, check_real

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
    losses = _check_losses(losses, at_least=2)
    spread = np.ptp(losses)
    if spread == 0:
        return _all_clean(losses)
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
def beta_mixture(losses, max_iter=10, percentiles=(5.0, 95.0)):
    """Fit a mixture of two beta distributions to losses.

    Parameters
    ----------
    losses : array-like of shape (n_samples,)
        Loss of each sample, on any scale.
    max_iter, percentiles : int, (float, float)
        See :func:`bmm_clean_probability`.

    Returns
    -------
    mixture : LossMixture
        With components of type ``scipy.stats.beta``, between the two percentiles.
    """
    check_integer("max_iter", max_iter)
    losses = _check_losses(losses, at_least=4)
    low_end, high_end = np.percentile(losses, _check_percentiles(percentiles))
    if low_end == high_end:
        return _all_clean(losses)
    x = ((losses - low_end) / (high_end - low_end)).clip(1e-3, 1 - 1e-3)
    betas = _two_betas(x[(losses >= low_end) & (losses <= high_end)], max_iter)
    _, alpha, beta = betas[0]
    clean = _falling(x, _posterior(x, *betas), alpha / (alpha + beta))
    components = [stats.beta(a, b, low_end, high_end - low_end) for _, a, b in betas]
    return LossMixture(clean, np.array([w for w, _, _ in betas]), components)


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
    The steps are those of scikit-learn's ``GaussianMixture``, which DivideMix uses. It
    starts from k-means with a random initialisation; here, k-means starts from the
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


@np.errstate(under="ignore")
def bmm_clean_probability(losses, max_iter=10, percentiles=(5.0, 95.0)):
    """Return the probability that each label is right, by a mixture of two betas.

    Unlike a Gaussian, a beta distribution may be skewed and have its mode at an end of
    the range, as the losses of right labels do.

    Parameters
    ----------
    losses : array-like of shape (n_samples,)
        Loss of each sample, on any scale.
    max_iter : int, default=10
        Number of steps of expectation maximisation. The authors take 10, which may be
        far from convergence: samples from two known betas needed 50.
    percentiles : (float, float), default=(5.0, 95.0)
        Percentiles of the losses that are scaled to 0 and 1. The mixture is fitted to
        the losses between them; smaller and larger losses are clipped to 0 and 1.

    Returns
    -------
    probability : ndarray of shape (n_samples,), float64
        Posterior of the component of lower mean, made non-increasing in the loss; 1 if
        all losses are equal.

    Raises
    ------
    ValueError
        If there are fewer than four losses, a loss is not finite, or a parameter is
        out of its range.

    Notes
    -----
    As in the authors' code, the M-step matches means and variances, which does not
    maximise the likelihood exactly; the initial posteriors of a scaled loss x are 1 - x
    and x; and scaled losses are clipped to [0.001, 0.999]. That code looks posteriors
    up in a table of 100 losses, and keeps the posterior of the wrong labels at its
    maximum for larger losses. Here, the posterior is computed for each loss, and is
    non-increasing everywhere.

    On samples of two known betas, :func:`gmm_clean_probability` was at least as close
    to the true posterior, with fewer steps.

    References
    ----------
    Arazo et al., Unsupervised Label Noise Modeling and Loss Correction, ICML 2019.

    Examples
    --------
    >>> from sknoisy.scores import bmm_clean_probability
    >>> bmm_clean_probability([0.1, 0.2, 0.3, 0.2, 3.8, 3.9, 4.0]).round(2)
    array([1., 1., 1., 1., 0., 0., 0.])
    """
    return beta_mixture(losses, max_iter, percentiles).clean_probability


def wrong_event_clean_probability(y, wrong_events, max_iter=20):
    """Return the probability that each label is right, by how often it was missed.

    A wrong event of a sample is an epoch in which the network's prediction is not the
    label. Within each class, a mixture of two beta distributions is fitted to the
    numbers of wrong events, scaled to [0, 1].

    Parameters
    ----------
    y : array-like of shape (n_samples,)
        Labels.
    wrong_events : array-like of shape (n_samples,)
        Number of wrong events of each sample, such as ``wrong_events_`` of a
        classifier.
    max_iter : int, default=20
        Number of steps of expectation maximisation.

    Returns
    -------
    probability : ndarray of shape (n_samples,), float64
        Posterior of the component of fewer wrong events, made non-increasing in their
        number; 1 if all samples of the class have the same number.

    Raises
    ------
    ValueError
        If there are fewer than four samples, lengths differ, or a number is not finite.

    Notes
    -----
    The mixture begins as that of the losses in :func:`bmm_clean_probability`, with
    posteriors 1 - x and x. As published, the component of fewer wrong events must
    vanish at the most, and the other one at none: where the second shape parameter of
    the first, or the first of the second, falls below 1.02, it becomes 1.1. A class of
    fewer than four samples is judged by the mixture of all samples. Unlike in the
    authors' code, scaled numbers are clipped to [0.001, 0.999], and a posterior never
    rises with the number.

    References
    ----------
    Zhang et al., Handling Label Noise via Instance-Level Difficulty Modeling and
    Dynamic Optimization, NeurIPS 2025, arXiv:2505.00812.

    Examples
    --------
    >>> from sknoisy.scores import wrong_event_clean_probability
    >>> events = [0, 1, 2, 1, 9, 10, 2, 4, 3, 2, 30, 32]
    >>> labels = [0] * 6 + [1] * 6
    >>> wrong_event_clean_probability(labels, events).round(1)
    array([1., 1., 1., 1., 0., 0., 1., 1., 1., 1., 0., 0.])
    """
    check_integer("max_iter", max_iter)
    events = _check_losses(wrong_events, at_least=4, name="wrong_events")
    y = np.asarray(y)
    if y.shape != events.shape:
        raise ValueError(
            f"y of shape {y.shape} is not valid with wrong_events of shape "
            f"{events.shape}: there must be one label for each."
        )
    _, codes = np.unique(y, return_inverse=True)
    clean = np.empty(len(events))
    sizes = np.bincount(codes)
    few = sizes[codes] < 4
    if few.any():
        clean[few] = _event_posterior(events, max_iter)[few]
    for code in np.flatnonzero(sizes >= 4):
        clean[codes == code] = _event_posterior(events[codes == code], max_iter)
    return clean


def _event_posterior(events, max_iter):
    """Return the posterior of the fewer events by one mixture of two betas."""
    spread = np.ptp(events)
    if spread == 0:
        return np.ones(len(events))
    x = ((events - events.min()) / spread).clip(1e-3, 1 - 1e-3)
    betas = _two_betas(x, max_iter, vanishing=True)
    _, alpha, beta = betas[0]
    return _falling(x, _posterior(x, *betas), alpha / (alpha + beta))


def _all_clean(losses):
    return LossMixture(np.ones(len(losses)), np.empty(0), [])


def _check_losses(losses, at_least, name="losses"):
    losses = as_numbers(name, losses).astype(np.float64, copy=False)
    if losses.ndim != 1 or len(losses) < at_least or not np.isfinite(losses).all():
        raise ValueError(
            f"{name} of shape {losses.shape} are not valid: they must be finite and of "
            f"shape (n_samples,), with n_samples at least {at_least}."
        )
    return losses


def _check_percentiles(percentiles):
    try:
        low, high = percentiles
        valid = 0 <= low < high <= 100
    except (TypeError, ValueError):
        valid = False
    if not valid:
        raise ValueError(
            f"percentiles={percentiles!r} is not valid: it must be two numbers in "
            "[0, 100], the lower one first."
        )
    return low, high


def _two_betas(x, max_iter, vanishing=False):
    """Fit two betas to x, the one of lower mean first; a step matches moments.

    Parameters
    ----------
    x : ndarray of shape (n,)
        In (0, 1).
    max_iter : int
        Number of steps.
    vanishing : bool, default=False
        Whether the first must vanish at 1, and the second at 0.

    Returns
    -------
    betas : list of two tuples
        Weight, alpha and beta.
    """
    low = 1 - x
    for _ in range(max_iter):
        betas = [_beta(x, low), _beta(x, 1 - low)]
        if vanishing:
            (w, a, b), (v, c, d) = betas
            betas = [(w, a, b if b >= 1.02 else 1.1), (v, c if c >= 1.02 else 1.1, d)]
        low = _posterior(x, *betas)
    return sorted(betas, key=lambda beta: beta[1] / (beta[1] + beta[2]))


def _beta(x, share):
    """Return weight, alpha and beta of the beta distribution of x weighted by share."""
    total = share.sum() + 1e-15  # a component may lose all of its samples
    mean = np.clip(share @ x / total, 1e-4, 1 - 1e-4)
    variance = share @ (x - mean) ** 2 / total + 1e-6
    concentration = max(mean * (1 - mean) / variance - 1, 1e-2)
    return total / len(x), mean * concentration, (1 - mean) * concentration


def _posterior(x, low, high):
    """Return the posterior of the first of two components for each x."""
    log_low, log_high = (
        np.log(weight)
        + (alpha - 1) * np.log(x)
        + (beta - 1) * np.log1p(-x)
        - betaln(alpha, beta)
        for weight, alpha, beta in (low, high)
    )
    return expit(log_low - log_high)


def _falling(x, low, mean):
    """Make posteriors non-increasing in x, starting from the low component's mean.

    Near the ends both densities vanish, and the wider component would win there.
    """
    order = np.argsort(x)
    left, right = np.split(low[order], [np.searchsorted(x[order], mean)])
    left = np.maximum.accumulate(left[::-1])[::-1]
    right = np.minimum.accumulate(right)
    if len(left) and len(right):
        left = np.maximum(left, right[0])
    falling = np.empty_like(low)
    falling[order] = np.r_[left, right]
    return falling


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
