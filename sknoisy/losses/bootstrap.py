"""Bootstrapping: labels are mixed with the network's own predictions."""

from sknoisy.checks import check_real
from sknoisy.losses.base import Loss
from sknoisy.losses.cross_entropy import cross_entropy


def soft_bootstrap(logits, target, beta):
    """Return -sum((beta q + (1 - beta) p) log p) of each sample.

    Parameters
    ----------
    logits : tensor of shape (n, n_classes)
        Outputs before the softmax.
    target : tensor of shape (n,), int64, or (n, n_classes)
        Codes of the labels, or soft labels; q is their one-hot form.
    beta : float
        Weight of the label; 1 is cross-entropy.
    """
    log_p = logits.log_softmax(dim=1)
    entropy = -(log_p.exp() * log_p).sum(dim=1)
    return beta * cross_entropy(logits, target) + (1 - beta) * entropy


def hard_bootstrap(logits, target, beta):
    """Return the cross-entropy of a mixture of label and predicted class.

    Parameters
    ----------
    logits : tensor of shape (n, n_classes)
        Outputs before the softmax.
    target : tensor of shape (n,), int64, or (n, n_classes)
        Codes of the labels, or soft labels.
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
    As in the paper, the gradient flows through both occurrences of p in
    -sum((beta q + (1 - beta) p) log p). The authors of :class:`Forward` clip p to
    [1e-7, 1 - 1e-7] in their code of this loss; here p is not clipped.

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

    soft_labels = True

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

    soft_labels = True

    def __init__(self, beta=0.8):
        self.beta = beta

    def check(self):  # noqa: D102
        check_real("beta", self.beta, "[0, 1]")

    def __call__(self, logits, target, index):  # noqa: D102
        return hard_bootstrap(logits, target, self.beta)


class ProgressiveBootstrap(Loss):
    """Hard bootstrapping with a weight of the labels that falls during the training.

    The weight of the label, alpha, falls from 1 in the first epoch towards 0 at the end
    of the training.

    Parameters
    ----------
    power : float, default=1.0
        alpha is (1 - share of completed epochs)^power. The paper does not say how alpha
        falls; with 1 it falls linearly.

    Notes
    -----
    Equations 12 and 13 of the paper apply the logarithm twice; here it is applied once.

    alpha should fall after the network has learned the classes and before it memorises
    wrong labels. On 10,000 images of CIFAR-10 without augmentation, where a network
    memorised the labels within a few of 15 epochs, power=3 gained 6 points over
    cross-entropy at 60% symmetric noise and nothing at 40% instance-dependent noise
    (mean of three seeds); power=1 gained 2 and lost 2 points (one seed). With
    augmentation, which kept the network from memorising, power=1 lost 10 points.

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

    soft_labels = True

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
