"""Stores of samples, which give batches on the device: arrays and image files."""

import os
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace

import numpy as np
import torch

from sknoisy.data.devices import move

CHUNK_BYTES = 64 * 2**20  # of what is copied to a device at a time


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

    def is_ready(self, device):
        """Whether a batch is there at once: in memory, and on the right side of it."""
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
        # On the CPU: not every device has float64.
        shifted = rows.cpu().double() - torch.from_numpy(self.spec.shift)
        return shifted.float().to(rows.device)

    def _tensor(self, rows):
        if self.spec.shift is not None:
            rows = (rows - self.spec.shift).astype(np.float32)
        return torch.from_numpy(_plain(rows))

    def fetch(self, index, device="cpu"):
        """Return the samples at `index` (int64 tensor) as float32 on `device`."""
        return self.spec.prepare(move(self.raw(index), device))

    def resident(self, device, fraction=0.5):
        """Return a store on `device` if its samples fit a fraction of free memory.

        Memmaps stay on disk; arrays in memory are already resident for the CPU. Tensors
        stay where they are; what is subtracted from them is subtracted here, once.
        """
        if isinstance(self.array, torch.Tensor) and self.spec.shift is not None:
            spec = replace(self.spec, shift=None)
            return ArrayStore(self._shifted(self.array), spec)
        stays = isinstance(self.array, (np.memmap, torch.Tensor))
        if stays or torch.device(device).type != "cuda":
            return self
        free, _ = torch.cuda.mem_get_info(device)
        # What PyTorch keeps for reuse is free, too.
        free += torch.cuda.memory_reserved(device) - torch.cuda.memory_allocated(device)
        return self if self.device_bytes() > fraction * free else self.on(device)

    def device_bytes(self):
        """Return how many bytes all samples take on a device."""
        return len(self) * self._tensor(np.array(self.array[:1])).nbytes

    def on(self, device):
        """Return a store of an array's samples on a device, copied part by part."""
        first = self._tensor(np.array(self.array[:1]))
        shape = len(self), *first.shape[1:]
        tensor = torch.empty(shape, dtype=first.dtype, device=device)
        step = max(1, CHUNK_BYTES // first.nbytes)
        for start in range(0, len(self), step):
            part = slice(start, start + step)
            tensor[part] = self._tensor(np.array(self.array[part]))
        return ArrayStore(tensor, replace(self.spec, shift=None))


def _plain(array):
    """Return an array of a dtype that every device has, in native byte order."""
    if array.dtype.kind == "f" or array.dtype in (np.uint16, np.uint32, np.uint64):
        return array.astype(np.float32, copy=False)
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

    def is_ready(self, device):
        """Whether a batch is there at once: never sure of files."""
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

    def resident(self, device, fraction=0.5):
        """Return this store: files are read as they are needed."""
        return self

    def _decode(self, index):
        size = self.spec.shape[1:]
        # PIL decodes outside the interpreter lock, so threads are enough.
        with ThreadPoolExecutor(min(8, os.cpu_count() or 1)) as pool:
            images = pool.map(lambda i: read_image(self.paths[i], size), index)
            try:
                return np.stack(list(images))
            except ValueError as error:
                errors = pool.map(self._error_of, range(len(self)))
                bad = {i: e for i, e in enumerate(errors) if e is not None}
                if not bad:  # it can be read now
                    raise
                raise ValueError(_describe(bad)) from error

    def _error_of(self, i):
        """Return why an image cannot be read, or None."""
        try:
            read_image(self.paths[i], self.spec.shape[1:])
        except ValueError as error:
            return str(error)
        return None


def _describe(errors, shown=5):
    """Return a message of all files that cannot be read, by their position."""
    found = [f"{error} (index {i})" for i, error in [*errors.items()][:shown]]
    more = [] if len(errors) <= shown else [f"and {len(errors) - shown} more"]
    return f"X names {len(errors)} files that cannot be read: " + "; ".join(
        found + more
    )


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
        with Image.open(str(path)) as file:
            if file.mode.startswith(("I", "F")):
                raise ValueError(
                    f"{str(path)!r} has more than 8 bits a pixel (mode {file.mode!r}), "
                    "pass an array instead, or convert the file"
                )
            # JPEG decodes at a half, quarter or eighth for the price of that size.
            file.draft("RGB", (2 * width, 2 * height))
            image = ImageOps.exif_transpose(file).convert("RGB")
    except OSError as error:
        raise ValueError(f"{str(path)!r} is no image ({error})") from error
    return np.asarray(ImageOps.fit(image, (width, height), Image.Resampling.BILINEAR))
