"""Draws parameters and inputs for estimators and functions, most of them sensible."""

from inspect import signature

import numpy as np
import torch
from sklearn.pipeline import Pipeline

from sknoisy import (
    ContrastiveFineTuner,
    CoTrainingClassifier,
    LabelErrorDetector,
    NoisyRobustClassifier,
    PseudoLabelRefiner,
    SSLPretrainer,
    metrics,
    noise,
    scores,
)
from sknoisy.cotraining import COTRAINING_METHODS
from sknoisy.detection import DETECTION_METHODS
from sknoisy.losses import LOSSES
from sknoisy.noise import NOISES
from sknoisy.parameters import Method
from sknoisy.regularizers import REGULARIZERS
from sknoisy.selfsup import METHODS

FUNCTIONS = [
    value
    for room in (scores, noise, metrics)
    for value in map(room.__dict__.get, room.__all__)
    if callable(value) and not isinstance(value, type)
]
# Of any kind, right or wrong wherever they come; none makes a training long.
ANYTHING = [
    None, True, False, -1, 0, 1, 2, 3, 0.0, 0.25, 1.0, 1.5, -0.5, np.nan, np.inf, 1e-30,
    1e30, "auto", "", "x", "none", (), (1, 2), [0.5], {}, {"a": 1}, np.float32(0.5),
    np.int64(2), np.array([1.0, 2.0]), np.array(0.5), object, b"x", 1j,
    torch.tensor(0.5), lambda *args: None,
]  # fmt: skip
CHOICES = {
    "encoder": ["auto", "mlp", "identity", "convnet", "resnet19"],
    "head": ["linear", "mlp"],
    "optimizer": ["sgd", "momentum", "lars", "adamw", "auto"],
    "schedule": ["cosine", "constant", "steps"],
    "views": ["auto", "none"],
    "lr": [1e-3, 0.1, 1.0, 1e4, 1e20],
    "batch_size": [2, 7, 64, "auto"],
    "momentum": [0.0, 0.5, 0.999],
    "validation": [0.1, 0.5, 0.99, None],
    "class_weight": ["balanced", {0: 2.0}, {0: 1e-30}, None],
    "freeze_encoder": [True, False],
    "channels": ["auto", "first", "last"],
    "precision": 5 * ["float32"] + ["bfloat16"],  # which CPUs compute slowly
    "head_epochs": [0, 1, "auto"],
    "max_false_alarms": [0.0, 0.05, 0.9, None],
    "cv": [2, 3, 5, "dynamics", "prefit"],
    "output": ["lazy", "array"],
    "rule": ["confusion", "prune_by_class", "prune_by_noise_rate"],
    "random_state": [0, np.random.RandomState(0), None],
}
LONG = {"max_epochs", "n_iterations", "stages", "first_stages", "warmup_epochs"}
KEPT = {"verbose", "callbacks", "memory", "device", "compile", "n_jobs", "weights"}


def pick(rng, values):
    """Return one of some values."""
    return values[rng.integers(len(values))]


def parameters(rng, estimator, share):
    """Change some parameters in place; return the names of those that were."""
    changed = []
    for name, value in estimator.get_params(deep=False).items():
        if name in LONG | KEPT or rng.random() > share:
            continue
        if isinstance(value, Method) or name in ("estimator", "method", "loss"):
            continue
        sensible = CHOICES.get(name) or around(value)
        wrong = rng.random() < 0.15 or not sensible
        setattr(estimator, name, pick(rng, ANYTHING if wrong else sensible))
        changed.append(name)
    return changed


def around(value):
    """Return values of the kind of a number."""
    if isinstance(value, bool):
        return [True, False]
    if isinstance(value, int):
        return [value, 1, 2, value + 1]
    if isinstance(value, float):
        return [value, 0.0, value / 2, min(2 * value, 1.0), 1.0]
    return []


