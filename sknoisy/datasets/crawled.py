"""Public sets of crawled photographs, whose labels come from what stood beside them."""

import csv
import os

import numpy as np
from sklearn.utils import Bunch

from sknoisy.checks import as_path, check_choice, check_integer
from sknoisy.datasets.found import check_on_error, keep_readable
from sknoisy.datasets.sources import (
    Source,
    check_layout,
    read_lines,
    read_pairs,
    wrong_layout,
)

_SURVEY = "Song et al., Learning from Noisy Labels with Deep Neural Networks: A Survey"
CLOTHING1M = Source(
    "Clothing1M",
    "https://github.com/Cysu/noisy_label",
    "sent by its authors on request, for research",
    "38.5% of the labels, as later papers report; not checked here",
    "Xiao et al., Learning from Massive Noisy Labeled Data for Image Classification, "
    "CVPR 2015",
)
WEBVISION = Source(
    "WebVision 1.0",
    "https://data.vision.ee.ethz.ch/cvl/webvision/dataset2017.html",
    "see its page; the images belong to those who put them on the web",
    f"about 20% of the labels, as {_SURVEY}, 2022, is quoted; not checked here",
    "Li et al., WebVision Database: Visual Learning and Understanding from Web Data, "
    "arXiv:1708.02862, 2017",
)
FOOD101N = Source(
    "Food-101N",
    "https://kuanghuei.github.io/Food-101N/",
    "see its page; the images belong to those who put them on the web",
    "about 20% of the labels, by its page",
    "Lee et al., CleanNet: Transfer Learning for Scalable Image Classifier Training "
    "with Label Noise, CVPR 2018",
)
CLOTHING1M_SPLITS = ["noisy_train", "clean_train", "clean_val", "clean_test"]
UNKNOWN = -1  # stands for a label that nobody gave


def load_clothing1m(path, split="noisy_train", *, on_error="raise", verify=False):
    """Read the lists of Clothing1M, a million photographs of clothes from web shops.

    The folder holds ``noisy_label_kv.txt``, ``clean_label_kv.txt``, the lists such as
    ``noisy_train_key_list.txt``, and ``category_names_eng.txt``, all of them either
    there or in ``annotations``, and the photographs in ``images``, as its authors send
    them: https://github.com/Cysu/noisy_label.

    Parameters
    ----------
    path : str or path-like
        The folder.
    split : str, default="noisy_train"
        "noisy_train" (1,000,000 photographs), "clean_train" (47,570), "clean_val"
        (14,313) or "clean_test" (10,526).
    on_error : {"raise", "skip"}, default="raise"
        Whether files that are missing are an error, or are left out.
    verify : bool, default=False
        Whether each file is decoded once to see that it can be.

    Returns
    -------
    found : Bunch
        "X", ndarray of str of shape (n_samples,): paths. "y", ndarray of int64: labels,
        noisy ones for "noisy_train", and clean ones otherwise. "y_clean", ndarray of
        int64: labels that people gave, -1 where nobody did. "classes", list of str.
        "skipped", list of :class:`~sknoisy.datasets.Skipped`. "source",
        :class:`~sknoisy.datasets.Source`: licence, noise and paper.

    Raises
    ------
    ValueError
        If the folder is laid out in another way, or files are missing.

    References
    ----------
    Xiao et al., Learning from Massive Noisy Labeled Data for Image Classification,
    CVPR 2015. Later papers report that 38.5% of the noisy labels are wrong, and that
    the authors send the data on request, for research.

    Examples
    --------
    >>> from sknoisy.datasets import load_clothing1m
    >>> found = load_clothing1m("clothing1m")  # doctest: +SKIP
    >>> len(found.X), len(found.classes)  # doctest: +SKIP
    (1000000, 14)
    """
    check_choice("split", split, CLOTHING1M_SPLITS)
    path = as_path("path", path)
    inner = os.path.join(path, "annotations")
    lists = inner if os.path.isdir(inner) else path
    wanted = f"{split}_key_list.txt noisy_label_kv.txt clean_label_kv.txt"
    check_layout(lists, [*wanted.split(), "category_names_eng.txt"], CLOTHING1M)
    given, clean = (
        dict(zip(*read_pairs(os.path.join(lists, f"{kind}_label_kv.txt")), strict=True))
        for kind in ("noisy", "clean")
    )
    own = given if split == "noisy_train" else clean
    keys = read_lines(os.path.join(lists, f"{split}_key_list.txt"))
    unlabelled = [key for key in keys if key not in own]
    if unlabelled:
        found = f"{len(unlabelled)} without one, such as {unlabelled[0]!r}"
        raise wrong_layout(path, "a label for each key of the list", found, CLOTHING1M)
    return _of_files(
        [os.path.join(path, *key.split("/")) for key in keys],
        [own[key] for key in keys],
        read_lines(os.path.join(lists, "category_names_eng.txt")),
        CLOTHING1M,
        on_error,
        verify,
        y_clean=[clean.get(key, UNKNOWN) for key in keys],
    )


