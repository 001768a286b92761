"""Exponential moving averages of networks, over the steps of a training."""

from copy import deepcopy

import torch


def ema_copy(network):
    """Return a copy of a network, to become its average; no optimiser trains it.

    Parameters
    ----------
    network : torch.nn.Module
        Network to copy, with its weights.

    Returns
    -------
    average : torch.nn.Module
        The copy, whose parameters do not require gradients.
    """
    return deepcopy(network).requires_grad_(False)


@torch.no_grad()
def ema_update(average, network, decay):
    """Update the average of a network's parameters, in place.

    Running statistics of normalisation layers are not averaged, as in the official
    codes of BYOL, MoCo and ELR+.

    Parameters
    ----------
    average, network : torch.nn.Module
        Networks of the same architecture. `average` becomes
        ``decay * average + (1 - decay) * network``.
    decay : float
        Share of the average that stays, in [0, 1].
    """
    averages = list(average.parameters())
    if averages:
        torch._foreach_lerp_(averages, list(network.parameters()), 1 - decay)
