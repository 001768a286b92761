"""Mean absolute error, which is robust to symmetric noise but learns slowly."""

from sknoisy.losses.base import Loss


def mean_absolute_error(logits, target):
    """Return half the sum of ``|p - y|`` of each sample, 1 - p_y of a hard label.

    Parameters
    ----------
    logits : tensor of shape (n, n_classes)
        Outputs before the softmax.
    target : tensor of shape (n,), int64, or (n, n_classes)
        Codes of the labels, or soft labels.
    """
    p = logits.softmax(dim=1)
    if target.is_floating_point():
        return 1 - p.minimum(target.to(p)).sum(dim=1)
    return 1 - p.gather(1, target[:, None])[:, 0]


class MAE(Loss):
    """Mean absolute error between the softmax and the one-hot label, halved.

    The sum of ``|p - y|`` over the classes is 2 (1 - p_y). Like the official code of
    the active passive losses, this class returns 1 - p_y; the factor 2 would only scale
    the learning rate.

    References
    ----------
    Ghosh, Kumar and Sastry, Robust Loss Functions under Label Noise for Deep Neural
    Networks, AAAI 2017.

    Examples
    --------
    >>> import torch
    >>> from sknoisy.losses import MAE
    >>> MAE()(torch.zeros(1, 4), torch.tensor([2]), None)
    tensor([0.7500])
    """

    soft_labels = True

    def __call__(self, logits, target, index):  # noqa: D102
        return mean_absolute_error(logits, target)
