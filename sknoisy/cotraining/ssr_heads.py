"""The heads of SSR+, which predict one view's features from another's."""

import torch
from torch import nn
from torch.nn import functional as F

from sknoisy.encoders.architecture import Ensemble
from sknoisy.encoders.initialization import build

HIDDEN, PROJECTED = 256, 128  # units of the heads


class ConsistentEnsemble(Ensemble):
    """A network, and the heads that predict one view's features from another's.

    Parameters
    ----------
    networks : torch.nn.ModuleList
        A single network.
    weight : float
        Weight of the consistency in the loss.
    generator : torch.Generator
        Source of the heads' initial weights.
    """

    def __init__(self, networks, weight, generator):
        super().__init__(networks)
        self.weight = weight
        width = self.networks[0].encoder.n_features
        device = next(self.networks.parameters()).device
        self.projector = build(_two_layers, width, generator=generator).to(device)
        self.predictor = build(_two_layers, PROJECTED, generator=generator).to(device)

    def consistency(self, first, second):
        """Return minus the cosine of a view's features and what is predicted of them.

        Parameters
        ----------
        first, second : tensors of shape (n, ...)
            A weak and a strong view of a batch; the first one's features get no
            gradient.
        """
        encoder = self.networks[0].encoder
        with torch.no_grad():
            target = self.projector(encoder(first)).float()
        predicted = self.predictor(self.projector(encoder(second))).float()
        return -F.cosine_similarity(predicted, target, dim=1).mean()


def _two_layers(width):
    """Return a head of one hidden layer."""
    return nn.Sequential(
        nn.Linear(width, HIDDEN, bias=False),  # what is normalised needs no bias
        nn.BatchNorm1d(HIDDEN),
        nn.ReLU(inplace=True),
        nn.Linear(HIDDEN, PROJECTED),
    )
