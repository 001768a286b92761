"""Features in two dimensions, coloured by labels."""

from itertools import product

import numpy as np
from sklearn.manifold import TSNE
from sklearn.utils.validation import check_is_fitted

from sknoisy._compat import safe_indexing
from sknoisy.checks import as_mask, check_integer, check_lengths, random_numbers
from sknoisy.data.inputs import as_inputs
from sknoisy.data.pictures import as_samples
from sknoisy.encoders.features import LazyFeatures
from sknoisy.estimators.base_classifier import TorchClassifier
from sknoisy.estimators.pipelines import split_pipeline
from sknoisy.estimators.pretrainer import SSLPretrainer
from sknoisy.plotting.base import MARKERS, PALETTE, plain, pyplot

NAMED_CLASSES = 30  # beyond that, markers are hard to tell apart
LEGEND_ROWS = 15  # more would be higher than the figure


class EmbeddingDisplay:
    """Features in two dimensions by t-SNE, with a panel for each set of labels.

    Make one by :meth:`from_estimator` or :meth:`from_predictions`.

    Parameters
    ----------
    points : ndarray of shape (n_samples, 2)
        The features in two dimensions.
    labels : dict of str to ndarray of shape (n_samples,)
        Sets of labels by the titles of their panels.
    positions : ndarray of shape (n_samples,), dtype int
        Where the samples are in X.
    name : str, default="t-SNE"
        Name of the dimensions.
    marked : ndarray of shape (n_samples,), dtype bool, default=None
        Samples with a ring around them, such as wrong labels.

    Attributes
    ----------
    axes_ : ndarray of Axes of shape (n_panels,)
        The axes, after :meth:`plot`.
    figure_ : Figure
        The figure, after :meth:`plot`.

    References
    ----------
    van der Maaten and Hinton, Visualizing Data using t-SNE, JMLR 2008. Tai, Jhang and
    Hwang, Robust Feature Learning against Noisy Labels, 2023, figure 1.

    Examples
    --------
    >>> from sklearn.datasets import load_iris
    >>> from sknoisy.plotting import EmbeddingDisplay
    >>> X, y = load_iris(return_X_y=True)
    >>> display = EmbeddingDisplay.from_predictions(X, y, n_samples=50, random_state=0)
    >>> display.points.shape
    (50, 2)
    """

    def __init__(self, points, labels, positions, name="t-SNE", marked=None):
        self.points = points
        self.labels = labels
        self.positions = positions
        self.name = name
        self.marked = marked

    @classmethod
    def from_estimator(
        cls,
        estimator,
        X,
        y,
        *,
        refined=None,
        y_true=None,
        marked=None,
        n_samples=2000,
        random_state=None,
        **kwargs,
    ):
        """Draw the features that a fitted estimator computes for samples.

        Parameters
        ----------
        estimator : PseudoLabelRefiner, ContrastiveFineTuner or another estimator
            Fitted, or a Pipeline. Features are those of a NoisyRobustClassifier's
            encoder or of an SSLPretrainer; for other estimators, the input of their
            last step.
        X : array-like, tensor, array of paths or LazyFeatures of shape (n_samples, ...)
            Samples.
        y : array-like of shape (n_samples,)
            Given labels.
        refined : array-like of shape (n_samples,), default=None
            Refined labels. None: the estimator's ``labels_`` or ``pseudo_labels_``, if
            it has any; X then is what it was fitted on.
        y_true : array-like of shape (n_samples,), default=None
            The right labels, where they are known.
        marked : array-like of shape (n_samples,), dtype bool, default=None
            Samples to draw a ring around, such as the ``label_errors_`` of a detector.
        n_samples : int or None, default=2000
            How many samples to draw, at most, chosen at random; None: all.
        random_state : int, RandomState or None, default=None
            Source of randomness of the choice, and of t-SNE.
        **kwargs : dict
            Passed to :meth:`from_predictions`.

        Returns
        -------
        display : EmbeddingDisplay
            The display, drawn.
        """
        check_is_fitted(estimator)
        X = X if isinstance(X, LazyFeatures) else as_inputs(X)
        _, last = split_pipeline(estimator)
        if refined is None:
            refined = getattr(last, "labels_", getattr(last, "pseudo_labels_", None))
        check_lengths(X=X, y=y, refined=refined, y_true=y_true, marked=marked)
        random_state = random_numbers(random_state)
        rows = _choose(len(y), n_samples, random_state)
        y, refined, y_true = (_take(labels, rows) for labels in (y, refined, y_true))
        display = cls.from_predictions(
            _features(estimator, safe_indexing(X, rows)),
            y,
            refined,
            y_true=y_true,
            marked=_take(marked, rows),
            n_samples=None,
            random_state=random_state,
            **kwargs,
        )
        display.positions = rows
        return display

    @classmethod
    def from_predictions(
        cls,
        features,
        y,
        refined=None,
        *,
        y_true=None,
        marked=None,
        n_samples=2000,
        random_state=None,
        embedding=None,
        **kwargs,
    ):
        """Draw given features.

        Parameters
        ----------
        features : array-like of shape (n_samples, n_features)
            Features, such as ``SSLPretrainer.transform`` returns.
        y : array-like of shape (n_samples,)
            Given labels.
        refined : array-like of shape (n_samples,), default=None
            Refined labels, or predictions.
        y_true : array-like of shape (n_samples,), default=None
            The right labels, where they are known.
        marked : array-like of shape (n_samples,), dtype bool, default=None
            Samples to draw a ring around, such as the ``label_errors_`` of a detector.
        n_samples : int or None, default=2000
            How many samples to draw, at most, chosen at random; None: all.
        random_state : int, RandomState or None, default=None
            Source of randomness of the choice, and of t-SNE.
        embedding : transformer, default=None
            Reduces features to two dimensions by its ``fit_transform``. None: ``TSNE``,
            with a perplexity of 30, or less for few samples.
        **kwargs : dict
            Passed to :meth:`plot`.

        Returns
        -------
        display : EmbeddingDisplay
            The display, drawn.
        """
        check_lengths(
            features=features, y=y, refined=refined, y_true=y_true, marked=marked
        )
        random_state = random_numbers(random_state)
        rows = _choose(len(y), n_samples, random_state)
        name = "t-SNE" if embedding is None else type(embedding).__name__
        if embedding is None:
            perplexity = min(30, (len(rows) - 1) / 3)
            embedding = TSNE(perplexity=perplexity, random_state=random_state)
        points = embedding.fit_transform(np.asarray(features)[rows])
        labels = {"given labels": y, "refined labels": refined, "true labels": y_true}
        labels = {k: _take(v, rows) for k, v in labels.items() if v is not None}
        marked = None if marked is None else as_mask("marked", marked)[rows]
        return cls(points, labels, rows, name, marked).plot(**kwargs)

    def plot(self, *, size=9, figure=None):
        """Draw the panels.

        Parameters
        ----------
        size : float, default=9
            Area of a sample's marker, in square points.
        figure : Figure, default=None
            Where to draw; a new figure by default.

        Returns
        -------
        display : EmbeddingDisplay
            This display.
        """
        n = len(self.labels)
        classes = np.unique(np.concatenate(list(self.labels.values())))
        named = len(classes) <= NAMED_CLASSES
        columns = -(-len(classes) // LEGEND_ROWS) if named else 0
        if figure is None:
            longest = max(len(str(name)) for name in classes)
            width = columns * (0.6 + 0.1 * longest)  # inches, of the legend
            inches = 3.2 * n + max(1, width), 3.4
            figure = pyplot().figure(figsize=inches, layout="constrained")
        axes = figure.subplots(1, n, squeeze=False)[0]
        for ax, (title, labels) in zip(axes, self.labels.items(), strict=True):
            if named:
                self._draw_classes(ax, labels, classes, size)
            else:
                codes = np.searchsorted(classes, labels)
                ax.scatter(*self.points.T, size, codes, cmap="viridis", linewidths=0)
            if self.marked is not None:
                rings = {"facecolors": "none", "edgecolors": "black", "linewidths": 0.7}
                ax.scatter(*self.points[self.marked].T, s=4 * size, **rings)
            ax.set(title=title, xticks=[], yticks=[], xlabel=f"{self.name} 1")
            ax.set_aspect("equal", adjustable="datalim")
            ax.set_box_aspect(1)
        axes[0].set_ylabel(f"{self.name} 2")
        if named:
            entries = axes[0].get_legend_handles_labels()
            figure.legend(
                *entries,
                loc="outside right center",
                ncols=columns,
                markerscale=2.5,
                frameon=False,
            )
        self.axes_, self.figure_ = axes, figure
        return self

    def _draw_classes(self, ax, labels, classes, size):
        order = np.random.default_rng(0).permutation(len(labels))
        # In ten layers, so that no class lies on top of all others.
        layers = np.array_split(order, 10)
        for k, (layer, (i, name)) in enumerate(product(layers, enumerate(classes))):
            rows = layer[labels[layer] == name]
            ax.scatter(
                *self.points[rows].T,
                s=size,
                color=PALETTE[i % len(PALETTE)],
                marker=MARKERS[(i + i // len(PALETTE)) % len(MARKERS)],
                label=plain(name) if k < len(classes) else None,
                alpha=0.8,
                linewidths=0,
            )


def _choose(n, n_samples, random_state):
    """Return the positions of some of n samples, in order."""
    if n_samples is None:
        return np.arange(n)
    check_integer("n_samples", n_samples, low=2)
    return np.sort(random_state.permutation(n)[:n_samples])


def _take(labels, rows):
    return None if labels is None else np.asarray(labels)[rows]


def _features(estimator, X):
    """Return what the encoder of a fitted estimator makes of samples."""
    front, last = split_pipeline(estimator)
    X = X if front is None else front.transform(X)
    inner = getattr(last, "estimator_", None)
    if inner is not None:
        return _features(inner, X)
    if isinstance(last, SSLPretrainer):
        X = last.transform(X)
    elif isinstance(last, TorchClassifier):
        inputs = X.inputs if isinstance(X, LazyFeatures) else X
        X = last.encoder_.transform(as_samples(inputs))
    return np.asarray(X).reshape(len(X), -1)
