"""Pictures of samples, for people to look at."""

import numpy as np
import torch

from sknoisy.data.images import open_image, upright
from sknoisy.data.inputs import as_inputs, is_paths
from sknoisy.data.spec import InputSpec


def as_samples(X):
    """Return X, which may be a list, as an array, a tensor or an array of paths."""
    X = as_inputs(X)
    return X if isinstance(X, (np.ndarray, torch.Tensor)) else np.asarray(X)


def as_images(X, positions, channels, image_size):
    """Return some images as (n, H, W) or (n, H, W, C), floats in [0, 1]."""
    X = as_samples(X)
    if not is_paths(X) and np.ndim(X) < 3:
        raise ValueError(
            f"X of shape {np.shape(X)} is not valid: only images can be shown, "
            "(n, H, W), (n, H, W, C), (n, C, H, W) or paths. Reshape X, or pass the "
            "images that its rows come from."
        )
    if len(positions) == 0:
        return np.empty((0, 1, 1))
    some = X[positions]
    size = image_size if is_paths(some) else None
    store = InputSpec.learn(some, channels, size).open(some)
    images = store.fetch(torch.arange(len(some), device="cpu")).numpy()
    images = images.transpose(0, 2, 3, 1)
    return images[..., 0] if images.shape[-1] == 1 else images


def as_picture(image):
    """Return an image, floats in [0, 1], as Pillow's."""
    from PIL import Image

    channels = image.shape[-1] if image.ndim == 3 else 1
    if channels not in (1, 3):
        image = image.mean(axis=-1)
    elif image.ndim == 3 and channels == 1:
        image = image[..., 0]
    return Image.fromarray(np.uint8(255 * image.clip(0, 1) + 0.5))


def thumbnail(path, side):
    """Return a small picture of an image file, in its own shape.

    Parameters
    ----------
    path : str
        An image file that Pillow can read, of any depth.
    side : int
        Largest height and width, in pixels.

    Returns
    -------
    picture : PIL.Image.Image
        The picture, in grey or RGB.

    Raises
    ------
    Exception
        Whatever Pillow raises where the file cannot be read.
    """
    with open_image(path) as file:
        file.draft("RGB", (2 * side, 2 * side))
        file.load()
        image = upright(file)
        if image.mode.startswith(("I", "F")):
            values = np.asarray(image, dtype=np.float64)
            low, high = values.min(), values.max()
            image = as_picture((values - low) / max(high - low, 1e-12))
        elif image.mode != "L":
            image = image.convert("RGB")
        image.thumbnail((side, side))
        return image
