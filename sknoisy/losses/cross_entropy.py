"""Cross-entropy, which is the baseline, and label smoothing."""

from torch.nn import functional as F

from sknoisy.checks import check_real
from sknoisy.losses.base import Loss


def cross_entropy(logits, target):
    """Return -log p_y of each sample.

    Parameters
    ----------
    logits : tensor of shape (n, n_classes)
        Outputs before the softmax.
    target : tensor of shape (n,), int64, or (n, n_classes)
        Codes of the labels, or soft labels.
    """
    if target.is_floating_point():
        target = target.to(logits)
    return F.cross_entropy(logits, target, reduction="none")


class CrossEntropy(Loss):
    """Cross-entropy, -log p_y.

    Not robust: a network that trains long enough memorises wrong labels.

    Examples
    --------
    >>> import torch
    >>> from sknoisy.losses import CrossEntropy
    >>> CrossEntropy()(torch.zeros(1, 4), torch.tensor([2]), None)
    tensor([1.3863])
    """

    soft_labels = True

    def __call__(self, logits, target, index):  # noqa: D102
        return cross_entropy(logits, target)


class LabelSmoothing(Loss):
    """Cross-entropy with smoothed labels.

    Parameters
    ----------
    smoothing : float, default=0.1
        Share of the label that is spread evenly over all classes, in [0, 1].

    References
    ----------
    Szegedy et al., Rethinking the Inception Architecture for Computer Vision, CVPR
    2016. On noisy labels: Lukasik et al., Does Label Smoothing Mitigate Label Noise?,
    ICML 2020.

    Examples
    --------
    >>> import torch
    >>> from sknoisy.losses import LabelSmoothing
    >>> LabelSmoothing()(torch.zeros(1, 4), torch.tensor([2]), None)
    tensor([1.3863])
    """

    soft_labels = True

    def __init__(self, smoothing=0.1):
        self.smoothing = smoothing

    def check(self):  # noqa: D102
        check_real("smoothing", self.smoothing, "[0, 1]")

    def __call__(self, logits, target, index):  # noqa: D102
        if target.is_floating_point():
            even = -logits.log_softmax(dim=1).sum(dim=1) * (
                self.smoothing / logits.shape[1]
            )
            return (1 - self.smoothing) * cross_entropy(logits, target) + even
        return F.cross_entropy(
            logits, target, reduction="none", label_smoothing=self.smoothing
        )
