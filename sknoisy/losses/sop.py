"""SOP: a sparse noise term for each sample explains its wrong label."""

import torch
from torch.nn.functional import one_hot

from sknoisy.checks import check_real
from sknoisy.losses.base import Loss
from sknoisy.losses.expected import expected
from sknoisy.losses.table import Table, check_storage

CLAMP = 1e-4  # smallest probability, as in the official code
BEGIN = 1e-8  # initial value of u and v
EPOCHS = 120  # for which "auto" takes a learning rate of 10
SCALE = 2.0**15  # factor of u and v in storage, so that half precision holds BEGIN
LIMIT = 1.5  # of |u| and |v|; beyond 1 they have no gradient, and the term is 1


def overparametrized_loss(probs, target, u, v):
    """Return the cross-entropy of probabilities to which the noise term is added.

    Parameters
    ----------
    probs : tensor of shape (n, n_classes)
        The network's probabilities.
    target : tensor of shape (n,), int64, or (n, n_classes)
        Codes of the labels, or soft labels.
    u : tensor of shape (n,)
        Its square is added to the probability of the label.
    v : tensor of shape (n, n_classes)
        Their squares are subtracted from the probabilities of the other classes.
    """
    added, removed = noise_terms(target, u, v)
    corrected = (probs + added - removed).clamp(min=CLAMP)
    corrected = corrected / corrected.sum(dim=1, keepdim=True)
    if target.is_floating_point():
        return expected(-corrected.clamp(min=CLAMP).log(), target)
    own = corrected.gather(1, target[:, None])[:, 0]
    return -own.clamp(min=CLAMP).log()


def squared_error(predicted, target, u, v):
    """Return the squared error between predicted class plus noise term and label.

    Parameters
    ----------
    predicted : tensor of shape (n,), int64
        Codes of the predicted classes.
    target : tensor of shape (n,), int64, or (n, n_classes)
        Codes of the labels, or soft labels.
    u, v : tensors of shape (n,) and (n, n_classes)
        See :func:`overparametrized_loss`.
    """
    added, removed = noise_terms(target, u, v)
    label, predicted = (_rows(codes, v) for codes in (target, predicted))
    return (predicted + added - removed - label).square().sum(dim=1)


def noise_terms(target, u, v):
    """Return u^2 at the label and v^2 elsewhere, each of shape (n, n_classes)."""
    label = _rows(target, v)
    added = (u.square()[:, None] * label).clamp(max=1)
    removed = (v.square() * (1 - label)).clamp(max=1)
    return added, removed


def _rows(target, v):
    """Return labels as one-hot rows of integers; soft labels as they are."""
    return target if target.is_floating_point() else one_hot(target, v.shape[1])


class SOP(Loss):
    """Sparse over-parametrisation: label noise has parameters of its own.

    The noise term of a sample adds u^2 to the probability of its label and subtracts
    v^2 from the probabilities of the other classes. u and v start near 0 and are
    trained along with the network. They grow where the network contradicts the label,
    so the network need not fit a wrong label.

    Parameters
    ----------
    lr_u : float or "auto", default="auto"
        Learning rate of u, for the gradient of a batch's mean loss. For 300 epochs on
        CIFAR-100 with batches of 128, the official code recommends 1 for 50% symmetric
        noise and 0.1 for 40% asymmetric noise. "auto" is not published: it is 10 for
        120 epochs and batches of 128, and inversely proportional to the number of
        epochs, because u has to grow from 1e-8 within the training. It does not depend
        on the batch size.
    lr_v : float or "auto", default="auto"
        Learning rate of v. The official code recommends 10 for 50% symmetric noise and
        100 for 40% asymmetric noise on CIFAR-100. "auto" is the same as for `lr_u`.
    storage : {"float32", "float16"}, default="float32"
        Number format in which u and v are stored.

    Attributes
    ----------
    state_ : dict
        ``"u"`` of shape (n_samples, 1) and ``"v"`` of shape (n_samples, n_classes),
        both multiplied by 2^15: 4 or 2 bytes for each sample and class.

    Notes
    -----
    This follows the official code as changed in August 2022, after the paper. u follows
    the gradients of the cross-entropy and of the squared error between the label and
    the predicted class plus noise term; v follows that of the squared error alone.
    Before the change, u followed the cross-entropy alone, so u^2 grew to 1 even for
    labels that the network predicts; the published `lr_u` for asymmetric noise was 1
    then. The squared error has no gradient for the network, so it is not part of the
    returned loss.

    The official code draws u and v from a normal distribution of standard deviation
    1e-8; here they are 1e-8, since only their squares matter. SOP+, which adds the
    consistency of two views and a balance term, is not implemented.

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

    soft_labels = True
    transient = ("_u", "_v")

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

        def table(name, width):
            shape, fill = (n_samples, width), BEGIN * SCALE
            return Table(self.state_, name, shape, self.storage, device, fill=fill)

        self._u, self._v = table("u", 1), table("v", n_classes)
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
        """Take one gradient step of u and v."""
        with torch.enable_grad():
            u, v = u.requires_grad_(), v.requires_grad_()
            fit = overparametrized_loss(probs, target, u, v.detach())
            error = squared_error(probs.argmax(dim=1), target, u, v)
            gradient_u, gradient_v = torch.autograd.grad((fit + error).sum(), (u, v))
        u = u.detach() - self._rate(self.lr_u, len(u)) * gradient_u
        v = v.detach() - self._rate(self.lr_v, len(v)) * gradient_v
        # Larger values would give the same term, but overflow in half precision.
        self._u[index] = SCALE * u.clamp(-LIMIT, LIMIT)[:, None]
        self._v[index] = SCALE * v.clamp(-LIMIT, LIMIT)

    def _rate(self, lr, n):
        """Return the learning rate for the gradient of one of n samples."""
        return 10 / 128 * EPOCHS / self._n_epochs if lr == "auto" else lr / n
