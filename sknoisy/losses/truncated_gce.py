"""Truncated generalised cross-entropy: improbable labels are pruned for a while."""

import torch

from sknoisy.checks import check_integer, check_real
from sknoisy.losses.base import Loss
from sknoisy.losses.expected import class_losses, expected
from sknoisy.losses.gce import generalized_cross_entropy


class TruncatedGCE(Loss):
    """Generalised cross-entropy without the samples whose label is improbable.

    In some epochs, samples are pruned if the probability of their label is at most a
    threshold. Pruned samples have a constant loss, without a gradient, until the next
    pruning, which considers all samples again.

    Parameters
    ----------
    q : float, default=0.7
        Exponent, in (0, 1]; see :class:`GCE`.
    k : float, default=0.5
        Samples whose label has at most this probability are pruned, in (0, 1).
    begin : float, default=1/3
        Share of the epochs before the first pruning. The paper takes 40 of 120 epochs.
    every : int, default=10
        Number of epochs from one pruning to the next.

    Attributes
    ----------
    state_ : dict
        ``"probability"``, that of the label when the sample was last trained on, and
        ``"kept"``, which is 0 for pruned samples and otherwise 1: tensors of shape
        (n_samples,), float32, 8 bytes for each sample.

    Notes
    -----
    The official code prunes by the predictions of the checkpoint with the best accuracy
    on clean test data. Here the predictions of the last epoch are used, so no clean
    data are needed.

    References
    ----------
    Zhang and Sabuncu, Generalized Cross Entropy Loss for Training Deep Neural
    Networks with Noisy Labels, NeurIPS 2018, section 3.3.

    Examples
    --------
    >>> import torch
    >>> from sknoisy.losses import TruncatedGCE
    >>> loss = TruncatedGCE(begin=0.0)
    >>> loss.start(n_samples=1, n_classes=4, device="cpu")
    >>> value = loss(torch.zeros(1, 4), torch.tensor([2]), torch.tensor([0]))
    >>> loss.on_epoch(epoch=10, n_epochs=20)
    >>> loss.state_["kept"]
    tensor([0.])
    """

    soft_labels = True

    def __init__(self, q=0.7, k=0.5, begin=1 / 3, every=10):
        self.q = q
        self.k = k
        self.begin = begin
        self.every = every

    def check(self):  # noqa: D102
        check_real("q", self.q, "(0, 1]")
        check_real("k", self.k, "(0, 1)")
        check_real("begin", self.begin, "[0, 1]")
        check_integer("every", self.every)

    def start(self, n_samples, n_classes, device):  # noqa: D102
        self.state_ = {
            "probability": torch.ones(n_samples, dtype=torch.float32, device=device),
            "kept": torch.ones(n_samples, dtype=torch.float32, device=device),
        }

    def on_epoch(self, epoch, n_epochs):  # noqa: D102
        since = epoch - round(self.begin * n_epochs)
        if epoch > 0 and since >= 0 and since % self.every == 0:
            self.state_["kept"].copy_(self.state_["probability"] > self.k)

    def __call__(self, logits, target, index):  # noqa: D102
        with torch.no_grad():
            p = expected((-class_losses(logits, target)).exp(), target)
            self.state_["probability"][index] = p.to(self.state_["probability"])
        loss = generalized_cross_entropy(logits, target, self.q)
        pruned = (1 - self.k**self.q) / self.q  # the loss at the threshold
        return torch.where(self.state_["kept"][index] > 0, loss, pruned)
