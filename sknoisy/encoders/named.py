"""Encoders by name, from torchvision or timm, or made by a user's function.

An encoder maps a batch, (n, d) or (n, C, H, W), to (n, n_features).
"""

import inspect

import torch
from torch import nn

from sknoisy.checks import unknown
from sknoisy.encoders.initialization import build, seeded
from sknoisy.encoders.modes import evaluating
from sknoisy.encoders.modules import refuse_meta
from sknoisy.encoders.networks import MLP, ConvNet, Identity, PreActResNet18, conv3x3
from sknoisy.encoders.published import (
    TIMM,
    check_timm,
    is_published,
    published_model,
    torchvision_names,
)
from sknoisy.encoders.weights import load_weights

SMALL_SIDE = 64  # pixels; up to here, ResNets get the stem for CIFAR


def _resnet(name, shape):
    """Return a ResNet of torchvision; for small images with the stem for CIFAR."""
    import torchvision

    net = torchvision.models.get_model(name)
    if min(shape[1:]) <= SMALL_SIDE:
        net.conv1 = conv3x3(shape[0], 64)
        net.maxpool = nn.Identity()
    elif shape[0] != 3:
        net.conv1 = nn.Conv2d(shape[0], 64, 7, 2, padding=3, bias=False)
    net.n_features = net.fc.in_features
    net.fc = nn.Identity()
    return net


ENCODERS = {
    "identity": Identity,
    "mlp": MLP,
    "convnet": ConvNet,
    "preact_resnet18": PreActResNet18,
    "resnet18": lambda shape: _resnet("resnet18", shape),
    "resnet34": lambda shape: _resnet("resnet34", shape),
    "resnet50": lambda shape: _resnet("resnet50", shape),
}


def check_encoder(encoder, spec):
    """Check the parameter `encoder`, and replace "auto".

    Parameters
    ----------
    encoder : str or callable
        Value of the parameter: "auto", a key of ``ENCODERS``, the name of a torchvision
        classification model, "timm/" and the name of a model of timm, a module class
        or a function that returns a module.
    spec : InputSpec
        Description of the samples.

    Returns
    -------
    encoder : str or callable
        The same; instead of "auto", "mlp" for vectors and "convnet" for images.
    """
    if isinstance(encoder, str):
        if encoder == "auto":
            return "mlp" if spec.kind == "vector" else "convnet"
        if encoder.startswith(TIMM):
            check_timm(encoder)
        elif encoder not in ENCODERS and encoder not in torchvision_names():
            raise ValueError(
                unknown("encoder", encoder, ["auto", *ENCODERS])
                + " Names of torchvision's classification models are valid, too, and "
                "names of timm's models after 'timm/'."
            )
        if spec.kind == "vector" and encoder not in ("identity", "mlp"):
            raise ValueError(
                f"encoder={encoder!r} is not valid: it takes images, but X holds "
                f'{spec}. Pass encoder="mlp", "identity" or "auto".'
            )
    elif isinstance(encoder, nn.Module) or not callable(encoder):
        raise ValueError(
            f"encoder={type(encoder).__name__} object is not valid: it must be a "
            "name, a module class or a function that returns a module. Put a module "
            "that has weights into a PretrainedEncoder, as a step of a Pipeline "
            "before this estimator."
        )
    return encoder


def build_encoder(encoder, shape, weights=None, generator=None, published=False):
    """Build an encoder and initialise it.

    Parameters
    ----------
    encoder : str or callable
        As returned by :func:`check_encoder`. A class or function that needs an
        argument gets `shape`. Its module returns features (n, n_features), or maps
        (n, n_features, h, w), which are averaged.
    shape : tuple of int
        (d,) of a vector, (C, H, W) of an image.
    weights : str or path, default=None
        "auto": the published weights of a model of torchvision or timm; "imagenet":
        those of torchvision only; or the path of a file with weights.
    generator : torch.Generator, default=None
        Source of the initial weights.
    published : bool, default=False
        Whether ResNets keep their published stem for small images, too, so that
        published weights can be loaded later. They always do with `weights`.

    Returns
    -------
    module : torch.nn.Module
        On the CPU, with an attribute ``n_features``.
    """
    # Whether it is published is asked last, for that imports torchvision.
    as_published = (
        published or weights is not None or encoder not in ENCODERS
    ) and is_published(encoder)
    if isinstance(weights, str) and weights in ("auto", "imagenet"):
        check_published(encoder, weights)
    if as_published:
        with seeded(generator):
            module = published_model(encoder, shape, weights)
            return with_n_features(module, shape, encoder)
    if isinstance(encoder, str):
        module = build(ENCODERS[encoder], shape, generator=generator)
    else:
        module = make_module(encoder, shape, generator=generator)
    if weights is not None:
        load_weights(module, weights)
    if isinstance(encoder, str):
        return module
    return with_n_features(module, shape, type(module).__name__)


