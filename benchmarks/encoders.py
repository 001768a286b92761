"""Scores of encoders that need no clean labels, beside their linear-probe accuracy.

    python benchmarks/encoders.py --data DIR
    python benchmarks/encoders.py --table

Encoders of several methods, lengths and temperatures, one of them untrained and one
that collapses, are pre-trained on the digits, or on the embeddings of 2,000 images of
CIFAR-10. The probe is a logistic regression of the features, trained and tested on
clean labels. The scores see noisy labels or none; "clean" is the accuracy of neighbours
on clean labels. Printed is the rank correlation of each score with the probe's
accuracy. Rows that are there already are skipped.
"""

import argparse
from pathlib import Path

import numpy as np
from rows import add_rows, environment, percent, read_rows, table
from scipy.stats import spearmanr
from selection import samples
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from vector_data import Absent, noisy_labels

from sknoisy import SimCLR, SSLPretrainer, VICReg
from sknoisy.metrics import NoiseCorrectedScorer, neighbor_accuracy

HERE = Path(__file__).parent
ENCODERS = {  # method and epochs
    "untrained": ("simclr", 0),
    "simclr 3": ("simclr", 3),
    "simclr 10": ("simclr", 10),
    "simclr 30": ("simclr", 30),
    "simclr 30, temperature 0.05": (SimCLR(temperature=0.05), 30),
    "simclr 30, temperature 1": (SimCLR(temperature=1.0), 30),
    "simclr 30, temperature 10": (SimCLR(temperature=10.0), 30),
    "moco 30": ("moco", 30),
    "byol 10": ("byol", 10),
    "vicreg 10": ("vicreg", 10),
    "vicreg 10, no variance": (VICReg(variance_weight=0.0), 10),
    "barlow_twins 10": ("barlow_twins", 10),
}
NOISES = {"symmetric 40%": "symmetric_exclusive", "pair flip 40%": "pair_flip"}
RATE = 0.4
N_NEIGHBORS = 20
KEYS = ("data", "encoder", "seed")


def pretrain(method, epochs, X, seed):
    """Return the encoder; without epochs, as it was initialised."""
    rate = {} if epochs else {"lr": 1e-12}  # nothing is learned
    return SSLPretrainer(
        method, max_epochs=max(epochs, 1), monitor=1000, random_state=seed, **rate
    ).fit(X)


def run_row(row, folder):
    data, name, seed = (row[key] for key in KEYS)
    X, y, X_test, y_test = samples(data, folder, 0)
    ssl = pretrain(*ENCODERS[name], X, seed)
    features, test = (np.asarray(ssl.transform(part)) for part in (X, X_test))
    probe = make_pipeline(StandardScaler(), LogisticRegression(C=0.1, max_iter=300))
    probe_accuracy = percent(probe.fit(features, y).score(test, y_test))
    scores = {"clean": percent(neighbor_accuracy(y, features, N_NEIGHBORS))}
    for label, noise in NOISES.items():
        noisy = noisy_labels(data, X, y, noise, RATE, seed)
        T = NoiseCorrectedScorer.from_samples(X, noisy).transition_matrix
        for kind, matrix in (("noisy", None), ("corrected", T)):
            score = neighbor_accuracy(noisy, features, N_NEIGHBORS, matrix)
            scores[f"{label}, {kind}"] = percent(score)
    scores |= {key: round(ssl.history_[-1][key], 2) for key in ("rankme", "lidar")}
    return row | {"probe": probe_accuracy, "scores": scores, **environment()}


def correlation(rows, score):
    """Return the rank correlation with the probe, mean over seeds."""
    found = []
    for seed in sorted({row["seed"] for row in rows}):
        of = [row for row in rows if row["seed"] == seed]
        pairs = [(row["probe"], row["scores"][score]) for row in of]
        found.append(spearmanr(*zip(*pairs, strict=True)).statistic)
    return np.mean(found)


def encoders_table(rows):
    """Return probe and scores of each encoder, and rank correlations, over seeds."""
    if not rows:
        return table(["data", "encoder", "linear probe"], [])
    scores = [*rows[0]["scores"]]
    lines = [["data", "encoder", "linear probe", *scores]]
    for data in dict.fromkeys(row["data"] for row in rows):
        of_data = [row for row in rows if row["data"] == data]
        for name in dict.fromkeys(row["encoder"] for row in of_data):
            of = [row for row in of_data if row["encoder"] == name]
            values = [[row["probe"], *row["scores"].values()] for row in of]
            shown = [f"{value:.1f}" for value in np.mean(values, axis=0)]
            lines.append([data, name, *shown])
        correlations = [f"{correlation(of_data, score):.2f}" for score in scores]
        lines.append([data, "rank correlation with the probe", "", *correlations])
    return table(lines[0], lines[1:])


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--datasets", nargs="+", default=["digits", "cifar10_features"])
    parser.add_argument("--data", help="folder of cifar10_features.npz")
    parser.add_argument("--seeds", nargs="+", type=int, default=[0])
    parser.add_argument("--rows", type=Path, default=HERE / "encoders.jsonl")
    parser.add_argument("--table", action="store_true", help="print it; run nothing")
    args = parser.parse_args()
    done = {tuple(row[key] for key in KEYS) for row in read_rows(args.rows)}
    asked = [
        (data, name, seed)
        for seed in args.seeds
        for data in args.datasets
        for name in ENCODERS
    ]
    for settings in asked if not args.table else []:
        if settings in done:
            continue
        try:
            row = run_row(dict(zip(KEYS, settings, strict=True)), args.data)
        except Absent as absent:
            print(f"{settings[0]} is skipped: {absent}", flush=True)
            continue
        add_rows(args.rows, row)
        print(*settings, row["probe"], row["scores"], flush=True)
    print(encoders_table(read_rows(args.rows)))


if __name__ == "__main__":
    main()
