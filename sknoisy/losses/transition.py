"""Losses that know how labels change: corrected by a transition matrix."""

import math

import numpy as np
import torch

from sknoisy.losses.base import Loss
from sknoisy.losses.table import Table, check_storage
from sknoisy.parameters import as_floats, check_choice, check_real
from sknoisy.scores import estimate_transition_matrix
from sknoisy.scores.estimates import METHODS
from sknoisy.scores.probabilities import chunks

SMALLEST = 1e-7  # probability in backward correction, at least: bounds negative terms


def forward_correction(logits, target, log_T):
    """Return -log (p T)_y of each sample: cross-entropy of the noisy label.

    Parameters
    ----------
    logits : tensor of shape (n, n_classes)
        Outputs before the softmax, of the clean classes.
    target : tensor of shape (n,), int64
        Codes of the labels.
    log_T : tensor of shape (n_classes, n_classes)
        Logarithm of the transition matrix: from true classes (rows) to labels.
    """
    return -(logits.log_softmax(dim=1) + log_T.T[target]).logsumexp(dim=1)


def backward_correction(logits, target, inverse_T):
    """Return the label's row of T^-1 times the cross-entropies of all classes.

    Parameters
    ----------
    logits : tensor of shape (n, n_classes)
        Outputs before the softmax.
    target : tensor of shape (n,), int64
        Codes of the labels.
    inverse_T : tensor of shape (n_classes, n_classes)
        Inverse of the transition matrix.
    """
    log_p = logits.log_softmax(dim=1).clamp(min=math.log(SMALLEST))
    return -(inverse_T[target] * log_p).sum(dim=1)


class _Corrected(Loss):
    """What both corrections share: a transition matrix, given or estimated."""

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
        if self._is_given():
            T = as_floats(self.transition_matrix)
            square = T.ndim == 2 and T.shape[0] == T.shape[1]
            if not square or T.min() < 0 or not np.allclose(T.sum(axis=1), 1):
                raise ValueError(
                    "transition_matrix is not valid: it must be 'auto' or a square "
                    "matrix without negative numbers, its rows summing to 1."
                )
        elif self.transition_matrix != "auto":
            raise ValueError(
                f"transition_matrix={self.transition_matrix!r} is not valid: it must "
                "be 'auto' or a square matrix."
            )

    def start(self, n_samples, n_classes, device):  # noqa: D102
        self.state_ = {}
        if self._is_given():
            T = torch.tensor(np.asarray(self.transition_matrix), dtype=torch.float32)
            if T.shape[0] != n_classes:
                raise ValueError(
                    f"transition_matrix of shape {tuple(T.shape)} is not valid: y "
                    f"holds {n_classes} classes."
                )
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
            # The identity corrects nothing: until the estimate, this is cross-entropy.
            T = self.state_["transition_matrix"] = torch.eye(n_classes, device=device)
        self._prepare(T.to(device))

    def on_epoch(self, epoch, n_epochs):  # noqa: D102
        is_due = epoch >= max(1, round(self.begin * n_epochs))
        if is_due and not self._is_given() and not self._is_estimated():
            self._estimate()
        if not self._is_given():
            self._prepare(self.state_["transition_matrix"])

    def __call__(self, logits, target, index):  # noqa: D102
        if not self._is_given():
            with torch.no_grad():
                self._table[index] = logits.softmax(dim=1)
                self.state_["labels"][index] = target
        return self._corrected(logits, target)

    def _is_given(self):
        return not isinstance(self.transition_matrix, str)

    def _is_estimated(self):
        """Whether the matrix is no longer the identity that it begins with."""
        T = self.state_["transition_matrix"]
        return not torch.equal(T, torch.eye(len(T), device=T.device))

    def _estimate(self):
        """Estimate the matrix, if all samples were met."""
        labels = self.state_["labels"]
        shape = len(labels), self._table.n_classes
        probabilities = np.empty(shape, np.float32)
        for rows in chunks(*shape):
            part = self._table[torch.arange(rows.start, rows.stop)].cpu().numpy()
            totals = part.sum(axis=1, keepdims=True)
            if totals.min() == 0:
                return
            probabilities[rows] = part / totals
        T = estimate_transition_matrix(
            labels.cpu().numpy(),
            probabilities,
            classes=range(shape[1]),
            method=self.method,
            percentile=self.percentile,
        )
        self.state_["transition_matrix"].copy_(torch.from_numpy(T))

    def _prepare(self, T):
        """Compute what every batch needs of the transition matrix."""
        raise NotImplementedError

    def _corrected(self, logits, target):
        raise NotImplementedError


