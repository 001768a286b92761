"""Base class of self-supervised methods, and the head that most of them share."""

from torch import nn

from sknoisy.checks import check_integer
from sknoisy.parameters import Method
from sknoisy.views.automatic import resolve_views


class SelfSupervised(Method):
    """Base class of methods that pre-train an encoder, most of them without labels.

    A subclass defines its views, its heads and its loss: ``build`` returns the heads,
    ``start`` adds networks that are not trained, ``loss`` computes the loss of two
    views of a batch, and ``after_step`` updates moving averages. No registration is
    needed: pass an instance as ``method``.

    Attributes
    ----------
    uses_labels : bool
        Whether ``loss`` also takes the labels of the batch. If False, the default, y
        and sample weights are ignored.
    keeps_heads : bool
        Whether the weights of the heads are kept after the training.
    """

    uses_labels = False
    keeps_heads = False
    views = "auto"

    def make_views(self, spec):
        """Return the augmentations of the first and of the second view.

        Parameters
        ----------
        spec : InputSpec
            Kind and shape of the samples.

        Returns
        -------
        first, second : Views
            The augmentations.
        """
        views = resolve_views(self.views, spec, "strong")
        return views, views

    def build(self, encoder):
        """Return the heads, which are trained together with the encoder.

        Parameters
        ----------
        encoder : torch.nn.Module
            The encoder, with the attributes ``n_features``, its output width, and
            ``spec``, the kind and shape of the samples. Its first layer,
            ``encoder[0]``, is a Normalize.

        Returns
        -------
        heads : dict of str to torch.nn.Module
            Heads by name. Random numbers that they draw from PyTorch's global generator
            are seeded by the pre-trainer.
        """
        raise NotImplementedError(f"{type(self).__name__} must define build.")

    def start(self, networks, n_samples, generator):
        """Add modules that are not trained, such as moving averages and queues.

        Called once, at the beginning of the training. By default, nothing is added.

        Parameters
        ----------
        networks : torch.nn.ModuleDict
            The initialised encoder and heads, as in ``loss``, on the CPU. Modules may
            be added if their parameters do not require gradients. They are dropped
            after the training.
        n_samples : int
            Number of training samples.
        generator : torch.Generator
            Source of randomness, on the CPU.
        """

    def loss(self, networks, first, second, *labels):
        """Return the loss of a batch.

        Parameters
        ----------
        networks : torch.nn.ModuleDict
            The encoder as ``networks["encoder"]``, and all that ``build`` returned and
            ``start`` added.
        first, second : tensors of shape (n, ...)
            Two views of the same samples.
        *labels : tensors of shape (n,)
            Only with ``uses_labels``: the codes of the labels, int64, and the weight of
            each label, float32 in [0, 1].

        Returns
        -------
        loss : tensor of shape ()
            Loss to minimise.

        Notes
        -----
        This runs in the pre-trainer's `precision`. Operations other than those of the
        networks belong in ``with full_precision(...)`` of
        :mod:`sknoisy.data.devices`.
        """
        raise NotImplementedError(f"{type(self).__name__} must define loss.")

    def after_step(self, networks, progress):
        """Update moving averages. Called after each step of the optimiser.

        By default, nothing happens.

        Parameters
        ----------
        networks : torch.nn.ModuleDict
            As in ``loss``.
        progress : float
            Share of the training that is completed, this step included, in (0, 1].
        """


def projector(n_features, hidden, out, n_hidden=1):
    """Return a projection head: an MLP with batch normalisation and without biases.

    Parameters
    ----------
    n_features, hidden, out : int
        Width of the input, of each hidden layer and of the output.
    n_hidden : int, default=1
        Number of hidden layers.
    """
    layers = []
    for _ in range(n_hidden):
        layers += [nn.Linear(n_features, hidden, bias=False), nn.BatchNorm1d(hidden)]
        layers += [nn.ReLU(inplace=True)]
        n_features = hidden
    return nn.Sequential(*layers, nn.Linear(n_features, out, bias=False))


def check_widths(method, *names):
    """Raise ``ValueError`` unless these parameters, widths of heads, are positive."""
    for name in names:
        check_integer(name, getattr(method, name))


def off_diagonal(matrix):
    """Return the elements of a square matrix that are not on its diagonal."""
    n = matrix.shape[0]
    return matrix.flatten()[:-1].view(n - 1, n + 1)[:, 1:].reshape(n, n - 1)
