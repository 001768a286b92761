"""Batch normalisation over the parts of a batch that several ranks have."""

import torch
import torch.distributed as dist
from torch.nn import functional as F
from torch.nn.modules.batchnorm import _BatchNorm

from sknoisy import ranks
from sknoisy.training.patching import computing_by


def normalising_together(module):
    """Return a context in which ranks normalise their parts of a batch together.

    torch's SyncBatchNorm is for GPUs only. Copies of the module that are made in this
    context normalise like it, but only where batches are shared.

    Parameters
    ----------
    module : torch.nn.Module
        The network.
    """
    layers = [m for m in module.modules() if isinstance(m, _BatchNorm)]
    return computing_by(_normalize, layers if ranks.size() > 1 else [])


def _normalize(layer, input):
    """Return what a layer of batch normalisation makes of this rank's part."""
    if not layer.training or ranks.size() == 1:
        return type(layer).forward(layer, input)
    y, mean, var, n = _BatchNormalization.apply(
        input, layer.weight, layer.bias, layer.eps
    )
    if layer.track_running_stats:
        layer.num_batches_tracked += 1
        share = layer.momentum
        if share is None:
            share = 1 / float(layer.num_batches_tracked)
        layer.running_mean.lerp_(mean.to(layer.running_mean), share)
        unbiased = var * (n / (n - 1).clamp(min=1))
        layer.running_var.lerp_(unbiased.to(layer.running_var), share)
    return y


class _BatchNormalization(torch.autograd.Function):
    """Batch normalisation by the moments of all ranks' rows.

    Both passes are those of the evaluation mode, which PyTorch computes in one kernel;
    the backward pass then subtracts what flows through the moments.
    """

    @staticmethod
    def forward(ctx, x, weight, bias, eps):
        mean, var, n = _moments(x)
        ctx.save_for_backward(x, weight, mean, var, n)
        ctx.eps, ctx.ranks = eps, ranks.current()
        ctx.mark_non_differentiable(mean, var, n)
        y = F.batch_norm(x, mean, var, weight, bias, False, 0.0, eps) if len(x) else x
        return y.clone() if y is x else y, mean, var, n

    @staticmethod
    def backward(ctx, grad, *_):
        x, weight, mean, var, n = ctx.saved_tensors
        if len(x):
            of_x, of_weight, of_bias = torch.ops.aten.native_batch_norm_backward(
                grad, x, weight, mean, var, None, None, False, ctx.eps, [True] * 3
            )
        else:
            of_x, of_weight, of_bias = x, torch.zeros_like(mean), torch.zeros_like(mean)
        sums = torch.stack([of_weight.float(), of_bias.float()])
        dist.all_reduce(sums, group=ctx.ranks.group)
        inverse = (var + ctx.eps).rsqrt()
        factor = inverse if weight is None else inverse * weight.float()
        slope = factor * inverse * sums[0] / n
        shift = slope * mean - factor * sums[1] / n
        if len(x):
            of_x = of_x.addcmul_(x, _by_channel(slope, x), value=-1)
            of_x = of_x.add_(_by_channel(shift, x))
        if weight is None:
            return of_x, None, None, None
        return of_x, of_weight.to(weight), of_bias.to(weight), None


def _by_channel(values, x):
    return values.to(x.dtype).view(-1, *[1] * (x.ndim - 2))


def _moments(x):
    """Return mean and variance of each channel over all ranks, and their count."""
    n_channels = x.shape[1]
    if x.numel() == 0:
        mean = var = torch.zeros(n_channels, dtype=torch.float32, device=x.device)
    elif x.device.type == "cpu":  # many times as fast as var_mean
        mean, var = torch.batch_norm_update_stats(x, None, None, 0.0)
    else:
        dims = [d for d in range(x.ndim) if d != 1]
        var, mean = torch.var_mean(x.float(), dims, correction=0)
    count = mean.new_full((1,), x.numel() // n_channels).float()
    own = torch.cat([mean.float(), var.float(), count])
    every = own.new_empty(ranks.size() * len(own))
    ranks.all_gather(every, own)
    means, variances, counts = every.view(ranks.size(), -1).split(
        [n_channels, n_channels, 1], dim=1
    )
    n = counts.sum()
    mean = (counts * means).sum(dim=0) / n
    var = (counts * (variances + (means - mean).square())).sum(dim=0) / n
    return mean, var, n
