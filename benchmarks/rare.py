"""A rare class among labels of which some are wrong, beside common classifiers.

    python benchmarks/rare.py
    python benchmarks/report.py

One class of a data set against all others, of which so many samples are left out that
it is 10% or 3% of 2,400 rows to train, and of the rows to test. Rows go to a JSON
lines file, and those that are there are skipped. Noises, by the rare class:

- missed: 40% of its samples carry the other label;
- false alarms: half as many samples of the other class as it has carry its label;
- symmetric: 20% of all labels are wrong, so that most of its labels are.

What is measured does not depend on how rare it is to be found: the mean recall of the
two classes, and the average precision of its probability, on right labels.
"""

import argparse
import time
import warnings
from functools import partial
from pathlib import Path

import numpy as np
from rows import add_rows, environment, percent, read_rows, table
from sklearn.datasets import make_classification
from sklearn.ensemble import HistGradientBoostingClassifier, RandomForestClassifier
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import average_precision_score, balanced_accuracy_score
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from vector_data import DATA, Absent, load

from sknoisy import LabelCleaningClassifier, NoisyRobustClassifier

HERE = Path(__file__).parent
N_TRAIN, N_TEST = 2400, 1600
SHARES = [0.1, 0.03]


def made_up():
    """Three clusters a class, in eight of twenty columns."""
    return make_classification(
        30_000,
        20,
        n_informative=8,
        n_redundant=4,
        n_clusters_per_class=3,
        class_sep=1.5,
        flip_y=0,
        random_state=0,
    )


# Of each, the class whose number in the order of the labels is given.
SETS = {
    "segment": 0,
    "satimage": 0,
    "letter": 0,
    "phoneme": 1,
    "spambase": 1,
    "made_up": 1,
}


def boosting(seed, **settings):
    return HistGradientBoostingClassifier(random_state=seed, **settings)


def cleanlab(seed):
    from cleanlab.classification import CleanLearning

    settings = {"find_label_issues_kwargs": {"n_jobs": 1}, "verbose": False}
    return CleanLearning(boosting(seed), seed=seed, **settings)


def logistic(seed, **settings):
    return make_pipeline(
        StandardScaler(), LogisticRegression(max_iter=1000, **settings)
    )


BALANCED = {"class_weight": "balanced"}
METHODS = {
    "default": lambda seed: NoisyRobustClassifier(random_state=seed),
    "default, balanced": lambda seed: NoisyRobustClassifier(
        random_state=seed, **BALANCED
    ),
    "cleaned boosting": lambda seed: LabelCleaningClassifier(
        boosting(seed), random_state=seed
    ),
    "cleaned boosting, balanced": lambda seed: LabelCleaningClassifier(
        boosting(seed, **BALANCED), random_state=seed
    ),
    "boosting": boosting,
    "boosting, balanced": partial(boosting, **BALANCED),
    "cleanlab boosting": cleanlab,
    "forest": lambda seed: RandomForestClassifier(200, random_state=seed),
    "logistic": logistic,
    "logistic, balanced": partial(logistic, **BALANCED),
}


def missed(y, rng):
    return (y == 1) & (rng.random(len(y)) < 0.4)


def false_alarms(y, rng):
    share = 0.5 * y.mean() / (1 - y.mean())
    return (y == 0) & (rng.random(len(y)) < share)


def symmetric(y, rng):
    return rng.random(len(y)) < 0.2


NOISES = {
    "none": lambda y, rng: np.zeros(len(y), bool),
    "missed": missed,
    "false alarms": false_alarms,
    "symmetric": symmetric,
}


def rare(X, is_rare, n, share, rng):
    """Draw n rows, of which a share are of the rare class; also return the others."""
    n_rare = round(share * n)
    ones, zeros = (rng.permutation(np.flatnonzero(is_rare == c)) for c in (True, False))
    rows = rng.permutation(np.r_[ones[:n_rare], zeros[: n - n_rare]])
    others = np.r_[ones[n_rare:], zeros[n - n_rare :]]
    return rows, others


def split(X, is_rare, share, seed):
    """Return X, y, X_test, y_test; of small sets, fewer rows with the same shares."""
    rng = np.random.default_rng(seed)
    n_rare, n_other = is_rare.sum(), (~is_rare).sum()
    scale = min(
        1.0,
        n_rare / (share * (N_TRAIN + N_TEST)),
        n_other / ((1 - share) * (N_TRAIN + N_TEST)),
    )
    train, others = rare(X, is_rare, int(scale * N_TRAIN), share, rng)
    left = is_rare[others]
    test = others[rare(X, left, int(scale * N_TEST), share, rng)[0]]
    return X[train], is_rare[train].astype(int), X[test], is_rare[test].astype(int)


def run_row(row, X, is_rare):
    X, y, X_test, y_test = split(X, is_rare, row["share"], row["seed"])
    is_wrong = NOISES[row["noise"]](y, np.random.default_rng(row["seed"]))
    model = METHODS[row["method"]](row["seed"])
    started = time.perf_counter()
    model.fit(X, np.where(is_wrong, 1 - y, y))
    seconds = time.perf_counter() - started
    score = model.predict_proba(X_test)[:, 1]
    return row | {
        "balanced_accuracy": percent(
            balanced_accuracy_score(y_test, model.predict(X_test))
        ),
        "average_precision": round(float(average_precision_score(y_test, score)), 4),
        "wrong": int(is_wrong.sum()),
        "n_train": len(X),
        "n_rare": int(y.sum()),
        "seconds": round(seconds, 2),
        **environment(),
    }


def opened(name):
    """Return the features of a set, and which rows are of its rare class."""
    parts = load(name, None) if name in DATA else made_up()
    return parts[0], parts[1] == SETS[name]


def run(args):
    done = [tuple(row[k] for k in KEY) for row in read_rows(args.rows)]
    for name in SETS:
        try:
            X, is_rare = opened(name)
        except Absent as absent:
            print(f"{name} is skipped: {absent}", flush=True)
            continue
        for seed in args.seeds:
            for share in SHARES:
                for noise in NOISES:
                    for method in args.methods:
                        values = name, share, noise, method, seed
                        if values in done:
                            continue
                        row = run_row(dict(zip(KEY, values, strict=True)), X, is_rare)
                        add_rows(args.rows, row)
                        shown = row["balanced_accuracy"], row["average_precision"]
                        print(*values, *shown, flush=True)


KEY = "data", "share", "noise", "method", "seed"


def rare_table(rows):
    """Means over data sets and seeds, by method, for each share and noise."""
    header = ["method"]
    header += [f"{noise}, {share:.0%}" for share in SHARES for noise in NOISES]
    lines = []
    for method in METHODS:
        cells = []
        for share in SHARES:
            for noise in NOISES:
                of = [
                    row
                    for row in rows
                    if (row["method"], row["share"], row["noise"])
                    == (method, share, noise)
                ]
                recall, precision = (
                    np.mean([row[name] for row in of]) if of else np.nan
                    for name in ("balanced_accuracy", "average_precision")
                )
                cells.append(f"{recall:.1f} / {precision:.2f}" if of else "open")
        lines.append([method, *cells])
    return table(header, lines)


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--methods", nargs="+", default=[*METHODS], choices=METHODS)
    parser.add_argument("--seeds", type=int, nargs="+", default=[0, 1, 2])
    parser.add_argument("--rows", type=Path, default=HERE / "rare.jsonl")
    warnings.simplefilter("ignore", UserWarning)
    run(parser.parse_args())


if __name__ == "__main__":
    main()