class Forward(_Corrected):
    """Cross-entropy of labels that the predicted classes change into.

    Parameters
    ----------
    transition_matrix : "auto" or array-like of shape (n_classes, n_classes)
        Probability of each label (column) for each true class (row), in the sorted
        order of the classes. "auto", the default, estimates it during training.
    method : {"votes", "confident_joint", "anchor"}, default="votes"
        How "auto" estimates: see
        :func:`sknoisy.scores.estimate_transition_matrix`.
    begin : float, default=0.1
        Share of the epochs that are trained with cross-entropy before "auto"
        estimates, in (0, 1]; at least one epoch.
    percentile : float, default=97.0
        Of the method "anchor".
    storage : {"float32", "float16"} or int, default="float32"
        How "auto" keeps probabilities; an int is the number of classes.

    Attributes
    ----------
    state_ : dict
        With "auto", ``"transition_matrix"``, tensor of shape (n_classes, n_classes),
        float32; ``"probabilities"`` (n_samples, n_classes), 4 or 2 bytes for each
        sample and class, or 4 for each of the classes kept; and ``"labels"``.

    Notes
    -----
    The official code trains a network to the end, estimates, and trains another. This
    estimates once in one training, before wrong labels are memorised; again where
    the number of samples changes, or where the estimate was the identity.

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
        # A label that no class changes into has a finite loss, and no gradient.
        self._log_T = T.clamp(min=torch.finfo(T.dtype).tiny).log()

    def _corrected(self, logits, target):
        return forward_correction(logits, target, self._log_T.to(logits.dtype))


class Backward(_Corrected):
    """Cross-entropies of all classes, weighted so that their mean is of clean labels.

    Unbiased, but some weights are negative: what lowers the loss of one label may be no
    more than an improbable class made more so. Probabilities below 1e-7 count as that,
    as in the official code, which bounds it. :class:`Forward` mostly trains better.

    Parameters
    ----------
    transition_matrix : "auto" or array-like of shape (n_classes, n_classes)
        Probability of each label (column) for each true class (row), in the sorted
        order of the classes. "auto", the default, estimates it during training.
    method : {"confident_joint", "votes", "anchor"}, default="confident_joint"
        How "auto" estimates: see
        :func:`sknoisy.scores.estimate_transition_matrix`.
    begin : float, default=1/3
        Share of the epochs that are trained with cross-entropy before "auto"
        estimates, in (0, 1]; at least one epoch.
    percentile : float, default=97.0
        Of the method "anchor".
    storage : {"float32", "float16"} or int, default="float32"
        How "auto" keeps probabilities; an int is the number of classes.

    Attributes
    ----------
    state_ : dict
        With "auto", ``"transition_matrix"``, tensor of shape (n_classes, n_classes),
        float32; ``"probabilities"`` (n_samples, n_classes), 4 or 2 bytes for each
        sample and class, or 4 for each of the classes kept; and ``"labels"``.

    Notes
    -----
    The official code trains a network to the end, estimates, and trains another. This
    estimates once in one training, before wrong labels are memorised; again where
    the number of samples changes, or where the estimate was the identity.

    It does not take the early estimate by votes that :class:`Forward` takes: with it,
    accuracy at 40% of CIFAR-10's asymmetric noise fell from 48 to 14%.

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
        # The pseudo-inverse also serves where two classes cannot be told apart.
        self._inverse = torch.linalg.pinv(T.cpu()).to(T.device)

    def _corrected(self, logits, target):
        return backward_correction(logits, target, self._inverse.to(logits.dtype))
