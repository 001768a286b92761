"""Scores of encoders that need no clean labels, beside their linear-probe accuracy.

    python benchmarks/encoders.py
    python benchmarks/encoders.py --table

Encoders of several methods, lengths and temperatures are pre-trained on the digits. The
probe is a logistic regression of the features, trained and tested on clean labels. The
scores see noisy labels (40% pair flips) or none. Printed is the rank correlation of
each score with the probe's accuracy. Rows that are there already are skipped.
"""

import argparse
import json
from pathlib import Path

import numpy as np
from scipy.stats import spearmanr
from sklearn.datasets import load_digits
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import train_test_split
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from vector_tables import markdown
from vectors import environment, percent, read_rows

from sknoisy import SimCLR, SSLPretrainer
from sknoisy.metrics import NoiseCorrectedScorer, neighbor_accuracy
from sknoisy.noise import pair_flip

HERE = Path(__file__).parent
ENCODERS = {  # method and epochs
    "untrained": ("simclr", 0),
    "simclr 3": ("simclr", 3),
    "simclr 10": ("simclr", 10),
    "simclr 30": ("simclr", 30),
    "simclr 30, temperature 0.05": (SimCLR(temperature=0.05), 30),
    "simclr 30, temperature 1": (SimCLR(temperature=1.0), 30),
    "moco 30": ("moco", 30),
    "byol 10": ("byol", 10),
    "vicreg 10": ("vicreg", 10),
    "barlow_twins 10": ("barlow_twins", 10),
}
SCORES = ["neighbors, corrected", "neighbors, noisy", "rankme", "lidar"]


def pretrain(method, epochs, X, seed):
    """Return the encoder; without epochs, as it was initialised."""
    rate = {} if epochs else {"lr": 1e-12}  # nothing is learned
    return SSLPretrainer(
        method, max_epochs=max(epochs, 1), monitor=1000, random_state=seed, **rate
    ).fit(X)


def run_row(name, seed):
    digits = load_digits()
    X, X_test, y, y_test = train_test_split(
        digits.data, digits.target, test_size=0.3, random_state=0
    )
    noisy = pair_flip(y, 0.4, random_state=seed).y
    T = NoiseCorrectedScorer.from_samples(X, noisy).transition_matrix  # one for all
    ssl = pretrain(*ENCODERS[name], X, seed)
    features, test = (np.asarray(ssl.transform(part)) for part in (X, X_test))
    probe = make_pipeline(StandardScaler(), LogisticRegression(max_iter=300))
    return {
        "encoder": name,
        "seed": seed,
        "probe": percent(probe.fit(features, y).score(test, y_test)),
        "scores": {
            "neighbors, corrected": neighbor_accuracy(noisy, features, 20, T),
            "neighbors, noisy": neighbor_accuracy(noisy, features, 20),
            "rankme": ssl.history_[-1]["rankme"],
            "lidar": ssl.history_[-1]["lidar"],
        },
        **environment(),
    }


def encoders_table(rows):
    """Return probe and scores of each encoder, and rank correlations, over seeds."""
    lines = [["encoder", "linear probe", *SCORES]]
    for name in dict.fromkeys(row["encoder"] for row in rows):
        of = [row for row in rows if row["encoder"] == name]
        means = [np.mean([row["scores"][score] for row in of]) for score in SCORES]
        shown = [f"{m:.3f}" for m in means[:2]] + [f"{m:.1f}" for m in means[2:]]
        lines.append([name, f"{np.mean([row['probe'] for row in of]):.1f}", *shown])
    correlations = []
    for score in SCORES:
        by_seed = []
        for seed in sorted({row["seed"] for row in rows}):
            of = [row for row in rows if row["seed"] == seed]
            pairs = [(row["probe"], row["scores"][score]) for row in of]
            by_seed.append(spearmanr(*zip(*pairs, strict=True)).statistic)
        correlations.append(f"{np.mean(by_seed):.2f}")
    return markdown([*lines, ["rank correlation", "", *correlations]])


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--seeds", nargs="+", type=int, default=[0])
    parser.add_argument("--rows", type=Path, default=HERE / "encoders.jsonl")
    parser.add_argument("--table", action="store_true", help="print it; run nothing")
    args = parser.parse_args()
    done = {(row["encoder"], row["seed"]) for row in read_rows(args.rows)}
    asked = [(name, seed) for seed in args.seeds for name in ENCODERS]
    for name, seed in asked if not args.table else []:
        if (name, seed) in done:
            continue
        row = run_row(name, seed)
        with args.rows.open("a") as file:
            file.write(json.dumps(row) + "\n")
        print(name, seed, row["probe"], row["scores"], flush=True)
    print(encoders_table(read_rows(args.rows)))


if __name__ == "__main__":
    main()
