"""The public names; ``__init__.py`` imports them when they are asked for.

``X as X`` tells type checkers that X is passed on.
"""

from sknoisy.comparison import Comparison as Comparison, compare as compare
from sknoisy.cotraining import (
    CUFIT as CUFIT,
    DISC as DISC,
    GJS as GJS,
    IDO as IDO,
    MOIT as MOIT,
    SELF as SELF,
    SSR as SSR,
    CoTeaching as CoTeaching,
    CoTeachingPlus as CoTeachingPlus,
    CoTraining as CoTraining,
    DivideMix as DivideMix,
    DynamicBootstrap as DynamicBootstrap,
    ELRPlus as ELRPlus,
    JoCoR as JoCoR,
    KernelPosterior as KernelPosterior,
    MentorNet as MentorNet,
    TAkS as TAkS,
)
from sknoisy.detection.cleaning import (
    LabelCleaningClassifier as LabelCleaningClassifier,
)
from sknoisy.detection.detector import LabelErrorDetector as LabelErrorDetector
from sknoisy.encoders.features import LazyFeatures as LazyFeatures
from sknoisy.estimators.classifier import NoisyRobustClassifier as NoisyRobustClassifier
from sknoisy.estimators.contrastive import ContrastiveFineTuner as ContrastiveFineTuner
from sknoisy.estimators.cotraining import CoTrainingClassifier as CoTrainingClassifier
from sknoisy.estimators.loading import load as load
from sknoisy.estimators.pretrained import PretrainedEncoder as PretrainedEncoder
from sknoisy.estimators.pretrainer import SSLPretrainer as SSLPretrainer
from sknoisy.estimators.refiner import PseudoLabelRefiner as PseudoLabelRefiner
from sknoisy.estimators.saving import save as save
from sknoisy.losses import (
    ALF as ALF,
    ANL as ANL,
    APL as APL,
    CORES as CORES,
    ELR as ELR,
    GCE as GCE,
    IMAE as IMAE,
    JS as JS,
    MAE as MAE,
    PENCIL as PENCIL,
    SCE as SCE,
    SOP as SOP,
    Backward as Backward,
    CrossEntropy as CrossEntropy,
    Focal as Focal,
    Forward as Forward,
    HardBootstrap as HardBootstrap,
    JointOptimization as JointOptimization,
    LabelSmoothing as LabelSmoothing,
    Loss as Loss,
    NoiseLayer as NoiseLayer,
    PHuber as PHuber,
    ProgressiveBootstrap as ProgressiveBootstrap,
    SoftBootstrap as SoftBootstrap,
    TruncatedGCE as TruncatedGCE,
    VolMinNet as VolMinNet,
)
from sknoisy.selfsup import (
    BYOL as BYOL,
    BarlowTwins as BarlowTwins,
    MoCo as MoCo,
    Restoration as Restoration,
    SelfSupervised as SelfSupervised,
    SimCLR as SimCLR,
    SupCon as SupCon,
    VICReg as VICReg,
)
from sknoisy.training.checkpoint import Checkpoint as Checkpoint
from sknoisy.training.run import DivergenceError as DivergenceError
from sknoisy.training.stopping import LabelWave as LabelWave

__version__: str
