"""What an encoder makes of samples, also on the way."""

from typing import NamedTuple

import torch
from torch import nn


class Encoded(NamedTuple):
    """A batch on its way through an encoder.

    Attributes
    ----------
    inputs : tensor of shape (n, d) or (n, C, H, W)
        Samples, brought to mean 0 and deviation 1 by the training data's moments.
    maps : tensor of shape (n, n_features, h, w) or None
        What the encoder averages into its features, if it does.
    features : tensor of shape (n, n_features)
        What it returns.
    """

    inputs: torch.Tensor
    maps: torch.Tensor
    features: torch.Tensor

    @property
    def code(self):
        """What can be decoded: maps of images, features of vectors."""
        if self.inputs.ndim == 2:
            return self.features
        return self.features[:, :, None, None] if self.maps is None else self.maps


def encode(encoder, batch):
    """Return what an encoder makes of a batch, also on the way.

    Parameters
    ----------
    encoder : torch.nn.Module
        Its first layer is a Normalize.
    batch : tensor of shape (n, ...), float32
        Samples.

    Returns
    -------
    encoded : Encoded
        With the input of the encoder's last average, if it has one, as maps.
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
    """Return what an encoder makes of two samples of a shape, for the shapes.

    Changes nothing of the encoder, also where it learns moments of batches.
    """
    training, device = encoder.training, encoder[0].mean.device
    encoder.eval()
    with device:  # whatever device modules are being built on
        example = encode(encoder, torch.zeros(2, *shape))
    encoder.train(training)
    return example
