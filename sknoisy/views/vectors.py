"""Random views of vectors, such as rows of a table and embeddings."""

import torch

from sknoisy.checks import check_real
from sknoisy.views.base import Views
from sknoisy.views.imageops import (
    Draw,
)


class VectorViews(Views):
    """Feature corruption and Gaussian noise, for tables and embeddings.

    The value of a corrupted feature is taken from a random sample of the batch, which
    is a draw from the marginal distribution of the feature.

    Parameters
    ----------
    corruption : float, default=0.3
        Probability that a feature is corrupted, in [0, 1]. The paper takes 0.6 for one
        of the two views and does not change the other; here, both are corrupted.
    noise : float, default=0.1
        Standard deviation of the noise, relative to the standard deviation of each
        feature in the batch.

    References
    ----------
    Bahri et al., SCARF: Self-Supervised Contrastive Learning using Random Feature
    Corruption, ICLR 2022.

    Examples
    --------
    >>> import torch
    >>> from sknoisy.views.vectors import VectorViews
    >>> batch, generator = torch.eye(3), torch.Generator().manual_seed(0)
    >>> VectorViews(corruption=0.0, noise=0.0)(batch, generator).equal(batch)
    True
    """

    def __init__(self, corruption=0.3, noise=0.1):
        self.corruption = corruption
        self.noise = noise

    def check(self):  # noqa: D102
        check_real("corruption", self.corruption, "[0, 1]")
        check_real("noise", self.noise, "[0, inf)")

    def __call__(self, batch, generator):  # noqa: D102
        draw = Draw(batch, generator)
        if self.corruption:
            other = (draw.uniform(*batch.shape) * len(batch)).long()
            marginal = batch.gather(0, other)
            batch = torch.where(
                draw.uniform(*batch.shape) < self.corruption, marginal, batch
            )
        if self.noise:
            scale = self.noise * batch.std(dim=0, correction=0)
            batch = batch + scale * draw.normal(*batch.shape)
        return batch
