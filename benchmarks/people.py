"""Labels that people gave: accuracy, and which of the wrong labels are found.

    pip install cleanlab && pip install --no-deps wordllama tokenizers
    python benchmarks/people.py --data DIR --labels CIFAR-10_human.pt --texts FOLDER
    python benchmarks/people.py --table

No noise is made up here. Either kind of data is skipped without its files:

- "cifar10n_*": the embeddings of CIFAR-10 of ``vector_data.py`` with the labels of
  CIFAR-10N, in the file of https://github.com/UCSC-REAL/cifar-10-100n (CC BY-NC 4.0).
- short texts with a sentiment (negative, neutral or positive): the folder
  hutto_ICWSM_2014, an archive in the source distribution of vaderSentiment 3.3.2 (MIT).
  15 to 100 people judged each text. Its label is what one of them said, drawn by the
  seed; what most of them said is taken for right. 60% train, 40% test.

The training labels alone are noisy; whatever is chosen is chosen on them. Rows that are
in people.jsonl already are skipped.
"""

import argparse
import re
import time
import warnings
from functools import lru_cache, partial
from pathlib import Path

import numpy as np
import pandas as pd
import texts
import vectors
from rows import add_rows, environment, percent, read_rows, table
from scipy.sparse import issparse
from sklearn.metrics import precision_score, recall_score
from sklearn.model_selection import train_test_split
from vector_data import Absent, labels_of_people, load

from sknoisy import LabelErrorDetector
from sknoisy.metrics import detection_average_precision

HERE = Path(__file__).parent
CIFAR10N = {
    "cifar10n_worst": "worse_label",
    "cifar10n_aggregate": "aggre_label",
    "cifar10n_random1": "random_label1",
    "cifar10n_random2": "random_label2",
    "cifar10n_random3": "random_label3",
}
TEXTS = {
    "tweets": "tweets",
    "products": "amazonReviewSnippets",
    "films": "movieReviewSnippets",
    "news": "nytEditorialSnippets",
}
ON_FEATURES = (
    "default logistic logistic_one_scale knn_50 mlp forest cleanlab_logistic "
    "cleaned_logistic"
).split()
OTHERS = "logistic logistic_one_scale knn_50 mlp forest svm bayes".split()
DETECTORS = {
    "detector": "ours",
    "detector_unlimited": "ours, no limit",
    "cleanlab": "cleanlab",
}


@lru_cache(maxsize=1)
def cifar10n(name, folder, labels):
    """Return training samples, given and right labels, and the test set."""
    if labels is None or not Path(labels).exists():
        raise Absent("--labels must be the file CIFAR-10_human.pt")
    X, y, X_test, y_test = load("cifar10_features", folder)
    given = labels_of_people(folder, labels)[CIFAR10N[name]]
    return X, given, y, X_test, y_test


@lru_cache(maxsize=1)
def rated(name, folder):
    """Return texts, and how many people found each negative, neutral or positive."""
    if folder is None or not Path(folder).exists():
        raise Absent("--texts must be the folder hutto_ICWSM_2014")
    shown, votes = (
        Path(folder, f"{TEXTS[name]}_{part}.txt").read_text("utf-8-sig", "replace")
        for part in ("GroundTruth", "anonDataRatings")
    )
    shown = dict(line.split("\t")[::2] for line in shown.splitlines() if line.strip())
    counts = {}
    for line in votes.splitlines():
        if line.strip():
            key, *_, ratings = line.split("\t")
            ratings = np.array(re.findall(r"-?\d+", ratings), dtype=int)
            counts[key] = [(np.sign(ratings) == s).sum() for s in (-1, 0, 1)]
    keys = [key for key in shown if key in counts]
    read = np.array([shown[key] for key in keys], dtype=object)
    return read, np.array([counts[key] for key in keys])


@lru_cache(maxsize=1)
def sentiments(name, kind, seed, folder):
    """Return the same as ``cifar10n``, of texts whose most frequent answer is one."""
    read, counts = rated(name, folder)
    highest = counts.max(axis=1, keepdims=True)
    clear = (counts == highest).sum(axis=1) == 1
    read, counts = read[clear], counts[clear]
    y = counts.argmax(axis=1)
    rng = np.random.default_rng(seed)
    drawn = rng.random(len(y)) * counts.sum(axis=1)
    given = (drawn[:, None] >= counts.cumsum(axis=1)).sum(axis=1)
    train, test = train_test_split(
        np.arange(len(y)), test_size=0.4, stratify=y, random_state=seed
    )
    X, X_test = texts.REPRESENTATIONS[kind](read[train], read[test])
    return X, given[train], y[train], X_test, y[test]


def found_by(detector, X, y, seed):
    """Return the quality of labels and which are called wrong, by ours or cleanlab."""
    if detector != "cleanlab":
        settings = {"max_false_alarms": None} if "unlimited" in detector else {}
        found = LabelErrorDetector(random_state=seed, **settings).fit(X, y)
        return found.label_quality_, found.label_errors_
    from cleanlab.filter import find_label_issues
    from cleanlab.rank import get_label_quality_scores

    if issparse(X):
        estimator = texts.logistic(seed).fit(X, y).best_estimator_
    else:
        searched = vectors.PEERS["logistic"](seed).fit(X, y)
        estimator = vectors.scaled(searched[-1].best_estimator_)
    probs = texts.out_of_sample(estimator, X, y, seed)
    return get_label_quality_scores(y, probs), find_label_issues(y, probs, n_jobs=1)


