"""Methods by seeds and folds: their scores, with error bars."""

from sknoisy.comparison.results import Comparison
from sknoisy.comparison.running import compare

__all__ = ["Comparison", "compare"]