def vectors(rng, n):
    """Return a table, in any form."""
    d = int(pick(rng, [1, 2, 5, 30]))
    X = rng.normal(size=(n, d)) * pick(rng, [1, 1, 1e-6, 1e6]) + pick(rng, [0, 0, 1e4])
    change = rng.integers(12)
    if change == 0:
        X[:, 0] = X[0, 0]
    if change == 1:
        X[:] = 0
    if change == 2:
        X[rng.integers(n), 0] = pick(rng, [1e30, -1e300, 1e7])
    forms = [
        lambda X: X, lambda X: X.astype(np.float32), lambda X: X.tolist(),
        lambda X: X.astype(np.float16),
        lambda X: np.round(X).clip(-9e3, 9e3).astype(int),
        lambda X: X > 0, lambda X: torch.from_numpy(X), np.asfortranarray,
    ]  # fmt: skip
    with np.errstate(all="ignore"):
        return pick(rng, forms)(X)


def images(rng, n):
    """Return small images, in any form."""
    shape = [(8, 8), (8, 8, 3), (3, 8, 8), (9, 7, 1), (4, 4, 3)][rng.integers(5)]
    X = rng.integers(0, 256, (n, *shape), dtype=np.uint8)
    forms = [
        lambda X: X, lambda X: X / 255, lambda X: X.astype(np.float32),
        lambda X: X.astype(np.int16) - 128, lambda X: torch.from_numpy(X),
        lambda X: X // 255, lambda X: np.zeros_like(X), lambda X: X[:, ::-1],
    ]  # fmt: skip
    return pick(rng, forms)(X)


def samples(rng, n):
    """Return samples; some of them are not valid."""
    X = (vectors if rng.random() < 0.6 else images)(rng, n)
    change = rng.integers(30)
    if change == 0 and getattr(X, "dtype", None) in (np.float32, np.float64):
        X[rng.integers(n)] = pick(rng, [np.nan, np.inf])
    if change == 1:
        X = X[: rng.integers(4)]
    if change == 2:
        X = np.asarray(X).astype(object)
    if change == 3:
        X = np.asarray(X).astype(complex)
    if change == 4:
        X = np.asarray(X)[0]
    if change == 5:
        X = pick(rng, [None, "x", 3, [], [[1], [2, 3]], {"a": [1]}, np.zeros((n, 0))])
    return X


def labels(rng, n):
    """Return labels; some of them are not valid."""
    k = int(pick(rng, [2, 2, 3, 5]))
    y = rng.integers(0, k, n)
    forms = [
        lambda y: y, lambda y: y.astype(float), lambda y: y.tolist(), lambda y: y > 0,
        lambda y: np.array(list("abcde"))[y], lambda y: y - 1, lambda y: 10 * y,
        lambda y: np.array(["a", "b", "c", "d", "e"], dtype=object)[y],
        lambda y: torch.from_numpy(y), lambda y: y.astype(np.uint8),
        lambda y: (np.arange(n) == 0).astype(int),
    ]  # fmt: skip
    y = pick(rng, forms)(y)
    change = rng.integers(24)
    if change == 0:
        y = pick(rng, [None, "x", 3, [], np.zeros(n), rng.random(n), np.eye(3)[y * 0]]
                 if isinstance(y, np.ndarray) and y.dtype.kind == "i"
                 else [None, "x", [], np.zeros(n)])  # fmt: skip
    if change == 1:
        y = y[:-1]
    if change == 2:
        y = np.asarray(y).astype(object)
        y[rng.integers(n)] = pick(rng, [None, np.nan, "z", (1, 2)])
    return y


def method(rng, registry):
    """Return a method with some parameters changed, and the names of these."""
    one = registry[pick(rng, sorted(registry))]()
    changed = parameters(rng, one, 0.2)
    if hasattr(one, "warmup_epochs") and rng.random() < 0.5:
        one.warmup_epochs = int(rng.integers(3))
    return one, changed


