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
from sknoisy.data.given import Labels, check_groups, check_trusted
from sknoisy.data.inputs import (
    as_sparse,
    check_container,
    check_order,
    index_of,
    paths_of,
)
from sknoisy.data.labels import (
    check_given,
    check_several,
    encode_labels,
    some,
    warn_of_minus_one,
)
from sknoisy.data.weights import check_sample_weight
from sknoisy.detection.checks import FOLDS, check_detector, checked_judgement, source_of
from sknoisy.detection.features import Densifier
from sknoisy.detection.issues import ListingIssues
from sknoisy.detection.methods import DETECTION_METHODS
from sknoisy.detection.report import (
    agreement_of,
    class_table,
    doubt_of_rate,
    table_of,
    trusting_joint,
    warn_of_doubt,
    warn_of_labels,
    warn_of_memory,
    warn_of_near_copies,
)
from sknoisy.detection.reviewing import Reviewing
from sknoisy.detection.sources import (
    check_two_of_each,
    from_dynamics,
    from_folds,
    from_neighbors,
    from_prefit,
    leaves_out,
    with_arguments,
)
from sknoisy.estimators.base import fitting_often
from sknoisy.estimators.classifier import NoisyRobustClassifier
from sknoisy.estimators.pipelines import finding_classes
from sknoisy.estimators.saving import Saved
from sknoisy.parameters import NamedMethods
from sknoisy.scores.estimates import count_pairs
from sknoisy.scores.posterior import limit_false_alarms
from sknoisy.scores.relabeling import relabel_priority
from sknoisy.scores.soft import soft_labels
from sknoisy.training.progress import Tasks
from sknoisy.warning import warn


