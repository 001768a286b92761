"""Losses that learn the transition matrix along with the network."""

import math

import torch

from sknoisy.checks import check_real
from sknoisy.losses.base import Loss
from sknoisy.losses.cross_entropy import cross_entropy
from sknoisy.losses.expected import as_distributions, weighted_mean
from sknoisy.losses.transition import (
    check_given,
    forward_correction,
    given_matrix,
)

BETAS, EPSILON = (0.9, 0.999), 1e-8  # Adam's
LEAST_LOG = math.log(torch.finfo(torch.float32).tiny)  # of log T, so that T is never 0
SPREAD = 0.01  # share of a noise layer's first rows that is spread over all labels


def noise_layer(weights):
    """Return the logarithm of the transition matrix of a softmax layer.

    Parameters
    ----------
    weights : tensor of shape (n_classes, n_classes)
        The softmax of each row holds the probabilities of the labels of a class.
    """
    return weights.log_softmax(dim=1).clamp(min=LEAST_LOG)


def dominant_transition(weights):
    """Return the logarithm of a matrix whose diagonal has the largest of each row.

    Parameters
    ----------
    weights : tensor of shape (n_classes, n_classes)
        Before rows are normalised, their sigmoids stand beside the diagonal, which is
        1. Weights on the diagonal have no effect.
    """
    eye = torch.eye(len(weights), dtype=torch.bool, device=weights.device)
    log_rows = torch.nn.functional.logsigmoid(weights).masked_fill(eye, 0.0)
    return log_rows.log_softmax(dim=1).clamp(min=LEAST_LOG)


def adam_step(state, gradient, lr):
    """Update ``state["weights"]`` by one step of Adam.

    Parameters
    ----------
    state : dict of str to tensor
        ``"weights"``, ``"mean"`` and ``"square"``, of one shape, and ``"steps"``.
    gradient : tensor
        Gradient, of the shape of the weights.
    lr : float
        Learning rate.
    """
    state["steps"] += 1
    state["mean"].lerp_(gradient, 1 - BETAS[0])
    state["square"].lerp_(gradient.square(), 1 - BETAS[1])
    mean = state["mean"] / (1 - BETAS[0] ** state["steps"])
    square = state["square"] / (1 - BETAS[1] ** state["steps"])
    state["weights"] -= lr * mean / (square.sqrt() + EPSILON)


class _LearnedTransition(Loss):
    """Base class: -log (p T)_y, where both p and T follow the gradient."""

    soft_labels = True
    lasting = ("weights", "mean", "square", "steps", "transition_matrix")
    transient = ("_trusted",)
    volume = 0.0

    def start(self, n_samples, n_classes, device):  # noqa: D102
        self._trusted, self._is_learned = None, True
        weights = self._first_weights(n_classes).to(device)
        self.state_ = {
            "weights": weights,
            "mean": torch.zeros_like(weights),
            "square": torch.zeros_like(weights),
            "steps": torch.zeros(1, dtype=torch.float32, device=device),
            "transition_matrix": self.log_transition(weights).exp(),
        }

    def trust(self, trusted):  # noqa: D102
        self._trusted = trusted

    def __call__(self, logits, target, index):  # noqa: D102
        log_p = logits.log_softmax(dim=1)
        log_T = self.log_transition(self.state_["weights"]).to(log_p.dtype)
        loss = forward_correction(logits, target, log_T)
        self._descend(log_p.detach(), target, self._counting(index))
        return loss

    def log_transition(self, weights):
        """Return the logarithm of the matrix that weights stand for."""
        raise NotImplementedError

    def _first_weights(self, n_classes):
        """Return the weights that the training begins with, float32."""
        raise NotImplementedError

    def _counting(self, index):
        """Return weights of samples, 0 of trusted ones, which say nothing of T."""
        return None if self._trusted is None else (~self._trusted[index]).float()

    def _descend(self, log_p, target, counting):
        """Take one step of the weights."""
        with torch.enable_grad():
            weights = self.state_["weights"].clone().requires_grad_()
            log_T = self.log_transition(weights)
            losses = forward_correction(log_p.to(weights.dtype), target, log_T)
            loss = weighted_mean(losses, counting)
            if self.volume:
                loss = loss + self.volume * log_T.exp().slogdet().logabsdet
            (gradient,) = torch.autograd.grad(loss, weights)
        with torch.no_grad():
            # The volume of a singular matrix has no gradient.
            adam_step(self.state_, gradient.nan_to_num(0.0, 0.0, 0.0), self.lr)
            T = self.log_transition(self.state_["weights"]).exp()
            self.state_["transition_matrix"].copy_(T)


