"""Applying networks to all samples of a store, batch by batch."""

import math

import numpy as np
import torch

from sknoisy import ranks
from sknoisy.data.batches import stream
from sknoisy.data.devices import lower_precision, to_channels_last
from sknoisy.data.threads import free_threads
from sknoisy.encoders.networks import Resize

KEPT = 2**28  # outputs, 1 GiB, that a GPU may keep until all are computed


def inference_batch(shape, device):
    """Return the number of samples of one forward pass.

    On a CPU they take about 2 MiB, so that feature maps fit its caches: 170 images of
    CIFAR-10 in a pass were 1.5 times as fast as 2,700, 4 photographs of 512 pixels 2.4
    times as fast as 64, and 1,024 rows of a table 1.8 to 2.3 times as fast as 4,096. On
    a GPU it is 16 times as many.

    Parameters
    ----------
    shape : tuple of int
        Shape of a sample, after the network has resized it.
    device : torch.device
        Device of the network.
    """
    elements, most = (2**19, 1024) if device.type == "cpu" else (2**23, 4096)
    return int(np.clip(elements // math.prod(shape), 4, most))


def _working_shape(module, shape):
    """Return the shape of a sample after the network has resized it."""
    sizes = [layer.size for layer in module.modules() if isinstance(layer, Resize)]
    return (*shape[:1], *sizes[0]) if sizes else shape


def in_order(store, device, shape=None, shared=False):
    """Yield positions and samples of a store, in batches of the size for inference.

    Parameters
    ----------
    store : ArrayStore or PathStore
        The samples.
    device : torch.device
        Where they are wanted.
    shape : tuple of int, default=None
        Shape that a sample is brought to on the way, if not its own.
    shared : bool, default=False
        See :func:`~sknoisy.data.batches.stream`.
    """
    step = inference_batch(shape or store.spec.shape, device)
    n_batches = math.ceil(len(store) / step)
    order = torch.arange(len(store), device="cpu")
    yield from stream(store, order, n_batches, device, shared=shared)


def forward_batches(module, store, device, precision=None):
    """Apply a module in evaluation mode to every sample of a store, batch by batch.

    Ranks that compute together share each batch.

    Parameters
    ----------
    module : torch.nn.Module
        On `device`.
    store : ArrayStore or PathStore
        The samples.
    device : torch.device
        Device to compute on.
    precision : torch.dtype, default=None
        Precision of autocast; None: float32.

    Yields
    ------
    index : tensor of shape (n,), int64
        Positions of a batch, on `device`; batches are in order.
    outputs : tensor of shape (n, ...), float32
        Output of the module, on `device`.
    """
    module.eval()
    shape = _working_shape(module, store.spec.shape)
    # To read samples is all that a module without weights does.
    shared = any(True for _ in module.parameters())
    for index, batch in in_order(store, device, shape, shared):
        batch = to_channels_last(batch)
        with torch.inference_mode(), lower_precision(device, precision):
            outputs = module(batch).float()
            if shared:
                outputs = ranks.gathered(outputs, len(index))
        yield index, outputs


def forward_all(module, store, device, precision=None):
    """Apply a module to every sample of a store; return the outputs on the CPU.

    Parameters
    ----------
    module, store, device, precision
        See :func:`forward_batches`.

    Returns
    -------
    outputs : ndarray of shape (n_samples, ...), dtype float32
        One row for each sample.
    """
    outputs, done = None, 0
    with free_threads():
        for _, batch in forward_batches(module, store, device, precision):
            if outputs is None:
                shape = len(store), *batch.shape[1:]
                # To copy each batch to the host would wait for it.
                where = batch.device if math.prod(shape) <= KEPT else "cpu"
                outputs = torch.empty(shape, dtype=batch.dtype, device=where)
            outputs[done : done + len(batch)] = batch
            done += len(batch)
    return outputs.cpu().numpy()
