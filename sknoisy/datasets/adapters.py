"""Data sets of PyTorch, torchvision and Hugging Face, as paths or arrays."""

import os

import numpy as np
import torch
from sklearn.utils import Bunch

from sknoisy.checks import as_path

SUFFIXES = {b"\xff\xd8": ".jpg", b"\x89P": ".png", b"GI": ".gif", b"BM": ".bmp"}
OF_PNG = {"1", "L", "LA", "P", "RGB", "RGBA", "I;16"}  # modes of Pillow
LABELS = ("label", "labels", "fine_label", "class", "target", "y")


def from_torch(dataset, *, folder=None, batch_size=64):
    """Return the samples and labels of a map-style data set of PyTorch or torchvision.

    Nothing is decoded if that can be avoided. A data set whose ``samples`` are files,
    such as torchvision's ``ImageFolder``, gives their paths; one that keeps its images
    or tensors in memory, such as torchvision's ``CIFAR10`` or a ``TensorDataset``,
    gives these. The transforms of such data sets are not applied, because the
    estimators make random views. A ``Subset`` gives its part.

    The samples of any other data set are read one by one, with its transforms, and
    written to `folder`: Pillow images as PNG files, arrays and tensors of one shape as
    one memmap. Only one batch is in memory at a time.

    Parameters
    ----------
    dataset : torch.utils.data.Dataset
        Data set whose items begin with a sample and its label.
    folder : str or path-like, default=None
        New or empty folder for samples that have to be read; needed only for these.
    batch_size : int, default=64
        How many samples are read before they are written.

    Returns
    -------
    found : Bunch
        "X": ndarray of str with paths, ndarray or tensor of samples, or memmap. "y",
        ndarray of shape (n_samples,): names of the classes where the data set has
        ``classes``, or else the labels as they are. "classes", list: the classes.

    Raises
    ------
    ValueError
        If the data set is empty or an iterable one, lacks labels, has items of other
        kinds, or has to be read while `folder` is None or holds files.

    See Also
    --------
    from_huggingface : The same for data sets of Hugging Face.

    Examples
    --------
    >>> import torch
    >>> from torch.utils.data import TensorDataset
    >>> from sknoisy.datasets import from_torch
    >>> dataset = TensorDataset(torch.rand(4, 3), torch.tensor([0, 1, 1, 0]))
    >>> found = from_torch(dataset)
    >>> found.X.shape, found.y
    (torch.Size([4, 3]), array([0, 1, 1, 0]))
    """
    is_mapped = hasattr(dataset, "__getitem__") and hasattr(dataset, "__len__")
    if not is_mapped or not len(dataset):
        raise ValueError(
            f"dataset={type(dataset).__name__} object is not valid: it must be a "
            "map-style PyTorch data set with a length above 0."
        )
    held = _held(dataset)
    if held is None:
        items = (dataset[i] for i in range(len(dataset)))
        pairs = (_pair(item) for item in items)
        X, y = _written(pairs, len(dataset), folder, batch_size)
    else:
        X, y = held
    return _bunch(X, y, _classes(dataset))


