"""Scores of predictions on noisy labels, corrected for the noise."""

from typing import NamedTuple

import numpy as np
from sklearn.base import BaseEstimator
from sklearn.model_selection import cross_val_predict

from sknoisy.checks import (
    check_choice,
    check_integer,
    check_real,
    check_transition_matrix,
    random_numbers,
)
from sknoisy.data.labels import encode_labels, some
from sknoisy.data.order import check_order
from sknoisy.metrics.counts import (
    condition_of,
    confusion_counts,
    is_finite,
    is_table,
    mean_score,
    true_counts,
)
from sknoisy.metrics.matrices import NAMES, OF_FEATURES, transition_matrix_of
from sknoisy.scores.probabilities import check_sorted, in_columns
from sknoisy.warning import warn


class CorrectedScore(NamedTuple):
    """A noise-corrected score and its standard error.

    Attributes
    ----------
    score : float
        The corrected score; `noisy_score` if `is_corrected` is False.
    standard_error : float
        Standard deviation of the score over bootstrap samples. The transition matrix
        is kept fixed, so its own error is not included.
    noisy_score : float
        The score on the noisy labels, without correction.
    is_corrected : bool
        False if the transition matrix is ill-conditioned.
    transition_matrix : ndarray of shape (n_classes, n_classes)
        Row: true class; column: given label.
    """

    score: float
    standard_error: float
    noisy_score: float
    is_corrected: bool
    transition_matrix: np.ndarray


def noise_corrected_accuracy(
    y, y_pred, transition_matrix, classes=None, balanced=False
):
    """Estimate the accuracy on clean labels from noisy ones.

    Parameters
    ----------
    y : array-like of shape (n_samples,)
        Given labels of held-out samples, some of them wrong.
    y_pred : array-like of shape (n_samples,)
        Predicted labels.
    transition_matrix : array-like of shape (n_classes, n_classes)
        Probability of each given label (column) for each true class (row).
    classes : array-like of shape (n_classes,), default=None
        The classes, sorted; by default the distinct values of `y` and `y_pred`.
    balanced : bool, default=False
        Whether to estimate the balanced accuracy, the mean recall of the classes.

    Returns
    -------
    score : float
        Mean of ``inv(transition_matrix)[y, y_pred]``. It may lie slightly outside
        [0, 1].

    Raises
    ------
    ValueError
        If a label is not among the classes, or the matrix is singular or not a
        transition matrix between the classes.

    Notes
    -----
    If the noise is class-conditional, the score is unbiased: the expected contribution
    of a sample of class i that is predicted as k is ``sum_j T[i, j] * inv(T)[j, k]``,
    which is 1 if k = i and 0 otherwise. The accuracy on noisy labels, in contrast,
    favours classifiers whose errors follow the noise.

    With `balanced`, the confusion matrix of true and predicted classes is estimated in
    the same way, and the recalls from it. Classes with less than one estimated sample
    are left out.

    Examples
    --------
    >>> from sknoisy.metrics import noise_corrected_accuracy
    >>> T = [[0.8, 0.2], [0.4, 0.6]]  # its inverse is [[1.5, -0.5], [-1, 2]]
    >>> round(noise_corrected_accuracy([0, 0, 1, 1], [0, 1, 1, 0], T), 6)
    0.5
    """
    if classes is None:
        true, predicted = encode_labels(y)[0], encode_labels(y_pred)[0]
        try:
            classes = np.union1d(true, predicted)
        except TypeError as error:
            raise ValueError(
                f"y and y_pred hold labels of different types: {some(true)}, and "
                f"{some(predicted)}."
            ) from error
    check_sorted(classes)
    counts = confusion_counts(y, y_pred, np.asarray(classes))
    T = _checked(transition_matrix, classes)
    if not np.isfinite(condition_of(T)):
        raise ValueError(
            "transition_matrix is singular: true classes cannot be told apart by their "
            "labels, so the accuracy cannot be corrected."
        )
    return float(mean_score(true_counts(counts, T), balanced))


