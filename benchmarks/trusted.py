"""Accuracy with many noisy and few trusted labels, against either and their union.

    python benchmarks/trusted.py --data DIR --seeds 0 1 2
    python benchmarks/report.py

The data are the embeddings of CIFAR-10 of ``vector_data.py``. Of the 20,000 training
samples 500, drawn at random, have trusted labels; those of the others are noisy. Rows
go to a JSON lines file; those that are there already are skipped.
"""

import argparse
import json
import time
from pathlib import Path

import numpy as np
from vector_data import load, noisy_labels
from vectors import environment, percent, read_rows

from sknoisy import CoTrainingClassifier, NoisyRobustClassifier

HERE = Path(__file__).parent
N_TRUSTED, RATE = 500, 0.4
NOISES = ("symmetric_exclusive", "asymmetric", "instance_dependent")
CLASSIFIERS = {
    "default": lambda seed: NoisyRobustClassifier(random_state=seed),
    "ssr": lambda seed: CoTrainingClassifier("ssr", random_state=seed),
    "elr": lambda seed: NoisyRobustClassifier(
        "elr", "identity", max_epochs=20, random_state=seed
    ),
}
TRAININGS = {
    "trusted": "the 500 trusted labels",
    "noisy": "the 19,500 noisy labels",
    "union": "both, alike",
    "told": "both, `trusted=`",
}


def run_row(row, folder):
    """Train as one row says; return the finished row."""
    X, y, X_test, y_test = load("cifar10_features", folder)
    seed = row["seed"]
    noisy = noisy_labels("cifar10_features", X, y, row["noise"], RATE, seed)
    trusted = np.zeros(len(X), dtype=bool)
    trusted[np.random.default_rng(seed).permutation(len(X))[:N_TRUSTED]] = True
    given, kept = np.where(trusted, y, noisy), np.ones(len(X), dtype=bool)
    if row["training"] in ("trusted", "noisy"):
        kept = trusted == (row["training"] == "trusted")
    classifier = CLASSIFIERS[row["classifier"]](seed)
    mask = trusted if row["training"] == "told" else None
    started = time.perf_counter()
    classifier.fit(X[kept], given[kept], trusted=mask)
    seconds = time.perf_counter() - started
    return row | {
        "accuracy": percent(classifier.score(X_test, y_test)),
        "labels_right": percent(np.mean(given[kept] == y[kept])),
        "seconds": round(seconds, 2),
        **environment(),
    }


def key(row):
    return tuple(row[name] for name in ("classifier", "noise", "training", "seed"))


def trusted_table(rows):
    """Return means and standard deviations over seeds, as Markdown."""
    columns = sorted({(r["classifier"], r["noise"]) for r in rows})
    head = (f"`{name}`, {noise} 40%" for name, noise in columns)
    lines = [["trained on", *head, "seconds"]]
    lines.append(["---"] * len(lines[0]))
    for training, title in TRAININGS.items():
        lines.append([title])
        for name, noise in columns:
            wanted = name, noise, training
            of = [r["accuracy"] for r in rows if key(r)[:3] == wanted]
            cell = f"{np.mean(of):.1f} ± {np.std(of):.1f} ({len(of)})" if of else "open"
            lines[-1].append(cell)
        seconds = [row["seconds"] for row in rows if row["training"] == training]
        lines[-1].append(f"{np.median(seconds):.0f}" if seconds else "")
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--data", required=True, help="folder of cifar10_features.npz")
    parser.add_argument("--seeds", nargs="+", type=int, default=[0, 1, 2])
    parser.add_argument("--noises", nargs="+", default=NOISES)
    parser.add_argument("--classifiers", nargs="+", default=["default"])
    parser.add_argument("--rows", type=Path, default=HERE / "trusted.jsonl")
    args = parser.parse_args()
    done = {key(row) for row in read_rows(args.rows)}
    wanted = [
        {"classifier": classifier, "noise": noise, "training": training, "seed": seed}
        for seed in args.seeds
        for classifier in args.classifiers
        for noise in args.noises
        for training in TRAININGS
    ]
    for row in wanted:
        if key(row) in done:
            continue
        row = run_row(row, args.data)
        with args.rows.open("a") as file:
            file.write(json.dumps(row) + "\n")
        print(*key(row), row["accuracy"], row["seconds"], flush=True)
    print(trusted_table(read_rows(args.rows)))


if __name__ == "__main__":
    main()
