"""Losses for training with noisy labels."""

from functools import partial

from sknoisy.losses.anl import ANL
from sknoisy.losses.apl import APL
from sknoisy.losses.base import Loss
from sknoisy.losses.bootstrap import HardBootstrap, ProgressiveBootstrap, SoftBootstrap
from sknoisy.losses.cross_entropy import CrossEntropy, LabelSmoothing
from sknoisy.losses.elr import ELR
from sknoisy.losses.focal import Focal
from sknoisy.losses.gce import GCE
from sknoisy.losses.imae import IMAE
from sknoisy.losses.joint_optimization import JointOptimization
from sknoisy.losses.learned_transition import NoiseLayer, VolMinNet
from sknoisy.losses.mae import MAE
from sknoisy.losses.pencil import PENCIL
from sknoisy.losses.sce import SCE
from sknoisy.losses.sop import SOP
from sknoisy.losses.transition import Backward, Forward
from sknoisy.losses.truncated_gce import TruncatedGCE

LOSSES = {
    "anl_ce": ANL,
    "anl_fl": partial(ANL, gamma=0.5),
    "backward": Backward,
    "bootstrap_hard": HardBootstrap,
    "bootstrap_progressive": ProgressiveBootstrap,
    "bootstrap_soft": SoftBootstrap,
    "ce": CrossEntropy,
    "elr": ELR,
    "focal": Focal,
    "forward": Forward,
    "gce": GCE,
    "gce_truncated": TruncatedGCE,
    "imae": IMAE,
    "joint_optimization": JointOptimization,
    "label_smoothing": LabelSmoothing,
    "mae": MAE,
    "nce": partial(APL, "nce", None),
    "nce_mae": partial(APL, "nce", "mae"),
    "nce_rce": partial(APL, "nce", "rce"),
    "nfl": partial(APL, "nfl", None),
    "nfl_mae": partial(APL, "nfl", "mae"),
    "nfl_rce": partial(APL, "nfl", "rce"),
    "noise_layer": NoiseLayer,
    "pencil": PENCIL,
    "rce": partial(APL, None, "rce"),
    "sce": SCE,
    "sop": SOP,
    "volminnet": VolMinNet,
}

__all__ = [
    "ANL",
    "APL",
    "ELR",
    "GCE",
    "IMAE",
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
    "ProgressiveBootstrap",
    "SoftBootstrap",
    "TruncatedGCE",
    "VolMinNet",
]
