"""Devices that networks run on, their memory and precision."""

import math
import os
from contextlib import ExitStack, contextmanager, nullcontext

import numpy as np
import torch

from sknoisy import ranks
from sknoisy.warning import warn

_used_threads = None  # id of the last process in which PyTorch had several threads


def refuse_fork():
    """Raise ``RuntimeError`` where PyTorch would wait for ever, in a forked process.

    A process that is forked from one in which PyTorch has started threads has none of
    these, but waits for them.
    """
    global _used_threads
    if torch.get_num_threads() == 1:
        return
    if _used_threads is None:
        _used_threads = os.getpid()
    elif _used_threads != os.getpid():
        raise RuntimeError(
            "this process was forked from one in which PyTorch has started threads: it "
            "would wait for them for ever. Start processes by 'spawn' or 'forkserver' "
            "(of joblib, by its default backend 'loky'), or call "
            "torch.set_num_threads(1) in the new process."
        )


def move(tensor, device):
    """Return a tensor on a device; copies to a GPU are asynchronous.

    Copies to the CPU are not: the caller could read them before they are complete.
    """
    return tensor.to(device, non_blocking=torch.device(device).type == "cuda")


def resolve_device(device, fallback=False):
    """Return the torch device that a parameter's value stands for.

    Parameters
    ----------
    device : str or torch.device
        "auto" (a GPU if there is one), "cpu", "cuda", "cuda:1", "mps", ... Of the ranks
        that torchrun starts, each has another GPU as "auto" or "cuda".
    fallback : bool, default=False
        Whether to fall back to the CPU if there is no such device, as for a model
        that was trained on another machine.

    Raises
    ------
    ValueError
        If the machine has no such device; the message lists those it has.
    RuntimeError
        If this is a forked process in which PyTorch would hang.
    """
    refuse_fork()
    available = ["cpu"]
    if torch.cuda.is_available():
        available += [f"cuda:{i}" for i in range(torch.cuda.device_count())]
    if torch.backends.mps.is_available():
        available += ["mps"]
    if isinstance(device, str) and device == "auto":
        device = "cuda" if "cuda:0" in available else available[-1]
    try:
        resolved = torch.device(device)
    except (OverflowError, RuntimeError, TypeError, ValueError):
        resolved = None
    index = getattr(resolved, "index", None)
    name = f"{resolved.type}:{index or 0}" if resolved else ""
    if name in available or getattr(resolved, "type", "") in available:
        if resolved.type == "cuda" and resolved.index is None:
            own = ranks.local_device(torch.cuda.device_count())
            return resolved if own is None else torch.device("cuda", own)
        return resolved
    if fallback:
        warn(
            f"device={device!r} is not available on this machine: the CPU is used.",
        )
        return torch.device("cpu")
    raise ValueError(
        f"device={device!r} is not valid: it must be 'auto' or one of {available}."
    )


def with_float64(device):
    """Return a device, or the CPU for Apple's GPUs, which lack float64.

    Parameters
    ----------
    device : torch.device
        Where something is to be computed.
    """
    return torch.device("cpu") if device.type == "mps" else device


def total_memory(device):
    """Return how much memory a device has, in bytes, or None if it does not tell."""
    if device.type == "cuda":
        return torch.cuda.get_device_properties(device).total_memory
    try:
        return os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")
    except (AttributeError, ValueError, OSError):
        return None


def check_memory(shape, batch_size, device):
    """Raise ``ValueError`` if not even one batch fits into a device's memory.

    Parameters
    ----------
    shape : tuple of int
        Shape of a sample, as in :class:`~sknoisy.data.spec.InputSpec`.
    batch_size : int
        Number of samples in a batch.
    device : torch.device
        Where networks run.
    """
    needed = 16 * 4 * batch_size * math.prod(shape)  # bytes of 16 maps of that size
    total = total_memory(device)
    if total is not None and needed > total:
        raise ValueError(
            f"batch_size={batch_size} of samples of shape {shape} needs about "
            f"{needed / 2**30:.0f} GiB of memory, more than the {total / 2**30:.0f} "
            f"GiB of the device {str(device)!r}. Pass a smaller batch_size, or smaller "
            "images."
        )


@contextmanager
def lower_precision(device, dtype):
    """In this context, networks compute in a dtype of autocast; None: as they are."""
    try:
        with torch.autocast(device.type, dtype, enabled=dtype is not None):
            yield
    finally:
        # The rounded weights would be kept until the outermost autocast ends, which
        # may be the caller's, and so be used after a step has changed the weights.
        if dtype is not None:
            torch.clear_autocast_cache()


def full_precision(tensor):
    """Return a context in which nothing is rounded to bfloat16.

    Views and losses are computed in float32 even if the networks are not: losses
    divide by temperatures and sum over many pairs.
    """
    kind = tensor.device.type
    if not torch.is_autocast_enabled(kind):
        return nullcontext()
    return torch.autocast(kind, enabled=False)


@contextmanager
def own_modes():
    """In this context, the caller's modes of PyTorch and NumPy do not count.

    Gradients are computed, nothing is rounded but by the parameter `precision`, and
    numbers too small for their dtype are 0 without an error. All of this is of the
    thread alone.
    """
    with ExitStack() as stack:
        stack.enter_context(torch.inference_mode(False))
        stack.enter_context(torch.enable_grad())
        stack.enter_context(np.errstate(under="ignore"))
        for kind in ("cpu", "cuda", "mps"):
            if torch.is_autocast_enabled(kind):
                stack.enter_context(torch.autocast(kind, enabled=False))
        yield


def to_channels_last(batch):
    """Return images in the memory format in which convolutions are fastest."""
    if batch.ndim == 4:
        return batch.contiguous(memory_format=torch.channels_last)
    return batch


def resolve_precision(precision, device, trained=None):
    """Return the dtype of autocast, or None for float32.

    "auto" is bfloat16 where the device multiplies it faster than float32: on GPUs, and
    on CPUs where networks are trained on images. On CPUs, vectors stay in float32, as
    their networks are small, and so does what a fitted model computes, which is then
    the same on each of them.

    Parameters
    ----------
    precision : {"auto", "float32", "bfloat16"}
        Parameter of an estimator.
    device : torch.device
        Device that networks run on.
    trained : {"vector", "image"}, default=None
        Kind of the samples that a network is trained on; None: it is fitted already.
    """
    if precision == "auto":
        on_cpu = device.type == "cpu" and trained == "image" and cpu_has_bfloat16()
        on_gpu = device.type == "cuda" and gpu_has_bfloat16(device)
        precision = "bfloat16" if on_cpu or on_gpu else "float32"
    return torch.bfloat16 if precision == "bfloat16" else None


def cpu_has_bfloat16():
    """Return whether this CPU multiplies matrices of bfloat16 by itself.

    Others emulate it, which takes longer than float32.
    """
    # The first versions of PyTorch that are allowed do not tell.
    capabilities = getattr(torch.cpu, "get_capabilities", dict)()
    return torch.backends.mkldnn.is_available() and any(
        capabilities.get(name) for name in ("avx512_bf16", "amx_bf16")
    )


def gpu_has_bfloat16(device):
    """Return whether this GPU does; older ones of NVIDIA emulate it slowly."""
    return bool(torch.version.hip) or torch.cuda.get_device_capability(device) >= (8, 0)


def generator(seed, device="cpu"):
    """Return a seeded generator on a device."""
    return torch.Generator(device).manual_seed(int(seed))
