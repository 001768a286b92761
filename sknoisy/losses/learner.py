"""What losses and co-training methods have in common."""

from sknoisy.parameters import Method


class Learner(Method):
    """What a classifier trains its network with: a loss, or a co-training method.

    Whatever is not of use to one of them does nothing here.

    Attributes
    ----------
    soft_labels : bool
        Whether labels may be probabilities of the classes; of the class.
    unlabelled : bool
        Whether samples without a label are trained on, or left out; of the class.
    lasting : tuple of str
        Keys of ``state_`` that stay valid when the training set changes, whose tensors
        do not depend on its size; of the class.
    n_networks : int or None
        How many networks there are; None: one that is no ensemble; of the class.
    heads : tuple of str or None
        Head of each network; None: the classifier's `head`; of the class.
    predicting : tuple of int or None
        Networks whose mean probability is the prediction; None: all; of the class.
    closed_form : bool
        Whether all is solved at once before the first epoch, so that parameters of the
        training of networks change nothing; of the class.
    leaves_out : bool
        Whether what is recorded of each sample was predicted without its label; of the
        class.
    vector_encoder : str or None
        What the classifier's `encoder` "auto" means for vectors; None: as everywhere;
        of the class.
    needs_float64 : bool
        Whether it computes in float64; of the class.
    state_ : dict of str to tensor
        State that is kept between batches.
    positions_ : tensor of shape (n_samples,), int64
        Positions of the training samples among those that fit was given, which may be
        more: others have no weight, no label, or are held out. On the device.
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
            Epochs in which all of the network is trained.
        head_epochs : int
            Epochs before these, in which its head alone is trained.
        """

    def start(self, n_samples, n_classes, device):
        """Create ``state_``; called when a training begins, or its samples change.

        Where they change, what `lasting` names is copied from the state before.

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

        By default, nothing happens: whatever a loss returns for them, trusted samples
        are learned by cross-entropy, and co-training methods can ask their net.

        Parameters
        ----------
        trusted : tensor of shape (n_samples,), bool, or None
            Which labels are known to be right; None: none is.
        """

    def extend(self, module, data, generator):
        """Return the module that trains: the network, and heads of the method's own.

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
            The same, unchanged, or another one that has it and more heads, which are
            not kept after the training.
        """
        return module

    def on_epoch(self, epoch, n_epochs):
        """Prepare for an epoch; called at the beginning of each.

        Parameters
        ----------
        epoch : int
            Number of completed epochs.
        n_epochs : int
            Number of planned epochs; of those that fit into a limited time, an estimate
            that changes from epoch to epoch.
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
