"""Losses that are corrected by a transition matrix."""

import math

import numpy as np
import torch

from sknoisy.checks import check_choice, check_real, check_transition_matrix
from sknoisy.losses.base import Loss
from sknoisy.losses.expected import expected
from sknoisy.losses.table import Table, check_storage
from sknoisy.scores import estimate_transition_matrix
from sknoisy.scores.estimates import METHODS
from sknoisy.scores.reading import chunks

LEAST_SUM = 1e-30  # of probabilities; those of samples not seen yet are all 0
LEAST_PROBABILITY = 1e-7  # in backward correction; bounds negative terms


def forward_correction(logits, target, log_T):
    """Return -log (p T)_y of each sample, the cross-entropy of the noisy label.

    Parameters
    ----------
    logits : tensor of shape (n, n_classes)
        Outputs before the softmax, for the true classes.
    target : tensor of shape (n,), int64, or (n, n_classes)
        Codes of the labels, or soft labels.
    log_T : tensor of shape (n_classes, n_classes)
        Logarithm of the transition matrix from true classes (rows) to labels (columns).
    """
    log_p = logits.log_softmax(dim=1)
    if not target.is_floating_point():
        return -(log_p + log_T.T[target]).logsumexp(dim=1)
    top = log_p.amax(dim=1, keepdim=True)  # so that no product is too small
    log_labels = ((log_p - top).exp() @ log_T.exp()).log() + top
    return -expected(log_labels, target)


def backward_correction(logits, target, inverse_T):
    """Return the row of T^-1 for the label times the cross-entropies of all classes.

    Parameters
    ----------
    logits : tensor of shape (n, n_classes)
        Outputs before the softmax.
    target : tensor of shape (n,), int64, or (n, n_classes)
        Codes of the labels, or soft labels.
    inverse_T : tensor of shape (n_classes, n_classes)
        Inverse of the transition matrix.
    """
    log_p = logits.log_softmax(dim=1).clamp(min=math.log(LEAST_PROBABILITY))
    soft = target.is_floating_point()
    rows = target @ inverse_T if soft else inverse_T[target]
    return -(rows * log_p).sum(dim=1)


def check_given(value):
    """Raise ``ValueError`` unless a parameter is "auto" or a transition matrix."""
    if isinstance(value, str):
        check_choice("transition_matrix", value, ["auto"])
    else:
        check_transition_matrix(value)


def given_matrix(value, n_classes):
    """Return a given transition matrix as a tensor, float32, on the CPU."""
    return torch.from_numpy(check_transition_matrix(value, n_classes)).float()


