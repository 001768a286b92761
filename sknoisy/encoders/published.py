"""Published encoders of torchvision and timm, and the images that they expect."""

from dataclasses import replace
from difflib import get_close_matches
from typing import NamedTuple

import numpy as np
from torch import nn

from sknoisy.encoders.weights import load_weights

TIMM = "timm/"  # prefix of the names of timm's models
IMAGENET = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)  # mean and deviation


class PublishedInput(NamedTuple):
    """The images that a published encoder was trained on.

    Attributes
    ----------
    size : (int, int)
        Height and width, in pixels.
    mean, std : tuple of float
        Mean and standard deviation of each channel, for values in [0, 1].
    """

    size: tuple
    mean: tuple
    std: tuple


def is_published(encoder):
    """Whether an encoder is the name of a model of torchvision or timm."""
    return isinstance(encoder, str) and (
        encoder.startswith(TIMM) or encoder in torchvision_names()
    )


def torchvision_names():
    """Return the names of torchvision's classification models."""
    import torchvision

    return torchvision.models.list_models(module=torchvision.models)


def check_timm(encoder):
    """Raise an error if timm has no model of this name, or is not installed."""
    timm = _import_timm(encoder)
    name = encoder.removeprefix(TIMM)
    architecture, _, tag = name.partition(".")
    if not timm.is_model(architecture):
        close = get_close_matches(architecture, timm.list_models(), n=1)
        hint = f" Did you mean {TIMM + close[0]!r}?" if close else ""
        raise ValueError(
            f"encoder={encoder!r} is not valid: timm has no model {architecture!r}."
            + hint
        )
    names = timm.list_pretrained(f"{architecture}.*")
    if tag and name not in names:
        tags = [TIMM + name for name in names]
        raise ValueError(
            f"encoder={encoder!r} is not valid: timm has no weights {tag!r} of "
            f"{architecture!r}; it must be one of {tags}."
        )


def published_input(encoder):
    """Return the images that a published encoder expects.

    Parameters
    ----------
    encoder : str
        Name of a model of torchvision, or "timm/" and the name of a model of timm.

    Returns
    -------
    input : PublishedInput
        Input of the encoder's default weights.
    """
    if encoder.startswith(TIMM):
        config = _import_timm(encoder).get_pretrained_cfg(encoder.removeprefix(TIMM))
        return PublishedInput(config.input_size[1:], config.mean, config.std)
    import torchvision

    weights = torchvision.models.get_model_weights(encoder).DEFAULT
    transforms = weights.transforms()
    size = tuple(transforms.crop_size) * 2
    return PublishedInput(size[:2], tuple(transforms.mean), tuple(transforms.std))


def with_moments(spec, mean, std):
    """Return a description of samples that are normalised with given moments.

    Parameters
    ----------
    spec : InputSpec
        Description of the samples.
    mean, std : float or array-like
        One number, or one for each channel or feature. Those of three channels make
        RGB images of grey ones.

    Returns
    -------
    spec : InputSpec
        The same description with other moments.
    """
    n = spec.shape[0]
    mean, std = (np.ravel(np.asarray(v, np.float32)) for v in (mean, std))
    allowed = {1, n, 3} if spec.kind == "image" and n == 1 else {1, n}
    if not {len(mean), len(std)} <= allowed:
        raise ValueError(
            f"X holds {spec}, each of which needs {n} means and deviations, not "
            f"{len(mean)} and {len(std)}."
        )
    shape = (max(len(mean), len(std), n),)
    mean, std = (np.broadcast_to(v, shape).copy() for v in (mean, std))
    return replace(spec, mean=mean, std=std)


def published_model(encoder, shape, weights=None):
    """Return a published model without its head.

    Parameters
    ----------
    encoder : str
        Name of a model of torchvision, or "timm/" and the name of a model of timm.
    shape : (int, int, int)
        Channels, height and width of an image.
    weights : str or path, default=None
        "auto" or "imagenet": the published weights; else the path of a file.

    Returns
    -------
    module : torch.nn.Module
        On the CPU.
    """
    if shape[0] != 3:
        raise ValueError(
            f"encoder={encoder!r} is not valid: published models take RGB images, but "
            f"X holds images of {shape[0]} channels."
        )
    download = isinstance(weights, str) and weights in ("auto", "imagenet")
    try:
        if encoder.startswith(TIMM):
            net, head = _timm_model(encoder, shape, download)
        else:
            net, head = _torchvision_model(encoder, download)
    except (OSError, ImportError, RuntimeError) as error:
        if not download:
            raise
        raise OSError(
            f"weights={weights!r} of encoder={encoder!r} could not be loaded ({error}"
            "): without a network connection, pass the path of a file."
        ) from error
    if weights is not None and not download:
        load_weights(net, weights, head)
    return net


def _torchvision_model(name, download):
    """Return a model of torchvision without its head, and the head's name."""
    import torchvision

    net = torchvision.models.get_model(name, weights="DEFAULT" if download else None)
    if hasattr(net, "transform_input"):
        net.transform_input = True  # GoogLeNet and Inception were trained so
    if getattr(net, "aux_logits", False):  # auxiliary classifiers of two models
        net.aux_logits = False
        for part in ("aux1", "aux2", "AuxLogits"):
            setattr(net, part, None)
    names = [name for name, m in net.named_modules() if isinstance(m, nn.Linear)]
    if not names:  # SqueezeNet, which ends in a convolution and an average
        net.classifier = nn.AdaptiveAvgPool2d(1)
        return net, "classifier"
    *path, last = names[-1].split(".")
    setattr(net.get_submodule(".".join(path)), last, nn.Identity())
    return net, names[-1]


def _timm_model(encoder, shape, download):
    """Return a model of timm without its head, and the head's name."""
    timm = _import_timm(encoder)
    name = encoder.removeprefix(TIMM)
    config = timm.get_pretrained_cfg(name)
    settings = {}
    if config.fixed_input_size and tuple(shape[1:]) != tuple(config.input_size[1:]):
        settings["dynamic_img_size"] = True  # interpolates the positions' embedding
    try:
        net = timm.create_model(name, pretrained=download, num_classes=0, **settings)
    except TypeError as error:
        if not settings:
            raise
        raise ValueError(
            f"encoder={encoder!r} is not valid with images of {tuple(shape[1:])} "
            f"pixels: it takes {tuple(config.input_size[1:])} only. Pass "
            f"image_size={config.input_size[-1]}."
        ) from error
    head = config.classifier
    return net, head if isinstance(head, str) else None


def _import_timm(encoder):
    try:
        import timm
    except ImportError as error:
        raise ImportError(
            f"encoder={encoder!r} is a model of timm: install timm, or sknoisy[timm]."
        ) from error
    return timm