class NoiseCorrectedScorer(BaseEstimator):
    """Scorer that estimates the accuracy on clean labels from noisy held-out labels.

    Pass it as ``scoring`` to ``GridSearchCV``, ``cross_val_score`` or
    ``learning_curve``. The accuracy on noisy labels may prefer models whose errors
    follow the noise; this score does not. :meth:`from_samples` makes the scorer for a
    data set, which is what a search should use.

    Parameters
    ----------
    transition_matrix : str or array-like of shape (n_classes, n_classes), \
            default="auto"
        Probability of each given label (column) for each true class (row), or how to
        estimate it from the held-out samples, anew for each fold:

        - "neighbors": from the labels of nearest neighbours in X, which must be a table
          of numbers; its columns are standardised. Counts are those of
          :func:`sknoisy.scores.neighbor_label_votes` or, from 1,000 samples per class
          on, of :func:`sknoisy.scores.label_votes`. What few samples leave open is
          filled by :func:`sknoisy.scores.shrunk_transition_matrix`.
        - "hoc": :func:`sknoisy.scores.hoc_transition_matrix` of such an X.
        - "votes": from the probabilities that the scored classifier predicts, by
          :func:`sknoisy.scores.label_votes`, and shrunk in the same way.
        - "confident_joint", "anchor": from these probabilities, see
          :func:`sknoisy.scores.estimate_transition_matrix`.
        - "auto": "neighbors" if X is a table of finite numbers, otherwise "votes".
    classes : array-like of shape (n_classes,), default=None
        The classes, sorted. By default, the classes that the classifier was fitted on
        and those of the held-out labels. Needed if the matrix has more classes.
    balanced : bool, default=False
        Whether to estimate the balanced accuracy, the mean recall of the classes.
    max_condition : float, default=20.0
        Largest condition number of the transition matrix; the error of the score grows
        with it. If it is exceeded, the score on the noisy labels is returned, with a
        warning.

    See Also
    --------
    noise_corrected_accuracy : The formula.
    sknoisy.scores.hoc_transition_matrix : A transition matrix from features alone.

    Notes
    -----
    Compare models with the same matrix, as :meth:`from_samples` gives it. If it is
    estimated from the probabilities of the scored model, confident errors count as
    noise: on embeddings with clean labels, the score of a 1-nearest-neighbour
    classifier with an accuracy of 62% was 98% with "votes", 100% with "confident_joint"
    and 63% with "neighbors".

    The level of the score is as good as the matrix. With "neighbors" on all samples,
    the score of the right classes, which ought to be 1, was 0.98 to 1.10 on 1,078 to
    1,257 digits with symmetric noise of at most 60%, asymmetric noise, pair flips or
    none, and 0.89 to 0.99 with instance-dependent noise, which no matrix describes. On
    2,000 embeddings, where 32% of the majorities of neighbours are wrong, it was 1.00
    to 1.14, but 1.29 with 60% symmetric noise and 1.35 with 40% pair flips; on 20,000
    of them it was 0.99 to 1.06. Such a factor is common to all models, and changes
    their order little.

    With 10 classes, the condition number is 2 for 50% and 9 for 80% symmetric noise
    (without the true class), and 5 for 40% and 10 for 45% pair flips.

    References
    ----------
    Natarajan et al., Learning with Noisy Labels, NeurIPS 2013, whose unbiased
    estimator of a loss this is, for the accuracy.

    Examples
    --------
    >>> from sklearn.datasets import make_blobs
    >>> from sklearn.linear_model import LogisticRegression
    >>> from sklearn.model_selection import cross_val_score
    >>> from sknoisy.metrics import NoiseCorrectedScorer
    >>> from sknoisy.noise import pair_flip
    >>> X, y = make_blobs(600, centers=3, random_state=0, cluster_std=0.3)
    >>> noisy = pair_flip(y, rate=0.2, random_state=0)
    >>> clf = LogisticRegression()
    >>> float(cross_val_score(clf, X, noisy.y).mean().round(1))
    0.8
    >>> scorer = NoiseCorrectedScorer.from_samples(X, noisy.y)
    >>> float(cross_val_score(clf, X, noisy.y, scoring=scorer).mean().round(1))
    1.0
    """

    def __init__(
        self, transition_matrix="auto", classes=None, balanced=False, max_condition=20.0
    ):
        self.transition_matrix = transition_matrix
        self.classes = classes
        self.balanced = balanced
        self.max_condition = max_condition

    @classmethod
    def from_samples(cls, X, y, *, method="auto", estimator=None, cv=3, **settings):
        """Return a scorer whose matrix is estimated once, from all samples.

        Parameters
        ----------
        X : array-like of shape (n_samples, ...)
            Samples. Unless `estimator` is given, their features, which may be lazy.
        y : array-like of shape (n_samples,)
            Their labels, some of them wrong.
        method : {"auto", "neighbors", "hoc", "votes", "confident_joint", "anchor"}, \
                default="auto"
            As for the parameter `transition_matrix`; "auto" is "votes" if there is an
            `estimator`.
        estimator : classifier, default=None
            Classifier whose out-of-sample probabilities the last three methods need.
        cv : int or splitter, default=3
            Folds for these probabilities.
        **settings : dict
            `balanced` and `max_condition` of the scorer.

        Returns
        -------
        scorer : NoiseCorrectedScorer
            With `transition_matrix` and `classes`.

        Notes
        -----
        The matrix is estimated from the same labels that models are scored on, but it
        is the same for all models.
        """
        check_choice("method", method, ["auto", *NAMES])
        check_order(X, y=y)
        classes, _ = encode_labels(y)
        if method == "auto":
            method = "neighbors" if estimator is None else "votes"
        pred_probs = None
        if method not in OF_FEATURES:
            if estimator is None:
                raise ValueError(f"method={method!r} needs an estimator.")
            if not hasattr(estimator, "predict_proba"):
                raise ValueError(
                    f"estimator={estimator!r} is not valid: it must be a classifier "
                    "with predict_proba."
                )
            how = {"cv": cv, "method": "predict_proba"}
            pred_probs = cross_val_predict(estimator, X, y, **how)
        T = transition_matrix_of(method, X, y, classes, pred_probs)
        return cls(T, classes=classes, **settings)

    def __call__(self, estimator, X, y):
        """Return the corrected score of a fitted classifier.

        Parameters
        ----------
        estimator : estimator
            A fitted classifier.
        X : array-like of shape (n_samples, ...)
            Held-out samples.
        y : array-like of shape (n_samples,)
            Their given labels, some of them wrong.

        Returns
        -------
        score : float
            High is good. It may lie slightly outside [0, 1].
        """
        counts, T, is_corrected = self._evidence(estimator, X, y)
        return float(self._score(counts, T, is_corrected))

    def evaluate(self, estimator, X, y, n_bootstrap=1000, random_state=None):
        """Return the score, its standard error and the transition matrix.

        Parameters
        ----------
        estimator : estimator
            A fitted classifier.
        X : array-like of shape (n_samples, ...)
            Held-out samples.
        y : array-like of shape (n_samples,)
            Their given labels, some of them wrong.
        n_bootstrap : int, default=1000
            Number of bootstrap samples.
        random_state : int, RandomState instance or None, default=None
            Seed of the bootstrap.

        Returns
        -------
        result : CorrectedScore
            The score and what it is based on.
        """
        check_integer("n_bootstrap", n_bootstrap, low=2)
        rng = random_numbers(random_state)
        counts, T, is_corrected = self._evidence(estimator, X, y)
        n = int(counts.sum())
        # The score depends only on the counts, so it is enough to resample these.
        shares = counts.ravel() / n
        drawn = (rng.multinomial(n, shares) for _ in range(n_bootstrap))
        scores = [
            self._score(one.reshape(counts.shape), T, is_corrected) for one in drawn
        ]
        return CorrectedScore(
            score=float(self._score(counts, T, is_corrected)),
            standard_error=float(np.std(scores, ddof=1)),
            noisy_score=float(mean_score(counts, self.balanced)),
            is_corrected=is_corrected,
            transition_matrix=T,
        )

    def _score(self, counts, T, is_corrected):
        return mean_score(
            true_counts(counts, T) if is_corrected else counts, self.balanced
        )

    def _evidence(self, estimator, X, y):
        """Return the confusion counts, the matrix, and whether it can be used."""
        check_real("max_condition", self.max_condition, "[1, inf]")
        by_name = isinstance(self.transition_matrix, str)
        if by_name:
            check_choice("transition_matrix", self.transition_matrix, ["auto", *NAMES])
        y_pred = estimator.predict(X)
        classes = self._classes(estimator, y, y_pred)
        counts = confusion_counts(y, y_pred, classes)
        if by_name:
            T = self._estimated(estimator, X, y, classes)
        else:
            T = _checked(self.transition_matrix, classes)
        condition = condition_of(T)
        is_corrected = np.isfinite(condition) and condition <= self.max_condition
        if not is_corrected:
            warn(
                f"The transition matrix has condition number {condition:.3g}, above "
                f"max_condition={self.max_condition!r}: returning the score on the "
                "noisy labels, not corrected.",
            )
        return counts, T, is_corrected

    def _classes(self, estimator, y, y_pred):
        if self.classes is not None:
            check_sorted(self.classes)
            return np.asarray(self.classes)
        known = getattr(estimator, "classes_", None)
        known = encode_labels(y_pred)[0] if known is None else np.asarray(known)
        return np.union1d(known, encode_labels(y)[0])

    def _estimated(self, estimator, X, y, classes):
        method = self.transition_matrix
        if method == "auto":
            complete = is_table(X) and is_finite(X)
            method = "neighbors" if complete else "votes"
        predicts = method not in OF_FEATURES
        pred_probs = self._predicted(estimator, X, classes) if predicts else None
        return transition_matrix_of(method, X, y, classes, pred_probs)

    def _predicted(self, estimator, X, classes):
        if not hasattr(estimator, "predict_proba"):
            raise ValueError(
                f"transition_matrix={self.transition_matrix!r} is not valid: "
                f"{type(estimator).__name__} has no predict_proba. Pass a matrix."
            )
        strange = np.setdiff1d(estimator.classes_, classes)
        if len(strange):
            raise ValueError(
                f"classes={self.classes!r} is not valid: the classifier knows "
                f"{some(strange)}, too."
            )
        predicted = np.asarray(estimator.predict_proba(X))
        return in_columns(predicted, estimator.classes_, classes)


def _checked(transition_matrix, classes):
    """Return a transition matrix of these classes, or raise ``ValueError``."""
    shape, n = np.shape(transition_matrix), len(classes)
    if shape != (n, n):
        raise ValueError(
            f"transition_matrix of shape {shape} is not valid: there are {n} classes, "
            f"{some(classes)}. If these labels lack some, pass all as classes."
        )
    return check_transition_matrix(transition_matrix, n)
