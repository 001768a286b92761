"""The description of a sample, learned from a training X.

``InputSpec.learn`` looks at the training X once: vectors or images, their
layout, range and moments. ``InputSpec.open`` then makes a store of any X of the same
kind. Its ``fetch(index)`` returns a batch that is ready for views and networks:
vectors as (n, d), images as (n, C, H, W) in [0, 1], float32 on the device. uint8
images stay uint8 until they are on the device.
"""

from dataclasses import dataclass, field, replace

import numpy as np
import torch

from sknoisy.data.devices import check_memory
from sknoisy.data.inputs import MIN_SIDE, check_image_size, check_unused, is_paths
from sknoisy.data.ranges import (
    check_columns,
    check_images,
    column_ranges,
    fences_of,
    image_range,
    later_fences,
    rows_of,
)
from sknoisy.data.stores import ArrayStore, PathStore

CHANNELS = (1, 3, 4)  # grey, RGB, RGBA: lengths by which "auto" finds the channel axis
MOMENT_SAMPLES = 10_000  # images that mean and standard deviation are computed from
MOMENT_VALUES = 2**25  # of large images fewer, which have about so many values
MOMENT_FILES = 128  # of files, which take long to read; of other images at least
LARGE = 2.0**10  # a mean, in deviations, that takes 10 of float32's 24 bits
SQUARED = 2.0**-50, 2.0**50  # widths of columns whose squares float32 holds
ROUNDING = np.array([1e-18, 1e-12])  # widths, over the largest, that it explains
CHUNK_BYTES = 8 * 2**20  # float32 bytes that are read at a time to compute moments


