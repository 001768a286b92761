"""What losses and co-training methods have in common."""

from sknoisy.parameters import Method


class Learner(Method):
    """What a classifier trains its network with: a loss, or a co-training method.

    By default, methods that not all of them need do nothing. All attributes but the
    last two are class attributes.

    Attributes
    ----------
    soft_labels : bool
        Whether labels may be probabilities of the classes.
    unlabelled : bool
        Whether samples without a label are trained on, or left out.
    lasting : tuple of str
        Keys of ``state_`` that stay valid when the training set changes, because their
        tensors do not depend on its size.
    n_networks : int or None
        Number of networks in the ensemble; None: a single network without one.
    heads : tuple of str or None
        Head of each network; None: the classifier's `head`.
    predicting : tuple of int or None
        Networks whose mean probability is the prediction; None: all.
    closed_form : bool
        Whether everything is solved before the first epoch, so that parameters for the
        training of networks have no effect.
    leaves_out : bool
        Whether the predictions recorded for each sample were made without its label.
    vector_encoder : str or None
        Encoder that the classifier's ``encoder="auto"`` means for vectors; None: the
        same as for other methods.
    needs_float64 : bool
        Whether it computes in float64.
    state_ : dict of str to tensor
        State that is kept between batches.
    positions_ : tensor of shape (n_samples,), int64
        Positions of the training samples among the samples passed to ``fit``, without
        those that have no weight or no label, or are held out. On the device.
    """

    soft_labels = False
    unlabelled = False
    lasting = ()
    n_networks = None
    heads = None
    predicting = None
    closed_form = False
    leaves_out = False
    vector_encoder = None
    needs_float64 = False

    def plan(self, n_epochs, head_epochs):
        """Resolve what depends on the length of the training.

        Parameters
        ----------
        n_epochs : int
            Number of epochs in which the whole network is trained.
        head_epochs : int
            Number of epochs before these, in which only its head is trained.
        """

    def check_samples(self, spec):
        """Raise ``ValueError`` if this cannot learn from such samples.

        Called before the training; by default all will do.

        Parameters
        ----------
        spec : InputSpec
            Kind and shape of the samples.
        """

    def start(self, n_samples, n_classes, device):
        """Create ``state_``; called when a training begins, or its samples change.

        If the samples change, entries named in `lasting` are copied from the old state.

        Parameters
        ----------
        n_samples, n_classes : int
            Number of training samples and of classes.
        device : torch.device
            Device of the logits.
        """
        self.state_ = {}

    def check_started(self):
        """Raise ``ValueError`` if `start` left out what the training needs."""

    def trust(self, trusted):
        """Take the mask of trusted labels; called after `start`, for each y.

        By default, nothing happens: trusted samples are learned with cross-entropy, not
        with the loss. Co-training methods can ask their net for the mask.

        Parameters
        ----------
        trusted : tensor of shape (n_samples,), bool, or None
            Which labels are known to be right; None: none is.
        """

    def extend(self, module, data, generator):
        """Return the module to train: the network, and any heads of the method's own.

        Called before the optimiser is made.

        Parameters
        ----------
        module : torch.nn.Module
            The network, an Ensemble of co-training methods; or the heads alone, where
            the encoder is frozen.
        data : TrainingData
            Store and codes of the training set; where the encoder is frozen, its
            features.
        generator : torch.Generator
            Source of the heads' initial weights, on the CPU.

        Returns
        -------
        module : torch.nn.Module
            The same module, or another one that contains it and further heads, which
            are dropped after the training.
        """
        return module

    def on_epoch(self, epoch, n_epochs):
        """Prepare for an epoch; called at the beginning of each.

        Parameters
        ----------
        epoch : int
            Number of completed epochs.
        n_epochs : int
            Number of planned epochs. If the time is limited, this is an estimate that
            changes from epoch to epoch.
        """

    def restart(self, n_epochs):
        """Return the epoch at which the training restarts from the initial weights.

        Parameters
        ----------
        n_epochs : int
            Number of planned epochs.

        Returns
        -------
        epoch : int
            By default `n_epochs`: the training never restarts.
        """
        return n_epochs
