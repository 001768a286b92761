"""Train good classifiers from labels that are partly wrong.

The main job, with no clean labels at all::

    Pipeline([
        ("ssl", SSLPretrainer()),             # learns from X alone
        ("clf", NoisyRobustClassifier()),     # fine-tunes on the noisy labels
    ]).fit(X, y_noisy)
"""

from sknoisy._version import __version__
from sknoisy.cotraining import (
    CoTeachingClassifier,
    DivideMixClassifier,
    DynamicBootstrapClassifier,
    ELRPlusClassifier,
    MentorNetClassifier,
)
from sknoisy.detection.detector import LabelErrorDetector
from sknoisy.encoders.features import LazyFeatures
from sknoisy.estimators.classifier import NoisyRobustClassifier
from sknoisy.estimators.contrastive import ContrastiveFineTuner
from sknoisy.estimators.pretrained import PretrainedEncoder
from sknoisy.estimators.pretrainer import SSLPretrainer
from sknoisy.estimators.refiner import PseudoLabelRefiner
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
from sknoisy.training.nets import DivergenceError

__all__ = [
    "APL",
    "BYOL",
    "ELR",
    "GCE",
    "IMAE",
    "MAE",
    "PENCIL",
    "SCE",
    "SOP",
    "Backward",
    "BarlowTwins",
    "Checkpoint",
    "CoTeachingClassifier",
    "ContrastiveFineTuner",
    "CrossEntropy",
    "DivideMixClassifier",
    "DynamicBootstrapClassifier",
    "ELRPlusClassifier",
    "DivergenceError",
    "Focal",
    "Forward",
    "HardBootstrap",
    "JointOptimization",
    "LabelErrorDetector",
    "LabelSmoothing",
    "LazyFeatures",
    "Loss",
    "MentorNetClassifier",
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
]
