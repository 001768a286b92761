"""A sheet of the labels that are most probably wrong."""

import os

import numpy as np

from sknoisy.checks import as_mask, check_integer, check_lengths
from sknoisy.data.inputs import as_inputs, is_paths
from sknoisy.data.pictures import as_images
from sknoisy.encoders.features import LazyFeatures
from sknoisy.plotting.base import (
    as_column,
    detector_of,
    plain,
    pyplot,
    show_image,
)


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
    names : ndarray of shape (n_images,) of str, default=None
        Names of the images; by default, their positions.

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
    >>> detector = LabelErrorDetector(
    ...     LogisticRegression(), max_false_alarms=None, random_state=0
    ... )
    >>> images = digits.images[:300]
    >>> display = LabelErrorDisplay.from_estimator(detector.fit(X, y), images, y)
    >>> int(display.positions[0])
    5
    """

    def __init__(self, images, given, suggested, quality, positions, names=None):
        self.images = images
        self.given = given
        self.suggested = suggested
        self.quality = quality
        self.positions = positions
        self.names = names

    @classmethod
    def from_estimator(cls, detector, X, y, *, n_images=20, **kwargs):
        """Draw the worst labels that a detector found.

        Parameters
        ----------
        detector : LabelErrorDetector or LabelCleaningClassifier
            Fitted on these samples.
        X : array-like, tensor, array of paths or LazyFeatures of shape (n_samples, ...)
            The images, in any layout that the classifiers take, even if the detector
            was fitted on features of them.
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
        detector = detector_of(detector)
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
            Position of the channel axis in 4-D images.
        image_size : int or (int, int), default=64
            Height and width to which image files are resized.
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
        quality = as_column("label_quality", label_quality)
        check_lengths(
            X=X, y=y, suggested=suggested, quality=quality, label_errors=label_errors
        )
        order = np.argsort(quality, kind="stable")
        if label_errors is not None:
            order = order[as_mask("label_errors", label_errors, len(y))[order]]
        worst = order[:n_images]
        images = as_images(X, worst, channels, image_size)
        names = [os.path.basename(path) for path in X[worst]] if is_paths(X) else None
        display = cls(images, y[worst], suggested[worst], quality[worst], worst, names)
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
            size = (1.9 * n_columns, 2.5 * n_rows)  # inches
            figure = pyplot().figure(figsize=size, layout="constrained")
        axes = figure.subplots(n_rows, n_columns, squeeze=False)
        for ax in axes.flat:
            ax.axis("off")
        for i, (ax, image) in enumerate(zip(axes.flat, self.images, strict=False)):
            show_image(ax, image)
            given, suggested = str(self.given[i]), str(self.suggested[i])
            # Names that do not fit beside each other stand below each other.
            arrow = " → " if len(given + suggested) < 20 else " →\n"
            quality = self.quality[i]
            quality = f"{quality:.2f}" if quality >= 0.01 else "<0.01"
            name = f"#{self.positions[i]}" if self.names is None else self.names[i]
            title = f"{given}{arrow}{suggested}\nquality {quality}\n{_short(name)}"
            ax.set_title(plain(title), fontsize="small")
        shown = "given → suggested label"
        figure.suptitle(shown if len(self.images) else "no label errors", fontsize=9)
        self.axes_, self.figure_ = axes, figure
        return self


def _short(name, width=22):
    """Return a name, without its middle where it is longer than a picture is wide."""
    half = (width - 1) // 2
    return name if len(name) <= width else f"{name[:half]}…{name[-half:]}"
