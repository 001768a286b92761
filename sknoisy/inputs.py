"""What X may be, and how it reaches the device batch by batch.

``InputSpec.learn`` looks at the training X once: vectors or images, their
layout, range and moments. ``InputSpec.open`` then gives any X of the same kind as
a store, whose ``fetch(index)`` returns a batch ready for views and networks:
vectors as (n, d), images as (n, C, H, W) in [0, 1], float32 on the device. uint8
images stay uint8 until they are there.
"""

import os
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field

import numpy as np
import torch

CHANNELS = (1, 3, 4)  # grey, RGB, RGBA: what "auto" recognises as a channel axis
MIN_SIDE = 4  # pixels; smaller images leave nothing to convolve
MOMENT_SAMPLES = 10_000  # images that the mean and deviation are measured on
CHUNK_BYTES = 64 * 2**20  # float32 bytes of a chunk, where all of X is read in turn


@dataclass(frozen=True)
class InputSpec:
    """What one sample is, and how it is brought to the scale of the network.

    Attributes
    ----------
    kind : {"vector", "image"}
        What a sample is.
    shape : tuple of int
        (d,) of a vector, (C, H, W) of an image.
    layout : {"vector", "HW", "HWC", "CHW", "path"}
        How samples lie in X.
    low, high : float
        Image values that become 0 and 1: 0 and 255 for uint8, 0 and 1 for floats
        within [0, 1], the training minimum and maximum for anything else.
    mean, std : ndarray of float32
        Moments of each feature or channel, after that; constant ones have std 1.
    """

    kind: str
    shape: tuple
    layout: str
    low: float = 0.0
    high: float = 1.0
    mean: np.ndarray = field(default=None, compare=False)
    std: np.ndarray = field(default=None, compare=False)

    @classmethod
    def learn(cls, X, channels="auto", image_size=None):
        """Look at a training X.

        Parameters
        ----------
        X : ndarray, tensor or array of paths
            As returned by :func:`as_inputs`.
        channels : {"auto", "first", "last"}
            Where 4-D images keep their channels.
        image_size : int or (int, int)
            Height and width that image files are brought to.

        Returns
        -------
        spec : InputSpec
            The description of X.
        """
        if is_paths(X):
            spec = cls("image", (3, *_pair(image_size)), "path", 0.0, 255.0)
        elif X.ndim == 2:
            spec = cls("vector", (X.shape[1],), "vector")
        else:
            layout = _layout(X.shape, channels)
            shape = (1,) * (layout == "HW") + tuple(X.shape[1:])
            shape = (shape[2], *shape[:2]) if layout == "HWC" else shape
            spec = cls("image", shape, layout, *_value_range(X))
        if spec.kind == "image" and min(spec.shape[1:]) < MIN_SIDE:
            raise ValueError(
                f"X holds images of {spec.shape[1]} x {spec.shape[2]} pixels (height x "
                f"width): each side must be at least {MIN_SIDE}."
            )
        mean, std = _moments(spec.open(X))
        return cls(spec.kind, spec.shape, spec.layout, spec.low, spec.high, mean, std)

    def open(self, X):
        """Return a store of the samples of X, which must be as described."""
        if is_paths(X):
            if self.layout != "path":
                raise ValueError(f"X holds paths, but the training X held {self}.")
            return PathStore(X, self)
        found = tuple(X.shape[1:])
        if self.layout == "path" or found != self._sample_shape():
            hint = "" if len(found) != 1 else _FEATURES_HINT
            raise ValueError(
                f"X has samples of shape {found}, but the training X held {self}."
                + (hint if self.kind == "image" else "")
            )
        return ArrayStore(X, self)

    def _sample_shape(self):
        c, *size = self.shape
        layouts = {"HWC": (*size, c), "HW": tuple(size)}
        return layouts.get(self.layout, self.shape)

    def __str__(self):
        if self.layout == "path":
            return f"paths of image files (image_size={self.shape[1:]})"
        return f"{self.kind}s of shape {self._sample_shape()}"


