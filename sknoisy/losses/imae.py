"""IMAE: cross-entropy's direction, with a weight for each sample of its own."""

from sknoisy.losses.base import Loss
from sknoisy.losses.cross_entropy import cross_entropy
from sknoisy.parameters import check_real

FLOOR = 1e-6  # of 1 - p_y, which the weight is divided by


def imae_weights(p, T):
    """Return the weights of samples whose labels have probabilities p.

    The gradient of cross-entropy by the logits has an L1 norm of 2 (1 - p_y); with
    these weights it is exp(T p_y (1 - p_y)), over its mean in the batch.

    Parameters
    ----------
    p : tensor of shape (n,)
        Probabilities of the labels.
    T : float
        How much samples of middling probability count more than others.
    """
    norms = (T * p * (1 - p)).exp()
    return norms / norms.mean() / (2 * (1 - p).clamp(min=FLOOR))


class IMAE(Loss):
    """Improved mean absolute error, by weighting gradients.

    Mean absolute error gives samples of a label's probability near 0 or 1 next to no
    gradient; IMAE keeps the former's small but the variance between them larger.

    Parameters
    ----------
    T : float, default=8.0
        Scale of the exponent p_y (1 - p_y).

    Notes
    -----
    This is a weighting of gradients, not the gradient of any loss: the value is
    weighted cross-entropy, whose weights are constants of the gradient. The weighting
    and its normalisation by the batch are those of the authors' Caffe layer; T=8 is
    the scale in its settings for CIFAR-100.

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

    def __init__(self, T=8.0):
        self.T = T

    def check(self):  # noqa: D102
        check_real("T", self.T, "[0, inf)")

    def __call__(self, logits, target, index):  # noqa: D102
        ce = cross_entropy(logits, target)
        return imae_weights((-ce.detach()).exp(), self.T) * ce
