"""Augmentation restoration: features must tell the sample that was augmented."""

from sknoisy.encoders.decoding import build_decoder, restoration_error
from sknoisy.parameters import check_real
from sknoisy.regularizers.base import Regularizer


class RestorationRegularizer(Regularizer):
    """A decoder restores samples from what the encoder makes of augmented views.

    Parameters
    ----------
    weight : float, default=1.0
        Weight of the mean squared error, in units of each channel's or feature's
        deviation: a decoder that knows nothing has an error of 1.
    views : "auto", "none" or Views, default="auto"
        Augmentation; see :func:`sknoisy.views.resolve_views`.

    Notes
    -----
    The paper describes neither the decoder nor the weight. Here, images are decoded
    from the maps that the encoder averages, or from its features if there are none, by
    layers that double the size and halve the channels; vectors by one hidden layer. The
    squared error is a mean, not a sum. Views are RandAugment, as in the paper, whose
    numbers it does not give, and the cutout that its figure 2 shows.

    References
    ----------
    Robust Feature Learning Against Noisy Labels, equations 3 and 4.

    Examples
    --------
    >>> from sknoisy import NoisyRobustClassifier
    >>> from sknoisy.regularizers import RestorationRegularizer
    >>> regularizers = [RestorationRegularizer(weight=0.5), "clustering"]
    >>> clf = NoisyRobustClassifier(regularizers=regularizers)
    """

    def __init__(self, weight=1.0, views="auto"):
        self.weight = weight
        self.views = views

    def check(self):  # noqa: D102
        check_real("weight", self.weight, "[0, inf)")

    def build(self, example, n_classes):  # noqa: D102
        return {"decoder": build_decoder(example)}

    def loss(self, heads, original, augmented):  # noqa: D102
        restored = heads["decoder"](augmented.code)
        return self.weight * restoration_error(restored, original.inputs)
