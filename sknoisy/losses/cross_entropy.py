"""Cross-entropy: the loss to compare with."""

from torch.nn import functional as F

from sknoisy.losses.base import Loss


def cross_entropy(logits, target):
    """Return -log p_y of each sample.

    Parameters
    ----------
    logits : tensor of shape (n, n_classes)
        Outputs before the softmax.
    target : tensor of shape (n,), int64
        Codes of the labels.
    """
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

    def __call__(self, logits, target, index):  # noqa: D102
        return cross_entropy(logits, target)
