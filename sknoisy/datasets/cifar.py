"""CIFAR-10N and CIFAR-100N: labels that people gave to the images of CIFAR."""

import os

import numpy as np
from sklearn.utils import Bunch

from sknoisy.checks import as_path, check_choice
from sknoisy.datasets.pickles import read_arrays, read_torch
from sknoisy.datasets.sources import Source, read_lines, wrong_layout

_PAPER = (
    "Wei et al., Learning with Noisy Labels Revisited: A Study Using Real-World Human "
    "Annotations, ICLR 2022"
)
_LICENSE = (
    "CC BY-NC 4.0 for the labels; the page of CIFAR, https://www.cs.toronto.edu/~kriz/"
    "cifar.html, where its images are to be had, names no licence"
)
CIFAR10N = Source(
    "CIFAR-10N",
    "https://github.com/UCSC-REAL/cifar-10-100n",
    _LICENSE,
    "9.0% of the labels by majority (aggregate), 17.2%, 18.1% and 17.6% of those of "
    "one annotator (random1 to random3), 40.2% where one of three erred (worst)",
    _PAPER,
)
CIFAR100N = Source(
    "CIFAR-100N",
    "https://github.com/UCSC-REAL/cifar-10-100n",
    _LICENSE,
    "40.2% of the labels",
    _PAPER,
)
CIFAR10N_LABELS = {
    "worst": "worse_label",
    "aggregate": "aggre_label",
    "random1": "random_label1",
    "random2": "random_label2",
    "random3": "random_label3",
    "clean": "clean_label",
}
CIFAR100N_LABELS = {"noisy": "noisy_label", "clean": "clean_label"}
PIXELS = 3 * 32 * 32  # bytes of an image


def load_cifar10n(path, labels="worst", *, split="train"):
    """Read CIFAR-10 with the labels that people on Amazon Mechanical Turk gave.

    The folder holds ``CIFAR-10_human.pt``, or ``data/CIFAR-10_human.pt``, of
    https://github.com/UCSC-REAL/cifar-10-100n, and ``cifar-10-batches-py`` or
    ``cifar-10-batches-bin`` of https://www.cs.toronto.edu/~kriz/cifar.html. Both
    contain pickles, of which only arrays are read: no code in them runs.

    Parameters
    ----------
    path : str or path-like
        The folder.
    labels : str, default="worst"
        Which labels "y" holds: "worst" (40.2% are wrong), "aggregate" (9.0%), "random1"
        (17.2%), "random2" (18.1%), "random3" (17.6%) or "clean".
    split : {"train", "test"}, default="train"
        The labels of test images are clean.

    Returns
    -------
    found : Bunch
        "X", ndarray of uint8 of shape (n_samples, 32, 32, 3): all images, 150 MB of
        those for training. "y" and "y_clean", ndarray of int64 of shape (n_samples,).
        "classes", list of str: their names. "source",
        :class:`~sknoisy.datasets.Source`: licence, noise and paper.

    Raises
    ------
    ValueError
        If the folder is laid out in another way, or if the labels are in another order
        than the images, as those for TensorFlow are.

    References
    ----------
    Wei et al., Learning with Noisy Labels Revisited: A Study Using Real-World Human
    Annotations, ICLR 2022. The labels are licensed by CC BY-NC 4.0.

    Examples
    --------
    >>> from sknoisy.datasets import load_cifar10n
    >>> found = load_cifar10n("data")  # doctest: +SKIP
    >>> float((found.y != found.y_clean).mean())  # doctest: +SKIP
    0.40208
    """
    check_choice("labels", labels, CIFAR10N_LABELS)
    check_choice("split", split, ["train", "test"])
    path = as_path("path", path)
    folder, is_binary = _images_folder(path, "cifar-10-batches", "bin", CIFAR10N)
    names = [f"data_batch_{i}" for i in range(1, 6)]
    names = names if split == "train" else ["test_batch"]
    if is_binary:
        parts = [_binary(folder, f"{name}.bin", 1, CIFAR10N) for name in names]
        classes = read_lines(_part(folder, "batches.meta.txt", CIFAR10N))
    else:
        parts = [_batch(folder, name, b"labels", CIFAR10N) for name in names]
        meta = read_arrays(_part(folder, "batches.meta", CIFAR10N))
        classes = _names(meta, b"label_names", folder, CIFAR10N)
    return _with_labels(
        parts,
        classes,
        path,
        "CIFAR-10_human.pt",
        CIFAR10N_LABELS[labels],
        split,
        CIFAR10N,
    )


