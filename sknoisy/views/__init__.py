"""Random augmentation of whole batches, with separate parameters for each sample.

Views are computed on the device of the batch and draw from an explicit generator.
"""

from sknoisy.views.automatic import resolve_views
from sknoisy.views.base import NoViews, Views
from sknoisy.views.images import ImageViews
from sknoisy.views.randaugment import RandAugment
from sknoisy.views.vectors import VectorViews

__all__ = [
    "ImageViews",
    "NoViews",
    "RandAugment",
    "VectorViews",
    "Views",
    "resolve_views",
]
