"""Co-training methods: one or two networks that choose and correct their samples."""

from sknoisy.cotraining.base import CoTraining
from sknoisy.cotraining.coteaching import (
    CoTeaching,
    CoTeachingPlus,
    JoCoR,
    exchange_loss,
    joint_loss,
    small_losses,
)
from sknoisy.cotraining.cufit import CUFIT, cascade_loss
from sknoisy.cotraining.dividemix import DivideMix, lambda_u_for
from sknoisy.cotraining.dynamic_bootstrap import DynamicBootstrap
from sknoisy.cotraining.elr_plus import ELRPlus, averaging_decay
from sknoisy.cotraining.ensembles import chosen_mean, given_losses
from sknoisy.cotraining.kernel_posterior import KernelPosterior, posterior
from sknoisy.cotraining.mentornet import MentorNet, curriculum_weights
from sknoisy.cotraining.mixing import mixup, refine, sharpen, uniform_penalty
from sknoisy.cotraining.moit import (
    MOIT,
    balanced_clean,
    corrected_votes,
    interpolated_contrastive,
)
from sknoisy.cotraining.self_ensemble import SELF, consistency
from sknoisy.cotraining.ssr import SSR, balanced_order, relabel
from sknoisy.cotraining.taks import TAkS, perturbed_leaders

COTRAINING_METHODS = {
    "coteaching": CoTeaching,
    "coteaching_plus": CoTeachingPlus,
    "cufit": CUFIT,
    "dividemix": DivideMix,
    "dynamic_bootstrap": DynamicBootstrap,
    "elr_plus": ELRPlus,
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
    "averaging_decay",
    "balanced_clean",
    "balanced_order",
    "cascade_loss",
    "chosen_mean",
    "consistency",
    "corrected_votes",
    "curriculum_weights",
    "exchange_loss",
    "given_losses",
    "interpolated_contrastive",
    "joint_loss",
    "lambda_u_for",
    "mixup",
    "perturbed_leaders",
    "posterior",
    "refine",
    "relabel",
    "sharpen",
    "small_losses",
    "uniform_penalty",
]
