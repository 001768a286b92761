"""Classifiers of one or two networks that choose and correct the samples they learn."""

from sknoisy.cotraining.dividemix import DivideMixClassifier, lambda_u_for
from sknoisy.cotraining.dynamic_bootstrap import DynamicBootstrapClassifier
from sknoisy.cotraining.elr_plus import ELRPlusClassifier, averaging_decay
from sknoisy.cotraining.mentornet import MentorNetClassifier, curriculum_weights
from sknoisy.cotraining.mixing import mixup, refine, sharpen, uniform_penalty
from sknoisy.cotraining.selection import (
    CoTeachingClassifier,
    exchange_loss,
    joint_loss,
    small_losses,
)

__all__ = [
    "CoTeachingClassifier",
    "DivideMixClassifier",
    "DynamicBootstrapClassifier",
    "ELRPlusClassifier",
    "MentorNetClassifier",
    "averaging_decay",
    "curriculum_weights",
    "exchange_loss",
    "joint_loss",
    "lambda_u_for",
    "mixup",
    "refine",
    "sharpen",
    "small_losses",
    "uniform_penalty",
]
