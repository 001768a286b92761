"""What a decoder restores from augmented images."""

import numpy as np
import torch
from sklearn.utils.validation import check_is_fitted
from torch import nn

from sknoisy.checks import check_integer, check_lengths, random_numbers
from sknoisy.data.devices import generator
from sknoisy.data.pictures import as_images, as_samples
from sknoisy.encoders.blueprint import load_numpy_state
from sknoisy.encoders.encoding import encode
from sknoisy.encoders.features import LazyFeatures
from sknoisy.encoders.initialization import build
from sknoisy.estimators.pretrainer import SSLPretrainer
from sknoisy.plotting.base import pyplot, show_image
from sknoisy.selfsup import Restoration
from sknoisy.views.base import random_view


class RestorationDisplay:
    """Three rows of images: originals, augmented ones, and restored ones.

    Make one by :meth:`from_estimator` or :meth:`from_predictions`.

    Parameters
    ----------
    originals, augmented, restored : ndarray of shape (n_images, H, W[, C]), float
        Images in [0, 1].

    Attributes
    ----------
    axes_ : ndarray of Axes of shape (3, n_images)
        The axes, after :meth:`plot`.
    figure_ : Figure
        The figure, after :meth:`plot`.

    References
    ----------
    Tai, Jhang and Hwang, Robust Feature Learning against Noisy Labels, 2023, figure 2.

    Examples
    --------
    >>> from sklearn.datasets import load_digits
    >>> from sknoisy import SSLPretrainer
    >>> from sknoisy.plotting import RestorationDisplay
    >>> X = load_digits().images[:100]
    >>> ssl = SSLPretrainer("restoration", max_epochs=2, random_state=0).fit(X)
    >>> display = RestorationDisplay.from_estimator(ssl, X, n_images=5, random_state=0)
    >>> display.restored.shape
    (5, 8, 8)
    """

    def __init__(self, originals, augmented, restored):
        self.originals = originals
        self.augmented = augmented
        self.restored = restored

    @classmethod
    def from_estimator(cls, pretrainer, X, *, n_images=8, random_state=None, **kwargs):
        """Augment images, and restore them with what a pre-trainer learned.

        Parameters
        ----------
        pretrainer : SSLPretrainer
            Fitted, with ``method="restoration"``. A classifier drops the decoder of
            its RestorationRegularizer.
        X : array-like, tensor, array of paths or LazyFeatures of shape (n_samples, ...)
            Images like those that it was fitted on.
        n_images : int, default=8
            Largest number of images to show; the first are taken.
        random_state : int, RandomState or None, default=None
            Source of randomness of the augmentation.
        **kwargs : dict
            Passed to :meth:`plot`.

        Returns
        -------
        display : RestorationDisplay
            The display, drawn.
        """
        if not isinstance(pretrainer, SSLPretrainer):
            raise ValueError(
                f"pretrainer={pretrainer!r} is not valid: it must be an SSLPretrainer."
            )
        check_is_fitted(pretrainer, "encoder_")
        check_integer("n_images", n_images)
        method, spec = pretrainer._method(), pretrainer.encoder_.spec
        if not isinstance(method, Restoration) or spec.kind != "image":
            raise ValueError(
                f"pretrainer={pretrainer!r} is not valid: it must have been fitted on "
                'images with method="restoration", or an instance of Restoration.'
            )
        X = as_samples(X.inputs if isinstance(X, LazyFeatures) else X)[:n_images]
        batch = spec.open(X).fetch(torch.arange(len(X), device="cpu")).cpu()
        seed = random_numbers(random_state).randint(2**31 - 1)
        _, views = method.make_views(spec)
        view = random_view(views, batch, generator(seed))
        images = [batch, view, _restore(pretrainer, method, view)]
        return cls(*(_as_numpy(part) for part in images)).plot(**kwargs)

    @classmethod
    def from_predictions(
        cls, originals, augmented, restored, *, n_images=8, channels="auto", **kwargs
    ):
        """Draw given images.

        Parameters
        ----------
        originals, augmented, restored : array-like or tensor of shape (n_samples, ...)
            Images (n, H, W), (n, H, W, C) or (n, C, H, W), uint8 or floats in [0, 1];
            what lies outside is clipped.
        n_images : int, default=8
            Largest number of images to show; the first are taken.
        channels : {"auto", "first", "last"}, default="auto"
            Position of the channel axis in 4-D images.
        **kwargs : dict
            Passed to :meth:`plot`.

        Returns
        -------
        display : RestorationDisplay
            The display, drawn.
        """
        check_integer("n_images", n_images)
        parts = [as_samples(part) for part in (originals, augmented, restored)]
        names = ("originals", "augmented", "restored")
        check_lengths(**dict(zip(names, parts, strict=True)))
        rows = np.arange(min(n_images, len(parts[0])))
        parts = [as_images(_clip(p), rows, channels, None) for p in parts]
        return cls(*parts).plot(**kwargs)

    def plot(self, *, figure=None):
        """Draw the three rows.

        Parameters
        ----------
        figure : Figure, default=None
            Where to draw; a new figure by default.

        Returns
        -------
        display : RestorationDisplay
            This display.
        """
        n = len(self.originals)
        if figure is None:
            size = (1.1 * n + 0.4, 3.4)  # inches
            figure = pyplot().figure(figsize=size, layout="constrained")
        axes = figure.subplots(3, n, squeeze=False)
        rows = {
            "original": self.originals,
            "augmented": self.augmented,
            "restored": self.restored,
        }
        for row, (name, images) in zip(axes, rows.items(), strict=True):
            for ax, image in zip(row, images, strict=True):
                show_image(ax, image)
            row[0].set_ylabel(name)
        self.axes_, self.figure_ = axes, figure
        return self


@torch.inference_mode()
def _restore(pretrainer, method, view):
    """Return images that are restored from augmented views, (n, C, H, W)."""
    encoder = pretrainer.encoder_.build()
    heads = build(lambda: nn.ModuleDict(method.build(encoder)), generator=generator(0))
    load_numpy_state(heads, pretrainer.heads_)
    restored = heads.eval()["decoder"](encode(encoder.eval(), view).code)
    return encoder[0].inverse(restored)


def _clip(images):
    """Return images without values beyond [0, 1], which would change their scale."""
    whole = images.dtype in (np.uint8, torch.uint8)
    return images if whole else images.clip(0, 1)


def _as_numpy(images):
    images = images.clamp(0, 1).numpy().transpose(0, 2, 3, 1)
    return images[..., 0] if images.shape[-1] == 1 else images
