"""Suggested labels: how many are right, before and after, by rule and by confidence.

    python benchmarks/suggestions.py --data digits breast_cancer --out suggestions.json
    python benchmarks/suggestions.py --features embeddings.npz --rows 5000

For each data set, noise and source of evidence, one line: the share of labels that are
right; for the published rule and for the control of false alarms, the share called
wrong, precision, recall and the share of labels right after the suggestions; and the
noise rate that was estimated. Embeddings are a file of NumPy with the arrays "train"
and "train_labels".
"""

import argparse
import json
import warnings
from pathlib import Path

import numpy as np
from sklearn import datasets
from sklearn.ensemble import RandomForestClassifier
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from sknoisy import NoisyRobustClassifier
from sknoisy.detection.folds import from_folds
from sknoisy.detection.methods import ConfidentLearning, KNNAgreement, LossGMM
from sknoisy.detection.sources import from_dynamics, from_neighbors
from sknoisy.noise import add_noise
from sknoisy.scores import limit_false_alarms

NOISES = ["symmetric_exclusive:0", "symmetric_exclusive:0.05"]
NOISES += [f"symmetric_exclusive:{rate}" for rate in (0.1, 0.2, 0.4)]
NOISES += ["pair_flip:0.2", "pair_flip:0.4"]
NOISES += ["instance_dependent:0.2", "instance_dependent:0.4"]
LOGISTIC = make_pipeline(StandardScaler(), LogisticRegression(C=0.01, max_iter=300))
FOREST = RandomForestClassifier(200, min_samples_leaf=5, random_state=0)


def evidence_of(source, X, codes, classes, seed):
    """Return the evidence, and the method whose published rule it is compared with."""
    if source == "knn":
        found = from_neighbors(LOGISTIC, X, codes, len(classes), 10)
        return found, KNNAgreement()
    if source == "dynamics":
        classifier = NoisyRobustClassifier(random_state=seed)
        return from_dynamics(classifier, X, codes, classes), LossGMM()
    classifier = {"folds": LOGISTIC, "forest": FOREST}[source]
    found = from_folds(classifier, X, codes, classes, 3, random_state=seed)
    return found, ConfidentLearning()


def measure(source, X, y, noise, seed):
    """Return one row: the published rule and the control on the same evidence."""
    kind, rate = noise.split(":")
    noisy, classes = y, np.unique(y)
    if float(rate):
        noisy = add_noise(y, kind, float(rate), X=X, random_state=seed).y
    evidence, method = evidence_of(source, X, noisy, classes, seed)
    wrong = noisy != y
    row = {"source": source, "noise": noise, "wrong": wrong.mean()}
    row["right_given"] = 1 - wrong.mean()
    errors, _ = method.judge(evidence)
    row["rule"] = scores(errors, np.where(errors, evidence.others, noisy), wrong, y)
    posterior = evidence.posterior()
    errors = limit_false_alarms(1 - posterior.given)
    changed = posterior.other > posterior.given
    suggested = np.where(changed, posterior.others, noisy)
    row["control"] = scores(errors, suggested, wrong, y)
    row["noise_rate"] = posterior.noise_rate
    row["interval"] = posterior.noise_rate_interval
    row["expected"] = [1 - posterior.given.mean(), brier(posterior, wrong)]
    return row


def scores(errors, suggested, wrong, y):
    """Return share called wrong, precision, recall, share right after suggestions."""
    found = np.count_nonzero(errors & wrong)
    return [
        errors.mean(),
        found / max(1, errors.sum()),
        found / max(1, wrong.sum()),
        np.mean(suggested == y),
    ]


def brier(posterior, wrong):
    """Return the mean squared error of the probability that a label is wrong."""
    return np.mean((1 - posterior.given - wrong) ** 2)


def line(row):
    columns = [f"{row['data']:14}{row['source']:9}{row['noise']:25}"]
    columns[0] += f"{row['right_given']:.3f}"
    for name in ("rule", "control"):
        columns.append("{:.3f} {:.2f} {:.2f} > {:.3f}".format(*row[name]))
    columns.append(
        "{:.3f} [{:.2f}, {:.2f}]".format(row["noise_rate"], *row["interval"])
    )
    if row["control"][3] < row["right_given"] - 1e-9:
        columns.append("fewer right")
    return " | ".join(columns)


def load(args):
    """Yield the name, the samples and the labels of each data set."""
    for name in args.data:
        X, y = getattr(datasets, f"load_{name}")(return_X_y=True)
        if name != "digits":
            X = StandardScaler().fit_transform(X)
        yield name, X.astype(np.float32), y
    if args.features:
        with np.load(args.features) as file:
            X, y = file["train"].astype(np.float32), file["train_labels"]
        rows = np.random.default_rng(args.seed).permutation(len(y))[: args.rows]
        yield args.features.stem, X[rows], y[rows].astype(np.int64)


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument(
        "--data", nargs="*", default=["digits", "breast_cancer", "wine"]
    )
    parser.add_argument("--features", type=Path)
    parser.add_argument("--rows", type=int, default=5000)
    parser.add_argument("--noises", nargs="+", default=NOISES)
    parser.add_argument("--sources", nargs="+", default=["folds", "knn", "dynamics"])
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--out", type=Path)
    args = parser.parse_args()
    warnings.simplefilter("ignore")
    rows = []
    for name, X, y in load(args):
        for source in args.sources:
            for noise in args.noises:
                rows.append({"data": name, **measure(source, X, y, noise, args.seed)})
                print(line(rows[-1]), flush=True)
    if args.out:
        args.out.write_text(json.dumps(rows, indent=1))


if __name__ == "__main__":
    main()
