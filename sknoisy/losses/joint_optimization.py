"""Joint Optimization: labels are replaced by averages of recent predictions."""

import math

import torch

from sknoisy.checks import as_floats, check_choice, check_integer, check_real
from sknoisy.losses.base import Loss
from sknoisy.losses.expected import as_distributions
from sknoisy.losses.table import Table, check_storage


def soft_cross_entropy(log_p, labels):
    """Return -sum(labels log p) of each sample; both of shape (n, n_classes)."""
    return -(labels * log_p).sum(dim=1)


def prior_loss(log_p, prior):
    """Return -sum(prior log s), where s are the mean probabilities of the batch.

    Parameters
    ----------
    log_p : tensor of shape (n, n_classes)
        Logarithm of the network's probabilities.
    prior : tensor of shape (n_classes,)
        Assumed frequency of each class.

    Returns
    -------
    loss : tensor of shape ()
        One number for the batch.
    """
    mean = log_p.logsumexp(dim=0) - math.log(len(log_p))
    return -(prior * mean).sum()


class JointOptimization(Loss):
    """Labels are optimised along with the network, which is then retrained on them.

    In the first training, cross-entropy with the given labels is used for some epochs.
    From then on the label of a sample is the mean of its predicted probabilities in the
    last epochs. Two terms keep the labels from collapsing to one class: the mean
    prediction has to follow a prior, and each prediction has to have a low entropy.
    The second training begins with the same initial weights and learns the final labels
    with cross-entropy alone.

    Parameters
    ----------
    alpha : float, default=1.2
        Weight of the prior term. The paper takes 1.2 for 70% symmetric and 0.8 for 40%
        asymmetric noise on CIFAR-10.
    beta : float, default=0.8
        Weight of the entropy of the predictions. The paper takes 0.8 for 70% symmetric
        and 0.4 for 40% asymmetric noise on CIFAR-10.
    begin : float, default=70/320
        Share of the epochs before the first update of the labels.
    retrain : float, default=120/320
        Share of the epochs for the second training; with 0 there is none.
    window : int, default=10
        Number of epochs whose probabilities are averaged.
    labels : {"soft", "hard"}, default="soft"
        Whether labels are the mean probabilities or the most probable class.
    prior : array-like of shape (n_classes,), default=None
        Frequencies of the classes, in sorted order; by default all are equal.
    storage : {"float32", "float16"} or int, default="float32"
        Number format of the probabilities. An integer k stores the k largest
        probabilities of each prediction only.

    Attributes
    ----------
    state_ : dict
        ``"probabilities"``: tensor of shape (n_samples * window, n_classes), with
        `window` consecutive rows for each sample. It takes 4 or 2 bytes for each
        sample, class and epoch of the window, or 4 bytes for each stored entry.

    Notes
    -----
    The prior term is the cross-entropy between prior and mean prediction, as in the
    official code. The divergence in the paper differs by a constant.

    Labels are normalised, so that they sum to 1 while fewer than `window` epochs have
    been completed. The official code divides by 10 from the first epoch on, so after
    fewer than 10 epochs its labels sum to less than 1. With the published settings,
    where the first update comes after 70 epochs, there is no difference.

    The authors use another learning rate in the second training (0.2 instead of 0.08).
    Here the schedule of the estimator starts again.

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

    soft_labels = True
    transient = ("_table",)

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
                    f"prior={self.prior!r} is not valid: it must be None or one "
                    "frequency for each class, which sum to 1."
                )

    def restart(self, n_epochs):  # noqa: D102
        first = round((1 - self.retrain) * n_epochs)
        return max(1, first) if self.retrain else n_epochs

    def start(self, n_samples, n_classes, device):  # noqa: D102
        if self.prior is None:
            self._prior = torch.full(
                (n_classes,), 1 / n_classes, dtype=torch.float32, device=device
            )
        elif len(self.prior) != n_classes:
            raise ValueError(
                f"prior of length {len(self.prior)} is not valid: y holds {n_classes} "
                "classes."
            )
        else:
            self._prior = torch.tensor(
                as_floats(self.prior), dtype=torch.float32, device=device
            )
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
        labels = as_distributions(target, logits.shape[1], log_p.dtype)
        if self._updating or self._retraining:
            labels = self._recent(index, labels)
        loss = soft_cross_entropy(log_p, labels)
        if self._retraining:
            return loss
        self._table[index * self.window + self._slot] = log_p.detach().exp()
        entropy = soft_cross_entropy(log_p, log_p.exp())
        prior = prior_loss(log_p, self._prior.to(log_p))
        return loss + self.alpha * prior + self.beta * entropy

    def _recent(self, index, given):
        """Return the mean of the last epochs; for new samples, the given labels."""
        rows = self._table[index[:, None] * self.window + self._slots].sum(dim=1)
        total = rows.sum(dim=1, keepdim=True)
        if self.labels == "hard":
            labels = torch.nn.functional.one_hot(rows.argmax(dim=1), rows.shape[1])
        else:
            labels = rows / total.clamp(min=1e-12)
        return torch.where(total > 0, labels.to(given), given)
