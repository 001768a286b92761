"""Active passive losses: a normalised loss plus a robust loss."""

from sknoisy.checks import check_choice, check_real
from sknoisy.losses.base import Loss
from sknoisy.losses.expected import expected
from sknoisy.losses.mae import mean_absolute_error
from sknoisy.losses.sce import reverse_cross_entropy


def normalized_focal(logits, target, gamma):
    """Return the normalised focal loss of each sample.

    This is the focal loss of the label, divided by the sum of the focal losses of all
    classes.

    Parameters
    ----------
    logits : tensor of shape (n, n_classes)
        Outputs before the softmax.
    target : tensor of shape (n,), int64, or (n, n_classes)
        Codes of the labels, or soft labels.
    gamma : float
        Exponent of the focal factor (1 - p)^gamma. No gradient flows through the
        factor, as in the official code. With 0 this is normalised cross-entropy.
    """
    log_p = logits.log_softmax(dim=1)
    factor = (1 - log_p.detach().exp()).clamp(min=0) ** gamma
    focal = -factor * log_p
    total = focal.sum(dim=1)
    if target.is_floating_point():
        return expected(focal, target) / total
    return focal.gather(1, target[:, None])[:, 0] / total


class APL(Loss):
    """Weighted sum of an active and a passive loss.

    The active loss raises the probability of the label, and the passive loss lowers
    the probabilities of the other classes. Both are robust to symmetric noise. A robust
    loss alone tends to underfit; the sum does not.

    Parameters
    ----------
    active : {"nce", "nfl", None}, default="nfl"
        Normalised cross-entropy, normalised focal loss or no active loss.
    passive : {"mae", "rce", None}, default="rce"
        Mean absolute error, reverse cross-entropy or no passive loss.
    alpha : float, default=1.0
        Weight of the active loss. The official code takes 1 for CIFAR-10 and 10 for
        CIFAR-100.
    beta : float, default=1.0
        Weight of the passive loss. The official code takes 1 for CIFAR-10 and 0.1 for
        CIFAR-100.
    gamma : float, default=0.5
        Exponent of the focal factor, for "nfl" only; 0 gives cross-entropy.
    A : float, default=-4.0
        Value that replaces log 0 in reverse cross-entropy; see :class:`SCE`. Ciortan
        et al. take -4. The official code of the loss clamps labels at 1e-4, which
        corresponds to -9.21.

    Notes
    -----
    The names "nce", "nfl", "nce_mae", "nce_rce", "nfl_mae", "nfl_rce" and "rce" are
    short for instances of this class.

    In the paper, the gradient flows through the focal factor. The official code
    detaches the factor, and so does this class. :class:`Focal` does not.

    References
    ----------
    Ma et al., Normalized Loss Functions for Deep Learning with Noisy Labels, ICML
    2020. Ciortan, Dupuis and Peel, A Framework using Contrastive Learning for
    Classification with Noisy Labels, 2021.

    Examples
    --------
    >>> import torch
    >>> from sknoisy.losses import APL
    >>> APL("nce", "mae")(torch.zeros(1, 4), torch.tensor([2]), None)
    tensor([1.])
    """

    soft_labels = True

    def __init__(
        self, active="nfl", passive="rce", alpha=1.0, beta=1.0, gamma=0.5, A=-4.0
    ):
        self.active = active
        self.passive = passive
        self.alpha = alpha
        self.beta = beta
        self.gamma = gamma
        self.A = A

    def check(self):  # noqa: D102
        check_choice("active", self.active, ["nce", "nfl", None])
        check_choice("passive", self.passive, ["mae", "rce", None])
        if self.active is None and self.passive is None:
            raise ValueError("active=None and passive=None leave no loss.")
        check_real("alpha", self.alpha, "[0, inf)")
        check_real("beta", self.beta, "[0, inf)")
        check_real("gamma", self.gamma, "[0, inf)")
        check_real("A", self.A, "(-inf, 0)")

    def __call__(self, logits, target, index):  # noqa: D102
        loss = 0.0
        if self.active is not None:
            gamma = self.gamma if self.active == "nfl" else 0.0
            loss = self.alpha * normalized_focal(logits, target, gamma)
        if self.passive == "mae":
            loss = loss + self.beta * mean_absolute_error(logits, target)
        elif self.passive == "rce":
            loss = loss + self.beta * reverse_cross_entropy(logits, target, self.A)
        return loss
