"""Blueprints, from which encoders are built again, and weights as NumPy arrays."""

import os
from copy import copy

import numpy as np
import torch
from torch import nn

from sknoisy.encoders.modules import Template
from sknoisy.encoders.named import build_encoder
from sknoisy.encoders.networks import FixedStatistics, Normalize, Resize
from sknoisy.encoders.weights import load_tensors


class Blueprint:
    """Everything that is needed to build an encoder again, with its input layers.

    Parameters
    ----------
    encoder : str, callable or Template
        As returned by :func:`~sknoisy.encoders.named.check_encoder`, or the template
        of a user's module.
    spec : InputSpec
        Description of the samples. Its moments are those of the first layer. If they
        have three channels, grey images are turned into RGB images.
    weights : str or path, default=None
        See :func:`~sknoisy.encoders.named.build_encoder`.
    image_size : (int, int), default=None
        Height and width to which the network resizes images; None: it does not.
    published : bool, default=False
        Whether ResNets keep their published stem for small images, too. They always
        do with `weights`.
    fixed_statistics : bool, default=False
        Whether batch normalisation keeps its statistics in training. It always does
        with `weights`.
    """

    def __init__(
        self,
        encoder,
        spec,
        weights=None,
        image_size=None,
        published=False,
        fixed_statistics=False,
    ):
        self.encoder = encoder
        self.spec = spec
        self.weights = os.fspath(weights) if weights is not None else None
        self.image_size = image_size
        self.published = published or weights is not None
        self.fixed_statistics = fixed_statistics or weights is not None

    @property
    def shape(self):
        """Shape of a sample at the encoder's input: (d,), or (C, H, W)."""
        if self.spec.kind == "vector":
            return self.spec.shape
        return len(self.spec.mean), *(self.image_size or self.spec.shape[1:])

    def build(self, generator=None, load_weights=False):
        """Return ``nn.Sequential(Normalize, encoder)``, or with a Resize in between.

        Its weights are in the memory format channels_last. It is the fastest, and must
        be the same in training and prediction, because rounding depends on it.

        Parameters
        ----------
        generator : torch.Generator, default=None
            Source of the initial weights.
        load_weights : bool, default=False
            Whether to load `weights`. False if other weights will be loaded, which
            then needs neither a download nor the file.

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
        # Features that are the samples keep their sizes relative to each other.
        overall = isinstance(self.encoder, str) and self.encoder == "identity"
        resize = [] if self.image_size is None else [Resize(self.image_size)]
        layers = Normalize(self.spec, overall), *resize, encoder
        sequential = FixedStatistics if self.fixed_statistics else nn.Sequential
        module = sequential(*layers)
        module.n_features, module.spec = encoder.n_features, self.spec
        return module.to(memory_format=torch.channels_last)

    def with_training_statistics(self):
        """Return a blueprint whose batch normalisation learns statistics again."""
        other = copy(self)
        other.fixed_statistics = False
        return other

    def without_weights(self):
        """Return a blueprint of the same architecture that never loads `weights`."""
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
