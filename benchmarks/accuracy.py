"""Accuracy on real images under label noise: one row for each training.

    python benchmarks/accuracy.py --data DIR --methods ce simclr+elr --seeds 0 1 2
    python benchmarks/report.py

Every row goes to a JSON lines file with its settings, time, versions and revision;
rows that are there already are skipped, so that a run can be stopped and resumed.
"last" is the test accuracy after the last epoch, which is what counts; "best" is that
of the best epoch, which nobody could choose without clean labels: it is reported, to
show memorisation, and never used.
"""

import argparse
import json
import multiprocessing
import time
from concurrent.futures import ProcessPoolExecutor, as_completed
from functools import partial
from itertools import product
from pathlib import Path

import numpy as np
import vectors
from joblib import Memory
from pipelines import PIPELINES, classifier_of, label_accuracy
from protocols import PROTOCOLS, load, noisy_labels
from rows import add_rows, environment, read_rows
from sklearn.metrics import roc_auc_score
from skorch.callbacks import Callback

import sknoisy
from sknoisy import (
    CoTrainingClassifier,
    NoisyRobustClassifier,
    SSLPretrainer,
)
from sknoisy.cotraining import COTRAINING_METHODS
from sknoisy.cotraining.ensembles import mean_log_proba
from sknoisy.data.inputs import as_inputs
from sknoisy.data.spec import InputSpec
from sknoisy.encoders.inference import forward_all
from sknoisy.losses import LOSSES
from sknoisy.regularizers import REGULARIZERS

HERE = Path(__file__).parent


# Methods that are no losses; these two are for features that stay as they are.
CLASSIFIERS = {
    name: partial(CoTrainingClassifier, name)
    for name in COTRAINING_METHODS
    if name not in ("cufit", "kernel_posterior")
}
PRETRAINERS = {"simclr": "simclr", "barlow": "barlow_twins"}


class TestAccuracy(Callback):
    """Accuracy on clean test labels after each epoch: looked at, never used."""

    def __init__(self, X, y, spec):
        self.X = X
        self.y = y
        self.spec = spec

    def on_epoch_end(self, net, **kwargs):
        store = self.spec.open(as_inputs(self.X))
        logits = forward_all(net.module_, store, net.device)
        if logits.ndim == 3:  # of several networks
            logits = mean_log_proba(logits)
        codes = np.unique(self.y, return_inverse=True)[1]
        score = (logits.argmax(axis=1) == codes).mean()
        self.scores_ = [*getattr(self, "scores_", []), score]  # a clone starts anew


def run_row(row, data, protocol, args):
    """Train one method on one noise with one seed; return the finished row."""
    X, y, X_test, y_test = data
    noise = row["noise"], row["rate"], row["seed"]
    noisy, is_wrong = noisy_labels(y, X, *noise, labels=args.labels)
    pipeline, _, backbone = row["method"].rpartition(":")
    pretrainer, _, loss = backbone.rpartition("+")
    shared = {"device": args.device, "image_size": args.image_size}
    clf_settings = {"encoder": "auto" if pretrainer else protocol.encoder}
    clf_settings |= shared | protocol.clf | row["overrides"]["clf"]
    if isinstance(clf_settings.get("regularizers"), dict):  # settings by name
        clf_settings["regularizers"] = [
            REGULARIZERS[name](**settings)
            for name, settings in clf_settings["regularizers"].items()
        ]
    ssl_seconds, inputs = 0.0, X
    if pretrainer:
        ssl = pretrained(pretrainer, X, row, protocol, args)
        inputs = ssl.transform(X)
        spec = inputs.encoder.spec
        ssl_seconds = sum(h["dur"] for h in ssl.history_)  # once, then from the cache
    else:
        spec = InputSpec.learn(as_inputs(X), image_size=args.image_size)
    watch = TestAccuracy(X_test, y_test, spec)
    make = CLASSIFIERS.get(loss, partial(NoisyRobustClassifier, loss))
    clf = make(callbacks=[watch], random_state=row["seed"])
    clf.set_params(**clf_settings)  # also loss__beta and the like
    if args.max_time:
        clf.set_params(max_time=args.max_time)
    model = clf
    if pipeline:
        settings = protocol.pipelines.get(pipeline, {})
        settings = settings | row["overrides"].get("pipeline", {})
        model = PIPELINES[pipeline](clf, settings)
    started = time.perf_counter()
    model.fit(inputs, noisy)
    seconds = time.perf_counter() - started
    if pipeline:
        watch = classifier_of(model).callbacks[0]  # a clone's
    known = not pipeline and is_wrong is not None and is_wrong.any()
    auc = roc_auc_score(is_wrong, -clf.label_quality_) if known else None
    return row | {
        "realised_rate": None if is_wrong is None else float(is_wrong.mean()),
        "last": round(100 * float(model.score(X_test, y_test)), 2),
        "best": round(100 * float(max(watch.scores_)), 2),
        "curve": [round(100 * float(score), 1) for score in watch.scores_],
        "label_quality_auc": auc and round(float(auc), 4),
        "noise_rate": getattr(clf, "noise_rate_", None),
        "epoch": getattr(clf, "stopped_epoch_", None),
        "labels": label_accuracy(model, y, noisy) if pipeline else None,
        "ssl_seconds": round(ssl_seconds, 1),
        "clf_seconds": round(seconds, 1),
        "n_train": len(X),
        **({"max_time": args.max_time} if args.max_time else {}),
        **environment(args.device),
    }


