"""Random views of images: crops, flips, blur, colour and cutout."""

import torch

from sknoisy.checks import check_integer, check_real
from sknoisy.views.base import Views, check_numbers, check_range
from sknoisy.views.imageops import (
    Draw,
    blur_matrix,
    color_jitter,
    crop_boxes,
    cut_out,
    jitter_factors,
    luma,
    resize_matrix,
)


class ImageViews(Views):
    """Crop, flip, blur, colour jitter, greyscale and cutout of images.

    Each operation is switched off by None or 0.

    Parameters
    ----------
    crop_scale : (float, float) or None, default=(0.2, 1.0)
        Range of the area of a random crop, as a share of the image's area. The crop is
        resized to the size of the image, with antialiasing. None: no crop.
    crop_ratio : (float, float), default=(3/4, 4/3)
        Range of the ratio of width to height of the crop, which is drawn log-uniformly.
    pad : int, default=0
        Largest shift in pixels, in any direction. Pixels from outside are 0. This is
        the crop after padding that is usual for CIFAR.
    flip : float, default=0.5
        Probability of a horizontal flip.
    blur : float, default=0.0
        Probability of a Gaussian blur.
    blur_sigma : (float, float), default=(0.1, 2.0)
        Range of the standard deviation of the blur, in pixels.
    jitter : (float, float, float, float) or None, default=(0.4, 0.4, 0.4, 0.1)
        Strengths of brightness, contrast, saturation and hue, as in torchvision's
        ``ColorJitter``. Saturation and hue are changed in RGB images only. None: no
        colour jitter.
    jitter_probability : float, default=0.8
        Probability of the colour jitter.
    gray : float, default=0.2
        Probability that an RGB image is made grey.
    cutout : float, default=0.0
        Side of a square that is set to mid-grey, as a share of the sides of the image.

    References
    ----------
    Chen et al., A Simple Framework for Contrastive Learning of Visual
    Representations, ICML 2020. DeVries and Taylor, Improved Regularization of
    Convolutional Neural Networks with Cutout, 2017.

    Examples
    --------
    >>> import torch
    >>> from sknoisy.views.images import ImageViews
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
        check_integer("pad", self.pad, low=0)
        check_real("cutout", self.cutout, "[0, 1)")
        if self.crop_scale is not None:
            check_range("crop_scale", self.crop_scale, "(0, 1]")
        check_range("crop_ratio", self.crop_ratio, "(0, inf)")
        check_range("blur_sigma", self.blur_sigma, "(0, inf)")
        if self.jitter is not None:
            check_numbers("jitter", self.jitter, 4, "[0, inf)")
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
        """Draw crop, shift, flip and blur; return their matrices.

        Returns
        -------
        rows, columns : tensors of shape (n, H, H) and (n, W, W)
            Matrices to be applied to the rows and columns of the images.
        """
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
        columns = resize_matrix(left, crop_width, width, mirrored=flip)
        if self.blur:
            sigma = draw.uniform(n, low=self.blur_sigma[0], high=self.blur_sigma[1])
            sigma = torch.where(draw.uniform(n) < self.blur, sigma, 1e-3)
            rows = blur_matrix(sigma, height) @ rows
            columns = blur_matrix(sigma, width) @ columns
        return rows, columns
