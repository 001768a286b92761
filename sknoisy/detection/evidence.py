"""What is known of the labels, and the four places where it comes from."""

from dataclasses import dataclass

import numpy as np
from scipy.sparse import issparse
from sklearn.base import clone
from sklearn.model_selection import StratifiedKFold, check_cv, cross_val_predict
from sklearn.pipeline import Pipeline
from sklearn.utils import check_random_state, get_tags

from sknoisy.data.labels import some
from sknoisy.encoders.features import LazyFeatures
from sknoisy.estimators.pipelines import split_pipeline
from sknoisy.estimators.pretrainer import SSLPretrainer
from sknoisy.scores.neighbors import knn_votes
from sknoisy.scores.probabilities import best_others, check_probabilities, losses_of


@dataclass(frozen=True)
class Evidence:
    """What is known of the labels; None where it is not known.

    Attributes
    ----------
    codes : ndarray of shape (n_samples,), dtype int64
        Column of each label.
    others : ndarray of shape (n_samples,), dtype int64
        The most probable class other than the label.
    pred_probs : ndarray of shape (n_samples, n_classes)
        Out-of-sample probabilities.
    losses : ndarray of shape (n_samples,)
        Cross-entropy of each label, in nats.
    margins : ndarray of shape (n_samples,)
        Mean over a training of (1 + margin) / 2, in [0, 1].
    estimator : classifier
        The fitted classifier, where there is a single one.
    """

    codes: np.ndarray
    others: np.ndarray
    pred_probs: np.ndarray = None
    losses: np.ndarray = None
    margins: np.ndarray = None
    estimator: object = None

    @property
    def labels(self):
        """Labels, probabilities and classes, as the functions of scores take them."""
        return self.codes, self.pred_probs, np.arange(self.pred_probs.shape[1])


def from_folds(estimator, X, codes, classes, cv, n_jobs=None, random_state=None):
    """Cross-validate; pre-trainers that lead a pipeline are fitted once, on all of X.

    Parameters
    ----------
    estimator : classifier
        What is cloned for each fold.
    X : array-like of shape (n_samples, ...)
        Whatever it takes.
    codes : ndarray of shape (n_samples,), dtype int64
        Position of each label in `classes`.
    classes : ndarray of shape (n_classes,)
        The classes.
    cv : int, splitter or iterable
        Number of stratified, shuffled folds; or the folds.
    n_jobs : int, default=None
        Folds that run at the same time.
    random_state : int, RandomState or None, default=None
        Source of randomness of the folds.

    Returns
    -------
    evidence : Evidence
        Out-of-sample probabilities and losses.
    """
    single = classes[np.bincount(codes) == 1]
    if len(single):
        raise ValueError(
            f"y has 1 sample of each of the classes {some(single)}: out-of-sample "
            "probabilities need at least 2 of each class. Leave those samples out, "
            "merge their classes with others, or pass cv='dynamics' or "
            "method='knn_agreement'."
        )
    if isinstance(cv, (int, np.integer)):
        seed = check_random_state(random_state).randint(2**31 - 1)
        cv = StratifiedKFold(cv, shuffle=True, random_state=seed)
    cv = check_cv(cv, codes, classifier=True)
    rest, X = fit_label_free(_weighted_by_code(estimator, classes), X)
    pred_probs = cross_val_predict(
        rest, X, codes, cv=cv, n_jobs=n_jobs, method="predict_proba"
    )
    return _of_probabilities(codes, pred_probs, len(classes))


def _weighted_by_code(estimator, classes):
    """Return an estimator whose class weights are those of codes, not of labels."""
    if not hasattr(estimator, "get_params"):
        return estimator
    codes = {label: code for code, label in enumerate(classes.tolist())}
    weights = {}
    for name, value in estimator.get_params().items():
        if name.split("__")[-1] == "class_weight" and isinstance(value, dict):
            strange = np.array([k for k in value if k not in codes], dtype=object)
            # Labels that the data lack may be there, as long as none is mistyped.
            if len(strange) and any(label not in value for label in codes):
                raise ValueError(
                    f"{name}={value!r} is not valid: {some(strange)} are not among the "
                    f"classes {some(classes, 20)}."
                )
            known = value.keys() & codes.keys()
            weights[name] = {codes[label]: value[label] for label in known}
    return clone(estimator).set_params(**weights) if weights else estimator