class _Corrected(Loss):
    """Base class of both corrections, with a given or estimated transition matrix."""

    soft_labels = True
    transient = ("_table", "_trusted")

    def __init__(
        self,
        transition_matrix="auto",
        method="votes",
        begin=0.1,
        percentile=97.0,
        storage="float32",
    ):
        self.transition_matrix = transition_matrix
        self.method = method
        self.begin = begin
        self.percentile = percentile
        self.storage = storage

    def check(self):  # noqa: D102
        check_choice("method", self.method, METHODS)
        check_real("begin", self.begin, "(0, 1]")
        check_real("percentile", self.percentile, "[0, 100]")
        check_storage(self.storage)
        check_given(self.transition_matrix)

    def start(self, n_samples, n_classes, device):  # noqa: D102
        self.state_, self._trusted = {}, None
        if self._is_given():
            T = given_matrix(self.transition_matrix, n_classes)
        else:
            self._table = Table(
                self.state_,
                "probabilities",
                (n_samples, n_classes),
                self.storage,
                device,
            )
            labels = torch.zeros(n_samples, dtype=torch.int64, device=device)
            self.state_["labels"] = labels
            is_estimated = torch.zeros(1, dtype=torch.bool, device=device)
            self.state_["is_estimated"] = is_estimated
            # With the identity the loss is cross-entropy, until T is estimated.
            T = self.state_["transition_matrix"] = torch.eye(
                n_classes, dtype=torch.float32, device=device
            )
        self._prepare(T.to(device))

    def trust(self, trusted):  # noqa: D102
        self._trusted = None if trusted is None else trusted.cpu().numpy()

    def on_epoch(self, epoch, n_epochs):  # noqa: D102
        is_due = epoch >= max(1, round(self.begin * n_epochs))
        if is_due and not self._is_given() and not self.state_["is_estimated"]:
            self._estimate()
        if not self._is_given():
            self._prepare(self.state_["transition_matrix"])

    def __call__(self, logits, target, index):  # noqa: D102
        if not self._is_given():
            with torch.no_grad():
                self._table[index] = logits.softmax(dim=1)
                soft = target.is_floating_point()
                self.state_["labels"][index] = target.argmax(dim=1) if soft else target
        return self._corrected(logits, target)

    def _is_given(self):
        return not isinstance(self.transition_matrix, str)

    def _estimate(self):
        """Estimate the matrix by all samples that have been trained on, if any."""
        device = self.state_["labels"].device
        labels = self.state_["labels"].cpu().numpy()
        shape = len(labels), self._table.n_classes
        probabilities = np.empty(shape, np.float32)
        for rows in chunks(*shape):
            rows_of = torch.arange(rows.start, rows.stop, device=device)
            part = self._table[rows_of].cpu().numpy()
            sums = part.sum(axis=1, keepdims=True)
            probabilities[rows] = part / sums.clip(min=LEAST_SUM)
        seen = probabilities.any(axis=1)
        if not seen.any():
            return
        T = estimate_transition_matrix(
            labels[seen],
            probabilities[seen],
            classes=range(shape[1]),
            method=self.method,
            percentile=self.percentile,
            trusted=None if self._trusted is None else self._trusted[seen],
        )
        self.state_["transition_matrix"].copy_(torch.from_numpy(T))
        self.state_["is_estimated"].fill_(True)

    def _prepare(self, T):
        """Compute from the transition matrix what is the same for all batches."""
        raise NotImplementedError

    def _corrected(self, logits, target):
        """Return the corrected loss of each sample."""
        raise NotImplementedError


class Forward(_Corrected):
    """Forward correction: cross-entropy of the noisy label, given the true classes.

    The network predicts the true class. Its probabilities are multiplied by the
    transition matrix, which turns them into probabilities of the noisy label.

    Parameters
    ----------
    transition_matrix : "auto" or array-like of shape (n_classes, n_classes)
        Probability of each label (column) for each true class (row), in the sorted
        order of the classes. "auto", the default, estimates it during the training.
    method : {"votes", "confident_joint", "anchor"}, default="votes"
        Method of the estimate; see
        :func:`sknoisy.scores.estimate_transition_matrix`.
    begin : float, default=0.1
        Share of the epochs that use cross-entropy, before the estimate, in (0, 1]; at
        least one epoch.
    percentile : float, default=97.0
        Percentile for the method "anchor"; other methods ignore it.
    storage : {"float32", "float16"} or int, default="float32"
        Number format of the probabilities that are stored for the estimate. An integer
        k stores the k largest probabilities of each sample only.

    Attributes
    ----------
    state_ : dict
        With "auto", ``"transition_matrix"`` of shape (n_classes, n_classes), float32;
        ``"probabilities"`` of shape (n_samples, n_classes), which take 4 or 2 bytes for
        each sample and class, or 4 bytes for each stored entry; and ``"labels"``.
        Otherwise empty.

    Notes
    -----
    The official code trains a network to the end, estimates the matrix, and trains a
    second network. Here, the matrix is estimated once within one training, before
    wrong labels are memorised. The estimate is repeated when the number of samples
    changes, or when it was the identity.

    The official code clips p to [1e-7, 1 - 1e-7]. Here p is not clipped; only zeros of
    the transition matrix are replaced by the smallest positive number.

    References
    ----------
    Patrini et al., Making Deep Neural Networks Robust to Label Noise: A Loss Correction
    Approach, CVPR 2017.

    Examples
    --------
    >>> import torch
    >>> from sknoisy.losses import Forward
    >>> loss = Forward([[0.5, 0.5], [0.0, 1.0]])
    >>> loss.start(n_samples=1, n_classes=2, device="cpu")
    >>> loss(torch.zeros(1, 2), torch.tensor([1]), torch.tensor([0])).exp()
    tensor([1.3333])
    """

    def _prepare(self, T):
        # The loss of a label that no class turns into is finite, without a gradient.
        self._log_T = T.clamp(min=torch.finfo(T.dtype).tiny).log()

    def _corrected(self, logits, target):
        return forward_correction(logits, target, self._log_T.to(logits.dtype))


