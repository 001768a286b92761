"""Losses for training with noisy labels."""

from functools import partial

from sknoisy.losses.alf import ALF
from sknoisy.losses.anl import ANL
from sknoisy.losses.apl import APL
from sknoisy.losses.base import Loss
from sknoisy.losses.bootstrap import HardBootstrap, ProgressiveBootstrap, SoftBootstrap
from sknoisy.losses.cores import CORES
from sknoisy.losses.cross_entropy import CrossEntropy, LabelSmoothing
from sknoisy.losses.elr import ELR
from sknoisy.losses.focal import Focal
from sknoisy.losses.gce import GCE
from sknoisy.losses.imae import IMAE
from sknoisy.losses.joint_optimization import JointOptimization
from sknoisy.losses.js import JS
from sknoisy.losses.learned_transition import NoiseLayer, VolMinNet
from sknoisy.losses.mae import MAE
from sknoisy.losses.pencil import PENCIL
from sknoisy.losses.phuber import PHuber
from sknoisy.losses.sce import SCE
from sknoisy.losses.sop import SOP
from sknoisy.losses.transition import Backward, Forward
from sknoisy.losses.truncated_gce import TruncatedGCE

LOSSES = {
    "ael": partial(ALF, "ael", a=2.5),
    "agce": ALF,
    "anl_ce": ANL,
    "anl_fl": partial(ANL, gamma=0.5),
    "aul": partial(ALF, "aul", a=5.5, q=3.0),
    "backward": Backward,
    "bootstrap_hard": HardBootstrap,
    "bootstrap_progressive": ProgressiveBootstrap,
    "bootstrap_soft": SoftBootstrap,
    "ce": CrossEntropy,
    "cores": CORES,
    "elr": ELR,
    "focal": Focal,
    "forward": Forward,
    "gce": GCE,
    "gce_truncated": TruncatedGCE,
    "imae": IMAE,
    "joint_optimization": JointOptimization,
    "js": JS,
    "label_smoothing": LabelSmoothing,
    "mae": MAE,
    "nce": partial(APL, "nce", None),
    "nce_ael": partial(ALF, "ael", a=5.0, alpha=1.0, beta=4.0),
    "nce_agce": partial(ALF, "agce", a=6.0, q=1.5, alpha=1.0, beta=4.0),
    "nce_aul": partial(ALF, "aul", a=6.3, q=1.5, alpha=1.0, beta=4.0),
    "nce_mae": partial(APL, "nce", "mae"),
    "nce_rce": partial(APL, "nce", "rce"),
    "nfl": partial(APL, "nfl", None),
    "nfl_mae": partial(APL, "nfl", "mae"),
    "nfl_rce": partial(APL, "nfl", "rce"),
    "noise_layer": NoiseLayer,
    "pencil": PENCIL,
    "phuber": PHuber,
    "rce": partial(APL, None, "rce"),
    "sce": SCE,
    "sop": SOP,
    "volminnet": VolMinNet,
}

__all__ = [
    "ALF",
    "ANL",
    "APL",
    "CORES",
    "ELR",
    "GCE",
    "IMAE",
    "JS",
    "LOSSES",
    "MAE",
    "PENCIL",
    "SCE",
    "SOP",
    "Backward",
    "CrossEntropy",
    "Focal",
    "Forward",
    "HardBootstrap",
    "JointOptimization",
    "LabelSmoothing",
    "Loss",
    "NoiseLayer",
    "PHuber",
    "ProgressiveBootstrap",
    "SoftBootstrap",
    "TruncatedGCE",
    "VolMinNet",
]
