"""Accuracy with many noisy and few trusted labels, against either and their union.

    python benchmarks/trusted.py --data DIR --seeds 0 1 2
    python benchmarks/trusted.py --data DIR --seeds 0 1 --size large
    python benchmarks/report.py

The data are the embeddings of CIFAR-10 of ``vector_data.py``. Of the 20,000 training
samples 500, drawn at random, have trusted labels; those of the others are noisy. The
large data are 152,000 samples made of these, of which 2,000 have trusted labels: to a
real sample half of the difference between two of the ten nearest neighbours that it has
in its class is added, and it keeps its class. The test samples are real ones. Rows go
to a JSON lines file; those that are there already are skipped.
"""

import argparse
import time
from functools import cache
from itertools import product
from pathlib import Path

import numpy as np
from rows import add_rows, environment, percent, read_rows, table
from sklearn.metrics import log_loss
from vector_data import load, noisy_labels

from sknoisy import CoTrainingClassifier, NoisyRobustClassifier
from sknoisy.scores import neighbor_index

HERE = Path(__file__).parent
SIZES = {"small": (20_000, 500), "large": (152_000, 2_000)}  # samples, trusted ones
NEAREST = 10
NOISES = {
    "symmetric_exclusive": ("symmetric_exclusive", 0.4),
    "asymmetric": ("asymmetric", 0.4),
    "instance_dependent": ("instance_dependent", 0.4),
    # Cats and dogs change places: nothing but trusted labels can tell.
    "asymmetric_60": ("asymmetric", 0.6),
}
CLASSIFIERS = {
    "default": lambda seed: NoisyRobustClassifier(random_state=seed),
    "ssr": lambda seed: CoTrainingClassifier("ssr", random_state=seed),
    "elr": lambda seed: NoisyRobustClassifier(
        "elr", "identity", max_epochs=20, random_state=seed
    ),
}
TRAININGS = {
    "trusted": "the trusted labels",
    "noisy": "the noisy labels",
    "union": "both, alike",
    "told": "both, `trusted=`",
}


@cache
def data(size, folder):
    """Return X, y, X_test, y_test of a size."""
    X, y, X_test, y_test = load("cifar10_features", folder)
    n_samples, _ = SIZES[size]
    if n_samples == len(X):
        return X, y, X_test, y_test
    near = np.empty((len(X), NEAREST), dtype=int)
    for c in np.unique(y):
        rows = np.flatnonzero(y == c)
        near[rows] = rows[neighbor_index(X[rows], NEAREST)]
    rng = np.random.default_rng(0)
    origin = np.resize(rng.permutation(len(X)), n_samples)
    ranks = rng.permuted(np.tile(np.arange(NEAREST), (n_samples, 1)), axis=1)
    one, other = (X[near[origin, ranks[:, k]]] for k in (0, 1))
    return X[origin] + (one - other) / 2, y[origin], X_test, y_test


def run_row(row, folder):
    """Train as one row says; return the finished row."""
    X, y, X_test, y_test = data(row["size"], folder)
    seed = row["seed"]
    noisy = noisy_labels("cifar10_features", X, y, *NOISES[row["noise"]], seed)
    trusted = np.zeros(len(X), dtype=bool)
    n_trusted = SIZES[row["size"]][1]
    trusted[np.random.default_rng(seed).permutation(len(X))[:n_trusted]] = True
    given, kept = np.where(trusted, y, noisy), np.ones(len(X), dtype=bool)
    if row["training"] in ("trusted", "noisy"):
        kept = trusted == (row["training"] == "trusted")
    classifier = CLASSIFIERS[row["classifier"]](seed)
    mask = trusted if row["training"] == "told" else None
    started, cpu = time.perf_counter(), time.process_time()
    classifier.fit(X[kept], given[kept], trusted=mask)
    seconds, cpu = time.perf_counter() - started, time.process_time() - cpu
    probs = classifier.predict_proba(X_test)
    return row | {
        "accuracy": percent(np.mean(probs.argmax(axis=1) == y_test)),
        "log_loss": round(log_loss(y_test, probs), 4),
        "labels_right": percent(np.mean(given[kept] == y[kept])),
        "seconds": round(seconds, 2),
        "cpu_seconds": round(cpu, 2),
        **environment(),
    }


def key(row):
    names = ("size", "classifier", "noise", "training", "seed")
    return tuple(row[name] for name in names)


def trusted_table(rows, size):
    """Return means and standard deviations over seeds, as Markdown."""
    rows = [row for row in rows if row["size"] == size]
    columns = sorted({(r["classifier"], r["noise"]) for r in rows})
    head = ("`{}`, {} {:.0%}".format(name, *NOISES[noise]) for name, noise in columns)
    lines = [["trained on", *head, "seconds"]]
    for training, title in TRAININGS.items():
        lines.append([title])
        for name, noise in columns:
            of = [r for r in rows if key(r)[1:4] == (name, noise, training)]
            lines[-1].append(_cell(of) if of else "open")
        seconds = [row["seconds"] for row in rows if row["training"] == training]
        lines[-1].append(f"{np.median(seconds):.0f}" if seconds else "")
    return table(lines[0], lines[1:])


def _cell(rows):
    """Return accuracy, its deviation and number of seeds, and the log loss."""
    accuracy, losses = (
        [row[name] for row in rows] for name in ("accuracy", "log_loss")
    )
    spread = f" ± {np.std(accuracy, ddof=1):.1f}" if len(rows) > 1 else ""
    return f"{np.mean(accuracy):.1f}{spread} ({len(rows)}), {np.mean(losses):.2f}"


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--data", required=True, help="folder of cifar10_features.npz")
    parser.add_argument("--seeds", nargs="+", type=int, default=[0, 1, 2])
    parser.add_argument("--size", choices=SIZES, default="small")
    parser.add_argument("--trainings", nargs="+", default=list(TRAININGS))
    parser.add_argument("--noises", nargs="+", default=list(NOISES))
    parser.add_argument("--classifiers", nargs="+", default=["default"])
    parser.add_argument("--rows", type=Path, default=HERE / "trusted.jsonl")
    args = parser.parse_args()
    done = {key(row) for row in read_rows(args.rows)}
    names = ("size", "classifier", "noise", "training", "seed")
    wanted = [
        dict(zip(names, (args.size, *values), strict=True))
        for values in product(args.classifiers, args.noises, args.trainings, args.seeds)
    ]
    for row in wanted:
        if key(row) in done:
            continue
        row = run_row(row, args.data)
        add_rows(args.rows, row)
        print(*key(row), row["accuracy"], row["seconds"], flush=True)
    print(trusted_table(read_rows(args.rows), args.size))


if __name__ == "__main__":
    main()