def from_huggingface(
    dataset, *, image="auto", label="auto", folder=None, batch_size=64
):
    """Return the samples and labels of a data set of Hugging Face.

    Images are not decoded. If the data set keeps the paths of files, these are
    returned. Images that are inside the data set, or streamed, are written to `folder`
    as they are, batch by batch.

    Parameters
    ----------
    dataset : datasets.Dataset or datasets.IterableDataset
        One split.
    image : str, default="auto"
        Column of the images, or of vectors such as embeddings. "auto": the only column
        of images.
    label : str, default="auto"
        Column of the labels. "auto": the first that is called "label", "labels",
        "fine_label", "class", "target" or "y".
    folder : str or path-like, default=None
        New or empty folder for images that are in no files; needed only for these.
    batch_size : int, default=64
        How many samples are read at a time.

    Returns
    -------
    found : Bunch
        "X": ndarray of str with paths, or ndarray of float32 of shape (n_samples, d).
        "y", ndarray of shape (n_samples,): names of the classes, or the labels as they
        are in a column that has no names. "classes", list: the classes.

    Raises
    ------
    ValueError
        If the data set has several splits, lacks a column or labels, or has images that
        have to be written while `folder` is None or holds files.

    See Also
    --------
    from_torch : The same for data sets of PyTorch and torchvision.

    Examples
    --------
    >>> import datasets  # doctest: +SKIP
    >>> from sknoisy.datasets import from_huggingface
    >>> train = datasets.load_dataset("ethz/food101", split="train")  # doctest: +SKIP
    >>> found = from_huggingface(train, folder="food101")  # doctest: +SKIP
    """
    features = getattr(dataset, "features", None)
    if features is None or not hasattr(dataset, "iter"):
        several = (
            " It has several splits: pass one." if hasattr(dataset, "keys") else ""
        )
        raise ValueError(
            f"dataset={type(dataset).__name__} object is not valid: it must be a "
            f"Hugging Face data set whose columns are known.{several}"
        )
    images = [k for k, v in features.items() if type(v).__name__ == "Image"]
    image = _column("image", image, images if len(images) == 1 else [], features)
    label = _column("label", label, [k for k in LABELS if k in features], features)
    dataset = dataset.select_columns([image, label])
    names = getattr(features[label], "names", None)
    if image in images:
        undecoded = type(features[image])(decode=False)
        dataset = dataset.cast_column(image, undecoded)
        X, y = _encoded_images(dataset, image, label, folder, batch_size)
    else:
        batches = [(b[image], b[label]) for b in dataset.iter(batch_size)]
        X = np.concatenate([np.asarray(part, dtype=np.float32) for part, _ in batches])
        y = np.concatenate([np.asarray(part) for _, part in batches])
    return _bunch(X, y, names)


def _held(dataset):
    """Return the samples and labels that a data set holds, unread, or None."""
    if isinstance(dataset, torch.utils.data.Subset):
        held = _held(dataset.dataset)
        rows = np.asarray(dataset.indices, dtype=np.int64)
        return None if held is None else tuple(part[rows] for part in held)
    if isinstance(dataset, torch.utils.data.TensorDataset):
        if len(dataset.tensors) != 2:
            raise ValueError(
                f"dataset has {len(dataset.tensors)} tensors: it must have two, "
                "samples and labels."
            )
        X, y = dataset.tensors
        return X, y.cpu().numpy()
    samples = getattr(dataset, "samples", None)
    if isinstance(samples, list) and samples and isinstance(samples[0][0], str):
        return np.array([path for path, _ in samples]), np.array(
            [y for _, y in samples]
        )
    data, targets = getattr(dataset, "data", None), getattr(dataset, "targets", None)
    is_whole = isinstance(data, (np.ndarray, torch.Tensor)) and len(data) == len(
        dataset
    )
    if is_whole and targets is not None and len(targets) == len(dataset):
        return data, np.asarray(targets)
    return None


def _classes(dataset):
    while isinstance(dataset, torch.utils.data.Subset):
        dataset = dataset.dataset
    return getattr(dataset, "classes", None)


def _pair(item):
    """Return the sample and the label of an item of a data set."""
    if not isinstance(item, (tuple, list)) or len(item) < 2:
        raise ValueError(
            f"dataset has items of the type {type(item).__name__}: each must be a "
            "tuple that begins with a sample and its label."
        )
    sample, label = item[:2]
    if not hasattr(label, "item"):
        return sample, label
    if np.prod(label.shape) != 1:
        raise ValueError(
            f"dataset has labels of shape {tuple(label.shape)}: each label must be a "
            "single value."
        )
    return sample, label.item()


