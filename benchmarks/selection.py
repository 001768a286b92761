"""Choosing a loss without clean labels: what the choice costs, by the score used.

    python benchmarks/selection.py --data DIR --seeds 0 1 2
    python benchmarks/selection.py --table

In each cell, a data set with one noise and one seed, six losses are scored by 3-fold
cross-validation on the noisy labels, and each is trained on all of them. The regret of
a score is the clean test accuracy of the best loss minus that of the loss that the
score prefers. Clean labels are read for nothing else.

The digits are vectors for the ``mlp``, embeddings of 2,000 images of CIFAR-10 for a
linear model: those of a network with ImageNet weights, and those of the images of
protocol "small" by the committed encoder of SimCLR. The scores are

- noisy: accuracy on the held-out noisy labels;
- by fold: ``NoiseCorrectedScorer()``, whose matrix is estimated in each fold;
- corrected: ``NoiseCorrectedScorer.from_samples``.

Every row is one loss in one cell; rows that are there already are skipped. With
``--memory DIR``, predictions are kept, and another score takes seconds.
"""

import argparse
import warnings
from collections import defaultdict
from functools import cache
from pathlib import Path

import numpy as np
import vector_data
from joblib import Memory
from protocols import PROTOCOLS
from protocols import load as load_images
from rows import add_rows, environment, percent, read_rows, table
from sklearn.base import clone
from sklearn.metrics import accuracy_score
from sklearn.model_selection import StratifiedKFold
from vector_data import Absent, noises_of, noisy_labels, split
from vector_tables import label

import sknoisy
from sknoisy import NoisyRobustClassifier
from sknoisy.metrics import NoiseCorrectedScorer

HERE = Path(__file__).parent
MAX_TRAIN = 2_000
ENCODERS = {
    "digits": "mlp",
    "cifar10_features": "identity",
    "cifar10_simclr": "identity",
}
LOSSES = ["ce", "gce", "elr", "sop", "forward", "nfl_rce"]
SCORES = ["noisy", "by fold", "corrected"]
KEYS = ("data", "noise", "rate", "seed", "loss")


class Predicted:
    """A classifier that was fitted before: what it predicts is known."""

    def __init__(self, classes, pred_probs):
        self.classes_ = classes
        self.pred_probs = pred_probs

    def predict(self, X):
        return self.classes_[self.pred_probs.argmax(axis=1)]

    def predict_proba(self, X):
        return self.pred_probs


@cache
def load(data, folder):
    if data != "cifar10_simclr":
        return vector_data.load(data, folder)
    if folder is None:
        raise Absent("--data DIR must be the folder of CIFAR-10")
    encoder = sknoisy.load(PROTOCOLS["cifar10_cpu"].pretrained)
    X, y, X_test, y_test = load_images(PROTOCOLS["small"], folder)
    return [
        np.asarray(encoder.transform(X)),
        y,
        np.asarray(encoder.transform(X_test)),
        y_test,
    ]


def folds(y, seed):
    return StratifiedKFold(3, shuffle=True, random_state=seed).split(y, y)


def samples(data, folder, seed):
    """Return X, y, X_test and y_test, of at most MAX_TRAIN training samples."""
    X, y, *test = split(load(data, folder), seed)
    rows = np.random.default_rng(seed).permutation(len(y))[:MAX_TRAIN]
    return X[rows], y[rows], *test


def predictions(data, folder, noise, rate, seed, loss):
    """Return probabilities of the held-out samples, and the clean test accuracy."""
    X, y, X_test, y_test = samples(data, folder, seed)
    noisy = noisy_labels(data, X, y, noise, rate, seed)
    clf = NoisyRobustClassifier(loss, encoder=ENCODERS[data], random_state=seed)
    pred_probs = np.zeros((len(y), len(np.unique(noisy))), dtype=np.float32)
    for train, test in folds(noisy, seed):
        fitted = clone(clf).fit(X[train], noisy[train])
        pred_probs[test] = fitted.predict_proba(X[test])
    accuracy = accuracy_score(y_test, clf.fit(X, noisy).predict(X_test))
    return pred_probs, percent(accuracy)


