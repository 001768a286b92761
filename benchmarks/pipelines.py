"""What the recipes put around a classifier, for the accuracy benchmark.

A method such as "idn_hybrid:simclr+ce" is the recipe's own step around the classifier
that stands after the colon, which alone is its backbone.
"""

import numpy as np

from sknoisy.recipes import contrastive_framework, idn_hybrid


def refined(clf, settings):
    """Return the refiner of idn_hybrid around a classifier, warmed up as there."""
    clf.set_params(head_epochs=0)
    steps = idn_hybrid(clf.random_state, clf__estimator=clf)
    return steps["clf"].set_params(**settings)


def contrastive(clf, settings):
    """Return the fine-tuning of contrastive_framework around a classifier."""
    steps = contrastive_framework(clf.random_state, clf__estimator=clf)
    steps["clf"].contrastive.set_params(device=clf.device)
    return steps["clf"].set_params(**settings)


PIPELINES = {"idn_hybrid": refined, "contrastive_framework": contrastive}


def classifier_of(model):
    """Return the fitted classifier that predicts."""
    fitted = getattr(model, "estimator_", model)
    return getattr(fitted, "named_steps", {}).get("classifier", fitted)


def label_accuracy(model, y, noisy):
    """Return how many labels in a hundred are right: the given ones, and the mended.

    "mended" are the refined labels after each iteration, or the pseudo-labels.
    """
    if hasattr(model, "iteration_labels_"):
        mended = model.iteration_labels_
    elif hasattr(model, "pseudo_labels_"):
        mended = model.pseudo_labels_[None]
    else:
        return None
    return {"given": _percent(noisy == y), "mended": [_percent(m == y) for m in mended]}


def _percent(right):
    return round(100 * float(np.mean(right)), 2)