def classifier(rng, share=0.12):
    """Return a classifier, and the names of what was changed."""
    if rng.random() < 0.55:
        loss, changed = method(rng, LOSSES)
        one = NoisyRobustClassifier(loss)
        if rng.random() < 0.15:
            regularizer, more = method(rng, REGULARIZERS)
            one.regularizers = [regularizer]
            changed += ["regularizers", *more]
    else:
        how, changed = method(rng, COTRAINING_METHODS)
        one = CoTrainingClassifier(how)
    one.set_params(max_epochs=int(rng.integers(1, 5)), random_state=0)
    return one, changed + parameters(rng, one, share)


def pretrainer(rng, share=0.12):
    """Return a pre-trainer, and the names of what was changed."""
    how, changed = method(rng, METHODS)
    one = SSLPretrainer(how, max_epochs=int(rng.integers(1, 3)), random_state=0)
    return one, changed + parameters(rng, one, share)


def estimator(rng):
    """Return an estimator, and the names of what was changed."""
    kind = rng.integers(8)
    if kind < 3:
        return classifier(rng)
    if kind == 3:
        return pretrainer(rng)
    clf, changed = classifier(rng, 0.05)
    if kind == 4:
        ssl, more = pretrainer(rng, 0.05)
        return Pipeline([("ssl", ssl), ("clf", clf)]), changed + more
    if kind == 5:
        one = PseudoLabelRefiner(clf, 1, 1, first_stages=(1, 2), random_state=0)
    elif kind == 6:
        supcon = SSLPretrainer("supcon", max_epochs=1, random_state=0)
        one = ContrastiveFineTuner(clf, supcon, random_state=0)
    else:
        how, more = method(rng, DETECTION_METHODS)
        changed += ["method", *more]
        one = LabelErrorDetector(clf, how if rng.random() < 0.6 else "auto")
    return one, changed + parameters(rng, one, 0.1)


def arguments(rng, function):
    """Return the arguments of a function of labels and probabilities."""
    n, k = int(pick(rng, [1, 2, 10, 60])), int(pick(rng, [2, 3, 5]))
    rows = rng.dirichlet(np.full(k, pick(rng, [0.01, 1.0])), n)
    make = {
        "y": lambda: labels(rng, n),
        "y_pred": lambda: labels(rng, n),
        "codes": lambda: rng.integers(0, k, n),
        "pred_probs": lambda: rows,
        "logits": lambda: rng.normal(size=(4, n, k)) * pick(rng, [1, 1e3]),
        "losses": lambda: rng.exponential(size=n) * pick(rng, [0, 1, 1e-9, 1e9]),
        "features": lambda: vectors(rng, n),
        "X": lambda: vectors(rng, n),
        "rate": lambda: pick(rng, [0.0, 0.2, 0.9]),
        "noise": lambda: pick(rng, sorted(NOISES)),
        "transition_matrix": lambda: pick(rng, [np.eye(k), rng.dirichlet([1] * k, k)]),
        "error_probability": lambda: rng.random(n),
        "votes": lambda: rng.random((k, k)),
        "prior": lambda: np.full(k, 1 / k),
        "index": lambda: rng.integers(0, n, (n, 3)),
        "n_classes": lambda: k,
        "is_wrong": lambda: rng.random(n) < 0.3,
        "label_errors": lambda: rng.random(n) < 0.3,
        "label_quality": lambda: rng.random(n),
        "classes": lambda: pick(rng, [None, None, np.arange(k)]),
    }  # fmt: skip
    chosen = {}
    for name, parameter in signature(function).parameters.items():
        known = make.get(name, lambda: pick(rng, ANYTHING))
        if parameter.default is parameter.empty or name == "classes":
            chosen[name] = known()
        elif rng.random() < 0.2:
            sensible = CHOICES.get(name) or around(parameter.default)
            wrong = rng.random() < 0.3 or not sensible
            chosen[name] = pick(rng, ANYTHING if wrong else sensible)
        if rng.random() < 0.05:
            chosen[name] = pick(rng, ANYTHING)
    return chosen
