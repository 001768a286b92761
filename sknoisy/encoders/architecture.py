"""A classifier's networks: an encoder and a head, one of them or several."""

from collections import OrderedDict
from dataclasses import dataclass

import torch
from torch import nn

from sknoisy.encoders.blueprint import Blueprint
from sknoisy.encoders.initialization import build


@dataclass(frozen=True)
class Architecture:
    """What it takes to build a classifier's network again.

    Attributes
    ----------
    blueprint : Blueprint
        Of the encoder.
    head : str
        A key of ``HEADS``.
    n_classes : int
        Outputs of the head.
    pretrained : bool
        Whether the encoder was trained before.
    n_networks : int or None
        How many networks an Ensemble of them has; None: a single one, by itself.
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
        Each with submodules ``encoder`` and ``head``; or their heads.
    """

    def __init__(self, networks):
        super().__init__()
        self.networks = nn.ModuleList(networks)

    def __len__(self):
        return len(self.networks)

    @property
    def encoder(self):
        """The first network's: the same as the others', as long as all are frozen."""
        return self.networks[0].encoder

    @property
    def head(self):
        """The heads, as an ensemble of their own."""
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
