"""SOP: a sparse term for each sample takes up its label noise."""

import torch

from sknoisy.losses.base import Loss
from sknoisy.losses.table import Table, check_storage
from sknoisy.parameters import check_real

CLAMP = 1e-4  # as in the official code: of u^2 and v^2 from 1, of probabilities from 0
BEGIN = 1e-8  # what u and v are at first
EPOCHS = 120  # in which a rate of 10 is meant to suffice
SCALE = 2.0**15  # of u and v as they are kept, so that half precision holds BEGIN


def overparametrized_loss(probs, target, u, v):
    """Return cross-entropy after each sample's noise term is added to p.

    Parameters
    ----------
    probs : tensor of shape (n, n_classes)
        The network's probabilities.
    target : tensor of shape (n,), int64
        Codes of the labels.
    u : tensor of shape (n,)
        Its square is what the noise adds to the label's probability.
    v : tensor of shape (n, n_classes)
        Their squares are what it takes from the other classes'.
    """
    added, taken = noise_terms(target, u, v)
    corrected = (probs + added - taken).clamp(min=CLAMP)
    corrected = corrected / corrected.sum(dim=1, keepdim=True)
    own = corrected.gather(1, target[:, None])[:, 0]
    return -own.clamp(min=CLAMP).log()


def noise_terms(target, u, v):
    """Return u^2 at the label and v^2 elsewhere, each of shape (n, n_classes)."""
    label = torch.nn.functional.one_hot(target, v.shape[1])
    added = (u.square()[:, None] * label).clamp(max=1 - CLAMP)
    taken = (v.square() * (1 - label)).clamp(max=1 - CLAMP)
    return added, taken


class SOP(Loss):
    """Sparse over-parametrisation: noise is modelled beside the network.

    A sample's prediction gets a term u^2 at its label and loses v^2 at the other
    classes. Both start near 0 and grow by gradient descent where the label does not
    fit, so that the network need not fit it.

    Parameters
    ----------
    lr_u : float or "auto", default="auto"
        Learning rate of u, for the gradient of a batch's mean. The official code
        takes 1 for CIFAR-100, in 300 epochs with batches of 128. "auto", a choice made
        here, is 10 for 120 epochs and batches of 128, more for fewer epochs, whatever
        the size of a batch: u has to grow from next to nothing in the time there is.
    lr_v : float or "auto", default="auto"
        Learning rate of v. The official code takes 10 for 40% symmetric, 100 for 40%
        asymmetric noise on CIFAR-100. "auto" is as for `lr_u`.
    storage : {"float32", "float16"}, default="float32"
        How u and v are kept.

    Attributes
    ----------
    state_ : dict
        ``"u"`` (n_samples, 1) and ``"v"`` (n_samples, n_classes), times 2^15: 4 or 2
        bytes for each sample and class.

    Notes
    -----
    u follows the cross-entropy, v the squared error between label and predicted
    class with the noise term. The official code draws u and v from a normal
    distribution of deviation 1e-8, here they are 1e-8: only their squares count.
    What the paper calls SOP+, consistency of two views and balance, is not part of
    this.

    References
    ----------
    Liu et al., Robust Training under Label Noise by Over-parameterization, ICML 2022.

    Examples
    --------
    >>> import torch
    >>> from sknoisy.losses import SOP
    >>> loss = SOP()
    >>> loss.start(n_samples=1, n_classes=4, device="cpu")
    >>> loss(torch.zeros(1, 4), torch.tensor([2]), torch.tensor([0]))
    tensor([1.3863])
    """

    def __init__(self, lr_u="auto", lr_v="auto", storage="float32"):
        self.lr_u = lr_u
        self.lr_v = lr_v
        self.storage = storage

    def check(self):  # noqa: D102
        check_real("lr_u", self.lr_u, "[0, inf)", other="auto")
        check_real("lr_v", self.lr_v, "[0, inf)", other="auto")
        check_storage(self.storage, top_k=False)

    def start(self, n_samples, n_classes, device):  # noqa: D102
        self.state_ = {}
        how = self.storage, device, BEGIN * SCALE
        self._u = Table(self.state_, "u", (n_samples, 1), *how)
        self._v = Table(self.state_, "v", (n_samples, n_classes), *how)
        self._n_epochs = EPOCHS

    def on_epoch(self, epoch, n_epochs):  # noqa: D102
        self._n_epochs = n_epochs

    def __call__(self, logits, target, index):  # noqa: D102
        u = (self._u[index][:, 0] / SCALE).to(logits.dtype)
        v = (self._v[index] / SCALE).to(logits.dtype)
        probs = logits.softmax(dim=1)
        loss = overparametrized_loss(probs, target, u, v)
        self._descend(probs.detach(), target, index, u, v)
        return loss

    def _descend(self, probs, target, index, u, v):
        """Take one step of u and v, each along the gradient of its own loss."""
        with torch.enable_grad():
            u, v = u.requires_grad_(), v.requires_grad_()
            fit = overparametrized_loss(probs, target, u, v.detach())
            gradient_u = torch.autograd.grad(fit.sum(), u)[0]
            label, predicted = (
                torch.nn.functional.one_hot(codes, probs.shape[1])
                for codes in (target, probs.argmax(dim=1))
            )
            added, taken = noise_terms(target, u.detach(), v)
            error = (predicted + added - taken - label).square().sum()
            gradient_v = torch.autograd.grad(error, v)[0]
        u = u.detach() - self._rate(self.lr_u, len(u)) * gradient_u
        v = v.detach() - self._rate(self.lr_v, len(v)) * gradient_v
        # Beyond 1 the terms are constant, and half precision would overflow.
        self._u[index] = SCALE * u.clamp(-1, 1)[:, None]
        self._v[index] = SCALE * v.clamp(-1, 1)

    def _rate(self, lr, n):
        """Return the learning rate for the gradient of one sample of n."""
        return 10 / 128 * EPOCHS / self._n_epochs if lr == "auto" else lr / n
