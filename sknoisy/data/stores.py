"""Stores of samples that return batches on a device: arrays and image files."""

import math
import os
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from contextvars import ContextVar

import numpy as np
import torch

from sknoisy.data.devices import move
from sknoisy.data.images import missing_files, read_image
from sknoisy.data.labels import counted

LOOKED_FOR = 2**17  # paths that are looked for before any is read; of more, a sample
TRIED = 10_000  # images that are tried once one is damaged; of more, those of its batch
KEEP_BYTES = 2**31  # of decoded images
CHUNK_BYTES = 64 * 2**20  # that are copied to a device at a time
FREE_SHARE = 0.5  # of a device's free memory, that resident samples may take
SHOWN = 5  # files in a message


class ArrayStore:
    """Samples of an array in memory, a memmap, or a tensor on a device.

    Parameters
    ----------
    array : ndarray or tensor of shape (n_samples, ...)
        The samples. They are never written to.
    spec : InputSpec
        Their description.
    """

    def __init__(self, array, spec):
        self.array = array
        self.spec = spec

    def __len__(self):
        return self.array.shape[0]

    def is_ready(self, device):
        """Whether batches for a device need no reading ahead."""
        if isinstance(self.array, torch.Tensor):
            return True
        on_host = torch.device(device).type == "cpu"
        return on_host and not isinstance(self.array, np.memmap)

    def raw(self, index):
        """Return the samples at `index` (int64 tensor) as they are stored."""
        if isinstance(self.array, torch.Tensor):
            rows = self.array[index.to(self.array.device)]
            return rows if self.spec.shift is None else self._shifted(rows)
        return self._tensor(np.take(self.array, index.cpu().numpy(), axis=0))

    def _shifted(self, rows):
        """Return rows of a tensor as ``spec.shifted`` has them, as float32."""
        # On the CPU: not every device has float64.
        return self._tensor(rows.cpu().double().numpy()).to(rows.device)

    def _tensor(self, rows):
        """Return rows of an array as a tensor, shifted if there is a shift."""
        if self.spec.shift is not None:
            rows = self.spec.shifted(rows)
        return torch.from_numpy(_plain(rows))

    def fetch(self, index, device="cpu"):
        """Return the samples at `index` (int64 tensor) as float32 on `device`."""
        return self.spec.prepare(move(self.raw(index), device))

    def resident(self, device):
        """Return a store on `device` if its samples fit a part of the free memory.

        Memmaps stay on disk, and arrays in memory are resident for the CPU. Tensors
        stay where they are, but they are shifted once and for all.
        """
        if isinstance(self.array, torch.Tensor) and self.spec.shift is not None:
            return ArrayStore(self._shifted(self.array), self.spec.unshifted())
        stays = isinstance(self.array, (np.memmap, torch.Tensor))
        if stays or torch.device(device).type != "cuda":
            return self
        free, _ = torch.cuda.mem_get_info(device)
        # Memory that PyTorch keeps for reuse is free, too.
        free += torch.cuda.memory_reserved(device) - torch.cuda.memory_allocated(device)
        return self if self.device_bytes() > FREE_SHARE * free else self.on(device)

    def device_bytes(self):
        """Return the size of all samples on a device, in bytes."""
        return len(self) * self._tensor(np.array(self.array[:1])).nbytes

    def on(self, device):
        """Return a store with a copy of all samples on a device, made in parts."""
        first = self._tensor(np.array(self.array[:1]))
        shape = len(self), *first.shape[1:]
        tensor = torch.empty(shape, dtype=first.dtype, device=device)
        step = max(1, CHUNK_BYTES // first.nbytes)
        for start in range(0, len(self), step):
            part = slice(start, start + step)
            tensor[part] = self._tensor(np.array(self.array[part]))
        return ArrayStore(tensor, self.spec.unshifted())


def _plain(array):
    """Return an array of a dtype that every device supports, in native byte order."""
    if array.dtype.kind == "f" or array.dtype in (np.uint16, np.uint32, np.uint64):
        with np.errstate(over="ignore"):  # outliers become infinite and are clipped
            return array.astype(np.float32, copy=False)
    return array.astype(array.dtype.newbyteorder("="), copy=False)


class _Decoded:
    """Decoded images of some files by path and size, up to a number of bytes."""

    def __init__(self, paths):
        self._paths = frozenset(paths.tolist())
        self._images = {}
        self._left = KEEP_BYTES

    def read(self, path, size):
        """Return an image like :func:`read_image`; it must not be changed."""
        image = self._images.get((path, size))
        if image is None:
            image = read_image(path, size)
            if path in self._paths and image.nbytes <= self._left:
                self._left -= image.nbytes
                self._images[path, size] = image
        return image


_SHARED = ContextVar("decoded images that stores share", default=None)


@contextmanager
def sharing_decoded(paths):
    """In this context, stores share what they decode of some files.

    For those who fit or ask classifiers many times, each of which opens the files.

    Parameters
    ----------
    paths : ndarray of str of shape (n_samples,), or None
        The files, which must not change meanwhile. None: nothing is shared.
    """
    token = None
    if paths is not None and _SHARED.get() is None:
        token = _SHARED.set(_Decoded(paths))
    try:
        yield
    finally:
        if token is not None:
            _SHARED.reset(token)


class PathStore:
    """Samples in image files, which are decoded when they are first needed.

    Decoded images are kept as uint8 if all of them together take at most `keep_bytes`;
    otherwise each epoch decodes them again. Within :func:`sharing_decoded`, images are
    kept for other stores, too.

    Whether the files exist is checked at once, but of more than 131,072 only as many,
    evenly spread; a missing one is found when it is read.

    Parameters
    ----------
    paths : ndarray of str of shape (n_samples,)
        Image files that Pillow can read.
    spec : InputSpec
        Their description, with the size that they are resized to.
    keep_bytes : int, default=2**31
        Largest size of all decoded images to keep in memory, in bytes.
    """

    def __init__(self, paths, spec, keep_bytes=KEEP_BYTES):
        _check_exist(paths)
        self.paths = paths
        self.spec = spec
        shape = (len(paths), *spec.shape[1:], 3)
        keep = math.prod(shape) <= keep_bytes
        self._decoded = np.zeros(shape, np.uint8) if keep else None
        self._known = np.zeros(len(paths), bool)
        shared = _SHARED.get()
        self._read = read_image if shared is None else shared.read

    def __len__(self):
        return len(self.paths)

    def is_ready(self, device):
        """Whether batches need no reading ahead: files always do."""
        return False

    def raw(self, index):
        """Return the images at `index` (int64 tensor) as uint8."""
        index = index.cpu().numpy()
        if self._decoded is None:
            return torch.from_numpy(self._decode(index))
        new = index[~self._known[index]]
        if len(new):
            self._decoded[new] = self._decode(new)
            self._known[new] = True
        return torch.from_numpy(self._decoded[index])

    def fetch(self, index, device="cpu"):
        """Return the images at `index` (int64 tensor) as float32 on `device`."""
        return self.spec.prepare(move(self.raw(index), device))

    def resident(self, device):
        """Return this store: files are read when they are needed."""
        return self

    def _decode(self, index):
        """Return images as uint8; if one is damaged, raise an error that lists all."""
        size = self.spec.shape[1:]
        # Pillow decodes without the interpreter lock, so threads run in parallel.
        with ThreadPoolExecutor(min(8, os.cpu_count() or 1)) as pool:
            images = pool.map(lambda i: self._read(str(self.paths[i]), size), index)
            try:
                return np.stack(list(images))
            except ValueError as error:
                tried = index if len(self) > TRIED else np.arange(len(self))
                errors = zip(tried, pool.map(self._error_of, tried), strict=True)
                bad = {int(i): e for i, e in errors if e is not None}
                if not bad:  # the file has become readable meanwhile
                    raise
                of = f", of {len(tried)} that were tried" * (len(self) > TRIED)
                raise ValueError(_describe(bad, of)) from error

    def _error_of(self, i):
        """Return why an image cannot be read, or None."""
        try:
            read_image(self.paths[i], self.spec.shape[1:])
        except ValueError as error:
            return str(error)
        return None


def _describe(errors, of=""):
    """Return a message that lists files that cannot be read, by their position."""
    found = [f"{error} (index {i})" for i, error in [*errors.items()][:SHOWN]]
    more = [] if len(errors) <= SHOWN else [f"and {len(errors) - SHOWN} more"]
    return (
        f"X names {counted(len(errors), 'file')} that cannot be read{of}: "
        + "; ".join(found + more)
    )


def _check_exist(paths):
    """Raise ``ValueError`` if files do not exist, of many files some."""
    n_rows = min(len(paths), LOOKED_FOR)
    rows = np.linspace(0, len(paths) - 1, n_rows).astype(np.int64)
    missing = rows[missing_files(paths[rows])]
    if len(missing):
        of = f", of {n_rows} that were looked for" if n_rows < len(paths) else ""
        raise ValueError(
            f"X names {counted(len(missing), 'file')} that cannot be found{of}, the "
            f"first at index {missing[0]}: {str(paths[missing[0]])!r}."
        )
