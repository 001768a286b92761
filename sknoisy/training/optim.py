"""Optimisers by name, and the learning rate's schedule."""

import math

import torch


class LARS(torch.optim.Optimizer):
    """SGD with momentum whose step of each weight is as large as its norm allows.

    Biases and normalisations (tensors of one dimension) take plain SGD steps
    without weight decay, as in the official codes of SimCLR and Barlow Twins.

    Parameters
    ----------
    params : iterable
        Parameters or groups.
    lr : float
        Learning rate.
    momentum : float, default=0.9
        Momentum.
    weight_decay : float, default=0.0
        Weight decay.
    trust : float, default=0.02
        Trust coefficient: a step moves a weight by at most ``lr * trust`` of its norm,
        and by no more than plain SGD would. The paper takes 0.001, for runs that are
        many times longer.

    References
    ----------
    You, Gitman and Ginsburg, Large Batch Training of Convolutional Networks, 2017.

    Examples
    --------
    >>> import torch
    >>> from sknoisy.training.optim import LARS
    >>> weight = torch.nn.Parameter(torch.ones(2, 2))
    >>> weight.grad = torch.full((2, 2), 100.0)
    >>> LARS([weight], lr=1.0, trust=0.1).step()
    >>> weight.data
    tensor([[0.9000, 0.9000], [0.9000, 0.9000]])
    """

    def __init__(self, params, lr, momentum=0.9, weight_decay=0.0, trust=0.02):
        defaults = {"lr": lr, "momentum": momentum}
        super().__init__(params, defaults | {"weight_decay": weight_decay})
        self.trust = trust

    @torch.no_grad()
    def step(self, closure=None):
        """Take one step from the gradients."""
        for group in self.param_groups:
            params = [p for p in group["params"] if p.grad is not None]
            if params:
                self._step_group(params, group)

    def _step_group(self, params, group):
        grads = [p.grad for p in params]
        weights = [i for i, p in enumerate(params) if p.ndim > 1]
        if weights:
            steps = self._adapted(
                [params[i] for i in weights],
                [grads[i] for i in weights],
                group["weight_decay"],
            )
            for i, step in zip(weights, steps, strict=True):
                grads[i] = step
        momenta = []
        for p in params:
            if "momentum" not in self.state[p]:
                self.state[p]["momentum"] = torch.zeros_like(p)
            momenta.append(self.state[p]["momentum"])
        torch._foreach_mul_(momenta, group["momentum"])
        torch._foreach_add_(momenta, grads)
        torch._foreach_add_(params, momenta, alpha=-group["lr"])

    def _adapted(self, weights, grads, weight_decay):
        """Return the steps of weights, none far longer than the weights are."""
        steps = torch._foreach_add(grads, weights, alpha=weight_decay)
        w = torch.stack(torch._foreach_norm(weights))
        g = torch.stack(torch._foreach_norm(steps))
        rates = torch.where(w > 0, self.trust * w / g, 1.0).clamp(max=1.0)
        torch._foreach_mul_(steps, list(rates.unbind()))
        return steps


def sgd(params, lr, momentum=0.9, weight_decay=0.0):
    """Return SGD with Nesterov momentum, one kernel for all parameters."""
    optimizer = torch.optim.SGD(
        params, lr, momentum, weight_decay=weight_decay, nesterov=momentum > 0
    )
    params = [p for group in optimizer.param_groups for p in group["params"]]
    for group in optimizer.param_groups:
        group["fused"] = all(p.device.type in ("cpu", "cuda") for p in params)
    return optimizer


def adamw(params, lr, momentum=0.9, weight_decay=0.0):
    """Return AdamW; `momentum` is its first beta."""
    return torch.optim.AdamW(
        params, lr, betas=(momentum, 0.999), weight_decay=weight_decay
    )


OPTIMIZERS = {"adamw": adamw, "lars": LARS, "sgd": sgd}


def cosine(progress, warmup):
    """Return the factor of the learning rate: a linear rise, then half a cosine.

    Parameters
    ----------
    progress : float
        Steps done as a share of all, in [0, 1); beyond, the rate stays at its end.
    warmup : float
        Share of the steps in which the rate rises.

    Returns
    -------
    factor : float
        In (0, 1]; it ends at 0.01, so that further epochs still learn.
    """
    if progress < warmup:
        return max(progress / warmup, 0.01)
    fallen = min(1.0, (progress - warmup) / (1 - warmup)) if warmup < 1 else 1.0
    return 0.01 + 0.99 * (1 + math.cos(math.pi * fallen)) / 2


def constant(progress, warmup):
    """Return the factor of the learning rate: a linear rise, then 1."""
    return max(progress / warmup, 0.01) if progress < warmup else 1.0


def steps(progress, warmup):
    """Return the factor of the learning rate: a linear rise, 1, 0.1 from half, 0.01.

    The second step is at three quarters.
    """
    if progress < warmup:
        return max(progress / warmup, 0.01)
    return 1.0 if progress < 0.5 else 0.1 if progress < 0.75 else 0.01


SCHEDULES = {"constant": constant, "cosine": cosine, "steps": steps}
