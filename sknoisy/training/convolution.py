"""Convolutions on a CPU whose gradients PyTorch gets wrong in bfloat16."""

from torch.nn.modules.conv import _ConvNd

from sknoisy.data.devices import full_precision
from sknoisy.training.patching import computing_by


def precise_on_small_maps(module, device, precision):
    """Return a context in which convolutions on very small maps are in float32.

    Some weights of their kernels meet nothing but padding, so their gradient is 0. In
    bfloat16 oneDNN leaves there what happened to be in memory, with any value. Seen
    with PyTorch 2.14, oneDNN 3.12 and a processor that has AVX512-BF16: with maps that
    are narrower than the stride, such as those of 1x1 at stride 2, which ResNets have
    at the end of images of 16x16; and with volumes that are smaller than the kernel, at
    any stride.

    Parameters
    ----------
    module : torch.nn.Module
        The network.
    device : torch.device
        Where it is trained; nothing changes but on a CPU.
    precision : torch.dtype or None
        Dtype of autocast; None: float32, and nothing changes.
    """
    changes = device.type == "cpu" and precision is not None
    layers = [m for m in module.modules() if isinstance(m, _ConvNd)] if changes else []
    return computing_by(_convolve, layers)


def _convolve(layer, *args, **others):
    """Return what a layer makes of maps, in float32 if these are small."""
    x = args[0] if args else others.get("input")
    sides = () if x is None else x.shape[-len(layer.kernel_size) :]
    needed = layer.stride if len(sides) < 3 else layer.kernel_size
    if all(a >= b for a, b in zip(sides, needed, strict=False)):
        return type(layer).forward(layer, *args, **others)
    others.pop("input", None)
    with full_precision(x):
        x = x.to(layer.weight.dtype)
        return type(layer).forward(layer, x, *args[1:], **others)
