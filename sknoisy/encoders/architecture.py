"""Networks of classifiers: an encoder with a head, or several of these."""

from collections import OrderedDict
from dataclasses import dataclass

import torch
from torch import nn

from sknoisy.encoders.blueprint import Blueprint
from sknoisy.encoders.heads import METHOD_HEADS
from sknoisy.encoders.initialization import build


@dataclass(frozen=True)
class Architecture:
    """Everything that is needed to build a classifier's network again.

    Attributes
    ----------
    blueprint : Blueprint
        Blueprint of the encoder.
    head : str
        A key of ``METHOD_HEADS``.
    n_classes : int
        Number of classes, which is the number of the head's outputs.
    pretrained : bool
        Whether the encoder was pre-trained.
    n_networks : int or None
        Number of networks of an :class:`Ensemble`; None for a single network.
    heads : tuple of str or None
        Head of each network of an Ensemble, where they differ.
    predicting : tuple of int or None
        Networks of an Ensemble that make the prediction, if not all do.
    """

    blueprint: Blueprint
    head: str
    n_classes: int
    pretrained: bool
    n_networks: int = None
    heads: tuple = None
    predicting: tuple = None

    def build(self, generator=None, load_weights=False):
        """Return a new network, with submodules ``encoder`` and ``head``."""
        if self.n_networks is None:
            return self._build_one(self.head, generator, load_weights)
        heads = self.heads or (self.head,) * self.n_networks
        networks = (self._build_one(head, generator, load_weights) for head in heads)
        return Ensemble(networks, self.predicting)

    def _build_one(self, head, generator, load_weights):
        encoder = self.blueprint.build(generator, load_weights)
        widths = encoder.n_features, self.n_classes
        head = build(METHOD_HEADS[head], *widths, generator=generator)
        return nn.Sequential(OrderedDict(encoder=encoder, head=head))


class Ensemble(nn.Module):
    """Networks of one architecture that are trained together.

    Parameters
    ----------
    networks : iterable of torch.nn.Module
        Networks with submodules ``encoder`` and ``head``, or heads alone.
    predicting : tuple of int, default=None
        Networks whose mean probability is the prediction; by default all.
    """

    def __init__(self, networks, predicting=None):
        super().__init__()
        self.networks = nn.ModuleList(networks)
        self.predicting = predicting

    def of_prediction(self, logits):
        """Return those of the networks' logits (n, n_networks, ...) that predict."""
        return logits if self.predicting is None else logits[:, list(self.predicting)]

    def __len__(self):
        return len(self.networks)

    @property
    def encoder(self):
        """The first network's encoder; frozen encoders are all the same."""
        return self.networks[0].encoder

    @property
    def head(self):
        """An ensemble of the heads alone."""
        heads = (network.head for network in self.networks)
        return Ensemble(heads, self.predicting)

    def forward(self, batch):
        """Return the logits of all networks, (n, n_networks, n_classes)."""
        return torch.stack([network(batch) for network in self.networks], dim=1)


def features_and_logits(network, batch):
    """Return what the head gets of a batch, and what it makes of it.

    Parameters
    ----------
    network : torch.nn.Module
        An encoder with a head, or a head alone, whose features are the batch.
    batch : tensor of shape (n, ...), float32
        Samples.
    """
    encoder = getattr(network, "encoder", None)
    features = batch if encoder is None else encoder(batch)
    return features, (network if encoder is None else network.head)(features)


def trains_encoder(network):
    """Whether a network has an encoder with parameters, and is not a head alone."""
    encoder = getattr(network, "encoder", None)
    return encoder is not None and any(True for _ in encoder.parameters())
