"""Checks of the parameters of PretrainedEncoder."""

import os
import pickle
from difflib import get_close_matches

import numpy as np
from torch import nn

from sknoisy.checks import as_floats
from sknoisy.encoders.named import (
    ENCODERS,
    check_published,
)
from sknoisy.encoders.published import (
    TIMM,
    check_timm,
    is_published,
    torchvision_names,
)
from sknoisy.encoders.weights import check_file

PUBLISHED = ("auto", "imagenet")  # weights that are no file

NORMALIZATIONS = ("auto", "imagenet", "data")


def is_text(value, name):
    """Whether a parameter, which may be an array, has the value `name`."""
    return isinstance(value, str) and value == name


def check_encoder(encoder):
    """Raise ``ValueError`` unless an encoder has a known name, or is or makes one."""
    if isinstance(encoder, nn.Module):
        return
    if not isinstance(encoder, str):
        if not callable(encoder):
            raise ValueError(
                f"encoder={encoder!r} is not valid: it must be a name, a module, or a "
                "function or class that returns a module."
            )
    elif encoder.startswith(TIMM):
        check_timm(encoder)
    elif encoder not in ENCODERS and not is_published(encoder):
        close = get_close_matches(encoder, [*ENCODERS, *torchvision_names()], n=1)
        raise ValueError(
            f"encoder={encoder!r} is not valid: it must be the name of one of "
            f"torchvision's classification models, one of {sorted(ENCODERS)}, 'timm/' "
            "and the name of one of timm's models, or a module."
            + (f" Did you mean {close[0]!r}?" if close else "")
        )


def check_weights(weights, encoder):
    """Raise ``ValueError`` unless these weights may be those of an encoder."""
    if weights is None:
        return
    if not isinstance(weights, (str, os.PathLike)):
        raise ValueError(
            f"weights={type(weights).__name__} object is not valid: it must be 'auto', "
            "'imagenet', the path of a file, or None. Weights that are loaded already "
            "go into a module: pass that as encoder."
        )
    if weights not in PUBLISHED:
        check_file(weights)
    elif isinstance(encoder, str) or weights == "imagenet":
        check_published(encoder, weights)


def check_kind(encoder, spec):
    """Raise ``ValueError`` if a named encoder does not take such samples."""
    if is_published(encoder) and spec.kind == "image" and spec.shape[0] not in (1, 3):
        raise ValueError(
            f"encoder={encoder!r} is not valid: it takes RGB or grey images, but X "
            f"holds images of {spec.shape[0]} channels."
        )
    if not isinstance(encoder, str) or encoder == "mlp" or spec.kind == "image":
        return
    raise ValueError(
        f"encoder={encoder!r} is not valid: it is made for images, but X holds {spec}. "
        "Pass a module that takes these, or train without PretrainedEncoder."
    )


def check_pickles(template):
    """Raise ``ValueError`` if a cache cannot recognise a module."""
    try:
        pickle.dumps(template)
    except Exception as error:
        raise ValueError(
            f"encoder={template} object is not valid with memory, which recognises "
            f"encoders by their pickles: {error}. Define its class at the top level of "
            "a module, or pass memory=None."
        ) from error


def check_normalization(value):
    """Raise ``ValueError`` unless a value says how images are normalised."""
    if value is None or isinstance(value, str) and value in NORMALIZATIONS:
        return
    is_listed = isinstance(value, (tuple, list, np.ndarray))
    pair = [*value] if is_listed and getattr(value, "ndim", 1) else []
    parts = [as_floats(part) for part in pair]
    if (
        len(parts) != 2
        or not all(np.isfinite(part).all() and part.ndim < 2 for part in parts)
        or not (parts[1] > 0).all()
    ):
        raise ValueError(
            f"normalization={value!r} is not valid: it must be one of "
            f"{[*NORMALIZATIONS]}, None, or a pair (mean, std) of numbers, or of "
            "one number for each channel, with std > 0."
        )
