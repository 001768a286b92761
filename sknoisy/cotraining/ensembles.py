"""What the logits of several networks give: losses, and predictions."""

import numpy as np
import torch
from scipy.special import log_softmax, logsumexp
from torch.nn.functional import cross_entropy

from sknoisy.losses.expected import weighted_mean


def held_out(logits, half):
    """Return the predictions of networks for samples that they do not train on.

    Parameters
    ----------
    logits : tensor or ndarray of shape (n, n_networks, n_classes)
        Logits of all networks.
    half : tensor or ndarray of shape (n,), int64
        The half that a sample is in: 0, which the first, third, ... network trains on,
        or 1, which the others do.

    Returns
    -------
    logits : tensor or ndarray of shape (n, n_classes)
        By the other network, or the mean over the others; of a single one, its own.
    rows : tensor or ndarray of shape (n,), bool
        Which of these are predictions for samples that it does not train on.
    """
    first = half == 1
    if logits.shape[1] == 1:
        return logits[:, 0], first
    where = torch.where if isinstance(logits, torch.Tensor) else np.where
    of_both = logits[:, ::2].mean(axis=1), logits[:, 1::2].mean(axis=1)
    return where(first[:, None], *of_both), first | True


def own_half_loss(losses, half, weights=None):
    """Return the mean loss of each network's half of a batch, sum over the networks.

    Parameters
    ----------
    losses : tensor of shape (n, n_networks)
        Losses of all samples.
    half : tensor of shape (n,), int64
        0 for samples that the first, third, ... network trains on, 1 for the others.
    weights : tensor of shape (n,), default=None
        Weights of the samples; by default all are 1.

    Returns
    -------
    loss : tensor of shape ()
        A half that no sample of the batch is in adds nothing.
    """
    own = half[:, None] == torch.arange(losses.shape[1], device=half.device) % 2
    return sum(
        chosen_mean(losses[:, k], own[:, k], weights) for k in range(losses.shape[1])
    )


@np.errstate(under="ignore")
def mean_log_proba(logits):
    """Return the logarithm of networks' mean probability.

    Parameters
    ----------
    logits : ndarray of shape (n_samples, n_networks, n_classes)
        Logits of each network.

    Returns
    -------
    log_probabilities : ndarray of shape (n_samples, n_classes)
        In the dtype of `logits`, up to a constant.
    """
    return logsumexp(log_softmax(logits, axis=2), axis=1)


def given_losses(logits, target):
    """Return each network's loss of the given labels.

    Parameters
    ----------
    logits : tensor of shape (n, n_networks, n_classes)
        Logits of each network.
    target : tensor of shape (n,), int64, or (n, n_classes)
        Codes of the labels, or soft labels.

    Returns
    -------
    losses : tensor of shape (n, n_networks)
        Cross-entropy of the label, in nats. The entropy of soft labels is subtracted,
        so that unsure labels do not look wrong: the loss is then the divergence of the
        prediction from the label, which is 0 if they are equal.
    """
    n_networks = logits.shape[1]
    if target.is_floating_point():
        losses = -(logits.log_softmax(dim=2) * target[:, None]).sum(dim=2)
        return losses - torch.special.entr(target).sum(dim=1, keepdim=True)
    targets = target[:, None].expand(-1, n_networks)
    return cross_entropy(logits.transpose(1, 2), targets, reduction="none")


def chosen_mean(losses, chosen, weights=None):
    """Return the mean of the losses of chosen samples; 0 if none is chosen.

    Parameters
    ----------
    losses : tensor of shape (n,)
        Losses of all samples of a batch.
    chosen : tensor of shape (n,), bool
        Which samples count.
    weights : tensor of shape (n,), default=None
        Weights of the samples; by default all are 1.

    Returns
    -------
    mean : tensor of shape ()
        Mean loss, by the weights.
    """
    chosen = chosen.to(losses)
    return weighted_mean(losses, chosen if weights is None else chosen * weights)
