"""Noise that depends on the sample."""

import numpy as np
from scipy.special import softmax
from scipy.stats import truncnorm

from sknoisy.checks import as_numbers
from sknoisy.data.order import check_order
from sknoisy.noise.base import draw, noisy_labels, prepare


@np.errstate(under="ignore")
def instance_dependent(y, rate, X, random_state=None):
    """Replace labels by other classes that depend on the features of the sample.

    This is the part-dependent noise of Xia et al. The flip rate of each sample is drawn
    from a normal distribution with mean `rate` and standard deviation 0.1, truncated to
    [0, 1]. A flipped label is drawn from the softmax of the features times a random
    matrix, one for each class.

    Parameters
    ----------
    y : array-like of shape (n_samples,)
        Clean labels.
    rate : float
        Mean of the normal distribution, in [0, 1). It is about the share of wrong
        labels. Truncation raises small rates: 0 to 0.08, and 0.1 to 0.13.
    X : array-like of shape (n_samples, ...)
        Features. The code of the authors uses pixels from 0 to 255. The softmax of such
        large numbers is nearly a maximum, so that similar images get the same wrong
        label. With pixels in [0, 1], wrong labels are more random.
    random_state : int, RandomState or None, default=None
        Source of randomness.

    Returns
    -------
    noisy : NoisyLabels
        The noisy labels, and how they differ from the clean ones.

    References
    ----------
    Xia et al., Part-dependent Label Noise: Towards Instance-dependent Label Noise,
    NeurIPS 2020.

    Examples
    --------
    >>> from sklearn.datasets import load_digits
    >>> from sknoisy.noise import instance_dependent
    >>> X, y = load_digits(return_X_y=True)
    >>> round(instance_dependent(y, rate=0.4, X=X, random_state=0).rate, 1)
    0.4
    """
    check_order(X, y=y)
    classes, codes, rng = prepare(y, rate, random_state)
    X = as_numbers("X", X)
    if X.ndim == 0 or len(X) != len(codes):
        raise ValueError(
            f"X of shape {X.shape} is not valid: y has {len(codes)} samples."
        )
    X = X.reshape(len(X), -1)
    if not np.isfinite(X).all():
        raise ValueError(
            "X is not valid: it holds NaN or infinity, from which no noise can be "
            "drawn."
        )
    ends = -rate / 0.1, (1 - rate) / 0.1
    rates = truncnorm(*ends, loc=rate, scale=0.1).rvs(len(codes), random_state=rng)
    n_classes, noisy = len(classes), codes.copy()
    for c in range(n_classes):
        rows = np.flatnonzero(codes == c)
        scores = X[rows].astype(np.float64) @ rng.standard_normal(
            (X.shape[1], n_classes)
        )
        scores[:, c] = -np.inf
        probs = rates[rows, None] * softmax(scores, axis=1)
        probs[:, c] = 1 - rates[rows]
        noisy[rows] = draw(probs, rng)
    return noisy_labels(classes, codes, noisy)
