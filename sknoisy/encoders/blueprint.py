"""What it takes to build an encoder again, and weights as NumPy arrays."""

import numpy as np
import torch
from torch import nn

from sknoisy.encoders.initialization import seeded
from sknoisy.encoders.named import build_encoder, published_model
from sknoisy.encoders.networks import Normalize


class Blueprint:
    """What it takes to build a network again: an encoder, its input and a head.

    Parameters
    ----------
    encoder : str or callable
        As returned by :func:`check_encoder`.
    spec : InputSpec
        What the samples are.
    weights : str, default=None
        See :func:`build_encoder`.
    """

    def __init__(self, encoder, spec, weights=None):
        self.encoder = encoder
        self.spec = spec
        self.weights = weights

    def build(self, generator=None, load_weights=False):
        """Return ``nn.Sequential(Normalize, encoder)``, newly initialised.

        Its weights lie in channels_last, which is fastest and, as it decides how
        convolutions round, must be the same in training and prediction. Without
        `load_weights`, published weights are not loaded: others will be.
        """
        shape = self.spec.shape
        if self.weights is not None and not load_weights:
            with seeded(generator):
                encoder = published_model(self.encoder, shape)
        else:
            encoder = build_encoder(self.encoder, shape, self.weights, generator)
        module = nn.Sequential(Normalize(self.spec), encoder)
        module.n_features, module.spec = encoder.n_features, self.spec
        return module.to(memory_format=torch.channels_last)

    def __str__(self):
        name = self.encoder
        return name if isinstance(name, str) else getattr(name, "__name__", repr(name))


def numpy_state(module):
    """Return a module's parameters and buffers as NumPy arrays."""
    return {
        name: tensor.detach().cpu().numpy().copy()
        for name, tensor in module.state_dict().items()
    }


def load_numpy_state(module, state):
    """Load what :func:`numpy_state` returned."""
    module.load_state_dict({k: torch.from_numpy(np.array(v)) for k, v in state.items()})
