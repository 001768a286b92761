"""How fast the moving averages of MoCo and BYOL follow."""

import math


def rising_momentum(progress, base, final):
    """Return the momentum of a moving average, which rises along half a cosine.

    Parameters
    ----------
    progress : float
        Share of the training that is completed, in [0, 1].
    base, final : float
        Momentum at the beginning and at the end of the training.
    """
    return final - (final - base) * (1 + math.cos(math.pi * progress)) / 2
