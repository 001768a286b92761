"""Train good classifiers from labels that are partly wrong.

The main job, with no clean labels at all::

    Pipeline([
        ("ssl", SSLPretrainer()),             # learns from X alone
        ("clf", NoisyRobustClassifier()),     # fine-tunes on the noisy labels
    ]).fit(X, y_noisy)
"""

from importlib import import_module

from sknoisy._version import __version__
from sknoisy.comparison import Comparison, compare
from sknoisy.cotraining import (
    CUFIT,
    SSR,
    CoTeaching,
    CoTeachingPlus,
    CoTraining,
    DivideMix,
    DynamicBootstrap,
    ELRPlus,
    JoCoR,
    KernelPosterior,
    MentorNet,
)
from sknoisy.detection.detector import LabelErrorDetector
from sknoisy.encoders.features import LazyFeatures
from sknoisy.estimators.classifier import NoisyRobustClassifier
from sknoisy.estimators.contrastive import ContrastiveFineTuner
from sknoisy.estimators.cotraining import CoTrainingClassifier
from sknoisy.estimators.loading import load
from sknoisy.estimators.pretrained import PretrainedEncoder
from sknoisy.estimators.pretrainer import SSLPretrainer
from sknoisy.estimators.refiner import PseudoLabelRefiner
from sknoisy.estimators.saving import save
from sknoisy.losses import (
    APL,
    ELR,
    GCE,
    IMAE,
    MAE,
    PENCIL,
    SCE,
    SOP,
    Backward,
    CrossEntropy,
    Focal,
    Forward,
    HardBootstrap,
    JointOptimization,
    LabelSmoothing,
    Loss,
    ProgressiveBootstrap,
    SoftBootstrap,
    TruncatedGCE,
)
from sknoisy.selfsup import (
    BYOL,
    BarlowTwins,
    MoCo,
    Restoration,
    SelfSupervised,
    SimCLR,
    SupCon,
    VICReg,
)
from sknoisy.training.checkpoint import Checkpoint
from sknoisy.training.run import DivergenceError
from sknoisy.training.stopping import LabelWave

__all__ = [
    "APL",
    "BYOL",
    "CUFIT",
    "ELR",
    "GCE",
    "IMAE",
    "MAE",
    "PENCIL",
    "SCE",
    "SOP",
    "SSR",
    "Backward",
    "BarlowTwins",
    "Checkpoint",
    "CoTeaching",
    "CoTeachingPlus",
    "CoTraining",
    "CoTrainingClassifier",
    "Comparison",
    "JoCoR",
    "KernelPosterior",
    "ContrastiveFineTuner",
    "CrossEntropy",
    "DivideMix",
    "DynamicBootstrap",
    "ELRPlus",
    "DivergenceError",
    "Focal",
    "Forward",
    "HardBootstrap",
    "JointOptimization",
    "LabelErrorDetector",
    "LabelSmoothing",
    "LabelWave",
    "LazyFeatures",
    "Loss",
    "MentorNet",
    "MoCo",
    "NoisyRobustClassifier",
    "PretrainedEncoder",
    "ProgressiveBootstrap",
    "PseudoLabelRefiner",
    "Restoration",
    "SSLPretrainer",
    "SelfSupervised",
    "SimCLR",
    "SoftBootstrap",
    "SupCon",
    "TruncatedGCE",
    "VICReg",
    "__version__",
    "compare",
    "load",
    "save",
]

# Rooms that nothing above needs are imported when they are first asked for.
_ROOMS = ("annotators", "datasets", "metrics", "noise", "plotting", "recipes")


def __getattr__(name):
    if name in _ROOMS:
        return import_module(f"sknoisy.{name}")
    raise AttributeError(f"module 'sknoisy' has no attribute {name!r}")


def __dir__():
    return sorted({*globals(), *_ROOMS})
