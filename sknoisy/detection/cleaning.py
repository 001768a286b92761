"""LabelCleaningClassifier: trains any classifier on what a detector makes of labels."""

import numpy as np
from sklearn.base import ClassifierMixin, MetaEstimatorMixin, clone
from sklearn.pipeline import Pipeline
from sklearn.utils import get_tags
from sklearn.utils.metaestimators import available_if
from sklearn.utils.validation import (
    check_consistent_length,
    check_is_fitted,
    validate_data,
)

from sknoisy._compat import CallbackSupportMixin, with_callbacks
from sknoisy.checks import random_numbers
from sknoisy.data.given import Labels
from sknoisy.data.inputs import check_container
from sknoisy.data.labels import check_given, encode_labels
from sknoisy.data.weights import check_sample_weight
from sknoisy.detection.detector import LabelErrorDetector
from sknoisy.detection.features import as_table, label_free_steps
from sknoisy.encoders.features import LazyFeatures
from sknoisy.estimators.base import fitting
from sknoisy.estimators.classifier import NoisyRobustClassifier
from sknoisy.estimators.findings import Findings
from sknoisy.estimators.pipelines import check_steps, finding_classes, split_pipeline
from sknoisy.estimators.saving import Saved
from sknoisy.estimators.soft_training import fit_soft, in_columns
from sknoisy.training.progress import Tasks


def _predicts_probabilities(meta):
    """Whether the estimator of a meta-estimator has predict_proba."""
    return hasattr(meta.estimator, "predict_proba")


