"""What MOIT adds to a network: a projection, and a memory of projected samples."""

import torch
from torch import nn
from torch.nn import functional as F

from sknoisy.encoders.architecture import Ensemble, features_and_logits
from sknoisy.encoders.initialization import build

PROJECTED = 128
NOTHING = -1  # label of places of the memory that are still empty


class InterpolatedEnsemble(Ensemble):
    """A network, a linear projection of its features, and a memory of projections.

    Parameters
    ----------
    networks : torch.nn.ModuleList
        A single network, or its head alone.
    n_features : int
        Number of the features.
    size : int
        How many projections the memory holds.
    generator : torch.Generator
        Source of the projection's initial weights.

    Attributes
    ----------
    memory : tensor of shape (size, 128)
        The last projections, of which old ones are overwritten.
    memory_labels : tensor of shape (size,), int64
        Codes of their labels; -1 where nothing is kept yet.
    """

    def __init__(self, networks, n_features, size, generator):
        super().__init__(networks)
        like = next(self.networks.parameters())
        widths = n_features, PROJECTED
        self.projection = build(nn.Linear, *widths, generator=generator)
        self.projection.to(like.device)
        memory = torch.zeros(size, PROJECTED, dtype=torch.float32, device=like.device)
        labels = torch.full((size,), NOTHING, device=like.device)
        self.register_buffer("memory", memory)
        self.register_buffer("memory_labels", labels)
        self.register_buffer("next_place", torch.zeros_like(labels[:1]))

    def both(self, batch):
        """Return logits and projections of unit length, side by side, in float32.

        Parameters
        ----------
        batch : tensor of shape (n, ...)
            Samples, or features where the network is a head alone.

        Returns
        -------
        both : tensor of shape (n, n_classes + 128)
            Logits, then projections.
        """
        features, logits = features_and_logits(self.networks[0], batch)
        projections = F.normalize(self.projection(features).float(), dim=1)
        return torch.cat([logits.float(), projections], dim=1)

    @torch.no_grad()
    def keep(self, projections, labels):
        """Put samples into the memory, over the oldest ones.

        Parameters
        ----------
        projections : tensor of shape (n, 128)
            At most as many as there are places.
        labels : tensor of shape (n,), int64
            Codes of their labels.

        Returns
        -------
        places : tensor of shape (n,), int64
            Where they are now.
        """
        size = len(self.memory)
        places = (
            self.next_place + torch.arange(len(labels), device=labels.device)
        ) % size
        self.memory[places] = projections.float()
        self.memory_labels[places] = labels
        self.next_place.copy_((self.next_place + len(labels)) % size)
        return places


class Projecting(nn.Module):
    """The projections that an ensemble makes of samples.

    Parameters
    ----------
    ensemble : InterpolatedEnsemble
        With one network.
    """

    def __init__(self, ensemble):
        super().__init__()
        self.ensemble = ensemble

    def forward(self, batch):  # noqa: D102
        return self.ensemble.both(batch)[:, -PROJECTED:]
