r"""Accuracy with many noisy and few trusted labels, against either and their union.

    python benchmarks/trusted.py --data DIR --seeds 0 1 2
    python benchmarks/trusted.py --data DIR --seeds 0 1 --size large
    python benchmarks/trusted.py --size tables --seeds 0 \
        --trainings trusted union told --classifiers default forest svc
    python benchmarks/report.py

The data are the embeddings of CIFAR-10 of ``vector_data.py``. Of the 20,000 training
samples 500, drawn at random, have trusted labels; those of the others are noisy. The
large data are 152,000 samples made of these, of which 2,000 have trusted labels: to a
real sample half of the difference between two of the ten nearest neighbours that it has
in its class is added, and it keeps its class. The test samples are real ones.

The tables are the data sets of ``unseen.py``, except four by which was chosen how
trusted labels are used (and ten others, when they choose the kernel and its penalty):
60% of the rows train, and a tenth of these, but at least ten, have trusted labels. Rows
go to a JSON lines file; those that are there already are skipped.
"""

import argparse
import time
from functools import cache
from itertools import product
from pathlib import Path

import numpy as np
import pandas as pd
import unseen
from rows import add_rows, environment, percent, read_rows, table
from sklearn.dummy import DummyClassifier
from sklearn.ensemble import RandomForestClassifier
from sklearn.metrics import log_loss
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from sklearn.svm import SVC
from vector_data import load, noisy_labels, split

from sknoisy import CoTrainingClassifier, NoisyRobustClassifier
from sknoisy.scores import neighbor_index

HERE = Path(__file__).parent
SIZES = {"small": (20_000, 500), "large": (152_000, 2_000)}  # samples, trusted ones
FEATURES = "cifar10_features"
CHOSEN_BY = "balanced vowel", "balanced penbased", "made 5 classes", "words tf-idf"
KERNEL_CHOSEN_BY = [
    "R fgl",
    *(
        f"balanced {name}"
        for name in "tic-tac-toe heart housevotes monk-2 banana chess texture "
        "movement_libras ionosphere".split()
    ),
]
TABLES = [name for name in unseen.DATA if name not in CHOSEN_BY]
SHARE, FEWEST = 0.1, 10  # of the samples of a table, and at least
NEAREST = 10
NOISES = {
    "symmetric_exclusive": ("symmetric_exclusive", 0.4),
    "asymmetric": ("asymmetric", 0.4),
    "instance_dependent": ("instance_dependent", 0.4),
    # Cats and dogs change places: nothing but trusted labels can tell.
    "asymmetric_60": ("asymmetric", 0.6),
    "pair_flip_60": ("pair_flip", 0.6),
}
CLASSIFIERS = {
    "default": lambda seed: NoisyRobustClassifier(random_state=seed),
    "ssr": lambda seed: CoTrainingClassifier("ssr", random_state=seed),
    "elr": lambda seed: NoisyRobustClassifier(
        "elr", "identity", max_epochs=20, random_state=seed
    ),
    "forest": lambda seed: RandomForestClassifier(random_state=seed),
    "svc": lambda seed: make_pipeline(StandardScaler(), SVC(random_state=seed)),
}
PEERS = "forest", "svc"  # which cannot be told
TRAININGS = {
    "trusted": "the trusted labels",
    "noisy": "the noisy labels",
    "union": "both, alike",
    "told": "both, `trusted=`",
}


def data(row, folder):
    """Return X, y, X_test, y_test of a row."""
    if row["size"] == "tables":
        return split(unseen.load(row["data"]), row["seed"])
    return features(row["size"], folder)


