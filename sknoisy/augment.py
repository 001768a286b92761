"""Random views of whole batches, with parameters of their own for every sample.

All of it runs on the device of the batch and draws from an explicit generator.
"""

import torch

from sknoisy.imageops import (
    Draw,
    blur_matrix,
    color_jitter,
    crop_boxes,
    cut_out,
    jitter_factors,
    luma,
    resize_matrix,
)
from sknoisy.parameters import Method, check_integer, check_real
from sknoisy.randaugment import rand_augment


class Views(Method):
    """Base class of random views: called with a batch, returns its views."""

    def __call__(self, batch, generator):
        """Return one random view of each sample.

        Parameters
        ----------
        batch : tensor of shape (n, d) or (n, C, H, W), float32
            Samples; images in [0, 1].
        generator : torch.Generator
            Source of randomness, on the device of `batch`.

        Returns
        -------
        view : tensor of the shape of `batch`
            A new tensor.
        """
        raise NotImplementedError(f"{type(self).__name__} must define __call__.")


class NoViews(Views):
    """The samples as they are."""

    def __call__(self, batch, generator):  # noqa: D102
        return batch


class VectorViews(Views):
    """Feature corruption and Gaussian noise, for tables and embeddings.

    A corrupted feature takes its value from another random sample of the batch,
    which is a draw from the feature's marginal distribution.

    Parameters
    ----------
    corruption : float, default=0.3
        Probability that a feature is replaced, in [0, 1]. The paper takes 0.6 for one
        of two views and leaves the other as it is; here both are corrupted.
    noise : float, default=0.1
        Standard deviation of the noise, in units of each feature's standard
        deviation within the batch.

    References
    ----------
    Bahri et al., SCARF: Self-Supervised Contrastive Learning using Random Feature
    Corruption, ICLR 2022.

    Examples
    --------
    >>> import torch
    >>> from sknoisy.augment import VectorViews
    >>> batch, generator = torch.eye(3), torch.Generator().manual_seed(0)
    >>> VectorViews(corruption=0.0, noise=0.0)(batch, generator).equal(batch)
    True
    """

    def __init__(self, corruption=0.3, noise=0.1):
        self.corruption = corruption
        self.noise = noise

    def check(self):  # noqa: D102
        check_real("corruption", self.corruption, "[0, 1]")
        check_real("noise", self.noise, "[0, inf)")

    def __call__(self, batch, generator):  # noqa: D102
        draw = Draw(batch, generator)
        if self.corruption:
            other = (draw.uniform(*batch.shape) * len(batch)).long()
            marginal = batch.gather(0, other)
            batch = torch.where(
                draw.uniform(*batch.shape) < self.corruption, marginal, batch
            )
        if self.noise:
            scale = self.noise * batch.std(dim=0, correction=0)
            batch = batch + scale * draw.normal(*batch.shape)
        return batch


