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
from sknoisy.metrics.neighbors import neighbor_accuracy

__all__ = [
    "CorrectedScore",
    "NoiseCorrectedScorer",
    "detection_average_precision",
    "detection_balanced_accuracy",
    "detection_f1",
    "neighbor_accuracy",
    "noise_corrected_accuracy",
]
