"""Jensen-Shannon divergence: between cross-entropy and mean absolute error."""

import math

import torch

from sknoisy.checks import check_real
from sknoisy.losses.base import Loss
from sknoisy.losses.expected import as_distributions


def jensen_shannon(logits, target, pi):
    """Return the scaled divergence of labels and predictions.

    The divergence is the entropy of the mean distribution minus the mean of the
    entropies, with weight `pi` on the label and the rest divided equally among the
    predictions. It is divided by Z = -(1 - pi) log(1 - pi).

    Parameters
    ----------
    logits : tensor of shape (n, n_views, n_classes)
        Outputs before the softmax, for each view of a sample.
    target : tensor of shape (n,), int64, or (n, n_classes)
        Codes of the labels, or soft labels.
    pi : float
        Weight of the label, in (0, 1).

    Returns
    -------
    losses : tensor of shape (n,)
        Divergences of the samples.
    """
    log_p = logits.log_softmax(dim=2)
    y = as_distributions(target, logits.shape[2], logits.dtype)
    log_rest = math.log1p(-pi)
    log_mean_p = log_p.logsumexp(dim=1) - math.log(logits.shape[1])
    log_m = torch.logaddexp(y.log() + math.log(pi), log_mean_p + log_rest)
    of_label = torch.xlogy(y, y) - y * log_m
    of_views = (log_p.exp() * (log_p - log_m[:, None])).mean(dim=1)
    divergence = (pi * of_label + (1 - pi) * of_views).sum(dim=1)
    return divergence / (-(1 - pi) * log_rest)


class JS(Loss):
    """Jensen-Shannon divergence of the prediction from the label.

    Parameters
    ----------
    pi : float, default=0.7
        Weight of the label, in (0, 1): the limit at 0 is cross-entropy, the limit at 1
        mean absolute error, 1 - p_y. See the notes for published values.

    See Also
    --------
    sknoisy.GJS : The same for two views of each sample.

    Notes
    -----
    The official code takes these values of `pi`:

    ========= =============================== ==================
    data      share of wrong labels           `pi`
    ========= =============================== ==================
    CIFAR-10  symmetric 0; 0.2, 0.4; 0.6, 0.8 0.1; 0.7; 0.9
    CIFAR-10  asymmetric 0.2, 0.4             0.3
    CIFAR-100 symmetric 0, 0.2; 0.4; 0.6; 0.8 0.1; 0.3; 0.5; 0.3
    CIFAR-100 asymmetric 0.2, 0.4             0.5
    WebVision                                 0.1
    ========= =============================== ==================

    The divergence is divided by Z = -(1 - pi) log(1 - pi), as in the paper; for
    WebVision, the official code does not divide it. The official code clamps the mean
    of label and prediction at 1e-7; here it is not clamped.

    References
    ----------
    Englesson and Azizpour, Generalized Jensen-Shannon Divergence Loss for Learning with
    Noisy Labels, NeurIPS 2021.

    Examples
    --------
    >>> import torch
    >>> from sknoisy.losses import JS
    >>> JS(pi=0.5)(torch.zeros(1, 2), torch.tensor([1]), None)
    tensor([0.6226])
    """

    soft_labels = True

    def __init__(self, pi=0.7):
        self.pi = pi

    def check(self):  # noqa: D102
        check_real("pi", self.pi, "(0, 1)")

    def __call__(self, logits, target, index):  # noqa: D102
        return jensen_shannon(logits[:, None], target, self.pi)
