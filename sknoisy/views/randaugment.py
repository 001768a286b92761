"""RandAugment, and its operations on whole batches."""

import math

import torch
from torch.nn import functional as F

from sknoisy.checks import check_integer, check_real
from sknoisy.views.base import Views
from sknoisy.views.imageops import (
    Draw,
    cut_out,
    luma,
)


class RandAugment(Views):
    """Random operations on images, all with the same strength.

    The operations of each image are drawn from 14: identity, shear and translation
    along either axis, rotation, brightness, colour, contrast, sharpness, posterisation,
    solarisation, automatic contrast and histogram equalisation.

    Parameters
    ----------
    n_operations : int, default=2
        Number of operations that are applied to an image, one after the other.
    magnitude : float, default=9
        Strength of the operations, in [0, 30].
    cutout : float, default=0.0
        Side of a square that is set to mid-grey afterwards, as a share of the sides of
        the image.

    Notes
    -----
    The operations, their ranges and the defaults are those of torchvision; the authors
    give the defaults for ImageNet. Interpolation is bilinear here, and nearest by
    default in torchvision.

    References
    ----------
    Cubuk, Zoph, Shlens and Le, RandAugment: Practical Automated Data Augmentation with
    a Reduced Search Space, CVPR Workshops 2020.

    Examples
    --------
    >>> import torch
    >>> from sknoisy.views.randaugment import RandAugment
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


def affine(images, xx=1.0, xy=0.0, x=0.0, yx=0.0, yy=1.0, y=0.0):
    """Apply an affine map: output (X, Y) is input (xx X + xy Y + x, yx X + yy Y + y).

    The interpolation is bilinear, and pixels from outside are black.

    Parameters
    ----------
    images : tensor of shape (n, C, H, W)
        Images with any values.
    xx, xy, x, yx, yy, y : float or tensor of shape (n, 1, 1, 1)
        Coefficients. Coordinates are in pixels, to the right and down from the centre.
    """
    half_w, half_h = images.shape[3] / 2, images.shape[2] / 2
    ratio = half_h / half_w
    entries = xx, xy * ratio, x / half_w, yx / ratio, yy, y / half_h
    zero = images.new_zeros(len(images), 1, 1, 1)
    matrix = torch.cat([zero + entry for entry in entries], dim=1).view(-1, 2, 3)
    grid = F.affine_grid(matrix, images.shape, align_corners=False)
    return F.grid_sample(images, grid, align_corners=False)


def shear_x(images, strength):
    """Shear along the rows by up to 0.3 pixels per row; the top row stays."""
    slope = 0.3 * strength
    return affine(images, xy=slope, x=slope * images.shape[2] / 2)


def shear_y(images, strength):
    """Shear along the columns by up to 0.3 pixels per column; the left one stays."""
    slope = 0.3 * strength
    return affine(images, yx=slope, y=slope * images.shape[3] / 2)


def translate_x(images, strength):
    """Translate by up to 150/331 of the width, in whole pixels."""
    pixels = (150 / 331 * images.shape[3] * strength).trunc()
    return affine(images, x=-pixels)


def translate_y(images, strength):
    """Translate by up to 150/331 of the height, in whole pixels."""
    pixels = (150 / 331 * images.shape[2] * strength).trunc()
    return affine(images, y=-pixels)


def rotate(images, strength):
    """Rotate about the centre by up to 30 degrees."""
    angle = math.radians(30) * strength
    cos, sin = angle.cos(), angle.sin()
    return affine(images, xx=cos, xy=-sin, yx=sin, yy=cos)


def _blend(images, base, strength):
    """Move images away from a base image or, with a negative strength, towards it."""
    return torch.lerp(base.expand_as(images), images, 1 + 0.9 * strength).clamp_(0, 1)


def brightness(images, strength):
    """Move images away from black."""
    return _blend(images, torch.zeros_like(images), strength)


def color(images, strength):
    """Move RGB images away from grey; other images do not change."""
    if images.shape[1] != 3:
        return images
    return _blend(images, luma(images), strength)


def contrast(images, strength):
    """Move images away from their mean grey."""
    return _blend(images, luma(images).mean(dim=(2, 3), keepdim=True), strength)


def sharpness(images, strength):
    """Move images away from a blur of 3 x 3 pixels; the border does not change."""
    channels = images.shape[1]
    kernel = images.new_full((channels, 1, 3, 3), 1 / 13)
    kernel[:, :, 1, 1] = 5 / 13
    blurred = images.clone()
    blurred[:, :, 1:-1, 1:-1] = F.conv2d(images, kernel, groups=channels)
    return _blend(images, blurred, strength)


def posterize(images, strength):
    """Keep 8 to 4 bits of each value."""
    step = 2 ** (4 * strength.abs()).round()
    return (_bytes(images) / step).floor() * step / 255


def solarize(images, strength):
    """Invert values from a threshold on, which falls from 1 to 0 with the strength."""
    return torch.where(images >= 1 - strength.abs(), 1 - images, images)


def autocontrast(images, strength=None):
    """Stretch the values of each channel to [0, 1], unless all are equal."""
    low = images.amin(dim=(2, 3), keepdim=True)
    spread = images.amax(dim=(2, 3), keepdim=True) - low
    flat = spread == 0
    return torch.where(flat, images, (images - low) / torch.where(flat, 1, spread))


def equalize(images, strength=None):
    """Equalise the histogram of each channel, in 256 bins.

    The rounding is Pillow's, which leaves a channel unchanged if fewer than 255 pixels
    are below its largest value.
    """
    values = _bytes(images).long().flatten(2)
    counts = torch.zeros(
        *values.shape[:2], 256, dtype=torch.int64, device=images.device
    )
    counts.scatter_add_(2, values, torch.ones_like(values))
    largest = values.amax(dim=2, keepdim=True)
    step = (values.shape[2] - counts.gather(2, largest)) // 255
    below = counts.cumsum(dim=2) - counts
    table = ((below + step // 2) // step.clamp(min=1)).clamp(max=255)
    equalized = table.gather(2, values).view_as(images).float() / 255
    return torch.where(step[..., None] > 0, equalized, images)


def _bytes(images):
    """Return whole values from 0 to 255, which restores images that were uint8."""
    return (256 * images).floor().clamp(0, 255)


OPERATIONS = {
    "identity": lambda images, strength: images,
    "shear_x": shear_x,
    "shear_y": shear_y,
    "translate_x": translate_x,
    "translate_y": translate_y,
    "rotate": rotate,
    "brightness": brightness,
    "color": color,
    "contrast": contrast,
    "sharpness": sharpness,
    "posterize": posterize,
    "solarize": solarize,
    "autocontrast": autocontrast,
    "equalize": equalize,
}


def rand_augment(draw, images, n_operations, strength):
    """Apply random operations to each image, one after the other.

    Parameters
    ----------
    draw : Draw
        Source of randomness.
    images : tensor of shape (n, C, H, W)
        Values in [0, 1].
    n_operations : int
        Number of operations for each image. They are drawn independently, but so that
        all operations are about equally frequent in a batch.
    strength : float
        Strength of all operations, in [0, 1]. Its sign is drawn for operations that
        have a direction.

    Returns
    -------
    images : tensor of shape (n, C, H, W)
        The augmented images, in a new tensor.
    """
    # All operations get the same number of images, so that no number has to be read
    # back from the device. The batch is filled up with copies of the last image.
    n_kinds = len(OPERATIONS)
    n_places = math.ceil(draw.n / n_kinds) * n_kinds
    taken_by = torch.arange(n_places, device=images.device)
    images = images[taken_by.clamp(max=draw.n - 1)]
    for _ in range(n_operations):
        order = draw.uniform(n_places).argsort()
        taken_by = taken_by[order]
        sign = 1.0 - 2.0 * (draw.uniform(n_places, 1, 1, 1) < 0.5).float()
        rows, strengths = (x.tensor_split(n_kinds) for x in (order, strength * sign))
        each = zip(OPERATIONS.values(), rows, strengths, strict=True)
        images = torch.cat([operation(images[r], s) for operation, r, s in each])
    return images[taken_by.argsort()[: draw.n]]
