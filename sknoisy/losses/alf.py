"""Asymmetric losses: robust if the right label is frequent enough among the labels."""

import torch

from sknoisy.checks import check_choice, check_real
from sknoisy.losses.apl import normalized_focal
from sknoisy.losses.base import Loss
from sknoisy.losses.expected import class_losses, expected


def asymmetric_generalized_cross_entropy(logits, target, a, q):
    """Return ((a + 1)^q - (a + p_y)^q) / q of each sample.

    Parameters
    ----------
    logits : tensor of shape (n, n_classes)
        Outputs before the softmax.
    target : tensor of shape (n,), int64, or (n, n_classes)
        Codes of the labels, or soft labels.
    a, q : float
        Above 0.
    """
    p = (-class_losses(logits, target)).exp()
    return expected(((a + 1) ** q - (a + p) ** q) / q, target)


def asymmetric_unhinged(logits, target, a, q):
    """Return ((a - p_y)^q - (a - 1)^q) / q of each sample.

    Parameters
    ----------
    logits : tensor of shape (n, n_classes)
        Outputs before the softmax.
    target : tensor of shape (n,), int64, or (n, n_classes)
        Codes of the labels, or soft labels.
    a, q : float
        Above 1 and above 0.
    """
    p = (-class_losses(logits, target)).exp()
    return expected(((a - p) ** q - (a - 1) ** q) / q, target)


def asymmetric_exponential(logits, target, a):
    """Return exp(-p_y / a) of each sample.

    Parameters
    ----------
    logits : tensor of shape (n, n_classes)
        Outputs before the softmax.
    target : tensor of shape (n,), int64, or (n, n_classes)
        Codes of the labels, or soft labels.
    a : float
        Above 0.
    """
    p = (-class_losses(logits, target)).exp()
    return expected(torch.exp(-p / a), target)


class ALF(Loss):
    """Asymmetric loss function, alone or beside normalised cross-entropy.

    The expected loss over the noisy labels of a sample is least where its right label
    has probability 1, if that label is at least r times as frequent as any other. The
    noise need not be symmetric. r is 1 or a little more, by `a` and `q`; the larger it
    is, the more easily the network learns.

    Parameters
    ----------
    kind : {"agce", "aul", "ael"}, default="agce"
        Asymmetric generalised cross-entropy, unhinged loss or exponential loss.
    a : float, default=0.6
        Above 0; above 1 for "aul".
    q : float, default=0.6
        Exponent, above 0; unused for "ael".
    alpha : float, default=0.0
        Weight of normalised cross-entropy, see :class:`APL`.
    beta : float, default=1.0
        Weight of the asymmetric loss.

    Notes
    -----
    The names stand for the official code's settings for CIFAR-10:

    ============ ======= ===== ===== ======= ======
    name         `kind`  `a`   `q`   `alpha` `beta`
    ============ ======= ===== ===== ======= ======
    "agce"       "agce"  0.6   0.6   0       1
    "aul"        "aul"   5.5   3     0       1
    "ael"        "ael"   2.5         0       1
    "nce_agce"   "agce"  6     1.5   1       4
    "nce_aul"    "aul"   6.3   1.5   1       4
    "nce_ael"    "ael"   5           1       4
    ============ ======= ===== ===== ======= ======

    For CIFAR-100, the code takes a weight `alpha` of 10 beside "agce" with `a` of 1.8,
    `q` of 3 and `beta` of 0.1, "aul" with 6, 3 and 0.015, and "ael" with `a` of 1.5 and
    `beta` of 0.1.

    r is ((a + 1) / a)^(1 - q) for "agce", if q is below 1, (a / (a - 1))^(q - 1) for
    "aul", if q is above 1, and exp(1 / a) for "ael"; otherwise it is 1.

    References
    ----------
    Zhou et al., Asymmetric Loss Functions for Learning with Noisy Labels, ICML 2021.

    Examples
    --------
    >>> import torch
    >>> from sknoisy.losses import ALF
    >>> ALF("agce", a=1.0, q=2.0)(torch.zeros(1, 2), torch.tensor([1]), None)
    tensor([0.8750])
    """

    soft_labels = True

    def __init__(self, kind="agce", a=0.6, q=0.6, alpha=0.0, beta=1.0):
        self.kind = kind
        self.a = a
        self.q = q
        self.alpha = alpha
        self.beta = beta

    def check(self):  # noqa: D102
        check_choice("kind", self.kind, ["agce", "aul", "ael"])
        check_real("a", self.a, "(1, inf)" if self.kind == "aul" else "(0, inf)")
        check_real("q", self.q, "(0, inf)")
        check_real("alpha", self.alpha, "[0, inf)")
        check_real("beta", self.beta, "[0, inf)")

    def __call__(self, logits, target, index):  # noqa: D102
        if self.kind == "agce":
            loss = asymmetric_generalized_cross_entropy(logits, target, self.a, self.q)
        elif self.kind == "aul":
            loss = asymmetric_unhinged(logits, target, self.a, self.q)
        else:
            loss = asymmetric_exponential(logits, target, self.a)
        loss = self.beta * loss
        if self.alpha:
            loss = loss + self.alpha * normalized_focal(logits, target, 0.0)
        return loss
