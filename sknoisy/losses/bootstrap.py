"""Bootstrapping: the label is mixed with what the network says itself."""

from sknoisy.losses.base import Loss
from sknoisy.losses.cross_entropy import cross_entropy
from sknoisy.parameters import check_real


def soft_bootstrap(logits, target, beta):
    """Return -(beta q + (1 - beta) p) log p of each sample.

    Parameters
    ----------
    logits : tensor of shape (n, n_classes)
        Outputs before the softmax.
    target : tensor of shape (n,), int64
        Codes of the labels; q is their one-hot form.
    beta : float
        Weight of the label; 1 is cross-entropy.
    """
    log_p = logits.log_softmax(dim=1)
    entropy = -(log_p.exp() * log_p).sum(dim=1)
    return beta * cross_entropy(logits, target) + (1 - beta) * entropy


def hard_bootstrap(logits, target, beta):
    """Return cross-entropy of the label and, for the rest, of the predicted class.

    Parameters
    ----------
    logits : tensor of shape (n, n_classes)
        Outputs before the softmax.
    target : tensor of shape (n,), int64
        Codes of the labels.
    beta : float
        Weight of the label; 1 is cross-entropy.
    """
    predicted = logits.argmax(dim=1)
    own = cross_entropy(logits, predicted)
    return beta * cross_entropy(logits, target) + (1 - beta) * own


class SoftBootstrap(Loss):
    """Soft bootstrapping: the label mixed with the network's probabilities.

    Parameters
    ----------
    beta : float, default=0.95
        Weight of the label, in [0, 1].

    Notes
    -----
    The gradient runs through the probabilities in both places, as in the paper.

    References
    ----------
    Reed et al., Training Deep Neural Networks on Noisy Labels with Bootstrapping,
    2014.

    Examples
    --------
    >>> import torch
    >>> from sknoisy.losses import SoftBootstrap
    >>> SoftBootstrap()(torch.zeros(1, 4), torch.tensor([2]), None)
    tensor([1.3863])
    """

    def __init__(self, beta=0.95):
        self.beta = beta

    def check(self):  # noqa: D102
        check_real("beta", self.beta, "[0, 1]")

    def __call__(self, logits, target, index):  # noqa: D102
        return soft_bootstrap(logits, target, self.beta)


class HardBootstrap(Loss):
    """Hard bootstrapping: the label mixed with the network's predicted class.

    Parameters
    ----------
    beta : float, default=0.8
        Weight of the label, in [0, 1].

    References
    ----------
    Reed et al., Training Deep Neural Networks on Noisy Labels with Bootstrapping,
    2014.

    Examples
    --------
    >>> import torch
    >>> from sknoisy.losses import HardBootstrap
    >>> HardBootstrap()(torch.zeros(1, 4), torch.tensor([2]), None)
    tensor([1.3863])
    """

    def __init__(self, beta=0.8):
        self.beta = beta

    def check(self):  # noqa: D102
        check_real("beta", self.beta, "[0, 1]")

    def __call__(self, logits, target, index):  # noqa: D102
        return hard_bootstrap(logits, target, self.beta)


class ProgressiveBootstrap(Loss):
    """Hard bootstrapping whose trust moves from the labels to the network.

    The label's weight alpha falls from 1 in the first epoch towards 0 after the last.

    Parameters
    ----------
    power : float, default=1.0
        alpha is (1 - share of epochs done)^power. The paper does not say how alpha
        falls; 1 is a straight line.

    Notes
    -----
    The paper's equations 12 and 13 take the logarithm twice; this takes it once.

    alpha must fall after the network has learned and before it memorises. On 10,000
    images of CIFAR-10 without views, memorised in a few of 15 epochs, power=3 gained 6
    points over cross-entropy at 60% symmetric noise and nothing at 40% of
    instance-dependent noise (mean of three seeds), power=1 gained 2 and lost 2 (one
    seed); with views, which kept the network from memorising, power=1 lost 10.

    References
    ----------
    Tai, Jhang and Hwang, Robust Feature Learning against Noisy Labels, 2023,
    equations 12 and 13.

    Examples
    --------
    >>> import torch
    >>> from sknoisy.losses import ProgressiveBootstrap
    >>> loss = ProgressiveBootstrap()
    >>> loss.start(n_samples=1, n_classes=2, device="cpu")
    >>> loss.on_epoch(epoch=50, n_epochs=100)
    >>> loss.alpha_
    0.5
    """

    def __init__(self, power=1.0):
        self.power = power

    def check(self):  # noqa: D102
        check_real("power", self.power, "(0, inf)")

    def start(self, n_samples, n_classes, device):  # noqa: D102
        super().start(n_samples, n_classes, device)
        self.alpha_ = 1.0

    def on_epoch(self, epoch, n_epochs):  # noqa: D102
        self.alpha_ = max(0.0, 1 - epoch / n_epochs) ** self.power

    def __call__(self, logits, target, index):  # noqa: D102
        return hard_bootstrap(logits, target, self.alpha_)