@dataclass(frozen=True)
class InputSpec:
    """What one sample is, and how it is brought to the scale of the networks.

    Attributes
    ----------
    kind : {"vector", "image"}
        Kind of a sample.
    shape : tuple of int
        (d,) of a vector, (C, H, W) of an image.
    layout : {"vector", "HW", "HWC", "CHW", "path"}
        Order of the axes of a sample in X.
    low, high : float
        Image values that become 0 and 1: 0 and 255 for uint8, 0 and 1 for floats
        within [0, 1], the minimum and maximum of the training X without its outliers
        for anything else. Values outside are clipped.
    mean, std : ndarray of float32
        Moments of each feature or channel on that scale, in `unit` and without `shift`;
        std is 1 for constant ones.
    shift : ndarray of shape (d,), float64, or None
        For vectors, what is subtracted from each column before the conversion to
        float32, which would round off the differences between large numbers such as
        time stamps.
    unit : ndarray of shape (d,), float64, or None
        For vectors, powers of 2 that columns are divided by after that, if some are so
        small or so large that float32 does not hold their squares, as in SI units;
        there is a `shift`, too, perhaps of zeros.
    limits : ndarray of shape (2, d), float64
        For vectors, minimum and maximum of each column without its outliers.
    bounds : ndarray of shape (2, d), float64, or None
        For vectors, the lowest and highest value that each column is clipped to:
        `limits` if it has outliers, otherwise infinite; None if no column has any.
    fences : ndarray of shape (2, d), float64, or None
        For vectors that are not the training X, the lowest and highest value that is
        not clipped to `limits`; None if none is.
    """

    kind: str
    shape: tuple
    layout: str
    low: float = 0.0
    high: float = 1.0
    mean: np.ndarray = field(default=None, compare=False)
    std: np.ndarray = field(default=None, compare=False)
    shift: np.ndarray = field(default=None, compare=False)
    unit: np.ndarray = field(default=None, compare=False)
    limits: np.ndarray = field(default=None, compare=False)
    bounds: np.ndarray = field(default=None, compare=False)
    fences: np.ndarray = field(default=None, compare=False)

    @classmethod
    def learn(cls, X, channels="auto", image_size=None):
        """Describe a training X, with its range and moments.

        Parameters
        ----------
        X : ndarray, tensor or array of paths
            As returned by :func:`as_inputs`.
        channels : {"auto", "first", "last"}
            Where 4-D images keep their channels.
        image_size : int or (int, int)
            Height and width to which image files are resized.

        Returns
        -------
        spec : InputSpec
            The description of X.
        """
        spec = cls.describe(X, channels, image_size)
        check_memory(spec.shape, 2, torch.device("cpu"))
        if spec.kind == "vector":
            limits, bounds = column_ranges(X)
            shift, unit = _large_means(X, bounds), _units(limits)
            if unit is not None and shift is None:
                shift = np.zeros(len(unit))
            spec = replace(spec, shift=shift, unit=unit, limits=limits, bounds=bounds)
        elif spec.layout != "path":
            low, high = image_range(X)
            _check_finite(np.array([low, high]))
            spec = replace(spec, low=low, high=high)
        mean, std = _moments(spec.open(X))
        _check_finite(mean)
        return replace(spec, mean=mean, std=std)

    @classmethod
    def describe(cls, X, channels="auto", image_size=None):
        """Describe a training X by its shape alone; no value is read.

        Parameters
        ----------
        X, channels, image_size
            As in :meth:`learn`.

        Returns
        -------
        spec : InputSpec
            The description, without range and moments.
        """
        check_unused(X, image_size)
        if is_paths(X):
            spec = cls("image", (3, *check_image_size(image_size)), "path", 0.0, 255.0)
        elif X.ndim == 2:
            spec = cls("vector", (X.shape[1],), "vector")
        else:
            layout = _layout(X.shape, channels)
            shape = (1,) * (layout == "HW") + tuple(X.shape[1:])
            shape = (shape[2], *shape[:2]) if layout == "HWC" else shape
            spec = cls("image", shape, layout)
        if spec.kind == "image" and min(spec.shape[1:]) < MIN_SIDE:
            raise ValueError(
                f"X holds images of {spec.shape[1]} x {spec.shape[2]} pixels (height x "
                f"width): each side must be at least {MIN_SIDE}. Pass the pixels of "
                "smaller ones as vectors, X.reshape(len(X), -1)."
            )
        return spec

    def open(self, X):
        """Return a store of the samples of X, which must fit this description."""
        if is_paths(X):
            if self.layout != "path":
                raise ValueError(f"X holds paths, but the training X held {self}.")
            return PathStore(X, self)
        found = tuple(X.shape[1:])
        if self.layout == "path" or found != self._sample_shape():
            hint = "" if len(found) != 1 else _FEATURES_HINT
            if self.layout == "path" and not hint:
                hint = " Pass paths, or train on arrays."
            if self.layout != "path" and tuple(X.shape) == self._sample_shape():
                hint = " X is a single sample: pass X[None]."
            raise ValueError(
                f"X has samples of shape {found}, but the training X held {self}."
                + (hint if self.kind == "image" else "")
            )
        return ArrayStore(X, self._checked_for(X))

    def prepare(self, batch):
        """Convert raw samples, on their device, to the input of networks.

        Parameters
        ----------
        batch : tensor of shape (n, ...)
            Samples as a store's ``raw`` returns them.

        Returns
        -------
        batch : tensor of shape (n, d) or (n, C, H, W), float32
            Images have values in [0, 1].
        """
        if self.kind == "vector":
            batch = batch.float()
            plain = self.bounds is None and self.fences is None
            return batch if plain else self.unshifted()._clipped(batch)
        is_uint8 = batch.dtype == torch.uint8
        if self.layout == "HW":
            batch = batch.unsqueeze(1)
        elif self.layout != "CHW":
            batch = batch.permute(0, 3, 1, 2)
        batch = batch.to(torch.float32, memory_format=torch.contiguous_format)
        if not (is_uint8 and (self.low, self.high) == (0.0, 255.0)):
            batch = batch.clamp(self.low, self.high)
        if (self.low, self.high) == (0.0, 1.0):
            return batch
        if self.low:
            batch = batch - self.low
        # Both ends as float32 has them, or values far from 0 would end above 1.
        low, high = map(np.float32, (self.low, self.high))
        return batch.mul_(1 / (float(high) - float(low) or 1.0))

    def restore(self, batch):
        """Convert samples back to the layout and range of X: undo :meth:`prepare`.

        Parameters
        ----------
        batch : tensor of shape (n, d) or (n, C, H, W), float32
            Input of networks, on the CPU.

        Returns
        -------
        X : ndarray of shape (n, ...), float32, or float64 if there is a `shift`
            Samples in the layout and range of X, without its outliers; images of files
            as (n, H, W, 3), from 0 to 255.
        """
        if self.kind == "vector":
            X = batch.numpy() if self.unit is None else batch.numpy() * self.unit
            return X if self.shift is None else X + self.shift
        batch = batch * (self.high - self.low) + self.low
        if self.layout == "HW":
            return batch[:, 0].numpy()
        return (batch if self.layout == "CHW" else batch.permute(0, 2, 3, 1)).numpy()

    def _checked_for(self, X):
        """Check the range of a later X; return the description for its store."""
        if self.mean is None or len(X) == 0:  # while it is learned
            return self
        if self.kind == "image":
            check_images(X, self.low, self.high)
            return self
        if self.limits is None:  # learned by an earlier version
            return self
        shift = 0 if self.shift is None else self.shift
        unit = 1 if self.unit is None else self.unit
        mean, std = unit * self.mean + shift, unit * self.std
        scaled = check_columns(X, mean, std, self.limits)
        fences = later_fences(X, self.limits, self.bounds, quiet=scaled)
        return replace(self, fences=fences)

    def for_any(self):
        """Return the description of samples that are not known yet.

        Outliers among them are clipped as :meth:`open` clips those that it finds.
        """
        if self.limits is None:  # images, or learned by an earlier version
            return self
        return replace(self, fences=fences_of(self.limits, self.bounds))

    def _clipped(self, batch):
        """Return vectors without their outliers; there is no `shift`."""

        def on_device(ends):
            with np.errstate(over="ignore"):
                return torch.from_numpy(ends.astype(np.float32)).to(batch.device)

        if self.bounds is not None:
            batch = batch.clamp(*on_device(self.bounds))
        if self.fences is not None:
            low, high = on_device(self.fences)
            far = (batch < low) | (batch > high)
            batch = torch.where(far, batch.clamp(*on_device(self.limits)), batch)
        return batch

    def unshifted(self):
        """Return the description of samples that :meth:`shifted` returns."""
        if self.shift is None:
            return self
        ends = {name: getattr(self, name) for name in ("limits", "bounds", "fences")}
        moved = {k: None if v is None else self.shifted(v) for k, v in ends.items()}
        return replace(self, shift=None, unit=None, **moved)

    def shifted(self, rows):
        """Return rows of vectors less `shift`, in `unit`: an ndarray of float64."""
        rows = rows - self.shift
        return rows if self.unit is None else rows / self.unit

    def _sample_shape(self):
        """Return the shape of a sample as X has it; `shape` has the channels first."""
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
    """Return the order of the axes of images, as far as their shape tells it."""
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


