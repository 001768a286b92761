"""Precision and recall of the labels that are called wrong, expected and true."""

import numpy as np

from sknoisy.checks import as_mask, check_lengths
from sknoisy.plotting.base import BLUE, ORANGE, as_column, detector_of, pyplot


class DetectionCurveDisplay:
    """Precision against recall of the labels called wrong, by their probability.

    Make one by :meth:`from_estimator` or :meth:`from_predictions`. The expected curve
    follows from the probabilities that labels are wrong and needs no right labels. If
    it is known which labels are wrong, the true curve is drawn beside it: the nearer
    the two are, the better the probabilities are calibrated.

    Parameters
    ----------
    error_probability : ndarray of shape (n_samples,)
        Probability that each label is wrong.
    label_errors : ndarray of shape (n_samples,), dtype bool, default=None
        Which labels are called wrong.
    is_wrong : ndarray of shape (n_samples,), dtype bool, default=None
        Which labels are wrong, where that is known.

    Attributes
    ----------
    expected : tuple of ndarray of shape (n_samples,)
        Recall and precision that are expected of the 1, 2, 3... labels that are most
        probably wrong.
    true : tuple of ndarray of shape (n_samples,), or None
        Their true recall and precision.
    ax_ : Axes
        The axes, after :meth:`plot`.
    figure_ : Figure
        The figure, after :meth:`plot`.

    Examples
    --------
    >>> from sknoisy.plotting import DetectionCurveDisplay
    >>> display = DetectionCurveDisplay.from_predictions([0.9, 0.1, 0.6, 0.0])
    >>> recall, precision = display.expected
    >>> precision.round(2)
    array([0.9 , 0.75, 0.53, 0.4 ])
    """

    def __init__(self, error_probability, label_errors=None, is_wrong=None):
        self.error_probability = error_probability
        self.label_errors = label_errors
        self.is_wrong = is_wrong

    @classmethod
    def from_estimator(cls, detector, *, is_wrong=None, **kwargs):
        """Draw the curve of a detector.

        Parameters
        ----------
        detector : LabelErrorDetector or LabelCleaningClassifier
            Fitted.
        is_wrong : array-like of shape (n_samples,), dtype bool, default=None
            Which labels are wrong, where that is known.
        **kwargs : dict
            Passed to :meth:`plot`.

        Returns
        -------
        display : DetectionCurveDisplay
            The display, drawn.
        """
        detector = detector_of(detector, "error_probability_")
        return cls.from_predictions(
            detector.error_probability_,
            label_errors=detector.label_errors_,
            is_wrong=is_wrong,
            **kwargs,
        )

    @classmethod
    def from_predictions(
        cls, error_probability, *, label_errors=None, is_wrong=None, **kwargs
    ):
        """Draw the curve of given probabilities.

        Parameters
        ----------
        error_probability : array-like of shape (n_samples,)
            Probability that each label is wrong, in [0, 1].
        label_errors : array-like of shape (n_samples,), dtype bool, default=None
            Which labels are called wrong; a point shows them.
        is_wrong : array-like of shape (n_samples,), dtype bool, default=None
            Which labels are wrong, where that is known.
        **kwargs : dict
            Passed to :meth:`plot`.

        Returns
        -------
        display : DetectionCurveDisplay
            The display, drawn.
        """
        given = {"label_errors": label_errors, "is_wrong": is_wrong}
        check_lengths(error_probability=error_probability, **given)
        masks = {
            name: None if mask is None else as_mask(name, mask)
            for name, mask in given.items()
        }
        probability = as_column("error_probability", error_probability)
        return cls(probability, **masks).plot(**kwargs)

    @property
    def expected(self):
        """Expected recall and precision of the labels most probably wrong."""
        return self._curve(self.error_probability)

    @property
    def true(self):
        """Their true recall and precision; None if it is not known what is wrong."""
        return None if self.is_wrong is None else self._curve(self.is_wrong)

    def plot(self, *, ax=None):
        """Draw the curves.

        Parameters
        ----------
        ax : Axes, default=None
            Where to draw; new ones by default.

        Returns
        -------
        display : DetectionCurveDisplay
            This display.
        """
        if ax is None:
            _, ax = pyplot().subplots(figsize=(4.5, 3.5), layout="constrained")
        ax.plot(*self.expected, color=BLUE, lw=2, label="expected")
        if self.is_wrong is not None:
            ax.plot(*self.true, "--", color=ORANGE, lw=2, label="true")
        if self.label_errors is not None and self.label_errors.any():
            probability, called = self.error_probability, self.label_errors
            total = max(probability.sum(), np.finfo(float).tiny)
            recall = probability[called].sum() / total
            point = f"called wrong ({called.sum():,})"
            ax.plot(recall, probability[called].mean(), "ko", label=point)
        limits = {"xlim": (0, 1.02), "ylim": (0, 1.02)}
        ax.set(xlabel="Recall", ylabel="Precision", **limits)
        ax.legend(frameon=False, fontsize="small", loc="lower left")
        self.ax_, self.figure_ = ax, ax.figure
        return self

    def _curve(self, wrong):
        order = np.argsort(-self.error_probability, kind="stable")
        found = np.cumsum(np.asarray(wrong, dtype=np.float64)[order])
        recall = found / max(found[-1], np.finfo(float).tiny)
        return recall, found / np.arange(1, len(found) + 1)
