"""Focal loss: cross-entropy that gives less weight to samples already learned."""

import torch

from sknoisy.checks import check_real
from sknoisy.losses.base import Loss
from sknoisy.losses.expected import class_losses, expected


def focal(logits, target, gamma):
    """Return -(1 - p_y)^gamma log p_y of each sample.

    Parameters
    ----------
    logits : tensor of shape (n, n_classes)
        Outputs before the softmax.
    target : tensor of shape (n,), int64, or (n, n_classes)
        Codes of the labels, or soft labels.
    gamma : float
        Exponent; 0 is cross-entropy.
    """
    ce = class_losses(logits, target)
    # expm1 is accurate where p_y is near 1; a root has no finite gradient at 0.
    miss = -torch.expm1(-ce)
    return expected(miss.clamp(min=1e-12) ** gamma * ce, target)


class Focal(Loss):
    """Focal loss.

    Not robust to noise: it emphasises hard samples, many of which are mislabelled. It
    is here for comparison.

    Parameters
    ----------
    gamma : float, default=2.0
        Exponent of the factor 1 - p_y; 0 is cross-entropy.

    Notes
    -----
    The gradient flows through the factor, as in the paper, but not in the normalised
    focal loss of :class:`APL`.

    References
    ----------
    Lin et al., Focal Loss for Dense Object Detection, ICCV 2017.

    Examples
    --------
    >>> import torch
    >>> from sknoisy.losses import Focal
    >>> Focal(gamma=1.0)(torch.zeros(1, 4), torch.tensor([2]), None)
    tensor([1.0397])
    """

    soft_labels = True

    def __init__(self, gamma=2.0):
        self.gamma = gamma

    def check(self):  # noqa: D102
        check_real("gamma", self.gamma, "[0, inf)")

    def __call__(self, logits, target, index):  # noqa: D102
        return focal(logits, target, self.gamma)
