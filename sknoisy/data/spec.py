"""What one sample is, learned from a training X.

``InputSpec.learn`` looks at the training X once: vectors or images, their
layout, range and moments. ``InputSpec.open`` then gives any X of the same kind as
a store, whose ``fetch(index)`` returns a batch ready for views and networks:
vectors as (n, d), images as (n, C, H, W) in [0, 1], float32 on the device. uint8
images stay uint8 until they are there.
"""

import warnings
from dataclasses import dataclass, field, replace

import numpy as np
import torch

from sknoisy.data.inputs import MIN_SIDE, check_image_size, check_unused, is_paths
from sknoisy.data.stores import ArrayStore, PathStore

CHANNELS = (1, 3, 4)  # grey, RGB, RGBA: what "auto" recognises as a channel axis
MOMENT_SAMPLES = 10_000  # images that the mean and deviation are measured on
LARGE = 2.0**10  # a mean, in deviations, that takes 10 of float32's 24 bits
CHUNK_BYTES = 8 * 2**20  # float32 bytes of a chunk, where all of X is read in turn


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
    shift : ndarray of shape (d,), float64, or None
        Of vectors, what is subtracted from each column before it becomes float32, in
        which a large mean, a time stamp's, would leave nothing of the differences.
    """

    kind: str
    shape: tuple
    layout: str
    low: float = 0.0
    high: float = 1.0
    mean: np.ndarray = field(default=None, compare=False)
    std: np.ndarray = field(default=None, compare=False)
    shift: np.ndarray = field(default=None, compare=False)

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
        check_unused(X, image_size)
        if is_paths(X):
            spec = cls("image", (3, *check_image_size(image_size)), "path", 0.0, 255.0)
        elif X.ndim == 2:
            spec = cls("vector", (X.shape[1],), "vector", shift=_large_means(X))
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
        if not np.isfinite(mean).all():
            raise ValueError(
                "X holds numbers that are too large for float32 (above 3.4e38), in "
                "which networks compute. Scale it."
            )
        return replace(spec, mean=mean, std=std)

    def open(self, X):
        """Return a store of the samples of X, which must be as described."""
        if is_paths(X):
            if self.layout != "path":
                raise ValueError(f"X holds paths, but the training X held {self}.")
            return PathStore(X, self)
        found = tuple(X.shape[1:])
        if self.layout == "path" or found != self._sample_shape():
            hint = "" if len(found) != 1 else _FEATURES_HINT
            if self.layout == "path" and not hint:
                hint = " Pass paths, or train on arrays."
            raise ValueError(
                f"X has samples of shape {found}, but the training X held {self}."
                + (hint if self.kind == "image" else "")
            )
        self._check_range(X)
        return ArrayStore(X, self)

    def prepare(self, batch):
        """Bring raw samples, on their device, to the form that networks take.

        Parameters
        ----------
        batch : tensor of shape (n, ...)
            What a store's ``raw`` returned, uint8 or as X is.

        Returns
        -------
        batch : tensor of shape (n, d) or (n, C, H, W), float32
            Images have values in [0, 1].
        """
        if self.kind == "vector":
            return batch.float()
        if self.layout == "HW":
            batch = batch.unsqueeze(1)
        elif self.layout != "CHW":
            batch = batch.permute(0, 3, 1, 2)
        batch = batch.to(torch.float32, memory_format=torch.contiguous_format)
        if (self.low, self.high) == (0.0, 1.0):
            return batch
        if self.low:
            batch = batch - self.low
        return batch.mul_(1 / (self.high - self.low))

    def restore(self, batch):
        """Return samples as they lie in X: what :meth:`prepare` undoes.

        Parameters
        ----------
        batch : tensor of shape (n, d) or (n, C, H, W), float32
            Samples as networks take them, on the CPU.

        Returns
        -------
        X : ndarray of shape (n, ...), float32, or float64 where there is a `shift`
            In the layout and range of X; images of files as (n, H, W, 3), 0 to 255.
        """
        if self.kind == "vector":
            return batch.numpy() if self.shift is None else batch.numpy() + self.shift
        batch = batch * (self.high - self.low) + self.low
        if self.layout == "HW":
            return batch[:, 0].numpy()
        return (batch if self.layout == "CHW" else batch.permute(0, 2, 3, 1)).numpy()

    def _check_range(self, X):
        """Notice images of another range than the training X's."""
        if self.kind == "vector" or len(X) == 0:
            return
        is_uint8 = X.dtype in (np.uint8, torch.uint8)
        if is_uint8 and (self.low, self.high) == (0.0, 1.0):
            raise ValueError(
                "X holds uint8 images, but the training X held floats in [0, 1]: pass "
                "X / 255."
            )
        if is_uint8 or (self.low, self.high) != (0.0, 255.0):
            return
        if X.dtype.kind == "f" if isinstance(X, np.ndarray) else X.is_floating_point():
            if float(X.max()) <= 1.0:
                warnings.warn(
                    "X holds floats of at most 1, but the training X held images from "
                    "0 to 255: these are all but black. Pass 255 * X if they are not.",
                    UserWarning,
                    stacklevel=4,
                )

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


def _large_means(X):
    """Return the means of columns that float32 would not hold exactly, or None."""
    if X.dtype in (np.float32, torch.float32) or len(X) == 0:
        return None
    rows = np.linspace(0, len(X) - 1, min(len(X), MOMENT_SAMPLES)).astype(np.int64)
    some = X[rows]
    if isinstance(some, torch.Tensor):
        some = some.cpu().numpy()
    some = some.astype(np.float64)
    with np.errstate(over="ignore"):
        mean, std = some.mean(axis=0), some.std(axis=0)
    # Below 1e-14 of the mean, differences are the rounding of float64.
    is_large = (np.abs(mean) > LARGE * std) & (std > 1e-14 * np.abs(mean))
    return np.where(is_large, mean, 0.0) if is_large.any() else None


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
        batch = store.fetch(torch.from_numpy(index[start : start + step]))
        batch = batch.cpu().double()
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
