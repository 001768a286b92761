"""Displays of what was found: wrong labels, the noise, the quality of labels.

They need matplotlib, ``pip install "sknoisy[plot]"``, which is imported when something
is drawn. Colours are told apart with any colour vision, viridis or those of Okabe and
Ito, and lines, markers and hatches tell apart what is printed in grey.
"""

from sknoisy.plotting.label_errors import LabelErrorDisplay
from sknoisy.plotting.quality import LabelQualityDisplay
from sknoisy.plotting.transition import TransitionMatrixDisplay

__all__ = [
    "LabelErrorDisplay",
    "LabelQualityDisplay",
    "TransitionMatrixDisplay",
]
