"""Co-training methods: one or two networks that choose and correct their samples."""

from sknoisy.cotraining.base import CoTraining
from sknoisy.cotraining.coteaching import (
    CoTeaching,
    CoTeachingPlus,
    JoCoR,
    small_losses,
)
from sknoisy.cotraining.cufit import CUFIT
from sknoisy.cotraining.disc import DISC
from sknoisy.cotraining.dividemix import DivideMix
from sknoisy.cotraining.dynamic_bootstrap import DynamicBootstrap
from sknoisy.cotraining.elr_plus import ELRPlus
from sknoisy.cotraining.ensembles import chosen_mean, given_losses
from sknoisy.cotraining.gjs import GJS
from sknoisy.cotraining.ido import IDO
from sknoisy.cotraining.kernel_posterior import KernelPosterior
from sknoisy.cotraining.mentornet import MentorNet
from sknoisy.cotraining.mixing import mixup, sharpen
from sknoisy.cotraining.moit import MOIT
from sknoisy.cotraining.self_ensemble import SELF
from sknoisy.cotraining.ssr import SSR
from sknoisy.cotraining.taks import TAkS

COTRAINING_METHODS = {
    "coteaching": CoTeaching,
    "coteaching_plus": CoTeachingPlus,
    "cufit": CUFIT,
    "disc": DISC,
    "dividemix": DivideMix,
    "dynamic_bootstrap": DynamicBootstrap,
    "elr_plus": ELRPlus,
    "gjs": GJS,
    "ido": IDO,
    "jocor": JoCoR,
    "kernel_posterior": KernelPosterior,
    "mentornet": MentorNet,
    "moit": MOIT,
    "self": SELF,
    "ssr": SSR,
    "taks": TAkS,
}

__all__ = [
    "COTRAINING_METHODS",
    "CUFIT",
    "DISC",
    "GJS",
    "IDO",
    "MOIT",
    "SELF",
    "SSR",
    "CoTeaching",
    "CoTeachingPlus",
    "CoTraining",
    "DivideMix",
    "DynamicBootstrap",
    "ELRPlus",
    "JoCoR",
    "KernelPosterior",
    "MentorNet",
    "TAkS",
    "chosen_mean",
    "given_losses",
    "mixup",
    "sharpen",
    "small_losses",
]
