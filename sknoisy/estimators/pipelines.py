"""Pipelines, and the estimators of this package in them."""

from sklearn.pipeline import Pipeline

from sknoisy.estimators.base import TorchEstimator


def check_steps(estimator):
    """Check the parameters of our estimators in a pipeline, before any is trained."""
    steps = estimator.steps if isinstance(estimator, Pipeline) else [("", estimator)]
    for _, step in steps:
        if isinstance(step, TorchEstimator):
            step._check_parameters()


def split_pipeline(estimator):
    """Return the steps of a Pipeline before its classifier, or None, and that."""
    if isinstance(estimator, Pipeline):
        front = estimator[:-1] if len(estimator) > 1 else None
        return front, estimator[-1]
    return None, estimator
