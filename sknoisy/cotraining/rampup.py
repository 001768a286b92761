"""How weights rise in the first epochs."""

import math


def sigmoid_rampup(progress):
    """Return the share of its final value that a weight has reached, in (0, 1].

    Parameters
    ----------
    progress : float
        Share of the rise that is done; 1 and more: all of it.

    Returns
    -------
    share : float
        exp(-5 (1 - progress)^2), which looks like the lower half of a sigmoid.

    References
    ----------
    Laine and Aila, Temporal Ensembling for Semi-Supervised Learning, ICLR 2017.
    """
    return math.exp(-5 * (1 - min(1.0, progress)) ** 2)
