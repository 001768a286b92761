"""Augmentation restoration: the sample is restored from an augmented view."""

from sknoisy.checks import check_real
from sknoisy.encoders.decoding import build_decoder, restoration_error
from sknoisy.regularizers.base import Regularizer


class RestorationRegularizer(Regularizer):
    """A decoder restores samples from the encoder's output for augmented views.

    Parameters
    ----------
    weight : float, default=1.0
        Weight of the mean squared error of standardised channels or features. A decoder
        that returns their mean has an error of 1.
    views : "auto", "none" or Views, default="auto"
        Augmentation; see :func:`sknoisy.views.resolve_views`.

    Notes
    -----
    The paper describes neither the decoder nor the weight. Here, images are decoded
    from the feature maps before the encoder's pooling, or from the features if there
    are no maps; each layer doubles the size and halves the number of channels. Vectors
    are decoded by an MLP with one hidden layer. The squared error is averaged, not
    summed.

    The views are RandAugment with a cutout, as in the paper, which shows the cutout in
    figure 2 but does not give the parameters.

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
