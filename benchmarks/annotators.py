"""Accuracy of a classifier that is trained on what several annotators say.

    python benchmarks/annotators.py --data DIR --seeds 0 1 2
    python benchmarks/report.py

The data are the embeddings of CIFAR-10 of ``vector_data.py``. Three annotators label
all 20,000 training samples, of which they get 20, 40 and 60% wrong, each by
instance-dependent noise of its own. With ``--labels CIFAR-10_human.pt``, of
https://github.com/UCSC-REAL/cifar-10-100n, the labels are the three that people gave to
each image; each column is of many people. Rows go to a JSON lines file; those that are
there already are skipped.
"""

import argparse
import time
import warnings
from functools import cache
from pathlib import Path

import numpy as np
from rows import add_rows, environment, percent, read_rows, table
from sklearn.base import clone
from sklearn.exceptions import ConvergenceWarning
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from vector_data import labels_of_people, load

from sknoisy import NoisyRobustClassifier
from sknoisy.annotators import AnnotatorConsensus
from sknoisy.estimators.soft_training import fit_soft
from sknoisy.noise import instance_dependent

HERE = Path(__file__).parent
RATES = (0.2, 0.4, 0.6)
CLASSIFIERS = {
    "logistic": lambda seed: make_pipeline(
        StandardScaler(), LogisticRegression(C=0.001, max_iter=200)
    ),
    "default": lambda seed: NoisyRobustClassifier(random_state=seed),
}
TRAININGS = {  # by name: the method, whether soft labels are trained on
    "crowdlab": "CROWDLAB, consensus labels",
    "crowdlab_soft": "CROWDLAB, soft labels",
    "dawid_skene": "Dawid-Skene, soft labels",
    "majority_soft": "shares of votes, soft labels",
    "majority": "majority vote",
    "best": "the first annotator's labels",
    "clean": "right labels",
}


@cache
def annotated(folder, labels, seed):
    """Return samples, true labels, the table of labels, and the test set."""
    X, y, X_test, y_test = load("cifar10_features", folder)
    if labels is not None:
        given = labels_of_people(folder, labels)
        table = np.stack([given[f"random_label{k}"] for k in (1, 2, 3)], axis=1)
        return X, y, table, X_test, y_test
    scaled = StandardScaler().fit_transform(X)
    given = [
        instance_dependent(y, rate, X=scaled, random_state=10 * seed + k).y
        for k, rate in enumerate(RATES)
    ]
    return X, y, np.stack(given, axis=1), X_test, y_test


def train(training, classifier, X, y, table, seed):
    """Return the fitted classifier, the labels that it learned, and the consensus."""
    if training in ("best", "clean"):
        labels = y if training == "clean" else table[:, 0]
        return classifier.fit(X, labels), labels, None
    method = {"majority_soft": "majority_vote", "majority": "majority_vote"}
    method = method.get(training, training.removesuffix("_soft"))
    model = AnnotatorConsensus(classifier, method=method, random_state=seed)
    model.fit(X, table)
    if training == "majority":
        return clone(classifier).fit(X, model.labels_), model.labels_, model
    if training == "crowdlab_soft":
        learned = X, model.labels_, model.soft_labels_, model.classes_
        return fit_soft(clone(classifier), *learned), model.labels_, model
    return model, model.labels_, model


def run_row(row, folder, labels):
    """Train on the labels of one row; return the finished row."""
    X, y, table, X_test, y_test = annotated(folder, labels, row["seed"])
    classifier = CLASSIFIERS[row["classifier"]](row["seed"])
    started = time.perf_counter()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ConvergenceWarning)
        model, labels, consensus = train(
            row["training"], classifier, X, y, table, row["seed"]
        )
    seconds = time.perf_counter() - started
    quality = None if consensus is None else consensus.annotator_quality_
    return row | {
        "rates": np.mean(table != y[:, None], axis=0).round(4).tolist(),
        "accuracy": percent(np.mean(model.predict(X_test) == y_test)),
        "labels_right": percent(np.mean(labels == y)),
        "annotator_quality": None if quality is None else quality.round(4).tolist(),
        "seconds": round(seconds, 2),
        **environment(),
    }


def key(row):
    return tuple(row.get(name) for name in ("of", "classifier", "training", "seed"))


def annotators_table(rows, of=None):
    """Return means and standard deviations over seeds, as Markdown."""
    rows = [row for row in rows if row.get("of") == of]
    names = [name for name in CLASSIFIERS if name in {r["classifier"] for r in rows}]
    head = [[f"`{name}`: labels right", "accuracy"] for name in names]
    lines = [["trained on", *sum(head, []), "seconds"]]
    for training, title in TRAININGS.items():
        lines.append([title])
        for name in names:
            wanted = training, name
            own = [r for r in rows if (r["training"], r["classifier"]) == wanted]
            for score in ("labels_right", "accuracy"):
                lines[-1].append(mean([row[score] for row in own]))
        seconds = [row["seconds"] for row in rows if row["training"] == training]
        lines[-1].append(f"{np.median(seconds):.0f}" if seconds else "")
    return table(lines[0], lines[1:])


def mean(values):
    if not values:
        return "open"
    spread = f" ± {np.std(values, ddof=1):.1f}" if len(values) > 1 else ""
    return f"{np.mean(values):.1f}{spread}"


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--data", required=True, help="folder of cifar10_features.npz")
    parser.add_argument("--labels", help="the file CIFAR-10_human.pt")
    parser.add_argument("--seeds", nargs="+", type=int, default=[0, 1, 2])
    parser.add_argument("--classifiers", nargs="+", default=["logistic"])
    parser.add_argument("--trainings", nargs="+", default=list(TRAININGS))
    parser.add_argument("--rows", type=Path, default=HERE / "annotators.jsonl")
    args = parser.parse_args()
    done = {key(row) for row in read_rows(args.rows)}
    for seed in args.seeds:
        for classifier in args.classifiers:
            for training in args.trainings:
                row = {"classifier": classifier, "training": training, "seed": seed}
                row |= {"of": "people"} if args.labels else {}
                if key(row) in done:
                    continue
                row = run_row(row, args.data, args.labels)
                add_rows(args.rows, row)
                shown = ("accuracy", "labels_right", "annotator_quality", "seconds")
                print(*key(row), *(row[name] for name in shown), flush=True)
    of = "people" if args.labels else None
    print(annotators_table(read_rows(args.rows), of))


if __name__ == "__main__":
    main()
