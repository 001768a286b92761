"""AnnotatorConsensus: trains a classifier on what several annotators say together."""

import numpy as np
from sklearn.base import clone
from sklearn.utils import indexable
from sklearn.utils.validation import (
    check_consistent_length,
    check_is_fitted,
    validate_data,
)

from sknoisy._compat import CallbackSupportMixin, num_samples, with_callbacks
from sknoisy.annotators.agreement import active_scores, crowdlab
from sknoisy.annotators.crowds import dawid_skene, majority_vote
from sknoisy.annotators.table import (
    Annotations,
    check_samples,
    is_long,
    read_annotations,
)
from sknoisy.annotators.training import out_of_sample
from sknoisy.checks import check_choice, check_lengths
from sknoisy.data.given import check_groups
from sknoisy.data.inputs import check_container
from sknoisy.data.labels import check_given, check_several, some
from sknoisy.data.order import check_order
from sknoisy.detection.checks import check_source
from sknoisy.estimators.base import fitting_often
from sknoisy.estimators.pipelines import (
    check_classifier,
    check_steps,
    finding_classes,
)
from sknoisy.estimators.saving import Saved
from sknoisy.estimators.soft_training import OnSoftLabels, fit_soft
from sknoisy.training.progress import Tasks

FROM_LABELS = {"dawid_skene": dawid_skene, "majority_vote": majority_vote}


def annotations_of(X, y):
    """Return annotations of the samples in X; a long table names them.

    Raises
    ------
    ValueError
        If a wide table has the names of X in another order; or as
        :func:`read_annotations` does.
    """
    if not is_long(y):
        check_order(X, y=y)
        annotations = read_annotations(y)
        if isinstance(y, Annotations):
            check_samples(X, "X", y, annotations)
        return annotations
    names = X.index if hasattr(X, "iloc") else np.arange(num_samples(X))
    return read_annotations(y, samples=names)


def _check_type(found, classes):
    """Raise ``ValueError`` if only one of two arrays of labels holds texts."""
    if (found.dtype.kind in "OUS") != (classes.dtype.kind in "OUS"):
        raise ValueError(
            f"y holds labels of another type than those of fit: {some(found)}, and "
            f"{some(classes)}."
        )


