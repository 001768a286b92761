"""SimCLR: two views of a sample attract each other, all other samples repel."""

import torch
from torch.nn import functional as F

from sknoisy.data.devices import full_precision
from sknoisy.parameters import check_real
from sknoisy.selfsup.base import (
    SelfSupervised,
    check_widths,
    projector,
)


def nt_xent(first, second, temperature):
    """Return the normalised temperature-scaled cross-entropy of a batch.

    Parameters
    ----------
    first, second : tensors of shape (n, d)
        Projections of two views of the same samples.
    temperature : float
        What cosine similarities are divided by.

    Returns
    -------
    loss : tensor of shape ()
        Mean over the 2n views of -log of the softmax, among the 2n - 1 others, of the
        similarity to the view's partner.
    """
    with full_precision(first):
        z = F.normalize(torch.cat([first, second]).float(), dim=1)
        similarity = (z @ z.mT / temperature).fill_diagonal_(-torch.inf)
        n = len(first)
        partner = torch.arange(2 * n, device=z.device).roll(n)
        return F.cross_entropy(similarity, partner)


class SimCLR(SelfSupervised):
    """Contrastive learning of representations.

    Parameters
    ----------
    temperature : float, default=0.2
        Divides the cosine similarities. 0.2 is solo-learn's choice for CIFAR and was
        better here in short trainings; the authors take 0.5 for CIFAR.
    hidden_features : int, default=512
        Width of the projection head's hidden layer.
    projection_features : int, default=128
        Width of its output.
    views : "auto", "none" or Views, default="auto"
        Random views; see :func:`sknoisy.views.resolve_views`.

    Notes
    -----
    Hidden layers of the head are batch-normalised; its output is not.

    References
    ----------
    Chen et al., A Simple Framework for Contrastive Learning of Visual
    Representations, ICML 2020.

    Examples
    --------
    >>> from sknoisy.selfsup import SimCLR
    >>> SimCLR(temperature=0.5).get_params()["temperature"]
    0.5
    """

    def __init__(
        self,
        temperature=0.2,
        hidden_features=512,
        projection_features=128,
        views="auto",
    ):
        self.temperature = temperature
        self.hidden_features = hidden_features
        self.projection_features = projection_features
        self.views = views

    def check(self):  # noqa: D102
        check_real("temperature", self.temperature, "(0, inf)")
        check_widths(self, "hidden_features", "projection_features")

    def build(self, encoder):  # noqa: D102
        widths = self.hidden_features, self.projection_features
        return {"projector": projector(encoder.n_features, *widths)}

    def loss(self, networks, first, second):  # noqa: D102
        features = networks["encoder"](torch.cat([first, second]))
        projections = networks["projector"](features)
        return nt_xent(*projections.chunk(2), self.temperature)