_FEATURES_HINT = (
    " If X holds features made by SSLPretrainer, pass its lazy features, not the "
    "array: they carry the images that this estimator works on."
)


def as_inputs(X):
    """Return X as an array, a tensor or an array of paths, without a copy.

    Arrays that scikit-learn can check are left to it; this looks at what it cannot.
    """
    if isinstance(X, torch.Tensor):
        X = X.detach()
        if X.dtype == torch.bfloat16:
            X = X.float()
        return X.numpy() if X.device.type == "cpu" else X
    if isinstance(X, (list, tuple)) and X and isinstance(X[0], (str, os.PathLike)):
        X = np.array([os.fspath(path) for path in X])
    if hasattr(X, "to_numpy") and (X.ndim == 1 or X.shape[1] == 1):
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


def _holds_paths(column):
    if column.dtype.kind == "U":
        return len(column) > 0
    return (
        column.dtype == object
        and len(column) > 0
        and all(isinstance(v, (str, os.PathLike)) for v in column)
    )


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


def _pair(image_size):
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


def _layout(shape, channels):
    if len(shape) == 3:
        return "HW"
    if len(shape) != 4:
        raise ValueError(
            f"X of shape {tuple(shape)} is not valid: it must be (n, d), (n, H, W), "
            "(n, H, W, C), (n, C, H, W) or a 1-D array of paths. Reshape your data."
        )
    if channels != "auto":
        return {"first": "CHW", "last": "HWC"}[channels]
    first, last = shape[1] in CHANNELS, shape[3] in CHANNELS
    if first == last:
        why = "either axis may be" if first else "neither axis 1 nor axis 3 looks like"
        raise ValueError(
            f"channels='auto' cannot tell the layout of X of shape {tuple(shape)}: "
            f'{why} the channels. Pass channels="first" or channels="last".'
        )
    return "CHW" if first else "HWC"


def _value_range(X):
    if X.dtype in (np.uint8, torch.uint8):
        return 0.0, 255.0
    low, high = float(X.min()), float(X.max())
    if 0.0 <= low and high <= 1.0:
        return 0.0, 1.0
    return low, high if high > low else low + 1.0