def _written(pairs, n_samples, folder, batch_size):
    """Write samples to a folder, batch by batch; return them from there, and labels."""
    folder = _new_folder(folder, n_samples)
    files, labels, memmap, batch = [], [], None, []
    for i, (sample, label) in enumerate(pairs):
        labels.append(label)
        is_image = hasattr(sample, "getpixel")
        if memmap is not None if is_image else files:
            raise ValueError(
                f"dataset mixes Pillow images and arrays (see index {i}): give it a "
                "transform that returns only one kind."
            )
        if is_image:
            files.append(os.path.join(folder, f"{i:07d}.png"))
            _for_png(sample, i).save(files[-1])
            continue
        sample = sample.detach() if isinstance(sample, torch.Tensor) else sample
        sample = np.asarray(sample)
        if memmap is None:
            memmap = np.lib.format.open_memmap(
                os.path.join(folder, "X.npy"),
                mode="w+",
                dtype=sample.dtype,
                shape=(n_samples, *sample.shape),
            )
        if not np.can_cast(sample.dtype, memmap.dtype):
            raise ValueError(
                f"dataset has samples of {memmap.dtype} and, at index {i}, of "
                f"{sample.dtype}: give it a transform that brings them to one dtype."
            )
        if sample.shape != memmap.shape[1:]:
            raise ValueError(
                f"dataset has samples of different shapes: {memmap.shape[1:]} and, at "
                f"index {i}, {sample.shape}. Give it a transform that brings them to "
                "one size, or no transform, so that they stay Pillow images."
            )
        batch.append(sample)
        if len(batch) == batch_size or i == n_samples - 1:
            memmap[i + 1 - len(batch) : i + 1] = batch
            batch = []
    if memmap is not None:
        memmap.flush()
        memmap = np.lib.format.open_memmap(memmap.filename, mode="r")
    return (np.array(files) if memmap is None else memmap), np.array(labels)


def _for_png(image, i):
    """Return an image of Pillow that a PNG file holds, such as no CMYK photograph."""
    if image.mode in OF_PNG:
        return image
    if image.mode in ("F", "I"):
        raise ValueError(
            f"dataset has an image of mode {image.mode!r} at index {i}, with more "
            "than 8 bits per channel: give the data set a transform that turns its "
            "images into arrays."
        )
    return image.convert("RGB")


def _encoded_images(dataset, image, label, folder, batch_size):
    """Return the paths of images, written to a folder if they are in no files."""
    paths, labels, made = [], [], None
    for batch in dataset.iter(batch_size):
        for one in batch[image]:
            path, content = one["path"], one["bytes"]
            if content is None and path is not None:
                paths.append(path)
                continue
            if content is None:
                raise ValueError(f"dataset has no image in row {len(paths)}.")
            made = made or _new_folder(folder, "some")
            suffix = SUFFIXES.get(content[:2], ".img")
            paths.append(os.path.join(made, f"{len(paths):07d}{suffix}"))
            with open(paths[-1], "wb") as file:
                file.write(content)
        labels.extend(batch[label])
    return np.array(paths), np.array(labels)


def _new_folder(folder, n_samples):
    """Return the path of a folder that samples can be written to."""
    if folder is None:
        raise ValueError(
            f"folder=None is not valid: {n_samples} samples of the data set are not "
            "in files, and must be written to a folder. Pass a new or empty one."
        )
    folder = as_path("folder", folder)
    os.makedirs(folder, exist_ok=True)
    if os.listdir(folder):
        raise ValueError(f"folder={folder!r} is not valid: it holds files already.")
    return folder


def _column(parameter, wanted, usual, features):
    name = next(iter(usual), None) if wanted == "auto" else wanted
    if name not in features:
        raise ValueError(
            f"{parameter}={wanted!r} is not valid: the data set has the columns "
            f"{sorted(features)}. Pass the name of one."
        )
    return name


def _bunch(X, y, names):
    codes = names is not None and y.dtype.kind in "iu" and len(y) > 0
    named = codes and y.max() < len(names)
    if named:
        missing = y < 0  # Hugging Face has -1 where there is no label
    else:
        missing = np.array([label is None or label != label for label in y.tolist()])
    if missing.any():
        first = int(missing.argmax())
        raise ValueError(
            f"dataset has {missing.sum():,} samples without a label, the first at "
            f"index {first} ({y[first]}): leave them out, with its filter method or a "
            "Subset."
        )
    if named:
        y = np.array(names)[y]
    return Bunch(X=X, y=y, classes=np.unique(y).tolist())
