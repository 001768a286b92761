"""LabelCleaningClassifier: trains any classifier on what a detector makes of labels."""

import numpy as np
from scipy.sparse import issparse
from sklearn.base import clone
from sklearn.exceptions import NotFittedError
from sklearn.preprocessing import (
    MaxAbsScaler,
    MinMaxScaler,
    RobustScaler,
    StandardScaler,
)
from sklearn.utils.validation import validate_data

from sknoisy._compat import CallbackSupportMixin, with_callbacks
from sknoisy.checks import check_lengths, random_numbers, seed_for_clones
from sknoisy.data.frames import as_sparse
from sknoisy.data.given import check_groups, check_trusted
from sknoisy.data.inputs import check_container
from sknoisy.data.labels import check_given, check_several, encode_labels
from sknoisy.data.order import check_order
from sknoisy.detection.checks import check_detector
from sknoisy.detection.detector import LabelErrorDetector
from sknoisy.detection.judging import better_judge, kernel_can_judge
from sknoisy.detection.label_free import label_free_steps
from sknoisy.detection.report import warn_of_labels
from sknoisy.encoders.features import LazyFeatures
from sknoisy.estimators.base import fitting_often
from sknoisy.estimators.base_classifier import TorchClassifier
from sknoisy.estimators.classifier import NoisyRobustClassifier
from sknoisy.estimators.findings import Findings
from sknoisy.estimators.pipelines import (
    check_classifier,
    check_steps,
    finding_classes,
)
from sknoisy.estimators.saving import Saved
from sknoisy.estimators.soft_training import OnSoftLabels, fit_soft
from sknoisy.training.progress import Tasks
from sknoisy.warning import without_advice

# Of columns by themselves, which change no shape and no order of values.
SCALERS = StandardScaler, MinMaxScaler, MaxAbsScaler, RobustScaler


