"""Base class of regularisers, and the network that is trained with them."""

from torch import nn

from sknoisy.encoders.encoding import encode, encode_example
from sknoisy.encoders.initialization import build_heads
from sknoisy.losses.expected import check_scalar
from sknoisy.parameters import Method, comparable
from sknoisy.views.automatic import resolve_views
from sknoisy.views.base import random_view


class Regularizer(Method):
    """Base class of losses on the features of a classifier, which do not use labels.

    A subclass defines its augmented views, its heads and its loss, which is added to
    the loss of the labels while the whole network is trained. No registration is
    needed: pass instances as ``regularizers``.
    """

    views = "auto"

    def make_views(self, spec):
        """Return the augmentation.

        Parameters
        ----------
        spec : InputSpec
            Kind and shape of the samples.

        Returns
        -------
        views : Views
            The augmentation.
        """
        return resolve_views(self.views, spec, "randaugment")

    def build(self, example, n_classes):
        """Return the heads, which are trained with the classifier and then dropped.

        Parameters
        ----------
        example : Encoded
            Two encoded samples, which show the shapes.
        n_classes : int
            Number of classes.

        Returns
        -------
        heads : dict of str to torch.nn.Module
            Heads by name. Random numbers that they draw from PyTorch's global generator
            are seeded by the classifier.
        """
        raise NotImplementedError(f"{type(self).__name__} must define build.")

    def loss(self, heads, original, augmented):
        """Return the loss of a batch.

        Parameters
        ----------
        heads : torch.nn.ModuleDict
            The heads that ``build`` returned.
        original, augmented : Encoded
            The samples as the classifier is trained on them, and augmented views of
            these.

        Returns
        -------
        loss : tensor of shape ()
            Loss that is added to the classifier's.

        Notes
        -----
        This runs in the classifier's `precision`. Operations other than those of the
        networks belong in ``with full_precision(...)`` of
        :mod:`sknoisy.data.devices`.
        """
        raise NotImplementedError(f"{type(self).__name__} must define loss.")


class Regularized(nn.Module):
    """The network of a classifier and the heads of its regularisers.

    Parameters
    ----------
    network : torch.nn.Module
        The network, with submodules ``encoder``, whose first layer is a Normalize, and
        ``head``.
    regularizers : list of Regularizer
        One regulariser or more.
    spec : InputSpec
        Kind and shape of the samples.
    n_classes : int
        Number of classes.
    generator : torch.Generator
        Source of the initial weights of the heads, on the CPU.
    """

    def __init__(self, network, regularizers, spec, n_classes, generator):
        super().__init__()
        self.network = network
        self.regularizers = regularizers
        # Regularisers with equal views share the augmented batch and its encoding.
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
        """Return the logits of a batch and the sum of the losses of the regularisers.

        Parameters
        ----------
        batch : tensor of shape (n, ...), float32
            Samples, as the classifier is trained on them.
        generator : torch.Generator
            Source of randomness of the augmented views, on the device.

        Returns
        -------
        logits : tensor of shape (n, n_classes)
            Logits of the samples without further augmentation.
        penalty : tensor of shape ()
            Sum of the losses.
        """
        original = encode(self.network.encoder, batch)
        penalty, augmented = 0.0, {}
        for regularizer, i, heads in zip(
            self.regularizers, self.drawn_with, self.heads, strict=True
        ):
            if i not in augmented:
                view = random_view(self.views[i], batch, generator)
                augmented[i] = encode(self.network.encoder, view)
            loss = regularizer.loss(heads, original, augmented[i])
            check_scalar(loss, regularizer)
            penalty = penalty + loss
        return self.network.head(original.features), penalty


def _equal(views, others):
    """Return whether two augmentations are of one class and have equal parameters."""
    if not isinstance(views, Method) or type(views) is not type(others):
        return views is others
    return comparable(views) == comparable(others)
