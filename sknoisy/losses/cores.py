"""CORES2: cross-entropy that favours confidence, and a sieve for wrong labels."""

import torch

from sknoisy.checks import check_real
from sknoisy.losses.base import Loss
from sknoisy.losses.cross_entropy import cross_entropy
from sknoisy.losses.expected import as_distributions

LEAST = 1e-8  # is added to probabilities, as in the official code


def class_cross_entropies(logits):
    """Return -log(p + 1e-8) of all classes, of shape (n, n_classes).

    Parameters
    ----------
    logits : tensor of shape (n, n_classes)
        Outputs before the softmax.
    """
    return -(logits.softmax(dim=1) + LEAST).log()


def confidence_regularised(logits, target, prior, beta):
    """Return the cross-entropy of each label, minus beta times that of a random label.

    Parameters
    ----------
    logits : tensor of shape (n, n_classes)
        Outputs before the softmax.
    target : tensor of shape (n,), int64, or (n, n_classes)
        Codes of the labels, or soft labels.
    prior : tensor of shape (n_classes,)
        Probabilities of the random label, by which its cross-entropy is averaged.
    beta : float
        Weight of the regulariser; with 0 this is cross-entropy.
    """
    regulariser = class_cross_entropies(logits) @ prior.to(logits.dtype)
    return cross_entropy(logits, target) - beta * regulariser


def passes_sieve(logits, target):
    """Return whether a label's cross-entropy is at most the mean over all classes.

    Parameters
    ----------
    logits : tensor of shape (n, n_classes)
        Outputs before the softmax.
    target : tensor of shape (n,), int64, or (n, n_classes)
        Codes of the labels, or soft labels.

    Returns
    -------
    passes : tensor of shape (n,), bool
        False where the label is probably wrong.
    """
    return cross_entropy(logits, target) <= class_cross_entropies(logits).mean(dim=1)


class CORES(Loss):
    """Confidence-regularised cross-entropy with a sample sieve, CORES2.

    From the cross-entropy of the label, that of a random label is subtracted, on
    average over the labels of the training set. This rewards confident predictions,
    right or wrong. When the network has become confident, labels that it denies are
    left out: those whose cross-entropy is above the mean over all classes.

    Parameters
    ----------
    beta : float, default=2.0
        Final weight of the regulariser; with 0 the loss is cross-entropy with a sieve.
    begin : float, default=0.1
        Share of the epochs before the weight begins to grow from 0.
    end : float, default=0.4
        Share of the epochs after which the weight is `beta`.
    sieve : float, default=0.31
        Share of the epochs before labels are left out, at least one epoch; with 1 none
        is left out.

    Attributes
    ----------
    beta_ : float
        Weight of the regulariser in this epoch.
    state_ : dict
        ``"prior"``, the shares of the classes among the labels that were learned in the
        last epoch, and ``"counts"``, their numbers in this epoch: tensors of shape
        (n_classes,), float32.

    Notes
    -----
    The defaults are the official code's: of 100 epochs, the weight grows from the 10th
    to the 40th, and labels are left out after the 31st. As there, 1e-8 is added to the
    probabilities in the regulariser, which would otherwise have no lower bound, and the
    loss of a batch is the mean over the labels that are left.

    The official code divides the learning rate by 1 + `beta_`. Here the loss is divided
    by it, which is the same for SGD without momentum and weight decay, as it is used
    there.

    This is the paper's first phase. The second, which learns the samples that were left
    out without their labels, is not included.

    Peer loss (Liu and Guo, Peer Loss Functions: Learning from Noisy Labels without
    Knowing Noise Rates, ICML 2020) draws the random labels anew for each batch. Its
    mean over all draws is ``CORES(sieve=1.0)``, but for the division by 1 + `beta_`.

    References
    ----------
    Cheng et al., Learning with Instance-Dependent Label Noise: A Sample Sieve Approach,
    ICLR 2021.

    Examples
    --------
    >>> import torch
    >>> from sknoisy.losses import CORES
    >>> loss = CORES(begin=0.0, end=0.0, sieve=0.5)
    >>> loss.start(n_samples=2, n_classes=2, device="cpu")
    >>> loss.on_epoch(epoch=5, n_epochs=10)
    >>> logits, labels = torch.tensor([[2.0, 0.0], [2.0, 0.0]]), torch.tensor([0, 1])
    >>> loss(logits, labels, None)  # the second label is left out
    tensor([-1.4180,  0.0000])
    """

    soft_labels = True
    lasting = ("prior", "counts")

    def __init__(self, beta=2.0, begin=0.1, end=0.4, sieve=0.31):
        self.beta = beta
        self.begin = begin
        self.end = end
        self.sieve = sieve

    def check(self):  # noqa: D102
        check_real("beta", self.beta, "[0, inf)")
        check_real("begin", self.begin, "[0, 1]")
        check_real("end", self.end, f"[{self.begin}, 1]")
        check_real("sieve", self.sieve, "[0, 1]")

    def start(self, n_samples, n_classes, device):  # noqa: D102
        zeros = torch.zeros(n_classes, dtype=torch.float32, device=device)
        self.state_ = {"prior": zeros + 1 / n_classes, "counts": zeros}
        self.beta_, self._sieving = 0.0, False

    def on_epoch(self, epoch, n_epochs):  # noqa: D102
        first, last = round(self.begin * n_epochs), round(self.end * n_epochs) - 1
        grown = (epoch - first) / max(1, last - first)
        self.beta_ = self.beta * min(max(grown, 0.0), 1.0)
        begun = epoch >= max(1, round(self.sieve * n_epochs))
        self._sieving = begun and self.sieve < 1  # also in epochs beyond the plan
        counts = self.state_["counts"]
        if counts.any():  # otherwise no label was learned
            self.state_["prior"].copy_(counts / counts.sum())
            counts.zero_()

    def __call__(self, logits, target, index):  # noqa: D102
        prior = self.state_["prior"]
        loss = confidence_regularised(logits, target, prior, self.beta_)
        with torch.no_grad():
            kept = torch.ones_like(loss, dtype=torch.bool)
            if self._sieving:
                kept = passes_sieve(logits, target)
            labels = as_distributions(target, logits.shape[1])
            self.state_["counts"] += (labels * kept[:, None]).sum(dim=0)
        n_kept = kept.sum(dtype=loss.dtype).clamp(min=1)
        return torch.where(kept, loss, 0) * (len(kept) / n_kept) / (1 + self.beta_)
