"""Relabelling in rounds: how many labels are right after how many second looks.

    python benchmarks/relabelling.py --data DIR --seeds 0 1 2
    python benchmarks/report.py

One label a sample: in each round 2.5% of the samples are shown to an expert, who gives
the right label; those that were shown are not shown again. Several annotators: three,
of whose labels 20, 40 and 60% are wrong; at first each sample has one label, and a
tenth have all three; in each round 5% of the samples get one more label, by one who
has not labelled them yet. Before each round everything is fitted again. The orders are
random, lowest quality first, and ``relabel_order_``. Data are digits and 3,000 of the
embeddings of CIFAR-10 of ``vector_data.py``.
"""

import argparse
import warnings
from collections import defaultdict
from functools import cache
from pathlib import Path

import numpy as np
from rows import add_rows, environment, percent, read_rows, table
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from vector_data import load

from sknoisy import LabelErrorDetector
from sknoisy.annotators import AnnotatorConsensus
from sknoisy.noise import add_noise

HERE = Path(__file__).parent
ORDERS = ("random", "lowest quality", "relabel_order_")
NOISES = ("symmetric_exclusive:0.4", "pair_flip:0.2", "instance_dependent:0.4")
ANNOTATORS = "instance_dependent:0.2, 0.4, 0.6"
ROWS = 3_000
ROUNDS = 10
SHOWN = (2, 5, 10)  # rounds in the table


@cache
def samples(name, folder):
    """Return samples, labels and the classifier."""
    X, y = load(name, folder)[:2]
    rows = np.random.default_rng(0).permutation(len(y))[:ROWS]
    penalty = {"digits": 0.1, "cifar10_features": 0.001}[name]
    classifier = LogisticRegression(C=penalty, max_iter=200)
    return X[rows], y[rows], make_pipeline(StandardScaler(), classifier)


def noisy_labels(X, y, noise, seed):
    kind, rate = noise.split(":")
    X = StandardScaler().fit_transform(X)
    return add_noise(y, kind, float(rate), X=X, random_state=seed).y


def ordered(order, fitted):
    """Return all positions, those to look at first before the others."""
    if order == "lowest quality":
        return np.argsort(fitted.label_quality_, kind="stable")
    return fitted.relabel_order_


def with_expert(order, X, y, classifier, noise, seed):
    """Yield the share of right labels before each round, and after the last."""
    labels, rng = noisy_labels(X, y, noise, seed), np.random.default_rng(seed)
    shown = np.zeros(len(y), dtype=bool)
    for _ in range(ROUNDS):
        yield np.mean(labels == y)
        if order == "random":
            order_now = rng.permutation(len(y))
        else:
            detector = LabelErrorDetector(classifier, cv=3, random_state=seed)
            order_now = ordered(order, detector.fit(X, labels))
        rows = order_now[~shown[order_now]][: len(y) // 40]
        labels[rows], shown[rows] = y[rows], True
    yield np.mean(labels == y)


def with_annotators(order, X, y, classifier, seed):
    """Yield the share of right consensus labels before each round, and at the end."""
    rng, rates = np.random.default_rng(seed), (0.2, 0.4, 0.6)
    table = np.stack(
        [
            noisy_labels(X, y, f"instance_dependent:{rate}", 10 * seed + k)
            for k, rate in enumerate(rates)
        ],
        axis=1,
    )
    asked = rng.integers(3, size=len(y))[:, None] == np.arange(3)
    asked |= (rng.random(len(y)) < 0.1)[:, None]  # by these, annotators are compared
    for k in range(ROUNDS + 1):
        model = AnnotatorConsensus(classifier, cv=3, random_state=seed)
        model.fit(X, np.where(asked, table, np.nan))
        yield np.mean(model.labels_ == y)
        if order == "random":
            order_now = rng.permutation(len(y))
        else:
            order_now = ordered(order, model)
        rows = order_now[~asked[order_now].all(axis=1)][: len(y) // 20]
        free = np.where(asked[rows], -1, rng.random((len(rows), 3)))
        asked[rows, free.argmax(axis=1)] = k < ROUNDS


def relabelling_table(rows):
    """Return the mean shares of right labels over seeds, as Markdown."""
    found = defaultdict(dict)
    for row in rows:
        case = row["data"], row["noise"], row["seed"]
        found[case][row["order"]] = row["labels_right"]
    cases = defaultdict(list)
    for (data, noise, _), orders in found.items():
        if len(orders) == len(ORDERS):
            cases[data, noise].append([orders[order] for order in ORDERS])
    head = ["data", "wrong labels", "seeds", "order", "before"]
    lines = [head + [f"after {k} rounds" for k in SHOWN]]
    for (data, noise), shares in sorted(cases.items()):
        means = np.mean(shares, axis=0).round(1)  # of orders and rounds
        for order, mean in zip(ORDERS, means, strict=True):
            cells = [data, noise.replace(":", " "), str(len(shares)), order]
            cells.append(f"{mean[0]:.1f}")
            for k in SHOWN:
                mark = "**" if mean[k] == means[:, k].max() else ""
                cells.append(f"{mark}{mean[k]:.1f}{mark}")
            lines.append(cells)
    return table(lines[0], lines[1:])


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--data", required=True, help="folder of cifar10_features.npz")
    parser.add_argument("--datasets", nargs="+", default=["digits", "cifar10_features"])
    parser.add_argument("--seeds", nargs="+", type=int, default=[0, 1, 2])
    parser.add_argument("--rows", type=Path, default=HERE / "relabelling.jsonl")
    args = parser.parse_args()
    warnings.simplefilter("ignore")
    names = ("data", "noise", "order", "seed")
    done = {tuple(row[name] for name in names) for row in read_rows(args.rows)}
    cases = [
        (data, noise, order, seed)
        for seed in args.seeds
        for data in args.datasets
        for noise in (*NOISES, ANNOTATORS)
        for order in ORDERS
    ]
    for case in cases:
        if case in done:
            continue
        data, noise, order, seed = case
        X, y, classifier = samples(data, args.data)
        if noise == ANNOTATORS:
            shares = with_annotators(order, X, y, classifier, seed)
        else:
            shares = with_expert(order, X, y, classifier, noise, seed)
        row = dict(zip(names, case, strict=True))
        row |= {"labels_right": [percent(share) for share in shares], **environment()}
        add_rows(args.rows, row)
        print(*case, row["labels_right"], flush=True)
    print(relabelling_table(read_rows(args.rows)))


if __name__ == "__main__":
    main()
