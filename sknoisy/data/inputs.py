"""What X may be: arrays, tensors, memmaps, paths, and what is none of these."""

import os

import numpy as np
import torch

MIN_SIDE = 4  # pixels; smaller images leave nothing to convolve


def as_inputs(X):
    """Return X as an array, a tensor or an array of paths, without a copy.

    Arrays that scikit-learn can check are left to it; this looks at what it cannot.
    """
    if isinstance(X, (str, os.PathLike)):
        raise ValueError(f"X={os.fspath(X)!r} is a single path: pass a list of paths.")
    if isinstance(X, torch.Tensor):
        X = X.detach()
        if X.dtype == torch.bfloat16:
            X = X.float()
        return X.numpy() if X.device.type == "cpu" else X
    if isinstance(X, (list, tuple)) and X and isinstance(X[0], (str, os.PathLike)):
        X = np.array([os.fspath(path) for path in X])
    if hasattr(X, "to_numpy") and (len(X.shape) == 1 or X.shape[1] == 1):
        column = X.to_numpy().ravel()  # a series, or a frame of one column
        if _holds_paths(column):
            return np.array([os.fspath(path) for path in column])
    if not isinstance(X, np.ndarray):
        _check_list(X)
        return X
    if X.ndim == 2 and X.shape[1] == 1 and _holds_paths(X[:, 0]):
        X = X[:, 0]
    if X.ndim == 1 and _holds_paths(X):
        return np.array([os.fspath(path) for path in X])
    if X.dtype == object:
        _check_list(X)
    return X


def is_paths(X):
    """Whether X is an array of file paths, as :func:`as_inputs` returns them."""
    return isinstance(X, np.ndarray) and X.ndim == 1 and X.dtype.kind == "U"


def file_stamps(paths):
    """Return time of change, in ns, and size, in bytes, of the files that exist."""
    found = [os.stat(path) for path in paths if os.path.isfile(path)]
    return [(stat.st_mtime_ns, stat.st_size) for stat in found]


def _holds_paths(column):
    if column.dtype.kind == "U":
        return len(column) > 0
    if column.dtype != object:
        return False
    others = [i for i, v in enumerate(column) if not isinstance(v, (str, os.PathLike))]
    if others and len(others) < len(column):
        raise ValueError(
            f"X has {len(others)} entries that are no path among paths of files, the "
            f"first at index {others[0]}: {column[others[0]]!r}."
        )
    return 0 < len(column) != len(others)


def _check_list(X):
    first = X[0] if isinstance(X, (list, tuple, np.ndarray)) and len(X) else None
    if hasattr(first, "getpixel"):
        raise ValueError(
            "X holds PIL images: pass an array, "
            "np.stack([np.asarray(image) for image in X]), or the paths of the files."
        )
    shapes = [getattr(x, "shape", None) for x in X] if hasattr(first, "shape") else []
    other = [i for i, shape in enumerate(shapes) if shape != shapes[0]]
    if other:
        listed = ", ".join(f"X[{i}]: {shapes[i]}" for i in other[:3])
        raise ValueError(
            f"X holds samples of different shapes (X[0]: {shapes[0]}, {listed}): "
            "bring them to one size, or pass the paths of the files and image_size."
        )


def check_unused(X, image_size):
    """Raise ``ValueError`` if an image size is given with arrays."""
    if image_size is not None and not is_paths(X):
        raise ValueError(
            f"image_size={image_size!r} is not valid: X holds no paths, and arrays are "
            "not resized. Pass None."
        )


def check_image_size(image_size):
    """Return height and width that image files are brought to, in pixels."""
    size = (image_size,) * 2 if np.ndim(image_size) == 0 else tuple(image_size)
    if (
        image_size is None
        or len(size) != 2
        or not all(
            isinstance(side, (int, np.integer)) and side >= MIN_SIDE for side in size
        )
    ):
        raise ValueError(
            f"image_size={image_size!r} is not valid: where X holds paths, it must be "
            f"an integer >= {MIN_SIDE}, or two of them (height, width)."
        )
    return tuple(int(side) for side in size)
