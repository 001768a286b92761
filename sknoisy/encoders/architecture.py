"""Networks of classifiers: an encoder with a head, or several of these."""

from collections import OrderedDict
from dataclasses import dataclass

import torch
from torch import nn

from sknoisy.encoders.blueprint import Blueprint
from sknoisy.encoders.initialization import build


@dataclass(frozen=True)
class Architecture:
    """Everything that is needed to build a classifier's network again.

    Attributes
    ----------
    blueprint : Blueprint
        Blueprint of the encoder.
    head : str
        Kind of the head, a key of ``HEADS``.
    n_classes : int
        Number of classes, which is the number of the head's outputs.
    pretrained : bool
        Whether the encoder was pre-trained.
    n_networks : int or None
        Number of networks of an :class:`Ensemble`; None for a single network.
    """

    blueprint: Blueprint
    head: str
    n_classes: int
    pretrained: bool
    n_networks: int = None

    def build(self, generator=None, load_weights=False):
        """Return a new network, with submodules ``encoder`` and ``head``."""
        if self.n_networks is None:
            return self._build_one(generator, load_weights)
        each = range(self.n_networks)
        return Ensemble(self._build_one(generator, load_weights) for _ in each)

    def _build_one(self, generator, load_weights):
        encoder = self.blueprint.build(generator, load_weights)
        widths = encoder.n_features, self.n_classes
        head = build(HEADS[self.head], *widths, generator=generator)
        return nn.Sequential(OrderedDict(encoder=encoder, head=head))


class Ensemble(nn.Module):
    """Networks of one architecture that are trained together.

    Parameters
    ----------
    networks : iterable of torch.nn.Module
        Networks with submodules ``encoder`` and ``head``, or heads alone.
    """

    def __init__(self, networks):
        super().__init__()
        self.networks = nn.ModuleList(networks)

    def __len__(self):
        return len(self.networks)

    @property
    def encoder(self):
        """The first network's encoder; frozen encoders are all the same."""
        return self.networks[0].encoder

    @property
    def head(self):
        """An ensemble of the heads alone."""
        return Ensemble(network.head for network in self.networks)

    def forward(self, batch):
        """Return the logits of all networks, (n, n_networks, n_classes)."""
        return torch.stack([network(batch) for network in self.networks], dim=1)


def _mlp_head(n_features, n_classes):
    return nn.Sequential(
        nn.Linear(n_features, n_features, bias=False),
        nn.BatchNorm1d(n_features),
        nn.ReLU(inplace=True),
        nn.Linear(n_features, n_classes),
    )


HEADS = {"linear": nn.Linear, "mlp": _mlp_head}
