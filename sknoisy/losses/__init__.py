"""Losses for labels that are partly wrong, one family a file."""

from sknoisy.losses.apl import NFLRCE
from sknoisy.losses.base import Loss
from sknoisy.losses.cross_entropy import CrossEntropy
from sknoisy.losses.elr import ELR
from sknoisy.losses.gce import GCE
from sknoisy.losses.mae import MAE
from sknoisy.losses.sce import SCE

LOSSES = {
    "ce": CrossEntropy,
    "elr": ELR,
    "gce": GCE,
    "mae": MAE,
    "nfl_rce": NFLRCE,
    "sce": SCE,
}

__all__ = ["ELR", "GCE", "LOSSES", "MAE", "NFLRCE", "SCE", "CrossEntropy", "Loss"]
