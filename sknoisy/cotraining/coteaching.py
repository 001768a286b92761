"""Two networks that choose samples by their loss: co-teaching, co-teaching+, JoCoR."""

import torch

from sknoisy.checks import check_integer, check_real
from sknoisy.cotraining.base import CoTraining
from sknoisy.cotraining.ensembles import chosen_mean, given_losses


def small_losses(losses, share, among=None, trusted=None):
    """Return which samples of a batch have the smallest losses.

    Parameters
    ----------
    losses : tensor of shape (n,)
        Loss of each sample.
    share : float
        Share of the samples to choose, in [0, 1]: rounded down, but at least one.
    among : tensor of shape (n,), bool, default=None
        The samples to choose from; by default all.
    trusted : tensor of shape (n,), bool, default=None
        Samples that are always chosen.

    Returns
    -------
    chosen : tensor of shape (n,), bool
        All False if there is no sample to choose from.

    Examples
    --------
    >>> import torch
    >>> from sknoisy.cotraining import small_losses
    >>> small_losses(torch.tensor([0.3, 2.0, 0.1, 0.9]), share=0.5)
    tensor([ True, False,  True, False])
    """
    losses = losses.detach()
    if among is None:
        among = torch.ones_like(losses, dtype=torch.bool)
    # The count stays a tensor, so that a GPU is not waited for.
    count = (share * among.sum()).floor().clamp(min=1)
    rank = losses.masked_fill(~among, torch.inf).argsort().argsort()
    chosen = (rank < count) & among
    return chosen if trusted is None else chosen | trusted


def exchange_loss(logits, target, share, disagreeing=False, weights=None, trusted=None):
    """Return the loss of two networks that choose the samples for each other.

    Parameters
    ----------
    logits : tensor of shape (n, 2, n_classes)
        Logits of both networks.
    target : tensor of shape (n,), int64, or (n, n_classes)
        Codes of the given labels, or soft labels.
    share : float
        Share of the samples that a network chooses: those of smallest loss.
    disagreeing : bool, default=False
        Whether the networks choose only among samples on which their predictions
        differ, as in co-teaching+.
    weights : tensor of shape (n,), default=None
        Weights of the samples; by default all are 1.
    trusted : tensor of shape (n,), bool, default=None
        Samples that are always chosen.

    Returns
    -------
    loss : tensor of shape ()
        Mean cross-entropy of the samples chosen by the other, sum over the networks.
    """
    among = None
    if disagreeing:
        first, second = logits.detach().argmax(dim=2).unbind(dim=1)
        among = first != second
    first, second = given_losses(logits, target).unbind(dim=1)
    by_first, by_second = (
        small_losses(one, share, among, trusted) for one in (first, second)
    )
    return sum(
        chosen_mean(losses, chosen, weights)
        for losses, chosen in ((first, by_second), (second, by_first))
    )


def joint_loss(logits, target, lam):
    """Return JoCoR's loss: both networks' cross-entropy and their disagreement.

    Parameters
    ----------
    logits : tensor of shape (n, 2, n_classes)
        Logits of both networks.
    target : tensor of shape (n,), int64, or (n, n_classes)
        Codes of the given labels, or soft labels.
    lam : float
        Weight of the disagreement; the cross-entropies have 1 - lam.

    Returns
    -------
    loss : tensor of shape (n,)
        In nats; the disagreement is the sum of the divergences in both directions.
    """
    log_p, log_q = logits.log_softmax(dim=2).unbind(dim=1)
    divergence = ((log_p.exp() - log_q.exp()) * (log_p - log_q)).sum(dim=1)
    return (1 - lam) * given_losses(logits, target).sum(dim=1) + lam * divergence


