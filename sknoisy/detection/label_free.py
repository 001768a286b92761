"""The steps that lead a pipeline, as far as they learn without labels."""

from inspect import Parameter, signature
from itertools import takewhile

from sklearn.base import clone
from sklearn.pipeline import Pipeline
from sklearn.utils import get_tags

from sknoisy.estimators.lazy import LazyTransformer


def fit_pretrainers(estimator, X):
    """Return the rest of a pipeline, and its pre-trainers' features, fitted once."""
    n = len(pretrainers(estimator))
    return (estimator[n:], _fit_first(estimator, n, X)) if n else (estimator, X)


def fit_label_free(estimator, X):
    """Return what all steps of a pipeline that learn without labels make of X."""
    n = len(label_free_steps(estimator))
    return _fit_first(estimator, n, X) if n else X


def transform_label_free(estimator, X):
    """Return the same of a fitted pipeline."""
    n = len(label_free_steps(estimator))
    return estimator[:n].transform(X) if n else X


def label_free_steps(estimator):
    """Return the transformers that lead a pipeline, and learn without labels."""
    steps = []
    for _, step in estimator.steps if isinstance(estimator, Pipeline) else []:
        if step is not None and not isinstance(step, str):  # not "passthrough"
            if not hasattr(step, "transform") or _learns_from_labels(step):
                break
        steps.append(step)
    return steps


def pretrainers(estimator):
    """Return the pre-trainers among those steps, as long as nothing else comes."""
    steps = label_free_steps(estimator)
    return list(takewhile(lambda step: isinstance(step, LazyTransformer), steps))


def _fit_first(estimator, n, X):
    """Return what the first n steps of a pipeline, fitted without labels, make of X."""
    # A last step that does nothing, for a pipeline's cache leaves out its last step.
    steps = [*estimator.steps[:n], ("rest", "passthrough")]
    return clone(Pipeline(steps, memory=estimator.memory)).fit_transform(X)


def _learns_from_labels(step):
    """Whether a transformer, or one inside it, says that it needs labels."""
    inner = step.get_params().values() if hasattr(step, "get_params") else ()
    for part in (step, *inner):
        if isinstance(part, type) or not hasattr(part, "fit"):
            continue
        if hasattr(part, "score_func"):  # SelectKBest's tags say nothing of labels
            return True
        y = signature(part.fit).parameters.get("y")
        if y is not None and y.default is Parameter.empty:
            return True
        if hasattr(part, "__sklearn_tags__") and get_tags(part).target_tags.required:
            return True
    return False
