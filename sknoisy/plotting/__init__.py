"""Displays of what was found and learned: labels, noise, features, training.

They need matplotlib (``pip install matplotlib``), which is imported only when something
is drawn. The colours, viridis and those of Okabe and Ito, can be told apart with any
colour vision; lines, markers and hatches also differ, for prints in grey.
"""

from sknoisy.plotting.curves import TrainingCurveDisplay
from sknoisy.plotting.embedding import EmbeddingDisplay
from sknoisy.plotting.label_errors import LabelErrorDisplay
from sknoisy.plotting.mixture import LossMixtureDisplay
from sknoisy.plotting.precision_recall import DetectionCurveDisplay
from sknoisy.plotting.quality import LabelQualityDisplay
from sknoisy.plotting.refinement import RefinementDisplay
from sknoisy.plotting.restoration import RestorationDisplay
from sknoisy.plotting.transition import TransitionMatrixDisplay

__all__ = [
    "DetectionCurveDisplay",
    "EmbeddingDisplay",
    "LabelErrorDisplay",
    "LabelQualityDisplay",
    "LossMixtureDisplay",
    "RefinementDisplay",
    "RestorationDisplay",
    "TrainingCurveDisplay",
    "TransitionMatrixDisplay",
]