class CoTeaching(CoTraining):
    """Each network learns from the samples of a batch that the other finds easy.

    Samples of small loss are probably labelled right.

    Parameters
    ----------
    forget_rate : float or "auto", default="auto"
        Share of a batch that is left out after `ramp_epochs`, in [0, 1). "auto": the
        noise rate that is estimated in the warm-up, but at most 0.8. The paper takes
        the true noise rate.
    ramp_epochs : int or "auto", default="auto"
        Epochs after the warm-up in which that share rises from 0. "auto": 10, as in
        the paper, but at most a fifth of `max_epochs`.
    warmup_epochs : int or "auto", default="auto"
        Epochs of cross-entropy on all samples that come first, see
        :meth:`CoTraining.plan`.

    Notes
    -----
    Both networks see the same views of the same batches. The loss is a mean over
    samples, as in the paper; the official code divides this mean by the number of
    samples once more. The share left out rises in `ramp_epochs` equal steps, the first
    of which is taken in the first epoch after the warm-up; the paper begins with 0
    there. The paper trains with Adam at 1e-3 for 200 epochs.

    References
    ----------
    Han et al., Co-teaching: Robust Training of Deep Neural Networks with Extremely
    Noisy Labels, NeurIPS 2018.
    """

    soft_labels = True
    disagreeing = False  # whether they choose among samples on which they disagree

    def __init__(self, forget_rate="auto", ramp_epochs="auto", warmup_epochs="auto"):
        self.forget_rate = forget_rate
        self.ramp_epochs = ramp_epochs
        self.warmup_epochs = warmup_epochs

    def check(self):  # noqa: D102
        super().check()
        check_real("forget_rate", self.forget_rate, "[0, 1)", other="auto")
        self.check_estimated("forget_rate")
        check_integer("ramp_epochs", self.ramp_epochs, other="auto")

    def plan(self, n_epochs, head_epochs):  # noqa: D102
        super().plan(n_epochs, head_epochs)
        self.ramp_epochs_ = self.ramp_epochs
        if self.ramp_epochs == "auto":
            self.ramp_epochs_ = max(1, min(10, n_epochs // 5))

    @property
    def remembered(self):
        """Share of a batch that is trained on, in this epoch."""
        rate = self.resolved()["forget_rate"]
        return 1 - rate * min(1.0, (self.epochs_after_warmup + 1) / self.ramp_epochs_)

    def resolved(self):  # noqa: D102
        given = self.forget_rate
        return {"forget_rate": self.rate_to_leave_out if given == "auto" else given}

    def loss(self, net, index, batch):  # noqa: D102
        return exchange_loss(
            net.observed_logits(index, batch),
            net.targets(index),
            self.remembered,
            disagreeing=self.disagreeing,
            weights=net.weights(index),
            trusted=net.trusted(index),
        )


class CoTeachingPlus(CoTeaching):
    """Co-teaching among the samples on which the networks disagree.

    This keeps the networks different.

    Parameters
    ----------
    forget_rate, ramp_epochs, warmup_epochs
        As in :class:`CoTeaching`.

    Notes
    -----
    Nothing is learned from a batch without any disagreement. The paper begins with
    co-teaching, for 20 epochs on CIFAR-10 and 5 on CIFAR-100; here the warm-up takes
    its place. Otherwise this follows the paper. The official code treats probabilities
    as logits in the cross-entropy, and drops the last disagreeing sample of a batch
    whenever the networks disagree on its first sample.

    References
    ----------
    Yu et al., How does Disagreement Help Generalization against Label Corruption?,
    ICML 2019.
    """

    disagreeing = True


class JoCoR(CoTeaching):
    """Both networks learn from samples that both find easy, and on which they agree.

    Parameters
    ----------
    lam : float or "auto", default="auto"
        Weight of the networks' disagreement, in [0, 1]; cross-entropy has the weight
        1 - lam. "auto": 0.9, or 0.65 if more than 65% of labels are estimated to be
        wrong. These are the paper's values for CIFAR-10; for CIFAR-100 it takes 0.85.
    forget_rate, ramp_epochs, warmup_epochs
        As in :class:`CoTeaching`.

    References
    ----------
    Wei et al., Combating Noisy Labels by Agreement: A Joint Training Method with
    Co-Regularization, CVPR 2020.
    """

    def __init__(
        self, lam="auto", forget_rate="auto", ramp_epochs="auto", warmup_epochs="auto"
    ):
        super().__init__(forget_rate, ramp_epochs, warmup_epochs)
        self.lam = lam

    def check(self):  # noqa: D102
        super().check()
        check_real("lam", self.lam, "[0, 1]", other="auto")
        self.check_estimated("lam")

    def resolved(self):  # noqa: D102
        lam = self.lam
        if lam == "auto":
            lam = 0.65 if self.noise_rate > 0.65 else 0.9
        return super().resolved() | {"lam": lam}

    def loss(self, net, index, batch):  # noqa: D102
        logits = net.observed_logits(index, batch)
        losses = joint_loss(logits, net.targets(index), self.resolved()["lam"])
        chosen = small_losses(losses, self.remembered, trusted=net.trusted(index))
        return chosen_mean(losses, chosen, net.weights(index))
