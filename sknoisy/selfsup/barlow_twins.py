"""Barlow Twins: features of two views agree, and no two features say the same."""

from sklearn.base import clone

from sknoisy.data.devices import full_precision
from sknoisy.parameters import check_integer, check_real
from sknoisy.selfsup.base import (
    SelfSupervised,
    check_widths,
    off_diagonal,
    projector,
)
from sknoisy.views.automatic import resolve_views
from sknoisy.views.images import ImageViews

EPS = 1e-5  # added to variances


def cross_correlation(first, second):
    """Return the (d, d) correlation of two views' projections over a batch.

    Parameters
    ----------
    first, second : tensors of shape (n, d)
        Projections of two views of the same samples.
    """
    with full_precision(first):
        first, second = (
            (z - z.mean(dim=0)) * (z.var(dim=0, correction=0) + EPS).rsqrt()
            for z in (first.float(), second.float())
        )
        return first.mT @ second / len(first)


def redundancy_reduction(correlation, lambd):
    """Return how far a cross-correlation is from the identity.

    Parameters
    ----------
    correlation : tensor of shape (d, d)
        Cross-correlation of two views.
    lambd : float
        Weight of the elements off the diagonal.
    """
    invariance = (1 - correlation.diagonal()).square().sum()
    return invariance + lambd * off_diagonal(correlation).square().sum()


class BarlowTwins(SelfSupervised):
    """Redundancy reduction between two views.

    Parameters
    ----------
    lambd : float, default=0.0051
        Weight of the redundancy term.
    scale : float, default=0.1
        Multiplies the loss, which sums over the square of the projection's width;
        0.1 is solo-learn's for CIFAR at learning rate 0.3.
    hidden_features : int, default=2048
        Width of the projection head's hidden layers.
    projection_features : int, default=2048
        Width of its output. The paper takes 8192 for ImageNet.
    n_hidden : int, default=2
        Number of hidden layers.
    views : "auto", "none" or Views, default="auto"
        Random views; see :func:`sknoisy.views.resolve_views`. For images
        that "auto" blurs (over 64 pixels), the first view is always blurred and the
        second with probability 0.1, as in the paper, which also solarises the second
        with probability 0.2.

    References
    ----------
    Zbontar et al., Barlow Twins: Self-Supervised Learning via Redundancy Reduction,
    ICML 2021.

    Examples
    --------
    >>> import torch
    >>> from sknoisy.selfsup.barlow_twins import redundancy_reduction
    >>> redundancy_reduction(torch.eye(3), lambd=0.0051)
    tensor(0.)
    """

    def __init__(
        self,
        lambd=0.0051,
        scale=0.1,
        hidden_features=2048,
        projection_features=2048,
        n_hidden=2,
        views="auto",
    ):
        self.lambd = lambd
        self.scale = scale
        self.hidden_features = hidden_features
        self.projection_features = projection_features
        self.n_hidden = n_hidden
        self.views = views

    def check(self):  # noqa: D102
        check_real("lambd", self.lambd, "(0, inf)")
        check_real("scale", self.scale, "(0, inf)")
        check_widths(self, "hidden_features", "projection_features")
        check_integer("n_hidden", self.n_hidden, low=0)

    def make_views(self, spec):  # noqa: D102
        views = resolve_views(self.views, spec, "strong")
        if self.views == "auto" and isinstance(views, ImageViews) and views.blur:
            return clone(views).set_params(blur=1.0), clone(views).set_params(blur=0.1)
        return views, views

    def build(self, encoder):  # noqa: D102
        widths = self.hidden_features, self.projection_features
        return {"projector": projector(encoder.n_features, *widths, self.n_hidden)}

    def loss(self, networks, first, second):  # noqa: D102
        # One pass a view: each has batch statistics of its own.
        first, second = (
            networks["projector"](networks["encoder"](view)) for view in (first, second)
        )
        correlation = cross_correlation(first, second)
        return self.scale * redundancy_reduction(correlation, self.lambd)
