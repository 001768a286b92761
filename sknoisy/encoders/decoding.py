"""Decoders, which restore samples from the output of an encoder."""

import math

from torch import nn
from torch.nn import functional as F

from sknoisy.data.devices import full_precision
from sknoisy.encoders.networks import conv3x3
from sknoisy.ranks import of_part

MIN_WIDTH = 16  # channels of the decoder's last layers


def build_decoder(example):
    """Return a network that restores normalised samples from their code.

    Parameters
    ----------
    example : Encoded
        Two encoded samples, which give the shapes.
    """
    code, inputs = example.code.shape[1:], example.inputs.shape[1:]
    if len(inputs) == 1:
        return vector_decoder(code[0], inputs[0])
    return image_decoder(code, inputs)


def image_decoder(map_shape, shape):
    """Return a network from an encoder's maps to images.

    Layers double the size and halve the channels.

    Parameters
    ----------
    map_shape, shape : (int, int, int)
        Channels, height and width of its input and output.

    Examples
    --------
    >>> import torch
    >>> from sknoisy.encoders.decoding import image_decoder
    >>> image_decoder((192, 4, 4), (3, 28, 28))(torch.zeros(2, 192, 4, 4)).shape
    torch.Size([2, 3, 28, 28])
    """
    channels, *size = map_shape
    layers = []
    for _ in range(
        math.ceil(math.log2(max(shape[1] / size[0], shape[2] / size[1], 1)))
    ):
        narrower = max(channels // 2, MIN_WIDTH)
        layers += [nn.Upsample(scale_factor=2), conv3x3(channels, narrower)]
        layers += [nn.BatchNorm2d(narrower), nn.ReLU(inplace=True)]
        channels = narrower
    # Normalised like the images: sums over many channels would start far too large.
    out = conv3x3(channels, shape[0]), nn.BatchNorm2d(shape[0])
    return nn.Sequential(*layers, nn.Upsample(size=tuple(shape[1:])), *out)


def vector_decoder(n_features, n_outputs):
    """Return a network of one hidden layer from features to vectors."""
    return nn.Sequential(
        nn.Linear(n_features, n_features, bias=False),
        nn.BatchNorm1d(n_features),
        nn.ReLU(inplace=True),
        nn.Linear(n_features, n_outputs),
    )


def restoration_error(restored, inputs):
    """Return the mean squared error of restored samples.

    Parameters
    ----------
    restored, inputs : tensors of shape (n, ...)
        A decoder's output for augmented views, and the normalised samples.

    Returns
    -------
    error : tensor of shape ()
        In units of each channel's or feature's variance: about 1 for a decoder that
        has learned nothing.
    """
    with full_precision(restored):
        error = F.mse_loss(restored.float(), inputs.float())
        return of_part(error, len(inputs))
