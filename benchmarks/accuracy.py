"""Accuracy on real images under label noise: one row for each training.

    python benchmarks/accuracy.py run --data DIR --methods ce simclr+elr --seeds 0 1 2
    python benchmarks/accuracy.py table

Every row goes to a JSON lines file with its settings, time, versions and revision;
rows that are there already are skipped, so that a run can be stopped and resumed.
"last" is the test accuracy after the last epoch, which is what counts; "best" is that
of the best epoch, which nobody could choose without clean labels: it is reported, to
show memorisation, and never used.
"""

import argparse
import io
import json
import platform
import subprocess
from collections import defaultdict
from pathlib import Path

import numpy as np
import sklearn
import torch
from sklearn.datasets import load_digits
from sklearn.metrics import roc_auc_score
from sklearn.model_selection import train_test_split
from skorch.callbacks import Callback

import sknoisy
from sknoisy import NoisyRobustClassifier, SSLPretrainer
from sknoisy.devices import forward_all, resolve_device
from sknoisy.inputs import InputSpec, as_inputs
from sknoisy.networks import ConvNet
from sknoisy.noise import add_noise

HERE = Path(__file__).parent



def small_convnet(shape):
    """Return a convnet that is a sixth of the default one's work on a CPU."""
    return ConvNet(shape, width=32, size=8)


# 10,000 training and 2,000 test images of CIFAR-10 on a CPU. Without views, a network
# from scratch memorises wrong labels in 10 epochs; with them it takes hundreds. The
# pre-trained encoder is one for all noises and seeds: nothing of y enters it.
SMALL = {
    "data": "cifar10",
    "train_per_class": 1000,
    "test_per_class": 200,
    "encoder": small_convnet,
    "ssl": {"max_epochs": 100},
    "clf": {"max_epochs": 15, "views": "none"},
}
# 1,257 training and 540 test images that come with scikit-learn, 8 x 8 pixels.
DIGITS = {
    "data": "digits",
    "encoder": "auto",
    "ssl": {"max_epochs": 50},
    "clf": {"max_epochs": 100},
}
PROTOCOLS = {"digits": DIGITS, "small": SMALL}
PRETRAINERS = {"simclr": "simclr", "barlow": "barlow_twins"}


def load(protocol, folder):
    """Return X_train, y_train, X_test, y_test of a protocol."""
    if protocol["data"] == "digits":
        digits = load_digits()
        X, X_test, y, y_test = train_test_split(
            digits.images, digits.target, test_size=0.3, random_state=0
        )
        return X, y, X_test, y_test
    if folder is None:
        raise SystemExit("--data DIR is needed: the folder of CIFAR-10")
    return load_cifar10(folder, protocol["train_per_class"], protocol["test_per_class"])


def load_cifar10(folder, train_per_class, test_per_class):
    """Return X_train, y_train, X_test, y_test: uint8 (n, 32, 32, 3) and codes.

    `folder` holds cifar10_jpeg.npz (JPEG files one after the other, with offsets and
    labels), or is where torchvision keeps, or downloads, the original.
    """
    packed = Path(folder) / "cifar10_jpeg.npz"
    arrays = []
    for split, per_class in (("train", train_per_class), ("test", test_per_class)):
        if packed.exists():
            with np.load(packed) as file:
                blob, offsets = file[f"{split}_jpeg"], file[f"{split}_offsets"]
                labels = file[f"{split}_labels"]
            rows = first_of_each_class(labels, per_class)
            images = np.stack([decode(blob, offsets, i) for i in rows])
        else:
            from torchvision.datasets import CIFAR10

            data = CIFAR10(folder, train=split == "train", download=True)
            labels = np.array(data.targets)
            rows = first_of_each_class(labels, per_class)
            images = data.data[rows]
        arrays += [images, labels[rows].astype(np.int64)]
    return arrays


def first_of_each_class(labels, per_class):
    rows = [np.flatnonzero(labels == c)[:per_class] for c in np.unique(labels)]
    return np.sort(np.concatenate(rows))


def decode(blob, offsets, i):
    from PIL import Image

    jpeg = blob[offsets[i] : offsets[i + 1]].tobytes()
    return np.asarray(Image.open(io.BytesIO(jpeg)).convert("RGB"))


class TestAccuracy(Callback):
    """Accuracy on clean test labels after each epoch: looked at, never used."""

    def __init__(self, X, y, spec):
        self.X = X
        self.y = y
        self.spec = spec

    def on_epoch_end(self, net, **kwargs):
        store = self.spec.open(as_inputs(self.X))
        logits = forward_all(net.module_, store, net.device)
        self.scores = [
            *getattr(self, "scores", []),
            (logits.argmax(1) == self.y).mean(),
        ]