def from_prefit(estimator, X, codes):
    """Predict by a classifier that was fitted on other samples.

    Parameters
    ----------
    estimator : classifier
        Fitted.
    X : array-like of shape (n_samples, ...)
        Whatever it takes.
    codes : ndarray of shape (n_samples,), dtype int64
        Position of each label in the classifier's classes.

    Returns
    -------
    evidence : Evidence
        Probabilities and losses.
    """
    pred_probs = estimator.predict_proba(X)
    return _of_probabilities(codes, pred_probs, len(estimator.classes_), estimator)


def from_dynamics(estimator, X, codes, classes):
    """Train once on all samples; take what was kept of them while it went on.

    Parameters
    ----------
    estimator : classifier
        A classifier of this package, or a pipeline that ends in one; fitted in place.
    X : array-like of shape (n_samples, ...)
        Whatever it takes.
    codes : ndarray of shape (n_samples,), dtype int64
        Position of each label in `classes`.
    classes : ndarray of shape (n_classes,)
        The classes.

    Returns
    -------
    evidence : Evidence
        Losses and margins; no probabilities, for they are not out-of-sample.
    """
    fitted = estimator.fit(X, classes[codes])
    _, last = split_pipeline(fitted)
    others, _ = best_others(codes, fitted.predict_proba(X))
    return Evidence(
        codes,
        others,
        losses=last.training_loss_,
        margins=last.label_quality_,
        estimator=fitted,
    )


def from_neighbors(estimator, X, codes, n_classes, n_neighbors, prefit=False):
    """Let the nearest neighbours vote, in the features of leading pre-trainers, or X.

    Parameters
    ----------
    estimator : classifier, or SSLPretrainer
        Its pre-trainers are used, and nothing else of it.
    X : array-like or sparse matrix of shape (n_samples, ...)
        Samples.
    codes : ndarray of shape (n_samples,), dtype int64
        Column of each label.
    n_classes : int
        Number of classes.
    n_neighbors : int
        Number of neighbours.
    prefit : bool, default=False
        Whether the pre-trainers are fitted already.

    Returns
    -------
    evidence : Evidence
        Shares of votes as probabilities, and their losses.
    """
    if isinstance(estimator, SSLPretrainer):
        estimator = Pipeline([("ssl", estimator)])
    if prefit:
        for step in _label_free_steps(estimator):
            X = step.transform(X)
    else:
        _, X = fit_label_free(estimator, X)
    if isinstance(X, LazyFeatures):
        X = np.asarray(X)
    elif not issparse(X) and np.ndim(X) > 2:
        X = np.asarray(X).reshape(len(X), -1)  # images as vectors
    votes = knn_votes(codes, X, n_neighbors, np.arange(n_classes))
    return _of_probabilities(codes, votes, n_classes)


def fit_label_free(estimator, X):
    """Return the rest of a pipeline, and its pre-trainers' features, fitted once."""
    n = len(_label_free_steps(estimator))
    if n == 0:
        return estimator, X
    # A last step that does nothing, for a pipeline's cache leaves out its last step.
    steps = [*estimator.steps[:n], ("rest", "passthrough")]
    pretrainers = clone(Pipeline(steps, memory=estimator.memory))
    return estimator[n:], pretrainers.fit_transform(X)


def _label_free_steps(estimator):
    """Return the pre-trainers that lead a pipeline, if they learn without labels."""
    steps = []
    for _, step in estimator.steps if isinstance(estimator, Pipeline) else []:
        if not isinstance(step, SSLPretrainer) or get_tags(step).target_tags.required:
            break
        steps.append(step)
    return steps


def _of_probabilities(codes, pred_probs, n_classes, estimator=None):
    _, _, pred_probs = check_probabilities(codes, pred_probs, np.arange(n_classes))
    others, _ = best_others(codes, pred_probs)
    losses = losses_of(codes, pred_probs)
    return Evidence(codes, others, pred_probs, losses, estimator=estimator)
