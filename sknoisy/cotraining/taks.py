"""TAkS: a network trains on the samples whose losses add up to the least."""

import math

import torch

from sknoisy.checks import check_choice, check_real
from sknoisy.cotraining.base import CoTraining
from sknoisy.cotraining.ensembles import given_losses
from sknoisy.cotraining.selected_batches import SelectedBatches
from sknoisy.losses.expected import weighted_mean


def perturbed_leaders(total, n, scale, generator=None):
    """Return which samples have the least losses, once these are perturbed.

    This is one round of "follow the perturbed leader" over the sets of n samples.

    Parameters
    ----------
    total : tensor of shape (n_samples,)
        Losses of each sample, added up over the epochs.
    n : int
        Number of samples to choose.
    scale : float
        Standard deviation of the normal noise that is added to them.
    generator : torch.Generator, default=None
        Source of the noise, on the CPU.

    Returns
    -------
    chosen : tensor of shape (n_samples,), bool
        Exactly `n` of them, or all.

    Examples
    --------
    >>> import torch
    >>> from sknoisy.cotraining.taks import perturbed_leaders
    >>> perturbed_leaders(torch.tensor([0.3, 2.0, 0.1, 0.9]), n=2, scale=0.0)
    tensor([ True, False,  True, False])
    """
    noise = torch.randn(
        len(total), generator=generator, dtype=torch.float32, device="cpu"
    )
    perturbed = total + scale * noise.to(total.device)
    chosen = torch.zeros_like(total, dtype=torch.bool)
    chosen[perturbed.topk(min(n, len(total)), largest=False).indices] = True
    return chosen


class TAkS(CoTraining):
    """Adaptive k-set selection: an epoch trains on k samples of small losses so far.

    Before each epoch, the losses of all samples are added to those of the previous
    epochs. The network then trains on the k samples with the smallest sums, after a
    little noise has been added to these. This rule, "follow the perturbed leader", has
    in total hardly more loss than the best fixed choice of k samples for all epochs.

    Parameters
    ----------
    share : float or "auto", default="auto"
        Share of the samples to train on, in (0, 1]. "auto": the share of labels that
        the warm-up estimates to be right, but at least 0.2. The official settings are
        below the true share of right labels: at 20, 40 and 60% noise they are 0.75,
        0.45 and 0.2 (CIFAR-10), or 0.65, 0.35 and 0.15 (MNIST, CIFAR-100).
    perturbation : float, default=0.001
        The standard deviation of the noise is this times the square root of the number
        of epochs; with 0, there is no noise.
    per_class : bool, default=True
        Whether the share is taken of each class by itself, with at least one sample.
        Otherwise, classes that are learned last may be left out for good.
    warmup_epochs : int or "auto", default="auto"
        Epochs of cross-entropy on all samples that come first, see
        :meth:`CoTraining.plan`. The paper has none, because it sets the share.

    Notes
    -----
    An epoch has as many samples as are chosen. The losses are those of samples without
    augmentation. Sample weights count in the loss of a batch, not in the choice.
    Samples with trusted labels are always chosen; the share is taken of the others. If
    a label changes between two calls of ``partial_fit``, its sum starts again, as if
    the new loss had occurred in all epochs.

    ``loss_state_`` of the classifier has "total_loss", the sums; "chosen", the samples
    of the last epoch; "rounds", how many losses were added; and "given", the labels
    that the losses belong to. ``clean_proba_`` comes from a mixture of the mean losses.

    With `share` set, ``per_class=False`` and ``warmup_epochs=0``, this equals the
    official code with its default settings, except for the optimiser. The official code
    trains with Adam at 0.001 in batches of 512 (CIFAR), for 120 to 200 epochs. The
    comparison is with the code only, not with the text of the paper.

    References
    ----------
    Song, Mitsuo, Uchida and Suehiro, No Regret Sample Selection with Noisy Labels,
    Machine Learning 113, 2024.
    """

    n_networks = 1
    soft_labels = True
    transient = (*CoTraining.transient, "order")

    def __init__(
        self,
        share="auto",
        perturbation=0.001,
        per_class=True,
        warmup_epochs="auto",
    ):
        self.share = share
        self.perturbation = perturbation
        self.per_class = per_class
        self.warmup_epochs = warmup_epochs

    def check(self):  # noqa: D102
        super().check()
        check_real("share", self.share, "(0, 1]", other="auto")
        self.check_estimated("share")
        check_real("perturbation", self.perturbation, "[0, inf)")
        check_choice("per_class", self.per_class, [True, False])

    def start(self, n_samples, n_classes, device):  # noqa: D102
        super().start(n_samples, n_classes, device)
        zeros = torch.zeros(n_samples, dtype=torch.float32, device=device)
        self.state_ |= {
            "total_loss": zeros,
            "chosen": zeros.clone(),
            "rounds": torch.zeros(1, dtype=torch.int64, device=device),
            "given": torch.full((n_samples,), -1, dtype=torch.int64, device=device),
        }

    def resolved(self):  # noqa: D102
        share = self.share
        if share == "auto":
            share = 1 - self.rate_to_leave_out
        return {"share": share}

    def before_epoch(self, net):  # noqa: D102
        super().before_epoch(net)
        if self.is_warmup:
            return
        losses = torch.from_numpy(net.losses()[:, 0]).to(net.device)
        self._add(losses, net.data_.codes)
        chosen = self._chosen(net)
        self.state_["chosen"].copy_(chosen)
        index = chosen.nonzero()[:, 0].cpu()
        order = torch.randperm(len(index), generator=net.generator, device="cpu")
        self.order = index[order]

    def batches(self, net, store):  # noqa: D102
        whole = super().batches(net, store)
        if self.is_warmup:
            return whole
        return SelectedBatches(self.order, whole, net.batch_size, with_others=False)

    def loss(self, net, index, batch):  # noqa: D102
        losses = given_losses(net.logits(batch), net.targets(index))[:, 0]
        return weighted_mean(losses, net.weights(index))

    def _add(self, losses, codes):
        """Add the losses of an epoch; where a label is new, as if all had been its own.

        A sum of losses of another label says nothing of this one.
        """
        state = self.state_
        state["rounds"] += 1
        new = state["given"] != codes
        total = torch.where(new, losses * state["rounds"], state["total_loss"] + losses)
        state["total_loss"].copy_(total)
        state["given"].copy_(codes)

    def _chosen(self, net):
        """Return which samples the next epoch trains on, a tensor of bool."""
        total = self.state_["total_loss"]
        share = self.resolved()["share"] + 1e-9  # 0.29 * 100 is a little less than 29
        scale = self.perturbation * math.sqrt(self.n_epochs)
        codes, trusted = net.data_.codes, net.data_.labels.trusted
        groups = codes if self.per_class else torch.zeros_like(codes)
        if trusted is not None:  # the share is one of the labels that may be wrong
            groups = groups.masked_fill(trusted, -1)
        chosen = groups < 0
        for group in groups[~chosen].unique():
            members = (groups == group).nonzero()[:, 0]
            n = max(1, int(share * len(members)))
            leaders = perturbed_leaders(total[members], n, scale, net.generator)
            chosen[members] = leaders
        if chosen.sum() < 2:  # networks normalise a batch: one sample is none
            chosen = perturbed_leaders(total, 2, scale, net.generator)
        return chosen
