"""The features of a batch, with the maps that they are averaged from."""

from typing import NamedTuple

import torch
from torch import nn

from sknoisy.encoders.modes import evaluating


class Encoded(NamedTuple):
    """A batch at three places of an encoder.

    Attributes
    ----------
    inputs : tensor of shape (n, d) or (n, C, H, W)
        Normalised samples.
    maps : tensor of shape (n, n_features, h, w) or None
        Maps that the encoder averages; None if it does not.
    features : tensor of shape (n, n_features)
        Output of the encoder.
    """

    inputs: torch.Tensor
    maps: torch.Tensor
    features: torch.Tensor

    @property
    def code(self):
        """Input of a decoder: maps of images, features of vectors."""
        if self.inputs.ndim == 2:
            return self.features
        return self.features[:, :, None, None] if self.maps is None else self.maps


def encode(encoder, batch):
    """Return the features of a batch, with the maps that they are averaged from.

    Parameters
    ----------
    encoder : torch.nn.Module
        Its first layer is a Normalize.
    batch : tensor of shape (n, ...), float32
        Samples.

    Returns
    -------
    encoded : Encoded
        Its maps are the input of the encoder's last ``AdaptiveAvgPool2d``, if any.
    """
    maps = []
    pools = [m for m in encoder.modules() if isinstance(m, nn.AdaptiveAvgPool2d)]
    hooks = [
        pool.register_forward_pre_hook(lambda _, inputs: maps.append(*inputs))
        for pool in pools[-1:]
    ]
    try:
        features = encoder(batch)
    finally:
        for hook in hooks:
            hook.remove()
    return Encoded(encoder[0](batch), maps[-1] if maps else None, features)


@torch.no_grad()
def encode_example(encoder, shape):
    """Return two encoded samples of zeros, whose shapes are those of any batch.

    The encoder is left as it was, running means of batches included.
    """
    # On its device, whatever device modules are being built on.
    with evaluating(encoder), encoder[0].mean.device:
        return encode(encoder, torch.zeros(2, *shape, dtype=torch.float32))
