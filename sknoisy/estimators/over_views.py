"""Predictions that are averaged over random views of each sample."""

import torch
from torch import nn

from sknoisy.data.devices import generator
from sknoisy.views.base import NoViews, random_view


class OverViews(nn.Module):
    """A network whose prediction is the mean over a sample and random views of it.

    Parameters
    ----------
    network : torch.nn.Module
        Returns logits (n, n_classes), or (n, n_networks, n_classes).
    views : Views
        Random views of the samples.
    n_views : int
        How many of each sample, besides the sample itself.
    device : torch.device
        Device of the network.
    """

    def __init__(self, network, views, n_views, device):
        super().__init__()
        self.network = network
        self.views = views
        self.n_views = n_views
        self.generator = generator(0, device)

    def forward(self, batch):
        """Return the logarithms of the mean probabilities, up to a constant."""
        views = (
            random_view(self.views, batch, self.generator) for _ in range(self.n_views)
        )
        logits = [self.network(view).float() for view in (batch, *views)]
        of_prediction = getattr(self.network, "of_prediction", lambda logits: logits)
        log_p = torch.stack([of_prediction(x).log_softmax(dim=-1) for x in logits])
        dims = (0, 2) if log_p.ndim == 4 else 0
        return log_p.logsumexp(dim=dims)


def over_views(network, views, n_views, device):
    """Return a network that predicts by views, or as it is where there are none."""
    if not n_views or isinstance(views, NoViews):
        return network
    return OverViews(network, views, n_views, device)