class AnnotatorConsensus(OnSoftLabels, CallbackSupportMixin, Saved):
    """Train a classifier on the labels of several annotators.

    The labels of each sample are combined into one, which the classifier is trained on:
    with CROWDLAB the consensus, with other methods a soft label, a probability for each
    class.

    Parameters
    ----------
    estimator : classifier
        Any scikit-learn classifier or pipeline; it is cloned. With CROWDLAB it is
        trained on ``labels_``. With other methods it is trained on ``soft_labels_`` if
        it takes them, as those of this package do, or with a ``sample_weight`` if it
        takes that: each sample then appears once for each of its probable classes, with
        their probabilities as weights. Otherwise, and in pipelines with a sampler, such
        as those of imbalanced-learn, it is trained on ``labels_``.
    method : {"crowdlab", "dawid_skene", "majority_vote"}, default="crowdlab"
        How labels are combined. "crowdlab" also uses the classifier's own out-of-sample
        probabilities, see :func:`crowdlab`; the others use the labels alone.
    cv : int, splitter or iterable of splits, default=5
        The folds of the classifier, for CROWDLAB, as in :class:`LabelErrorDetector`.
    n_jobs : int, default=None
        Number of folds that run at the same time.
    random_state : int, RandomState or None, default=None
        Source of randomness of the folds.

    Attributes
    ----------
    labels_ : ndarray of shape (n_samples,)
        The consensus label of each sample.
    soft_labels_ : ndarray of shape (n_samples, n_classes), float64
        Probability of each class; columns are in the order of `classes_`.
    label_quality_ : ndarray of shape (n_samples,), float64
        Probability that the consensus label is right; low is bad.
    annotation_quality_ : ndarray of shape (n_samples, n_annotators), float64
        Probability that each annotator's label is right; NaN where there is none.
    annotator_quality_ : ndarray of shape (n_annotators,), float64
        How far each annotator can be trusted, in [0, 1]. Use it to compare annotators:
        with CROWDLAB it is lower than their share of right labels. NaN without labels.
    annotators_ : ndarray of shape (n_annotators,)
        Names of the annotators: a DataFrame's columns, else 0, 1 and so on.
    relabel_order_ : ndarray of shape (n_samples,), dtype int64
        Positions in X of the samples that another label would help most, first: by
        ActiveLab, see :func:`active_scores`; without CROWDLAB by `label_quality_`.
    pred_probs_ : ndarray of shape (n_samples, n_classes) or None
        The classifier's out-of-sample probabilities; None without CROWDLAB.
    estimator_ : classifier
        The fitted classifier.
    classes_ : ndarray of shape (n_classes,)
        The classes.
    n_features_in_ : int
        Length of axis 1 of X, if it has one.

    See Also
    --------
    LabelErrorDetector : Finds wrong labels where each sample has one label.

    Notes
    -----
    CROWDLAB's probabilities are far less certain than they should be, because each
    annotator's label leaves a share to all other classes. The classifiers that were
    tried were better when trained on its labels.

    For CROWDLAB, the classifier is first cross-validated on the majority votes; a tie
    goes to the annotators who agree most with the others. Pre-trainers at the start of
    a pipeline are fitted once, if they learn without labels.

    Samples without any label, which only CROWDLAB takes, get a soft label from the
    classifier's predictions. Only pre-trainers, and classifiers of this package that
    make use of unlabelled samples, learn from them.

    In a search or ``cross_val_score``, y must be a table with a row for each sample. If
    it has gaps, an integer `cv` there fails with a TypeError or ValueError, because
    scikit-learn stratifies by complete labels only: pass ``cv=KFold(5)``.

    Examples
    --------
    >>> import numpy as np
    >>> from sklearn.datasets import load_iris
    >>> from sklearn.linear_model import LogisticRegression
    >>> from sknoisy.annotators import AnnotatorConsensus
    >>> from sknoisy.noise import symmetric_exclusive
    >>> X, y = load_iris(return_X_y=True)
    >>> rates = [0.1, 0.3, 0.5]
    >>> given = [symmetric_exclusive(y, r, random_state=k) for k, r in enumerate(rates)]
    >>> table = np.stack([noisy.y for noisy in given], axis=1)
    >>> clf = AnnotatorConsensus(LogisticRegression(max_iter=500), random_state=0)
    >>> clf.fit(X, table).annotator_quality_.argsort()  # worst first
    array([2, 1, 0])
    >>> bool((clf.labels_ == y).mean() > 0.9)
    True
    """

    def __init__(
        self, estimator, method="crowdlab", cv=5, n_jobs=None, random_state=None
    ):
        self.estimator = estimator
        self.method = method
        self.cv = cv
        self.n_jobs = n_jobs
        self.random_state = random_state

    @with_callbacks
    def fit(self, X, y=None, sample_weight=None, groups=None):
        """Combine the labels, and train.

        Parameters
        ----------
        X : array-like of shape (n_samples, ...)
            Samples, in any form that `estimator` takes.
        y : array-like or DataFrame
            Labels of several annotators, of shape (n_samples, n_annotators), with NaN,
            None or pandas.NA where there is none; or a DataFrame with the columns
            "sample", "annotator" and "label", in which samples are positions in X, or
            in its index. Labels of one annotator may have the shape (n_samples,).
        sample_weight : array-like of shape (n_samples,), default=None
            Weights of the samples in all trainings of the classifier, which must take
            them. They do not weigh the labels that are combined.
        groups : array-like of shape (n_samples,), default=None
            Group of each sample: samples of one group are in the same fold.

        Returns
        -------
        self : AnnotatorConsensus
            This estimator.

        Raises
        ------
        ValueError
            If X, y or a parameter is not valid, before training starts.
        """
        with fitting_often(self, X):
            return self._fit(X, y, sample_weight, groups)

    @property
    def annotation_quality_(self):
        """Probability that each annotator's label is right; NaN where there is none.

        The table is made at each access: with many annotators it is nearly empty, and
        may be far larger than their labels.
        """
        check_is_fitted(self, "soft_labels_")
        rows, columns, codes = self._annotations
        table = np.full((len(self.soft_labels_), len(self.annotators_)), np.nan)
        table[rows, columns] = self.soft_labels_[rows, codes]
        return table

    def score(self, X, y, sample_weight=None):
        """Return the accuracy of the predictions.

        Parameters
        ----------
        X : array-like of shape (n_samples, ...)
            Samples, in any form that `estimator` takes.
        y : array-like or DataFrame
            True labels of shape (n_samples,), or a table of several annotators' labels,
            each of which counts equally.
        sample_weight : array-like of shape (n_samples,), default=None
            Weights of the samples.

        Returns
        -------
        accuracy : float
            Share of the labels that are predicted correctly.

        Raises
        ------
        ValueError
            If y is not valid, holds texts where `fit` was given numbers or the reverse,
            or has the index of X in another order, as the weights may have.
        """
        annotations = annotations_of(X, y)
        check_order(X, sample_weight=sample_weight)
        predicted = np.asarray(self.predict(X))
        _check_type(annotations.classes, self.classes_)
        check_consistent_length(predicted, annotations.samples, sample_weight)
        given = annotations.classes[annotations.codes]
        rows = annotations.rows
        weights = None if sample_weight is None else np.asarray(sample_weight)[rows]
        return float(np.average(given == predicted[rows], weights=weights))

    def _check_parameters(self):
        check_choice("method", self.method, ["crowdlab", *FROM_LABELS])
        check_source(self.cv, names=())
        check_classifier(self.estimator)
        check_steps(self.estimator)
        if self.method == "crowdlab" and not hasattr(self.estimator, "predict_proba"):
            raise ValueError(
                f"estimator={self.estimator!r} is not valid with method='crowdlab': it "
                "must have predict_proba. CalibratedClassifierCV gives it to any "
                "classifier."
            )

    def _fit(self, X, y, sample_weight, groups):
        check_container(X)
        self._check_parameters()
        check_given(self, y)
        annotations = annotations_of(X, y)
        check_lengths(X=X, y=annotations.samples)
        check_order(X, sample_weight=sample_weight, groups=groups)
        check_groups(groups, annotations.n_samples)
        check_several(annotations.classes)
        weights = self._weights(sample_weight, annotations.n_samples)
        validate_data(self, X, skip_check_array=True)
        (X,) = indexable(X)
        tasks = Tasks(self, X, y, n_tasks=2)
        with tasks.part("consensus"):
            consensus = self._combine(X, annotations, groups, weights)
        estimator = finding_classes(clone(self.estimator), consensus.classes)
        with tasks.part("fit-estimator", estimator):
            self.estimator_ = fit_soft(
                estimator,
                X,
                consensus.labels,
                self._learned(consensus),
                consensus.classes,
                labelled=annotations.n_labels > 0,
                sample_weight=weights,
            )
        self.classes_ = consensus.classes
        self.labels_ = consensus.labels
        self.soft_labels_ = consensus.soft_labels
        self.label_quality_ = consensus.label_quality
        self._annotations = annotations.rows, annotations.columns, annotations.codes
        self.annotator_quality_ = consensus.annotator_quality
        self.annotators_ = consensus.annotators
        tasks.end()
        return self

    def _learned(self, consensus):
        """Return what is trained on, probabilities of classes, (n, n_classes)."""
        if self.method != "crowdlab":
            return consensus.soft_labels
        codes = np.searchsorted(consensus.classes, consensus.labels)
        return np.eye(len(consensus.classes))[codes]

    def _combine(self, X, annotations, groups, weights):
        """Return the consensus; set what the method knows besides."""
        if self.method != "crowdlab":
            consensus = FROM_LABELS[self.method](annotations)
            self.pred_probs_ = None
            scores = consensus.label_quality
        else:
            settings = self.cv, self.n_jobs, self.random_state, groups, weights
            self.pred_probs_ = out_of_sample(self.estimator, X, annotations, *settings)
            consensus = crowdlab(annotations, self.pred_probs_)
            scores = active_scores(consensus)
        self.relabel_order_ = np.argsort(scores, kind="stable")
        return consensus