def load_cifar100n(path, labels="noisy", *, split="train"):
    """Read CIFAR-100 with the labels that people on Amazon Mechanical Turk gave.

    The folder holds ``CIFAR-100_human.pt``, or ``data/CIFAR-100_human.pt``, of
    https://github.com/UCSC-REAL/cifar-10-100n, and ``cifar-100-python`` or
    ``cifar-100-binary`` of https://www.cs.toronto.edu/~kriz/cifar.html. Both contain
    pickles, of which only arrays are read: no code in them runs.

    Parameters
    ----------
    path : str or path-like
        The folder.
    labels : {"noisy", "clean"}, default="noisy"
        Which labels "y" holds; 40.2% of the noisy ones are wrong.
    split : {"train", "test"}, default="train"
        The labels of test images are clean.

    Returns
    -------
    found : Bunch
        "X", ndarray of uint8 of shape (n_samples, 32, 32, 3): all images, 150 MB of
        those for training. "y" and "y_clean", ndarray of int64 of shape (n_samples,).
        "classes", list of str: their names. "source",
        :class:`~sknoisy.datasets.Source`: licence, noise and paper.

    Raises
    ------
    ValueError
        If the folder is laid out in another way, or if the labels are in another order
        than the images, as those for TensorFlow are.

    References
    ----------
    Wei et al., Learning with Noisy Labels Revisited: A Study Using Real-World Human
    Annotations, ICLR 2022. The labels are licensed by CC BY-NC 4.0.

    Examples
    --------
    >>> from sknoisy.datasets import load_cifar100n
    >>> found = load_cifar100n("data")  # doctest: +SKIP
    >>> found.X.shape  # doctest: +SKIP
    (50000, 32, 32, 3)
    """
    check_choice("labels", labels, CIFAR100N_LABELS)
    check_choice("split", split, ["train", "test"])
    path = as_path("path", path)
    folder, is_binary = _images_folder(path, "cifar-100", "binary", CIFAR100N)
    if is_binary:
        parts = [_binary(folder, f"{split}.bin", 2, CIFAR100N)]
        classes = read_lines(_part(folder, "fine_label_names.txt", CIFAR100N))
    else:
        parts = [_batch(folder, split, b"fine_labels", CIFAR100N)]
        meta = read_arrays(_part(folder, "meta", CIFAR100N))
        classes = _names(meta, b"fine_label_names", folder, CIFAR100N)
    key = CIFAR100N_LABELS[labels]
    return _with_labels(
        parts, classes, path, "CIFAR-100_human.pt", key, split, CIFAR100N
    )


def _images_folder(path, name, binary, source):
    """Return the folder of CIFAR's own files, and whether they are binary."""
    kinds = {f"{name}-{'py' if binary == 'bin' else 'python'}": False}
    kinds[f"{name}-{binary}"] = True
    for kind, is_binary in kinds.items():
        for place in (kind, os.path.join("data", kind)):
            if os.path.isdir(os.path.join(path, place)):
                return os.path.join(path, place), is_binary
    expected = " or ".join(kinds)
    raise wrong_layout(path, f"a folder {expected}", "neither", source)


def _part(folder, name, source):
    """Return the path of a file of a folder."""
    path = os.path.join(folder, name)
    if not os.path.isfile(path):
        raise wrong_layout(folder, f"a file {name}", f"no {name}", source)
    return path


def _batch(folder, name, key, source):
    """Return the images and labels of one of CIFAR's pickles."""
    path = _part(folder, name, source)
    content = read_arrays(path)
    images = content.get(b"data") if isinstance(content, dict) else None
    labels = content.get(key) if isinstance(content, dict) else None
    if labels is None or getattr(images, "shape", None) != (len(labels), PIXELS):
        raise wrong_layout(
            folder,
            f"{name} with 'data' of shape (n, {PIXELS}) and n {key.decode()!r}",
            "others",
            source,
        )
    return images, np.array(labels, dtype=np.int64)


def _binary(folder, name, n_labels, source):
    """Return the images and labels, the last of each record's, of a binary file."""
    path = _part(folder, name, source)
    content = np.fromfile(path, dtype=np.uint8)
    if not len(content) or len(content) % (n_labels + PIXELS):
        raise wrong_layout(
            folder,
            f"{name} with records of {n_labels + PIXELS} bytes",
            f"{len(content)} bytes",
            source,
        )
    records = content.reshape(-1, n_labels + PIXELS)
    return records[:, n_labels:], records[:, n_labels - 1].astype(np.int64)


def _names(meta, key, folder, source):
    names = meta.get(key) if isinstance(meta, dict) else None
    if not isinstance(names, list):
        raise wrong_layout(
            folder, f"names of classes, {key.decode()!r}", "none", source
        )
    return [name.decode() for name in names]


def _with_labels(parts, classes, path, file, key, split, source):
    """Return images with one of the sets of labels that people gave."""
    images = np.concatenate([part for part, _ in parts])
    y_clean = np.concatenate([labels for _, labels in parts])
    y = y_clean if split == "test" else _human_labels(path, file, key, y_clean, source)
    return Bunch(
        X=images.reshape(-1, 3, 32, 32).transpose(0, 2, 3, 1),
        y=y.copy(),
        y_clean=y_clean,
        classes=classes,
        source=source,
    )


def _human_labels(path, file, key, y_clean, source):
    places = [os.path.join(path, file), os.path.join(path, "data", file)]
    found = [place for place in places if os.path.isfile(place)]
    if not found:
        raise wrong_layout(path, f"{file} or data/{file}", "neither", source)
    content = read_torch(found[0])
    content = content if isinstance(content, dict) else {}
    lacking = [name for name in ("clean_label", key) if name not in content]
    if lacking:
        raise wrong_layout(
            path, f"{file} with {lacking}", f"{sorted(content)} there", source
        )
    labels = {name: np.asarray(content[name]) for name in ("clean_label", key)}
    if not np.array_equal(labels["clean_label"], y_clean):
        raise wrong_layout(
            path,
            f"labels in {file} in the order of the images",
            "clean labels that differ from CIFAR's own",
            source,
        )
    return labels[key].astype(np.int64)