def load_webvision(
    path, split="train_google", *, n_classes=1000, on_error="raise", verify=False
):
    """Read the lists of WebVision 1.0, photographs of ImageNet's classes from the web.

    The folder holds ``info`` with ``synsets.txt``, ``train_filelist_google.txt`` and
    the other lists, and ``google``, ``flickr``, and ``val_images_256`` (or
    ``val_images``), as its page ships them:
    https://data.vision.ee.ethz.ch/cvl/webvision/dataset2017.html.

    "Mini" WebVision, of many papers, is the first 50 classes of the images from Google:
    ``load_webvision(path, n_classes=50)``.

    Parameters
    ----------
    path : str or path-like
        The folder.
    split : str, default="train_google"
        "train_google", "train_flickr" or "val"; labels of "val" are clean.
    n_classes : int, default=1000
        How many of the first classes to read.
    on_error : {"raise", "skip"}, default="raise"
        Whether files that are missing are an error, or are left out.
    verify : bool, default=False
        Whether each file is decoded once to see that it can be.

    Returns
    -------
    found : Bunch
        "X", ndarray of str of shape (n_samples,): paths. "y", ndarray of int64: labels.
        "classes", list of str: synsets with their words. "skipped", list of
        :class:`~sknoisy.datasets.Skipped`. "source",
        :class:`~sknoisy.datasets.Source`: licence, noise and paper.

    Raises
    ------
    ValueError
        If the folder is laid out in another way, or files are missing.

    References
    ----------
    Li et al., WebVision Database: Visual Learning and Understanding from Web Data,
    arXiv:1708.02862, 2017. Later papers quote Song et al., Learning from Noisy Labels
    with Deep Neural Networks: A Survey, 2022, for about 20% of wrong labels. The images
    belong to those who put them on the web.

    Examples
    --------
    >>> from sknoisy.datasets import load_webvision
    >>> mini = load_webvision("webvision", n_classes=50)  # doctest: +SKIP
    >>> len(mini.X)  # doctest: +SKIP
    65944
    """
    check_choice("split", split, ["train_google", "train_flickr", "val"])
    check_integer("n_classes", n_classes)
    path = as_path("path", path)
    filelist = {
        "train_google": "info/train_filelist_google.txt",
        "train_flickr": "info/train_filelist_flickr.txt",
        "val": "info/val_filelist.txt",
    }[split]
    check_layout(path, ["info/synsets.txt", filelist], WEBVISION)
    keys, codes = read_pairs(os.path.join(path, filelist))
    classes = read_lines(os.path.join(path, "info", "synsets.txt"))
    folder = path
    if split == "val":
        folders = [os.path.join(path, f"val_images{end}") for end in ("_256", "")]
        folder = next(filter(os.path.isdir, folders), None)
        if folder is None:
            raise wrong_layout(path, "val_images_256 or val_images", "none", WEBVISION)
    chosen = [
        (k, code) for k, code in zip(keys, codes, strict=True) if code < n_classes
    ]
    return _of_files(
        [os.path.join(folder, *key.split("/")) for key, _ in chosen],
        [code for _, code in chosen],
        classes[:n_classes],
        WEBVISION,
        on_error,
        verify,
    )


