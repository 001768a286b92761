"""Joint Optimization: labels become what the network predicted lately."""

import math

import torch

from sknoisy.losses.base import Loss
from sknoisy.losses.table import Table, check_storage
from sknoisy.parameters import as_floats, check_choice, check_integer, check_real


def soft_cross_entropy(log_p, labels):
    """Return -sum(labels log p) of each sample; both of shape (n, n_classes)."""
    return -(labels * log_p).sum(dim=1)


def prior_loss(log_p, prior):
    """Return -sum(prior log s), s the mean probabilities of the batch: one number.

    Parameters
    ----------
    log_p : tensor of shape (n, n_classes)
        Logarithm of the network's probabilities.
    prior : tensor of shape (n_classes,)
        How frequent each class is taken to be.
    """
    mean = log_p.logsumexp(dim=0) - math.log(len(log_p))
    return -(prior * mean).sum()


class JointOptimization(Loss):
    """Labels are optimised along with the network, which then starts anew on them.

    From an epoch on, a sample's label is the mean of its probabilities in the last
    epochs. Two terms keep this from collapsing: predictions as frequent as a prior,
    and of low entropy. At last, labels stay as they are and a new training, from the
    same initial weights, learns them with cross-entropy alone.

    Parameters
    ----------
    alpha : float, default=1.2
        Weight of the prior's term. The paper takes 1.2 for 70% symmetric noise on
        CIFAR-10, 0.8 for 40% asymmetric noise.
    beta : float, default=0.8
        Weight of the predictions' entropy: 0.8 and 0.4.
    begin : float, default=70/320
        Share of the epochs after which labels are updated.
    retrain : float, default=120/320
        Share of the epochs, the last ones, that train anew on the labels; 0 goes
        without.
    window : int, default=10
        Epochs whose probabilities make a label.
    labels : {"soft", "hard"}, default="soft"
        "hard" takes the most probable class.
    prior : array-like of shape (n_classes,), default=None
        Frequencies of the classes, in sorted order; None: all the same.
    storage : {"float32", "float16"} or int, default="float32"
        How probabilities are kept; an int is the number of classes.

    Attributes
    ----------
    state_ : dict
        ``"probabilities"``: tensor of shape (n_samples * window, n_classes), the
        `window` rows of a sample one after the other: 4 or 2 bytes for each sample,
        class and epoch of the window, or 4 for each one of the classes kept.

    Notes
    -----
    The prior's term is the cross-entropy between prior and mean prediction, as in the
    official code; the paper's divergence differs by a constant. The authors retrain
    with another learning rate (0.2 after 0.08); here the estimator's schedule
    starts again.

    References
    ----------
    Tanaka et al., Joint Optimization Framework for Learning with Noisy Labels, CVPR
    2018.

    Examples
    --------
    >>> import torch
    >>> from sknoisy.losses import JointOptimization
    >>> loss = JointOptimization(alpha=0.0, beta=0.0)
    >>> loss.start(n_samples=1, n_classes=4, device="cpu")
    >>> loss(torch.zeros(1, 4), torch.tensor([2]), torch.tensor([0]))
    tensor([1.3863])
    """

    def __init__(
        self,
        alpha=1.2,
        beta=0.8,
        begin=70 / 320,
        retrain=120 / 320,
        window=10,
        labels="soft",
        prior=None,
        storage="float32",
    ):
        self.alpha = alpha
        self.beta = beta
        self.begin = begin
        self.retrain = retrain
        self.window = window
        self.labels = labels
        self.prior = prior
        self.storage = storage

    def check(self):  # noqa: D102
        check_real("alpha", self.alpha, "[0, inf)")
        check_real("beta", self.beta, "[0, inf)")
        check_real("begin", self.begin, "[0, 1]")
        check_real("retrain", self.retrain, "[0, 1)")
        check_integer("window", self.window)
        check_choice("labels", self.labels, ["soft", "hard"])
        check_storage(self.storage)
        if self.prior is not None:
            prior = as_floats(self.prior)
            sums_to_one = prior.ndim == 1 and abs(prior.sum() - 1) < 1e-3
            if not sums_to_one or prior.min() < 0:
                raise ValueError(
                    f"prior={self.prior!r} is not valid: it must be a frequency for "
                    "each class, summing to 1, or None."
                )

    def restart(self, n_epochs):  # noqa: D102
        first = round((1 - self.retrain) * n_epochs)
        return max(1, first) if self.retrain else n_epochs

    def start(self, n_samples, n_classes, device):  # noqa: D102
        if self.prior is None:
            self._prior = torch.full((n_classes,), 1 / n_classes, device=device)
        elif len(self.prior) != n_classes:
            raise ValueError(
                f"prior of length {len(self.prior)} is not valid: y holds {n_classes} "
                "classes."
            )
        else:
            prior = torch.as_tensor(self.prior, dtype=torch.float32)
            self._prior = prior.to(device)
        self.state_, shape = {}, (n_samples * self.window, n_classes)
        self._table = Table(self.state_, "probabilities", shape, self.storage, device)
        self._slots = torch.arange(self.window, device=device)
        self._slot, self._updating, self._retraining = 0, False, False

    def on_epoch(self, epoch, n_epochs):  # noqa: D102
        self._slot = epoch % self.window
        self._updating = epoch >= max(1, round(self.begin * n_epochs))
        self._retraining = self.retrain > 0 and epoch >= self.restart(n_epochs)

    def __call__(self, logits, target, index):  # noqa: D102
        log_p = logits.log_softmax(dim=1)
        labels = torch.nn.functional.one_hot(target, logits.shape[1]).to(log_p)
        if self._updating or self._retraining:
            labels = self._lately(index, labels)
        loss = soft_cross_entropy(log_p, labels)
        if self._retraining:
            return loss
        self._table[index * self.window + self._slot] = log_p.detach().exp()
        entropy = soft_cross_entropy(log_p, log_p.exp())
        prior = prior_loss(log_p, self._prior.to(log_p))
        return loss + self.alpha * prior + self.beta * entropy

    def _lately(self, index, given):
        """Return labels from the last epochs, or the given ones of new samples."""
        rows = self._table[index[:, None] * self.window + self._slots].sum(dim=1)
        total = rows.sum(dim=1, keepdim=True)
        if self.labels == "hard":
            labels = torch.nn.functional.one_hot(rows.argmax(dim=1), rows.shape[1])
        else:
            labels = rows / total.clamp(min=1e-12)
        return torch.where(total > 0, labels.to(given), given)
