"""What a regulariser is, and the network that is trained with some of them."""

from torch import nn

from sknoisy.data.devices import full_precision, to_channels_last
from sknoisy.encoders.encoding import encode, encode_example
from sknoisy.encoders.initialization import build_heads
from sknoisy.parameters import Method, comparable
from sknoisy.views.automatic import resolve_views


class Regularizer(Method):
    """Base class of losses of a classifier's features, which need no labels.

    A subclass owns its augmented views, its heads and its loss, which is added to that
    of the labels while all of the network is trained. Nothing needs registration: pass
    instances as ``regularizers``.
    """

    views = "auto"

    def make_views(self, spec):
        """Return the augmentation of samples like `spec`, a Views."""
        return resolve_views(self.views, spec, "randaugment")

    def build(self, example, n_classes):
        """Return the networks that are trained beside the classifier, then dropped.

        Parameters
        ----------
        example : Encoded
            Two samples, for their shapes.
        n_classes : int
            Number of classes.

        Returns
        -------
        heads : dict of str to torch.nn.Module
            Any layers; what they draw from PyTorch's global generator comes from the
            classifier's seed.
        """
        raise NotImplementedError(f"{type(self).__name__} must define build.")

    def loss(self, heads, original, augmented):
        """Return the loss of a batch.

        Parameters
        ----------
        heads : torch.nn.ModuleDict
            What ``build`` returned.
        original, augmented : Encoded
            The samples that the classifier sees, and augmented views of these.

        Returns
        -------
        loss : tensor of shape ()
            Added to the classifier's.

        Notes
        -----
        This runs in the classifier's `precision`. What is no network's belongs inside
        ``with full_precision(...)``, of :mod:`sknoisy.devices`.
        """
        raise NotImplementedError(f"{type(self).__name__} must define loss.")


class Regularized(nn.Module):
    """A classifier's network and the heads of its regularisers.

    Parameters
    ----------
    network : torch.nn.Module
        With submodules ``encoder``, whose first layer is a Normalize, and ``head``.
    regularizers : list of Regularizer
        One or more.
    spec : InputSpec
        What the samples are.
    n_classes : int
        Number of classes.
    generator : torch.Generator
        Source of the heads' initial weights, on the CPU.
    """

    def __init__(self, network, regularizers, spec, n_classes, generator):
        super().__init__()
        self.network = network
        self.regularizers = regularizers
        # Equal views are drawn and encoded once; which are, is found out once.
        self.views, self.drawn_with = [], []
        for i, regularizer in enumerate(regularizers):
            self.views.append(regularizer.make_views(spec))
            equal = (k for k in range(i) if _equal(self.views[k], self.views[i]))
            self.drawn_with.append(next(equal, i))
        example = encode_example(network.encoder, spec.shape)
        self.heads = nn.ModuleList(
            build_heads(regularizer, example, n_classes, generator=generator)
            for regularizer in regularizers
        ).to(next(network.parameters()).device)

    def forward(self, batch):
        """Return the logits of a batch."""
        return self.network(batch)

    def regularized(self, batch, generator):
        """Return the logits of a batch and the sum of the regularisers' losses.

        Parameters
        ----------
        batch : tensor of shape (n, ...), float32
            Samples, as the classifier sees them.
        generator : torch.Generator
            Source of the augmented views, on the device.
        """
        original = encode(self.network.encoder, batch)
        penalty, augmented = 0.0, {}
        for regularizer, i, heads in zip(
            self.regularizers, self.drawn_with, self.heads, strict=True
        ):
            if i not in augmented:
                with full_precision(batch):
                    view = to_channels_last(self.views[i](batch, generator))
                augmented[i] = encode(self.network.encoder, view)
            penalty = penalty + regularizer.loss(heads, original, augmented[i])
        return self.network.head(original.features), penalty


def _equal(views, others):
    """Whether two views do the same."""
    if not isinstance(views, Method) or type(views) is not type(others):
        return views is others
    return comparable(views) == comparable(others)
