"""Losses of a classifier's features that no wrong label can mislead, one a file."""

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
