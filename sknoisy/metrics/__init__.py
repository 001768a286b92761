"""Scores: of detections of wrong labels, and of classifiers on noisy labels."""

from sknoisy.metrics.corrected import (
    CorrectedScore,
    NoiseCorrectedScorer,
    noise_corrected_accuracy,
)
from sknoisy.metrics.detection import (
    detection_average_precision,
    detection_balanced_accuracy,
    detection_f1,
)

__all__ = [
    "CorrectedScore",
    "NoiseCorrectedScorer",
    "detection_average_precision",
    "detection_balanced_accuracy",
    "detection_f1",
    "noise_corrected_accuracy",
]
