"""PENCIL: label distributions are trained along with the network."""

import torch

from sknoisy.checks import check_choice, check_real
from sknoisy.losses.base import Loss
from sknoisy.losses.cross_entropy import cross_entropy
from sknoisy.losses.expected import as_distributions
from sknoisy.losses.table import Table, check_storage


def classification_loss(log_p, log_labels):
    """Return KL(p || labels) of each sample.

    Parameters
    ----------
    log_p : tensor of shape (n, n_classes)
        Logarithm of the network's probabilities.
    log_labels : tensor of shape (n, n_classes)
        Logarithm of the probabilities of each sample's label.
    """
    return (log_p.exp() * (log_p - log_labels)).sum(dim=1)


def compatibility_loss(log_labels, target, double_softmax):
    """Return the cross-entropy of the given label under the label distribution.

    Parameters
    ----------
    log_labels : tensor of shape (n, n_classes)
        Logarithm of the probabilities of each sample's label.
    target : tensor of shape (n,), int64, or (n, n_classes)
        Codes of the given labels, or soft labels.
    double_softmax : bool
        Whether the softmax is applied to the probabilities once more.
    """
    # The softmax inside cross_entropy does not change log-probabilities.
    return cross_entropy(log_labels.exp() if double_softmax else log_labels, target)


class PENCIL(Loss):
    """Probabilistic end-to-end noise correction: labels are trained, too.

    The training has three stages. In the first, the network is trained with
    cross-entropy on the given labels. In the second, each sample has a label
    distribution, given by logits, and both these logits and the network follow the
    gradient of ::

        KL(p || labels) / C + alpha * compatibility + beta * entropy(p) / C

    where C is the number of classes. In the third, the label distributions are fixed
    and the network is trained on them.

    Parameters
    ----------
    alpha : float, default=0.4
        Weight of the compatibility of label distributions with the given labels. The
        term is not divided by C, so it holds label distributions back more when there
        are many classes.
    beta : float, default=0.1
        Weight of the entropy of the predictions.
    lam : float or "auto", default="auto"
        Learning rate of the label logits, for the gradient of a batch's mean loss. The
        official code takes 600 for CIFAR-10, batches of 128 and a second stage of 130
        epochs, which is just enough to change a label. "auto" scales this rate so that
        labels move equally far for any number of classes, batch size and length of the
        second stage.
    K : float, default=10.0
        Initial logit of the given label; those of the other classes are 0.
    begin : float, default=70/320
        Share of the epochs before the second stage.
    end : float, default=200/320
        Share of the epochs before the third stage.
    double_softmax : bool, default=True
        Whether the compatibility applies the softmax twice, the second time to
        probabilities. The official code does, and the published `alpha` and `lam`
        belong to it. False is the paper's formula, which keeps label distributions
        closer to the given labels.
    reduction : {"sum", "mean"}, default="sum"
        Whether the network's loss is summed or averaged over the classes. The paper
        averages and takes another learning rate in each stage; "sum" suits one schedule
        for all stages. The gradient of the labels is the paper's in both cases.
    storage : {"float32", "float16"}, default="float32"
        Number format of the label logits.

    Attributes
    ----------
    state_ : dict
        ``"label_logits"``: tensor of shape (n_samples, n_classes). The row of a sample
        is 0 until the sample occurs in the second stage. It takes 4 or 2 bytes for
        each sample and class.

    Notes
    -----
    The official code changes the learning rate with the stage: 0.06 in the first two
    and 0.2 in the third. There it should fall to a tenth, but falls to 0 because the
    code has ``lr // 10``. Here the schedule of the estimator covers all stages.

    References
    ----------
    Yi and Wu, Probabilistic End-to-end Noise Correction for Learning with Noisy
    Labels, CVPR 2019.

    Examples
    --------
    >>> import torch
    >>> from sknoisy.losses import PENCIL
    >>> loss = PENCIL(begin=0.0)
    >>> loss.start(n_samples=1, n_classes=2, device="cpu")
    >>> loss.on_epoch(epoch=1, n_epochs=4)
    >>> _ = loss(torch.tensor([[3.0, 0.0]]), torch.tensor([1]), torch.tensor([0]))
    >>> loss.state_["label_logits"].softmax(dim=1).argmax().item()
    0
    """

    soft_labels = True
    transient = ("_labels",)

    def __init__(
        self,
        alpha=0.4,
        beta=0.1,
        lam="auto",
        K=10.0,
        begin=70 / 320,
        end=200 / 320,
        double_softmax=True,
        reduction="sum",
        storage="float32",
    ):
        self.alpha = alpha
        self.beta = beta
        self.lam = lam
        self.K = K
        self.begin = begin
        self.end = end
        self.double_softmax = double_softmax
        self.reduction = reduction
        self.storage = storage

    def check(self):  # noqa: D102
        check_real("alpha", self.alpha, "[0, inf)")
        check_real("beta", self.beta, "[0, inf)")
        check_real("lam", self.lam, "[0, inf)", other="auto")
        check_real("K", self.K, "(0, inf)")
        check_real("begin", self.begin, "[0, 1]")
        check_real("end", self.end, f"[{self.begin}, 1]")
        check_choice("double_softmax", self.double_softmax, [True, False])
        check_choice("reduction", self.reduction, ["sum", "mean"])
        check_storage(self.storage, top_k=False)

    def start(self, n_samples, n_classes, device):  # noqa: D102
        self.state_, shape = {}, (n_samples, n_classes)
        self._labels = Table(self.state_, "label_logits", shape, self.storage, device)
        self._stage, self._epochs = 1, 130

    def on_epoch(self, epoch, n_epochs):  # noqa: D102
        begin = max(1, round(self.begin * n_epochs))
        end = max(begin, round(self.end * n_epochs))
        self._stage = 1 + (epoch >= begin) + (epoch >= end)
        self._epochs = max(1, end - begin)

    def __call__(self, logits, target, index):  # noqa: D102
        if self._stage == 1:
            return cross_entropy(logits, target)
        rows = self._labels[index]
        given = as_distributions(target, logits.shape[1]) * self.K
        fresh = (rows == 0).all(dim=1, keepdim=True)
        rows = torch.where(fresh, given.to(rows), rows).to(logits.dtype)
        log_p = logits.log_softmax(dim=1)
        share = 1 / logits.shape[1] if self.reduction == "mean" else 1.0
        loss = share * classification_loss(log_p, rows.log_softmax(dim=1))
        if self._stage == 2:
            gradient = self._label_gradient(rows, log_p.detach(), target)
            self._labels[index] = rows - self._rate(*rows.shape) * gradient
            loss = loss - share * self.beta * (log_p.exp() * log_p).sum(dim=1)
        return loss

    def _rate(self, n, n_classes):
        """Return the learning rate for the gradient of one of n samples."""
        if self.lam != "auto":
            return self.lam / n
        published = 600 / 128 * 130 / self._epochs * n_classes / 10
        # A larger rate moves a logit by more than K in a step, and labels oscillate.
        return min(published, self.K * n_classes)

    def _label_gradient(self, rows, log_p, target):
        """Return the gradient of each sample's loss with respect to its logits."""
        with torch.enable_grad():
            rows = rows.detach().requires_grad_()
            log_labels = rows.log_softmax(dim=1)
            divergence = classification_loss(log_p, log_labels) / rows.shape[1]
            compatible = compatibility_loss(log_labels, target, self.double_softmax)
            loss = divergence + self.alpha * compatible
            return torch.autograd.grad(loss.sum(), rows)[0]