def check_published(encoder, weights):
    """Raise ``ValueError`` if an encoder has no published weights.

    Parameters
    ----------
    encoder : str or callable
        Value of the parameter `encoder`.
    weights : {"auto", "imagenet"}
        See :func:`build_encoder`.
    """
    if not is_published(encoder):
        is_module = isinstance(encoder, nn.Module)
        name = type(encoder).__name__ if is_module else encoder
        raise ValueError(
            f"weights={weights!r} is not valid: only models of torchvision and timm "
            f"have published weights, but encoder={name!r}. Pass the path of a file."
        )
    if weights == "imagenet" and encoder.startswith(TIMM):
        raise ValueError(
            f"weights={weights!r} is not valid: encoder={encoder!r} names its own "
            'weights. Pass weights="auto", or the path of a file.'
        )


def make_module(encoder, *shape, generator=None):
    """Return a user's module, or the one that a user's class or function makes.

    Parameters
    ----------
    encoder : torch.nn.Module or callable
        The module, class or function.
    *shape : tuple of int
        Shape of a sample; not needed where :func:`takes_shape` is false.
    generator : torch.Generator, default=None
        Source of the initial weights.
    """
    if isinstance(encoder, nn.Module):
        return encoder
    shape = shape if takes_shape(encoder) else ()
    with seeded(generator):
        try:
            module = encoder(*shape)
        except TypeError as error:
            given = f"the shape of a sample, {tuple(*shape)}" if shape else "nothing"
            raise ValueError(
                f"encoder={encoder!r} is not valid: called with {given}, it must "
                f"return a module ({error})."
            ) from error
    if not isinstance(module, nn.Module):
        raise ValueError(
            f"encoder={encoder!r} is not valid: it returned "
            f"{type(module).__name__}, not a torch.nn.Module."
        )
    refuse_meta(module)
    return module.to("cpu", torch.float32)


def takes_shape(factory):
    """Whether a user's class or function needs an argument: the shape of a sample."""
    if isinstance(factory, nn.Module):
        return False
    try:
        parameters = inspect.signature(factory).parameters.values()
    except (TypeError, ValueError):
        return False
    return any(
        p.default is p.empty and p.kind in (p.POSITIONAL_ONLY, p.POSITIONAL_OR_KEYWORD)
        for p in parameters
    )


class _Pooled(nn.Module):
    """A user's module whose feature maps are averaged."""

    def __init__(self, module):
        super().__init__()
        self.module = module

    def forward(self, x):
        y = self.module(x)
        return y.mean(dim=tuple(range(2, y.ndim))) if y.ndim > 2 else y


def with_n_features(module, shape, name):
    """Determine the number of features of a module with a batch of zeros.

    Parameters
    ----------
    module : torch.nn.Module
        Returns features, or maps, which are then averaged.
    shape : tuple of int
        Shape of a sample.
    name : str
        Name of the encoder in messages.

    Returns
    -------
    module : torch.nn.Module
        With an attribute ``n_features``.
    """
    zeros = torch.zeros(2, *shape, dtype=torch.float32, device="cpu")
    with evaluating(module), torch.no_grad():
        try:
            features = module.float()(zeros)
        except Exception as error:
            hint = "" if len(shape) == 1 else " Another image_size may be needed."
            raise ValueError(
                f"encoder={name!r} is not valid: it fails on samples of shape "
                f"{tuple(shape)}: {str(error).rstrip('.')}.{hint}"
            ) from error
    found = tuple(getattr(features, "shape", ()))
    # Three axes would be tokens of an image: there are several ways to join them.
    axes = (2, 4) if len(shape) == 3 else (2, 3)
    if len(found) not in axes or found[0] != 2:
        what = f"shape {found}" if found else f"type {type(features).__name__}"
        raise ValueError(
            f"encoder={name!r} is not valid: for 2 samples it returned {what}, but it "
            "must return a tensor of shape (n, n_features), or maps of shape (n, "
            "n_features, h, w), which are averaged."
        )
    if len(found) > 2:
        module = _Pooled(module)
    module.n_features = found[1]
    return module