def run_row(row, data, protocol, device, cache):
    """Train one method on one noise with one seed; return the finished row."""
    X, y, X_test, y_test = data
    noisy = add_noise(y, row["noise"], row["rate"], X=X, random_state=row["seed"])
    pretrainer, _, loss = row["method"].rpartition("+")
    ssl_seconds, inputs = 0.0, X
    if pretrainer:
        ssl = SSLPretrainer(
            PRETRAINERS[pretrainer],
            memory=cache,
            device=device,
            encoder=protocol["encoder"],
            random_state=0,
            **protocol["ssl"] | row["overrides"]["ssl"],
        )
        inputs = ssl.fit_transform(X)
        spec = inputs.encoder.spec
        ssl_seconds = sum(h["dur"] for h in ssl.history_)  # once, then from the cache
    else:
        spec = InputSpec.learn(X)
    params = protocol["clf"] | row["overrides"]["clf"]
    params["encoder"] = "auto" if pretrainer else protocol["encoder"]
    watch = TestAccuracy(X_test, y_test, spec)
    clf = NoisyRobustClassifier(
        loss, device=device, callbacks=[watch], random_state=row["seed"], **params
    )
    clf.fit(inputs, noisy.y)
    return row | {
        "realised_rate": noisy.rate,
        "last": round(100 * float(clf.score(X_test, y_test)), 2),
        "best": round(100 * float(max(watch.scores)), 2),
        "curve": [round(100 * float(score), 1) for score in watch.scores],
        "label_quality_auc": round(
            float(roc_auc_score(noisy.is_wrong, -clf.label_quality_)), 4
        )
        if noisy.is_wrong.any()
        else None,
        "ssl_seconds": round(ssl_seconds, 1),
        "clf_seconds": round(sum(h["dur"] for h in clf.history_), 1),
        **environment(device),
    }


def environment(device):
    def git(*args):
        command = subprocess.run(
            ["git", *args], cwd=HERE, capture_output=True, text=True, check=False
        )
        return command.stdout.strip()

    return {
        "device": str(resolve_device(device)),
        "versions": {
            "sknoisy": sknoisy.__version__,
            "torch": torch.__version__,
            "scikit-learn": sklearn.__version__,
            "python": platform.python_version(),
        },
        "revision": git("rev-parse", "--short", "HEAD")
        + "+" * bool(git("diff", "HEAD")),
    }


def read_rows(path):
    return (
        [json.loads(line) for line in path.read_text().splitlines()]
        if path.exists()
        else []
    )


def key(row):
    names = ("protocol", "method", "noise", "rate", "seed", "tag")
    return *(row.get(name) for name in names), json.dumps(row.get("overrides"))


def run(args):
    protocol = PROTOCOLS[args.protocol]
    data = load(protocol, args.data)
    overrides = {"ssl": json.loads(args.ssl), "clf": json.loads(args.clf)}
    done = {key(row) for row in read_rows(args.rows)}
    for seed in args.seeds:
        for noise in args.noises:
            name, _, rate = noise.partition(":")
            for method in args.methods:
                row = {
                    "protocol": args.protocol,
                    "method": method,
                    "noise": name,
                    "rate": float(rate),
                    "seed": seed,
                    "tag": args.tag,
                    "overrides": overrides,
                }
                if key(row) in done:
                    continue
                row = run_row(row, data, protocol, args.device, args.cache)
                with args.rows.open("a") as file:
                    file.write(json.dumps(row) + "\n")
                shown = {k: row[k] for k in ("method", "noise", "rate", "seed", "tag")}
                print(
                    *shown.values(),
                    "last",
                    row["last"],
                    "best",
                    row["best"],
                    flush=True,
                )


def table(args):
    groups = defaultdict(list)
    for row in read_rows(args.rows):
        groups[
            row["protocol"], row["noise"], row["rate"], row["method"], row["tag"]
        ].append(row)
    print("| protocol | noise | rate | method | last | best | seeds |")
    print("|---|---|---|---|---|---|---|")
    for (protocol, noise, rate, method, tag), rows in sorted(groups.items()):
        last, best = ([row[k] for row in rows] for k in ("last", "best"))
        print(
            f"| {protocol} | {noise} | {rate} | {method}{tag and ' ' + tag} "
            f"| {np.mean(last):.1f} ± {np.std(last):.1f} | {np.mean(best):.1f} "
            f"| {len(rows)} |"
        )


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    commands = parser.add_subparsers(required=True)
    runner = commands.add_parser("run", help="train what has no row yet")
    runner.add_argument("--data", help="folder of CIFAR-10")
    runner.add_argument("--protocol", choices=PROTOCOLS, default="small")
    runner.add_argument(
        "--methods", nargs="+", default=["ce", "simclr+ce", "simclr+elr"]
    )
    runner.add_argument("--noises", nargs="+", default=["symmetric_exclusive:0.6"])
    runner.add_argument("--seeds", nargs="+", type=int, default=[0])
    runner.add_argument("--device", default="auto")
    runner.add_argument("--cache", default=str(HERE / ".cache"))
    runner.add_argument(
        "--ssl", default="{}", help="JSON of other pre-trainer settings"
    )
    runner.add_argument("--clf", default="{}", help="JSON of other classifier settings")
    runner.add_argument("--tag", default="", help="name of these other settings")
    runner.set_defaults(action=run)
    tabler = commands.add_parser("table", help="print the rows as a table")
    tabler.set_defaults(action=table)
    for command in (runner, tabler):
        command.add_argument("--rows", type=Path, default=HERE / "accuracy.jsonl")
    args = parser.parse_args()
    args.action(args)


if __name__ == "__main__":
    main()
