"""LabelErrorDetector: which labels are wrong, how sure, and what they should be."""

import warnings
from numbers import Real

import numpy as np
from sklearn.base import MetaEstimatorMixin, clone, is_classifier
from sklearn.utils import get_tags
from sklearn.utils.validation import (
    check_consistent_length,
    check_is_fitted,
    validate_data,
)

from sknoisy._compat import CallbackSupportMixin, with_callbacks
from sknoisy.data.labels import check_given, check_several, encode_labels, some
from sknoisy.detection.evidence import (
    from_dynamics,
    from_folds,
    from_neighbors,
    from_prefit,
)
from sknoisy.detection.methods import DETECTION_METHODS, DetectionMethod
from sknoisy.estimators.base import TorchEstimator
from sknoisy.estimators.pipelines import check_steps, split_pipeline
from sknoisy.estimators.saving import Saved
from sknoisy.parameters import NamedMethods, resolve
from sknoisy.scores.confident import confident_joint
from sknoisy.scores.estimates import noise_rate_of, transition_of
from sknoisy.training.progress import Tasks


class LabelErrorDetector(NamedMethods, CallbackSupportMixin, MetaEstimatorMixin, Saved):
    """Find the wrong labels of a data set by what a classifier makes of it.

    A label is suspect if a classifier that was not trained on it says otherwise. By
    default, the classifier is cross-validated; a pre-trainer that leads its pipeline
    learns nothing from labels and is fitted only once, on all of X.

    Parameters
    ----------
    estimator : classifier
        Any scikit-learn classifier or pipeline with ``predict_proba``; it is cloned.
    method : str or DetectionMethod, default="auto"
        How labels are judged: "confident_learning", "self_confidence",
        "normalized_margin", "area_under_margin", "loss_gmm", "knn_agreement", or an
        object of :mod:`sknoisy.detection`; ``method__prune`` and the like reach its
        parameters. "auto": "loss_gmm" with ``cv="dynamics"``, else
        "confident_learning".
    cv : int, "dynamics", "prefit" or splitter, default=5
        Where the evidence comes from. int: out-of-sample probabilities by as many
        stratified, shuffled folds; or a splitter or iterable of your own, which must
        test each sample once. "dynamics": a single training on all samples, whose
        losses and margins over the epochs are kept; for classifiers of this package
        that memorise late, or never. "prefit": the estimator is fitted already, on
        other samples.
    n_jobs : int, default=None
        Folds that run at the same time.
    random_state : int, RandomState or None, default=None
        Source of randomness of the folds.

    Attributes
    ----------
    label_errors_ : ndarray of shape (n_samples,), dtype bool
        Which labels are probably wrong.
    label_quality_ : ndarray of shape (n_samples,), float
        In [0, 1]; low is bad. What it measures depends on the method.
    suggested_labels_ : ndarray of shape (n_samples,)
        The given labels, with the most probable other class where they are wrong.
    noise_rate_ : float
        Estimated share of wrong labels, by the joint. What the classifier gets wrong
        itself counts as wrong labels, too.
    agreement_ : float or None
        Share of the labels that `pred_probs_` agree with; None where it is.
    transition_matrix_ : ndarray of shape (n_classes, n_classes), float64
        Estimated probability of each label (column) for each true class (row).
    confident_joint_ : ndarray of shape (n_classes, n_classes), dtype int64
        Estimated number of samples with each label (row) and true class (column). With
        ``cv="dynamics"``, whose probabilities are not out-of-sample, given labels are
        counted against the suggested ones.
    classes_ : ndarray of shape (n_classes,)
        The classes, in the order of rows and columns.
    pred_probs_ : ndarray of shape (n_samples, n_classes)
        Out-of-sample probabilities, or the votes of neighbours; None with
        ``cv="dynamics"``.
    estimator_ : classifier
        The classifier, fitted on all samples with ``cv="dynamics"``, as given with
        "prefit"; None with folds.
    n_features_in_ : int
        Length of axis 1 of X, where it has one.

    See Also
    --------
    sknoisy.scores : The same as functions of labels and probabilities.
    NoisyRobustClassifier : Trains on noisy labels as they are.

    Notes
    -----
    Folds are scikit-learn's ``cross_val_predict``, in which classifiers are fitted on
    the positions of the labels in `classes_`; a `class_weight` by label, of the
    estimator or its steps, is brought to these, but not those in a search's grid.

    "knn_agreement" fits no classifier, whatever `cv` is: it needs only the pre-trainers
    of the pipeline, fitted unless `cv` is "prefit", or a pre-trainer alone, or else
    takes X itself as features.

    References
    ----------
    Northcutt, Jiang and Chuang, Confident Learning: Estimating Uncertainty in Dataset
    Labels, JAIR 2021.

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

    def __init__(self, estimator, method="auto", cv=5, n_jobs=None, random_state=None):
        self.estimator = estimator
        self.method = method
        self.cv = cv
        self.n_jobs = n_jobs
        self.random_state = random_state

    @with_callbacks
    def fit(self, X, y=None):
        """Judge the labels.

        Parameters
        ----------
        X : array-like of shape (n_samples, ...)
            Whatever the estimator takes.
        y : array-like of shape (n_samples,)
            Labels, some of them wrong: integers, booleans or strings.

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
            are not out-of-sample); or if a class has no label left among those
            suggested.
        """
        method = self._check_parameters()
        check_given(self, y)
        classes = self.estimator.classes_ if self._source == "prefit" else None
        classes, codes = encode_labels(y, classes)
        check_consistent_length(X, codes)
        check_several(classes)
        validate_data(self, X, skip_check_array=True)
        tasks = Tasks(self, X, y, n_tasks=1)
        evidence = self._gather(method, X, codes, classes, tasks)
        errors, quality = method.judge(evidence)
        suggested = np.where(errors, evidence.others, codes)
        lost = classes[np.setdiff1d(codes, suggested)]
        if len(lost):
            warnings.warn(
                f"the suggested labels have none of the classes {some(lost)}: labels "
                "that few samples have are hard to tell from wrong ones. Look at them "
                "before you take what is suggested.",
                UserWarning,
                stacklevel=3,
            )
        if evidence.pred_probs is None:
            joint = _count(codes, suggested, len(classes))
            self.agreement_ = None
        else:
            joint = confident_joint(*evidence.labels)
            self.agreement_ = _agreement(codes, evidence.pred_probs)
        self.classes_ = classes
        self.label_errors_ = errors
        self.label_quality_ = quality
        self.suggested_labels_ = classes[suggested]
        self.confident_joint_ = joint
        self.noise_rate_ = noise_rate_of(joint)
        self.transition_matrix_ = transition_of(joint.T)
        self.pred_probs_ = evidence.pred_probs
        self.estimator_ = evidence.estimator
        self._codes, self._suggested = codes, suggested
        tasks.end()
        return self

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
            estimated share of these that are wrong, by the joint; "mean_quality";
            "missed", how many samples of other labels should have this one;
            "suggested", what is most often suggested instead, or None. A dict if
            pandas is not installed. Rates of a class without labels are NaN.
        """
        check_is_fitted(self, "label_errors_")
        n = len(self.classes_)
        counts = np.bincount(self._codes, minlength=n)
        errors = np.bincount(self._codes[self.label_errors_], minlength=n)
        quality = np.bincount(self._codes, self.label_quality_, minlength=n)
        changes = _count(self._codes, self._suggested, n)
        np.fill_diagonal(changes, 0)
        suggested = self.classes_[changes.argmax(axis=1)].astype(object)
        suggested[changes.sum(axis=1) == 0] = None
        right = self.confident_joint_.diagonal()
        held = np.where(counts > 0, counts, np.nan)
        table = {
            "class": self.classes_,
            "n_labels": counts,
            "n_errors": errors,
            "noise_rate": 1 - right / held,
            "mean_quality": quality / held,
            "missed": changes.sum(axis=0),
            "suggested": suggested,
        }
        try:
            import pandas as pd
        except ImportError:
            return table
        return pd.DataFrame(table)

    @property
    def _source(self):
        return self.cv if isinstance(self.cv, str) else "folds"

    def _check_parameters(self):
        """Check all parameters against each other; return the method."""
        _check_estimator(self.estimator)
        _check_source(self.cv)
        name = self.method
        if isinstance(name, str) and name == "auto":
            name = "loss_gmm" if self._source == "dynamics" else "confident_learning"
        allowed = {"auto": None, **DETECTION_METHODS}
        method = resolve("method", name, allowed, DetectionMethod)
        if self._source == "prefit":
            check_is_fitted(self.estimator)
        else:
            check_steps(self.estimator)
        if self._source == "dynamics" and method.needs == "probabilities":
            raise ValueError(
                f"method={self.method!r} is not valid with cv='dynamics': it needs "
                "out-of-sample probabilities. Pass 'loss_gmm' or 'area_under_margin', "
                "or cv=5."
            )
        if self._source != "dynamics" and method.needs == "margins":
            raise ValueError(
                f"method={self.method!r} is not valid with cv={self.cv!r}: margins are "
                "those of one training, cv='dynamics'."
            )
        _, last = split_pipeline(self.estimator)
        trains = isinstance(last, TorchEstimator) and is_classifier(last)
        if self._source == "dynamics" and method.needs != "features" and not trains:
            raise ValueError(
                f"cv='dynamics' is not valid with estimator={last!r}: it must be, or "
                "end in, a classifier of this package, which keeps the losses of a "
                "training."
            )
        held_out = getattr(last, "validation", None)
        if self._source == "dynamics" and isinstance(held_out, Real):
            raise ValueError(
                f"validation={held_out!r} is not valid with cv='dynamics': nothing "
                "would be known of the samples that are held out. Pass other samples, "
                "validation=(X, y), or None."
            )
        if method.needs != "features" and not hasattr(self.estimator, "predict_proba"):
            raise ValueError(
                f"estimator={self.estimator!r} is not valid: it must have "
                "predict_proba. CalibratedClassifierCV gives it to any classifier."
            )
        return method

    def _gather(self, method, X, codes, classes, tasks):
        """Return the evidence that the method needs."""
        if method.needs == "features":
            prefit = self._source == "prefit"
            neighbors = method.n_neighbors
            return from_neighbors(
                self.estimator, X, codes, len(classes), neighbors, prefit
            )
        if self._source == "prefit":
            return from_prefit(self.estimator, X, codes)
        if self._source == "dynamics":
            estimator = clone(self.estimator)
            with tasks.part("fit-estimator", estimator):
                return from_dynamics(estimator, X, codes, classes)
        settings = self.cv, self.n_jobs, self.random_state
        with tasks.part("folds"):
            return from_folds(self.estimator, X, codes, classes, *settings)

    def __sklearn_tags__(self):
        tags = super().__sklearn_tags__()
        tags.target_tags.required = True
        if hasattr(self.estimator, "__sklearn_tags__"):
            tags.input_tags = get_tags(self.estimator).input_tags
        return tags


