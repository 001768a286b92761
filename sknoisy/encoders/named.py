"""Encoders by name, of torchvision, or of the user's.

An encoder maps a batch, (n, d) or (n, C, H, W), to (n, n_features).
"""

import inspect

import torch
from torch import nn

from sknoisy.encoders.initialization import build, seeded
from sknoisy.encoders.networks import MLP, ConvNet, PreActResNet18, conv3x3
from sknoisy.parameters import unknown

SMALL_SIDE = 64  # pixels; images up to here get the CIFAR stem


def _resnet(name, shape):
    """Return torchvision's ResNet, with the CIFAR stem for small images."""
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
    "mlp": MLP,
    "convnet": ConvNet,
    "preact_resnet18": PreActResNet18,
    "resnet18": lambda shape: _resnet("resnet18", shape),
    "resnet34": lambda shape: _resnet("resnet34", shape),
    "resnet50": lambda shape: _resnet("resnet50", shape),
}


def check_encoder(encoder, spec):
    """Return the encoder that a parameter's value stands for, checked.

    Parameters
    ----------
    encoder : str or callable
        The parameter: "auto", a key of ``ENCODERS``, the name of a torchvision
        classification model, a module class or a function that returns a module.
    spec : InputSpec
        What the samples are.

    Returns
    -------
    encoder : str or callable
        The same, with "auto" resolved: "mlp" for vectors, "convnet" for images.
    """
    if isinstance(encoder, str):
        if encoder == "auto":
            return "mlp" if spec.kind == "vector" else "convnet"
        if encoder not in ENCODERS and encoder not in torchvision_names():
            raise ValueError(
                unknown("encoder", encoder, ["auto", *ENCODERS])
                + " Names of torchvision's classification models are valid, too."
            )
        if spec.kind == "vector" and encoder != "mlp":
            raise ValueError(
                f"encoder={encoder!r} is not valid: it is made for images, but X holds "
                f'{spec}. Pass encoder="mlp" or "auto".'
            )
    elif isinstance(encoder, nn.Module) or not callable(encoder):
        raise ValueError(
            f"encoder={type(encoder).__name__} object is not valid: it must be a name, "
            "a module class or a function that returns a module."
        )
    return encoder


def torchvision_names():
    """Return the names of torchvision's classification models."""
    import torchvision

    return torchvision.models.list_models(module=torchvision.models)


def build_encoder(encoder, shape, weights=None, generator=None):
    """Build an encoder and initialise it.

    Parameters
    ----------
    encoder : str or callable
        As returned by :func:`check_encoder`. A class or function that takes an
        argument gets `shape`; its module may return (n, n_features), or maps
        (n, n_features, h, w), which are averaged.
    shape : tuple of int
        (d,) of a vector, (C, H, W) of an image.
    weights : str, default=None
        "imagenet" for torchvision's weights of a torchvision model, or the path of
        a file with a state dict for it. The first convolution stays as published.
    generator : torch.Generator, default=None
        Source of the initial weights.

    Returns
    -------
    module : torch.nn.Module
        With an attribute ``n_features``.
    """
    if weights is not None:
        return _pretrained(encoder, shape, weights)
    if isinstance(encoder, str) and encoder in ENCODERS:
        return build(ENCODERS[encoder], shape, generator=generator)
    if isinstance(encoder, str):
        with seeded(generator):
            return published_model(encoder, shape)
    with seeded(generator):
        try:
            module = encoder(shape) if _takes_argument(encoder) else encoder()
        except TypeError as error:
            raise ValueError(
                f"encoder={encoder!r} is not valid: called with nothing but the shape "
                f"of a sample, {tuple(shape)}, it must return a module ({error})."
            ) from error
    if isinstance(module, nn.Module):
        module = module.to("cpu")
    else:
        raise ValueError(
            f"encoder={encoder!r} is not valid: it returned "
            f"{type(module).__name__}, not a torch.nn.Module."
        )
    return _with_n_features(module, shape, type(module).__name__)


def _takes_argument(factory):
    try:
        parameters = inspect.signature(factory).parameters.values()
    except (TypeError, ValueError):
        return False
    return any(
        p.default is p.empty and p.kind in (p.POSITIONAL_ONLY, p.POSITIONAL_OR_KEYWORD)
        for p in parameters
    )


def published_model(encoder, shape, weights=None):
    """Return a torchvision model as published, without its last linear layer."""
    import torchvision

    if shape[0] != 3:
        raise ValueError(
            f"encoder={encoder!r} is not valid: torchvision's models take RGB images, "
            f"but X holds images of {shape[0]} channels."
        )
    if weights == "imagenet":
        net = torchvision.models.get_model(encoder, weights="DEFAULT")
    else:
        net = torchvision.models.get_model(encoder)
    if weights not in (None, "imagenet"):
        net.load_state_dict(torch.load(weights, map_location="cpu", weights_only=True))
    if getattr(net, "aux_logits", False):  # classifiers on the way, of two models
        net.aux_logits = False
        for name in ("aux1", "aux2", "AuxLogits"):
            setattr(net, name, None)
    names = [name for name, m in net.named_modules() if isinstance(m, nn.Linear)]
    if not names:  # such as SqueezeNet, which ends in a convolution
        return _with_n_features(net, shape, encoder)
    *path, last = names[-1].split(".")
    setattr(net.get_submodule(".".join(path)), last, nn.Identity())
    return _with_n_features(net, shape, encoder)


def _pretrained(encoder, shape, weights):
    if not isinstance(encoder, str) or encoder not in torchvision_names():
        raise ValueError(
            f"weights={weights!r} is not valid: only torchvision models have weights, "
            f"but encoder={encoder!r}."
        )
    with seeded(None):
        return published_model(encoder, shape, weights)


class _Pooled(nn.Module):
    """A user's module whose feature maps are averaged."""

    def __init__(self, module):
        super().__init__()
        self.module = module

    def forward(self, x):
        y = self.module(x)
        return y.mean(dim=tuple(range(2, y.ndim))) if y.ndim > 2 else y


def _with_n_features(module, shape, name):
    """Find out how many features a module gives, by a batch of zeros."""
    was_training = module.training
    with torch.no_grad():
        try:
            features = module.eval()(torch.zeros(2, *shape, device="cpu"))
        except (RuntimeError, AssertionError, ValueError) as error:
            raise ValueError(
                f"encoder={name!r} is not valid: it fails on samples of shape "
                f"{tuple(shape)}: {error}"
            ) from error
    module.train(was_training)
    if not isinstance(features, torch.Tensor) or features.ndim < 2:
        raise ValueError(
            f"encoder={name!r} is not valid: it must return a tensor of shape "
            "(n, n_features)."
        )
    if features.ndim > 2:
        module = _Pooled(module)
    module.n_features = features.shape[1]
    return module