class LabelErrorDetector(
    Reviewing,
    ListingIssues,
    NamedMethods,
    CallbackSupportMixin,
    MetaEstimatorMixin,
    Saved,
):
    """Find the wrong labels of a data set with a classifier.

    A label is suspect if a classifier that was not trained on it says otherwise. By
    default, the classifier is cross-validated, unless one training of it predicts each
    sample without its label. A pre-trainer that leads its pipeline learns nothing from
    labels and is fitted only once, on all of X.

    Parameters
    ----------
    estimator : classifier, default=None
        Any scikit-learn classifier or pipeline with ``predict_proba``; it is cloned.
        None: :class:`NoisyRobustClassifier`, which takes seconds on embeddings and
        tables; of sparse X, as of words, after a TruncatedSVD to 256 columns, if there
        are more. Photographs are better judged by a pipeline that begins with a
        :class:`PretrainedEncoder`.
    method : str or DetectionMethod, default="auto"
        How labels are ranked: "confident_learning", "self_confidence",
        "normalized_margin", "area_under_margin", "loss_gmm", "wrong_events",
        "knn_agreement", or an object of :mod:`sknoisy.detection`; ``method__prune`` and
        the like reach its parameters. "auto": "loss_gmm" with ``cv="dynamics"``, else
        "confident_learning" with the quality "pairwise_confidence".
    cv : int, "auto", "dynamics", "prefit" or splitter, default="auto"
        Where the evidence comes from. int: out-of-sample probabilities by as many
        stratified, shuffled folds; or a splitter or iterable of your own, which must
        test each sample once. "auto": a single training where that predicts each sample
        without its label, as :class:`NoisyRobustClassifier` does by default on vectors
        and on frozen features, and no `groups` are given; else 5 folds. "dynamics": a
        single training on all samples, whose losses, margins and wrong events over the
        epochs are kept, and its predictions of the first epochs; for classifiers of
        this package.
        "prefit": the estimator is fitted already, on other samples.
    max_false_alarms : float or None, default=0.3
        Largest expected share of right labels among those that are called wrong, in
        [0, 1); none is called wrong that is more probably right, and none at all if
        predictions agree with labels by chance. None: the method's own, published rule
        decides. A method of your own always decides itself.
    n_jobs : int, default=None
        Folds that run at the same time.
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
        The given labels, with another class where that is more probable. It does not
        depend on `max_false_alarms`, unless that is None: then, the method's rule says
        which are changed.
    suggestion_confidence_ : ndarray of shape (n_samples,), float64
        Probability that the suggested label is right; where none is suggested, that of
        the given one.
    noise_rate_ : float
        Estimated share of wrong labels, not counting the classifier's own mistakes. It
        says nothing if `by_chance_`.
    noise_rate_interval_ : tuple of float
        Ends of an interval that should hold the true share with a probability of 95%,
        if all samples of a class are as likely to have a wrong label. People err where
        samples are hard: more of their labels are wrong than it says.
    agreement_ : float or None
        Share of the labels that equal the most probable class of `pred_probs_`; None
        without these.
    by_chance_ : bool
        Whether predictions agree with labels no more than they may by chance. Then no
        label is called wrong, and a warning says so. Where predictions are not
        out-of-sample, as those of a training's dynamics, it cannot be told: False.
    transition_matrix_ : ndarray of shape (n_classes, n_classes), float64
        Estimated probability of each label (column) for each true class (row), by the
        votes of the surest predictions.
    soft_labels_ : ndarray of shape (n_samples, n_classes), float64
        Probability of each class, to train on, see :func:`sknoisy.scores.soft_labels`;
        certainly the given one if `by_chance_`. They are computed whenever they are
        asked for.
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
        The classifier: fitted on all samples if there was a single training, as given
        with ``cv="prefit"``; None with folds.
    n_features_in_ : int
        Length of axis 1 of X, where it has one.

    See Also
    --------
    sknoisy.scores : The same as functions of labels and probabilities.
    NoisyRobustClassifier : Trains on noisy labels as they are.

    Notes
    -----
    Probabilities are those of :func:`sknoisy.scores.label_posterior`, which says how
    they are calibrated. Those of "dynamics" come from the first epochs of the training,
    before the network memorised labels: mean probabilities of the label and of the best
    other class, until the changes among wrong predictions are no longer fewer than in
    the epoch before. Some labels are learned by then, so the noise rate tends to be too
    low; the upper end of its interval is at least the share of the labels that these
    epochs missed.

    Rows of a table that are copies, equal with equal labels, are in one fold, if `cv`
    is a number; and a single training leaves them out together. Where equal rows have
    different labels, or columns have few values, they are evidence of each other.

    Folds are scikit-learn's ``cross_val_predict``, in which classifiers are fitted on
    the positions of the labels in `classes_`; a `class_weight` by label, of the
    estimator or its steps, is brought to these, but not those in a search's grid.

    "knn_agreement" fits no classifier, whatever `cv` is: neighbours are those in what
    the pipeline's leading steps that learn without labels (pre-trainers, scalers,
    encoders of columns) make of X, fitted on all of X unless `cv` is "prefit". A
    transformer alone will do; without any, X itself is the features.

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
    _advises = True  # on suggestions and columns; who made it may do so instead
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
            Whatever the estimator takes.
        y : array-like of shape (n_samples,)
            Labels, some of them wrong: integers, booleans or strings.
        sample_weight : array-like of shape (n_samples,), default=None
            Weights of the samples in the training of the classifier, which must take
            them, or of their votes, if the method asks neighbours. The labels of all
            samples are judged alike.
        groups : array-like of shape (n_samples,), default=None
            Samples that belong together, such as photographs of one person: those of a
            group are in one fold. A splitter of your own may ask for them.
        trusted : array-like of shape (n_samples,), default=None
            True where a label is known to be right. It is never called wrong, has
            quality 1, and is no part of what estimates the noise of the others; a
            classifier whose fit takes ``trusted`` is told. A label that no other sample
            has must be, or no fold can judge it.

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
            If predictions agree with labels no more than they may by chance (of folds,
            neighbours and fitted classifiers; the predictions of a training's dynamics
            are not out-of-sample); if the noise rate may be nearly anything, or cannot
            be told from what the classifier gets wrong itself; if a class has no label
            left among those suggested; if a column of a table has one value for each
            class; or if many rows of a table are near-copies of others, and no `groups`
            are given.
        """
        with fitting_often(self, X):
            return self._fit(X, y, sample_weight, groups, trusted)

    def _fit(self, X, y, sample_weight, groups, trusted):
        check_container(X)
        method = check_detector(self)
        classes, labels = self._read(X, y, groups, method, sample_weight, trusted)
        validate_data(self, X, skip_check_array=True)
        tasks = Tasks(self, X, y, n_tasks=1)
        evidence = self._gather(method, X, labels, classes, groups, tasks)
        posterior = evidence.posterior(labels.trusted)
        unseen = evidence.pred_probs is not None
        agreement = chance = None
        if unseen:
            agreement, chance = agreement_of(labels.codes, evidence.pred_probs)
        by_chance = chance is not None
        if by_chance:
            posterior = replace(posterior, noise_rate_interval=(0.0, 1.0))
        errors, quality, suggested = self._judge(
            method, evidence, posterior, labels, by_chance
        )
        if unseen:
            joint = trusting_joint(*evidence.labels, labels.trusted)
        else:
            joint = count_pairs(labels.codes, suggested, len(classes))
        self._doubt = doubt_of_rate(posterior, unseen)
        lost = _lost(classes, labels.codes, suggested)
        self._concerns = [concern for concern in (chance, lost) if concern]
        if self._advises:
            self._warn()
            warn_of_doubt(self._doubt)
            warn_of_labels(X, labels.codes)
        if groups is None and (table := table_of(X)) is not None:
            warn_of_near_copies(table, labels.codes)
        self.classes_ = classes
        self.agreement_ = agreement
        self.label_errors_ = errors
        self.label_quality_ = quality
        self.error_probability_ = 1 - posterior.given
        self.suggested_labels_ = classes[suggested]
        self.suggestion_confidence_ = posterior.of(labels.codes, suggested)
        self.confident_joint_ = joint
        self.noise_rate_ = posterior.noise_rate
        self.noise_rate_interval_ = posterior.noise_rate_interval
        self.transition_matrix_ = posterior.transition_matrix
        self.pred_probs_ = evidence.pred_probs
        self.estimator_ = evidence.estimator
        self.relabel_order_ = _relabel_order(evidence, labels.trusted)
        self._codes, self._suggested = labels.codes, suggested
        self._losses, self._source = evidence.losses, evidence.source
        self._paths, self._names = paths_of(X), index_of(X, y)
        self._inputs, self._rest = evidence.inputs, evidence.rest
        self.by_chance_, self._trusted = by_chance, labels.trusted
        # Those in the place of probabilities that are missing, or are votes.
        probs = evidence.probabilities()
        self._probs = None if probs is evidence.pred_probs else probs
        self._issues = None
        tasks.end()
        return self

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
        return classes, labels

    def _warn(self):
        """Warn if labels stay as they are, or a class loses all of them."""
        for concern in self._concerns:
            warn(concern)

    def _judge(self, method, evidence, posterior, labels, by_chance):
        """Return which labels are wrong, their quality, and the suggested codes."""
        errors, quality = checked_judgement(method, method.judge(evidence), len(labels))
        controlled = method.ranks_only and self.max_false_alarms is not None
        if controlled:
            errors = limit_false_alarms(1 - posterior.given, self.max_false_alarms)
        if labels.trusted is not None:
            errors, quality = errors & ~labels.trusted, quality.copy()
            quality[labels.trusted] = 1
        if not controlled:
            return errors, quality, np.where(errors, evidence.others, labels.codes)
        # A label may be improbable, and still not sure enough for the errors.
        changed = posterior.other > posterior.given
        if by_chance:  # what is predicted says nothing about any label
            errors, changed = np.zeros((2, len(labels)), dtype=bool)
        return errors, quality, np.where(changed, posterior.others, labels.codes)

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
            Positions in X; ties in their order there.
        """
        check_is_fitted(self, "label_errors_")
        order = np.argsort(self.label_quality_, kind="stable")
        return order if all_samples else order[self.label_errors_[order]]

    def report(self):
        """Return what was found of each class.

        Returns
        -------
        table : pandas.DataFrame or dict of str to ndarray
            One row (or element) for each class: "class"; "n_labels", how many labels
            say so; "n_errors", how many of these are probably wrong; "noise_rate",
            estimated share of these that are wrong; "mean_quality";
            "missed", how many samples of other labels should have this one;
            "suggested", what is most often suggested instead, or None. A dict if
            pandas is not installed. Rates of a class without labels are None.
        """
        check_is_fitted(self, "label_errors_")
        return class_table(self)

    def _gather(self, method, X, labels, classes, groups, tasks):
        """Return the evidence that the method needs."""
        source, codes = source_of(self.cv, method), labels.codes
        by_neighbors = method.needs == "features"
        if self.estimator is None:
            X = as_sparse(X)
        classifier = self._classifier_of(X)
        if labels.weights is not None and source == "prefit" and not by_neighbors:
            raise ValueError(
                'sample_weight is not valid with cv="prefit": no classifier is trained.'
            )
        if by_neighbors:
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
            check_two_of_each(codes, classes, labels.trusted)
        if once or source == "dynamics":
            estimator = finding_classes(clone(classifier), classes)
            with tasks.part("fit-estimator", estimator):
                evidence = from_dynamics(estimator, X, codes, classes, given)
            if source == "dynamics" or evidence.pred_probs is not None:
                return evidence
        warn_of_minus_one(classes)  # folds learn codes, which do not show it
        cv = FOLDS if is_auto else self.cv
        settings = cv, self.n_jobs, self.random_state, groups, given, labels.trusted
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
        """Return the same; by default, it begins with what makes sparse X dense."""
        if self.estimator is not None:
            return self.estimator
        seed = seed_for_clones(self.random_state)
        classifier = NoisyRobustClassifier(random_state=seed)
        if not issparse(X) or X.ndim != 2:
            return classifier
        return make_pipeline(Densifier(seed), classifier)


def _relabel_order(evidence, trusted):
    """Return positions in the order in which labels deserve another look."""
    probs = evidence.probabilities()
    priority = relabel_priority(evidence.codes, probs, np.arange(probs.shape[1]))
    if trusted is not None:
        priority[trusted] = -np.inf
    return np.argsort(-priority, kind="stable")


def _lost(classes, codes, suggested):
    """Return a message if a class has no label left among those suggested."""
    lost = classes[np.setdiff1d(codes, suggested)]
    if not len(lost):
        return None
    return (
        f"no suggested label is of the classes {some(lost)}: the right labels of "
        "rare classes are hard to tell from wrong ones. Look at the samples of "
        "these classes before you accept the suggestions."
    )
