"""Where networks compute: devices, memory formats, prediction in batches."""

import math
import os
import warnings
from contextlib import nullcontext

import numpy as np
import torch

from sknoisy.stores import stream


def resolve_device(device, fallback=False):
    """Return the torch device that a parameter's value stands for.

    Parameters
    ----------
    device : str or torch.device
        "auto" (a GPU if there is one), "cpu", "cuda", "cuda:1", "mps", ...
    fallback : bool, default=False
        Whether to fall back to the CPU, where a model that was trained on another
        machine is used.

    Raises
    ------
    ValueError
        If the machine has no such device; lists those it has.
    """
    available = ["cpu"]
    if torch.cuda.is_available():
        available += [f"cuda:{i}" for i in range(torch.cuda.device_count())]
    if torch.backends.mps.is_available():
        available += ["mps"]
    if isinstance(device, str) and device == "auto":
        return torch.device("cuda" if "cuda:0" in available else available[-1])
    try:
        resolved = torch.device(device)
    except (RuntimeError, TypeError):
        resolved = None
    index = getattr(resolved, "index", None)
    name = f"{resolved.type}:{index or 0}" if resolved else ""
    if name in available or getattr(resolved, "type", "") in available:
        return resolved
    if fallback:
        warnings.warn(
            f"device={device!r} is not on this machine: the CPU is used.",
            UserWarning,
            stacklevel=3,
        )
        return torch.device("cpu")
    raise ValueError(
        f"device={device!r} is not valid: it must be 'auto' or one of {available}."
    )


def total_memory(device):
    """Return how much memory a device has, in bytes, or None if it does not tell."""
    if device.type == "cuda":
        return torch.cuda.get_device_properties(device).total_memory
    try:
        return os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")
    except (AttributeError, ValueError, OSError):
        return None


def inference_batch(spec, device):
    """Return how many samples one forward pass takes.

    On a CPU about 2 MiB of them, so that feature maps stay near its caches (170 images
    of CIFAR were half as fast again as 2,700); on a GPU sixteen times as many.
    """
    elements = 2**19 if device.type == "cpu" else 2**23
    return int(np.clip(elements // math.prod(spec.shape), 64, 4096))


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
    step = inference_batch(store.spec, device)
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


def full_precision(tensor):
    """Return a context in which nothing is rounded to bfloat16.

    Views and losses are computed in float32 where the networks are not: losses divide
    by temperatures and sum over many pairs.
    """
    kind = tensor.device.type
    if not torch.is_autocast_enabled(kind):
        return nullcontext()
    return torch.autocast(kind, enabled=False)


def to_channels_last(batch):
    """Return images in the memory format that convolutions are fastest in."""
    if batch.ndim == 4:
        return batch.contiguous(memory_format=torch.channels_last)
    return batch


def resolve_precision(precision, device):
    """Return the dtype of autocast, or None for float32.

    "auto" is bfloat16 on GPUs that compute in it, float32 elsewhere: on CPUs
    bfloat16 was measured to be slower.
    """
    if precision == "auto":
        if device.type != "cuda":
            return None
        # Older GPUs emulate bfloat16, slowly; those of AMD do not.
        fast = torch.cuda.get_device_capability(device) >= (8, 0)
        return torch.bfloat16 if fast or torch.version.hip else None
    return torch.bfloat16 if precision == "bfloat16" else None
