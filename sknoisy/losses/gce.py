"""Generalised cross-entropy: between cross-entropy and mean absolute error."""

import torch

from sknoisy.checks import check_real
from sknoisy.losses.base import Loss
from sknoisy.losses.expected import class_losses, expected


def generalized_cross_entropy(logits, target, q):
    """Return (1 - p_y^q) / q of each sample.

    Parameters
    ----------
    logits : tensor of shape (n, n_classes)
        Outputs before the softmax.
    target : tensor of shape (n,), int64, or (n, n_classes)
        Codes of the labels, or soft labels.
    q : float
        In (0, 1]: 1 is mean absolute error; the limit at 0 is cross-entropy.

    Notes
    -----
    Computed as -expm1(q log p_y) / q, which neither overflows nor loses digits.
    """
    losses = -torch.expm1(-q * class_losses(logits, target)) / q
    return expected(losses, target)


class GCE(Loss):
    """Generalised cross-entropy.

    Parameters
    ----------
    q : float, default=0.7
        Exponent, in (0, 1]: 1 is mean absolute error; the limit at 0 is cross-entropy.
        The paper takes 0.7 for CIFAR.

    References
    ----------
    Zhang and Sabuncu, Generalized Cross Entropy Loss for Training Deep Neural
    Networks with Noisy Labels, NeurIPS 2018. See :class:`TruncatedGCE`.

    Examples
    --------
    >>> import torch
    >>> from sknoisy.losses import GCE
    >>> GCE(q=1.0)(torch.zeros(1, 4), torch.tensor([2]), None)
    tensor([0.7500])
    """

    soft_labels = True

    def __init__(self, q=0.7):
        self.q = q

    def check(self):  # noqa: D102
        check_real("q", self.q, "(0, 1]")

    def __call__(self, logits, target, index):  # noqa: D102
        return generalized_cross_entropy(logits, target, self.q)
