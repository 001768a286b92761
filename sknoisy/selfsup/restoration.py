"""Augmentation restoration as a pretext: a view must tell the sample it was made of."""

from sknoisy.encoders.decoding import build_decoder, restoration_error
from sknoisy.encoders.encoding import encode, encode_example
from sknoisy.selfsup.base import SelfSupervised
from sknoisy.views.automatic import resolve_views
from sknoisy.views.base import NoViews


class Restoration(SelfSupervised):
    """A decoder restores samples from what the encoder makes of augmented views.

    The decoder is kept: see ``SSLPretrainer.heads_``, and
    :class:`~sknoisy.plotting.RestorationDisplay` for what it restores.

    Parameters
    ----------
    views : "auto", "none" or Views, default="auto"
        Augmentation. "auto": RandAugment and cutout for images of 16 pixels or more;
        see :func:`sknoisy.views.resolve_views`.

    Notes
    -----
    The paper adds this loss to that of a classifier, as
    :class:`~sknoisy.regularizers.RestorationRegularizer` does; here, the encoder learns
    from nothing else. The decoder is the same.

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
