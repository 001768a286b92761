"""Finding wrong labels: speed and memory against cleanlab, and accuracy.

    python benchmarks/detection.py speed --out detection_speed.json
    python benchmarks/detection.py accuracy --data DIR --seeds 0
    python benchmarks/report.py

speed: each run is a process of its own, the two sides take turns, on the same
probabilities; medians are compared, and the masks. Extra memory is the peak of the
process minus what it held before the call, over the size of the probabilities; it does
not count the processes that cleanlab starts.

accuracy: how well the wrong labels of real images are found, from scratch and
pre-trained; one row for each noise, features and method, and cleanlab's defaults on the
same probabilities.
"""

import argparse
import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import numpy as np
from accuracy import PRETRAINERS, environment, read_rows
from protocols import PROTOCOLS, load
from sklearn.pipeline import Pipeline
from verified import how

from sknoisy import NoisyRobustClassifier, SSLPretrainer
from sknoisy.detection.evidence import from_dynamics, from_folds, from_neighbors
from sknoisy.detection.methods import DETECTION_METHODS
from sknoisy.metrics import (
    detection_average_precision,
    detection_balanced_accuracy,
    detection_f1,
)
from sknoisy.noise import add_noise
from sknoisy.scores import find_label_errors, normalized_margin

HERE = Path(__file__).parent
SIZES = ["50000x10", "50000x100", "1000000x100"]
TASKS = ["prune_by_noise_rate", "both", "normalized_margin"]
NOISES = [
    "symmetric_exclusive:0.2",
    "symmetric_exclusive:0.4",
    "asymmetric_cifar10:0.4",
    "instance_dependent:0.4",
]
FEATURES = ["scratch", "simclr", "simclr+frozen"]


def made_up(n_samples, n_classes):
    """Return labels, a fifth of them random, and float32 probabilities, in chunks."""
    rng = np.random.default_rng(0)
    pred_probs = np.empty((n_samples, n_classes), dtype=np.float32)
    y = rng.integers(n_classes, size=n_samples)
    for start in range(0, n_samples, 10_000):
        part = pred_probs[start : start + 10_000]
        true = y[start : start + 10_000].copy()
        noisy = rng.random(len(true)) < 0.2
        true[noisy] = rng.integers(n_classes, size=noisy.sum())
        rng.standard_normal(out=part, dtype=np.float32)
        part[np.arange(len(part)), true] += 4
        np.exp(part, out=part)
        part /= part.sum(axis=1, keepdims=True)
    return y, pred_probs


def one(args):
    """Run one task of one side; print seconds and memory, save the result."""
    n_samples, n_classes = map(int, args.size.split("x"))
    y, pred_probs = made_up(n_samples, n_classes)
    run = side(args.side, args.task)
    run(y[:100], pred_probs[:100])  # imports and first calls
    before = reset_peak()
    begin = time.perf_counter()
    result = run(y, pred_probs)
    seconds = time.perf_counter() - begin
    extra = memory("VmHWM") - before
    np.save(args.result, result)
    print(json.dumps({"seconds": seconds, "extra": extra / pred_probs.nbytes}))


def side(name, task):
    """Return the function that does the task."""
    if name == "sknoisy":
        if task == "normalized_margin":
            return lambda y, p: normalized_margin(y, p, range(p.shape[1]))
        return lambda y, p: find_label_errors(y, p, range(p.shape[1]), task)
    from cleanlab.filter import find_label_issues
    from cleanlab.rank import get_label_quality_scores

    if task == "normalized_margin":
        return lambda y, p: get_label_quality_scores(y, p, method=task)
    return lambda y, p: find_label_issues(y, p, filter_by=task)


def memory(field):
    """Return a field of the process's status on Linux, in bytes."""
    lines = Path("/proc/self/status").read_text().splitlines()
    return next(1024 * int(x.split()[1]) for x in lines if x.startswith(field))


def reset_peak():
    """Set the peak to what is held now; return that, in bytes."""
    Path("/proc/self/clear_refs").write_text("5")
    return memory("VmRSS")


