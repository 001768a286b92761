"""How the labels change while they are refined."""

import numpy as np

from sknoisy.checks import check_lengths
from sknoisy.estimators.refiner import PseudoLabelRefiner
from sknoisy.plotting.base import BLUE, GREEN, ORANGE, check_fitted, pyplot


class RefinementDisplay:
    """Shares of labels that are right, and that are unchanged, after each iteration.

    Make one by :meth:`from_estimator` or :meth:`from_predictions`.

    Parameters
    ----------
    agreement : ndarray of shape (n_iterations + 1,)
        Share of labels that equal the given ones, from before the first iteration on.
    accuracy : ndarray of shape (n_iterations + 1,), default=None
        Share of labels that are right.
    refined : ndarray of shape (n_iterations + 1,), default=None
        Share of samples that have a pseudo-label.

    Attributes
    ----------
    ax_ : Axes
        The axes, after :meth:`plot`.
    figure_ : Figure
        The figure, after :meth:`plot`.

    Examples
    --------
    >>> from sknoisy.plotting import RefinementDisplay
    >>> labels = [[0, 1, 1, 0], [0, 1, 1, 1]]  # after two iterations
    >>> y, y_true = [0, 0, 1, 0], [0, 1, 1, 1]
    >>> display = RefinementDisplay.from_predictions(labels, y, y_true=y_true)
    >>> display.accuracy, display.agreement
    (array([0.5 , 0.75, 1.  ]), array([1.  , 0.75, 0.5 ]))
    """

    def __init__(self, agreement, accuracy=None, refined=None):
        self.agreement = agreement
        self.accuracy = accuracy
        self.refined = refined

    @classmethod
    def from_estimator(cls, refiner, y, *, y_true=None, **kwargs):
        """Draw how a refiner changed the labels.

        Parameters
        ----------
        refiner : PseudoLabelRefiner
            Fitted.
        y : array-like of shape (n_samples,)
            The labels that it was given.
        y_true : array-like of shape (n_samples,), default=None
            The right labels, where they are known.
        **kwargs : dict
            Passed to :meth:`plot`.

        Returns
        -------
        display : RefinementDisplay
            The display, drawn.
        """
        check_fitted("refiner", refiner, "iteration_labels_", PseudoLabelRefiner)
        refined = [row["refined"] / len(y) for row in refiner.history_]
        return cls.from_predictions(
            refiner.iteration_labels_,
            y,
            y_true=y_true,
            refined=np.r_[0.0, refined],
            **kwargs,
        )

    @classmethod
    def from_predictions(
        cls, iteration_labels, y, *, y_true=None, refined=None, **kwargs
    ):
        """Draw given labels.

        Parameters
        ----------
        iteration_labels : array-like of shape (n_iterations, n_samples)
            The labels after each iteration.
        y : array-like of shape (n_samples,)
            The labels before the first iteration.
        y_true : array-like of shape (n_samples,), default=None
            The right labels, where they are known.
        refined : array-like of shape (n_iterations + 1,), default=None
            Share of samples that have a pseudo-label, from 0 before the first
            iteration on.
        **kwargs : dict
            Passed to :meth:`plot`.

        Returns
        -------
        display : RefinementDisplay
            The display, drawn.
        """
        y = np.asarray(y)
        check_lengths(y=y, y_true=y_true)
        after = np.reshape(iteration_labels, (-1, len(y)))
        labels = np.concatenate([y[None], after])
        accuracy = None if y_true is None else _share_equal(labels, y_true)
        return cls(_share_equal(labels, y), accuracy, refined).plot(**kwargs)

    def plot(self, *, ax=None):
        """Draw the shares.

        Parameters
        ----------
        ax : Axes, default=None
            Where to draw; new ones by default.

        Returns
        -------
        display : RefinementDisplay
            This display.
        """
        if ax is None:
            _, ax = pyplot().subplots(figsize=(5, 4), layout="constrained")
        lines = [
            ("labels that are right", self.accuracy, BLUE, "o-"),
            ("labels that did not change", self.agreement, ORANGE, "s--"),
            ("samples with a pseudo-label", self.refined, GREEN, "^:"),
        ]
        for name, share, colour, style in lines:
            if share is not None:
                last = f"{name}, {share[-1]:.1%} in the end"
                ax.plot(100 * np.asarray(share), style, color=colour, label=last)
        ax.set_xticks(range(len(self.agreement)))
        ax.set(xlabel="Iteration of refinement", ylabel="Share (%)", ylim=(-3, 103))
        above = {"loc": "lower left", "bbox_to_anchor": (0, 1)}
        ax.legend(frameon=False, fontsize="small", **above)
        self.ax_, self.figure_ = ax, ax.figure
        return self


def _share_equal(labels, reference):
    return (labels == np.asarray(reference)).mean(axis=1)
