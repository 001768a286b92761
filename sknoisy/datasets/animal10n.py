"""ANIMAL-10N: photographs of animals that are easily confused."""

import os
import re

import numpy as np
from sklearn.utils import Bunch

from sknoisy.checks import as_path, check_choice
from sknoisy.datasets.found import check_on_error, keep_readable
from sknoisy.datasets.sources import Source, wrong_layout

ANIMAL10N = Source(
    "ANIMAL-10N",
    "https://dm.kaist.ac.kr/datasets/animal-10n/",
    "handed out by its authors after a form; see its page",
    "about 8% of the labels, as later papers report; not checked here",
    "Song, Kim and Lee, SELFIE: Refurbishing Unclean Samples for Robust Deep Learning, "
    "ICML 2019",
)
CLASSES = "cat lynx wolf coyote cheetah jaguar chimpanzee orangutan hamster".split()
CLASSES += ["guinea pig"]
SIDE = 64  # pixels
NUMBERS = 8  # bytes of the number of an image and its label
FOLDERS = {"train": "training", "test": "testing"}
BATCHES = {"train": r"data_batch_\d+\.bin", "test": r"test_batch\.bin"}


def load_animal10n(path, split="train", *, on_error="raise", verify=False):
    """Read ANIMAL-10N, photographs of ten animals that students labelled.

    The folder holds either ``training`` and ``testing``, with images such as
    ``5_1234.jpg``, whose first number is the label; or the binary version,
    ``data_batch_1.bin`` and so on and ``test_batch.bin``, which is read if there are no
    images. The authors send them to those who fill in a form:
    https://dm.kaist.ac.kr/datasets/animal-10n/.

    Parameters
    ----------
    path : str or path-like
        The folder.
    split : {"train", "test"}, default="train"
        50,000 or 5,000 images; the labels of the latter are clean.
    on_error : {"raise", "skip"}, default="raise"
        Whether images that cannot be read are an error, or are left out.
    verify : bool, default=False
        Whether each image file is decoded once to see that it can be.

    Returns
    -------
    found : Bunch
        "X": ndarray of str of shape (n_samples,) with paths, or for the binary version
        ndarray of uint8 of shape (n_samples, 64, 64, 3), 614 MB for training. "y",
        ndarray of int64: labels. "classes", list of str. "skipped", list of
        :class:`~sknoisy.datasets.Skipped`. "source", :class:`~sknoisy.datasets.Source`:
        licence, noise and paper.

    Raises
    ------
    ValueError
        If the folder is laid out in another way, or files cannot be read.

    Notes
    -----
    A record of the binary version is the number of the image and its label, of four
    bytes each, and the pixels as in CIFAR. The byte order of the numbers is that in
    which all labels are from 0 to 9.

    References
    ----------
    Song, Kim and Lee, SELFIE: Refurbishing Unclean Samples for Robust Deep Learning,
    ICML 2019. Later papers report that about 8% of the labels are wrong.

    Examples
    --------
    >>> from sknoisy.datasets import load_animal10n
    >>> found = load_animal10n("animal-10n")  # doctest: +SKIP
    >>> found.X.shape, found.classes[:2]  # doctest: +SKIP
    ((50000,), ['cat', 'lynx'])
    """
    check_choice("split", split, FOLDERS)
    check_on_error(on_error)
    path = as_path("path", path)
    held = sorted(os.listdir(path)) if os.path.isdir(path) else []
    skipped = []
    if FOLDERS[split] in held:
        X, y, skipped = _images(path, FOLDERS[split], on_error, verify)
    else:
        batches = [name for name in held if re.fullmatch(BATCHES[split], name)]
        if not batches:
            expected = f"a folder {FOLDERS[split]}, or files {BATCHES[split]}"
            raise wrong_layout(path, expected, "neither", ANIMAL10N)
        batches.sort(key=lambda name: (len(name), name))  # the tenth after the ninth
        parts = [_records(path, name) for name in batches]
        X, y = (np.concatenate(part) for part in zip(*parts, strict=True))
    return Bunch(X=X, y=y, classes=[*CLASSES], skipped=skipped, source=ANIMAL10N)


def _images(path, folder, on_error, verify):
    """Return paths and labels of a folder of images, and what was left out."""
    names = [n for n in sorted(os.listdir(os.path.join(path, folder))) if n[0] != "."]
    strange = [name for name in names if not re.match(r"\d_", name)]
    if strange or not names:
        expected = f"images in {folder} with names such as 5_1234.jpg"
        raise wrong_layout(path, expected, strange[0] if strange else "none", ANIMAL10N)
    paths = np.array([os.path.join(path, folder, name) for name in names])
    y = np.array([int(name[0]) for name in names], dtype=np.int64)
    keep, skipped = keep_readable(paths, on_error, verify)
    return paths[keep], y[keep], skipped


def _records(path, name):
    """Return images and labels of a binary file."""
    content = np.fromfile(os.path.join(path, name), dtype=np.uint8)
    size = NUMBERS + 3 * SIDE**2
    if not len(content) or len(content) % size:
        expected = f"{name} with records of {size} bytes"
        raise wrong_layout(path, expected, f"{len(content)} bytes", ANIMAL10N)
    records = content.reshape(-1, size)
    numbers = np.ascontiguousarray(records[:, 4:NUMBERS])
    for order in "<>":
        labels = numbers.view(f"{order}u4").ravel().astype(np.int64)
        if (labels < len(CLASSES)).all():
            break
    else:
        expected = f"labels from 0 to 9 in {name}"
        raise wrong_layout(path, expected, f"{labels.max()}", ANIMAL10N)
    images = records[:, NUMBERS:].reshape(-1, 3, SIDE, SIDE)
    return images.transpose(0, 2, 3, 1), labels
