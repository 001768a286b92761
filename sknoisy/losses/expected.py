"""Losses of soft labels: means over the classes, and over samples by their weights."""

import torch
from torch.nn import functional as F

from sknoisy.checks import described

LEAST_WEIGHT = 1e-12  # less than any sum of weights other than 0


def class_losses(logits, target):
    """Return the cross-entropies that the loss of a label is made of.

    Parameters
    ----------
    logits : tensor of shape (n, n_classes)
        Outputs before the softmax.
    target : tensor of shape (n,), int64, or (n, n_classes)
        Codes of the labels, or probabilities of the classes.

    Returns
    -------
    losses : tensor of shape (n,) or (n, n_classes)
        -log p of the label; or of all classes, where labels are soft.
    """
    if target.is_floating_point():
        return -logits.log_softmax(dim=1)
    return F.cross_entropy(logits, target, reduction="none")


def expected(values, target):
    """Return the mean over a label's classes of what depends on the class.

    Parameters
    ----------
    values : tensor of shape (n,) or (n, n_classes)
        Value of the label, or of all classes, as :func:`class_losses` returns them.
    target : tensor of shape (n,), int64, or (n, n_classes)
        Codes of the labels, or probabilities of the classes.

    Returns
    -------
    mean : tensor of shape (n,)
        Means; for hard labels the values themselves.

    Examples
    --------
    >>> import torch
    >>> from sknoisy.losses.expected import class_losses, expected
    >>> logits, target = torch.zeros(1, 4), torch.tensor([[0.5, 0.5, 0.0, 0.0]])
    >>> expected(1 - (-class_losses(logits, target)).exp(), target)
    tensor([0.7500])
    """
    return (values * target).sum(dim=1) if target.is_floating_point() else values


def as_distributions(target, n_classes, dtype=torch.float32):
    """Return labels as probabilities of the classes.

    Parameters
    ----------
    target : tensor of shape (n,), int64, or (n, n_classes)
        Codes of the labels, or probabilities of the classes.
    n_classes : int
        Number of classes.
    dtype : torch.dtype, default=torch.float32
        Number format of the result.

    Returns
    -------
    distributions : tensor of shape (n, n_classes)
        Hard labels are one-hot.
    """
    if not target.is_floating_point():
        target = F.one_hot(target, n_classes)
    return target.to(dtype)


def weighted_mean(values, weights=None):
    """Return the mean of values by their weights; 0 where all weights are 0."""
    if weights is None:
        return values.mean()
    return (weights * values).sum() / weights.sum().clamp(min=LEAST_WEIGHT)


def check_scalar(loss, method):
    """Raise ``ValueError`` unless the loss of a batch is one number.

    Parameters
    ----------
    loss : tensor
        What is to be minimised.
    method : Method
        What returned it, for the error message.
    """
    if not isinstance(loss, torch.Tensor) or loss.shape != ():
        raise ValueError(
            f"{type(method).__name__} returned {described(loss)} as the loss of a "
            "batch: it must return one number for all of its samples, such as their "
            "mean, a tensor of shape ()."
        )