class NoiseLayer(_LearnedTransition):
    """Noise adaptation layer: a softmax layer from true classes to labels is learned.

    The network predicts the true class. Its probabilities are multiplied by a
    transition matrix, as in :class:`Forward`, but the matrix goes on learning: its rows
    are softmaxes of weights that follow the gradient of the same loss. After some
    epochs of cross-entropy, each row begins as the distribution of the labels among the
    samples that the network predicts to be of that class.

    Parameters
    ----------
    lr : float, default=0.001
        Learning rate of Adam for the weights of the layer. The larger it is, the sooner
        the matrix becomes the identity, if the network memorises labels.
    transition_matrix : "auto" or array-like of shape (n_classes, n_classes)
        Initial matrix: probability of each label (column) for each true class (row), in
        the sorted order of the classes. "auto", the default, counts the labels of each
        class that the network predicts. With a given matrix, such as
        ``numpy.eye(n_classes)``, the layer learns from the first epoch on.
    begin : float, default=0.1
        With "auto", share of the epochs that use cross-entropy first, in (0, 1]; at
        least one epoch.

    Attributes
    ----------
    state_ : dict
        ``"transition_matrix"`` of shape (n_classes, n_classes), float32; its weights
        and the state of Adam: ``"weights"``, ``"mean"``, ``"square"`` and ``"steps"``;
        with "auto" also ``"counts"`` of shape (n_classes, n_classes): how often each
        label (column) occurred with each predicted class (row) in the last epoch of
        cross-entropy.

    Notes
    -----
    This is the paper's simple model, whose matrix is the same for all samples. In its
    complex model the weights depend on the features.

    The paper trains a network to the end on the given labels, estimates the matrix with
    it, and trains again together with the layer. Here both happen within one training,
    before wrong labels are memorised. For the estimate, the paper weights each label by
    the predicted probability of the class; here it counts for the most probable class.
    A hundredth of each initial row is spread evenly over all labels, because a weight
    of -inf would learn nothing. `lr`, `begin` and that share are ours. Trusted samples
    and sample weights have no influence on the layer.

    References
    ----------
    Goldberger and Ben-Reuven, Training Deep Neural-Networks Using a Noise Adaptation
    Layer, ICLR 2017.

    Examples
    --------
    >>> import torch
    >>> from sknoisy.losses import NoiseLayer
    >>> loss = NoiseLayer(lr=0.01, transition_matrix=[[0.5, 0.5], [0.0, 1.0]])
    >>> loss.start(n_samples=1, n_classes=2, device="cpu")
    >>> loss(torch.zeros(1, 2), torch.tensor([1]), torch.tensor([0])).exp()
    tensor([1.3378])
    >>> loss.state_["transition_matrix"]  # label 1 has become more probable
    tensor([[0.4950, 0.5050],
            [0.0049, 0.9951]])
    """

    lasting = (*_LearnedTransition.lasting, "counts")

    def __init__(self, lr=0.001, transition_matrix="auto", begin=0.1):
        self.lr = lr
        self.transition_matrix = transition_matrix
        self.begin = begin

    def check(self):  # noqa: D102
        check_real("lr", self.lr, "[0, inf)")
        check_given(self.transition_matrix)
        check_real("begin", self.begin, "(0, 1]")

    def start(self, n_samples, n_classes, device):  # noqa: D102
        super().start(n_samples, n_classes, device)
        self._is_learned = not isinstance(self.transition_matrix, str)
        weights = self.state_["weights"]
        self.state_["counts"] = torch.zeros_like(weights)

    def on_epoch(self, epoch, n_epochs):  # noqa: D102
        if not isinstance(self.transition_matrix, str):
            return
        counts = self.state_["counts"]
        self._is_learned = epoch >= max(1, round(self.begin * n_epochs))
        if not self._is_learned:
            counts.zero_()
        elif self.state_["steps"].item() == 0:
            # A class that is never predicted stays as it is.
            never = counts.sum(dim=1, keepdim=True) == 0
            eye = torch.eye(len(counts), dtype=counts.dtype, device=counts.device)
            self._begin_with(torch.where(never, eye, counts))

    def __call__(self, logits, target, index):  # noqa: D102
        if self._is_learned:
            return super().__call__(logits, target, index)
        with torch.no_grad():
            labels = as_distributions(target, logits.shape[1], logits.dtype)
            counting = self._counting(index)
            if counting is not None:
                labels = labels * counting[:, None]
            counts = self.state_["counts"]
            counts.index_add_(0, logits.argmax(dim=1), labels.to(counts.dtype))
        return cross_entropy(logits, target)

    def log_transition(self, weights):  # noqa: D102
        return noise_layer(weights)

    def _first_weights(self, n_classes):
        if isinstance(self.transition_matrix, str):
            return _spread(
                torch.eye(n_classes, dtype=torch.float32, device="cpu")
            ).log()
        return _spread(given_matrix(self.transition_matrix, n_classes)).log()

    def _begin_with(self, counts):
        """Take over the confusions of the network."""
        T = _spread(counts / counts.sum(dim=1, keepdim=True))
        self.state_["weights"].copy_(T.log())
        self.state_["transition_matrix"].copy_(T)


