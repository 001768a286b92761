"""Pipelines, and the estimators of this package in them."""

from sklearn.base import is_classifier
from sklearn.pipeline import Pipeline

from sknoisy._compat import calling_pipeline
from sknoisy.data.labels import check_given, check_passed_on
from sknoisy.estimators.base import TorchEstimator
from sknoisy.estimators.saving import Saved


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
    _, last = split_pipeline(pipeline)
    if isinstance(last, Saved) and is_classifier(last):
        check_given(last, y)
        check_passed_on(y)


def split_pipeline(estimator):
    """Return the steps of a Pipeline before its classifier, or None, and that."""
    if isinstance(estimator, Pipeline):
        front = estimator[:-1] if len(estimator) > 1 else None
        return front, estimator[-1]
    return None, estimator