def pretrained(name, X, row, protocol, args):
    """Return the fitted SSLPretrainer of a protocol, from its file or the cache."""
    file = protocol.pretrained
    if name == "simclr" and not row["overrides"]["ssl"] and file and file.exists():
        return sknoisy.load(file)
    settings = {"encoder": protocol.encoder, "random_state": 0, "device": args.device}
    settings |= {"image_size": args.image_size} | protocol.ssl | row["overrides"]["ssl"]
    return SSLPretrainer(PRETRAINERS[name], memory=args.cache, **settings).fit(X)


FROZEN = {}  # features of this process's data by the pre-trainer, read once


def features_of(ssl, *parts):
    """Return the features of each part of the data; minutes, with a large network."""
    return [np.asarray(ssl.transform(X)) for X in parts]


def run_frozen(row, data, protocol, args):
    """Train one method on the features of a pre-trained encoder that stays as it is."""
    X, y, X_test, y_test = data
    noise = row["noise"], row["rate"], row["seed"]
    noisy, is_wrong = noisy_labels(y, X, *noise, labels=args.labels)
    pretrainer, _, method = row["method"].removeprefix("frozen:").rpartition("+")
    known = pretrainer, json.dumps(row["overrides"]["ssl"])
    if known not in FROZEN:
        ssl = pretrained(pretrainer, X, row, protocol, args)
        kept = Memory(args.cache, verbose=0).cache(features_of)
        FROZEN[known] = kept(ssl, X, X_test)
    features, test = FROZEN[known]
    name = method if method in vectors.METHODS else f"sknoisy:{method}"
    model = vectors.make(name, row["seed"], row["overrides"]["clf"])
    started = time.perf_counter()
    model.fit(features, noisy)
    return row | {
        "realised_rate": None if is_wrong is None else float(is_wrong.mean()),
        "last": round(100 * float(np.mean(model.predict(test) == y_test)), 2),
        "best": None,
        "clf_seconds": round(time.perf_counter() - started, 1),
        "n_train": len(X),
        **environment(args.device),
    }


def key(row):
    names = ("protocol", "method", "noise", "rate", "seed", "tag")
    return *(row.get(name) for name in names), json.dumps(row.get("overrides"))


def expand(methods):
    """Replace "losses" by the names of all losses, after a pre-trainer, too."""
    for method in methods:
        pretrainer, plus, loss = method.rpartition("+")
        names = sorted(LOSSES) if loss == "losses" else [loss]
        yield from (f"{pretrainer}{plus}{name}" for name in names)


def missing_rows(args):
    """Yield the rows that are to be trained and are not in the file yet."""
    overrides = {"ssl": json.loads(args.ssl), "clf": json.loads(args.clf)}
    if args.pipeline:
        overrides["pipeline"] = json.loads(args.pipeline)
    done = {key(row) for row in read_rows(args.rows)}
    for seed, method, noise in product(args.seeds, expand(args.methods), args.noises):
        name, _, rate = noise.partition(":")
        row = {
            "protocol": args.protocol,
            "method": method,
            "noise": name,
            "rate": float(rate or 0),
            "seed": seed,
            "tag": args.tag,
            "overrides": overrides,
        }
        if key(row) not in done:
            yield row


def run(args):
    rows = list(missing_rows(args))
    if args.workers == 1:
        open_data(args)
        for row in rows:
            write(train(row, args), args.rows)
        return
    spawn = multiprocessing.get_context("spawn")
    with ProcessPoolExecutor(args.workers, spawn, open_data, [args]) as pool:
        futures = {pool.submit(train, row, args): row for row in rows}
        failed = 0
        for future in as_completed(futures):
            if error := future.exception():  # the others go on
                print(futures[future], repr(error), flush=True)
                failed += 1
            else:
                write(future.result(), args.rows)
    if failed:
        raise SystemExit(f"{failed} of {len(rows)} rows failed")


DATA = []  # of this process, read once


def open_data(args):
    DATA[:] = load(PROTOCOLS[args.protocol], args.data)


def train(row, args):
    run_one = run_frozen if row["method"].startswith("frozen:") else run_row
    return run_one(row, DATA, PROTOCOLS[args.protocol], args)


def write(row, path):
    add_rows(path, row)
    shown = [row[k] for k in ("method", "noise", "rate", "seed", "tag")]
    print(*shown, "last", row["last"], "best", row["best"], flush=True)


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--data", help="folder of the data set")
    parser.add_argument("--labels", help="file of noisy labels, such as CIFAR-N's")
    parser.add_argument("--image-size", type=int, help="of images in files")
    parser.add_argument("--protocol", choices=PROTOCOLS, default="small")
    parser.add_argument(
        "--methods",
        nargs="+",
        default=["ce", "simclr+ce", "simclr+elr"],
        help="[idn_hybrid: or contrastive_framework:] [simclr+ or barlow+] and the "
        f"name of a loss or of one of {', '.join(CLASSIFIERS)}; or "
        '"losses" for all losses; "frozen:simclr+" and a method of vectors.py',
    )
    parser.add_argument("--noises", nargs="+", default=["symmetric_exclusive:0.6"])
    parser.add_argument("--seeds", nargs="+", type=int, default=[0])
    parser.add_argument("--device", default="auto")
    parser.add_argument("--workers", type=int, default=1, help="rows at the same time")
    parser.add_argument(
        "--max-time",
        type=float,
        help="seconds that the schedule of a row is fitted into",
    )
    parser.add_argument("--cache", default=str(HERE / ".cache"))
    parser.add_argument("--ssl", default="{}", help="JSON of pre-trainer settings")
    parser.add_argument("--clf", default="{}", help="JSON of classifier settings")
    parser.add_argument("--pipeline", help="JSON of settings of the recipe's step")
    parser.add_argument("--tag", default="", help="name of these other settings")
    parser.add_argument("--rows", type=Path, default=HERE / "accuracy.jsonl")
    run(parser.parse_args())


if __name__ == "__main__":
    main()
