"""Optimisers by name, and learning-rate schedules."""

import math

import torch


class LARS(torch.optim.Optimizer):
    """SGD with momentum and a learning rate of its own for each weight.

    Every weight's gradient, weight decay included, is scaled by the trust ratio: the
    norm of the weight over the norm of the gradient, times `trust`, and at most 1.
    Biases and the parameters of normalisation layers (tensors of one dimension) take
    plain SGD steps without weight decay, as in the official code of SimCLR and Barlow
    Twins.

    Parameters
    ----------
    params : iterable
        Parameters or parameter groups.
    lr : float
        Learning rate.
    momentum : float, default=0.9
        Momentum.
    weight_decay : float, default=0.0
        Weight decay.
    trust : float, default=0.02
        Trust coefficient. The paper takes 0.001, for trainings that are many times
        longer.

    Notes
    -----
    The trust ratio bounds what one gradient adds to the momentum: at most ``trust``
    times the weight's norm. The momentum also sums earlier gradients, so a step can be
    ``1 / (1 - momentum)`` times as long as ``lr * trust`` times the norm. The paper
    does not cap the ratio at 1; the cap keeps steps from being longer than those of SGD
    at the same learning rate.

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
        defaults = _floats(lr=lr, momentum=momentum, weight_decay=weight_decay)
        super().__init__(params, defaults)
        self.trust = float(trust)

    @torch.no_grad()
    def step(self, closure=None):
        """Update all parameters that have a gradient."""
        for group in self.param_groups:
            params = [p for p in group["params"] if p.grad is not None]
            if params:
                self._step_group(params, group)

    def _step_group(self, params, group):
        """Update the parameters of one group."""
        grads = [p.grad for p in params]
        weights = [i for i, p in enumerate(params) if p.ndim > 1]
        if weights:
            scaled = self._scaled(
                [params[i] for i in weights],
                [grads[i] for i in weights],
                group["weight_decay"],
            )
            for i, grad in zip(weights, scaled, strict=True):
                grads[i] = grad
        momenta = []
        for p in params:
            if "momentum" not in self.state[p]:
                self.state[p]["momentum"] = torch.zeros_like(p)
            momenta.append(self.state[p]["momentum"])
        torch._foreach_mul_(momenta, group["momentum"])
        torch._foreach_add_(momenta, grads)
        torch._foreach_add_(params, momenta, alpha=-group["lr"])

    def _scaled(self, weights, grads, weight_decay):
        """Return the gradients with weight decay, times the trust ratios."""
        grads = torch._foreach_add(grads, weights, alpha=weight_decay)
        w = torch.stack(torch._foreach_norm(weights))
        g = torch.stack(torch._foreach_norm(grads))
        ratios = torch.where(w > 0, self.trust * w / g, 1.0).clamp(max=1.0)
        torch._foreach_mul_(grads, list(ratios.unbind()))
        return grads


class Idle(torch.optim.Optimizer):
    """The optimiser of a network without weights.

    PyTorch's own refuse to have none, and import a compiler, which takes a second.

    Parameters
    ----------
    lr : float
        Learning rate, which is shown and of no use.
    """

    def __init__(self, lr):
        self.defaults, self.state = {"lr": lr}, {}
        self.param_groups = [{"params": [], "lr": lr}]

    def step(self, closure=None):
        """Do nothing."""

    def zero_grad(self, set_to_none=True):
        """Do nothing."""

    def state_dict(self):
        """Return the learning rate, as other optimisers do."""
        return {"state": {}, "param_groups": [dict(self.param_groups[0])]}

    def load_state_dict(self, state):
        """Take over what ``state_dict`` returned."""
        self.param_groups[0]["lr"] = state["param_groups"][0]["lr"]


def sgd(params, lr, momentum=0.9, weight_decay=0.0):
    """Return SGD with Nesterov momentum.

    Parameters
    ----------
    params : iterable
        Parameters or parameter groups.
    lr, momentum, weight_decay : float
        As in :class:`torch.optim.SGD`.
    """
    return _sgd(params, lr, momentum, weight_decay, nesterov=momentum > 0)


def heavy_ball(params, lr, momentum=0.9, weight_decay=0.0):
    """Return SGD with plain momentum, the heavy-ball method.

    The official code of most methods for noisy labels uses it, among them DivideMix,
    ELR+, PENCIL, SOP and truncated generalised cross-entropy.

    Parameters
    ----------
    params : iterable
        Parameters or parameter groups.
    lr, momentum, weight_decay : float
        As in :class:`torch.optim.SGD`.
    """
    return _sgd(params, lr, momentum, weight_decay, nesterov=False)


def adamw(params, lr, momentum=0.9, weight_decay=0.0):
    """Return AdamW.

    Parameters
    ----------
    params : iterable
        Parameters or parameter groups.
    lr, weight_decay : float
        As in :class:`torch.optim.AdamW`.
    momentum : float, default=0.9
        The first of the two betas; the second is 0.999.
    """
    numbers = _floats(lr=lr, weight_decay=weight_decay)
    return torch.optim.AdamW(params, betas=(float(momentum), 0.999), **numbers)


def _sgd(params, lr, momentum, weight_decay, nesterov):
    """Return SGD that updates all parameters in one kernel where PyTorch has one."""
    numbers = _floats(lr=lr, momentum=momentum, weight_decay=weight_decay)
    optimizer = torch.optim.SGD(params, nesterov=bool(nesterov), **numbers)
    params = [p for group in optimizer.param_groups for p in group["params"]]
    for group in optimizer.param_groups:
        group["fused"] = all(p.device.type in ("cpu", "cuda") for p in params)
    fill_momenta(optimizer)
    return optimizer


def fill_momenta(optimizer):
    """Give all weights that SGD has no momentum of one of 0.

    Its fused kernel fails where some have none, as their gradients begin later.

    Parameters
    ----------
    optimizer : torch.optim.Optimizer
        Others than SGD are left alone.
    """
    if not isinstance(optimizer, torch.optim.SGD):
        return
    for group in optimizer.param_groups:
        for p in group["params"] if group["momentum"] > 0 else ():
            if optimizer.state[p].get("momentum_buffer") is None:
                optimizer.state[p]["momentum_buffer"] = torch.zeros_like(p)


def _floats(**numbers):
    """Return numbers as Python floats: PyTorch's kernels refuse NumPy's."""
    return {name: float(number) for name, number in numbers.items()}


OPTIMIZERS = {"adamw": adamw, "lars": LARS, "momentum": heavy_ball, "sgd": sgd}


def cosine(progress, rise):
    """Return the factor of the learning rate: a linear rise, then half a cosine.

    Parameters
    ----------
    progress : float
        Steps done as a share of all steps, in [0, 1). Beyond 1 the factor stays at
        its final value.
    rise : float
        Share of the steps in which the learning rate rises.

    Returns
    -------
    factor : float
        In (0, 1]. It falls to 0.01, not to 0, so that epochs beyond the schedule
        still learn.
    """
    if progress < rise:
        return _rise(progress, rise)
    fallen = min(1.0, (progress - rise) / (1 - rise)) if rise < 1 else 1.0
    return 0.01 + 0.99 * (1 + math.cos(math.pi * fallen)) / 2


def constant(progress, rise):
    """Return the factor of the learning rate: a linear rise, then 1.

    Parameters
    ----------
    progress, rise : float
        See :func:`cosine`.
    """
    return _rise(progress, rise) if progress < rise else 1.0


def steps(progress, rise):
    """Return the factor of the learning rate: a linear rise, then two steps down.

    The factor is 1 after the rise, 0.1 from half of the steps on and 0.01 from three
    quarters on.

    Parameters
    ----------
    progress, rise : float
        See :func:`cosine`.
    """
    if progress < rise:
        return _rise(progress, rise)
    return 1.0 if progress < 0.5 else 0.1 if progress < 0.75 else 0.01


def _rise(progress, rise):
    """Return the factor during the warm-up, at least 0.01."""
    return max(progress / rise, 0.01)


SCHEDULES = {"constant": constant, "cosine": cosine, "steps": steps}