def _spread(T):
    """Return a matrix, a share of whose rows is spread over all labels."""
    return (1 - SPREAD) * T + SPREAD / len(T)


class VolMinNet(_LearnedTransition):
    """Learns the transition matrix of least volume that explains the labels.

    The network predicts the true class, and the matrix turns its probabilities into
    probabilities of the label, as in :class:`Forward`. Both are learned from the first
    step on. Of all matrices that fit the labels, the true one has the smallest
    determinant if the samples of each class are spread enough; none has to belong to
    its class for certain. The diagonal always holds the largest probability of a row.

    Parameters
    ----------
    volume : float, default=1e-4
        Weight of the volume, the logarithm of the determinant's absolute value. The
        paper takes 1e-4.
    lr : float, default=0.01
        Learning rate of Adam for the weights of the matrix. The official code takes
        0.01 for MNIST and CIFAR-100.
    init : float or "auto", default="auto"
        Elements off the diagonal begin as the sigmoid of `-init` times the diagonal, so
        the larger it is, the less noise is assumed at first. The official code takes 2,
        and 4.5 for CIFAR-100. "auto" is ``log(n_classes - 2)``, but at least 2: from 10
        classes on, the right label then begins with a probability of 1/2.

    Attributes
    ----------
    state_ : dict
        ``"transition_matrix"`` of shape (n_classes, n_classes), float32; its weights
        and the state of Adam: ``"weights"``, ``"mean"``, ``"square"`` and ``"steps"``.

    Notes
    -----
    The volume has no gradient for the network, so it is not part of the returned loss.
    In the official code, the learning rate of the matrix falls along with the
    network's, and on CIFAR-10 the matrix is trained by SGD with a momentum of 0.9. Here
    it is always trained by Adam, at a constant rate. Trusted samples and sample weights
    have no influence on the matrix.

    References
    ----------
    Li et al., Provably End-to-end Label-Noise Learning without Anchor Points, ICML
    2021.

    Examples
    --------
    >>> import torch
    >>> from sknoisy.losses import VolMinNet
    >>> loss = VolMinNet(init=0.0)
    >>> loss.start(n_samples=1, n_classes=2, device="cpu")
    >>> loss.state_["transition_matrix"]
    tensor([[0.6667, 0.3333],
            [0.3333, 0.6667]])
    >>> loss(torch.zeros(1, 2), torch.tensor([1]), torch.tensor([0]))
    tensor([0.6931])
    """

    def __init__(self, volume=1e-4, lr=0.01, init="auto"):
        self.volume = volume
        self.lr = lr
        self.init = init

    def check(self):  # noqa: D102
        check_real("volume", self.volume, "[0, inf)")
        check_real("lr", self.lr, "[0, inf)")
        check_real("init", self.init, "(-inf, inf)", other="auto")

    def log_transition(self, weights):  # noqa: D102
        return dominant_transition(weights)

    def _first_weights(self, n_classes):
        init = self.init
        if init == "auto":
            init = max(2.0, math.log(max(1, n_classes - 2)))
        shape = n_classes, n_classes
        return torch.full(shape, -init, dtype=torch.float32, device="cpu")
