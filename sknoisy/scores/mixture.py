"""Right and wrong labels as a mixture of two, by their losses."""

import numpy as np
from scipy.special import expit

from sknoisy.parameters import check_integer, check_real


def gmm_clean_probability(losses, max_iter=10, tol=1e-2, reg_covar=5e-4):
    """Return how probable it is that each label is right, by its loss alone.

    Two Gaussians are fitted to the losses, scaled to [0, 1]; the one of lower mean is
    taken as that of the right labels.

    Parameters
    ----------
    losses : array-like of shape (n_samples,)
        Loss of each sample, in any unit.
    max_iter : int, default=10
        Steps of expectation maximisation, at most. DivideMix takes 10, C2D 200.
    tol : float, default=1e-2
        Gain in the mean log-likelihood, in nats, below which they stop.
    reg_covar : float, default=5e-4
        What is added to the variances of the scaled losses.

    Returns
    -------
    probability : ndarray of shape (n_samples,), float64
        Posterior of the component of lower mean; 1 where all losses are the same.

    Raises
    ------
    ValueError
        If there are fewer than two losses, not all are finite, or a setting is out of
        its range.

    Notes
    -----
    Steps start from two means, which in one dimension need no random start.

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
    check_integer("max_iter", max_iter)
    check_real("tol", tol, "(0, inf)")
    check_real("reg_covar", reg_covar, "(0, inf)")
    losses = np.asarray(losses, dtype=np.float64)
    if losses.ndim != 1 or len(losses) < 2 or not np.isfinite(losses).all():
        raise ValueError(
            f"losses of shape {losses.shape} are not valid: they must be of shape "
            "(n_samples,), at least 2 of them, and finite."
        )
    spread = np.ptp(losses)
    if spread == 0:
        return np.ones(len(losses))
    x = (losses - losses.min()) / spread
    low = (x <= _two_means(x)).astype(np.float64)
    likelihood = -np.inf
    for _ in range(max_iter):
        log_low, log_high = (
            _log_joint(x, share, reg_covar) for share in (low, 1 - low)
        )
        low = expit(log_low - log_high)
        previous, likelihood = likelihood, np.logaddexp(log_low, log_high).mean()
        if abs(likelihood - previous) < tol:
            break
    means = [np.average(x, weights=share) for share in (low, 1 - low)]
    return low if means[0] <= means[1] else 1 - low


def _two_means(x):
    """Return the cut between two means: the middle of them."""
    cut = x.mean()
    for _ in range(100):
        previous, cut = cut, (x[x <= cut].mean() + x[x > cut].mean()) / 2
        if cut == previous:
            break
    return cut


def _log_joint(x, share, reg_covar):
    """Return the log of weight times density of the Gaussian of a share of x."""
    total = share.sum() + 1e-15  # a component may lose all of its samples
    mean = share @ x / total
    variance = share @ (x - mean) ** 2 / total + reg_covar
    log_density = -0.5 * (np.log(2 * np.pi * variance) + (x - mean) ** 2 / variance)
    return np.log(total / len(x)) + log_density
