"""Mixtures of two betas, of losses or of wrong events: right and wrong labels."""

from typing import NamedTuple

import numpy as np
from scipy import stats
from scipy.special import betaln, expit

from sknoisy.checks import check_integer
from sknoisy.data.labels import encode_labels
from sknoisy.scores.mixture import LossMixture, all_clean, check_losses
from sknoisy.scores.reading import rows_of_classes


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
    losses = check_losses(losses, at_least=4)
    low_end, high_end = np.percentile(losses, _check_percentiles(percentiles))
    if low_end == high_end:  # of few outliers only: these are within, then
        low_end, high_end = losses.min(), losses.max()
    if low_end == high_end:
        return all_clean(losses)
    x = ((losses - low_end) / (high_end - low_end)).clip(1e-3, 1 - 1e-3)
    betas = _two_betas(x[(losses >= low_end) & (losses <= high_end)], max_iter)
    _, alpha, beta = betas[0]
    clean = _falling(x, _posterior(x, *betas), alpha / (alpha + beta))
    components = [stats.beta(a, b, low_end, high_end - low_end) for _, a, b in betas]
    return LossMixture(clean, np.array([w for w, _, _ in betas]), components)


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
        the losses between them; smaller and larger losses are clipped to 0 and 1. Where
        both are equal, the least and the largest loss take their place.

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
        If there are fewer than four samples, lengths differ, a number is not finite, or
        labels are not valid.

    Notes
    -----
    As in :func:`bmm_clean_probability`, the initial posteriors of a scaled number x are
    1 - x and x. As published, the density of the component of fewer wrong events must
    vanish at x = 1, and that of the other component at x = 0: if the second shape
    parameter of the former, or the first one of the latter, falls below 1.02, it is set
    to 1.1. A class of fewer than four samples is judged by the mixture of all samples.
    Unlike in the authors' code, scaled numbers are clipped to [0.001, 0.999], and the
    posterior never rises with the number of wrong events.

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
    events = check_losses(wrong_events, at_least=4, name="wrong_events")
    classes, codes = encode_labels(y)
    if len(codes) != len(events):
        raise ValueError(
            f"y has {len(codes)} labels, but there are {len(events)} wrong_events: "
            "there must be one label for each."
        )
    mixtures = event_mixtures(codes, events, len(classes), max_iter)
    clean = np.empty(len(events))
    for code, rows in rows_of_classes(codes, len(classes), least=1):
        clean[rows] = mixtures[code].clean_probability(events[rows])
    return clean


class EventMixture(NamedTuple):
    """A mixture of two betas, of numbers of wrong events.

    Attributes
    ----------
    least, spread : float
        What is subtracted from the numbers, and what they are then divided by; a
        spread of 0 says that all are equal.
    betas : list of tuple of float
        Weight, alpha and beta of both components, that of fewer events first.
    """

    least: float
    spread: float
    betas: list

    def clean_probability(self, events):
        """Return the posterior of the fewer events, non-increasing in their number."""
        if self.spread == 0:
            return np.ones(len(events))
        x, (_, alpha, beta) = self._scaled(events), self.betas[0]
        return _falling(x, _posterior(x, *self.betas), alpha / (alpha + beta))

    def distributions(self, events):
        """Return the cumulative distribution functions of both components, (2, n).

        If all numbers are equal, they are 1 and 1.
        """
        if self.spread == 0:
            return np.ones((2, len(events)))
        x = self._scaled(events)
        return np.stack([stats.beta.cdf(x, a, b) for _, a, b in self.betas])

    def _scaled(self, events):
        return ((events - self.least) / self.spread).clip(1e-3, 1 - 1e-3)


def event_mixtures(codes, events, n_classes, max_iter=20):
    """Fit mixtures of two betas to the numbers of wrong events of each class.

    Parameters
    ----------
    codes : ndarray of shape (n_samples,), int
        Codes of the labels.
    events : ndarray of shape (n_samples,)
        Number of wrong events of each sample.
    n_classes : int
        Number of classes.
    max_iter : int, default=20
        Number of steps of expectation maximisation.

    Returns
    -------
    mixtures : list of EventMixture
        One for each class; that of all samples for a class of fewer than four.
    """
    mixtures = [None] * n_classes
    for code, rows in rows_of_classes(codes, n_classes, least=4):
        mixtures[code] = _event_mixture(events[rows], max_iter)
    if None in mixtures:
        whole = _event_mixture(events, max_iter)
        mixtures = [whole if mixture is None else mixture for mixture in mixtures]
    return mixtures


@np.errstate(under="ignore")
def _event_mixture(events, max_iter):
    least, spread = events.min(), np.ptp(events)
    mixture = EventMixture(float(least), float(spread), [])
    if spread == 0:
        return mixture
    scaled = mixture._scaled(events)
    return mixture._replace(betas=_two_betas(scaled, max_iter, vanishing=True))


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
