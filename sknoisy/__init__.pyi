"""The public names; ``__init__.py`` imports them when they are asked for."""

from sknoisy.comparison import Comparison, compare
from sknoisy.cotraining import (
    CUFIT,
    MOIT,
    SELF,
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
    TAkS,
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
    NoiseLayer,
    ProgressiveBootstrap,
    SoftBootstrap,
    TruncatedGCE,
    VolMinNet,
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
    "MOIT",
    "SELF",
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
    "Comparison",
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
    "TAkS",
    "MoCo",
    "NoiseLayer",
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
    "VolMinNet",
    "compare",
    "load",
    "save",
]