def _check_finite(numbers):
    """Raise ``ValueError`` unless float32 holds these numbers, of X."""
    with np.errstate(over="ignore"):
        finite = np.isfinite(numbers.astype(np.float32)).all()
    if not finite:
        raise ValueError(
            "X holds numbers that are too large for float32 (above 3.4e38), in "
            "which networks compute. Scale it."
        )


def _units(limits):
    """Return powers of 2 to divide columns by, or None if squares need none.

    All columns have the same, unless that leaves some too small.

    Parameters
    ----------
    limits : ndarray of shape (2, d)
        Minimum and maximum of each column.
    """
    with np.errstate(over="ignore"):
        width = limits[1] - limits[0]
    too_large = np.abs(limits).max(axis=0) > np.finfo(np.float32).max
    varies = (width > 0) & ~too_large
    least, most = ROUNDING * width.max().clip(max=1.0)
    scaled = varies & ((width <= least) | (width >= most))

    def are_held(widths):
        return ((widths >= SQUARED[0]) & (widths <= SQUARED[1]))[scaled].all()

    if are_held(width):
        return None
    unit = np.where(varies, _power_of_2(width[scaled].max()), 1.0)
    if are_held(width / unit):
        return unit
    return np.where(scaled, _power_of_2(width), 1.0)


def _power_of_2(numbers):
    """Return the largest power of 2 up to each number; 1 for 0 and infinity."""
    finite = (numbers > 0) & np.isfinite(numbers)
    return np.ldexp(1.0, np.frexp(np.where(finite, numbers, 1.0))[1] - 1)


def _large_means(X, bounds):
    """Return the means of columns that float32 would not hold exactly, or None."""
    if X.dtype in (np.float32, torch.float32) or len(X) == 0:
        return None
    some = rows_of(X, MOMENT_SAMPLES)
    if bounds is not None:
        some = some.clip(*bounds)
    with np.errstate(over="ignore"):
        mean, std = some.mean(axis=0), some.std(axis=0)
    # Below 1e-14 of the mean, differences are the rounding of float64.
    is_large = (np.abs(mean) > LARGE * std) & (std > 1e-14 * np.abs(mean))
    return np.where(is_large, mean, 0.0) if is_large.any() else None


def _moments(store):
    """Return mean and standard deviation of each feature or channel."""
    n, spec = len(store), store.spec
    n_read = n
    if spec.kind == "image":
        enough = max(MOMENT_FILES, MOMENT_VALUES // int(np.prod(spec.shape)))
        enough = MOMENT_FILES if spec.layout == "path" else enough
        n_read = min(n, MOMENT_SAMPLES, enough)
    index = np.linspace(0, n - 1, n_read).round().astype(np.int64)
    dims = (0, 2, 3) if spec.kind == "image" else (0,)
    step = max(1, CHUNK_BYTES // (4 * int(np.prod(spec.shape))))
    count, total, squares = 0, 0.0, 0.0
    shift = None  # the first sample's mean: keeps the sum of squares exact
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
    # A constant channel or feature must not divide by zero, nor by the rounding of
    # others: of the last components of a PCA, say.
    rounding = 1e-13 * std.max().clamp(max=1)
    std[std <= torch.maximum(1e-7 * mean.abs(), rounding)] = 1.0
    return mean.float().cpu().numpy(), std.float().cpu().numpy()
