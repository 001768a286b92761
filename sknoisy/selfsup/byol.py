"""BYOL: one view predicts how a moving average of the network projects the other."""

import torch
from torch.nn import functional as F

from sknoisy.checks import check_real
from sknoisy.data.devices import full_precision
from sknoisy.encoders.ema import ema_copy, ema_update
from sknoisy.ranks import gathered
from sknoisy.selfsup.base import (
    SelfSupervised,
    check_widths,
    projector,
)
from sknoisy.selfsup.momentum import rising_momentum


def prediction_error(prediction, target):
    """Return the mean squared distance of normalised vectors, 2 - 2 cos.

    Parameters
    ----------
    prediction, target : tensors of shape (n, d)
        Predictions and the projections to predict. No gradient flows into `target`.
    """
    with full_precision(prediction):
        prediction, target = prediction.float(), target.detach().float()
        return 2 - 2 * F.cosine_similarity(prediction, target).mean()


class BYOL(SelfSupervised):
    """Bootstrap your own latent: self-supervised learning without negative samples.

    Parameters
    ----------
    base_momentum : float, default=0.99
        Momentum of the target network, a moving average of the trained network, at the
        beginning of the training. The paper takes 0.996 for ImageNet.
    final_momentum : float, default=1.0
        Momentum at the end of the training. In between, it rises along half a cosine.
    hidden_features : int, default=4096
        Width of the hidden layers of the projection head and of the predictor.
    projection_features : int, default=256
        Width of the outputs of the projection head and of the predictor.
    views : "auto", "none" or Views, default="auto"
        Augmentation; see :func:`sknoisy.views.resolve_views`.

    Notes
    -----
    The defaults are solo-learn's for CIFAR, which uses LARS with learning rate 1.0 and
    weight decay 1e-5. solo-learn also solarises one of the views, which is not done
    here: both views are SimCLR's.

    The target network uses batch statistics, as the trained network does, and has its
    own running statistics, as in the official code.

    After step k of K, counted from 1, the paper takes the momentum at (k - 1) / K of
    the training; this class takes the momentum at k / K.

    References
    ----------
    Grill et al., Bootstrap Your Own Latent: A New Approach to Self-Supervised Learning,
    NeurIPS 2020.

    Examples
    --------
    >>> import torch
    >>> from sknoisy.selfsup.byol import prediction_error
    >>> prediction_error(torch.tensor([[3.0, 0.0]]), torch.tensor([[0.0, 1.0]]))
    tensor(2.)
    """

    def __init__(
        self,
        base_momentum=0.99,
        final_momentum=1.0,
        hidden_features=4096,
        projection_features=256,
        views="auto",
    ):
        self.base_momentum = base_momentum
        self.final_momentum = final_momentum
        self.hidden_features = hidden_features
        self.projection_features = projection_features
        self.views = views

    def check(self):  # noqa: D102
        check_real("base_momentum", self.base_momentum, "[0, 1]")
        check_real("final_momentum", self.final_momentum, "[0, 1]")
        check_widths(self, "hidden_features", "projection_features")

    def build(self, encoder):  # noqa: D102
        hidden, out = self.hidden_features, self.projection_features
        return {
            "projector": projector(encoder.n_features, hidden, out),
            "predictor": projector(out, hidden, out),
        }

    def start(self, networks, n_samples, generator):  # noqa: D102
        for name in ("encoder", "projector"):
            networks[f"target_{name}"] = ema_copy(networks[name])

    def loss(self, networks, first, second):  # noqa: D102
        # One pass for each view, so that each has its own batch statistics.
        predictions, targets = [], []
        for view in (first, second):
            projection = networks["projector"](networks["encoder"](view))
            predictions.append(gathered(networks["predictor"](projection)))
            with torch.no_grad():
                features = networks["target_encoder"](view)
                targets.append(gathered(networks["target_projector"](features)))
        return prediction_error(predictions[0], targets[1]) + prediction_error(
            predictions[1], targets[0]
        )

    def after_step(self, networks, progress):  # noqa: D102
        momentum = rising_momentum(progress, self.base_momentum, self.final_momentum)
        for name in ("encoder", "projector"):
            ema_update(networks[f"target_{name}"], networks[name], momentum)
