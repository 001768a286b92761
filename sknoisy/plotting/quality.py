"""The quality of labels as a histogram."""

import numpy as np

from sknoisy.checks import as_mask, check_lengths
from sknoisy.plotting.base import BLUE, ORANGE, as_column, detector_of, pyplot


class LabelQualityDisplay:
    """Histogram of label quality; labels found wrong have a colour of their own.

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
        detector : LabelErrorDetector or LabelCleaningClassifier
            Fitted.
        **kwargs : dict
            Passed to :meth:`plot`.

        Returns
        -------
        display : LabelQualityDisplay
            The display, drawn.
        """
        detector = detector_of(detector)
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
        check_lengths(label_quality=label_quality, label_errors=label_errors)
        quality = as_column("label_quality", label_quality)
        errors = as_mask("label_errors", label_errors, len(quality))
        return cls(quality, errors).plot(**kwargs)

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
            _, ax = pyplot().subplots(figsize=(5.5, 3.5), layout="constrained")
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
