"""Active passive losses: a normalised loss plus one that is robust by itself."""

from sknoisy.losses.base import Loss
from sknoisy.losses.mae import mean_absolute_error
from sknoisy.losses.sce import reverse_cross_entropy
from sknoisy.parameters import check_choice, check_real


def normalized_focal(logits, target, gamma):
    """Return the focal loss of each sample's label, divided by that of all classes.

    Parameters
    ----------
    logits : tensor of shape (n, n_classes)
        Outputs before the softmax.
    target : tensor of shape (n,), int64
        Codes of the labels.
    gamma : float
        Exponent of the focal factor (1 - p)^gamma, which is a constant of the
        gradient, as in the official code. 0 is normalised cross-entropy.
    """
    log_p = logits.log_softmax(dim=1)
    factor = (1 - log_p.detach().exp()).clamp(min=0) ** gamma
    focal = -factor * log_p
    return focal.gather(1, target[:, None])[:, 0] / focal.sum(dim=1)


class APL(Loss):
    """An active loss, alpha times, plus a passive loss, beta times.

    The active loss pulls the label's probability up, the passive one pulls all others
    down; both are robust to symmetric noise, and together they do not underfit.

    Parameters
    ----------
    active : {"nce", "nfl", None}, default="nfl"
        Normalised cross-entropy, normalised focal loss or nothing.
    passive : {"mae", "rce", None}, default="rce"
        Mean absolute error, reverse cross-entropy or nothing.
    alpha : float, default=1.0
        Weight of the active loss. 1 for CIFAR-10, 10 for CIFAR-100.
    beta : float, default=1.0
        Weight of the passive loss. 1 for CIFAR-10, 0.1 for CIFAR-100.
    gamma : float, default=0.5
        Exponent of the focal factor.
    A : float, default=-4.0
        What stands for log 0 in reverse cross-entropy; see :class:`SCE`. Ciortan et
        al. say -4, the official code of the loss clamps at 1e-4, which is -9.21.

    Notes
    -----
    The names "nce", "nfl", "nce_mae", "nce_rce", "nfl_mae", "nfl_rce" and "rce" stand
    for such objects. The paper's focal factor takes part in the gradient; the
    official code detaches it, and so does this.

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
