"""Kinds of X: arrays, tensors, memmaps and paths, and errors for anything else."""

import glob
import os
import stat

import numpy as np
import torch
from scipy.sparse import issparse

from sknoisy.data.frames import FRAME_HINT, check_frame

MIN_SIDE = 4  # pixels; smaller images leave nothing to convolve
IMAGE_SUFFIXES = tuple(
    ".jpg .jpeg .jfif .png .bmp .gif .tif .tiff .webp .avif .jp2 .ppm .pgm .pbm".split()
)
IMAGE_STARTS = (b"\xff\xd8\xff", b"\x89PNG", b"GIF8", b"RIFF", b"BM", b"II*", b"MM\0*")
PATHS = (str, bytes, os.PathLike)


def as_inputs(X):
    """Return X as an array, a tensor or an array of paths, without a copy.

    Only lists and columns of arrays, such as images of one size or embeddings, are
    copied: they are stacked. Data frames, and lists of numbers, are returned as they
    are, for scikit-learn to convert.

    Raises
    ------
    ValueError
        If X is of another kind; the message says what to pass. No sample is read
        before.
    TypeError
        If X is sparse.
    """
    check_container(X)
    _check_dtype(X)
    if isinstance(X, torch.Tensor):
        X = X.detach()
        if X.dtype == torch.bfloat16:
            X = X.float()
        return X.resolve_neg().numpy() if X.device.type == "cpu" else X
    if isinstance(X, np.ma.MaskedArray):
        X = _unmasked(X)
    column = _as_column(X)
    if column is not None:
        paths = _paths_in(column)
        if paths is not None:
            return paths
        stacked = _stack(column)
        if stacked is not None:
            return stacked
    if hasattr(X, "columns") and hasattr(X, "dtypes"):
        check_frame(X)
    return X


def is_paths(X):
    """Whether X is an array of file paths, as :func:`as_inputs` returns them.

    Its dtype is that of strings, or object, with a str in each place.
    """
    if not isinstance(X, np.ndarray) or X.ndim != 1:
        return False
    of_objects = X.dtype == object and len(X) > 0
    return X.dtype.kind == "U" or (of_objects and isinstance(X[0], str))


