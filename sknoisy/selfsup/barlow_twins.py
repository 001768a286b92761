"""Barlow Twins: two views have the same features, which are not redundant."""

from sklearn.base import clone

from sknoisy.checks import check_integer, check_real
from sknoisy.data.devices import full_precision
from sknoisy.ranks import gathered
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
    """Return the cross-correlation of the projections of two views.

    Parameters
    ----------
    first, second : tensors of shape (n, d)
        Projections of two views of the same samples.

    Returns
    -------
    correlation : tensor of shape (d, d)
        Correlation, over the batch, of each feature of the first view (row) with each
        feature of the second view (column).
    """
    with full_precision(first):
        first, second = (
            (z - z.mean(dim=0)) * (z.var(dim=0, correction=0) + EPS).rsqrt()
            for z in (first.float(), second.float())
        )
        return first.mT @ second / len(first)


def redundancy_reduction(correlation, lambd):
    """Return the squared distance of a cross-correlation from the identity.

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
    """Barlow Twins: redundancy reduction between two views.

    Parameters
    ----------
    lambd : float, default=0.0051
        Weight of the redundancy term.
    scale : float, default=0.1
        Factor of the loss, which is a sum over all pairs of features. solo-learn takes
        0.1 for CIFAR, with a learning rate of 0.3.
    hidden_features : int, default=2048
        Width of the hidden layers of the projection head.
    projection_features : int, default=2048
        Width of the output of the projection head. The paper takes 8192 for ImageNet.
    n_hidden : int, default=2
        Number of hidden layers of the projection head.
    views : "auto", "none" or Views, default="auto"
        Augmentation; see :func:`sknoisy.views.resolve_views`. For images of more than
        64 pixels, "auto" always blurs the first view and blurs the second view with
        probability 0.1, as in the paper. The paper also solarises the second view with
        probability 0.2.

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
            return views.set_params(blur=1.0), clone(views).set_params(blur=0.1)
        return views, views

    def build(self, encoder):  # noqa: D102
        widths = self.hidden_features, self.projection_features
        return {"projector": projector(encoder.n_features, *widths, self.n_hidden)}

    def loss(self, networks, first, second):  # noqa: D102
        # One pass for each view, so that each has its own batch statistics.
        first, second = (
            gathered(networks["projector"](networks["encoder"](view)))
            for view in (first, second)
        )
        correlation = cross_correlation(first, second)
        return self.scale * redundancy_reduction(correlation, self.lambd)