def _moments(store):
    """Return mean and standard deviation of each feature or channel."""
    n, spec = len(store), store.spec
    index = np.arange(n)
    if spec.kind == "image" and n > MOMENT_SAMPLES:
        index = np.linspace(0, n - 1, MOMENT_SAMPLES).astype(np.int64)
    if spec.layout == "path":
        index = index[:: max(1, len(index) // 500)]
    dims = (0, 2, 3) if spec.kind == "image" else (0,)
    step = max(1, CHUNK_BYTES // (4 * int(np.prod(spec.shape))))
    count, total, squares = 0, 0.0, 0.0
    shift = None  # the first sample's level: keeps the sum of squares exact
    for start in range(0, len(index), step):
        batch = store.fetch(torch.from_numpy(index[start : start + step])).double()
        shift = batch[:1].mean(dim=dims, keepdim=True) if shift is None else shift
        batch = batch - shift
        count += batch.numel() // batch.shape[1]
        total = total + batch.sum(dim=dims)
        squares = squares + batch.square().sum(dim=dims)
    mean = total / count
    std = (squares / count - mean.square()).clamp(min=0).sqrt()
    mean = mean + shift.flatten()
    # A constant pixel or feature carries nothing: leave it finite.
    std[std <= 1e-7 * mean.abs().clamp(min=1e-6)] = 1.0
    return mean.float().cpu().numpy(), std.float().cpu().numpy()


class ArrayStore:
    """Samples of an array in memory, a memmap, or a tensor on a device.

    Parameters
    ----------
    array : ndarray or tensor of shape (n_samples, ...)
        The samples; never written to.
    spec : InputSpec
        What they are.
    """

    def __init__(self, array, spec):
        self.array = array
        self.spec = spec

    def __len__(self):
        return self.array.shape[0]

    def fetch(self, index, device="cpu"):
        """Return the samples at `index` (int64 tensor) as float32 on `device`."""
        if isinstance(self.array, torch.Tensor):
            batch = self.array[index.to(self.array.device)]
        else:
            rows = np.take(self.array, index.cpu().numpy(), axis=0)
            batch = torch.from_numpy(_plain(rows))
        return self.finish(batch.to(device, non_blocking=True))

    def finish(self, batch):
        """Bring raw samples, on their device, to the form that networks take."""
        spec = self.spec
        if spec.kind == "vector":
            return batch.float()
        if spec.layout == "HW":
            batch = batch.unsqueeze(1)
        elif spec.layout != "CHW":
            batch = batch.permute(0, 3, 1, 2)
        batch = batch.to(torch.float32, memory_format=torch.contiguous_format)
        if (spec.low, spec.high) == (0.0, 1.0):
            return batch
        if spec.low:
            batch = batch - spec.low
        return batch.mul_(1 / (spec.high - spec.low))

    def resident(self, device, fraction=0.5):
        """Return a store on `device` if its samples fit a fraction of free memory.

        Memmaps stay on disk; arrays in memory are already resident for the CPU.
        """
        on_host = torch.device(device).type == "cpu"
        if on_host or isinstance(self.array, (np.memmap, torch.Tensor)):
            return self
        free, _ = torch.cuda.mem_get_info(device)
        if self.array.nbytes > fraction * free:
            return self
        tensor = torch.from_numpy(_plain(np.array(self.array))).to(device)
        return ArrayStore(tensor, self.spec)


def _plain(array):
    """Return an array of a dtype that torch has, in native byte order."""
    if array.dtype in (np.uint16, np.uint32, np.uint64, np.longdouble):
        return array.astype(np.float32)
    return array.astype(array.dtype.newbyteorder("="), copy=False)


class PathStore:
    """Samples in image files, decoded as they are needed and kept if they fit.

    A decoded image is kept as uint8 for the next epoch as long as all of them
    together take less than `keep_bytes`.

    Parameters
    ----------
    paths : ndarray of str of shape (n_samples,)
        Image files that PIL reads.
    spec : InputSpec
        Their size.
    keep_bytes : int, default=2**31
        Memory that decoded images may take, in bytes.
    """

    def __init__(self, paths, spec, keep_bytes=2**31):
        missing = [i for i, path in enumerate(paths) if not os.path.isfile(path)]
        if missing:
            raise ValueError(
                f"X names {len(missing)} files that do not exist, the first at index "
                f"{missing[0]}: {str(paths[missing[0]])!r}."
            )
        self.paths = paths
        self.spec = spec
        shape = (len(paths), *spec.shape[1:], 3)
        keep = int(np.prod(shape)) <= keep_bytes
        self._decoded = np.zeros(shape, np.uint8) if keep else None
        self._known = np.zeros(len(paths), bool)

    def __len__(self):
        return len(self.paths)

    def fetch(self, index, device="cpu"):
        """Return the images at `index` (int64 tensor) as float32 on `device`."""
        index = index.cpu().numpy()
        if self._decoded is None:
            batch = self._decode(index)
        else:
            new = index[~self._known[index]]
            if len(new):
                self._decoded[new] = self._decode(new)
                self._known[new] = True
            batch = self._decoded[index]
        batch = torch.from_numpy(batch).to(device, non_blocking=True)
        return ArrayStore(batch, self.spec).finish(batch)

    def resident(self, device, fraction=0.5):
        """Return this store: files are read as they are needed."""
        return self

    def _decode(self, index):
        size = self.spec.shape[1:]
        # PIL decodes outside the interpreter lock, so threads are enough.
        with ThreadPoolExecutor(min(8, os.cpu_count() or 1)) as pool:
            images = pool.map(lambda i: read_image(self.paths[i], size), index)
            return np.stack(list(images))


def read_image(path, size):
    """Decode an image file, resize its shorter side and crop its centre.

    Parameters
    ----------
    path : str
        An image file that PIL reads.
    size : (int, int)
        Height and width to return, in pixels.

    Returns
    -------
    image : ndarray of shape (height, width, 3), dtype uint8
        RGB values.
    """
    from PIL import Image, ImageOps

    height, width = size
    try:
        with Image.open(path) as file:
            # JPEG decodes at a half, quarter or eighth for the price of that size.
            file.draft("RGB", (2 * width, 2 * height))
            image = file.convert("RGB")
    except OSError as error:
        raise ValueError(f"X names a file that is no image: {str(path)!r}.") from error
    return np.asarray(ImageOps.fit(image, (width, height), Image.Resampling.BILINEAR))


class LazyFeatures:
    """Features of a trained encoder, computed when they are first asked for.

    To any other library this is an array of shape (n_samples, n_features), float32.
    The classifiers of this package find the raw inputs and the encoder in it and
    fine-tune that encoder.

    Parameters
    ----------
    inputs : ndarray, tensor or array of paths of shape (n_samples, ...)
        Raw samples.
    encoder : TrainedEncoder
        What turns them into features.
    index : ndarray of int, default=None
        The samples of `inputs` that this array is of; all of them by default.

    Attributes
    ----------
    shape : tuple of int
        (n_samples, n_features).
    dtype : numpy.dtype
        float32.

    Examples
    --------
    >>> import numpy as np
    >>> from sknoisy import SSLPretrainer
    >>> X = np.random.default_rng(0).normal(size=(20, 4))
    >>> features = SSLPretrainer(max_epochs=1, random_state=0).fit_transform(X)
    >>> features.shape, features[3:7].shape, np.asarray(features).dtype
    ((20, 256), (4, 256), dtype('float32'))
    """

    ndim = 2
    dtype = np.dtype(np.float32)

    def __init__(self, inputs, encoder, index=None):
        self._inputs = inputs
        self._index = index
        self._features = None
        self.encoder = encoder

    @property
    def inputs(self):
        """Raw samples, as they were given."""
        return self._inputs if self._index is None else self._inputs[self._index]

    @property
    def shape(self):
        """(n_samples, n_features)."""
        return len(self), self.encoder.n_features

    @property
    def size(self):
        """Number of elements."""
        return len(self) * self.encoder.n_features

    def __len__(self):
        return len(self._inputs if self._index is None else self._index)

    def __array__(self, dtype=None, copy=None):
        if copy is False:
            raise ValueError("LazyFeatures are computed: np.asarray must copy.")
        if self._features is None:
            self._features = self.encoder.transform(self.inputs)
        return np.array(self._features, dtype=dtype)

    def __getitem__(self, key):
        rows, *columns = key if isinstance(key, tuple) else (key,)
        whole = all(c is Ellipsis or c == slice(None) for c in map(_as_slice, columns))
        if rows is Ellipsis or isinstance(rows, (int, np.integer)) or not whole:
            return np.asarray(self)[key]
        index = np.arange(len(self)) if self._index is None else self._index
        part = LazyFeatures(self._inputs, self.encoder, index[rows])
        if self._features is not None:
            part._features = self._features[rows]
        return part

    def __iter__(self):
        return iter(np.asarray(self))

    def __getstate__(self):
        # A part pickles its own samples only, not all that it was taken from.
        return {"inputs": self.inputs, "encoder": self.encoder}

    def __setstate__(self, state):
        self.__init__(**state)

    def __repr__(self):
        return f"LazyFeatures(shape={self.shape}, encoder={self.encoder})"


def _as_slice(column):
    """Return a slice or Ellipsis as it is, and None for any other index."""
    return column if column is Ellipsis or isinstance(column, slice) else None
