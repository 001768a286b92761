"""VICReg: two views agree, and a variance and a covariance term prevent collapse."""

from torch.nn import functional as F

from sknoisy.checks import check_integer, check_real
from sknoisy.data.devices import full_precision
from sknoisy.ranks import gathered
from sknoisy.selfsup.base import (
    SelfSupervised,
    check_widths,
    off_diagonal,
    projector,
)

EPS = 1e-4  # added to variances


def invariance(first, second):
    """Return the mean squared difference of two views' projections.

    Parameters
    ----------
    first, second : tensors of shape (n, d)
        Projections of two views of the same samples.
    """
    return F.mse_loss(first, second)


def variance(z):
    """Return the mean, over the features, of max(0, 1 - standard deviation).

    Parameters
    ----------
    z : tensor of shape (n, d)
        Projections.
    """
    std = (z.var(dim=0) + EPS).sqrt()
    return F.relu(1 - std).mean()


def covariance(z):
    """Return the sum of the squared covariances of different features, divided by d.

    Parameters
    ----------
    z : tensor of shape (n, d)
        Projections.
    """
    n, d = z.shape
    z = z - z.mean(dim=0)
    return off_diagonal(z.mT @ z / (n - 1)).square().sum() / d


class VICReg(SelfSupervised):
    """Variance-invariance-covariance regularisation.

    Parameters
    ----------
    invariance_weight, variance_weight : float, default=25.0
        Weights of the invariance and of the variance term.
    covariance_weight : float, default=1.0
        Weight of the covariance term.
    hidden_features : int, default=2048
        Width of the hidden layers of the projection head. The paper takes 8192 for
        ImageNet.
    projection_features : int, default=2048
        Width of the output of the projection head. The paper takes 8192 for ImageNet.
    n_hidden : int, default=2
        Number of hidden layers of the projection head.
    views : "auto", "none" or Views, default="auto"
        Augmentation; see :func:`sknoisy.views.resolve_views`.

    Notes
    -----
    The defaults are solo-learn's for CIFAR, which uses LARS with learning rate 0.3 and
    solarises some of the views. Here, the views are SimCLR's.

    The invariance term is a mean over the features, as in the official code; the paper
    takes a sum. The variance terms of the two views are added, as in the paper; the
    official code takes half of the sum.

    With SGD, the weights of 25 require a learning rate that is much smaller than for
    the other methods. LARS does not need this.

    References
    ----------
    Bardes, Ponce and LeCun, VICReg: Variance-Invariance-Covariance Regularization for
    Self-Supervised Learning, ICLR 2022.

    Examples
    --------
    The variance term is largest if features have a standard deviation of 0:

    >>> import torch
    >>> from sknoisy.selfsup.vicreg import variance
    >>> variance(torch.zeros(4, 3))
    tensor(0.9900)
    """

    def __init__(
        self,
        invariance_weight=25.0,
        variance_weight=25.0,
        covariance_weight=1.0,
        hidden_features=2048,
        projection_features=2048,
        n_hidden=2,
        views="auto",
    ):
        self.invariance_weight = invariance_weight
        self.variance_weight = variance_weight
        self.covariance_weight = covariance_weight
        self.hidden_features = hidden_features
        self.projection_features = projection_features
        self.n_hidden = n_hidden
        self.views = views

    def check(self):  # noqa: D102
        for name in ("invariance_weight", "variance_weight", "covariance_weight"):
            check_real(name, getattr(self, name), "[0, inf)")
        check_widths(self, "hidden_features", "projection_features")
        check_integer("n_hidden", self.n_hidden, low=0)

    def build(self, encoder):  # noqa: D102
        widths = self.hidden_features, self.projection_features
        return {"projector": projector(encoder.n_features, *widths, self.n_hidden)}

    def loss(self, networks, first, second):  # noqa: D102
        # One pass for each view, so that each has its own batch statistics.
        first, second = (
            gathered(networks["projector"](networks["encoder"](view)))
            for view in (first, second)
        )
        with full_precision(first):
            first, second = first.float(), second.float()
            return (
                self.invariance_weight * invariance(first, second)
                + self.variance_weight * (variance(first) + variance(second))
                + self.covariance_weight * (covariance(first) + covariance(second))
            )
