"""IMAE: cross-entropy with a weight for each sample."""

from sknoisy.checks import check_real
from sknoisy.losses.base import Loss
from sknoisy.losses.expected import class_losses, expected

LEAST_MISS = 1e-6  # 1 - p_y, at least; weights are divided by it


def imae_weights(p, T, target=None):
    """Return the weights of the samples of a batch.

    The gradient of the cross-entropy with respect to the logits has the L1 norm
    2 (1 - p_y). With these weights the norm is exp(T p_y (1 - p_y)), divided by its
    mean over the batch.

    Parameters
    ----------
    p : tensor of shape (n,) or (n, n_classes)
        Probabilities of the labels; of all classes, where labels are soft.
    T : float
        Scale of the exponent. The larger, the more weight is on samples with p near
        1/2.
    target : tensor of shape (n, n_classes), default=None
        Soft labels, by which the norms are averaged.
    """
    norms = (T * p * (1 - p)).exp()
    mean = (norms if target is None else expected(norms, target)).mean()
    return norms / mean / (2 * (1 - p).clamp(min=LEAST_MISS))


class IMAE(Loss):
    """Improved mean absolute error: cross-entropy with weighted gradients.

    Mean absolute error has next to no gradient where the probability of the label is
    near 0 or near 1. With IMAE, improbable labels have small gradients, too, but the
    gradients of samples differ more from each other.

    Parameters
    ----------
    T : float, default=8.0
        Factor of p_y (1 - p_y) in the exponent of the weights. The larger T is, the
        more weight samples with p_y near 1/2 have.

    Notes
    -----
    IMAE weights gradients; it is not the gradient of a loss. The value here is weighted
    cross-entropy, and no gradient flows through the weights. The weights and their
    normalisation over the batch are those of the authors' Caffe layer, and T=8 is taken
    from its settings for CIFAR-100.

    References
    ----------
    Wang et al., IMAE for Noise-Robust Learning: Mean Absolute Error Does Not Treat
    Examples Equally and Gradient Magnitude's Variance Matters, 2019.

    Examples
    --------
    >>> import torch
    >>> from sknoisy.losses import IMAE
    >>> IMAE()(torch.zeros(1, 2), torch.tensor([1]), None)
    tensor([0.6931])
    """

    soft_labels = True

    def __init__(self, T=8.0):
        self.T = T

    def check(self):  # noqa: D102
        check_real("T", self.T, "[0, inf)")

    def __call__(self, logits, target, index):  # noqa: D102
        ce = class_losses(logits, target)
        soft = target if target.is_floating_point() else None
        weights = imae_weights((-ce.detach()).exp(), self.T, soft)
        return expected(weights * ce, target)
