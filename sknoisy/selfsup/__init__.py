"""Self-supervised methods, and supervised contrastive learning."""

from sknoisy.selfsup.barlow_twins import BarlowTwins
from sknoisy.selfsup.base import SelfSupervised
from sknoisy.selfsup.byol import BYOL
from sknoisy.selfsup.moco import MoCo
from sknoisy.selfsup.restoration import Restoration
from sknoisy.selfsup.simclr import SimCLR
from sknoisy.selfsup.supcon import SupCon
from sknoisy.selfsup.vicreg import VICReg

METHODS = {
    "barlow_twins": BarlowTwins,
    "byol": BYOL,
    "moco": MoCo,
    "restoration": Restoration,
    "simclr": SimCLR,
    "supcon": SupCon,
    "vicreg": VICReg,
}

__all__ = [
    "BYOL",
    "METHODS",
    "BarlowTwins",
    "MoCo",
    "Restoration",
    "SelfSupervised",
    "SimCLR",
    "SupCon",
    "VICReg",
]
