"""How well the wrong labels of real images are found.

    python benchmarks/detection.py --data DIR --seeds 0
    python benchmarks/report.py

From scratch and pre-trained; one row for each noise, features and method, and
cleanlab's defaults on the same probabilities.
"""

import argparse
import json
from pathlib import Path

import numpy as np
from accuracy import PRETRAINERS
from protocols import PROTOCOLS, load
from rows import add_rows, environment, read_rows, table
from sklearn.pipeline import Pipeline
from verified import how

from sknoisy import NoisyRobustClassifier, SSLPretrainer
from sknoisy.detection.folds import from_folds
from sknoisy.detection.methods import DETECTION_METHODS
from sknoisy.detection.sources import from_dynamics, from_neighbors
from sknoisy.metrics import (
    detection_average_precision,
    detection_balanced_accuracy,
    detection_f1,
)
from sknoisy.noise import add_noise

HERE = Path(__file__).parent
NOISES = [
    "symmetric_exclusive:0.2",
    "symmetric_exclusive:0.4",
    "asymmetric_cifar10:0.4",
    "instance_dependent:0.4",
]
FEATURES = ["scratch", "simclr", "simclr+frozen"]


def classifier(features, protocol, seed, args):
    """Return what is cross-validated: a network from scratch, or pre-trained."""
    pretrainer, _, frozen = features.partition("+")
    params = protocol.clf | json.loads(args.clf)
    params |= {"device": args.device, "random_state": seed}
    if pretrainer == "scratch":
        return NoisyRobustClassifier(args.loss, encoder=protocol.encoder, **params)
    clf = NoisyRobustClassifier(args.loss, freeze_encoder=bool(frozen), **params)
    ssl = SSLPretrainer(
        PRETRAINERS[pretrainer],
        memory=args.cache,
        device=args.device,
        encoder=protocol.encoder,
        random_state=0,
        **protocol.ssl | json.loads(args.ssl),
    )
    return Pipeline([("ssl", ssl), ("clf", clf)])


def judged(features, X, noisy, protocol, args, seed):
    """Yield the source of the evidence, the method, errors and quality."""
    clf = classifier(features, protocol, seed, args)
    codes = np.searchsorted(noisy.classes, noisy.y)
    data = clf, X, codes
    for source in args.sources:
        if source == "folds":
            evidence = from_folds(*data, noisy.classes, args.folds, random_state=seed)
            methods = ["confident_learning", "self_confidence", "normalized_margin"]
            yield source, "cleanlab", *cleanlab_defaults(codes, evidence.pred_probs)
        elif source == "dynamics":
            evidence = from_dynamics(*data, noisy.classes)
            methods = ["area_under_margin", "wrong_events"]
        else:
            evidence = from_neighbors(*data, len(noisy.classes), n_neighbors=10)
            methods = ["knn_agreement"]
        for method in [*methods, *["loss_gmm"] * (source != "features")]:
            yield source, method, *DETECTION_METHODS[method]().judge(evidence)


def cleanlab_defaults(codes, pred_probs):
    from cleanlab.filter import find_label_issues
    from cleanlab.rank import get_label_quality_scores

    errors = find_label_issues(codes, pred_probs)
    return errors, get_label_quality_scores(codes, pred_probs)


def accuracy(args):
    protocol = PROTOCOLS[args.protocol]
    X, y, *_ = load(protocol, args.data)
    names = ("protocol", "noise", "rate", "seed", "features", "loss", "folds", "tag")
    done = {tuple(row[n] for n in names) for row in read_rows(args.rows)}
    for seed in args.seeds:
        for noise in args.noises:
            name, _, rate = noise.partition(":")
            noisy = add_noise(y, name, float(rate), X=X, random_state=seed)
            for features in args.features:
                settings = (args.protocol, name, float(rate), seed, features)
                settings += (args.loss, args.folds, args.tag)
                if settings in done:
                    continue
                base = dict(zip(names, settings, strict=True))
                base |= {"realised_rate": noisy.rate, **environment(args.device)}
                rows = [
                    base | {"source": source, "method": method} | scores(noisy, *found)
                    for source, method, *found in judged(
                        features, X, noisy, protocol, args, seed
                    )
                ]
                add_rows(args.rows, *rows)
                for row in rows:
                    print(*settings[1:5], row["source"], row["method"], end=" ")
                    print("F1", row["f1"], "AP", row["average_precision"], flush=True)


def scores(noisy, errors, quality):
    values = {
        "f1": detection_f1(noisy.is_wrong, errors),
        "balanced_accuracy": detection_balanced_accuracy(noisy.is_wrong, errors),
        "average_precision": detection_average_precision(noisy.is_wrong, quality),
    }
    return {name: round(value, 4) for name, value in values.items()}


SCORES = ("f1", "balanced_accuracy", "average_precision")


def detection_table(rows):
    """Return, for each noise and method, the scores with each kind of features."""
    groups = {}
    for row in rows:
        if row["protocol"] == "small" and not row["tag"]:
            noise = f"{row['noise']} {row['rate']:.0%}"
            cells = groups.setdefault((noise, row["source"], row["method"]), {})
            cells.setdefault(row["features"], []).append([row[s] for s in SCORES])
    header = ["noise", "evidence", "method", *FEATURES, "verified"]
    lines = []
    for names, cells in groups.items():
        means = [np.mean(cells[f], axis=0) if f in cells else [] for f in FEATURES]
        shown = [" / ".join(f"{v:.2f}" for v in each) or "open" for each in means]
        lines.append([*names, *shown, how(names[-1])])
    return table(header, lines)


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--data", help="folder of CIFAR-10")
    parser.add_argument("--protocol", choices=PROTOCOLS, default="small")
    parser.add_argument("--noises", nargs="+", default=NOISES)
    parser.add_argument("--features", nargs="+", default=FEATURES, choices=FEATURES)
    parser.add_argument(
        "--sources", nargs="+", default=["folds", "dynamics", "features"]
    )
    parser.add_argument("--loss", default="elr")
    parser.add_argument("--folds", type=int, default=3)
    parser.add_argument("--seeds", nargs="+", type=int, default=[0])
    parser.add_argument("--device", default="auto")
    parser.add_argument("--cache", default=str(HERE / ".cache"))
    parser.add_argument("--ssl", default="{}", help="JSON of pre-trainer settings")
    parser.add_argument("--clf", default="{}", help="JSON of classifier settings")
    parser.add_argument("--tag", default="", help="name of these settings")
    parser.add_argument("--rows", type=Path, default=HERE / "detection.jsonl")
    accuracy(parser.parse_args())


if __name__ == "__main__":
    main()
