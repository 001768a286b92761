"""Displays of what was found: wrong labels, the noise, the quality of labels.

They need matplotlib, ``pip install "sknoisy[plot]"``, which is imported when something
is drawn. Colours are told apart with any colour vision: viridis, blue and orange.
"""

import numpy as np
import torch
from sklearn.utils.validation import check_consistent_length, check_is_fitted

from sknoisy.features import LazyFeatures
from sknoisy.inputs import InputSpec, as_inputs, is_paths
from sknoisy.labels import encode_labels
from sknoisy.parameters import check_integer
from sknoisy.scores.estimates import estimate_transition_matrix

BLUE, ORANGE = "#0072B2", "#D55E00"  # of Okabe and Ito
NAMED_CLASSES = 30  # beyond that, ticks and numbers would overlap


class LabelErrorDisplay:
    """A sheet of the worst labels: image, given and suggested label, quality.

    Make one by :meth:`from_estimator` or :meth:`from_predictions`.

    Parameters
    ----------
    images : ndarray of shape (n_images, H, W) or (n_images, H, W, C), float
        Images in [0, 1], worst first.
    given : ndarray of shape (n_images,)
        Their labels.
    suggested : ndarray of shape (n_images,)
        What the labels should be.
    quality : ndarray of shape (n_images,)
        Quality of the labels, in [0, 1]; low is bad.
    positions : ndarray of shape (n_images,), dtype int
        Where the images are in X.

    Attributes
    ----------
    axes_ : ndarray of Axes of shape (n_rows, n_columns)
        The axes, after :meth:`plot`.
    figure_ : Figure
        The figure, after :meth:`plot`.

    Examples
    --------
    >>> from sklearn.datasets import load_digits
    >>> from sklearn.linear_model import LogisticRegression
    >>> from sknoisy import LabelErrorDetector
    >>> from sknoisy.plotting import LabelErrorDisplay
    >>> digits = load_digits()
    >>> X, y = digits.data[:300] / 16, digits.target[:300]
    >>> y[5] = 8
    >>> detector = LabelErrorDetector(LogisticRegression(), random_state=0)
    >>> images = digits.images[:300]
    >>> display = LabelErrorDisplay.from_estimator(detector.fit(X, y), images, y)
    >>> int(display.positions[0])
    5
    """

    def __init__(self, images, given, suggested, quality, positions):
        self.images = images
        self.given = given
        self.suggested = suggested
        self.quality = quality
        self.positions = positions

    @classmethod
    def from_estimator(cls, detector, X, y, *, n_images=20, **kwargs):
        """Draw the worst labels that a detector found.

        Parameters
        ----------
        detector : LabelErrorDetector
            Fitted on these samples.
        X : array-like, tensor, array of paths or LazyFeatures of shape (n_samples, ...)
            The images, in any layout that the classifiers take; not what the detector
            was fitted on, if that was features.
        y : array-like of shape (n_samples,)
            Given labels.
        n_images : int, default=20
            How many to show, at most.
        **kwargs : dict
            Passed to :meth:`from_predictions`.

        Returns
        -------
        display : LabelErrorDisplay
            The display, drawn.
        """
        check_is_fitted(detector, "label_errors_")
        return cls.from_predictions(
            X,
            y,
            detector.suggested_labels_,
            detector.label_quality_,
            label_errors=detector.label_errors_,
            n_images=n_images,
            **kwargs,
        )

    @classmethod
    def from_predictions(
        cls,
        X,
        y,
        suggested,
        label_quality,
        *,
        label_errors=None,
        n_images=20,
        n_columns=5,
        channels="auto",
        image_size=64,
        figure=None,
    ):
        """Draw the worst of given labels.

        Parameters
        ----------
        X : array-like, tensor, array of paths or LazyFeatures of shape (n_samples, ...)
            The images, in any layout that the classifiers take.
        y : array-like of shape (n_samples,)
            Given labels.
        suggested : array-like of shape (n_samples,)
            What they should be.
        label_quality : array-like of shape (n_samples,)
            Quality of the labels, in [0, 1]; low is bad.
        label_errors : array-like of shape (n_samples,), dtype bool, default=None
            Which labels may be shown; all by default.
        n_images : int, default=20
            How many to show, at most.
        n_columns : int, default=5
            Images in a row.
        channels : {"auto", "first", "last"}, default="auto"
            Where 4-D images keep their channels.
        image_size : int or (int, int), default=64
            Height and width that image files are brought to.
        figure : Figure, default=None
            Where to draw; a new figure by default.

        Returns
        -------
        display : LabelErrorDisplay
            The display, drawn.
        """
        check_integer("n_images", n_images)
        X = as_inputs(X.inputs if isinstance(X, LazyFeatures) else X)
        y, suggested = np.asarray(y), np.asarray(suggested)
        quality = np.asarray(label_quality, dtype=np.float64)
        check_consistent_length(X, y, suggested, quality, label_errors)
        order = np.argsort(quality, kind="stable")
        if label_errors is not None:
            order = order[np.asarray(label_errors, dtype=bool)[order]]
        worst = order[:n_images]
        images = _as_images(X, worst, channels, image_size)
        display = cls(images, y[worst], suggested[worst], quality[worst], worst)
        return display.plot(n_columns=n_columns, figure=figure)

    def plot(self, *, n_columns=5, figure=None):
        """Draw the sheet.

        Parameters
        ----------
        n_columns : int, default=5
            Images in a row.
        figure : Figure, default=None
            Where to draw; a new figure by default.

        Returns
        -------
        display : LabelErrorDisplay
            This display.
        """
        check_integer("n_columns", n_columns)
        n_columns = max(1, min(n_columns, len(self.images)))
        n_rows = max(1, -(-len(self.images) // n_columns))
        if figure is None:
            size = (1.9 * n_columns, 2.3 * n_rows)  # inches
            figure = _pyplot().figure(figsize=size, layout="constrained")
        axes = figure.subplots(n_rows, n_columns, squeeze=False)
        for ax in axes.flat:
            ax.axis("off")
        for i, (ax, image) in enumerate(zip(axes.flat, self.images, strict=False)):
            smooth = "nearest" if max(image.shape[:2]) < 64 else "auto"
            ax.imshow(image, cmap="gray", vmin=0, vmax=1, interpolation=smooth)
            given, suggested = str(self.given[i]), str(self.suggested[i])
            # Names that do not fit beside each other stand below each other.
            arrow = " → " if len(given + suggested) < 20 else " →\n"
            numbers = f"{self.quality[i]:.2g}   #{self.positions[i]}"
            title = f"{given}{arrow}{suggested}\n{numbers}"
            ax.set_title(title, fontsize="small")
        shown = "given → suggested label,  quality   #position in X"
        figure.suptitle(shown if len(self.images) else "no label errors", fontsize=9)
        self.axes_, self.figure_ = axes, figure
        return self


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
        detector : LabelErrorDetector
            Fitted.
        **kwargs : dict
            Passed to :meth:`plot`.

        Returns
        -------
        display : TransitionMatrixDisplay
            The display, drawn.
        """
        check_is_fitted(detector, "label_errors_")
        return cls(detector.transition_matrix_, detector.classes_).plot(**kwargs)

    @classmethod
    def from_predictions(cls, y, pred_probs, *, classes=None, **kwargs):
        """Draw the noise that labels and out-of-sample probabilities tell of.

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
            Colours from 0 to 1.
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
            _, ax = _pyplot().subplots(figsize=(side + 1, side), layout="compressed")
        self.im_ = ax.imshow(matrix, cmap=cmap, vmin=0, vmax=1)
        if colorbar:
            ax.figure.colorbar(self.im_, ax=ax, label="share of the true class")
        ax.set(xlabel="Given label", ylabel="True class (estimated)")
        if n <= NAMED_CLASSES:
            names = [str(c) for c in self.classes]
            long = max(map(len, names)) > 3
            ax.set_xticks(range(n), names, rotation=90 if long else 0)
            ax.set_yticks(range(n), names)
            for i, j in np.ndindex(n, n):
                if matrix[i, j] >= 0.005:  # what would be 0.00
                    colour = "black" if matrix[i, j] > 0.5 else "white"
                    text = f"{matrix[i, j]:.2f}"
                    kwargs = {"ha": "center", "va": "center", "fontsize": "small"}
                    ax.text(j, i, text, color=colour, **kwargs)
        self.ax_, self.figure_ = ax, ax.figure
        return self


class LabelQualityDisplay:
    """Histogram of the quality of labels, those that were found wrong apart.

    Make one by :meth:`from_estimator` or :meth:`from_predictions`.

    Parameters
    ----------
    label_quality : ndarray of shape (n_samples,)
        Quality of each label, in [0, 1]; low is bad.
    label_errors : ndarray of shape (n_samples,), dtype bool
        Which labels were found to be wrong.

    Attributes
    ----------
    ax_ : Axes
        The axes, after :meth:`plot`.
    figure_ : Figure
        The figure, after :meth:`plot`.

    Examples
    --------
    >>> import numpy as np
    >>> from sknoisy.plotting import LabelQualityDisplay
    >>> quality = np.array([0.1, 0.8, 0.9])
    >>> display = LabelQualityDisplay.from_predictions(quality, quality < 0.5)
    >>> display.ax_.get_xlabel()
    'Label quality'
    """

    def __init__(self, label_quality, label_errors):
        self.label_quality = label_quality
        self.label_errors = label_errors

    @classmethod
    def from_estimator(cls, detector, **kwargs):
        """Draw the quality that a detector found.

        Parameters
        ----------
        detector : LabelErrorDetector
            Fitted.
        **kwargs : dict
            Passed to :meth:`plot`.

        Returns
        -------
        display : LabelQualityDisplay
            The display, drawn.
        """
        check_is_fitted(detector, "label_errors_")
        quality, errors = detector.label_quality_, detector.label_errors_
        return cls.from_predictions(quality, errors, **kwargs)

    @classmethod
    def from_predictions(cls, label_quality, label_errors, **kwargs):
        """Draw given qualities.

        Parameters
        ----------
        label_quality : array-like of shape (n_samples,)
            Quality of each label, in [0, 1]; low is bad.
        label_errors : array-like of shape (n_samples,), dtype bool
            Which labels were found to be wrong, or are known to be.
        **kwargs : dict
            Passed to :meth:`plot`.

        Returns
        -------
        display : LabelQualityDisplay
            The display, drawn.
        """
        check_consistent_length(label_quality, label_errors)
        quality = np.asarray(label_quality, dtype=np.float64)
        return cls(quality, np.asarray(label_errors, dtype=bool)).plot(**kwargs)

    def plot(self, *, ax=None, bins=40, names=("probably right", "probably wrong")):
        """Draw the histogram.

        Parameters
        ----------
        ax : Axes, default=None
            Where to draw; new ones by default.
        bins : int, default=40
            Number of bins from 0 to 1.
        names : (str, str), default=("probably right", "probably wrong")
            What the legend says.

        Returns
        -------
        display : LabelQualityDisplay
            This display.
        """
        if ax is None:
            _, ax = _pyplot().subplots(figsize=(5.5, 3.5), layout="constrained")
        parts = [self.label_quality[self.label_errors == e] for e in (False, True)]
        named = [f"{n} ({len(p):,})" for n, p in zip(names, parts, strict=True)]
        # Hatching tells the parts apart in print, too.
        _, _, bars = ax.hist(
            parts, np.linspace(0, 1, bins + 1), stacked=True, color=[BLUE, ORANGE]
        )
        for patch in bars[1]:
            patch.set(hatch="////", edgecolor="white", linewidth=0)
        ax.set(xlabel="Label quality", ylabel="Labels", xlim=(0, 1))
        ax.legend([bars[0][0], bars[1][0]], named, frameon=False)
        self.ax_, self.figure_ = ax, ax.figure
        return self


def _pyplot():
    try:
        import matplotlib.pyplot as plt
    except ImportError as error:
        raise ImportError(
            'Displays need matplotlib: pip install "sknoisy[plot]".'
        ) from error
    return plt


def _as_images(X, positions, channels, image_size):
    """Return some images as (n, H, W) or (n, H, W, C), floats in [0, 1]."""
    if not is_paths(X) and np.ndim(X) < 3:
        raise ValueError(
            f"X of shape {np.shape(X)} is not valid: a sheet shows images, (n, H, W), "
            "(n, H, W, C), (n, C, H, W) or paths. Reshape X, or pass the images that "
            "its rows come from."
        )
    if len(positions) == 0:
        return np.empty((0, 1, 1))
    some = X[positions]
    size = image_size if is_paths(some) else None
    store = InputSpec.learn(some, channels, size).open(some)
    images = store.fetch(torch.arange(len(some))).cpu().numpy().transpose(0, 2, 3, 1)
    return images[..., 0] if images.shape[-1] == 1 else images
