"""Augmentation restoration: features must tell the sample that was augmented."""

import math

from torch import nn
from torch.nn import functional as F

from sknoisy.devices import full_precision
from sknoisy.networks import conv3x3
from sknoisy.parameters import check_real
from sknoisy.regularizers.base import Regularizer

MIN_WIDTH = 16  # channels of the decoder's last layers


def image_decoder(map_shape, shape):
    """Return a network from an encoder's maps to images.

    Parameters
    ----------
    map_shape, shape : (int, int, int)
        Channels, height and width of its input and output.
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
    # Normalised as the images are: a few channels from many would start far too large.
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


class RestorationRegularizer(Regularizer):
    """A decoder restores samples from what the encoder makes of augmented views.

    Parameters
    ----------
    weight : float, default=1.0
        Weight of the mean squared error, in units of each channel's or feature's
        deviation: a decoder that knows nothing has an error of 1.
    views : "auto", "none" or Views, default="auto"
        Augmentation; see :func:`sknoisy.augment.resolve_views`.

    Notes
    -----
    The paper describes neither the decoder nor the weight. Here, images are decoded
    from the maps that the encoder averages, or from its features if there are none, by
    layers that double the size and halve the channels; vectors by one hidden layer. The
    squared error is a mean, not a sum. Views are SimCLR's, not RandAugment.

    References
    ----------
    Robust Feature Learning Against Noisy Labels, equations 3 and 4.

    Examples
    --------
    >>> import torch
    >>> from sknoisy.regularizers.restoration import image_decoder
    >>> image_decoder((192, 4, 4), (3, 28, 28))(torch.zeros(2, 192, 4, 4)).shape
    torch.Size([2, 3, 28, 28])
    """

    def __init__(self, weight=1.0, views="auto"):
        self.weight = weight
        self.views = views

    def check(self):  # noqa: D102
        check_real("weight", self.weight, "[0, inf)")

    def build(self, example, n_classes):  # noqa: D102
        shape = example.inputs.shape[1:]
        code = self._code(example)
        if len(shape) == 1:
            return {"decoder": vector_decoder(code.shape[1], shape[0])}
        return {"decoder": image_decoder(code.shape[1:], shape)}

    def loss(self, heads, original, augmented):  # noqa: D102
        restored = heads["decoder"](self._code(augmented)).float()
        with full_precision(restored):
            return self.weight * F.mse_loss(restored, original.inputs.float())

    def _code(self, encoded):
        """Return what is decoded: maps of images, features of vectors."""
        if encoded.inputs.ndim == 2:
            return encoded.features
        return (
            encoded.features[:, :, None, None] if encoded.maps is None else encoded.maps
        )
