"""Operations on batches of images, with separate parameters for each image.

Crop, resize, flip and blur are linear and separable: together they are one matrix for
the rows and one for the columns of an image. Colour operations follow torchvision's
``ColorJitter``: the factors have the same distributions, values are clamped after each
operation, and the order is random.
"""

import math

import torch

LUMA = (0.2989, 0.587, 0.114)  # ITU-R 601, rounded as in torchvision
LEAST_CHROMA = 1e-30  # of grey pixels, so that they get a hue


class Draw:
    """Random numbers for the samples of a batch.

    Parameters
    ----------
    batch : tensor of shape (n, ...)
        The samples.
    generator : torch.Generator
        Source of randomness, on the device of `batch`.
    """

    def __init__(self, batch, generator):
        self.n = len(batch)
        self.options = {"generator": generator, "device": batch.device}
        self.floats = {"dtype": torch.float32, **self.options}

    def zeros(self):
        """Return 0 for each sample, a tensor of shape (n,)."""
        return torch.zeros(self.n, dtype=torch.float32, device=self.options["device"])

    def uniform(self, *shape, low=0.0, high=1.0):
        """Draw numbers uniformly from `low` to `high`, in the given shape."""
        numbers = torch.rand(*shape, **self.floats)
        return numbers if (low, high) == (0, 1) else numbers.mul_(high - low).add_(low)

    def normal(self, *shape):
        """Draw standard normal numbers, in the given shape."""
        return torch.randn(*shape, **self.floats)

    def integers(self, low, high):
        """Draw an integer from `low` to `high` for each sample, as a float."""
        return torch.randint(int(low), int(high) + 1, (self.n,), **self.options).float()

    def order(self, n):
        """Draw a permutation of 0 to n - 1 for each sample."""
        return torch.rand(self.n, n, **self.floats).argsort(dim=1)


def crop_boxes(draw, height, width, scale, ratio):
    """Draw top, left, height and width of random crops, in whole pixels.

    As in torchvision's ``RandomResizedCrop``, the area is drawn uniformly and the
    aspect ratio log-uniformly. The first of ten draws that fits into the image is
    taken, or the whole image if none fits.

    Parameters
    ----------
    draw : Draw
        Source of randomness.
    height, width : int
        Size of the images.
    scale : (float, float)
        Range of the area of the crop, as a share of the image's.
    ratio : (float, float)
        Range of the ratio of width to height.

    Returns
    -------
    top, left, height, width : tensors of shape (n,)
        The crops.
    """
    tries = (draw.n, 10)
    area = height * width * draw.uniform(*tries, low=scale[0], high=scale[1])
    ends = math.log(ratio[0]), math.log(ratio[1])
    aspect = draw.uniform(*tries, low=ends[0], high=ends[1]).exp()
    widths, heights = (area * aspect).sqrt().round(), (area / aspect).sqrt().round()
    fits = (widths > 0) & (widths <= width) & (heights > 0) & (heights <= height)
    first = fits.int().argmax(dim=1, keepdim=True)
    found = fits.any(dim=1)
    crop_width = torch.where(found, widths.gather(1, first)[:, 0], float(width))
    crop_height = torch.where(found, heights.gather(1, first)[:, 0], float(height))
    top = (draw.uniform(draw.n) * (height - crop_height + 1)).floor()
    left = (draw.uniform(draw.n) * (width - crop_width + 1)).floor()
    return top, left, crop_height, crop_width


def resize_matrix(start, length, size, mirrored=None):
    """Return the matrices that resize segments of a line to the size of the line.

    Row j of a matrix holds the weights of the input pixels in output pixel j. The
    interpolation is linear, with antialiasing (a triangle filter as wide as an output
    pixel) where the segment is shrunk. Weights are normalised within the segment, and
    pixels outside the line count as 0.

    Parameters
    ----------
    start, length : tensors of shape (n,)
        Segments of the input, in pixels.
    size : int
        Number of pixels of the line and of the output.
    mirrored : tensor of shape (n,), bool, default=None
        Which of the outputs are mirrored; None: none.

    Returns
    -------
    matrix : tensor of shape (n, size, size)
        Weight of each input pixel (column) in each output pixel (row).
    """
    pixel = torch.arange(size, device=start.device).float() + 0.5
    begin, end = start[:, None], (start + length)[:, None]
    step = (length / size)[:, None]
    center = begin + pixel * step
    if mirrored is not None:
        center = torch.where(mirrored[:, None], center.flip(1), center)
    width = step.clamp(min=1)
    # Pixels outside the segment are infinitely far away, which makes their weight 0.
    inside = (pixel > begin) & (pixel < end)
    place = torch.where(inside, pixel, torch.inf) / width
    distance = (place[:, None] - (center / width)[:, :, None]).abs_()
    weight = distance.neg_().add_(1).clamp_(min=0)
    total = weight.sum(dim=2, keepdim=True)
    return weight.div_(torch.where(total > 0, total, 1))


def blur_matrix(sigma, size):
    """Return the matrices of Gaussian blurs, with pixels mirrored at the border.

    Parameters
    ----------
    sigma : tensor of shape (n,)
        Standard deviations, in pixels.
    size : int
        Number of pixels of a line.

    Returns
    -------
    matrix : tensor of shape (n, size, size)
        Weight of each input pixel (column) in each output pixel (row).
    """
    pixel = torch.arange(size, device=sigma.device, dtype=torch.float32)
    scale = -0.5 / sigma[:, None, None] ** 2
    distance = pixel[:, None] - pixel
    mirrored = pixel[:, None] + pixel
    matrix = sum(
        (scale * d**2).exp()
        for d in (distance, mirrored + 1, mirrored - (2 * size - 1))
    )
    return matrix / matrix.sum(dim=2, keepdim=True)


