"""Training curves: which method learns, and which memorises in the end."""

from collections.abc import Mapping

import numpy as np
from sklearn.utils.validation import check_is_fitted

from sknoisy.checks import check_choice
from sknoisy.estimators.pipelines import split_pipeline
from sknoisy.plotting.base import DASHES, PALETTE, plain, pyplot
from sknoisy.training.stopping import LabelWave

NAMES = {
    "prediction_changes": "Share of predictions that changed",
    "train_loss": "Training loss",
    "wrong_changes": "Share of wrong predictions that changed",
    "wrong_events": "Share of predictions that are not the label",
}
BESIDE = 6  # more curves than these have their legend beside the axes

BEST = {"valid_loss": "min", "valid_acc": "max"}  # where lower or higher is better


class TrainingCurveDisplay:
    """Accuracy or loss by epoch, for several methods, with the best and last marked.

    How far the last lies from the best shows how much was memorised. For several seeds,
    the mean is drawn, with a band of one standard deviation to each side. Make one by
    :meth:`from_estimator` or :meth:`from_predictions`.

    Parameters
    ----------
    curves : dict of str to ndarray of shape (n_epochs,) or (n_seeds, n_epochs)
        By the names of the methods; numbers of epochs may differ.
    metric : str, default="Test accuracy"
        Name of the numbers.
    best : {"max", "min"} or None, default="max"
        Whether the largest or the smallest number is best; None marks none.
    onsets : dict of str to int, default=None
        Epochs, counted from 1, in which methods begin to memorise labels, by their
        names; they are marked by vertical lines.

    Attributes
    ----------
    ax_ : Axes
        The axes, after :meth:`plot`.
    figure_ : Figure
        The figure, after :meth:`plot`.
    lines_ : list of Line2D
        The curves, after :meth:`plot`.
    bands_ : list of FillBetweenPolyCollection or None
        The band of each curve, None for a single seed; after :meth:`plot`.

    Examples
    --------
    >>> from sknoisy.plotting import TrainingCurveDisplay
    >>> curves = {"ce": [0.4, 0.7, 0.5], "elr": [0.3, 0.7, 0.8]}
    >>> display = TrainingCurveDisplay.from_predictions(curves)
    >>> display.lines_[0].get_label()
    'ce: best 0.700, last 0.500'

    Accuracy by epoch, which no history has, takes a loop:

    >>> from sklearn.datasets import load_iris
    >>> from sknoisy import NoisyRobustClassifier
    >>> X, y = load_iris(return_X_y=True)
    >>> clf = NoisyRobustClassifier("ce", max_epochs=5, random_state=0)
    >>> curve = [clf.partial_fit(X, y).score(X, y) for _ in range(5)]
    """

    def __init__(self, curves, metric="Test accuracy", best="max", onsets=None):
        self.curves = curves
        self.metric = metric
        self.best = best
        self.onsets = onsets

    @classmethod
    def from_estimator(
        cls, estimators, *, key="train_loss", best="auto", onset=False, **kwargs
    ):
        """Draw a value of each epoch from the history of estimators.

        Parameters
        ----------
        estimators : estimator or dict of str to estimator, or to list of estimators
            Fitted, with ``history_``, or pipelines that end in one. A list holds those
            of several seeds, with equal numbers of epochs.
        key : str, default="train_loss"
            Key of ``history_`` that is drawn, for the epochs that have it.
        best : {"auto", "max", "min"} or None, default="auto"
            Which of the numbers is best; None marks none. "auto": the lowest validation
            loss or highest validation accuracy; none for other keys, because a low
            training loss may be due to memorisation.
        onset : bool, default=False
            Whether to mark where classifiers that are not in a list begin to memorise
            labels: the epoch that `stopping` went back to, or else the one found by
            :class:`~sknoisy.LabelWave` with its defaults, if there is one.
        **kwargs : dict
            Passed to :meth:`plot`.

        Returns
        -------
        display : TrainingCurveDisplay
            The display, drawn.
        """
        if not isinstance(estimators, Mapping):
            estimators = {type(split_pipeline(estimators)[1]).__name__: estimators}
        curves, onsets = {}, {}
        for name, estimator in estimators.items():
            if isinstance(estimator, (list, tuple)):
                curves[name] = [_curve(name, one, key) for one in estimator]
                continue
            curves[name] = _curve(name, estimator, key)
            if onset:
                epoch = _onset(split_pipeline(estimator)[1])
                onsets |= {} if epoch is None else {name: epoch}
        metric = NAMES.get(key, key)
        return cls.from_predictions(
            curves,
            metric=metric,
            best=BEST.get(key) if best == "auto" else best,
            onsets=onsets,
            **kwargs,
        )

    @classmethod
    def from_predictions(
        cls, curves, *, metric="Test accuracy", best="max", onsets=None, **kwargs
    ):
        """Draw given curves.

        Parameters
        ----------
        curves : dict of str to array-like of shape (n_epochs,) or (n_seeds, n_epochs)
            By the names of the methods; numbers of epochs may differ.
        metric : str, default="Test accuracy"
            Name of the numbers, with their unit if they have one.
        best : {"max", "min"} or None, default="max"
            Whether the largest or the smallest number is best; None marks none.
        onsets : dict of str to int, default=None
            Epochs, counted from 1, in which methods begin to memorise labels.
        **kwargs : dict
            Passed to :meth:`plot`.

        Returns
        -------
        display : TrainingCurveDisplay
            The display, drawn.
        """
        check_choice("best", best, ["max", "min", None])
        if not isinstance(curves, Mapping):
            raise ValueError(
                f"curves of type {type(curves).__name__} is not valid: it must be a "
                "dict of curves by the names of the methods, such as "
                '{"ce": [0.5, 0.6]}'
            )
        curves = {name: _checked(name, curve) for name, curve in curves.items()}
        return cls(curves, metric, best, onsets).plot(**kwargs)

    def plot(self, *, ax=None):
        """Draw the curves.

        Parameters
        ----------
        ax : Axes, default=None
            Where to draw; new ones by default.

        Returns
        -------
        display : TrainingCurveDisplay
            This display.
        """
        if ax is None:
            width = 5.5 if len(self.curves) <= BESIDE else 8.5  # inches
            _, ax = pyplot().subplots(figsize=(width, 3.5), layout="constrained")
        self.lines_, self.bands_ = [], []
        for i, (name, seeds) in enumerate(self.curves.items()):
            seeds = np.atleast_2d(seeds)
            curve, spread = seeds.mean(axis=0), seeds.std(axis=0)
            epochs = np.arange(1, len(curve) + 1)
            end = np.flatnonzero(~np.isnan(curve))[-1]
            shown = plain(name)
            label = f"{shown}: last {curve[end]:.3f}"
            if self.best is not None:
                pick = np.nanargmax if self.best == "max" else np.nanargmin
                at = int(pick(curve))
                label = f"{shown}: best {curve[at]:.3f}, last {curve[end]:.3f}"
            (line,) = ax.plot(
                epochs,
                curve,
                color=PALETTE[i % len(PALETTE)],
                linestyle=DASHES[(i + i // len(PALETTE)) % len(DASHES)],
                label=label,
            )
            ends = {"color": line.get_color(), "linestyle": "none", "zorder": 3}
            if self.best is not None:
                ax.plot(epochs[at], curve[at], marker="*", markersize=11, **ends)
            ax.plot(epochs[end], curve[end], marker="s", markersize=5, **ends)
            self.lines_.append(line)
            band = None
            if len(seeds) > 1:
                shade = {"color": line.get_color(), "alpha": 0.2, "linewidth": 0}
                band = ax.fill_between(epochs, curve - spread, curve + spread, **shade)
            self.bands_.append(band)
            if name in (self.onsets or ()):
                ax.axvline(self.onsets[name], color=line.get_color(), linestyle=":")
        ax.xaxis.get_major_locator().set_params(integer=True)
        ax.set(xlabel="Epoch", ylabel=self.metric)
        grey = {"color": "grey", "linestyle": "none"}
        marks = []
        if self.best is not None:
            star = {"marker": "*", "markersize": 11, "label": "best epoch"}
            marks += ax.plot([], [], **star, **grey)
        marks += ax.plot([], [], marker="s", markersize=5, label="last epoch", **grey)
        if self.onsets:
            labels = {"linestyle": ":", "label": "labels begin to be memorised"}
            marks += ax.plot([], [], color="grey", **labels)
        beside = {"loc": "upper left", "bbox_to_anchor": (1, 1)}
        where = beside if len(self.lines_) > BESIDE else {}
        ax.legend(handles=self.lines_ + marks, frameon=False, fontsize="small", **where)
        self.ax_, self.figure_ = ax, ax.figure
        return self


def _curve(name, estimator, key):
    """Return what an estimator kept of its epochs."""
    _, last = split_pipeline(estimator)
    check_is_fitted(last)
    if not hasattr(last, "history_"):
        raise ValueError(
            f"{name} is not valid: a {type(last).__name__} keeps no history_ of epochs."
        )
    if not any(key in row for row in last.history_):
        known = sorted(set().union(*last.history_))
        raise ValueError(
            f"key={key!r} is not valid: the history of {name} holds {known}."
        )
    # Some epochs may lack it, such as the first one, or those of the head.
    return [row.get(key, np.nan) for row in last.history_]


def _checked(name, curve):
    try:
        curve = np.asarray(curve, dtype=np.float64)
    except ValueError as error:
        raise ValueError(
            f"curves[{name!r}] is not valid: its seeds must have equally many epochs."
        ) from error
    of_shape = curve.ndim in (1, 2) and curve.size > 0
    if not of_shape or np.isnan(np.atleast_2d(curve).mean(axis=0)).all():
        raise ValueError(
            f"curves[{name!r}] of shape {curve.shape} is not valid: it must be of "
            "shape (n_epochs,) or (n_seeds, n_epochs), with one epoch or more that has "
            "numbers."
        )
    return curve


def _onset(classifier):
    """Return the epoch in which a classifier begins to memorise labels, or None."""
    stopped = getattr(classifier, "stopped_epoch_", None)
    if stopped is not None:
        return stopped
    key, last = "prediction_changes", classifier.history_[-1]
    # The part of the training that stopping would have watched.
    rows = [row for row in classifier.history_ if row.get("phase") == last.get("phase")]
    rows = [row for row in rows if key in row]
    if not rows:
        return None
    rule = LabelWave()
    position = rule.onset(*np.transpose([rule.watched(row) for row in rows]))
    return None if position is None else rows[position]["epoch"]
