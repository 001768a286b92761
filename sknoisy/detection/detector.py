"""LabelErrorDetector: which labels are wrong, how sure, and what they should be."""

from dataclasses import replace

import numpy as np
from scipy.sparse import issparse
from sklearn.base import MetaEstimatorMixin, clone
from sklearn.pipeline import make_pipeline
from sklearn.utils import get_tags
from sklearn.utils.validation import (
    check_is_fitted,
    validate_data,
)

from sknoisy._compat import CallbackSupportMixin, with_callbacks
from sknoisy.checks import check_lengths, seed_for_clones
from sknoisy.data.frames import as_sparse
from sknoisy.data.given import Labels, check_groups, check_trusted
from sknoisy.data.inputs import check_container, paths_of
from sknoisy.data.labels import (
    check_given,
    check_several,
    encode_labels,
    warn_of_minus_one,
)
from sknoisy.data.order import check_order, index_of
from sknoisy.data.weights import check_sample_weight
from sknoisy.detection.checks import check_detector, source_of
from sknoisy.detection.evidence import are_alone
from sknoisy.detection.features import Densifier
from sknoisy.detection.folds import FOLDS, check_two_of_two, from_folds
from sknoisy.detection.issues import ListingIssues
from sknoisy.detection.methods import DETECTION_METHODS
from sknoisy.detection.report import (
    agreement_of,
    class_table,
    doubt_of_rate,
    lost_classes,
    single_labels,
    table_of,
    warn_of_doubt,
    warn_of_labels,
    warn_of_memory,
    warn_of_near_copies,
)
from sknoisy.detection.reviewing import Reviewing
from sknoisy.detection.sources import (
    from_dynamics,
    from_neighbors,
    from_prefit,
    leaves_out,
)
from sknoisy.detection.verdict import joint_of, relabel_order, verdict
from sknoisy.estimators.base import fitting_often
from sknoisy.estimators.classifier import NoisyRobustClassifier
from sknoisy.estimators.pipelines import finding_classes, with_arguments
from sknoisy.estimators.saving import Saved
from sknoisy.parameters import NamedMethods
from sknoisy.scores.soft import soft_labels
from sknoisy.training.progress import Tasks
from sknoisy.warning import advises, warn, without_advice


