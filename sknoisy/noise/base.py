"""What noisy labels are, and how they are drawn."""

from dataclasses import dataclass, field

import numpy as np

from sknoisy.checks import check_real, random_numbers
from sknoisy.data.labels import encode_labels


@dataclass(frozen=True)
class NoisyLabels:
    """Noisy labels, and how they differ from the clean labels.

    Attributes
    ----------
    y : ndarray of shape (n_samples,)
        The noisy labels, in the dtype of the clean labels.
    is_wrong : ndarray of shape (n_samples,), dtype bool
        Whether each label differs from the clean label.
    transition_matrix : ndarray of shape (n_classes, n_classes)
        Realised share of each noisy label (column) in each clean class (row).
    classes : ndarray of shape (n_classes,)
        The classes, in the order of rows and columns.
    rate : float
        Realised share of wrong labels.
    """

    y: np.ndarray
    is_wrong: np.ndarray = field(repr=False)
    transition_matrix: np.ndarray = field(repr=False)
    classes: np.ndarray = field(repr=False)

    @property
    def rate(self):
        """Realised share of wrong labels."""
        return float(self.is_wrong.mean())


def prepare(y, rate, random_state):
    """Validate the parameters; return classes, codes of the labels, and a generator."""
    check_real("rate", rate, "[0, 1)")
    classes, codes = encode_labels(y)
    if len(classes) < 2:
        raise ValueError("y holds only one class, so no label can be wrong.")
    return classes, codes, random_numbers(random_state)


def choose(codes, rate, rng):
    """Draw a share of each class, rounded to whole samples; return the positions."""
    order = np.argsort(codes, kind="stable")
    of_classes = np.split(order, np.flatnonzero(np.diff(codes[order])) + 1)
    return np.concatenate(
        [rng.permutation(rows)[: round(rate * len(rows))] for rows in of_classes]
    )


def draw(probs, rng):
    """Draw a column for each row of probabilities."""
    return pick(probs, rng.random_sample(len(probs)))


def pick(probs, draws):
    """Return the column of each row of probabilities that a draw in [0, 1) falls in."""
    draws = draws[:, None] * probs.sum(axis=1, keepdims=True)
    # Rounding may leave a draw beyond all columns: the last possible one is taken.
    last = probs.shape[1] - 1 - (probs[:, ::-1] > 0).argmax(axis=1)
    return np.minimum((probs.cumsum(axis=1) <= draws).sum(axis=1), last)


def noisy_labels(classes, codes, noisy):
    """Return the result for the codes of clean and of noisy labels."""
    counts = np.zeros((len(classes), len(classes)))
    np.add.at(counts, (codes, noisy), 1)
    transition = counts / counts.sum(axis=1, keepdims=True)
    return NoisyLabels(classes[noisy], noisy != codes, transition, classes)
