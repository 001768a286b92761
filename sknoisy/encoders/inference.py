"""Networks applied to all samples of a store, batch by batch."""

import math

import numpy as np
import torch

from sknoisy.data.batches import stream
from sknoisy.data.devices import to_channels_last
from sknoisy.encoders.networks import Resize


def inference_batch(shape, device):
    """Return how many samples one forward pass takes.

    On a CPU about 2 MiB of them, so that feature maps stay near its caches (170 images
    of CIFAR were half as fast again as 2,700); on a GPU sixteen times as many.

    Parameters
    ----------
    shape : tuple of int
        Of a sample, as the network computes with it.
    device : torch.device
        Where it computes.
    """
    elements = 2**19 if device.type == "cpu" else 2**23
    return int(np.clip(elements // math.prod(shape), 64, 4096))


def _working_shape(module, shape):
    """Return the shape of a sample after the network has resized it."""
    sizes = [layer.size for layer in module.modules() if isinstance(layer, Resize)]
    return (*shape[:1], *sizes[0]) if sizes else shape


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
    step = inference_batch(_working_shape(module, store.spec.shape), device)
    n_batches = math.ceil(len(store) / step)
    lower = precision is not None
    order = torch.arange(len(store), device="cpu")
    for index, batch in stream(store, order, n_batches, device):
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
