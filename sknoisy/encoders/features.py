"""A trained encoder, and its features: computed when they are asked for."""

import numpy as np

from sknoisy.data.devices import resolve_device
from sknoisy.encoders.blueprint import load_numpy_state
from sknoisy.encoders.inference import forward_all


class TrainedEncoder:
    """An encoder with its weights as NumPy arrays: pickles and hashes by value.

    Parameters
    ----------
    blueprint : Blueprint
        The architecture.
    state : dict of str to ndarray
        The weights.
    n_features : int
        Number of features.
    device : str, default="auto"
        Where features are computed.
    """

    def __init__(self, blueprint, state, n_features, device="auto"):
        self.blueprint = blueprint
        self.state = state
        self.n_features = n_features
        self.device = device

    @property
    def spec(self):
        """What the samples are, an :class:`~sknoisy.data.spec.InputSpec`."""
        return self.blueprint.spec

    def build(self):
        """Return the module, with its weights, on the CPU."""
        module = self.blueprint.build()
        load_numpy_state(module, self.state)
        return module

    def transform(self, inputs):
        """Return the features of raw inputs.

        Parameters
        ----------
        inputs : ndarray, tensor or array of paths of shape (n_samples, ...)
            Raw samples.

        Returns
        -------
        features : ndarray of shape (n_samples, n_features), dtype float32
            One row a sample.
        """
        device = resolve_device(self.device, fallback=True)
        module = self.build().to(device)
        return forward_all(module, self.spec.open(inputs), device)

    def __str__(self):
        return str(self.blueprint)


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
        return np.array(self._computed(), dtype=dtype)

    def _computed(self):
        if self._features is None:
            self._features = self.encoder.transform(self.inputs)
        return self._features

    def __getitem__(self, key):
        rows, *columns = key if isinstance(key, tuple) else (key,)
        whole = all(c is Ellipsis or c == slice(None) for c in map(_as_slice, columns))
        several = isinstance(rows, slice) or np.ndim(rows) == 1
        if not (whole and several):
            return self._computed()[key].copy()
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
