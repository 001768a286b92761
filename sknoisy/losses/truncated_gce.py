"""Truncated generalised cross-entropy: impossible labels are left out for a while."""

import torch

from sknoisy.losses.base import Loss
from sknoisy.losses.gce import generalized_cross_entropy
from sknoisy.parameters import check_integer, check_real


class TruncatedGCE(Loss):
    """Generalised cross-entropy of the samples whose label the network finds possible.

    From an epoch on, samples whose label's probability is at most a threshold have no
    gradient, until they are looked at again some epochs later.

    Parameters
    ----------
    q : float, default=0.7
        See :class:`GCE`.
    k : float, default=0.5
        Threshold of the label's probability, in (0, 1).
    begin : float, default=1/3
        Share of the epochs before the first pruning: 40 of the paper's 120.
    every : int, default=10
        Epochs between one pruning and the next.

    Attributes
    ----------
    state_ : dict
        ``"probability"`` (of the label, when the sample was last seen) and ``"kept"``
        (1 or 0): tensors of shape (n_samples,), float32, 8 bytes a sample.

    Notes
    -----
    The official code prunes by the checkpoint that was best on clean test data; this
    uses no such data but the probabilities of the epoch before.

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
            "probability": torch.ones(n_samples, device=device),
            "kept": torch.ones(n_samples, device=device),
        }

    def on_epoch(self, epoch, n_epochs):  # noqa: D102
        since = epoch - round(self.begin * n_epochs)
        if epoch > 0 and since >= 0 and since % self.every == 0:
            self.state_["kept"].copy_(self.state_["probability"] > self.k)

    def __call__(self, logits, target, index):  # noqa: D102
        with torch.no_grad():
            p = logits.softmax(dim=1).gather(1, target[:, None])[:, 0]
            self.state_["probability"][index] = p.to(self.state_["probability"])
        loss = generalized_cross_entropy(logits, target, self.q)
        pruned = (1 - self.k**self.q) / self.q  # a constant: where GCE is cut off
        return torch.where(self.state_["kept"][index] > 0, loss, pruned)
