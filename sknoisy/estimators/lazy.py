"""What transformers that return lazy features share: output and caches."""

import os

import numpy as np
from joblib import Memory
from sklearn.base import ClassNamePrefixFeaturesOutMixin, TransformerMixin
from sklearn.utils.validation import check_is_fitted, check_memory

from sknoisy._compat import is_array_output
from sknoisy.encoders.features import LazyFeatures
from sknoisy.warning import warn


class LazyTransformer(ClassNamePrefixFeaturesOutMixin, TransformerMixin):
    """Mixin of transformers that learn or load an encoder, ``encoder_``.

    Subclasses have the parameter `output` and set ``_n_features_out`` in ``fit``.
    """

    def transform(self, X):
        """Return the features of samples.

        Parameters
        ----------
        X : array-like, tensor, array of paths or LazyFeatures
            Samples like those that ``fit`` got.

        Returns
        -------
        features : LazyFeatures or ndarray of shape (n_samples, n_features), float32
            See the parameter `output`. Lazy features are computed when they are first
            used.
        """
        check_is_fitted(self, "encoder_")
        inputs, _ = self._read(X, reset=False)
        as_array = self.output == "array" or is_array_output(self)
        if not as_array:
            self.encoder_.spec.open(inputs)  # checks them now, not when they are used
        features = LazyFeatures(inputs, self.encoder_, memory=self._features_memory())
        if is_array_output(self) and not hasattr(self, "_sklearn_output_config"):
            warn(
                "scikit-learn's global transform_output turns features into a data "
                "frame, from which classifiers cannot fine-tune the encoder. Call "
                f'set_output(transform="default") on {type(self).__name__} to let '
                "them.",
            )
        if as_array:
            return np.asarray(features)
        return features

    def _features_memory(self):
        """Return the cache of features, or None."""
        return None

    def _known_spec(self):
        return self.encoder_.spec

    def __sklearn_tags__(self):
        tags = super().__sklearn_tags__()
        tags.transformer_tags.preserves_dtype = ["float32"]
        return tags


def check_cache(memory):
    """Raise ``ValueError`` unless the parameter `memory` names a cache, or is None."""
    is_path = isinstance(memory, (str, os.PathLike))
    is_cache = hasattr(memory, "cache") and not isinstance(memory, type)
    if not (memory is None or is_path or is_cache):
        raise ValueError(
            f"memory={memory!r} is not valid: it must be None, a path or a "
            "joblib.Memory."
        )


def open_memory(memory):
    """Return the cache of the parameter `memory`, or None if there is none.

    If its folder cannot be made, this warns and returns None.

    Parameters
    ----------
    memory : str, path, joblib.Memory or None
        Value of the parameter.
    """
    path = os.fspath(memory) if isinstance(memory, os.PathLike) else memory
    try:
        found = check_memory(path)
    except OSError as error:
        warn(
            f"memory={path!r} cannot be used, and nothing is cached: {error}",
        )
        return None
    is_cache = isinstance(found, Memory) and found.location is not None
    return found if is_cache else None
