"""Augmented copies of samples, added to a training set in the form that it has."""

import math
import os
import shutil
import tempfile
import weakref

import numpy as np
import torch
from sklearn.utils import check_array

from sknoisy.data.batches import stream
from sknoisy.data.inputs import as_inputs, is_paths
from sknoisy.data.spec import InputSpec
from sknoisy.encoders.features import LazyFeatures
from sknoisy.views.automatic import resolve_views
from sknoisy.views.base import random_view

BATCH = 512  # samples that views are made of at a time


class AugmentedCopies:
    """Appends random views of some samples to a training set.

    Parameters
    ----------
    X : array-like, tensor, array of paths or LazyFeatures of shape (n_samples, ...)
        The training set.
    views : "auto", "none" or Views
        Random views; "auto": the strong ones of self-supervised learning.
    device : torch.device
        Where views are made.
    generator : torch.Generator
        Their source of randomness, on `device`.
    channels, image_size
        As in the estimators: the position of the channel axis in images, and the size
        to which image files are resized.
    """

    def __init__(self, X, views, device, generator, channels="auto", image_size=None):
        self.X = X
        lazy = isinstance(X, LazyFeatures)
        inputs = as_inputs(X.inputs if lazy else X)
        if not is_paths(inputs) and not isinstance(inputs, torch.Tensor):
            inputs = check_array(inputs, allow_nd=True, dtype="numeric", input_name="X")
        self.inputs = inputs
        self.spec = (
            X.encoder.spec if lazy else InputSpec.learn(inputs, channels, image_size)
        )
        self.store = self.spec.open(inputs)
        self.views = resolve_views(views, self.spec, "strong")
        self.device = device
        self.generator = generator
        self._folder = None

    def extend(self, index):
        """Return the training set, followed by a new random view of some samples.

        Parameters
        ----------
        index : ndarray of shape (n_copies,), int64
            Positions of these samples.

        Returns
        -------
        X : array-like, tensor, array of paths or LazyFeatures
            Samples and copies, (n_samples + n_copies, ...), of the kind of the
            training set: views of image files are files in a temporary folder.
        """
        if len(index) == 0:
            return self.X
        n_batches = math.ceil(len(index) / BATCH)
        batches = stream(self.store, torch.from_numpy(index), n_batches, self.device)
        parts = [self.inputs]
        for _, batch in batches:  # only a batch is in float32 at a time
            views = random_view(self.views, batch, self.generator)
            views = self.spec.restore(views.cpu())
            parts.append(self._like_inputs(views, start=sum(map(len, parts[1:]))))
        if isinstance(self.inputs, torch.Tensor):
            return torch.cat(parts)
        return self._like_X(np.concatenate(parts))

    def _like_inputs(self, views, start):
        """Return views in the dtype of the training set, or the files they are in."""
        if is_paths(self.inputs):
            return self._write(_to_uint8(views), start)
        if isinstance(self.inputs, torch.Tensor):
            whole = self.inputs.dtype == torch.uint8
            views = torch.from_numpy(_to_uint8(views) if whole else views)
            return views.to(self.inputs)
        if self.inputs.dtype == np.uint8:
            return _to_uint8(views)
        is_float = self.inputs.dtype.kind == "f"
        return views.astype(self.inputs.dtype) if is_float else views

    def _like_X(self, inputs):
        """Return samples in the container that the training set came in."""
        if isinstance(self.X, LazyFeatures):
            return LazyFeatures(inputs, self.X.encoder)
        if hasattr(self.X, "iloc") and inputs.ndim == 2:  # keeps the features' names
            return type(self.X)(inputs, columns=self.X.columns)
        return inputs

    def _write(self, images, start):
        """Write images (n, H, W, 3) to files, counted from `start`; return paths."""
        from PIL import Image

        if self._folder is None:
            self._folder = tempfile.mkdtemp(prefix="sknoisy-")
            weakref.finalize(self, shutil.rmtree, self._folder, ignore_errors=True)
        numbers = range(start, start + len(images))
        paths = [os.path.join(self._folder, f"{i}.png") for i in numbers]
        for path, image in zip(paths, images, strict=True):
            Image.fromarray(image).save(path)
        return np.array(paths)


def _to_uint8(views):
    return views.round().clip(0, 255).astype(np.uint8)
