"""Labels of several annotators: what they say together, and how good each is."""

from sknoisy.annotators.agreement import active_scores, crowdlab
from sknoisy.annotators.classifier import AnnotatorConsensus
from sknoisy.annotators.consensus import Consensus
from sknoisy.annotators.crowds import dawid_skene, majority_vote
from sknoisy.annotators.table import Annotations, read_annotations

__all__ = [
    "AnnotatorConsensus",
    "Annotations",
    "Consensus",
    "active_scores",
    "crowdlab",
    "dawid_skene",
    "majority_vote",
    "read_annotations",
]
