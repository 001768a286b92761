"""What the displays share: colours, figures and pictures."""

import numpy as np
import torch
from sklearn.utils.validation import check_is_fitted

from sknoisy.data.inputs import as_inputs, is_paths
from sknoisy.data.spec import InputSpec

# Of Okabe and Ito, whose yellow is darkened for white paper, and two more.
BLUE, ORANGE, GREEN = "#0072B2", "#D55E00", "#009E73"
PALETTE = [BLUE, ORANGE, GREEN, "#CC79A7", "#000000", "#E69F00", "#56B4E9"]
PALETTE += ["#882255", "#999999", "#D9C800"]
DASHES = ["-", "--", "-.", ":", (0, (5, 1, 1, 1, 1, 1))]
MARKERS = "o^sDvP*X<>"


def pyplot():
    """Return matplotlib's pyplot, or say how to install it."""
    try:
        import matplotlib.pyplot as plt
    except ImportError as error:
        raise ImportError(
            "Displays need matplotlib: pip install matplotlib."
        ) from error
    return plt


def check_fitted(name, estimator, attribute, kind):
    """Check that a parameter is a fitted estimator of a kind."""
    if not hasattr(estimator, attribute) and not isinstance(estimator, kind):
        raise ValueError(
            f"{name}={estimator!r} is not valid: it must be a {kind.__name__}."
        )
    check_is_fitted(estimator, attribute)


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


def show_image(ax, image):
    """Draw an image, (H, W) or (H, W, C) in [0, 1], without ticks."""
    smooth = "nearest" if max(image.shape[:2]) < 64 else "auto"
    ax.imshow(image, cmap="gray", vmin=0, vmax=1, interpolation=smooth)
    ax.set(xticks=[], yticks=[])
    ax.spines[:].set_visible(False)
