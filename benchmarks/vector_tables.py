"""Compare methods on embeddings and tables, from the rows of vectors.py.

    python benchmarks/vector_tables.py --methods peers default sknoisy:gce --seeds 0
    python benchmarks/vector_tables.py --cells

prints Markdown tables; those of docs/benchmarks/ are of all peers and our default.
"""

import argparse
from collections import defaultdict
from pathlib import Path

import numpy as np
from rows import read_rows, table
from vector_data import DATA, NOISES
from vectors import KEPT, METHODS, ON_EMBEDDINGS, PEERS, expand

HERE = Path(__file__).parent


def cell_of(row):
    return row["data"], row["noise"], row["rate"]


def run_of(row):
    return *cell_of(row), row["seed"]


def published(rows):
    """Return the rows for docs/benchmarks/: of the peers and our default.

    Of the data sets, noises and seeds that the default has rows of, for others would
    compare different trainings.
    """
    rows = [row for row in rows if row["method"] in METHODS and not row["tag"]]
    of_default = {run_of(row) for row in rows if row["method"] == "default"}
    return [row for row in rows if run_of(row) in of_default]


def mean_by_cell(rows, score="accuracy"):
    """Return, for each method, the mean over seeds by data set, noise and rate."""
    found = defaultdict(lambda: defaultdict(list))
    for row in rows:
        cell = cell_of(row)
        method = row["method"] + f", {row['tag']}" * bool(row["tag"])
        found[method][cell].append(row[score])
    return {
        method: {cell: np.mean(scores) for cell, scores in cells.items()}
        for method, cells in found.items()
    }


def ordered(rows):
    """Return methods, ours before the peers, and cells, as data and noises stand."""
    peers = list(PEERS)
    methods = sorted(
        mean_by_cell(rows),
        key=lambda m: (1 + peers.index(m) if m in PEERS else 0, m != "default", m),
    )
    cells = {*map(cell_of, rows)}
    names, noises = list(DATA), [noise for noise, _ in NOISES]
    return methods, sorted(
        cells, key=lambda cell: (names.index(cell[0]), noises.index(cell[1]), cell[2])
    )


def cells_table(rows):
    """Return accuracies by data set and noise, the best peer's in bold."""
    means, (methods, cells) = mean_by_cell(rows), ordered(rows)
    best = best_peer(means, cells)
    lines = []
    for data, noise, rate in cells:
        lines.append([data, label(noise, rate)])
        for method in methods:
            score = means[method].get((data, noise, rate))
            is_best = method in PEERS and score == best.get((data, noise, rate))
            mark = "**" if is_best else ""
            lines[-1].append(f"{mark}{shown(score)}{mark}")
    return table(["data", "noise", *(f"`{m}`" for m in methods)], lines)


def summary_table(rows):
    """Return means over data sets, and by how much a method is behind the best peer.

    The means are of the cells that every method has, the gaps of all that it has. A
    peer is compared with the best of all peers, too, itself among them.
    """
    means, (methods, cells) = mean_by_cell(rows), ordered(rows)
    balanced = mean_by_cell(rows, "balanced_accuracy")
    shared = [cell for cell in cells if all(cell in means[m] for m in methods)]
    noises = kinds(shared)
    best = best_peer(means, cells)
    lines = []
    for method in methods:
        mean = means[method]
        averages = [[mean[c] for c in shared if c[1:] == kind] for kind in noises]
        averages += [[scores[c] for c in shared] for scores in (mean, balanced[method])]
        gaps = {cell: mean[cell] - best[cell] for cell in mean if cell in best}
        line = [f"`{method}`", *(average(scores) for scores in averages)]
        line.append(average(list(gaps.values())))
        worst = min(gaps, key=gaps.get, default=None)
        if worst is None:
            lines.append([*line, "open", ""])
        else:
            where = f"{worst[0]}, {label(*worst[1:])}"
            lines.append([*line, shown(gaps[worst]), where])
    header = ["method", *(label(*kind) for kind in noises), "mean", "balanced"]
    header += ["mean gap to the best peer", "worst gap", "where"]
    return table(header, lines)


