"""Folders of images, one for each class."""

import os

import numpy as np
from sklearn.utils import Bunch

from sknoisy.checks import as_path
from sknoisy.data.inputs import IMAGE_SUFFIXES
from sknoisy.datasets.found import Skipped, check_on_error, keep_readable

SPLITS = {"train", "training", "val", "valid", "validation", "test", "testing"}


def load_image_folder(path, *, on_error="raise", verify=True):
    """Find the images in the class folders of a folder.

    The label of an image is the name of the folder in `path` that holds it, at any
    depth. Nothing is kept in memory but paths: the estimators read the files.

    Hidden files and folders, whose names begin with a dot, are passed over. So are
    files without the name of an image, and links to folders that would lead round in a
    circle; these are listed in `skipped`.

    Parameters
    ----------
    path : str or path-like
        Folder with one folder for each class.
    on_error : {"raise", "skip"}, default="raise"
        Whether images that cannot be read are an error, which lists them, or are left
        out.
    verify : bool, default=True
        Whether each file is decoded once to see that it can be. Otherwise, damaged
        files are only noticed in training.

    Returns
    -------
    found : Bunch
        "X", ndarray of str of shape (n_samples,): paths, sorted by class and name.
        "y", ndarray of str of shape (n_samples,): names of the class folders.
        "names", ndarray of str of shape (n_samples,): paths from `path` on, with
        slashes. "classes", list of str: the classes. "skipped", list of
        :class:`~sknoisy.datasets.Skipped`: what was left out, and why.

    Raises
    ------
    ValueError
        If `path` is no folder or holds no images in class folders, or if images cannot
        be read, such as those with more pixels than Pillow's limit.

    Examples
    --------
    >>> import tempfile
    >>> from pathlib import Path
    >>> from PIL import Image
    >>> from sknoisy.datasets import load_image_folder
    >>> folder = Path(tempfile.mkdtemp())
    >>> for name in ("cat/1.png", "dog/1.png", "dog/2.png"):
    ...     (folder / name).parent.mkdir(exist_ok=True)
    ...     Image.new("RGB", (8, 8)).save(folder / name)
    >>> load_image_folder(folder).y
    array(['cat', 'dog', 'dog'], dtype='<U3')
    """
    check_on_error(on_error)
    root = as_path("path", path)
    if not os.path.isdir(root):
        raise ValueError(f"path={root!r} is not valid: there is no such folder.")
    skipped, names = [], []
    for name in _files_below(root, skipped):
        if "/" in name:
            names.append(name)
        else:
            skipped.append(Skipped(os.path.join(root, name), "is in no class folder"))
    if not names:
        raise ValueError(
            f"path={root!r} is not valid: it holds no images in class folders. "
            f"Expected is {os.path.join(root, 'CLASS', 'IMAGE.jpg')!r}, found "
            f"{sorted(os.listdir(root))[:5]}."
        )
    _refuse_splits(root, names)
    paths = [os.path.join(root, *name.split("/")) for name in names]
    keep, unreadable = keep_readable(paths, on_error, verify)
    if not keep.any():
        raise ValueError(
            f"path={root!r} is not valid: none of its {len(names)} images can be read, "
            f"the first of them {unreadable[0].path!r} {unreadable[0].reason}."
        )
    names = np.array(names)[keep]
    y = np.array([name.partition("/")[0] for name in names])
    return Bunch(
        X=np.array(paths)[keep],
        y=y,
        names=names,
        classes=np.unique(y).tolist(),
        skipped=unreadable + skipped,
    )


def _refuse_splits(root, names):
    """Raise ``ValueError`` if the folders are no classes, but parts of a data set."""
    tops = {name.partition("/")[0] for name in names}
    nested = all(name.count("/") > 1 for name in names)
    if nested and {top.lower() for top in tops} <= SPLITS:
        raise ValueError(
            f"path={root!r} is not valid: its folders {sorted(tops)} are parts of a "
            f"data set, not classes. Pass one of them, such as "
            f"{os.path.join(root, min(tops))!r}."
        )


def images_below(folder):
    """Return the paths of the images in a folder, at any depth, sorted."""
    names = _files_below(os.fspath(folder), [])
    return [os.path.join(folder, *name.split("/")) for name in names]


def _files_below(root, skipped):
    """Yield the images below a folder, as paths from there on with slashes."""

    def walk(folder, prefix, above):
        try:
            with os.scandir(folder) as entries:
                entries = sorted(entries, key=lambda entry: entry.name)
            own = os.stat(folder)
        except OSError as error:
            skipped.append(Skipped(folder, f"cannot be opened ({error.strerror})"))
            return
        identity = own.st_dev, own.st_ino
        if identity in above:
            skipped.append(Skipped(folder, "is a link to a folder that holds it"))
            return
        for entry in entries:
            if entry.name.startswith("."):
                continue
            try:
                is_folder = entry.is_dir()
            except OSError as error:  # a link to itself, say
                why = f"cannot be opened ({error.strerror})"
                skipped.append(Skipped(entry.path, why))
                continue
            if is_folder:
                inner = f"{prefix}{entry.name}/"
                yield from walk(entry.path, inner, above | {identity})
            elif not entry.name.lower().endswith(IMAGE_SUFFIXES):
                skipped.append(Skipped(entry.path, "is no image by its name"))
            else:
                yield prefix + entry.name

    yield from walk(root, "", frozenset())