def speed(args):
    rows = []
    for size in args.sizes:
        for task in args.tasks:
            with tempfile.TemporaryDirectory() as folder:
                rows.append(compare(size, task, args.rounds, Path(folder)))
            print(line(rows[-1]), flush=True)
    report = {"rows": rows, **environment("cpu"), "cpus": os.cpu_count()}
    if args.out:
        args.out.write_text(json.dumps(report, indent=1))
    print(json.dumps(report))


def compare(size, task, rounds, folder):
    runs = {"sknoisy": [], "cleanlab": []}
    for _ in range(rounds):
        for name, found in runs.items():
            command = [
                sys.executable,
                "-W",
                "ignore",
                __file__,
                "one",
                name,
                size,
                task,
            ]
            command.append(str(folder / f"{name}.npy"))
            done = subprocess.run(command, capture_output=True, text=True, check=True)
            found.append(json.loads(done.stdout.splitlines()[-1]))
    ours, theirs = (np.load(folder / f"{name}.npy") for name in runs)
    row = {"size": size, "task": task, "rounds": rounds}
    for name, found in runs.items():
        for key in ("seconds", "extra"):
            row[f"{name}_{key}"] = statistics.median(run[key] for run in found)
    row["speed_ratio"] = row["cleanlab_seconds"] / row["sknoisy_seconds"]
    row["memory_ratio"] = row["cleanlab_extra"] / row["sknoisy_extra"]
    differ = np.abs(ours - theirs) > 1e-6 if ours.dtype != bool else ours != theirs
    row["results_that_differ"] = int(differ.sum())
    return row


def line(row):
    return (
        f"{row['size']:>12} {row['task']:<20} "
        f"{row['sknoisy_seconds']:.3f} s, cleanlab {row['cleanlab_seconds']:.3f} s: "
        f"{row['speed_ratio']:.1f} times as fast; extra memory "
        f"{row['sknoisy_extra']:.2f}, cleanlab {row['cleanlab_extra']:.2f} of the "
        f"probabilities; {row['results_that_differ']} results differ"
    )


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
                with args.rows.open("a") as file:  # all of them, or none
                    file.write("".join(json.dumps(row) + "\n" for row in rows))
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
    lines = [header, ["---"] * len(header)]
    for names, cells in groups.items():
        means = [np.mean(cells[f], axis=0) if f in cells else [] for f in FEATURES]
        shown = [" / ".join(f"{v:.2f}" for v in each) or "open" for each in means]
        lines.append([*names, *shown, how(names[-1])])
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    commands = parser.add_subparsers(required=True)
    speeds = commands.add_parser("speed", help="time and memory against cleanlab")
    speeds.add_argument("--sizes", nargs="+", default=SIZES)
    speeds.add_argument("--tasks", nargs="+", default=TASKS, choices=TASKS)
    speeds.add_argument("--rounds", type=int, default=3)
    speeds.add_argument("--out", type=Path, help="JSON file")
    speeds.set_defaults(action=speed)
    single = commands.add_parser("one", help="one run, which speed calls")
    for name in ("side", "size", "task", "result"):
        single.add_argument(name)
    single.set_defaults(action=one)
    runner = commands.add_parser("accuracy", help="detect what has no row yet")
    runner.add_argument("--data", help="folder of CIFAR-10")
    runner.add_argument("--protocol", choices=PROTOCOLS, default="small")
    runner.add_argument("--noises", nargs="+", default=NOISES)
    runner.add_argument("--features", nargs="+", default=FEATURES, choices=FEATURES)
    runner.add_argument(
        "--sources", nargs="+", default=["folds", "dynamics", "features"]
    )
    runner.add_argument("--loss", default="elr")
    runner.add_argument("--folds", type=int, default=3)
    runner.add_argument("--seeds", nargs="+", type=int, default=[0])
    runner.add_argument("--device", default="auto")
    runner.add_argument("--cache", default=str(HERE / ".cache"))
    runner.add_argument("--ssl", default="{}", help="JSON of pre-trainer settings")
    runner.add_argument("--clf", default="{}", help="JSON of classifier settings")
    runner.add_argument("--tag", default="", help="name of these settings")
    runner.set_defaults(action=accuracy)
    runner.add_argument("--rows", type=Path, default=HERE / "detection.jsonl")
    args = parser.parse_args()
    args.action(args)


if __name__ == "__main__":
    main()