def luma(images):
    """Return grey images of shape (n, 1, H, W).

    They are the brightness of RGB images, and the mean over the channels otherwise.
    """
    if images.shape[1] != 3:
        return images.mean(dim=1, keepdim=True)
    r, g, b = images.split(1, dim=1)
    return (r * LUMA[0]).add_(g, alpha=LUMA[1]).add_(b, alpha=LUMA[2])


def jitter_factors(draw, strength, probability):
    """Draw factors of brightness, contrast and saturation, and shifts of the hue.

    Parameters
    ----------
    draw : Draw
        Source of randomness.
    strength : (float, float, float, float)
        Strengths s of brightness, contrast, saturation and hue. Factors are uniform in
        [max(0, 1 - s), 1 + s], and shifts of the hue in [-s, s] turns of the colour
        circle.
    probability : float
        Probability that an image is changed. The others get 1, 1, 1 and 0.

    Returns
    -------
    brightness, contrast, saturation, hue : tensors of shape (n, 1, 1, 1)
        Factors and shifts.
    """
    shape = (draw.n, 1, 1, 1)
    active = draw.uniform(*shape) < probability
    factors = [
        torch.where(active, draw.uniform(*shape, low=max(0.0, 1 - s), high=1 + s), 1.0)
        for s in strength[:3]
    ]
    hue = draw.uniform(*shape, low=-strength[3], high=strength[3])
    return *factors, torch.where(active, hue, 0.0)


def color_jitter(images, brightness, contrast, saturation, hue, order):
    """Apply four colour operations to each image, in an order that differs by image.

    Parameters
    ----------
    images : tensor of shape (n, C, H, W)
        Values in [0, 1]. The batch must be shuffled: the position of the hue among the
        four operations is 0 in the first quarter of the batch, 1 in the second, and so
        on.
    brightness, contrast, saturation, hue : tensors of shape (n, 1, 1, 1)
        Factors, and shifts of the hue in turns of the colour circle. Only brightness
        and contrast are changed in images that are not RGB.
    order : tensor of shape (n, 3), int64
        Order of the other operations for each image: 0 is brightness, 1 contrast and 2
        saturation.

    Returns
    -------
    images : tensor of shape (n, C, H, W)
        Values in [0, 1].
    """
    n, is_rgb = len(images), images.shape[1] == 3
    images = images.clone()
    # The other operations are blends, f * image + (1 - f) * base: with black for
    # brightness, with the mean grey for contrast, with the pixel's grey for saturation.
    if not is_rgb:
        saturation = torch.ones_like(saturation)
    factors = torch.cat([brightness, contrast, saturation], dim=1).flatten(1)
    factors = factors.gather(1, order)
    rest = 1 - factors
    shares = factors, rest * (order == 1), rest * (order == 2)
    shares = [share[:, :, None, None, None] for share in shares]
    # A GPU takes longer to be told of small steps than to do them: neighbouring
    # quarters whose hue is due at another time take them together.
    ends = [turn * n // 4 for turn in range(5)]
    for turn in range(4):
        now, later = ends[turn], ends[turn + 1]
        for rows, i in ((slice(0, now), turn - 1), (slice(later, n), turn)):
            if rows.start < rows.stop:
                _blend(images[rows], *(share[rows, i] for share in shares))
        if is_rgb and now < later:
            images[now:later] = rotate_hue(images[now:later], hue[now:later])
    return images


def _blend(images, of_image, of_mean, of_gray):
    """Blend images with their grey and its mean, in place; the shares are by image."""
    gray = luma(images)
    mean = gray.mean(dim=(2, 3), keepdim=True)
    base = gray.mul_(of_gray).add_(of_mean * mean)
    images.mul_(of_image).add_(base).clamp_(0, 1)


def rotate_hue(images, turns):
    """Shift the hue of RGB images, in HSV space.

    Parameters
    ----------
    images : tensor of shape (n, 3, H, W)
        Values in [0, 1].
    turns : tensor of shape (n, 1, 1, 1)
        Shifts, in turns of the colour circle.
    """
    r, g, b = images.split(1, dim=1)
    high = torch.maximum(torch.maximum(r, g), b)
    low = torch.minimum(torch.minimum(r, g), b)
    chroma = high - low
    # The hue in sixths of a turn, from -3 to 3: red is 0, green 2 and blue -2. In every
    # sixth its size is (high - r + g + b - 2 low) / chroma, so none has to be chosen.
    hue = (g + b).sub_(r).add_(high).sub_(low, alpha=2)
    hue = hue.div_(chroma.clamp(min=LEAST_CHROMA)).copysign_(g - b)
    primary = 2 * torch.arange(3, device=images.device).view(1, 3, 1, 1)
    distance = hue + (6 * turns - primary)
    distance = distance.sub_((distance / 6).round_(), alpha=6).abs_()
    # A primary has its full share within 1 sixth of a turn, and none beyond 2.
    missing = distance.clamp_(1, 2).sub_(1)
    return torch.addcmul(high, missing, chroma, value=-1)


def cut_out(images, draw, share):
    """Set a square of each image to mid-grey, with its centre anywhere in the image.

    Parameters
    ----------
    images : tensor of shape (n, C, H, W)
        Values in [0, 1].
    draw : Draw
        Source of randomness.
    share : float
        Side of the square, as a share of the sides of the image.
    """
    inside = draw.zeros()[:, None, None, None] == 0
    for dim in (2, 3):
        size = images.shape[dim]
        center = draw.uniform(draw.n, 1) * size
        pixel = torch.arange(size, device=images.device).float() + 0.5
        near = (pixel - center).abs() < share * size / 2
        inside = inside & near.view(-1, 1, *((size, 1) if dim == 2 else (1, size)))
    return images.masked_fill(inside, 0.5)
