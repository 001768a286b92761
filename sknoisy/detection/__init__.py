"""Which labels are wrong: the methods that judge them, and their estimator."""

from sknoisy.detection.cleaning import LabelCleaningClassifier
from sknoisy.detection.detector import LabelErrorDetector
from sknoisy.detection.methods import (
    DETECTION_METHODS,
    AreaUnderMargin,
    ConfidentLearning,
    DetectionMethod,
    KNNAgreement,
    LossGMM,
    NormalizedMargin,
    SelfConfidence,
    WrongEvents,
)

__all__ = [
    "DETECTION_METHODS",
    "AreaUnderMargin",
    "ConfidentLearning",
    "DetectionMethod",
    "KNNAgreement",
    "LabelCleaningClassifier",
    "LabelErrorDetector",
    "LossGMM",
    "NormalizedMargin",
    "SelfConfidence",
    "WrongEvents",
]
