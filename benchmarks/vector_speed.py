"""How long whole fits on embeddings take, beside scikit-learn's classifiers.

Run by ``speed.py --vectors``.
"""

import json
import platform
import time
from functools import partial

import numpy as np
import torch
from rows import table
from sklearn.linear_model import LogisticRegression
from sklearn.neural_network import MLPClassifier
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from sknoisy import CoTrainingClassifier, NoisyRobustClassifier

VECTORS = {
    "default": partial(NoisyRobustClassifier, random_state=0),
    "ce": partial(NoisyRobustClassifier, "ce", random_state=0),
    "elr": partial(NoisyRobustClassifier, "elr", random_state=0),
    "dividemix": partial(CoTrainingClassifier, "dividemix", random_state=0),
    "elr, linear": partial(
        NoisyRobustClassifier, "elr", encoder="identity", random_state=0
    ),
    "dividemix, linear": partial(
        CoTrainingClassifier, "dividemix", encoder="identity", random_state=0
    ),
    "logistic": lambda: make_pipeline(
        StandardScaler(), LogisticRegression(max_iter=200)
    ),
    "mlp": lambda: make_pipeline(
        StandardScaler(), MLPClassifier(early_stopping=True, random_state=0)
    ),
}


def measure_vectors(folder, repeats, names, out):
    """Write how long fits on 20,000 x 384 take, of whose labels 60% are wrong.

    Of each fit the seconds, those of the processor, which others on the machine slow
    less, and the accuracy; interleaved, and written after each round.
    """
    from vector_data import load, noisy_labels  # they need pandas

    X, y, X_test, y_test = load("cifar10_features", folder)
    noisy = noisy_labels("cifar10_features", X, y, "symmetric_exclusive", 0.6, 0)
    fits = {name: [] for name in names}
    for _ in range(repeats):
        for name in names:
            model = VECTORS[name]()
            started = time.perf_counter(), time.process_time()
            model.fit(X, noisy)
            ended = time.perf_counter(), time.process_time()
            accuracy = 100 * model.score(X_test, y_test)
            each = [b - a for a, b in zip(started, ended, strict=True)]
            fits[name].append([round(value, 2) for value in (*each, accuracy)])
        middle = {n: np.median(rows, axis=0).tolist() for n, rows in fits.items()}
        versions = {"torch": torch.__version__, "python": platform.python_version()}
        text = {"threads": torch.get_num_threads(), "versions": versions, "fits": fits}
        columns = "seconds", "cpu_seconds", "accuracy"
        text["medians"] = {
            name: dict(zip(columns, row, strict=True)) for name, row in middle.items()
        }
        print(json.dumps(text["medians"], indent=1), flush=True)
        if out:
            out.write_text(json.dumps(text, indent=1))


def vector_speed_table(path):
    """Medians of whole fits on embeddings, and how many there were."""
    if not path.exists():
        return ""
    found, lines = json.loads(path.read_text()), []
    base = found["medians"]["logistic"]["seconds"]
    for name, median in found["medians"].items():
        columns = "seconds", "cpu_seconds", "accuracy"
        cells = [f"{median[k]:.1f}" for k in columns]
        ratio = f"{median['seconds'] / base:.0f}"
        lines.append([f"`{name}`", *cells, ratio, str(len(found["fits"][name]))])
    header = ["classifier", "seconds", "of the processor", "accuracy", "over logistic"]
    return table([*header, "fits"], lines)