class LabelErrorDetector(
    Reviewing,
    ListingIssues,
    NamedMethods,
    CallbackSupportMixin,
    MetaEstimatorMixin,
    Saved,
):
    """Find the wrong labels of a data set with a classifier.

    A label is suspect if a classifier that was not trained on it predicts another. By
    default, the classifier is cross-validated, unless a single training can predict
    each sample without its label. A pre-trainer at the start of its pipeline is fitted
    only once, on all of X, if it learns without labels.

    Parameters
    ----------
    estimator : classifier, default=None
        Any scikit-learn classifier or pipeline with ``predict_proba``; it is cloned.
        None: :class:`NoisyRobustClassifier`, which takes seconds on embeddings and
        tables. Sparse X, such as counts of words, is first reduced to 256 columns by
        TruncatedSVD, if it has more. Photographs are better judged by a pipeline that
        begins with a :class:`PretrainedEncoder`.
    method : str or DetectionMethod, default="auto"
        How labels are ranked: "confident_learning", "self_confidence",
        "normalized_margin", "area_under_margin", "loss_gmm", "wrong_events",
        "knn_agreement", or an object of :mod:`sknoisy.detection`; ``method__prune`` and
        the like reach its parameters. "auto": "loss_gmm" with ``cv="dynamics"``, else
        "confident_learning" with the quality "pairwise_confidence".
    cv : int, "auto", "dynamics", "prefit" or splitter, default="auto"
        Where the evidence comes from. An int: out-of-sample probabilities from this
        number of stratified, shuffled folds. A splitter or iterable: the same from your
        own folds, which must test each sample once. "auto": a single training if it
        predicts each sample without its label, as :class:`NoisyRobustClassifier` does
        by default on vectors and on frozen features, and if no `groups` are given;
        otherwise 5 folds. "dynamics": the losses, margins and wrong events over the
        epochs of a single training on all samples, and its predictions in the first
        epochs; for classifiers of this package. "prefit": predictions of the estimator
        as given, already fitted on other samples.
    max_false_alarms : float or None, default=0.3
        Largest expected share, in [0, 1), of right labels among those called wrong. No
        label is called wrong that is more probably right, and none at all if
        predictions agree with labels only by chance. None: the published rule of the
        method decides. A method of your own always decides itself.
    n_jobs : int, default=None
        Number of folds that run at the same time.
    random_state : int, RandomState or None, default=None
        Source of randomness of the folds.

    Attributes
    ----------
    label_errors_ : ndarray of shape (n_samples,), dtype bool
        Which labels are called wrong: those that are probably wrong, as far as
        `max_false_alarms` allows; perhaps none.
    error_probability_ : ndarray of shape (n_samples,), float64
        Probability that the label is wrong. It says nothing if `by_chance_`.
    label_quality_ : ndarray of shape (n_samples,), float
        In [0, 1]; low is bad. What it measures depends on the method.
    suggested_labels_ : ndarray of shape (n_samples,)
        The given labels, with another class where that is more probable. They depend on
        `max_false_alarms` only if it is None: then the rule of the method decides which
        labels change.
    suggestion_confidence_ : ndarray of shape (n_samples,), float64
        Probability that the suggested label is right or, where no other is suggested,
        that the given one is.
    noise_rate_ : float
        Estimated share of wrong labels, not counting the classifier's own mistakes. It
        says nothing if `by_chance_`.
    noise_rate_interval_ : tuple of float
        Ends of an interval that should contain the true share with a probability of
        95%, if all samples of a class are equally likely to have a wrong label. People
        err where samples are hard, and more of their labels are wrong than it says.
    agreement_ : float or None
        Share of the labels that equal the most probable class of `pred_probs_`; None
        without these.
    by_chance_ : bool
        Whether predictions agree with labels no more than they may by chance; if some
        labels are trusted, also with these alone. Then no label is called wrong, and a
        warning says so. False if that cannot be told, because predictions are not
        out-of-sample, as with ``cv="dynamics"``.
    transition_matrix_ : ndarray of shape (n_classes, n_classes), float64
        Estimated probability of each label (column) for each true class (row), by the
        votes of the most certain predictions.
    soft_labels_ : ndarray of shape (n_samples, n_classes), float64
        Probability of each class, to train on; see :func:`sknoisy.scores.soft_labels`.
        If `by_chance_`, that of the given label is 1. Computed anew at each access.
    confident_joint_ : ndarray of shape (n_classes, n_classes), dtype int64
        Estimated number of samples with each label (row) and true class (column).
        Without `pred_probs_`, given labels are counted against the suggested ones.
    classes_ : ndarray of shape (n_classes,)
        The classes, in the order of rows and columns.
    pred_probs_ : ndarray of shape (n_samples, n_classes)
        Out-of-sample probabilities, or the votes of neighbours; None with
        ``cv="dynamics"``, unless the training leaves each sample out.
    relabel_order_ : ndarray of shape (n_samples,), dtype int64
        Positions in X of the labels to look at again, most urgent first, see
        :func:`sknoisy.scores.relabel_priority`: of equally improbable labels, those of
        clear samples come first; trusted ones are last.
    estimator_ : classifier
        The classifier that was fitted on all samples, if there was a single training;
        the given one with ``cv="prefit"``; None with folds.
    n_features_in_ : int
        Length of axis 1 of X, if it has one.

    See Also
    --------
    sknoisy.scores : The same methods as functions of labels and probabilities.
    NoisyRobustClassifier : Trains on noisy labels as they are.

    Notes
    -----
    Probabilities are those of :func:`sknoisy.scores.label_posterior`, which says how
    they are calibrated. Those of "dynamics" come from the first epochs of the training,
    before the network memorised labels. They are the mean probabilities of the label
    and of the best other class, up to the epoch in which wrong predictions change no
    less than in the epoch before. Some wrong labels have been learned by then, so the
    noise rate tends to be too low. The upper end of its interval is at least the share
    of labels that these epochs did not predict.

    Rows of a table that are equal and have equal labels count as copies. If `cv` is a
    number, copies are in the same fold; a single training leaves them out together.
    Where equal rows have different labels, or columns have few values, equal rows are
    evidence of each other instead.

    Folds use scikit-learn's ``cross_val_predict``, in which classifiers are fitted to
    the positions of the labels in `classes_`. A `class_weight` by label, of the
    estimator or its steps, is translated to these positions, but not one in the grid of
    a search.

    "knn_agreement" fits no classifier, whatever `cv` is. It finds neighbours in the
    output of the first steps of the pipeline, as far as they learn without labels
    (pre-trainers, scalers, encoders of columns). These are fitted on all of X unless
    `cv` is "prefit". A transformer alone is enough; without any, neighbours are those
    in X.

    References
    ----------
    Northcutt, Jiang and Chuang, Confident Learning: Estimating Uncertainty in Dataset
    Labels, JAIR 2021. Where memorisation begins: Yuan, Feng and Liu, Early Stopping
    Against Label Noise Without Validation Data, ICLR 2024.

    Examples
    --------
    >>> from sklearn.datasets import load_iris
    >>> from sklearn.linear_model import LogisticRegression
    >>> from sknoisy import LabelErrorDetector
    >>> X, y = load_iris(return_X_y=True)
    >>> y[7] = 2
    >>> clf = LogisticRegression(max_iter=1000)
    >>> detector = LabelErrorDetector(clf, random_state=0).fit(X, y)
    >>> worst = detector.ranked()[0]
    >>> int(worst), int(detector.suggested_labels_[worst])
    (7, 0)
    """

    _registries = {"method": DETECTION_METHODS}
    _ephemeral = ("_inputs", "_rest")  # samples are not kept in files

    def __init__(
        self,
        estimator=None,
        method="auto",
        cv="auto",
        max_false_alarms=0.3,
        n_jobs=None,
        random_state=None,
    ):
        self.estimator = estimator
        self.method = method
        self.cv = cv
        self.max_false_alarms = max_false_alarms
        self.n_jobs = n_jobs
        self.random_state = random_state

    @with_callbacks
    def fit(self, X, y=None, sample_weight=None, groups=None, trusted=None):
        """Judge the labels.

        Parameters
        ----------
        X : array-like of shape (n_samples, ...)
            Samples, in any form that `estimator` takes.
        y : array-like of shape (n_samples,)
            Labels, some of them wrong: integers, booleans or strings.
        sample_weight : array-like of shape (n_samples,), default=None
            Weights of the samples in the training of the classifier, which must take
            them, or of their votes, if the method uses neighbours. The labels of all
            samples are judged alike.
        groups : array-like of shape (n_samples,), default=None
            Group of each sample, such as the person in a photograph: samples of one
            group are in the same fold. Groups are also passed on to a splitter of your
            own.
        trusted : array-like of shape (n_samples,), default=None
            True where a label is known to be right. Such a label is never called wrong,
            has quality 1, and does not count in the estimate of the others' noise. How
            often predictions are wrong for these samples bounds the classifier's own
            error. `trusted` is passed on to a classifier whose ``fit`` takes it.

        Returns
        -------
        self : LabelErrorDetector
            This estimator.

        Raises
        ------
        ValueError
            If X, y or a parameter is not valid, before training starts; or if the
            classifier's probabilities are not finite or do not sum to 1.

        Warns
        -----
        UserWarning
            If predictions agree with labels no more than they may by chance (not
            checked if predictions are not out-of-sample, as with ``cv="dynamics"``); if
            the noise rate may be nearly anything, or cannot be told apart from the
            classifier's own mistakes; if a class has one sample, whose label is kept,
            as no other can vouch for it; if a class has no label left among those
            suggested; if a column of a table has one value for each class; or if many
            rows of a table are near-copies of others, and no `groups` are given.
        """
        with fitting_often(self, X):
            self._fit(X, y, sample_weight, groups, trusted)
        return self

    def _fit(self, X, y, sample_weight, groups, trusted):
        check_container(X)
        method = check_detector(self)
        classes, labels = self._read(X, y, groups, method, sample_weight, trusted)
        validate_data(self, X, skip_check_array=True)
        tasks = Tasks(self, X, y, n_tasks=1)
        with without_advice():
            evidence = self._gather(method, X, labels, classes, groups, tasks)
        kept = np.zeros(len(labels), dtype=bool)
        if source_of(self.cv, method) != "prefit":
            kept = are_alone(labels.codes)
            evidence = evidence.keeping(kept)
        self._conclude(method, evidence, labels, classes, kept)
        self._paths, self._names = paths_of(X), index_of(X, y)
        self._inputs, self._rest = evidence.inputs, evidence.rest
        self._issues = None
        if advises():
            self._warn_of_concerns()
            warn_of_doubt(self._doubt)
            warn_of_labels(X, labels.codes)
        if groups is None and (table := table_of(X)) is not None:
            warn_of_near_copies(table, labels.codes)
        tasks.end()

    def _read(self, X, y, groups, method, sample_weight, trusted):
        """Return the classes and the checked Labels."""
        check_given(self, y)
        source = source_of(self.cv, method)
        if groups is not None and (source != "folds" or method.needs == "features"):
            raise ValueError(
                "groups is not valid without folds: pass cv=5 or a splitter, and a "
                "method that needs a classifier."
            )
        classes = self._classifier.classes_ if source == "prefit" else None
        classes, codes = encode_labels(y, classes)
        labels = Labels(
            codes,
            weights=check_sample_weight(sample_weight, len(codes)),
            trusted=check_trusted(trusted, len(codes)),
        )
        check_lengths(X=X, y=codes)
        check_order(X, y=y, sample_weight=sample_weight, groups=groups, trusted=trusted)
        check_groups(groups, len(codes))
        check_several(classes)
        by_prefit = source == "prefit" and method.needs != "features"
        if labels.weights is not None and by_prefit:
            raise ValueError(
                'sample_weight is not valid with cv="prefit": no classifier is trained.'
            )
        return classes, labels

    def _conclude(self, method, evidence, labels, classes, kept):
        """Set the attributes that say what the evidence tells of the labels."""
        posterior = evidence.posterior(labels.trusted)
        unseen = evidence.pred_probs is not None
        trusted = np.zeros_like(kept) if labels.trusted is None else labels.trusted
        agreement = chance = None
        if unseen and not kept.all():
            judged = labels.codes[~kept], evidence.pred_probs[~kept]
            agreement, chance = agreement_of(*judged)
        if chance is not None and trusted.any():
            known = labels.codes[trusted], evidence.pred_probs[trusted]
            chance = agreement_of(*known)[1] and chance
        single = single_labels(classes[labels.codes[kept & ~trusted]])
        if kept.any():
            labels = replace(labels, trusted=kept | trusted)
        by_chance = chance is not None
        if by_chance:
            posterior = replace(posterior, noise_rate_interval=(0.0, 1.0))
        errors, quality, suggested = verdict(
            method, evidence, posterior, labels, self.max_false_alarms, by_chance
        )
        lost = lost_classes(classes, labels.codes, suggested)
        self._concerns = [concern for concern in (chance, single, lost) if concern]
        self._doubt = doubt_of_rate(posterior, unseen)
        self.classes_ = classes
        self.agreement_ = agreement
        self.by_chance_ = by_chance
        self.label_errors_ = errors
        self.label_quality_ = quality
        self.error_probability_ = 1 - posterior.given
        self.suggested_labels_ = classes[suggested]
        self.suggestion_confidence_ = posterior.of(labels.codes, suggested)
        self.confident_joint_ = joint_of(evidence, labels.trusted, suggested)
        self.noise_rate_ = posterior.noise_rate
        self.noise_rate_interval_ = posterior.noise_rate_interval
        self.transition_matrix_ = posterior.transition_matrix
        self.pred_probs_ = evidence.pred_probs
        self.estimator_ = evidence.estimator
        self.relabel_order_ = relabel_order(evidence, labels.trusted)
        self._codes, self._suggested = labels.codes, suggested
        self._losses, self._source = evidence.losses, evidence.source
        self._trusted = labels.trusted
        # Those in the place of probabilities that are missing, or are votes.
        probs = evidence.probabilities()
        self._probs = None if probs is evidence.pred_probs else probs

    def _warn_of_concerns(self):
        """Warn if labels stay as they are, or a class loses all of them."""
        for concern in self._concerns:
            warn(concern)

    @property
    def soft_labels_(self):
        """Probability of each class, to train on."""
        check_is_fitted(self, "label_errors_")
        codes, n_classes = self._codes, len(self.classes_)
        if self.by_chance_:  # what is predicted says nothing about any label
            return np.eye(n_classes)[codes]
        probs = self.pred_probs_ if self._probs is None else self._probs
        return soft_labels(codes, probs, np.arange(n_classes), self._trusted)

    def ranked(self, *, all_samples=False):
        """Return the positions of the wrong labels, worst first.

        Parameters
        ----------
        all_samples : bool, default=False
            Rank all samples, not only those whose labels are wrong.

        Returns
        -------
        positions : ndarray of shape (n_errors,) or (n_samples,), dtype int64
            Positions in X; ties are in the order of X.
        """
        check_is_fitted(self, "label_errors_")
        order = np.argsort(self.label_quality_, kind="stable")
        return order if all_samples else order[self.label_errors_[order]]

    def report(self):
        """Return a table of what was found in each class.

        Returns
        -------
        table : pandas.DataFrame or dict of str to ndarray
            One row (or element) for each class: "class"; "n_labels", the number of
            labels of this class; "n_errors", how many of these are called wrong;
            "noise_rate", the estimated share of these that are wrong; "mean_quality";
            "missed", how many samples with other labels should have this one;
            "suggested", the label that is most often suggested instead, or None. A dict
            if pandas is not installed. Rates of a class without labels are None.
        """
        check_is_fitted(self, "label_errors_")
        return class_table(self)

    def _gather(self, method, X, labels, classes, groups, tasks):
        """Return the evidence that the method needs."""
        source, codes = source_of(self.cv, method), labels.codes
        if self.estimator is None:
            X = as_sparse(X)
        classifier = self._classifier_of(X)
        if method.needs == "features":
            prefit = source == "prefit"
            neighbors = getattr(method, "n_neighbors", 10)
            settings = len(classes), neighbors, prefit, labels.weights
            return from_neighbors(classifier, X, codes, *settings)
        if source == "prefit":
            evidence = from_prefit(classifier, X, codes)
            warn_of_memory(codes, evidence.pred_probs)
            return evidence
        classifier, given = with_arguments(classifier, labels)
        is_auto = isinstance(self.cv, str) and self.cv == "auto"
        once = is_auto and groups is None and leaves_out(classifier, X)
        if once:
            check_two_of_two(codes)
        if once or source == "dynamics":
            estimator = finding_classes(clone(classifier), classes)
            with tasks.part("fit-estimator", estimator):
                evidence = from_dynamics(estimator, X, codes, classes, given)
            if source == "dynamics" or evidence.pred_probs is not None:
                return evidence
        warn_of_minus_one(classes)  # folds learn codes, which do not show it
        cv = FOLDS if is_auto else self.cv
        settings = cv, self.n_jobs, self.random_state, groups, given
        with tasks.part("folds"):
            return from_folds(classifier, X, codes, classes, *settings)

    def __sklearn_tags__(self):
        tags = super().__sklearn_tags__()
        tags.target_tags.required = True
        if hasattr(self._classifier, "__sklearn_tags__"):
            tags.input_tags = replace(get_tags(self._classifier).input_tags)
        if self.estimator is None:
            tags.input_tags.sparse = True
        return tags

    @property
    def _classifier(self):
        """The estimator, or what it is by default."""
        if self.estimator is not None:
            return self.estimator
        return NoisyRobustClassifier(random_state=self.random_state)

    def _classifier_of(self, X):
        """Return what is fitted: the estimator, or the default for this X.

        Unlike `_classifier`, which is only looked at, the default has a seed that
        clones may share, and begins with what makes sparse X dense.
        """
        if self.estimator is not None:
            return self.estimator
        seed = seed_for_clones(self.random_state)
        classifier = NoisyRobustClassifier(random_state=seed)
        if not issparse(X) or X.ndim != 2:
            return classifier
        return make_pipeline(Densifier(seed), classifier)
