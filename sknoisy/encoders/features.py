"""Trained encoders, and their features, which are computed when they are needed."""

import numpy as np

from sknoisy import ranks
from sknoisy._compat import numpy_namespace
from sknoisy._version import __version__
from sknoisy.data.devices import resolve_device, resolve_precision
from sknoisy.data.inputs import by_value
from sknoisy.encoders.blueprint import load_numpy_state
from sknoisy.encoders.inference import forward_all
from sknoisy.warning import warn


class TrainedEncoder:
    """An encoder with its weights as NumPy arrays; equal ones have equal pickles.

    Parameters
    ----------
    blueprint : Blueprint
        Architecture of the encoder.
    state : dict of str to ndarray
        Parameters and buffers.
    n_features : int
        Number of features.
    device : str, default="auto"
        Device that features are computed on.
    precision : str, default="float32"
        Precision that features are computed in: "float32", "bfloat16" or "auto".
    pretrained : bool, default=True
        Whether the weights are trained, not initial ones. Classifiers then train the
        head alone first.
    """

    def __init__(
        self,
        blueprint,
        state,
        n_features,
        device="auto",
        precision="float32",
        pretrained=True,
    ):
        self.blueprint = blueprint.without_weights()
        self.state = state
        self.n_features = n_features
        self.device = device
        self.precision = precision
        self.pretrained = pretrained
        self._module = None  # built when first used: large networks take seconds

    @property
    def spec(self):
        """Description of the samples, an :class:`~sknoisy.data.spec.InputSpec`."""
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
            One row for each sample.
        """
        device = resolve_device(self.device, fallback=True)
        precision = resolve_precision(self.precision, device)
        if self._module is None:
            self._module = self.build()
        module = self._module.to(device)
        return forward_all(module, self.spec.open(inputs), device, precision)

    def __getstate__(self):
        return {**vars(self), "_module": None}

    def __str__(self):
        return str(self.blueprint)


class LazyFeatures:
    """Features of a trained encoder, computed when they are first asked for.

    Other libraries see an array of shape (n_samples, n_features), float32. The
    classifiers of sknoisy find the raw inputs and the encoder in it, and fine-tune the
    encoder.

    Parameters
    ----------
    inputs : ndarray, tensor or array of paths of shape (n_samples, ...)
        Raw samples.
    encoder : TrainedEncoder
        Encoder whose features these are.
    index : ndarray of int, default=None
        Rows of `inputs` that belong to this array; by default all.
    memory : joblib.Memory, default=None
        Cache of features for each combination of inputs and encoder. With a cache, the
        features of all `inputs` are computed and kept even if only some rows are
        needed, so that the folds of a cross-validation share them.

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

    def __init__(self, inputs, encoder, index=None, memory=None):
        self._inputs = inputs
        self._index = index
        self._features = None
        self.encoder = encoder
        self.memory = memory

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

    @property
    def is_computed(self):
        """Whether the features have been computed."""
        return self._features is not None

    def __len__(self):
        return len(self._inputs if self._index is None else self._index)

    def __array_namespace__(self, *, api_version=None):
        # To scikit-learn's array API dispatch these are NumPy's, like their values.
        return numpy_namespace()

    def __array__(self, dtype=None, copy=None):
        if copy is False:
            raise ValueError("LazyFeatures are computed: np.asarray must copy.")
        return np.array(self.computed(), dtype=dtype)

    def computed(self):
        """Return the features that are kept, not a copy: they must not be changed."""
        if len(self) == 0:
            return np.empty(self.shape, self.dtype)
        if self._features is None and self.memory is not None:
            features = _from_cache(self.memory, self._inputs, self.encoder)
            rows = slice(None) if self._index is None else self._index
            self._features = features[rows]
        elif self._features is None:
            self._features = self.encoder.transform(self.inputs)
        return self._features

    def __getitem__(self, key):
        rows, *columns = key if isinstance(key, tuple) else (key,)
        whole = all(c is Ellipsis or c == slice(None) for c in map(_as_slice, columns))
        several = isinstance(rows, slice) or np.ndim(rows) == 1
        if not (whole and several):
            return self.computed()[key].copy()
        index = np.arange(len(self)) if self._index is None else self._index
        part = LazyFeatures(self._inputs, self.encoder, index[rows], self.memory)
        if self._features is not None:
            part._features = self._features[rows]
        return part

    def __iter__(self):
        return iter(np.asarray(self))

    def __getstate__(self):
        # A part pickles its own samples only, not all that it was taken from.
        return {
            "inputs": self.inputs,
            "encoder": self.encoder,
            "memory": self.memory,
        }

    def __setstate__(self, state):
        self.__init__(**state)

    def __repr__(self):
        return f"LazyFeatures(shape={self.shape}, encoder={self.encoder})"


def _as_slice(column):
    """Return a slice or Ellipsis as it is, and None for any other index."""
    return column if column is Ellipsis or isinstance(column, slice) else None


def _from_cache(memory, inputs, encoder):
    """Return the features of all inputs, from the cache if it has them."""
    key = by_value(inputs), encoder.blueprint, encoder.state, encoder.precision
    cached = memory.cache(_transform, ignore=["inputs", "encoder"])
    try:
        return ranks.cached_call(cached, (__version__, *key), inputs, encoder)
    except OSError as error:
        warn(
            f"memory={str(memory.location)!r} cannot be used, and features are "
            f"not cached: {error}",
        )
        return encoder.transform(inputs)


def _transform(key, inputs, encoder):
    """Compute features, which are cached by a key."""
    return encoder.transform(inputs)
