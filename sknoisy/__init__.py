"""Train good classifiers from labels that are partly wrong.

The main job, with no clean labels at all::

    Pipeline([
        ("ssl", SSLPretrainer()),             # learns from X alone
        ("clf", NoisyRobustClassifier()),     # fine-tunes on the noisy labels
    ]).fit(X, y_noisy)
"""

from sknoisy._version import __version__
from sknoisy.classifier import NoisyRobustClassifier
from sknoisy.features import LazyFeatures
from sknoisy.losses import ELR, GCE, MAE, NFLRCE, SCE, CrossEntropy, Loss
from sknoisy.pretrainer import SSLPretrainer
from sknoisy.selfsup import BarlowTwins, SelfSupervised, SimCLR
from sknoisy.training import DivergenceError

__all__ = [
    "ELR",
    "GCE",
    "MAE",
    "NFLRCE",
    "SCE",
    "BarlowTwins",
    "CrossEntropy",
    "DivergenceError",
    "LazyFeatures",
    "Loss",
    "NoisyRobustClassifier",
    "SSLPretrainer",
    "SelfSupervised",
    "SimCLR",
    "__version__",
]
