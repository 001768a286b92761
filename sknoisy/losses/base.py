"""What a loss is."""

from sknoisy.parameters import Method


class Loss(Method):
    """Base class of losses: called with a batch, returns a loss for each sample.

    A subclass assigns its hyper-parameters in ``__init__``, checks them in
    ``check`` and computes in ``__call__``. One that keeps something for each
    training sample also has ``start``, which creates tensors in ``state_``; it is
    called in training only, so prediction and validation never write to them.
    Nothing needs registration: pass an instance as ``loss``.

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

    lasting = ()  # names of state that holds for other samples, too

    def start(self, n_samples, n_classes, device):
        """Begin a training: create the state of each sample in ``state_``.

        Parameters
        ----------
        n_samples, n_classes : int
            Size of the training set.
        device : torch.device
            Where the logits will be.
        """
        self.state_ = {}

    def on_epoch(self, epoch, n_epochs):
        """Hear that an epoch begins, for losses that change as training goes on.

        Parameters
        ----------
        epoch : int
            Number of epochs done.
        n_epochs : int
            Number of epochs planned.
        """

    def restart(self, n_epochs):
        """Return the epoch at which the network starts anew, from its first weights.

        Parameters
        ----------
        n_epochs : int
            Number of epochs planned.

        Returns
        -------
        epoch : int
            `n_epochs`, which is never, unless a subclass trains a second network.
        """
        return n_epochs

    def __call__(self, logits, target, index):
        """Return the loss of each sample of a batch.

        Parameters
        ----------
        logits : tensor of shape (n, n_classes), float32
            The network's outputs before the softmax.
        target : tensor of shape (n,), int64
            Codes of the given labels.
        index : tensor of shape (n,), int64
            Positions of the samples in the training set.

        Returns
        -------
        loss : tensor of shape (n,), float32
            Its mean is minimised.
        """
        raise NotImplementedError(f"{type(self).__name__} must define __call__.")
