"""What the accuracy benchmark trains on: named protocols and their data."""

import io
import os
from dataclasses import dataclass, field
from pathlib import Path
from tempfile import NamedTemporaryFile

import numpy as np
from sklearn.datasets import load_digits
from sklearn.model_selection import train_test_split

from sknoisy.datasets.pickles import read_torch
from sknoisy.encoders.networks import ConvNet
from sknoisy.noise import NOISES, add_noise

HERE = Path(__file__).parent
CACHE = HERE / ".cache"


@dataclass(frozen=True)
class Protocol:
    """Data and settings that a name stands for.

    Attributes
    ----------
    data : str
        A key of ``LOADERS``.
    encoder : str or callable
        Of both estimators.
    ssl, clf : dict
        Other settings of SSLPretrainer and NoisyRobustClassifier.
    pipelines : dict of str to dict
        Settings of a recipe's step, by the recipe.
    per_class : (int, int) or None
        How many training and test images of each class, the first ones; None: all.
    pretrained : Path or None
        File of the SSLPretrainer that "simclr+" stands for, from pretrain.py; without
        it, one is trained, and cached.
    """

    data: str
    encoder: object = "auto"
    ssl: dict = field(default_factory=dict)
    clf: dict = field(default_factory=dict)
    pipelines: dict = field(default_factory=dict)
    per_class: tuple = None
    pretrained: Path = None


def small_convnet(shape):
    """Return a convnet of fewer channels and smaller maps than the default one."""
    return ConvNet(shape, width=32, size=8)


# All images: for one GPU, with SimCLR once for all noises and losses. The classifier is
# that of Ciortan, Dupuis and Peel: a hidden layer in the head, SGD, cosine.
FULL = {
    "encoder": "resnet18",
    "ssl": {"max_epochs": 200, "batch_size": 512, "lr": 0.8},
    "clf": {"max_epochs": 30, "head": "mlp"},
}
CIFAR10 = FULL | {"pretrained": CACHE / "cifar10_simclr_resnet18.safetensors"}
PROTOCOLS = {
    # 1,257 training and 540 test images that come with scikit-learn, 8 x 8 pixels.
    "digits": Protocol("digits", ssl={"max_epochs": 50}),
    # 10,000 training and 2,000 test images of CIFAR-10 on a CPU. Without views, a
    # network from scratch memorises wrong labels in 10 epochs; with them it takes
    # hundreds. The pre-trained encoder is one for all noises and seeds.
    "small": Protocol(
        "cifar10",
        encoder=small_convnet,
        ssl={"max_epochs": 100},
        clf={"max_epochs": 15, "views": "none"},
        pipelines={"contrastive_framework": {"contrastive__max_epochs": 10}},
        per_class=(1000, 200),
    ),
    # All of CIFAR-10 with a network for CPUs and an encoder that is committed. In
    # float32 everywhere, so that rows of a GPU and of a CPU are of one kind.
    "cifar10_cpu": Protocol(
        "cifar10",
        encoder="convnet",
        clf={"max_epochs": 20, "precision": "float32"},
        pipelines={"contrastive_framework": {"contrastive__max_epochs": 10}},
        pretrained=HERE / "cifar10_simclr.safetensors",
    ),
    # To try the scripts themselves, in seconds.
    "dry": Protocol(
        "digits",
        per_class=(10, 10),
        encoder="convnet",
        ssl={"max_epochs": 1},
        clf={"max_epochs": 1},
        pipelines={
            "contrastive_framework": {"contrastive__max_epochs": 1},
            "idn_hybrid": {"n_iterations": 1, "warmup_epochs": 1},
        },
        pretrained=CACHE / "dry.safetensors",
    ),
    "cifar10": Protocol("cifar10", **CIFAR10),
    "cifar100": Protocol("cifar100", **FULL),
    # CIFAR-N: labels by people, from a file that the user downloads (CC BY-NC 4.0).
    "cifar10n": Protocol("cifar10", **CIFAR10),
    "cifar100n": Protocol("cifar100", **FULL),
    # Folders train and test, in each a folder of images for each class.
    "folder": Protocol("folder", **FULL | {"clf": {"max_epochs": 30}}),
}


