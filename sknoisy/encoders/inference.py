"""Networks applied to all samples of a store, batch by batch."""

import math

import numpy as np
import torch

from sknoisy.data.batches import stream
from sknoisy.data.devices import to_channels_last


def inference_batch(spec, device):
    """Return how many samples one forward pass takes.

    On a CPU about 2 MiB of them, so that feature maps stay near its caches (170 images
    of CIFAR were half as fast again as 2,700); on a GPU sixteen times as many.
    """
    elements = 2**19 if device.type == "cpu" else 2**23
    return int(np.clip(elements // math.prod(spec.shape), 64, 4096))


def in_order(store, device):
    """Yield positions and samples of a store, in batches of the size for inference.

    Parameters
    ----------
    store : ArrayStore or PathStore
        The samples.
    device : torch.device
        Where they are wanted.
    """
    step = inference_batch(store.spec, device)
    n_batches = math.ceil(len(store) / step)
    order = torch.arange(len(store), device="cpu")
    yield from stream(store, order, n_batches, device)


def forward_batches(module, store, device, precision=None):
    """Apply a module in evaluation mode to every sample of a store, batch by batch.

    Parameters
    ----------
    module : torch.nn.Module
        On `device`.
    store : ArrayStore or PathStore
        The samples.
    device : torch.device
        Where to compute.
    precision : torch.dtype, default=None
        Lower precision to compute in.

    Yields
    ------
    index : tensor of shape (n,), int64
        Positions of a batch, on `device`; batches are in order.
    outputs : tensor of shape (n, ...), float32
        What the module makes of it, on `device`.
    """
    module.eval()
    lower = precision is not None
    for index, batch in in_order(store, device):
        batch = to_channels_last(batch)
        with torch.inference_mode(), torch.autocast(device.type, precision, lower):
            outputs = module(batch).float()
        yield index, outputs


def forward_all(module, store, device, precision=None):
    """Return what :func:`forward_batches` yields, of all samples, on the CPU.

    Returns
    -------
    outputs : ndarray of shape (n_samples, ...), dtype float32
        One row a sample.
    """
    outputs, done = None, 0
    for _, batch in forward_batches(module, store, device, precision):
        if outputs is None:
            outputs = batch.new_empty(len(store), *batch.shape[1:])
        outputs[done : done + len(batch)] = batch
        done += len(batch)
    return outputs.cpu().numpy()