class Backward(_Corrected):
    """Backward correction: weighted cross-entropies of all classes.

    The weights are a row of the inverse transition matrix. They make the expected loss
    of the noisy labels equal to the cross-entropy of the true ones. Some weights are
    negative, so making an improbable class even less probable lowers the loss without
    end. Probabilities are therefore clamped at 1e-7, as in the official code.
    :class:`Forward` usually gives better classifiers.

    Parameters
    ----------
    transition_matrix : "auto" or array-like of shape (n_classes, n_classes)
        Probability of each label (column) for each true class (row), in the sorted
        order of the classes. "auto", the default, estimates it during the training.
    method : {"confident_joint", "votes", "anchor"}, default="confident_joint"
        Method of the estimate; see
        :func:`sknoisy.scores.estimate_transition_matrix`.
    begin : float, default=1/3
        Share of the epochs that use cross-entropy, before the estimate, in (0, 1]; at
        least one epoch.
    percentile : float, default=97.0
        Percentile for the method "anchor"; other methods ignore it.
    storage : {"float32", "float16"} or int, default="float32"
        Number format of the probabilities that are stored for the estimate. An integer
        k stores the k largest probabilities of each sample only.

    Attributes
    ----------
    state_ : dict
        With "auto", ``"transition_matrix"`` of shape (n_classes, n_classes), float32;
        ``"probabilities"`` of shape (n_samples, n_classes), which take 4 or 2 bytes for
        each sample and class, or 4 bytes for each stored entry; and ``"labels"``.
        Otherwise empty.

    Notes
    -----
    The official code trains a network to the end, estimates the matrix, and trains a
    second network. Here, the matrix is estimated once within one training, before
    wrong labels are memorised. The estimate is repeated when the number of samples
    changes, or when it was the identity.

    The defaults of `method` and `begin` differ from those of :class:`Forward`, because
    an early estimate by votes led to an accuracy of 14% instead of 48% at 40%
    asymmetric noise on CIFAR-10.

    References
    ----------
    Patrini et al., Making Deep Neural Networks Robust to Label Noise: A Loss Correction
    Approach, CVPR 2017.

    Examples
    --------
    >>> import torch
    >>> from sknoisy.losses import Backward
    >>> loss = Backward([[0.8, 0.2], [0.2, 0.8]])
    >>> loss.start(n_samples=1, n_classes=2, device="cpu")
    >>> loss(torch.zeros(1, 2), torch.tensor([1]), torch.tensor([0]))
    tensor([0.6931])
    """

    def __init__(
        self,
        transition_matrix="auto",
        method="confident_joint",
        begin=1 / 3,
        percentile=97.0,
        storage="float32",
    ):
        super().__init__(transition_matrix, method, begin, percentile, storage)

    def _prepare(self, T):
        # T is singular if two classes have the same distribution of labels.
        self._inverse = torch.linalg.pinv(T.cpu()).to(T.device)

    def _corrected(self, logits, target):
        return backward_correction(logits, target, self._inverse.to(logits.dtype))