class ImageViews(Views):
    """Crop, flip, blur, colour jitter, greyscale and cutout of images.

    Every parameter's "off" value leaves the images as they are.

    Parameters
    ----------
    crop_scale : (float, float) or None, default=(0.2, 1.0)
        Range of a random crop's share of the image area; the crop is resized to
        the image's size, antialiased. None: no resized crop.
    crop_ratio : (float, float), default=(3/4, 4/3)
        Range of the crop's width to height, drawn on a log scale.
    pad : int, default=0
        Shift by up to that many pixels either way, zeros coming in: the padding
        crop of CIFAR.
    flip : float, default=0.5
        Probability of a horizontal flip.
    blur : float, default=0.0
        Probability of a Gaussian blur.
    blur_sigma : (float, float), default=(0.1, 2.0)
        Range of its standard deviation, in pixels.
    jitter : (float, float, float, float) or None, default=(0.4, 0.4, 0.4, 0.1)
        Strength of brightness, contrast, saturation and hue, as torchvision's
        ``ColorJitter``. Saturation and hue need three channels.
    jitter_probability : float, default=0.8
        Probability of the jitter.
    gray : float, default=0.2
        Probability of greyscale.
    cutout : float, default=0.0
        Side of a square that is set to mid-grey, as a share of the image's side.

    References
    ----------
    Chen et al., A Simple Framework for Contrastive Learning of Visual
    Representations, ICML 2020. DeVries and Taylor, Improved Regularization of
    Convolutional Neural Networks with Cutout, 2017.

    Examples
    --------
    >>> import torch
    >>> from sknoisy.augment import ImageViews
    >>> images, generator = torch.rand(8, 3, 32, 32), torch.Generator().manual_seed(0)
    >>> ImageViews(gray=1.0)(images, generator).shape
    torch.Size([8, 3, 32, 32])
    """

    def __init__(
        self,
        crop_scale=(0.2, 1.0),
        crop_ratio=(3 / 4, 4 / 3),
        pad=0,
        flip=0.5,
        blur=0.0,
        blur_sigma=(0.1, 2.0),
        jitter=(0.4, 0.4, 0.4, 0.1),
        jitter_probability=0.8,
        gray=0.2,
        cutout=0.0,
    ):
        self.crop_scale = crop_scale
        self.crop_ratio = crop_ratio
        self.pad = pad
        self.flip = flip
        self.blur = blur
        self.blur_sigma = blur_sigma
        self.jitter = jitter
        self.jitter_probability = jitter_probability
        self.gray = gray
        self.cutout = cutout

    def check(self):  # noqa: D102
        for name in ("flip", "blur", "jitter_probability", "gray"):
            check_real(name, getattr(self, name), "[0, 1]")
        check_real("pad", self.pad, "[0, inf)")
        check_real("cutout", self.cutout, "[0, 1)")
        if self.crop_scale is not None:
            _check_range("crop_scale", self.crop_scale, "(0, 1]")
        _check_range("crop_ratio", self.crop_ratio, "(0, inf)")
        _check_range("blur_sigma", self.blur_sigma, "(0, inf)")
        if self.jitter is not None:
            for strength in self.jitter:
                check_real("jitter", strength, "[0, inf)")
            check_real("jitter[3] (hue)", self.jitter[3], "[0, 0.5]")

    def __call__(self, batch, generator):  # noqa: D102
        draw = Draw(batch, generator)
        if self.crop_scale is not None or self.pad or self.flip or self.blur:
            rows, columns = self._geometry(draw, *batch.shape[2:])
            n, channels, height, width = batch.shape
            batch = batch.reshape(n, channels * height, width) @ columns.mT
            batch = rows[:, None] @ batch.view(n, channels, height, width)
        if self.jitter is not None and self.jitter_probability:
            factors = jitter_factors(draw, self.jitter, self.jitter_probability)
            batch = color_jitter(batch, *factors, order=draw.order(3))
        if self.gray and batch.shape[1] == 3:
            gray = (draw.uniform(len(batch), 1, 1, 1) < self.gray).float()
            batch = torch.lerp(batch, luma(batch).expand_as(batch), gray)
        if self.cutout:
            batch = cut_out(batch, draw, self.cutout)
        return batch

    def _geometry(self, draw, height, width):
        """Return the (n, H, H) row and (n, W, W) column matrices of new views."""
        n = draw.n
        top, left = draw.zeros(), draw.zeros()
        crop_height, crop_width = draw.zeros() + height, draw.zeros() + width
        if self.crop_scale is not None:
            top, left, crop_height, crop_width = crop_boxes(
                draw, height, width, self.crop_scale, self.crop_ratio
            )
        if self.pad:
            top = top + draw.integers(-self.pad, self.pad)
            left = left + draw.integers(-self.pad, self.pad)
        flip = draw.uniform(n) < self.flip
        rows = resize_matrix(top, crop_height, height)
        columns = resize_matrix(left, crop_width, width)
        columns = torch.where(flip[:, None, None], columns.flip(1), columns)
        if self.blur:
            sigma = draw.uniform(n, low=self.blur_sigma[0], high=self.blur_sigma[1])
            sigma = torch.where(draw.uniform(n) < self.blur, sigma, 1e-3)
            rows = blur_matrix(sigma, height) @ rows
            columns = blur_matrix(sigma, width) @ columns
        return rows, columns


