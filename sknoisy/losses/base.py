"""Base class of all losses."""

from sknoisy.losses.learner import Learner


class Loss(Learner):
    """Base class of losses, which return one loss for each sample of a batch.

    A subclass assigns its hyper-parameters in ``__init__``, validates them in
    ``check`` and computes the loss in ``__call__``. A subclass that stores values for
    each training sample also overrides ``start``, which creates tensors in ``state_``.
    Losses are called during training only, so prediction and validation never change
    their state. No registration is needed: pass an instance as ``loss``.

    Attributes
    ----------
    soft_labels : bool
        Class attribute: whether labels may be probabilities of the classes.
    state_ : dict of str to tensor
        State that is kept between batches.
    lasting : tuple of str
        Class attribute: keys of ``state_`` that stay valid when the training set
        changes.

    Examples
    --------
    >>> import torch
    >>> from sknoisy.losses import Loss
    >>> class Brier(Loss):
    ...     def __call__(self, logits, target, index):
    ...         one_hot = torch.nn.functional.one_hot(target, logits.shape[1])
    ...         return (logits.softmax(dim=1) - one_hot).square().sum(dim=1)
    >>> Brier()(torch.zeros(1, 2), torch.tensor([0]), None)
    tensor([0.5000])
    """

    def __call__(self, logits, target, index):
        """Return the loss of each sample of a batch.

        Parameters
        ----------
        logits : tensor of shape (n, n_classes), float32
            The network's outputs before the softmax.
        target : tensor of shape (n,), int64, or (n, n_classes), float32
            Codes of the given labels; or soft labels, if `soft_labels` is True and any
            label is soft.
        index : tensor of shape (n,), int64
            Positions of the samples in the training set. ``self.positions_[index]`` are
            their positions among the samples passed to ``fit``.

        Returns
        -------
        loss : tensor of shape (n,), float32
            Losses; their mean is minimised.
        """
        raise NotImplementedError(f"{type(self).__name__} must define __call__.")
