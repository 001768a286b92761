"""Early-learning regularisation: predictions stay near their running averages."""

import torch

from sknoisy.checks import check_real
from sknoisy.losses.base import Loss
from sknoisy.losses.table import Table, check_storage

CLAMP = 1e-4  # distance of probabilities from 0 and 1, as in the official code


def early_learning_regularizer(probs, target):
    """Return log(1 - <p, t>) of each sample.

    Parameters
    ----------
    probs : tensor of shape (n, n_classes)
        Probabilities.
    target : tensor of shape (n, n_classes)
        Running averages of each sample's probabilities.
    """
    return (1 - (probs * target).sum(dim=1)).log()


class ELR(Loss):
    """Cross-entropy with early-learning regularisation.

    Each sample has a target t, the running average of the network's predictions for
    it. The regulariser keeps predictions near the target, while cross-entropy pulls
    them towards the label.

    Parameters
    ----------
    lam : float, default=3.0
        Weight of the regulariser; 0 is plain cross-entropy. The paper takes 3 for
        symmetric and 1 for asymmetric noise on CIFAR-10, and 7 for CIFAR-100.
    beta : float, default=0.7
        Momentum of the targets. The paper takes 0.7 for symmetric and 0.9 for
        asymmetric noise on CIFAR-10, and 0.9 for CIFAR-100.
    storage : {"float32", "float16"} or int, default="float32"
        Number format of the targets. An integer k stores the k largest entries of each
        target only: with k=10, a million samples of 1,000 classes take 40 MB instead of
        4 GB.

    Attributes
    ----------
    state_ : dict
        ``"target"``: tensor of shape (n_samples, n_classes), initially 0. It takes 4 or
        2 bytes for each sample and class, or 4 bytes for each stored entry.

    Notes
    -----
    As in the official code, a target is updated before it is used. Probabilities are
    clamped to [1e-4, 1 - 1e-4] and, for the update, normalised to sum to 1.

    References
    ----------
    Liu et al., Early-Learning Regularization Prevents Memorization of Noisy Labels,
    NeurIPS 2020.

    Examples
    --------
    >>> import torch
    >>> from sknoisy.losses import ELR
    >>> elr = ELR(lam=0.0)
    >>> elr.start(n_samples=1, n_classes=4, device="cpu")
    >>> elr(torch.zeros(1, 4), torch.tensor([2]), torch.tensor([0]))
    tensor([1.3863])
    """

    soft_labels = True
    transient = ("_target",)

    def __init__(self, lam=3.0, beta=0.7, storage="float32"):
        self.lam = lam
        self.beta = beta
        self.storage = storage

    def check(self):  # noqa: D102
        check_real("lam", self.lam, "[0, inf)")
        check_real("beta", self.beta, "[0, 1)")
        check_storage(self.storage)

    def start(self, n_samples, n_classes, device):  # noqa: D102
        self.state_, shape = {}, (n_samples, n_classes)
        self._target = Table(self.state_, "target", shape, self.storage, device)

    def __call__(self, logits, target, index):  # noqa: D102
        return _Known.apply(logits, *self._losses_and_slopes(logits, target, index))

    @torch.no_grad()
    def _losses_and_slopes(self, logits, target, index):
        """Return the losses and their gradients, with as few operations as can be.

        With a small network, autograd's many would take half of the loss's time.
        """
        # Classes first: PyTorch's softmax of few classes side by side is slow.
        log_p = logits.T.contiguous().log_softmax(dim=0).T.contiguous()
        p = log_p.exp()
        probs = p.clamp(CLAMP, 1 - CLAMP)
        normal = probs / probs.sum(dim=1, keepdim=True)
        average = normal.lerp_(self._target[index].to(normal), self.beta)
        self._target[index] = average
        losses = self.lam * early_learning_regularizer(probs, average)
        overlap = average.mul_(probs)
        rest = 1 - overlap.sum(dim=1, keepdim=True)
        # Gradient of <p, t>; none flows through clamped probabilities.
        q = overlap.mul_(p == probs)
        q.addcmul_(p, q.sum(dim=1, keepdim=True), value=-1)
        # Gradient of the cross-entropy, p - y, minus lam / (1 - <p, t>) times q.
        if target.is_floating_point():
            losses -= (log_p * target).sum(dim=1)
            slopes = p.sub_(target)
        else:
            target = target[:, None]
            losses -= log_p.gather(1, target)[:, 0]
            slopes = p.scatter_add_(1, target, p.new_full(target.shape, -1))
        slopes.addcdiv_(q, rest, value=-self.lam)
        return losses, slopes


class _Known(torch.autograd.Function):
    """Losses of samples whose gradients are known."""

    @staticmethod
    def forward(ctx, logits, losses, slopes):
        ctx.save_for_backward(slopes)
        return losses

    @staticmethod
    def backward(ctx, grad):
        (slopes,) = ctx.saved_tensors
        return slopes * grad[:, None], None, None