def paths_of(X):
    """Return X as an array of paths of files that exist, or None if it holds none.

    Unlike :func:`as_inputs` it takes any X, such as texts, one of which may happen to
    be the name of a file: of some, evenly spread, half have to be there.
    """
    column = _as_column(X)
    if column is None or not all(isinstance(value, PATHS) for value in column):
        return None
    paths = _decoded(column)
    some = paths[:: max(1, len(paths) // 20)]
    return paths if 2 * len(file_stamps(some)) >= len(some) > 0 else None


def file_stamps(paths):
    """Return time of change, in ns, and size, in bytes, of each file that exists."""
    stamps = []
    for path in paths:
        try:
            found = os.stat(path)
        except (OSError, ValueError):
            continue
        if stat.S_ISREG(found.st_mode):
            stamps.append((found.st_mtime_ns, found.st_size))
    return stamps


def by_value(X):
    """Return what tells samples apart, in a form that joblib hashes by value."""
    if isinstance(X, torch.Tensor):
        return X.cpu().numpy()
    if is_paths(X):
        return np.asarray(X, dtype=str), file_stamps(X)
    return np.asarray(X) if isinstance(X, np.memmap) else X


def check_container(X):
    """Raise ``ValueError`` if X is no array, frame or list, but a data set or a path.

    The message says what to pass instead. No sample is read.
    """
    kind = type(X).__name__
    module = type(X).__module__.partition(".")[0]
    if str(getattr(X, "dtype", "")).removeprefix("torch.").startswith("complex"):
        raise ValueError(
            f"Complex data not supported: X is of {X.dtype}. Pass numbers that are "
            "real, such as X.real, abs(X) or both parts side by side."
        )
    if isinstance(X, PATHS):
        raise ValueError(_of_a_path(X))
    if isinstance(X, torch.utils.data.DataLoader):
        raise ValueError(
            f"X is a {kind}: pass its samples as one array, for example "
            "torch.cat([batch for batch, _ in X]), or paths of image files; batches "
            "and augmentation are made by the estimator."
        )
    if module == "datasets":  # also for its columns, which decode on access
        raise ValueError(
            f"X is a Hugging Face {kind}: pass an array, or a list of paths of image "
            "files. sknoisy.datasets.from_huggingface turns a data set into paths or "
            "arrays."
        )
    if isinstance(X, torch.utils.data.Dataset) or module in ("tensorflow", "torchdata"):
        raise ValueError(
            f"X is a data set ({kind}): pass its samples as an array, or paths of "
            "image files. sknoisy.datasets.from_torch turns a PyTorch data set into "
            "one of these."
        )
    is_dict = isinstance(X, (dict, set, frozenset)) and not issparse(X)  # DOK is both
    if hasattr(X, "__next__") or is_dict:
        raise ValueError(
            f"X is a {kind}: pass an array, a data frame or a list of paths."
        )


def _check_dtype(X):
    """Raise an error if X holds no numbers, or not in an array that can be used."""
    if issparse(X):
        raise TypeError(
            f"X is a sparse {type(X).__name__}, and sparse data is not supported: pass "
            "X.toarray() if it fits in memory, or fewer columns, for example those of "
            "sklearn.decomposition.TruncatedSVD."
        )
    if isinstance(X, torch.Tensor):
        if X.is_meta:
            raise ValueError(
                "X is a tensor on the device 'meta', which holds no values: pass one "
                "on the CPU or a GPU."
            )
        if X.layout != torch.strided or X.is_nested or X.is_quantized:
            raise TypeError(
                "X is a sparse, nested or quantized tensor, which is not supported: "
                "pass X.to_dense(), X.to_padded_tensor(0) or X.dequantize()."
            )
        return
    dtype = getattr(X, "dtype", None)
    if not isinstance(dtype, np.dtype):
        return
    if dtype.kind in "mM":
        raise ValueError(
            f"X holds dates or times ({dtype}): pass numbers, for example "
            "X.astype('int64'), or features such as year, month and weekday."
        )
    if dtype.kind in "US" and len(X.shape) > 1 and X.shape[1] != 1:
        raise ValueError(
            f"X is a table of strings ({dtype}): pass X.astype(float) if they are "
            f"numbers. {FRAME_HINT}"
        )
    if dtype.names:
        raise ValueError(
            f"X is a structured array with fields {dtype.names}: pass "
            "numpy.lib.recfunctions.structured_to_unstructured(X)."
        )


def _of_a_path(path):
    if isinstance(path, bytes) and _is_encoded(path):
        return "X is the content of a file: pass a list of paths."
    path = os.fsdecode(path)
    if glob.has_magic(path) and not os.path.exists(path):
        return f"X={path!r} is a pattern: pass sorted(glob.glob({path!r}))."
    if os.path.isdir(path):
        return f"X={path!r} is a folder: pass a list of the paths of its files."
    return f"X={path!r} is a single path: pass a list of paths."


def _is_encoded(content):
    return b"\0" in content or content.startswith(IMAGE_STARTS)


def _unmasked(X):
    """Return the data of a masked array in which no value is masked."""
    count = np.ma.count_masked(X)
    if count:
        raise ValueError(
            f"X is a masked array ({count} masked values): pass X.filled(value), or "
            "X.filled(np.nan) to a SimpleImputer in front of the estimator. Input X "
            "contains NaN."
        )
    return X.data


def _as_column(X):
    """Return a list, series or single column of objects as a 1-D array, or None."""
    if isinstance(X, (list, tuple)):
        if not _holds_objects(X):
            return None
        if {*map(type, X)} == {str}:  # there may be millions
            return np.array(X, dtype=object)
        column = np.empty(len(X), dtype=object)
        for i, value in enumerate(X):
            column[i] = value
        return column
    if not hasattr(X, "shape"):
        return None
    if len(X.shape) != 1 and not (len(X.shape) == 2 and X.shape[1] == 1):
        return None
    if hasattr(X, "to_numpy"):
        X = X.to_numpy()  # 2-D where each entry is an array
    if not isinstance(X, np.ndarray) or (X.ndim == 2 and X.shape[1] != 1):
        return None
    X = X.astype(object) if X.dtype.kind == "T" else X  # NumPy's long strings
    return X.ravel() if X.dtype == object or X.dtype.kind in "US" else None


def _holds_objects(values):
    """Whether a list holds paths, images or arrays, rather than numbers or lists."""
    first = values[0] if len(values) else None
    if hasattr(first, "getpixel"):
        return True
    if isinstance(first, (list, tuple)):
        return False
    return np.ndim(first) > 0 or any(isinstance(value, PATHS) for value in values)


def _paths_in(column):
    """Return a column of paths as one of str, or None; if it is one, no copy.

    There may be millions of paths, so that types are looked at instead of values.
    """
    if column.dtype.kind == "U":
        return column if len(column) else None
    kinds = {*map(type, column)}
    if kinds == {str}:
        return column
    are_paths = {issubclass(kind, PATHS) for kind in kinds}
    if True not in are_paths:
        return None
    if False in are_paths:
        others = [i for i, v in enumerate(column) if not isinstance(v, PATHS)]
        raise ValueError(
            f"X mixes paths of files with other entries ({len(others)}), the first at "
            f"index {others[0]}: {column[others[0]]!r}."
        )
    if isinstance(column[0], bytes) and _is_encoded(column[0]):
        raise ValueError(
            "X holds the contents of image files: pass the paths of the files, or "
            "an array of the decoded images."
        )
    return _decoded(column)


def _decoded(column):
    return np.array([os.fsdecode(path) for path in column], dtype=object)


def _stack(column):
    """Return a column of arrays as one array, or None if it holds none."""
    first = column[0] if len(column) else None
    if hasattr(first, "getpixel"):
        raise ValueError(
            "X holds PIL images: pass an array, "
            "np.stack([np.asarray(image) for image in X]), or the paths of the files."
        )
    if isinstance(first, (list, tuple)):
        column = [np.asarray(value) for value in column]
    elif not hasattr(first, "shape") or len(first.shape) == 0:
        return None
    shapes = [tuple(getattr(value, "shape", ())) for value in column]
    other = [i for i, shape in enumerate(shapes) if shape != shapes[0]]
    if other:
        listed = ", ".join(f"X[{i}]: {shapes[i]}" for i in other[:3])
        raise ValueError(
            f"X holds samples of different shapes (X[0]: {shapes[0]}, {listed}): "
            "bring them to one size, or pass the paths of the files and image_size."
        )
    if isinstance(first, torch.Tensor):
        return as_inputs(torch.stack([*column]))
    return np.stack([np.asarray(value) for value in column])


def check_unused(X, image_size):
    """Raise ``ValueError`` if an image size is given with arrays."""
    if image_size is not None and not is_paths(X):
        raise ValueError(
            f"image_size={image_size!r} is not valid: X holds no paths, and arrays are "
            "not resized. Pass None."
        )


def check_image_size(image_size):
    """Return the height and width to which image files are resized, in pixels."""
    size = (image_size,) * 2 if np.ndim(image_size) == 0 else tuple(image_size)
    if (
        image_size is None
        or len(size) != 2
        or not all(
            isinstance(side, (int, np.integer)) and side >= MIN_SIDE for side in size
        )
    ):
        texts = " Compute embeddings of texts before." if image_size is None else ""
        raise ValueError(
            f"image_size={image_size!r} is not valid: where X holds strings, which are "
            f"taken for paths of images, it must be an integer >= {MIN_SIDE}, or two "
            f"of them (height, width).{texts}"
        )
    return tuple(int(side) for side in size)
