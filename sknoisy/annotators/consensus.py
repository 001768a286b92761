"""What several annotators say together: labels, and how good each of them is."""

from dataclasses import dataclass

import numpy as np

from sknoisy.annotators.table import Annotations
from sknoisy.data.labels import some


@dataclass(frozen=True, repr=False)
class Consensus:
    """The consensus of the labels of several annotators.

    Attributes
    ----------
    labels : ndarray of shape (n_samples,)
        The consensus label of each sample.
    soft_labels : ndarray of shape (n_samples, n_classes), float64
        Probability of each class; columns are in the order of `classes`.
    label_quality : ndarray of shape (n_samples,), float64
        Probability that the consensus label is right, in [0, 1].
    annotator_quality : ndarray of shape (n_annotators,), float64
        How far each annotator can be trusted, in [0, 1], for comparing annotators; NaN
        without labels.
    classes : ndarray of shape (n_classes,)
        The classes.
    annotators : ndarray of shape (n_annotators,)
        Names of the annotators.
    annotations : Annotations
        The labels that were combined.
    annotator_weights : ndarray of shape (n_annotators,), float64
        Weight of each annotator's labels, for CROWDLAB; otherwise None.
    model_weight : float
        Weight of the classifier, for CROWDLAB; otherwise None.
    """

    labels: np.ndarray
    soft_labels: np.ndarray
    label_quality: np.ndarray
    annotator_quality: np.ndarray
    classes: np.ndarray
    annotators: np.ndarray
    annotations: Annotations
    annotator_weights: np.ndarray = None
    model_weight: float = None

    def __repr__(self):
        given = self.annotations
        return (
            f"Consensus({len(given.codes):,} labels of {given.n_samples:,} samples, "
            f"classes: {some(self.classes)}, annotators: {some(self.annotators)})"
        )

    @property
    def annotation_quality(self):
        """Probability of each label, (n_samples, n_annotators); NaN where none is."""
        given = self.annotations
        return given.as_table(self.soft_labels[given.rows, given.codes])