def networks_table(rows):
    """Return accuracies of our losses and methods on the embeddings of CIFAR-10.

    Of seed 0, each with the network that is the default for vectors, or as tagged;
    before them the default and logistic regression.
    """
    of_data = [row for row in rows if row["data"] == "cifar10_features"]
    ours = [row for row in of_data if row["method"].startswith("sknoisy:")]
    beside = [
        row
        for name in ("default", "logistic", "wann", *ON_EMBEDDINGS)
        for row in of_data
        if row["method"] == name and not row["tag"]
    ]
    means = mean_by_cell(row for row in beside + ours if row["seed"] == 0)
    of_ours = mean_by_cell(row for row in ours if row["seed"] == 0)
    noises = kinds({cell for scores in of_ours.values() for cell in scores})
    lines = [["method", *(label(*kind) for kind in noises)]]
    for name, scores in means.items():
        cells = [scores.get(("cifar10_features", *kind)) for kind in noises]
        lines.append([f"`{name.removeprefix('sknoisy:')}`", *map(shown, cells)])
    return table(lines[0], lines[1:])


def cleaned_table(rows):
    """Return what classifiers gain by cleaned labels, in the cells that all ways have.

    "as given" is the classifier on the given labels; "cleanlab" CleanLearning, which
    removes labels; "own folds" and "kernel machine" our LabelCleaningClassifier, with a
    detector around the classifier itself, or its default.
    """
    ways = {"as given": "", "cleanlab": "cleanlab_", "own folds": "folds_"}
    ways |= {"kernel machine": "cleaned_"}
    rows = [row for row in rows if not row["tag"]]
    noises = kinds({cell_of(row) for row in rows if row["method"] == "cleaned_forest"})
    lines = []
    for name in KEPT:
        by_way = {
            way: [row for row in rows if row["method"] == prefix + name]
            for way, prefix in ways.items()
        }
        by_way = {way: each for way, each in by_way.items() if each}
        shared = set.intersection(*({*map(run_of, each)} for each in by_way.values()))
        for way, each in by_way.items():
            scores = defaultdict(list)
            for row in each:
                if run_of(row) in shared:
                    scores[cell_of(row)].append(row["accuracy"])
            means = {cell: np.mean(of_seeds) for cell, of_seeds in scores.items()}
            by_noise = [[means[c] for c in means if c[1:] == kind] for kind in noises]
            averages = map(average, [*by_noise, list(means.values())])
            lines.append([f"`{name}`", way, *averages])
    header = ["classifier", "labels", *(label(*kind) for kind in noises), "mean"]
    return table(header, lines)


def best_peer(means, cells):
    """Return the best peer's accuracy in each cell that some peer has."""
    found = {c: [means[m][c] for m in PEERS if c in means.get(m, {})] for c in cells}
    return {cell: max(scores) for cell, scores in found.items() if scores}


def kinds(cells):
    """Return the noises and rates of cells, in the order of NOISES."""
    order = [noise for noise, _ in NOISES]
    return sorted({c[1:] for c in cells}, key=lambda kind: (order.index(kind[0]), kind))


def label(noise, rate):
    return f"{noise.removesuffix('_exclusive')} {rate:.0%}" if rate else "clean"


def average(scores):
    return shown(np.mean(scores) if scores else None)


def shown(score):
    return "open" if score is None else f"{score:.1f}"


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--datasets", nargs="+", default=list(DATA), choices=DATA)
    parser.add_argument("--methods", nargs="+", help="all that have rows by default")
    parser.add_argument("--seeds", nargs="+", type=int, default=[0, 1, 2])
    parser.add_argument("--tags", nargs="+", help="of our settings, all by default")
    parser.add_argument("--cells", action="store_true", help="one line for each cell")
    parser.add_argument("--rows", type=Path, default=HERE / "vectors.jsonl")
    args = parser.parse_args()
    rows = [
        row
        for row in read_rows(args.rows)
        if row["data"] in args.datasets
        and row["seed"] in args.seeds
        and (not args.methods or row["method"] in expand(args.methods))
        and (not args.tags or row["method"] in PEERS or row["tag"] in args.tags)
    ]
    print(cells_table(rows) if args.cells else summary_table(rows))


if __name__ == "__main__":
    main()
