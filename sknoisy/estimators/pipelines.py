"""Pipelines, and the estimators of this package in them."""

from sklearn import get_config
from sklearn.base import clone, is_classifier
from sklearn.pipeline import Pipeline
from sklearn.utils.metadata_routing import MetadataRequest, get_routing_for_object

from sknoisy._compat import calling_pipeline
from sknoisy.data.labels import check_given, check_passed_on, encode_labels
from sknoisy.data.soft_labels import check_classes
from sknoisy.estimators.base import TorchEstimator
from sknoisy.estimators.saving import Saved


def check_classifier(estimator):
    """Raise ``ValueError`` unless it is, or ends in, a classifier."""
    is_object = hasattr(estimator, "fit") and not isinstance(estimator, type)
    if not (is_object and is_classifier(estimator)):
        raise ValueError(
            f"estimator={estimator!r} is not valid: it must be a classifier, such "
            "as RandomForestClassifier(), or a Pipeline that ends in one."
        )


def check_steps(estimator):
    """Check the parameters of our estimators in a pipeline, before any is trained."""
    steps = estimator.steps if isinstance(estimator, Pipeline) else [("", estimator)]
    for _, step in steps:
        if isinstance(step, TorchEstimator):
            step._check_parameters()


def check_what_follows(step, y):
    """Check a Pipeline that ends in a classifier of ours before a step is trained.

    scikit-learn fits a pipeline's steps one by one: without this, a mistake that the
    classifier would notice is noticed after hours of pre-training.

    Parameters
    ----------
    step : TorchEstimator
        A step before the classifier, whose ``fit`` calls this.
    y : array-like of shape (n_samples,) or None
        What the classifier will be given.
    """
    pipeline = calling_pipeline(step)
    if pipeline is None:
        return
    check_steps(pipeline)
    check_labels_of(split_pipeline(pipeline)[1], y)


def check_labels_of(estimator, y):
    """Check the labels that a classifier of ours will be given, as far as it can.

    Parameters
    ----------
    estimator : estimator
        One of this package; any other is left alone.
    y : array-like of shape (n_samples,) or None
        The labels.
    """
    if hasattr(estimator, "_check_ahead"):
        estimator._check_ahead(y)
    elif isinstance(estimator, Saved) and is_classifier(estimator):
        check_given(estimator, y)
        check_passed_on(y)


def finding_classes(estimator, classes):
    """Return an estimator whose classes are those of the labels that it is given.

    A meta-estimator reads y itself and trains its classifier on codes, or on folds that
    lack some classes: the classifier's parameter `classes` would not fit them.

    Parameters
    ----------
    estimator : classifier or Pipeline
        What is about to be fitted.
    classes : ndarray of shape (n_classes,)
        The classes of y.

    Returns
    -------
    estimator : classifier or Pipeline
        The same, or a clone whose `classes` is None.

    Raises
    ------
    ValueError
        If some of the classes are not among those of the parameter.
    """
    _, last = split_pipeline(estimator)
    named = getattr(last, "classes", None)
    if named is None or not isinstance(last, TorchEstimator):
        return estimator
    encode_labels(classes, check_classes(named))
    estimator = clone(estimator)
    split_pipeline(estimator)[1].set_params(classes=None)
    return estimator


def resamples(estimator):
    """Whether a step of a pipeline chooses or makes samples, as imbalanced-learn's."""
    front, _ = split_pipeline(estimator)
    steps = [] if front is None else front.steps
    return any(hasattr(step, "fit_resample") for _, step in steps)


def split_pipeline(estimator):
    """Return the steps of a Pipeline before its classifier, or None, and that."""
    if isinstance(estimator, Pipeline):
        front = estimator[:-1] if len(estimator) > 1 else None
        return front, estimator[-1]
    return None, estimator


def with_arguments(estimator, labels):
    """Return a classifier, or its pipeline, and what its fit gets beside labels.

    Parameters
    ----------
    estimator : classifier or Pipeline
        What is to be fitted.
    labels : Labels
        Whose weights and trust are handed on to the last step of a Pipeline; with
        scikit-learn's metadata routing also wherever else they are requested.

    Returns
    -------
    estimator : classifier or Pipeline
        The same, or with routing a clone, whose last step asks for what it is given
        unless it says itself whether it does.
    arguments : dict of str to ndarray
        Keyword arguments.
    """
    given = labels.arguments(split_pipeline(estimator)[1], "estimator")
    if get_config()["enable_metadata_routing"]:
        return _asking(estimator, given), given
    if isinstance(estimator, Pipeline):
        name, _ = estimator.steps[-1]
        given = {f"{name}__{argument}": values for argument, values in given.items()}
    return estimator, given


def _asking(estimator, names):
    """Return an estimator whose last step asks for metadata, unless it says itself."""
    routing = get_routing_for_object(split_pipeline(estimator)[1])
    if not isinstance(routing, MetadataRequest):
        return estimator  # it routes by itself
    unsaid = {name: True for name in names if routing.fit.requests.get(name) is None}
    if unsaid:
        estimator = clone(estimator)
        split_pipeline(estimator)[1].set_fit_request(**unsaid)
    return estimator