class LabelCleaningClassifier(
    Findings, CallbackSupportMixin, ClassifierMixin, MetaEstimatorMixin, Saved
):
    """Train any classifier on cleaned labels.

    A detector judges the labels first. They become soft labels, a probability for each
    class, which the classifier is trained on.

    Parameters
    ----------
    estimator : classifier
        Any scikit-learn classifier or pipeline; it is cloned. It is trained on the soft
        labels if it takes them, as those of this package do, or else a
        ``sample_weight``: each sample then stands once for each of its probable
        classes, with their probabilities as weights. Otherwise it is trained on
        ``labels_``.
    detector : LabelErrorDetector, default=None
        What judges the labels; it is cloned. None: of tables of finite numbers and of
        lazy features, one around :class:`NoisyRobustClassifier`, whatever `estimator`
        is, which takes one training of seconds, and mostly judges better than five
        folds of another classifier. Of a pipeline it judges what the leading steps
        make of X that learn without labels. Of all else, such as images, text and
        tables with missing values, one around `estimator` itself.
    random_state : int, RandomState or None, default=None
        Source of randomness of the detector that is made if there is none;
        `estimator` has its own.

    Attributes
    ----------
    labels_ : ndarray of shape (n_samples,)
        The most probable label of each sample.
    soft_labels_ : ndarray of shape (n_samples, n_classes), float64
        Probability of each class; columns are in the order of `classes_`.
    detector_ : LabelErrorDetector
        The fitted detector: which labels are wrong, how many, and more.
    estimator_ : classifier
        The fitted classifier.
    classes_ : ndarray of shape (n_classes,)
        The classes.
    n_features_in_ : int
        Length of axis 1 of X, where it has one.

    See Also
    --------
    LabelErrorDetector : Which labels are wrong, for people.
    NoisyRobustClassifier : Trains on noisy labels as they are.
    PseudoLabelRefiner : Refines labels while it trains a classifier of epochs.

    Notes
    -----
    The soft labels are those of :func:`sknoisy.scores.soft_labels`, from the detector's
    out-of-sample probabilities. Classes of a probability below 0.05 are left out of the
    weighted copies. In a Pipeline the steps before the classifier are fitted to
    ``labels_``.

    cleanlab's CleanLearning removes the labels that it calls wrong, by folds of the
    classifier itself. On thirteen tables a forest gained most from soft labels, and
    all classifiers from the judgement of the kernel machine, see the page of benchmarks
    on embeddings and tables.

    References
    ----------
    Northcutt, Jiang and Chuang, Confident Learning: Estimating Uncertainty in Dataset
    Labels, JAIR 2021, for training on cleaned labels, there by leaving samples out.

    Examples
    --------
    >>> from sklearn.datasets import load_iris
    >>> from sklearn.ensemble import RandomForestClassifier
    >>> from sknoisy import LabelCleaningClassifier
    >>> from sknoisy.noise import symmetric_exclusive
    >>> X, y = load_iris(return_X_y=True)
    >>> noisy = symmetric_exclusive(y, rate=0.4, random_state=0).y
    >>> forest = RandomForestClassifier(random_state=0)
    >>> cleaned = LabelCleaningClassifier(forest, random_state=0).fit(X, noisy)
    >>> bool(cleaned.score(X, y) > forest.fit(X, noisy).score(X, y) + 0.2)
    True
    """

    def __init__(self, estimator, detector=None, random_state=None):
        self.estimator = estimator
        self.detector = detector
        self.random_state = random_state

    @with_callbacks
    def fit(self, X, y=None, groups=None, sample_weight=None, trusted=None):
        """Judge the labels, and train.

        Parameters
        ----------
        X : array-like of shape (n_samples, ...)
            Whatever the estimator takes.
        y : array-like of shape (n_samples,)
            Labels, some of them wrong: integers, booleans or strings.
        groups : array-like of shape (n_samples,), default=None
            Samples that belong together: those of a group are in one fold of the
            detector.
        sample_weight : array-like of shape (n_samples,), default=None
            Weights of the samples in the training of the detector's classifier and of
            `estimator`, which must take them. The labels of all are judged alike.
        trusted : array-like of shape (n_samples,), default=None
            True where a label is known to be right: it is kept.

        Returns
        -------
        self : LabelCleaningClassifier
            This estimator.

        Raises
        ------
        ValueError
            If X, y or a parameter is not valid, before training starts.
        """
        with fitting(self):
            return self._fit(X, y, groups, sample_weight, trusted)

    def _fit(self, X, y, groups, sample_weight, trusted):
        check_container(X)
        self._check_parameters()
        check_given(self, y)
        classes, codes = encode_labels(y)
        weights = self._weights(sample_weight, len(codes))
        validate_data(self, X, skip_check_array=True)
        tasks = Tasks(self, X, y, n_tasks=2)
        estimator = finding_classes(clone(self.estimator), classes)
        head, estimator = self._split(estimator)
        if head is not None:
            check_consistent_length(X, codes)
            X = head.fit_transform(X)
        detector = self._make_detector(estimator, X)
        with tasks.part("fit-detector", detector):
            detector.fit(X, y, groups, sample_weight, trusted)
        soft_labels = detector.soft_labels_
        labels = classes[soft_labels.argmax(axis=1)]
        with tasks.part("fit-estimator", estimator):
            fit_soft(estimator, X, labels, soft_labels, classes, sample_weight=weights)
        if head is not None:
            estimator = Pipeline([*head.steps, *estimator.steps])
        self.estimator_, self.detector_ = estimator, detector
        self.classes_, self.labels_, self.soft_labels_ = classes, labels, soft_labels
        tasks.end()
        return self

    def predict(self, X):
        """Return the most probable class of each sample.

        Parameters
        ----------
        X : array-like of shape (n_samples, ...)
            Whatever the estimator takes.

        Returns
        -------
        labels : ndarray of shape (n_samples,)
            In the dtype of ``classes_``.
        """
        check_is_fitted(self, "estimator_")
        return self.estimator_.predict(X)

    @available_if(_predicts_probabilities)
    def predict_proba(self, X):
        """Return the probability of each class.

        Parameters
        ----------
        X : array-like of shape (n_samples, ...)
            Whatever the estimator takes.

        Returns
        -------
        probabilities : ndarray of shape (n_samples, n_classes)
            Columns are in the order of ``classes_``.
        """
        check_is_fitted(self, "estimator_")
        return in_columns(
            self.estimator_.predict_proba(X), self.estimator_.classes_, self.classes_
        )

    def _check_parameters(self):
        estimator = self.estimator
        can = all(hasattr(estimator, name) for name in ("fit", "predict"))
        if isinstance(estimator, type) or not can:
            raise ValueError(
                f"estimator={estimator!r} is not valid: it must be a classifier, an "
                "object with fit and predict."
            )
        check_steps(estimator)
        if not (self.detector is None or isinstance(self.detector, LabelErrorDetector)):
            raise ValueError(
                f"detector={self.detector!r} is not valid: it must be a "
                "LabelErrorDetector or None."
            )
        random_numbers(self.random_state)

    def _weights(self, sample_weight, n_samples):
        """Return checked weights, float64, as they are given, or None."""
        if sample_weight is None:
            return None
        check_sample_weight(sample_weight, n_samples)
        weights = np.broadcast_to(np.asarray(sample_weight, np.float64), n_samples)
        _, last = split_pipeline(self.estimator)
        Labels(weights, weights=weights).arguments(last, "estimator")  # takes them
        return weights

    def _split(self, estimator):
        """Return the steps that detector and classifier share, or None, and the rest.

        They lead a pipeline and learn without labels.
        """
        n = 0 if self.detector is not None else len(label_free_steps(estimator))
        return (estimator[:n], estimator[n:]) if n else (None, estimator)

    def _make_detector(self, estimator, X):
        """Return the detector, to be fitted on X."""
        if self.detector is not None:
            return clone(self.detector)
        lazy, seed = isinstance(X, LazyFeatures), self.random_state
        if lazy or as_table(X) is not None:
            estimator = NoisyRobustClassifier(freeze_encoder=lazy, random_state=seed)
        return LabelErrorDetector(estimator, random_state=seed)

    def _findings(self):
        given = self.classes_[self.detector_._codes]
        n_changed, n = np.count_nonzero(self.labels_ != given), len(given)
        return [
            ("Labels trained on that differ", f"{n_changed:,} of {n:,}"),
            ("Estimated share of wrong labels", self.detector_._rate()),
            ("Classes", len(self.classes_)),
        ]

    def __sklearn_tags__(self):
        tags = super().__sklearn_tags__()
        if hasattr(self.estimator, "__sklearn_tags__"):
            tags.input_tags = get_tags(self.estimator).input_tags
        return tags
