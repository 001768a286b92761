"""MentorNet's predefined curriculum: weights of samples by their loss."""

import torch

from sknoisy.checks import check_real
from sknoisy.cotraining.base import CoTraining, unknown
from sknoisy.cotraining.ensembles import given_losses
from sknoisy.losses.expected import weighted_mean

BURN_IN = 0.18  # share of the training in which all weights are 1
FADE = 0.90  # and after which a weight falls with the loss, no longer at once
DROPOUT = (0.5, 0.17, 0.05)  # share of samples left out, until when, and afterwards


def curriculum_weights(losses, threshold, progress):
    """Return the weights of MentorNet PD.

    Parameters
    ----------
    losses : tensor of shape (n,)
        Loss of each sample, in nats.
    threshold : float or tensor of shape ()
        Moving average of a percentile of the losses.
    progress : float
        Share of the training that is done.

    Returns
    -------
    weights : tensor of shape (n,)
        1 at first; then 1 below the threshold and 0 above; in the end, above the
        threshold, 1 minus the distance to it, at least 0.

    Examples
    --------
    >>> import torch
    >>> from sknoisy.cotraining.mentornet import curriculum_weights
    >>> losses = torch.tensor([0.5, 1.25, 3.0])
    >>> curriculum_weights(losses, threshold=1.0, progress=0.5)
    tensor([1., 0., 0.])
    >>> curriculum_weights(losses, threshold=1.0, progress=0.95)
    tensor([1.0000, 0.7500, 0.0000])
    """
    if progress < BURN_IN:
        return torch.ones_like(losses)
    above = losses.detach() - threshold
    if progress < FADE:
        return (above <= 0).to(losses.dtype)
    return (1 - above).clamp(0, 1)


class MentorNet(CoTraining):
    """Trains one network on samples of small loss, by MentorNet's fixed curriculum.

    At first all samples count. Then only those count whose loss is below a threshold,
    the moving average of a percentile of the losses. Towards the end, samples above the
    threshold count again, but less the larger their loss is.

    Parameters
    ----------
    percentile : float or "auto", default="auto"
        Percentile of the losses, in [0, 100]. "auto": the percentage of labels that are
        estimated to be right, but at least 20. The official code takes 75 at 20 and
        40% noise, and 50 at 80%.
    decay : float, default=0.5
        Decay of the percentile's moving average over batches, in [0, 1).
    warmup_epochs : int or "auto", default="auto"
        Epochs of cross-entropy on all samples that come first, see
        :meth:`CoTraining.plan`.

    Notes
    -----
    This is MentorNet PD, whose curriculum is a formula. In the paper a second network
    learns to imitate the formula; here it is used directly. As in the official code,
    all weights are 1 in the first 18% of the epochs, and samples above the threshold
    count again after 90%. A random half of each batch is left out in the first 17% of
    the epochs, and 5% of it later. In the warm-up, nothing is left out; in a short
    training, the warm-up may cover all of the first 17%.

    Unlike in the paper, the moving average begins at the percentile of the first batch
    instead of 0. Unlike in the official code, the loss is divided by the number of
    samples that were not left out instead of all. MentorNet DD, whose curriculum is
    learned from clean labels, is not offered, because no clean labels are assumed.

    References
    ----------
    Jiang et al., MentorNet: Learning Data-Driven Curriculum for Very Deep Neural
    Networks on Corrupted Labels, ICML 2018.
    """

    n_networks = 1
    soft_labels = True

    def __init__(self, percentile="auto", decay=0.5, warmup_epochs="auto"):
        self.percentile = percentile
        self.decay = decay
        self.warmup_epochs = warmup_epochs

    def check(self):  # noqa: D102
        super().check()
        check_real("percentile", self.percentile, "[0, 100]", other="auto")
        self.check_estimated("percentile")
        check_real("decay", self.decay, "[0, 1)")

    def start(self, n_samples, n_classes, device):  # noqa: D102
        super().start(n_samples, n_classes, device)
        self.state_["threshold"] = unknown((), device)

    def loss(self, net, index, batch):  # noqa: D102
        progress = self.epoch / self.n_epochs
        logits = net.observed_logits(index, batch)
        losses = given_losses(logits, net.targets(index))[:, 0]
        trusted, own = net.trusted(index), net.weights(index)
        weights = curriculum_weights(losses, self._threshold(losses), progress)
        if trusted is not None:
            weights = weights.masked_fill(trusted, 1)
        early, until, late = DROPOUT
        dropout = early if progress < until else late
        n_kept = max(1, round((1 - dropout) * len(losses)))
        kept = net.permutation(len(losses))[:n_kept]
        losses = weights[kept] * losses[kept]
        return weighted_mean(losses, None if own is None else own[kept])

    def resolved(self):  # noqa: D102
        percentile = self.percentile
        if percentile == "auto":
            percentile = 100 * (1 - self.rate_to_leave_out)
        return {"percentile": percentile}

    def _threshold(self, losses):
        """Return the moving average of the percentile, with this batch."""
        now = losses.detach().quantile(self.resolved()["percentile"] / 100)
        average = self.state_["threshold"]
        average.copy_(torch.where(average.isnan(), now, now.lerp(average, self.decay)))
        return average
