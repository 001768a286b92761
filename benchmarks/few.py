"""Compare classifiers on few samples, some of which have wrong labels.

    python benchmarks/few.py --data DIR

after the installation that vectors.py begins with.
The training samples are a random choice of those of vectors.py, of data sets with three
classes or more; at most 2,000 of the rest are predicted. Rows that are there already
are skipped.
"""

import argparse
import warnings
from pathlib import Path

import numpy as np
import pandas as pd
from rows import add_rows, read_rows, table
from vector_data import Absent, load
from vectors import run_row

HERE = Path(__file__).parent
DATA = ["cifar10_features", "digits", "digits_projected", "satimage", "segment"]
DATA += ["vehicle", "diamonds_cut"]
SIZES = [50, 100, 200]
NOISES = [("none", 0.0), ("symmetric_exclusive", 0.3), ("symmetric_exclusive", 0.5)]
METHODS = ["default", "logistic", "logistic_one_scale", "centroids"]
METHODS += ["centroids_one_scale", "lda", "svc", "knn_15", "forest", "cleanlab_forest"]
MOST_TESTED = 2000
KEY = "data", "n", "noise", "rate", "method", "seed"


def drawn(parts, n, seed):
    """Return X, y, X_test, y_test with n samples to train."""
    X, y = parts[:2]
    order = np.random.default_rng(seed).permutation(len(X))
    few, others = order[:n], order[n : n + MOST_TESTED]
    return X[few], y[few], X[others], y[others]


def run(args):
    done = {tuple(row[k] for k in KEY) for row in read_rows(args.rows)}
    for data in args.datasets:
        try:
            parts = load(data, args.data)
        except Absent as absent:
            print(f"{data} is skipped: {absent}", flush=True)
            continue
        for seed in args.seeds:
            for n in SIZES:
                few = drawn(parts, n, seed)
                for noise, rate in NOISES:
                    for method in args.methods:
                        values = data, n, noise, rate, method, seed
                        if values in done:
                            continue
                        row = dict(zip(KEY, values, strict=True)) | {"settings": {}}
                        row = run_row(row, few)
                        add_rows(args.rows, row)
                        print(*values, row["accuracy"], flush=True)


def few_table(rows):
    """Return mean accuracies by samples and noise, and how the default compares."""
    cells = pd.DataFrame(rows).pivot_table("accuracy", ["data", "n", "rate"], "method")
    means = cells.groupby(["n", "rate"]).mean()
    header = [
        f"{n}, {f'{rate:.0%} wrong' if rate else 'right'}" for n, rate in means.index
    ]
    lines = [
        [f"`{m}`", *(f"{mean:.1f}" for mean in means[m])] for m in METHODS if m in means
    ]
    best = cells.drop(columns="default").max(axis=1)
    note = (
        f"The default is level with the best of the others or above in "
        f"{(cells['default'] >= best).sum()} of {len(cells)} cells of data, number of "
        "samples and noise."
    )
    return f"{table(['method', *header], lines)}\n\n{note}"


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--data", help="folder of cifar10_features.npz")
    parser.add_argument("--datasets", nargs="+", default=DATA, choices=DATA)
    parser.add_argument("--methods", nargs="+", default=METHODS)
    parser.add_argument("--seeds", type=int, nargs="+", default=[0, 1, 2])
    parser.add_argument("--rows", type=Path, default=HERE / "few.jsonl")
    warnings.simplefilter("ignore", UserWarning)
    run(parser.parse_args())


if __name__ == "__main__":
    main()
