"""Symmetric cross-entropy: cross-entropy plus reverse cross-entropy."""

from sknoisy.checks import check_real
from sknoisy.losses.base import Loss
from sknoisy.losses.cross_entropy import cross_entropy
from sknoisy.losses.mae import mean_absolute_error


def reverse_cross_entropy(logits, target, A):
    """Return -sum(p log y) of each sample, -A (1 - p_y) of a hard label.

    This is the cross-entropy with label and prediction swapped.

    Parameters
    ----------
    logits : tensor of shape (n, n_classes)
        Outputs before the softmax.
    target : tensor of shape (n,), int64, or (n, n_classes)
        Codes of the labels, or soft labels.
    A : float
        Smallest logarithm of a label's probability, which replaces log 0; negative.
    """
    if not target.is_floating_point():
        return -A * mean_absolute_error(logits, target)
    share = 1 - target.log().clamp(min=A) / A  # 1 at a hard label, 0 elsewhere
    return -A * (1 - (logits.softmax(dim=1) * share).sum(dim=1))


class SCE(Loss):
    """Symmetric cross-entropy, alpha * CE + beta * RCE (reverse cross-entropy).

    Parameters
    ----------
    alpha : float, default=0.1
        Weight of cross-entropy. The paper takes 0.1 for CIFAR-10 and 6 for CIFAR-100.
    beta : float, default=1.0
        Weight of reverse cross-entropy. The paper takes 1 for CIFAR-10 and 0.1 for
        CIFAR-100.
    A : float, default=-4.0
        Value that replaces log 0. The paper takes -4. The official code clamps labels
        at 1e-4, which corresponds to -9.21 and gives `beta` 2.3 times the weight.

    References
    ----------
    Wang et al., Symmetric Cross Entropy for Robust Learning with Noisy Labels,
    ICCV 2019.

    Examples
    --------
    >>> import torch
    >>> from sknoisy.losses import SCE
    >>> SCE(alpha=0.0)(torch.zeros(1, 4), torch.tensor([2]), None)
    tensor([3.])
    """

    soft_labels = True

    def __init__(self, alpha=0.1, beta=1.0, A=-4.0):
        self.alpha = alpha
        self.beta = beta
        self.A = A

    def check(self):  # noqa: D102
        check_real("alpha", self.alpha, "[0, inf)")
        check_real("beta", self.beta, "[0, inf)")
        check_real("A", self.A, "(-inf, 0)")

    def __call__(self, logits, target, index):  # noqa: D102
        active = cross_entropy(logits, target)
        passive = reverse_cross_entropy(logits, target, self.A)
        return self.alpha * active + self.beta * passive
