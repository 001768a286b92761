"""Readers: folders and tables of images, public sets with real noise, and adapters.

They return a Bunch, as scikit-learn's do, with samples "X" and labels "y" for `fit`.
Images stay in their files where they are in files. Nothing is downloaded: each reader
of a public set says where its authors give it, in which layout, and by which licence.
"""

from sknoisy.datasets.adapters import from_huggingface, from_torch
from sknoisy.datasets.animal10n import load_animal10n
from sknoisy.datasets.cifar import load_cifar10n, load_cifar100n
from sknoisy.datasets.crawled import load_clothing1m, load_food101n, load_webvision
from sknoisy.datasets.folders import load_image_folder
from sknoisy.datasets.found import Skipped
from sknoisy.datasets.sources import Source
from sknoisy.datasets.tables import load_table

__all__ = [
    "Skipped",
    "Source",
    "from_huggingface",
    "from_torch",
    "load_animal10n",
    "load_cifar100n",
    "load_cifar10n",
    "load_clothing1m",
    "load_food101n",
    "load_image_folder",
    "load_table",
    "load_webvision",
]