class RandAugment(Views):
    """A few operations drawn for each image, all of one strength.

    Of these 14: identity, shear and shift along either axis, rotation, brightness,
    colour, contrast, sharpness, fewer bits, inverted highlights, stretched contrast and
    equalised histogram.

    Parameters
    ----------
    n_operations : int, default=2
        How many are applied to an image, one after the other.
    magnitude : float, default=9
        Their strength, in [0, 30].
    cutout : float, default=0.0
        Side of a square that is then set to mid-grey, as a share of the image's side.

    Notes
    -----
    The operations, their ranges and the defaults, which the authors give for ImageNet,
    are torchvision's. Geometry is bilinear, there nearest by default.

    References
    ----------
    Cubuk, Zoph, Shlens and Le, RandAugment: Practical Automated Data Augmentation with
    a Reduced Search Space, CVPR Workshops 2020.

    Examples
    --------
    >>> import torch
    >>> from sknoisy.augment import RandAugment
    >>> images, generator = torch.rand(8, 3, 32, 32), torch.Generator().manual_seed(0)
    >>> RandAugment(cutout=0.5)(images, generator).shape
    torch.Size([8, 3, 32, 32])
    """

    def __init__(self, n_operations=2, magnitude=9, cutout=0.0):
        self.n_operations = n_operations
        self.magnitude = magnitude
        self.cutout = cutout

    def check(self):  # noqa: D102
        check_integer("n_operations", self.n_operations, low=0)
        check_real("magnitude", self.magnitude, "[0, 30]")
        check_real("cutout", self.cutout, "[0, 1)")

    def __call__(self, batch, generator):  # noqa: D102
        draw = Draw(batch, generator)
        batch = rand_augment(draw, batch, self.n_operations, self.magnitude / 30)
        return cut_out(batch, draw, self.cutout) if self.cutout else batch


def resolve_views(views, spec, strength):
    """Return the views that a parameter's value stands for.

    Parameters
    ----------
    views : "auto", "none", Views
        The parameter.
    spec : InputSpec
        What the samples are.
    strength : {"strong", "weak", "randaugment"}
        What "auto" stands for: strong views, for self-supervised learning, weak ones,
        for classification, or RandAugment, for what is to be restored.

    Returns
    -------
    views : Views
        For "auto": vectors get :class:`VectorViews` (strong) or none (weak).
        Images under 16 pixels (digits, icons): shifts by one pixel and, strong,
        mild crops and brightness, but no flips, which would make other characters.
        Grey images are not flipped either. Up to 64 pixels: the views of SimCLR
        for CIFAR (strong), or padding crop and flip (weak). Larger images: those
        for ImageNet, with blur (strong), or resized crop and flip (weak). With
        "randaugment", images of 16 pixels or more get :class:`RandAugment` with a
        cutout of half the side, and all else the strong views.
    """
    if isinstance(views, str) and views == "auto":
        return _automatic(spec, strength)
    if isinstance(views, str) and views == "none":
        return NoViews()
    if not isinstance(views, Views):
        raise ValueError(
            f"views={views!r} is not valid: it must be 'auto', 'none' or an instance "
            "of Views, such as ImageViews or VectorViews."
        )
    views.check()
    others = {"image": VectorViews, "vector": (ImageViews, RandAugment)}[spec.kind]
    if isinstance(views, others):
        raise ValueError(f"views={views!r} is not valid: X holds {spec.kind}s.")
    return views


def _automatic(spec, strength):
    strong = strength != "weak"
    if spec.kind == "vector":
        return VectorViews() if strong else NoViews()
    channels, *size = spec.shape
    side = min(size)
    if strength == "randaugment" and side >= 16:
        return RandAugment(cutout=0.5)
    flip = 0.5 if channels > 1 and side >= 16 else 0.0
    still = {"jitter": None, "gray": 0.0, "flip": flip}
    if side < 16:
        still["pad"] = 1
        if not strong:
            return ImageViews(crop_scale=None, **still)
        still["jitter"] = (0.4, 0.4, 0.0, 0.0)
        return ImageViews(crop_scale=(0.5, 1.0), **still)
    if side <= 64:
        if not strong:
            return ImageViews(crop_scale=None, pad=side // 8, **still)
        return ImageViews(flip=flip)
    if not strong:
        return ImageViews(crop_scale=(0.35, 1.0), **still)
    return ImageViews(
        crop_scale=(0.08, 1.0), jitter=(0.8, 0.8, 0.8, 0.2), blur=0.5, flip=flip
    )


def _check_range(name, ends, interval):
    for end in ends:
        check_real(name, end, interval)
    if ends[0] > ends[1]:
        raise ValueError(f"{name}={ends!r} is not valid: its ends must be in order.")