def _check_estimator(estimator):
    if isinstance(estimator, type) or not hasattr(estimator, "fit"):
        raise ValueError(
            f"estimator={estimator!r} is not valid: it must be a classifier, an object "
            "with fit and predict_proba"
            + (", not a class." if isinstance(estimator, type) else ".")
        )


def _check_source(cv):
    is_folds = isinstance(cv, (int, np.integer)) and not isinstance(cv, bool)
    if is_folds and cv >= 2 or (isinstance(cv, str) and cv in ("dynamics", "prefit")):
        return
    if is_folds or isinstance(cv, (str, bool, float)) or cv is None:
        raise ValueError(
            f"cv={cv!r} is not valid: it must be an integer >= 2, 'dynamics', "
            "'prefit', a splitter or an iterable of splits."
        )


def _agreement(codes, pred_probs):
    """Return the share of labels that predictions agree with; warn of chance."""
    n, n_classes = pred_probs.shape
    predicted = pred_probs.argmax(axis=1)
    agreement = float((predicted == codes).mean())
    p, q = (np.bincount(c, minlength=n_classes) / n for c in (predicted, codes))
    chance = float(p @ q)
    # Variance of the agreement if labels were shuffled: both shares are given.
    variance = max(0.0, chance + chance**2 - float((p * q * (p + q)).sum())) / n
    if agreement <= chance + 2 * np.sqrt(variance) + 1e-9:
        warnings.warn(
            f"out-of-sample predictions agree with {agreement:.0%} of the labels, "
            f"which may be chance ({chance:.0%}): either there are too few samples, or "
            "nothing was learned that labels could be judged by. Train longer, or pass "
            "another estimator.",
            UserWarning,
            stacklevel=4,
        )
    return agreement


def _count(given, true, n):
    return np.bincount(given * n + true, minlength=n * n).reshape(n, n)
