"""Regularisers: losses of the features of a classifier that do not use labels."""

from sknoisy.encoders.encoding import Encoded
from sknoisy.regularizers.base import Regularizer
from sknoisy.regularizers.clustering import ClusteringRegularizer
from sknoisy.regularizers.restoration import RestorationRegularizer

REGULARIZERS = {
    "clustering": ClusteringRegularizer,
    "restoration": RestorationRegularizer,
}

__all__ = [
    "REGULARIZERS",
    "ClusteringRegularizer",
    "Encoded",
    "Regularizer",
    "RestorationRegularizer",
]
