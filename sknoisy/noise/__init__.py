"""Synthetic label noise: one function for each published protocol.

All functions take clean labels and return :class:`NoisyLabels`: the noisy labels, which
of them are wrong, the realised noise rate and the realised transition matrix.
"""

from sknoisy.checks import unknown
from sknoisy.noise.base import NoisyLabels
from sknoisy.noise.by_class import (
    class_conditional,
    pair_flip,
    symmetric_exclusive,
    symmetric_inclusive,
)
from sknoisy.noise.by_instance import instance_dependent
from sknoisy.noise.cifar import (
    asymmetric_cifar10,
    asymmetric_cifar100_circular,
    asymmetric_cifar100_consecutive,
    asymmetric_cifar100_sibling,
)

NOISES = {
    "asymmetric_cifar10": asymmetric_cifar10,
    "asymmetric_cifar100_circular": asymmetric_cifar100_circular,
    "asymmetric_cifar100_consecutive": asymmetric_cifar100_consecutive,
    "asymmetric_cifar100_sibling": asymmetric_cifar100_sibling,
    "instance_dependent": instance_dependent,
    "pair_flip": pair_flip,
    "symmetric_exclusive": symmetric_exclusive,
    "symmetric_inclusive": symmetric_inclusive,
}


def add_noise(y, noise, rate, X=None, random_state=None):
    """Add label noise by the name of a protocol.

    Parameters
    ----------
    y : array-like of shape (n_samples,)
        Clean labels.
    noise : str
        Key of ``NOISES``: the name of a function of this module.
    rate : float
        Rate of the protocol, in [0, 1).
    X : array-like of shape (n_samples, ...), default=None
        Features, needed for "instance_dependent" only.
    random_state : int, RandomState or None, default=None
        Source of randomness.

    Returns
    -------
    noisy : NoisyLabels
        The noisy labels, and how they differ from the clean ones.

    Examples
    --------
    >>> from sknoisy.noise import add_noise
    >>> add_noise([0, 0, 1, 1], "pair_flip", rate=0.5, random_state=0).rate
    0.5
    """
    if not isinstance(noise, str) or noise not in NOISES:
        raise ValueError(unknown("noise", noise, NOISES))
    if noise != "instance_dependent":
        return NOISES[noise](y, rate, random_state=random_state)
    if X is None:
        raise ValueError("X=None is not valid: instance_dependent noise needs X.")
    return instance_dependent(y, rate, X, random_state=random_state)


__all__ = [
    "NOISES",
    "NoisyLabels",
    "add_noise",
    "asymmetric_cifar10",
    "asymmetric_cifar100_circular",
    "asymmetric_cifar100_consecutive",
    "asymmetric_cifar100_sibling",
    "class_conditional",
    "instance_dependent",
    "pair_flip",
    "symmetric_exclusive",
    "symmetric_inclusive",
]