def scores(X, noisy, pred_probs, seed):
    """Return each score, its mean over the folds."""
    scorers = {
        "noisy": lambda clf, X, y: accuracy_score(y, clf.predict(X)),
        "by fold": NoiseCorrectedScorer(),
        "corrected": NoiseCorrectedScorer.from_samples(X, noisy),
    }
    found = defaultdict(list)
    for _, test in folds(noisy, seed):
        clf = Predicted(np.unique(noisy), pred_probs[test])
        for name, scorer in scorers.items():
            found[name].append(scorer(clf, X[test], noisy[test]))
    return {name: percent(np.mean(values)) for name, values in found.items()}


def run_row(row, folder, compute):
    cell = [row[key] for key in KEYS]
    pred_probs, accuracy = compute(cell[0], folder, *cell[1:])
    X, y, *_ = samples(row["data"], folder, row["seed"])
    noisy = noisy_labels(row["data"], X, y, *cell[1:4])
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", "The transition matrix has condition")
        found = scores(X, noisy, pred_probs, row["seed"])
    return row | {"accuracy": accuracy, "scores": found, **environment()}


def plan(args):
    for seed in args.seeds:
        for data in args.datasets:
            try:
                parts = load(data, args.data)
            except Absent as absent:
                print(f"{data} is skipped: {absent}", flush=True)
                continue
            for noise, rate in noises_of(len(np.unique(parts[1]))):
                for loss in LOSSES:
                    yield dict(zip(KEYS, (data, noise, rate, seed, loss), strict=True))


def run(args):
    compute = predictions
    if args.memory is not None:
        memory = Memory(args.memory, verbose=0)
        compute = memory.cache(predictions, ignore=["folder"])
    done = {tuple(row[key] for key in KEYS) for row in read_rows(args.rows)}
    for row in plan(args):
        if tuple(row[key] for key in KEYS) in done:
            continue
        row = run_row(row, args.data, compute)
        add_rows(args.rows, row)
        print(*(row[key] for key in KEYS), row["accuracy"], row["scores"], flush=True)


def cells(rows):
    """Return the rows of each cell that has all losses."""
    found = defaultdict(list)
    for row in rows:
        found[tuple(row[key] for key in KEYS[:-1])].append(row)
    return {cell: of for cell, of in found.items() if len(of) == len(LOSSES)}


def regret(rows, score):
    """Return how far the loss that a score prefers is behind the best, in points."""
    chosen = max(rows, key=lambda row: row["scores"][score])
    return max(row["accuracy"] for row in rows) - chosen["accuracy"]


def selection_table(rows):
    """Return mean regrets over seeds, by data set and noise."""
    groups = defaultdict(list)
    for (data, noise, rate, _), of in cells(rows).items():
        groups[data, noise, rate].append(of)
        groups["all", "mean", None].append(of)
        if noise in ("asymmetric", "pair_flip"):
            groups["all", "asymmetric and pair flip", None].append(of)
    last = [key for key in groups if key[0] == "all"]
    lines = [["data", "noise", "seeds", "worst loss", *SCORES]]
    for key in [key for key in groups if key not in last] + last:
        data, noise, rate = key
        of = groups[key]
        accuracies = [[row["accuracy"] for row in rows] for rows in of]
        worst = np.mean([max(a) - min(a) for a in accuracies])
        means = [np.mean([regret(rows, score) for rows in of]) for score in SCORES]
        shown = noise if rate is None else label(noise, rate)
        figures = [f"{value:.1f}" for value in (worst, *means)]
        lines.append([data, shown, str(len(of)), *figures])
    return table(lines[0], lines[1:])


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--datasets", nargs="+", default=list(ENCODERS))
    parser.add_argument("--data", help="folder of CIFAR-10 and its features")
    parser.add_argument("--seeds", nargs="+", type=int, default=[0, 1, 2])
    parser.add_argument("--memory", help="folder of predictions that are kept")
    parser.add_argument("--rows", type=Path, default=HERE / "selection.jsonl")
    parser.add_argument("--table", action="store_true", help="print it; run nothing")
    args = parser.parse_args()
    if args.table:
        print(selection_table(read_rows(args.rows)))
    else:
        run(args)


if __name__ == "__main__":
    main()
