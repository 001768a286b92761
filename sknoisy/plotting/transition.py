"""The noise matrix as a picture."""

import numpy as np

from sknoisy.data.labels import encode_labels
from sknoisy.plotting.base import detector_of, plain, pyplot
from sknoisy.scores.estimates import estimate_transition_matrix

NAMED_CLASSES = 30  # beyond that, ticks and numbers would overlap


class TransitionMatrixDisplay:
    """The noise matrix: how probable each label is for each true class.

    Make one by :meth:`from_estimator` or :meth:`from_predictions`.

    Parameters
    ----------
    transition_matrix : ndarray of shape (n_classes, n_classes)
        Row: true class; column: given label. Rows sum to 1.
    classes : array-like of shape (n_classes,)
        The classes.

    Attributes
    ----------
    ax_ : Axes
        The axes, after :meth:`plot`.
    figure_ : Figure
        The figure, after :meth:`plot`.
    im_ : AxesImage
        The matrix, after :meth:`plot`.

    Examples
    --------
    >>> from sknoisy.plotting import TransitionMatrixDisplay
    >>> probs = [[0.9, 0.1], [0.8, 0.2], [0.1, 0.9], [0.2, 0.8]]
    >>> display = TransitionMatrixDisplay.from_predictions([0, 0, 0, 1], probs)
    >>> display.transition_matrix
    array([[1. , 0. ], [0.5, 0.5]])
    """

    def __init__(self, transition_matrix, classes):
        self.transition_matrix = transition_matrix
        self.classes = classes

    @classmethod
    def from_estimator(cls, detector, **kwargs):
        """Draw the noise that a detector found.

        Parameters
        ----------
        detector : LabelErrorDetector or LabelCleaningClassifier
            Fitted.
        **kwargs : dict
            Passed to :meth:`plot`.

        Returns
        -------
        display : TransitionMatrixDisplay
            The display, drawn.
        """
        detector = detector_of(detector)
        return cls(detector.transition_matrix_, detector.classes_).plot(**kwargs)

    @classmethod
    def from_predictions(cls, y, pred_probs, *, classes=None, **kwargs):
        """Draw the noise estimated from labels and out-of-sample probabilities.

        Parameters
        ----------
        y : array-like of shape (n_samples,)
            Given labels.
        pred_probs : array-like of shape (n_samples, n_classes)
            Probabilities, columns in the order of `classes`.
        classes : array-like of shape (n_classes,), default=None
            The classes; by default the sorted distinct labels.
        **kwargs : dict
            Passed to :meth:`plot`.

        Returns
        -------
        display : TransitionMatrixDisplay
            The display, drawn.
        """
        matrix = estimate_transition_matrix(y, pred_probs, classes)
        return cls(matrix, encode_labels(y, classes)[0]).plot(**kwargs)

    def plot(self, *, ax=None, cmap="viridis", colorbar=True):
        """Draw the matrix.

        Parameters
        ----------
        ax : Axes, default=None
            Where to draw; new ones by default.
        cmap : str or Colormap, default="viridis"
            Colours from 0 to 1, on a square-root scale, which makes little noise
            visible.
        colorbar : bool, default=True
            Whether to draw the scale.

        Returns
        -------
        display : TransitionMatrixDisplay
            This display.
        """
        matrix, n = self.transition_matrix, len(self.transition_matrix)
        if ax is None:
            side = float(np.clip(0.5 * n + 2, 3.5, 9))  # inches
            _, ax = pyplot().subplots(figsize=(side + 1, side), layout="compressed")
        from matplotlib.colors import PowerNorm

        norm = PowerNorm(0.5, vmin=0, vmax=1)
        self.im_ = ax.imshow(matrix, cmap=cmap, norm=norm)
        if colorbar:
            ax.figure.colorbar(self.im_, ax=ax, label="share of the true class")
        ax.set(xlabel="Given label", ylabel="True class (estimated)")
        ticks = range(0, n, -(-n // NAMED_CLASSES))  # all, or every second, third ...
        names = [plain(self.classes[i]) for i in ticks]
        long = max(map(len, names)) > 3
        ax.set_xticks(ticks, names, rotation=90 if long else 0)
        ax.set_yticks(ticks, names)
        if n <= NAMED_CLASSES:
            size = float(np.clip(170 / n, 5, 9))  # points: four digits in a cell
            for i, j in np.ndindex(n, n):
                text = f"{matrix[i, j]:.2f}" if matrix[i, j] >= 0.005 else "0"
                colour = "black" if norm(matrix[i, j]) > 0.6 else "white"
                kwargs = {"ha": "center", "va": "center", "fontsize": size}
                ax.text(j, i, text, color=colour, **kwargs)
        self.ax_, self.figure_ = ax, ax.figure
        return self
