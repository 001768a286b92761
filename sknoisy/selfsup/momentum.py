"""Moving averages of networks, as in MoCo and BYOL."""

import math
from copy import deepcopy

import torch


def follower(network):
    """Return a copy of a network that is not trained by the optimiser.

    Parameters
    ----------
    network : torch.nn.Module
        Network to copy, with its weights.

    Returns
    -------
    copy : torch.nn.Module
        The copy, whose parameters do not require gradients.
    """
    return deepcopy(network).requires_grad_(False)


@torch.no_grad()
def follow(target, online, momentum):
    """Update a moving average of the parameters of a network, in place.

    Running statistics of normalisation layers are not averaged, as in the official
    code of both methods.

    Parameters
    ----------
    target, online : torch.nn.Module
        The moving average and the trained network, of the same architecture. `target`
        becomes ``momentum * target + (1 - momentum) * online``.
    momentum : float
        Momentum, in [0, 1].
    """
    followers = list(target.parameters())
    if followers:
        torch._foreach_lerp_(followers, list(online.parameters()), 1 - momentum)


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
