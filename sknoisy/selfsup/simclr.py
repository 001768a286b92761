"""SimCLR: two views of a sample attract each other and repel all other views."""

import torch
from torch.nn import functional as F

from sknoisy.checks import check_real
from sknoisy.data.devices import full_precision
from sknoisy.ranks import gathered
from sknoisy.selfsup.base import (
    SelfSupervised,
    check_widths,
    projector,
)


def nt_xent(first, second, temperature):
    """Return the normalised temperature-scaled cross-entropy (NT-Xent) of a batch.

    Parameters
    ----------
    first, second : tensors of shape (n, d)
        Projections of two views of the same samples.
    temperature : float
        Divisor of the cosine similarities.

    Returns
    -------
    loss : tensor of shape ()
        Mean over the 2n views of the cross-entropy of the other view of the sample
        among the 2n - 1 other views.
    """
    with full_precision(first):
        z = F.normalize(torch.cat([first, second]).float(), dim=1)
        similarity = (z @ z.mT / temperature).fill_diagonal_(-torch.inf)
        n = len(first)
        partner = torch.arange(2 * n, device=z.device).roll(n)
        return F.cross_entropy(similarity, partner)


class SimCLR(SelfSupervised):
    """SimCLR: contrastive learning of representations.

    Parameters
    ----------
    temperature : float, default=0.2
        Divisor of the cosine similarities. solo-learn takes 0.2 for CIFAR, which was
        better in our short trainings; the authors take 0.5.
    hidden_features : int, default=512
        Width of the hidden layer of the projection head.
    projection_features : int, default=128
        Width of the output of the projection head.
    views : "auto", "none" or Views, default="auto"
        Augmentation; see :func:`sknoisy.views.resolve_views`.

    Notes
    -----
    The hidden layer of the projection head has batch normalisation, the output has not.
    Its widths suit small networks; solo-learn's are 2048 and 256 for CIFAR.

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
        return nt_xent(*map(gathered, projections.chunk(2)), self.temperature)
