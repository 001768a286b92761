"""Building and initialising modules without the global random generator.

Networks of this package are built without random numbers, and then initialised from an
explicit generator, so that fits in parallel threads do not influence each other.
"""

import math
import threading
from contextlib import contextmanager, suppress

import torch
from torch import nn
from torch.overrides import TorchFunctionMode


def build(factory, *args, generator=None):
    """Build a module without random numbers, then initialise it from a generator.

    For modules of this package only: :func:`initialize` knows all of their layers.
    """
    with torch.device("meta"):
        module = factory(*args)
    # Module.to_empty does the same, but imports sympy for it.
    module.float()._apply(lambda t: torch.empty(t.shape, dtype=t.dtype, device="cpu"))
    initialize(module, generator)
    return module


def build_heads(method, *args, generator=None):
    """Build the networks that are trained beside an encoder.

    Parameters
    ----------
    method : SelfSupervised or Regularizer
        Its ``build`` gets `args`. Heads of a user's method may have any layers; they
        initialise themselves.
    generator : torch.Generator, default=None
        Source of randomness.

    Returns
    -------
    heads : torch.nn.ModuleDict
        On the CPU.

    Raises
    ------
    ValueError
        If ``build`` returns anything but modules by names, or one called "encoder".
    """

    def factory():
        built = heads = method.build(*args)
        if built is not None:
            with suppress(KeyError, TypeError, ValueError):
                heads = nn.ModuleDict(built)
        if not isinstance(heads, nn.ModuleDict) or "encoder" in heads:
            raise ValueError(
                f"{type(method).__name__}.build returned {built!r}: it must return a "
                'dict of str to torch.nn.Module, none of them called "encoder".'
            )
        return heads

    if type(method).__module__.partition(".")[0] == "sknoisy":
        return build(factory, generator=generator)
    with seeded(generator):
        return factory().to("cpu", torch.float32)


@torch.no_grad()
def initialize(module, generator=None):
    """Initialise convolutions, linear layers and normalisations in place.

    Convolutions by He et al. (normal, fan out), linear layers by PyTorch's default
    (uniform in 1 over the root of the fan in), normalisations to 1 and 0.

    Parameters
    ----------
    module : torch.nn.Module
        Network made of these layers.
    generator : torch.Generator, default=None
        Source of randomness; None: one of its own, for weights that will be loaded.
    """
    if generator is None:
        generator = torch.Generator("cpu").manual_seed(0)
    for layer in module.modules():
        if isinstance(layer, nn.Conv2d):
            nn.init.kaiming_normal_(
                layer.weight, mode="fan_out", nonlinearity="relu", generator=generator
            )
            if layer.bias is not None:
                layer.bias.zero_()
        elif isinstance(layer, nn.Linear):
            bound = 1 / math.sqrt(layer.in_features)
            layer.weight.uniform_(-bound, bound, generator=generator)
            if layer.bias is not None:
                layer.bias.uniform_(-bound, bound, generator=generator)
        elif hasattr(layer, "reset_state"):
            layer.reset_state()
        elif isinstance(layer, (nn.BatchNorm1d, nn.BatchNorm2d)):
            layer.reset_running_stats()
            if layer.affine:
                layer.weight.fill_(1)
                layer.bias.zero_()


_GLOBAL_GENERATOR = threading.Lock()
_MAKE_FLOATS = torch.empty, torch.ones, torch.rand, torch.randn, torch.zeros


class _Float32(TorchFunctionMode):
    """In this thread, tensors are float32, whatever the default dtype."""

    def __torch_function__(self, function, types, args=(), kwargs=None):
        kwargs = kwargs or {}
        if function in _MAKE_FLOATS and kwargs.get("dtype") is None:
            kwargs = {**kwargs, "dtype": torch.float32}
        return function(*args, **kwargs)


@contextmanager
def seeded(generator):
    """Seed PyTorch's global generator for a while, and put its state back.

    For modules from elsewhere, whose constructors draw from it. They are built on the
    CPU, so only the CPU's generator is seeded. A lock lets one thread at a time do so.
    """
    seed = 0
    if generator is not None:
        seed = torch.randint(2**62, (), generator=generator, device="cpu").item()
    with _GLOBAL_GENERATOR:
        state = torch.random.get_rng_state()
        torch.random.default_generator.manual_seed(seed)
        try:
            # The default device and dtype may be others.
            with torch.device("cpu"), _Float32():
                yield
        finally:
            torch.random.set_rng_state(state)