@cache
def features(size, folder):
    """Return X, y, X_test, y_test: embeddings, of the size."""
    X, y, X_test, y_test = load(FEATURES, folder)
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
    X, y, X_test, y_test = data(row, folder)
    seed = row["seed"]
    noisy = noisy_labels(row["data"], X, y, *NOISES[row["noise"]], seed)
    trusted = np.zeros(len(X), dtype=bool)
    n_trusted = max(FEWEST, round(SHARE * len(X)))
    if row["size"] in SIZES:
        n_trusted = SIZES[row["size"]][1]
    trusted[np.random.default_rng(seed).permutation(len(X))[:n_trusted]] = True
    given, kept = np.where(trusted, y, noisy), np.ones(len(X), dtype=bool)
    if row["training"] in ("trusted", "noisy"):
        kept = trusted == (row["training"] == "trusted")
    classifier = CLASSIFIERS[row["classifier"]](seed)
    if len(np.unique(given[kept])) == 1:  # of few trusted samples
        classifier = DummyClassifier()
    told = {"trusted": trusted} if row["training"] == "told" else {}
    started, cpu = time.perf_counter(), time.process_time()
    classifier.fit(X[kept], given[kept], **told)
    seconds, cpu = time.perf_counter() - started, time.process_time() - cpu
    row |= {
        "accuracy": percent(np.mean(classifier.predict(X_test) == y_test)),
        "labels_right": percent(np.mean(given[kept] == y[kept])),
        "seconds": round(seconds, 2),
        "cpu_seconds": round(cpu, 2),
    }
    if row["size"] in SIZES:
        loss = log_loss(y_test, classifier.predict_proba(X_test))
        row["log_loss"] = round(loss, 4)
    return row | environment()


def key(row):
    names = ("size", "classifier", "noise", "training", "seed")
    return (*(row[name] for name in names), row.get("data", FEATURES))


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


def trusted_on_tables(rows):
    """Return mean accuracies on the tables, and how cells compare, as Markdown."""
    rows = [row for row in rows if row["size"] == "tables"]
    cells = pd.DataFrame(rows).pivot_table(
        "accuracy", ["noise", "data", "seed"], ["training", "classifier"]
    )
    cells = cells.dropna()
    best, means = cells.max(axis=1), cells.groupby("noise").mean()
    noises = [noise for noise in NOISES if noise in means.index]
    head = ["{} {:.0%}".format(*NOISES[noise]) for noise in noises]
    lines = [
        [
            title,
            f"`{name}`",
            *(f"{means.loc[noise, (training, name)]:.1f}" for noise in noises),
            str((cells[training, name] >= best).sum()),
        ]
        for training, title in TRAININGS.items()
        for name in CLASSIFIERS
        if (training, name) in cells
    ]
    told, known, alike = (
        cells[training, "default"] for training in ("told", "trusted", "union")
    )
    others = cells[~cells.index.isin(KERNEL_CHOSEN_BY, level="data")]
    means = others.groupby("noise").mean()
    ahead = (means["told", "default"] >= means.max(axis=1)).sum()
    note = (
        f"With `trusted=`, accuracy is that of the trusted labels alone or higher in "
        f"{(told >= known).sum()} of {len(cells)} cells, and more than 3 points lower "
        f"in {(told < known - 3).sum()}; it is more than 3 points lower than with all "
        f"labels alike in {(told < alike - 3).sum()}. Without the ten sets it has the "
        f"best mean at {ahead} of {len(means)} noises."
    )
    head = ["trained on", "by", *head, f"best of {len(cells)}"]
    return f"{table(head, lines)}\n\n{note}"


def rows_of(args):
    """Yield the rows that are asked for, before they are run."""
    tables = args.size == "tables"
    for name, classifier, noise, training, seed in product(
        TABLES if tables else [FEATURES],
        args.classifiers,
        args.noises,
        args.trainings,
        args.seeds,
    ):
        if training == "told" and classifier in PEERS:
            continue
        if noise == "pair_flip_60" and not tables:
            continue
        row = {"size": args.size, "data": name, "classifier": classifier}
        yield row | {"noise": noise, "training": training, "seed": seed}


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--data", help="folder of cifar10_features.npz")
    parser.add_argument("--seeds", nargs="+", type=int, default=[0, 1, 2])
    parser.add_argument("--size", choices=[*SIZES, "tables"], default="small")
    parser.add_argument("--trainings", nargs="+", default=list(TRAININGS))
    parser.add_argument("--noises", nargs="+", default=list(NOISES))
    parser.add_argument("--classifiers", nargs="+", default=["default"])
    parser.add_argument("--rows", type=Path, default=HERE / "trusted.jsonl")
    args = parser.parse_args()
    done = {key(row) for row in read_rows(args.rows)}
    for row in rows_of(args):
        if key(row) not in done:
            row = run_row(row, args.data)
            add_rows(args.rows, row)
            print(*key(row), row["accuracy"], row["seconds"], flush=True)
    rows = read_rows(args.rows)
    if args.size == "tables":
        print(trusted_on_tables(rows))
    else:
        print(trusted_table(rows, args.size))


if __name__ == "__main__":
    main()
