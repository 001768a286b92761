"""What it takes to build an encoder again, and weights as NumPy arrays."""

import os
from copy import copy

import numpy as np
import torch
from torch import nn

from sknoisy.encoders.modules import Template
from sknoisy.encoders.named import build_encoder
from sknoisy.encoders.networks import Normalize, Resize
from sknoisy.encoders.weights import load_tensors


class Blueprint:
    """What it takes to build an encoder again, with the layers before it.

    Parameters
    ----------
    encoder : str, callable or Template
        What :func:`~sknoisy.encoders.named.check_encoder` returned, or the template of
        a module of the user's.
    spec : InputSpec
        What the samples are. Its moments are those of the first layer; where they are
        of three channels, grey images become RGB.
    weights : str or path, default=None
        See :func:`~sknoisy.encoders.named.build_encoder`.
    image_size : (int, int), default=None
        Height and width that the network brings images to; None: it takes them as
        they are.
    published : bool, default=False
        Whether ResNets are as they were published; always so with `weights`.
    """

    def __init__(self, encoder, spec, weights=None, image_size=None, published=False):
        self.encoder = encoder
        self.spec = spec
        self.weights = os.fspath(weights) if weights is not None else None
        self.image_size = image_size
        self.published = published or weights is not None

    @property
    def shape(self):
        """Shape of a sample as the encoder gets it: (d,), or (C, H, W)."""
        if self.spec.kind == "vector":
            return self.spec.shape
        return len(self.spec.mean), *(self.image_size or self.spec.shape[1:])

    def build(self, generator=None, load_weights=False):
        """Return ``nn.Sequential(Normalize, encoder)``, with a Resize if it takes one.

        Its weights lie in channels_last, which is fastest and, as it decides how
        convolutions round, must be the same in training and prediction.

        Parameters
        ----------
        generator : torch.Generator, default=None
            Source of the initial weights.
        load_weights : bool, default=False
            Whether to load the published weights, or those of the file. False where
            others will be loaded: neither a network nor the file is needed.

        Returns
        -------
        module : torch.nn.Sequential
            With attributes ``n_features`` and ``spec``.
        """
        if isinstance(self.encoder, Template):
            encoder = self.encoder.build()
        else:
            weights = self.weights if load_weights else None
            encoder = build_encoder(
                self.encoder, self.shape, weights, generator, self.published
            )
        resize = [] if self.image_size is None else [Resize(self.image_size)]
        module = nn.Sequential(Normalize(self.spec), *resize, encoder)
        module.n_features, module.spec = encoder.n_features, self.spec
        return module.to(memory_format=torch.channels_last)

    def without_weights(self):
        """Return the same architecture, to which other weights will be loaded."""
        other = copy(self)
        other.weights = None
        return other

    def __str__(self):
        name = self.encoder
        if isinstance(name, (str, Template)):
            return str(name)
        return getattr(name, "__name__", repr(name))


def numpy_state(module):
    """Return a module's parameters and buffers as NumPy arrays."""
    return {
        name: tensor.detach().cpu().numpy().copy()
        for name, tensor in module.state_dict().items()
    }


def load_numpy_state(module, state):
    """Load what :func:`numpy_state` returned."""
    load_tensors(module, {k: torch.from_numpy(np.array(v)) for k, v in state.items()})
