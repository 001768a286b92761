"""Augmentation restoration: the sample is restored from an augmented view."""

from sknoisy.encoders.decoding import build_decoder, restoration_error
from sknoisy.encoders.encoding import encode, encode_example
from sknoisy.selfsup.base import SelfSupervised
from sknoisy.views.automatic import resolve_views
from sknoisy.views.base import NoViews


class Restoration(SelfSupervised):
    """A decoder restores samples from the encoder's output for augmented views.

    The decoder is kept in ``SSLPretrainer.heads_``, and
    :class:`~sknoisy.plotting.RestorationDisplay` shows restored samples.

    Parameters
    ----------
    views : "auto", "none" or Views, default="auto"
        Augmentation; see :func:`sknoisy.views.resolve_views`. "auto" is RandAugment
        with a cutout for images of 16 pixels or more.

    Notes
    -----
    In the paper this loss is added to a classifier's loss, as
    :class:`~sknoisy.regularizers.RestorationRegularizer` does with the same decoder.
    Here it is the only loss.

    References
    ----------
    Tai, Jhang and Hwang, Robust Feature Learning against Noisy Labels, 2023, equations
    3 and 4. Vincent et al., Extracting and Composing Robust Features with Denoising
    Autoencoders, ICML 2008.

    Examples
    --------
    >>> from sklearn.datasets import load_digits
    >>> from sknoisy import SSLPretrainer
    >>> X = load_digits().images[:100]
    >>> ssl = SSLPretrainer("restoration", max_epochs=2, random_state=0).fit(X)
    >>> list(ssl.heads_)[0]
    'decoder.1.weight'
    """

    keeps_heads = True

    def __init__(self, views="auto"):
        self.views = views

    def make_views(self, spec):  # noqa: D102
        return NoViews(), resolve_views(self.views, spec, "randaugment")

    def build(self, encoder):  # noqa: D102
        return {"decoder": build_decoder(encode_example(encoder, encoder.spec.shape))}

    def loss(self, networks, first, second):  # noqa: D102
        inputs = networks["encoder"][0](first)
        restored = networks["decoder"](encode(networks["encoder"], second).code)
        return restoration_error(restored, inputs)