class LabelCleaningClassifier(Findings, OnSoftLabels, CallbackSupportMixin, Saved):
    """Train any classifier on cleaned labels.

    A detector judges the labels first. They become soft labels, a probability for each
    class, which the classifier is trained on.

    Parameters
    ----------
    estimator : classifier
        Any scikit-learn classifier or pipeline; it is cloned. It is trained on the soft
        labels if it takes them, as those of this package do, or with a
        ``sample_weight`` if it takes that: each sample then appears once for each of
        its probable classes, with their probabilities as weights. Otherwise, and in
        pipelines with a sampler, such as those of imbalanced-learn, it is trained on
        ``labels_``.
    detector : LabelErrorDetector, default=None
        The detector that judges the labels; it is cloned. None: for tables of finite
        numbers, dense or sparse, and for lazy features, a detector around
        :class:`NoisyRobustClassifier`. It takes a single training of seconds, and
        mostly judges better than five folds of another classifier. If five folds of
        `estimator` predict more of the given labels, and with a lower loss, both by two
        standard errors, they judge instead; one training of `estimator` on four fifths
        of the samples first shows whether that is likely. If a pipeline starts with
        steps that learn without labels, such as a TfidfVectorizer of texts, their
        output is the table. For all other X, such as images and tables with missing
        values, the detector is one around `estimator` itself, which then needs
        ``predict_proba``.
    random_state : int, RandomState or None, default=None
        Source of randomness of the default detector; `estimator` has its own.

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
        Length of axis 1 of X, if it has one.

    See Also
    --------
    LabelErrorDetector : Finds the wrong labels for people to review.
    NoisyRobustClassifier : Trains on noisy labels as they are.
    PseudoLabelRefiner : Refines labels while it trains a classifier in epochs.

    Notes
    -----
    The soft labels are those of :func:`sknoisy.scores.soft_labels`, from the detector's
    out-of-sample probabilities. Classes with a probability below 0.05 are left out of
    the weighted copies. In a Pipeline the steps before the classifier are fitted to
    ``labels_``. A label that no other sample has is kept, because the others cannot
    tell whether it is right.

    cleanlab's CleanLearning removes the samples whose labels it calls wrong, by folds
    of the classifier itself. On thirteen tables, logistic regression, a forest and
    boosted trees gained more when the kernel machine judged the labels. With folds of
    their own, the first two gained as much as with cleanlab
    (docs/benchmarks/embeddings.md).

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
    def fit(self, X, y=None, sample_weight=None, groups=None, trusted=None):
        """Judge the labels, and train.

        Parameters
        ----------
        X : array-like of shape (n_samples, ...)
            Samples, in any form that `estimator` takes.
        y : array-like of shape (n_samples,)
            Labels, some of them wrong: integers, booleans or strings.
        sample_weight : array-like of shape (n_samples,), default=None
            Weights of the samples in the training of the detector's classifier and of
            `estimator`, which must take them. The labels of all samples are judged
            alike.
        groups : array-like of shape (n_samples,), default=None
            Group of each sample: samples of one group are in the same fold of the
            detector.
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

        Warns
        -----
        UserWarning
            If the detector's predictions agree with labels no more than they may by
            chance, so that these stay as they are, or if a class has no label left.
        """
        with fitting_often(self, X):
            return self._fit(X, y, sample_weight, groups, trusted)

    def _fit(self, X, y, sample_weight, groups, trusted):
        check_container(X)
        self._check_parameters()
        check_given(self, y)
        classes, codes = encode_labels(y)
        check_several(classes)
        check_lengths(X=X, y=codes)
        check_order(X, y=y, sample_weight=sample_weight, groups=groups, trusted=trusted)
        check_groups(groups, len(codes))
        check_trusted(trusted, len(codes))
        weights = self._weights(sample_weight, len(codes))
        validate_data(self, X, skip_check_array=True)
        tasks = Tasks(self, X, y, n_tasks=2)
        estimator = rest = finding_classes(clone(self.estimator), classes)
        warn_of_labels(X, codes)
        judged, shared = X, label_free_steps(estimator) if self.detector is None else []
        if shared:
            judged, X, steps = _shared_features(estimator, len(shared), X)
            rest = estimator[len(shared) :]
        detector = self._make_detector(rest, judged)
        with tasks.part("fit-detector", detector), without_advice():
            detector.fit(judged, y, sample_weight, groups, trusted)
        if self._may_judge(rest, detector):
            given = sample_weight, groups, trusted
            detector = better_judge(detector, rest, X, y, *given)
        detector._warn_of_concerns()
        classes, soft_labels = detector.classes_, detector.soft_labels_
        labels = classes[soft_labels.argmax(axis=1)]
        with tasks.part("fit-estimator", rest), without_advice():
            fit_soft(rest, X, labels, soft_labels, classes, sample_weight=weights)
        if shared:
            estimator.steps = [*steps, *rest.steps]
        self.estimator_, self.detector_ = estimator, detector
        self.classes_, self.labels_, self.soft_labels_ = classes, labels, soft_labels
        tasks.end()
        return self

    def _check_parameters(self):
        check_classifier(self.estimator)
        check_steps(self.estimator)
        if not (self.detector is None or isinstance(self.detector, LabelErrorDetector)):
            raise ValueError(
                f"detector={self.detector!r} is not valid: it must be a "
                "LabelErrorDetector or None."
            )
        if self.detector is not None:
            try:
                check_detector(clone(self.detector))
            except NotFittedError as error:
                raise ValueError(
                    f"detector={self.detector!r} is not valid: it is cloned together "
                    "with its classifier, which is then no longer fitted. Pass "
                    "LabelErrorDetector(FrozenEstimator(classifier), cv='prefit')."
                ) from error
        random_numbers(self.random_state)

    def _make_detector(self, estimator, X):
        """Return the detector, to be fitted on X."""
        if self.detector is not None:
            return clone(self.detector)
        lazy, seed = isinstance(X, LazyFeatures), seed_for_clones(self.random_state)
        if kernel_can_judge(X):
            judge = None
            if not issparse(as_sparse(X)):
                judge = NoisyRobustClassifier(freeze_encoder=lazy, random_state=seed)
        elif hasattr(estimator, "predict_proba"):
            judge = clone(estimator)
        else:
            raise ValueError(
                f"estimator={self.estimator!r} is not valid: it has no predict_proba, "
                "by which it must judge the labels itself where X is not a table of "
                "finite numbers. Put CalibratedClassifierCV around the classifier, or "
                "pass detector=LabelErrorDetector(another_classifier)."
            )
        return LabelErrorDetector(judge, random_state=seed)

    def _may_judge(self, estimator, detector):
        """Whether folds of the classifier may judge instead of the fitted detector."""
        if self.detector is not None or not hasattr(estimator, "predict_proba"):
            return False
        judge = detector.estimator
        if not (judge is None or isinstance(judge, NoisyRobustClassifier)):
            return False  # folds of the classifier have judged
        # Folds of networks would take too long.
        parts = [estimator, *estimator.get_params().values()]
        return not any(isinstance(part, TorchClassifier) for part in parts)

    def _findings(self):
        given = self.classes_[self.detector_._codes]
        n_changed, n = np.count_nonzero(self.labels_ != given), len(given)
        return [
            ("Labels trained on that differ", f"{n_changed:,} of {n:,}"),
            ("Estimated share of wrong labels", self.detector_._rate()),
            ("Classes", len(self.classes_)),
        ]


def _shared_features(estimator, n, X):
    """Fit the first n steps of a pipeline, which learn without labels.

    Parameters
    ----------
    estimator : Pipeline
        Whose steps are fitted.
    n : int
        Number of steps.
    X : array-like of shape (n_samples, ...)
        Samples.

    Returns
    -------
    judged : array-like of shape (n_samples, ...)
        What a kernel machine is to judge: what the steps make of X, but for scalers at
        their end. It chooses scales by itself, and of embeddings one for all columns.
    X : array-like of shape (n_samples, ...)
        What all of these steps make of X.
    steps : list of tuple
        These steps, fitted, with their names.
    """
    n_before = n
    while n_before and isinstance(estimator.steps[n_before - 1][1], SCALERS):
        n_before -= 1
    steps, judged = [], X
    if n_before:
        first = estimator[:n_before]
        judged = first.fit_transform(X)
        steps = first.steps
    X = judged
    if n_before < n:
        scalers = estimator[n_before:n]
        X = scalers.fit_transform(judged)
        steps = [*steps, *scalers.steps]
        if not kernel_can_judge(judged):
            judged = X  # which the classifier's own folds judge
    return judged, X, steps
