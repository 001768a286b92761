"""Losses of right and wrong labels, and the mixture that tells them apart."""

import numpy as np
from sklearn.exceptions import NotFittedError

from sknoisy.checks import as_mask, check_choice, check_lengths
from sknoisy.estimators.pipelines import split_pipeline
from sknoisy.plotting.base import BLUE, ORANGE, as_column, pyplot
from sknoisy.scores.betas import beta_mixture
from sknoisy.scores.mixture import gaussian_mixture

MIXTURES = {"gmm": gaussian_mixture, "bmm": beta_mixture}


class LossMixtureDisplay:
    """Histogram of losses, and the two distributions that were fitted to it.

    Make one by :meth:`from_estimator` or :meth:`from_predictions`.

    Parameters
    ----------
    losses : ndarray of shape (n_samples,)
        Loss of each sample.
    mixture : LossMixture
        The mixture that was fitted to them.
    is_wrong : ndarray of shape (n_samples,), dtype bool, default=None
        Which labels are wrong, where that is known.

    Attributes
    ----------
    threshold : float or None
        The smallest loss at which a label is more probably wrong than right; None if
        there is none.
    ax_ : Axes
        The axes, after :meth:`plot`.
    figure_ : Figure
        The figure, after :meth:`plot`.

    Examples
    --------
    >>> from sknoisy.plotting import LossMixtureDisplay
    >>> display = LossMixtureDisplay.from_predictions([0.1, 0.2, 0.1, 4.0, 4.2])
    >>> display.threshold
    4.0
    """

    def __init__(self, losses, mixture, is_wrong=None):
        self.losses = losses
        self.mixture = mixture
        self.is_wrong = is_wrong

    @classmethod
    def from_estimator(cls, estimator, *, is_wrong=None, **kwargs):
        """Draw the losses that an estimator has kept for its training samples.

        Parameters
        ----------
        estimator : ContrastiveFineTuner, NoisyRobustClassifier or LabelErrorDetector
            Fitted, or a pipeline that ends in one. Losses of a NoisyRobustClassifier
            are means over its training, and so are those of a detector with
            ``cv="dynamics"``; those of other detectors are out-of-sample.
        is_wrong : array-like of shape (n_samples,), dtype bool, default=None
            Which labels are wrong, where that is known; bars then show it.
        **kwargs : dict
            Passed to :meth:`from_predictions`.

        Returns
        -------
        display : LossMixtureDisplay
            The display, drawn. Samples that were not trained on are left out.
        """
        _, last = split_pipeline(estimator)
        names = ("_losses", "losses_", "training_loss_")  # the first is a detector's
        losses = next((getattr(last, n) for n in names if hasattr(last, n)), None)
        if losses is None:
            raise NotFittedError(
                f"{type(last).__name__} has no losses_ or training_loss_: it is not "
                "fitted, or keeps no losses."
            )
        check_lengths(losses=losses, is_wrong=is_wrong)
        known = ~np.isnan(losses)
        if is_wrong is not None:
            is_wrong = as_mask("is_wrong", is_wrong)[known]
        return cls.from_predictions(losses[known], is_wrong=is_wrong, **kwargs)

    @classmethod
    def from_predictions(cls, losses, *, mixture="gmm", is_wrong=None, **kwargs):
        """Fit a mixture to given losses, and draw both.

        Parameters
        ----------
        losses : array-like of shape (n_samples,)
            Loss of each sample.
        mixture : {"gmm", "bmm"} or LossMixture, default="gmm"
            Two Gaussians, two beta distributions, or a mixture that was fitted before.
        is_wrong : array-like of shape (n_samples,), dtype bool, default=None
            Which labels are wrong, where that is known; bars then show it.
        **kwargs : dict
            Passed to :meth:`plot`.

        Returns
        -------
        display : LossMixtureDisplay
            The display, drawn.
        """
        losses = as_column("losses", losses)
        if isinstance(mixture, str):
            check_choice("mixture", mixture, list(MIXTURES))
            mixture = MIXTURES[mixture](losses)
        probability = mixture.clean_probability
        check_lengths(losses=losses, mixture=probability, is_wrong=is_wrong)
        if is_wrong is not None:
            is_wrong = as_mask("is_wrong", is_wrong)
        return cls(losses, mixture, is_wrong).plot(**kwargs)

    @property
    def threshold(self):
        """The smallest loss at which a label is more probably wrong than right."""
        wrong = self.mixture.clean_probability < 0.5
        if not wrong.any():
            return None
        # A wide Gaussian may also win far below the mean of a narrow one.
        wrong &= self.losses > self.mixture.components[0].mean()
        return float(self.losses[wrong].min()) if wrong.any() else None

    def plot(self, *, ax=None, bins=60, xlabel="Loss (nats)"):
        """Draw the histogram and the distributions.

        Parameters
        ----------
        ax : Axes, default=None
            Where to draw; new ones by default.
        bins : int, default=60
            Number of bins.
        xlabel : str, default="Loss (nats)"
            What the losses are, with their unit.

        Returns
        -------
        display : LossMixtureDisplay
            This display.
        """
        if ax is None:
            _, ax = pyplot().subplots(figsize=(5.5, 3.5), layout="constrained")
        edges = np.histogram_bin_edges(self.losses, bins)
        self._draw_bars(ax, edges)
        grid = np.linspace(edges[0], edges[-1], 1000)
        names = ["probably right", "probably wrong"]
        colours, dashes = [BLUE, ORANGE], ["-", "--"]
        for i, component in enumerate(self.mixture.components):
            weight = self.mixture.weights[i]
            per_bin = len(self.losses) * (edges[1] - edges[0])
            curve = weight * component.pdf(grid) * per_bin
            label = f"{names[i]} ({weight:.0%})"
            ax.plot(grid, curve, dashes[i], color=colours[i], lw=2, label=label)
        if self.threshold is not None:
            split = f"split at {self.threshold:.3g}"
            ax.axvline(self.threshold, color="black", lw=1, ls=":", label=split)
        highest = np.histogram(self.losses, edges)[0].max()
        # Beta distributions may be infinite at their ends.
        limits = {"xlim": (edges[0], edges[-1]), "ylim": (0, 1.3 * highest)}
        ax.set(xlabel=xlabel, ylabel="Labels", **limits)
        ax.legend(frameon=False, fontsize="small")
        self.ax_, self.figure_ = ax, ax.figure
        return self

    def _draw_bars(self, ax, edges):
        if self.is_wrong is None:
            ax.hist(self.losses, edges, color="lightgrey", label="all labels")
            return
        parts = [self.losses[~self.is_wrong], self.losses[self.is_wrong]]
        names = [
            f"right labels ({len(parts[0]):,})",
            f"wrong labels ({len(parts[1]):,})",
        ]
        # Paler than the curves, which have to be seen on them; hatched for grey print.
        colours = ["#A6CEE3", "#F5C09A"]
        _, _, bars = ax.hist(parts, edges, stacked=True, color=colours, label=names)
        for patch in bars[1]:
            patch.set(hatch="////", edgecolor="white", linewidth=0)
