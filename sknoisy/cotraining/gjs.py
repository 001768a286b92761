"""GJS: two views of a sample are to be predicted alike, and as the label says."""

import torch

from sknoisy.checks import check_real
from sknoisy.cotraining.base import CoTraining
from sknoisy.cotraining.ensembles import given_losses
from sknoisy.losses.expected import weighted_mean
from sknoisy.losses.js import jensen_shannon


class GJS(CoTraining):
    """Trains one network with the Jensen-Shannon divergence of a label and two views.

    The loss is the divergence of three distributions from their mean: the label, and
    the predictions for two random views of the sample. This is :class:`~sknoisy.JS` of
    the mean prediction, plus a multiple of the divergence of the two predictions.
    Predictions for views of a sample agree less where its wrong label is memorised.

    Parameters
    ----------
    pi : float, default=0.3
        Weight of the label, in (0, 1); each prediction has half of the rest. See the
        notes for published values.
    warmup_epochs : int or "auto", default=0
        Epochs of cross-entropy that come first; see :meth:`CoTraining.plan`. The paper
        has none. The share of wrong labels is estimated in these epochs; without them
        it follows from the losses, and tends to be too low.

    Notes
    -----
    The official code takes these values of `pi`:

    ========= =============================== ==================
    data      share of wrong labels           `pi`
    ========= =============================== ==================
    CIFAR-10  symmetric 0; 0.2; 0.4; 0.6, 0.8 0.5; 0.3; 0.9; 0.1
    CIFAR-10  asymmetric 0.2, 0.4             0.3
    CIFAR-100 symmetric 0, 0.2; 0.4; 0.6; 0.8 0.3; 0.5; 0.9; 0.1
    CIFAR-100 asymmetric 0.2; 0.4             0.5; 0.1
    WebVision                                 0.1
    ========= =============================== ==================

    For CIFAR, both views are strong: RandAugment and a cutout. Without views, both
    predictions would be the same, so the loss is :class:`~sknoisy.JS` of one.

    References
    ----------
    Englesson and Azizpour, Generalized Jensen-Shannon Divergence Loss for Learning with
    Noisy Labels, NeurIPS 2021.
    """

    n_networks = 1
    soft_labels = True

    def __init__(self, pi=0.3, warmup_epochs=0):
        self.pi = pi
        self.warmup_epochs = warmup_epochs

    def check(self):  # noqa: D102
        super().check()
        check_real("pi", self.pi, "(0, 1)")

    def loss(self, net, index, batch):  # noqa: D102
        logits, target = net.observed_logits(index, batch), net.targets(index)
        if net.has_views:
            logits = torch.cat([logits, net.logits(batch)], dim=1)
        losses = jensen_shannon(logits, target, self.pi)
        trusted = net.trusted(index)
        if trusted is not None:  # as for losses, there is nothing to resist
            ce = given_losses(logits, target).mean(dim=1)
            losses = torch.where(trusted, ce, losses)
        return weighted_mean(losses, net.weights(index))