def load_food101n(path, split="train", *, on_error="raise", verify=False):
    """Read the lists of Food-101N, photographs of dishes from the web.

    The folder, ``Food-101N_release`` in its archive, holds ``meta`` with
    ``classes.txt``, ``imagelist.tsv``, ``verified_train.tsv`` and ``verified_val.tsv``,
    and ``images``: https://kuanghuei.github.io/Food-101N/. Papers test on the test
    images of Food-101, which are not part of it.

    Parameters
    ----------
    path : str or path-like
        The folder.
    split : str, default="train"
        "train": all 310,009 images. "verified_train" (52,868) and "verified_val"
        (4,741): those whose labels people have called right or wrong.
    on_error : {"raise", "skip"}, default="raise"
        Whether files that are missing are an error, or are left out.
    verify : bool, default=False
        Whether each file is decoded once to see that it can be.

    Returns
    -------
    found : Bunch
        "X", ndarray of str of shape (n_samples,): paths. "y", ndarray of int64: labels.
        "verified", ndarray of int64: 1 if people said that the label is right, 0 if
        they said that it is wrong, -1 if nobody said anything. "classes", list of str.
        "skipped", list of :class:`~sknoisy.datasets.Skipped`. "source",
        :class:`~sknoisy.datasets.Source`: licence, noise and paper.

    Raises
    ------
    ValueError
        If the folder is laid out in another way, or files are missing.

    References
    ----------
    Lee et al., CleanNet: Transfer Learning for Scalable Image Classifier Training with
    Label Noise, CVPR 2018. About 20% of the labels are wrong. The images belong to
    those who put them on the web.

    Examples
    --------
    >>> from sknoisy.datasets import load_food101n
    >>> found = load_food101n("Food-101N_release")  # doctest: +SKIP
    >>> len(found.X), len(found.classes)  # doctest: +SKIP
    (310009, 101)
    """
    check_choice("split", split, ["train", "verified_train", "verified_val"])
    path = as_path("path", path)
    tables = ["imagelist.tsv", "verified_train.tsv", "verified_val.tsv"]
    wanted = [f"meta/{name}" for name in ["classes.txt", *tables]]
    check_layout(path, [*wanted, "images"], FOOD101N)
    classes = [
        line
        for line in read_lines(os.path.join(path, "meta", "classes.txt"))
        if line != "class_name"
    ]
    verified = {
        name: dict(_food_rows(path, f"verified_{name}.tsv"))
        for name in ("train", "val")
    }
    kind = split.removeprefix("verified_")
    answers = (
        verified["train"] | verified["val"] if split == "train" else verified[kind]
    )
    keys = answers
    if split == "train":
        keys = [key for key, _ in _food_rows(path, "imagelist.tsv")]
    codes = {name: code for code, name in enumerate(classes)}
    strange = [key for key in keys if key.partition("/")[0] not in codes]
    if strange:
        expected = "images of the classes of meta/classes.txt"
        raise wrong_layout(path, expected, f"{strange[0]!r}", FOOD101N)
    return _of_files(
        [os.path.join(path, "images", *key.split("/")) for key in keys],
        [codes[key.partition("/")[0]] for key in keys],
        classes,
        FOOD101N,
        on_error,
        verify,
        verified=[answers.get(key, UNKNOWN) for key in keys],
    )


def _food_rows(path, name):
    """Yield the keys of a table of Food-101N, and what people said, if anything."""
    table = os.path.join(path, "meta", name)
    with open(table, newline="", encoding="utf-8") as file:
        for number, row in enumerate(csv.reader(file, delimiter="\t"), start=1):
            if not row or row[0] == "class_name/key":
                continue
            answer = row[1] if len(row) > 1 else None
            if (answer is None) != (name == "imagelist.tsv") or answer not in (
                None,
                "0",
                "1",
            ):
                expected = f"rows of class/key and 0 or 1 in {name}"
                found = f"{row!r} in line {number}"
                raise wrong_layout(path, expected, found, FOOD101N)
            yield row[0], None if answer is None else int(answer)


def _of_files(paths, codes, classes, source, on_error, verify, **more):
    """Return what was found of those files that can be read."""
    check_on_error(on_error)
    if not paths:
        raise ValueError(f"no images are listed: is this all of {source.name}?")
    highest = max(codes)
    if highest >= len(classes):
        raise ValueError(
            f"a label is {highest}, but {source.name} has {len(classes)} classes here."
        )
    keep, skipped = keep_readable(paths, on_error, verify)
    more = {
        name: np.array(values, dtype=np.int64)[keep] for name, values in more.items()
    }
    return Bunch(
        X=np.array(paths)[keep],
        y=np.array(codes, dtype=np.int64)[keep],
        classes=classes,
        skipped=skipped,
        source=source,
        **more,
    )
