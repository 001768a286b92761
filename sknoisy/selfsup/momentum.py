"""Networks that follow others as moving averages: what MoCo and BYOL share."""

import math
from copy import deepcopy

import torch


def follower(network):
    """Return a copy of a network that no optimiser trains.

    Parameters
    ----------
    network : torch.nn.Module
        What is copied, weights and all.

    Returns
    -------
    copy : torch.nn.Module
        Its parameters ask for no gradients.
    """
    return deepcopy(network).requires_grad_(False)


@torch.no_grad()
def follow(target, online, momentum):
    """Move a network's parameters towards another's, in place.

    Parameters
    ----------
    target, online : torch.nn.Module
        Of one architecture; `target` becomes ``momentum * target + (1 - momentum) *
        online``. Running moments of normalisations are each network's own, as in the
        official codes.
    momentum : float
        In [0, 1].
    """
    followers = list(target.parameters())
    if followers:
        torch._foreach_lerp_(followers, list(online.parameters()), 1 - momentum)


def rising_momentum(progress, base, final):
    """Return the momentum of a moving average: half a cosine from base to final.

    Parameters
    ----------
    progress : float
        Share of the training that is done, in [0, 1].
    base, final : float
        Momentum at its beginning and end.
    """
    return final - (final - base) * (1 + math.cos(math.pi * progress)) / 2
