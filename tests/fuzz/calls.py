"""Draws a public function of labels and probabilities, and its arguments."""

from inspect import signature

import numpy as np
from drawing import ANYTHING, CHOICES, around
from inputs import labels, pick, vectors

from sknoisy import metrics, noise, scores
from sknoisy.noise import NOISES

FUNCTIONS = [
    value
    for room in (scores, noise, metrics)
    for value in map(room.__dict__.get, room.__all__)
    if callable(value) and not isinstance(value, type)
]


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