def load(protocol, folder):
    """Return X_train, y_train, X_test, y_test of a protocol."""
    if protocol.data != "digits" and folder is None:
        raise SystemExit("--data DIR is needed: the folder of the data set")
    parts = LOADERS[protocol.data](folder)
    if protocol.per_class is None:
        return parts
    taken = []
    for X, y, n in zip(parts[::2], parts[1::2], protocol.per_class, strict=True):
        rows = first_of_each_class(y, n)
        taken += [X[rows], y[rows]]
    return taken


def noisy_labels(y, X, noise, rate, seed, labels=None):
    """Return noisy labels, and which of them are wrong, or None if nobody knows.

    `noise` is a protocol of ``sknoisy.noise``; "none" for labels as they are; or a
    key of the file `labels`, such as "worse_label" of CIFAR-N.
    """
    if noise == "none":
        return y, None
    if labels is None or noise in NOISES:
        noisy = add_noise(y, noise, rate, X=X, random_state=seed)
        return noisy.y, noisy.is_wrong
    given = read_torch(labels)
    if noise not in given:
        raise SystemExit(f"{labels} holds {sorted(given)}, not {noise!r}")
    noisy = np.asarray(given[noise])
    return noisy, noisy != y


def first_of_each_class(labels, per_class):
    rows = [np.flatnonzero(labels == c)[:per_class] for c in np.unique(labels)]
    return np.sort(np.concatenate(rows))


def _digits(folder):
    digits = load_digits()
    X, X_test, y, y_test = train_test_split(
        digits.images, digits.target, test_size=0.3, random_state=0
    )
    return X, y, X_test, y_test


def _cifar10(folder):
    """Read cifar10_jpeg.npz (JPEG files in a row, offsets, labels) or the original."""
    packed = Path(folder) / "cifar10_jpeg.npz"
    if not packed.exists():
        return _torchvision("CIFAR10", folder)
    decoded = CACHE / f"cifar10_{packed.stat().st_size}.npz"
    if not decoded.exists():
        decoded.parent.mkdir(exist_ok=True)
        parts = _decoded(packed)
        with NamedTemporaryFile(dir=CACHE, delete=False) as file:  # several may write
            np.savez(file, *parts)
        os.replace(file.name, decoded)
    with np.load(decoded) as file:
        return [file[f"arr_{i}"] for i in range(4)]


def _decoded(packed):
    parts = []
    with np.load(packed) as file:
        for split in ("train", "test"):
            blob, offsets = file[f"{split}_jpeg"], file[f"{split}_offsets"]
            labels = file[f"{split}_labels"].astype(np.int64)
            images = [_decode(blob, offsets, i) for i in range(len(labels))]
            parts += [np.stack(images), labels]
    return parts


def _decode(blob, offsets, i):
    from PIL import Image

    jpeg = blob[offsets[i] : offsets[i + 1]].tobytes()
    return np.asarray(Image.open(io.BytesIO(jpeg)).convert("RGB"))


def _torchvision(name, folder):
    """Read a data set of torchvision, which downloads it."""
    from torchvision import datasets

    parts = []
    for train in (True, False):
        data = getattr(datasets, name)(folder, train=train, download=True)
        parts += [data.data, np.array(data.targets, dtype=np.int64)]
    return parts


def _folder(folder):
    """Read folders of images by class; X is their paths."""
    parts = []
    for split in ("train", "test"):
        found = [p for p in sorted(Path(folder, split).glob("*/*")) if p.is_file()]
        if not found:
            raise SystemExit(f"{folder}/{split} holds no folders of images")
        parts += [np.array([str(p) for p in found])]
        parts += [np.array([p.parent.name for p in found])]
    return parts


LOADERS = {
    "cifar10": _cifar10,
    "cifar100": lambda folder: _torchvision("CIFAR100", folder),
    "digits": _digits,
    "folder": _folder,
}
