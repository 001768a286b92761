"""Random views of whole batches, with parameters of their own for every sample.

All of it runs on the device of the batch and draws from an explicit generator.
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
