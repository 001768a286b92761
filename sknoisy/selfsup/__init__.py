"""Self-supervised methods, one a file."""

from sknoisy.selfsup.barlow_twins import BarlowTwins
from sknoisy.selfsup.base import SelfSupervised
from sknoisy.selfsup.simclr import SimCLR

METHODS = {
    "barlow_twins": BarlowTwins,
    "simclr": SimCLR,
}

__all__ = ["METHODS", "BarlowTwins", "SelfSupervised", "SimCLR"]
