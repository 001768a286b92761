"""What a self-supervised method is, and the head that most of them share."""

from torch import nn

from sknoisy.parameters import Method, check_integer
from sknoisy.views.automatic import resolve_views


class SelfSupervised(Method):
    """Base class of methods that learn a representation, most without labels.

    A subclass owns its views, its heads and its loss. ``build`` returns the
    networks to train, ``start`` adds those that are not, ``loss`` computes on two views
    of a batch, and ``after_step`` is where moving averages are updated. Nothing needs
    registration: pass an instance as ``method``.

    Attributes
    ----------
    uses_labels : bool
        Whether ``loss`` takes the labels of the batch, too. Where not, the default,
        y and weights are never looked at.
    keeps_heads : bool
        Whether the heads' weights are kept after the training.
    """

    uses_labels = False
    keeps_heads = False
    views = "auto"

    def make_views(self, spec):
        """Return the two :class:`~sknoisy.views.Views` of samples like `spec`."""
        views = resolve_views(self.views, spec, "strong")
        return views, views

    def build(self, encoder):
        """Return the networks that are trained, around an encoder.

        Parameters
        ----------
        encoder : torch.nn.Module
            With attributes ``n_features`` and ``spec``, what the samples are; its first
            layer, ``encoder[0]``, is a Normalize.

        Returns
        -------
        heads : dict of str to torch.nn.Module
            Any layers; what they draw from PyTorch's global generator comes from the
            pre-trainer's seed.
        """
        raise NotImplementedError(f"{type(self).__name__} must define build.")

    def start(self, networks, n_samples, generator):
        """Add what is not trained: copies of initialised networks, queues.

        Parameters
        ----------
        networks : torch.nn.ModuleDict
            As in ``loss``, initialised, on the CPU. Modules whose parameters ask for no
            gradients may be added; they are dropped after the training.
        n_samples : int
            Size of the training set.
        generator : torch.Generator
            Source of randomness, on the CPU.
        """

    def loss(self, networks, first, second, *labels):
        """Return the loss of a batch.

        Parameters
        ----------
        networks : torch.nn.ModuleDict
            What ``build`` returned, and the encoder as ``networks["encoder"]``.
        first, second : tensors of shape (n, ...)
            Two views of the same samples.
        *labels : tensors of shape (n,)
            With ``uses_labels``: the codes of their labels, int64, and how far each
            label is trusted, float32 in [0, 1].

        Returns
        -------
        loss : tensor of shape ()
            To be minimised.

        Notes
        -----
        This runs in the pre-trainer's `precision`. What is no network's belongs inside
        ``with full_precision(...)``, of :mod:`sknoisy.devices`.
        """
        raise NotImplementedError(f"{type(self).__name__} must define loss.")

    def after_step(self, networks, progress):
        """Hear that a step is done.

        Parameters
        ----------
        networks : torch.nn.ModuleDict
            As in ``loss``.
        progress : float
            Share of the training that is done, in [0, 1].
        """


def projector(n_features, hidden, out, n_hidden=1):
    """Return an MLP of `n_hidden` normalised hidden layers without biases.

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
    """Check the widths of a method's heads."""
    for name in names:
        check_integer(name, getattr(method, name))


def off_diagonal(matrix):
    """Return the elements of a square matrix that are not on its diagonal."""
    n = matrix.shape[0]
    return matrix.flatten()[:-1].view(n - 1, n + 1)[:, 1:].reshape(n, n - 1)