def plan(args):
    """Yield the rows that are asked for, before they are run."""
    for name in CIFAR10N:
        for method in [*ON_FEATURES, *DETECTORS]:
            yield {"data": name, "kind": "features", "method": method, "seed": 0}
    for seed in args.seeds:
        for name in TEXTS:
            for kind in texts.REPRESENTATIONS:
                for method in [*texts.METHODS[kind], *DETECTORS]:
                    yield {"data": name, "kind": kind, "method": method, "seed": seed}


def key(row):
    return tuple(row[name] for name in ("data", "kind", "method", "seed"))


def run(args):
    """Run the rows that are not there."""
    done = {key(row) for row in read_rows(args.rows)}
    for row in plan(args):
        if key(row) in done:
            continue
        try:
            row = run_row(row, args)
        except Absent as absent:
            print(f"{row['data']} is skipped: {absent}", flush=True)
            continue
        add_rows(args.rows, row)
        print(*key(row), row.get("accuracy", row.get("average_precision")), flush=True)


def run_row(row, args):
    """Return the row with its results."""
    name, kind, method, seed = key(row)
    if name in CIFAR10N:
        X, given, y, X_test, y_test = cifar10n(name, args.data, args.labels)
        make = partial(vectors.make, method, settings={})
    else:
        X, given, y, X_test, y_test = sentiments(name, kind, seed, args.texts)
        make = texts.METHODS[kind].get(method)
    wrong = given != y
    start = time.perf_counter()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        if method in DETECTORS:
            quality, found = found_by(method, X, given, seed)
            result = {
                "average_precision": percent(
                    detection_average_precision(wrong, quality)
                ),
                "precision": percent(precision_score(wrong, found)),
                "recall": percent(recall_score(wrong, found)),
                "called_wrong": percent(found.mean()),
            }
        else:
            model = make(seed).fit(X, given)
            result = {"accuracy": percent(np.mean(model.predict(X_test) == y_test))}
    seconds = round(time.perf_counter() - start, 2)
    sizes = {"wrong": percent(wrong.mean()), "train": len(y), "test": len(y_test)}
    return row | result | {"seconds": seconds} | sizes | environment()


def _by(rows, *scores):
    """Return means by kind and method, and data, and the shares of wrong labels."""
    frame = pd.DataFrame([row for row in rows if scores[0] in row])
    frame["data"] = frame["data"].str.replace(r"(cifar10n_|\d$)", "", regex=True)
    means = frame.groupby(["kind", "method", "data"])[list(scores)].mean()
    return means, frame.groupby(["kind", "data"])["wrong"].mean()


SHOWN = {
    "features": (["worst", "random", "aggregate"], ON_FEATURES),
    **{kind: (list(TEXTS), list(texts.METHODS[kind])) for kind in texts.METHODS},
}


def _title(kind, data):
    return f"CIFAR-10N, {data}" if kind == "features" else f"{data}, {kind}"


def best_of_people(rows):
    """Return data, accuracy of the default, and of the best method that is not ours."""
    means, _ = _by(rows, "accuracy")
    cells = []
    for kind, (data, methods) in SHOWN.items():
        others = [m for m in methods if m.startswith("cleanlab") or m in OTHERS]
        for d in data:
            by_method = means["accuracy"][kind].xs(d, level="data")
            best = by_method[by_method.index.intersection(others)].max()
            cells.append((_title(kind, d), by_method["default"], best))
    return cells


def found_of_people(rows):
    """Return the average precision by data, of our detector and of cleanlab's."""
    means, _ = _by(rows, "average_precision")
    scores = means["average_precision"]
    return {
        title: {
            _title(kind, d): scores[kind, detector, d]
            for kind, (data, _) in SHOWN.items()
            for d in data
        }
        for detector, title in (("detector", "ours"), ("cleanlab", "cleanlab"))
    }


def people_table(rows, kind):
    """Return the accuracies on one kind of samples, as Markdown."""
    means, wrong = _by(rows, "accuracy")
    data, methods = SHOWN[kind]
    lines = []
    for method in methods:
        found = [(kind, method, d) for d in data]
        cells = [
            f"{means['accuracy'][f]:.1f}" if f in means.index else "open" for f in found
        ]
        lines.append([f"`{method}`", *cells])
    header = [f"{d}, {wrong[kind, d]:.1f}% wrong" for d in data if (kind, d) in wrong]
    return table(["method", *header], lines)


def people_errors_table(rows):
    """Return how well wrong labels were found, as Markdown."""
    shown = [("average_precision", d) for d in ("detector", "cleanlab")]
    shown += [(score, d) for score in ("precision", "recall") for d in DETECTORS]
    means, wrong = _by(rows, *dict(shown))
    lines = []
    for kind, (data, _) in SHOWN.items():
        for d in data:
            if (kind, d) in wrong:
                cells = [
                    f"{means[score][kind, by, d]:.1f}"
                    if means["recall"][kind, by, d] > 0 or score == "average_precision"
                    else "none called"
                    for score, by in shown
                ]
                lines.append([_title(kind, d), f"{wrong[kind, d]:.1f}", *cells])
    header = [f"{score.replace('_', ' ')}, {DETECTORS[by]}" for score, by in shown]
    return table(["data", "wrong", *header], lines)


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--data", help="folder of cifar10_features.npz")
    parser.add_argument("--labels", help="the file CIFAR-10_human.pt")
    parser.add_argument("--texts", help="the folder hutto_ICWSM_2014")
    parser.add_argument("--seeds", nargs="+", type=int, default=[0, 1, 2])
    parser.add_argument("--rows", type=Path, default=HERE / "people.jsonl")
    parser.add_argument("--table", action="store_true", help="print the tables alone")
    args = parser.parse_args()
    if args.table:
        rows = read_rows(args.rows)
        print(*(people_table(rows, kind) for kind in SHOWN), sep="\n\n")
        print(people_errors_table(rows))
    else:
        run(args)


if __name__ == "__main__":
    main()
