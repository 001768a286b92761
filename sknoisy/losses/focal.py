"""Focal loss: cross-entropy that looks away from what is learned already."""

import torch

from sknoisy.losses.base import Loss
from sknoisy.losses.cross_entropy import cross_entropy
from sknoisy.parameters import check_real


def focal(logits, target, gamma):
    """Return -(1 - p_y)^gamma log p_y of each sample.

    Parameters
    ----------
    logits : tensor of shape (n, n_classes)
        Outputs before the softmax.
    target : tensor of shape (n,), int64
        Codes of the labels.
    gamma : float
        Exponent; 0 is cross-entropy.
    """
    ce = cross_entropy(logits, target)
    # 1 - p_y as -expm1 is exact near 1, and kept off 0, where its root has no slope.
    miss = -torch.expm1(-ce)
    return miss.clamp(min=1e-12) ** gamma * ce


class Focal(Loss):
    """Focal loss.

    Not robust to noise: it dwells on hard samples, many of which are mislabelled.
    Here to be compared with.

    Parameters
    ----------
    gamma : float, default=2.0
        Exponent of the factor 1 - p_y.

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

    def __init__(self, gamma=2.0):
        self.gamma = gamma

    def check(self):  # noqa: D102
        check_real("gamma", self.gamma, "[0, inf)")

    def __call__(self, logits, target, index):  # noqa: D102
        return focal(logits, target, self.gamma)
