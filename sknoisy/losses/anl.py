"""Active negative losses: a normalised loss plus a normalised negative loss."""

import math

from sknoisy.checks import check_real
from sknoisy.losses.apl import normalized_focal
from sknoisy.losses.base import Loss
from sknoisy.losses.expected import as_distributions


def normalized_negative_focal(logits, target, gamma, min_prob):
    """Return the normalised negative focal loss of each sample.

    Each class has a value: the largest possible focal loss minus the focal loss of the
    class. The loss is the share that the classes other than the label have of the sum.

    Parameters
    ----------
    logits : tensor of shape (n, n_classes)
        Outputs before the softmax.
    target : tensor of shape (n,), int64, or (n, n_classes)
        Codes of the labels, or soft labels.
    gamma : float
        Exponent of the focal factor (1 - p)^gamma. No gradient flows through the
        factor, as in the official code. With 0 this is the normalised negative
        cross-entropy.
    min_prob : float
        Smaller probabilities count as this, in (0, 1), and get no gradient.
    """
    log_p = logits.log_softmax(dim=1).clamp(min=math.log(min_prob))
    factor = (1 - log_p.detach().exp()).clamp(min=0) ** gamma
    largest = -((1 - min_prob) ** gamma) * math.log(min_prob)
    below = largest + factor * log_p
    label = as_distributions(target, logits.shape[1], logits.dtype)
    return 1 - (label * below).sum(dim=1) / below.sum(dim=1)


class ANL(Loss):
    """Weighted sum of a normalised loss and a normalised negative loss.

    As in :class:`APL`, an active loss raises the probability of the label, and a second
    loss lowers the probabilities of the other classes. In APL, the second loss is a
    multiple of the mean absolute error, with which networks learn slowly. Here it is
    the active loss turned upside down.

    Parameters
    ----------
    alpha : float, default=5.0
        Weight of the normalised loss. The official code takes 5 for CIFAR-10, 10
        for CIFAR-100 and 20 for WebVision.
    beta : float, default=5.0
        Weight of the normalised negative loss. The official code takes 5 for CIFAR-10
        and 1 for other data.
    gamma : float, default=0.0
        Exponent of the focal factor; 0 gives cross-entropy. The paper takes 0.5.
    min_prob : float, default=1e-7
        Smaller probabilities count as this in the negative loss, and get no gradient
        there; in (0, 1 / n_classes).

    Notes
    -----
    The names "anl_ce" and "anl_fl" are short for this class with a `gamma` of 0 and of
    0.5.

    The official code adds the L1 norm of all weights of the network, times 5e-5 for
    CIFAR-10 and 5e-7 for CIFAR-100, in place of weight decay. This class does not add
    it; the classifier's `weight_decay` applies as with other losses.

    References
    ----------
    Ye et al., Active Negative Loss Functions for Learning with Noisy Labels, NeurIPS
    2023.

    Examples
    --------
    >>> import torch
    >>> from sknoisy.losses import ANL
    >>> ANL(1.0, 1.0)(torch.zeros(1, 4), torch.tensor([2]), None)
    tensor([1.])
    """

    soft_labels = True

    def __init__(self, alpha=5.0, beta=5.0, gamma=0.0, min_prob=1e-7):
        self.alpha = alpha
        self.beta = beta
        self.gamma = gamma
        self.min_prob = min_prob

    def check(self):  # noqa: D102
        check_real("alpha", self.alpha, "[0, inf)")
        check_real("beta", self.beta, "[0, inf)")
        check_real("gamma", self.gamma, "[0, inf)")
        check_real("min_prob", self.min_prob, "(0, 1)")

    def start(self, n_samples, n_classes, device):  # noqa: D102
        super().start(n_samples, n_classes, device)
        if self.min_prob >= 1 / n_classes:
            raise ValueError(
                f"min_prob={self.min_prob!r} is not valid with {n_classes} classes: it "
                f"must be below 1 / {n_classes}."
            )

    def __call__(self, logits, target, index):  # noqa: D102
        gamma = self.gamma
        active = normalized_focal(logits, target, gamma)
        negative = normalized_negative_focal(logits, target, gamma, self.min_prob)
        return self.alpha * active + self.beta * negative
