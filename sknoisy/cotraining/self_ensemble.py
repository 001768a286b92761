"""SELF: labels that a network's averages contradict are left out."""

import torch

from sknoisy.checks import check_real
from sknoisy.cotraining.base import CoTraining
from sknoisy.cotraining.ensembles import chosen_mean, given_losses
from sknoisy.cotraining.rampup import sigmoid_rampup
from sknoisy.encoders.ema import ema_update
from sknoisy.losses.expected import as_distributions, weighted_mean
from sknoisy.losses.table import Table, check_storage
from sknoisy.ranks import in_parts

RAMP = 5  # epochs in which the weight of the consistency rises, as in Mean Teacher
WARMUP = 0.2  # share of the epochs before labels are left out


def consistency(logits, ensemble):
    """Return how far a network's predictions are from those of its average.

    Parameters
    ----------
    logits : tensor of shape (n, n_classes)
        Logits of the network.
    ensemble : tensor of shape (n, n_classes)
        Logits of the average, which get no gradient.

    Returns
    -------
    distance : tensor of shape (n,)
        Mean squared difference of the probabilities.

    Examples
    --------
    >>> import torch
    >>> from sknoisy.cotraining.self_ensemble import consistency
    >>> consistency(torch.zeros(1, 2), torch.tensor([[3.0, 1.0]]).log())
    tensor([0.0625])
    """
    target = ensemble.detach().softmax(dim=1)
    return (logits.softmax(dim=1) - target).square().mean(dim=1)


class SELF(CoTraining):
    """Self-ensemble filtering: labels that averages contradict are left out.

    A second network has the moving averages of the first network's weights. In
    addition, a moving average of the predictions for each sample is kept. A label is
    left out of the cross-entropy as long as it is not the most probable class of this
    average. On all samples, with or without a label, the network also learns to predict
    what the averaged network predicts from another view.

    Parameters
    ----------
    momentum : float, default=0.9
        Momentum of the averages of predictions, from epoch to epoch, in [0, 1).
    decay : float, default=0.99
        Decay of the averages of weights, from step to step, in [0, 1).
    consistency : float, default=100.0
        Weight of the mean squared difference between the predictions of the network and
        of its average. The default is Mean Teacher's for CIFAR-10.
    storage : {"float32", "float16"} or int, default="float32"
        Number format of the averaged predictions, see :class:`~sknoisy.ELR`.
    warmup_epochs : int or "auto", default="auto"
        Epochs in which all labels are learned. "auto": the epochs in which only the
        head is trained, if there are any, and a fifth of `max_epochs`, at least three.
        If the filter begins before all classes are predicted, it leaves the others out
        for good.

    Notes
    -----
    The averaged network makes the predictions, also those recorded for each sample. A
    step takes two forward passes and one backward pass. ``loss_state_`` of the
    classifier has "predictions", the averaged predictions; "kept", whether they agree
    with the label; and "clean_proba", the probability that they give the label.

    The paper trains a Mean Teacher until a validation score stops rising, filters the
    given labels once, trains again on the remaining labels, and repeats this until
    filtering brings no improvement. Here the filter is renewed in each epoch of one
    training, and no validation samples are needed. We know of no official code. The
    form, weight and rise of the consistency, and the start of the averaged weights, are
    those of Mean Teacher's code; all other settings are ours.

    References
    ----------
    Nguyen et al., SELF: Learning to Filter Noisy Labels with Self-Ensembling, ICLR
    2020; Tarvainen and Valpola, Mean Teachers Are Better Role Models, NeurIPS 2017.
    """

    estimates_noise = False
    soft_labels = True
    unlabelled = True
    predicting = (1,)
    lasting = (*CoTraining.lasting, "steps")  # the average of weights goes on
    transient = (*CoTraining.transient, "_predictions")

    def __init__(
        self,
        momentum=0.9,
        decay=0.99,
        consistency=100.0,
        storage="float32",
        warmup_epochs="auto",
    ):
        self.momentum = momentum
        self.decay = decay
        self.consistency = consistency
        self.storage = storage
        self.warmup_epochs = warmup_epochs

    def check(self):  # noqa: D102
        super().check()
        check_real("momentum", self.momentum, "[0, 1)")
        check_real("decay", self.decay, "[0, 1)")
        check_real("consistency", self.consistency, "[0, inf)")
        check_storage(self.storage)

    def plan(self, n_epochs, head_epochs):  # noqa: D102
        super().plan(n_epochs, head_epochs)
        if self.warmup_epochs == "auto":
            fifth = max(min(3, n_epochs), round(WARMUP * n_epochs))
            self.warmup_epochs_ = head_epochs + fifth

    def start(self, n_samples, n_classes, device):  # noqa: D102
        super().start(n_samples, n_classes, device)
        self.state_["steps"] = torch.zeros(1, dtype=torch.int64, device=device)
        shape = n_samples, n_classes
        self._predictions = Table(
            self.state_, "predictions", shape, self.storage, device
        )
        ones = torch.ones(n_samples, dtype=torch.float32, device=device)
        self.state_ |= {"kept": ones, "clean_proba": ones.clone()}

    def before_epoch(self, net):  # noqa: D102
        super().before_epoch(net)
        self.steps = self.state_["steps"].item()  # read back once an epoch

    def batch_loss(self, net, index, batch):  # noqa: D102
        student, average = net.module_.networks
        target, trusted = net.targets(index), net.trusted(index)
        logits = in_parts(student, net.view(batch)).float()
        with torch.no_grad():
            ensemble = in_parts(average, net.view(batch)).float()
        net.observe(ensemble[:, None], target, index)
        kept = self.state_["kept"][index] > 0
        if trusted is not None:  # perhaps only now
            kept = kept | trusted
        self._record(index, ensemble.softmax(dim=1), target, trusted)
        losses = given_losses(logits[:, None], target)[:, 0]
        if self.is_warmup:
            kept = torch.ones_like(kept)
        labels = chosen_mean(losses, kept, net.weights(index))
        distances = consistency(logits, ensemble)
        weight = self.consistency * sigmoid_rampup(self.epoch / RAMP)
        return labels + weight * weighted_mean(distances, net.sample_weights(index))

    def after_step(self, net, progress):  # noqa: D102
        student, average = net.module_.networks
        decay = min(self.decay, 1 - 1 / (self.steps + 1))  # the first step copies
        ema_update(average, student, decay)
        self.steps += 1
        self.state_["steps"] += 1

    @torch.no_grad()
    def _record(self, index, probs, target, trusted):
        """Update the averages of some samples, and whether these keep the label."""
        rows = probs.lerp(self._predictions[index].to(probs), self.momentum)
        self._predictions[index] = rows
        labels = as_distributions(target, self.n_classes)
        # Sums are less than 1 in the first epochs, and where few classes are kept.
        clean = (rows * labels).sum(dim=1) / rows.sum(dim=1)
        kept = (rows.argmax(dim=1) == labels.argmax(dim=1)).float()
        if trusted is not None:
            clean, kept = (values.masked_fill(trusted, 1.0) for values in (clean, kept))
        self.state_["clean_proba"][index] = clean
        self.state_["kept"][index] = kept
