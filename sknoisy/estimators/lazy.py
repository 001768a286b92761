"""Transformers that return lazy features, and the caches that they keep."""

import os
import warnings

import numpy as np
from joblib import Memory
from sklearn.base import ClassNamePrefixFeaturesOutMixin, TransformerMixin
from sklearn.utils.validation import check_is_fitted, check_memory

from sknoisy._compat import is_array_output
from sknoisy.encoders.features import LazyFeatures


class LazyTransformer(ClassNamePrefixFeaturesOutMixin, TransformerMixin):
    """Mixin of transformers whose fitted state is an encoder, ``encoder_``.

    They have the parameter `output`, and set the attribute ``_n_features_out``.
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
            asked for.
        """
        check_is_fitted(self, "encoder_")
        inputs, _ = self._read(X, reset=False)
        self.encoder_.spec.open(inputs)
        features = LazyFeatures(inputs, self.encoder_, memory=self._features_memory())
        if is_array_output(self) and not hasattr(self, "_sklearn_output_config"):
            warnings.warn(
                "scikit-learn's global transform_output makes features a data frame: "
                "classifiers after this cannot fine-tune the encoder. Call "
                f'set_output(transform="default") on {type(self).__name__} to let '
                "them.",
                UserWarning,
                stacklevel=3,
            )
        if self.output == "array" or is_array_output(self):
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


def open_memory(memory):
    """Return the cache that a parameter's value stands for; None if it keeps nothing.

    A folder that cannot be made is warned of: what it would keep is computed again.

    Parameters
    ----------
    memory : str, path, joblib.Memory or None
        The parameter.
    """
    path = os.fspath(memory) if isinstance(memory, os.PathLike) else memory
    try:
        found = check_memory(path)
    except OSError as error:
        warnings.warn(
            f"memory={path!r} cannot be used, so that nothing is kept: {error}",
            UserWarning,
            stacklevel=3,
        )
        return None
    is_cache = isinstance(found, Memory) and found.location is not None
    return found if is_cache else None
