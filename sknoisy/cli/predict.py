"""``sknoisy predict``: labels of other samples, by a model that was saved."""

import csv
import os
import sys
from contextlib import nullcontext

import numpy as np
from sklearn.pipeline import Pipeline

from sknoisy.cli.columns import Columns, told_by_name
from sknoisy.cli.messages import Output, printable, say
from sknoisy.cli.results import write_rows
from sknoisy.data.inputs import IMAGE_SUFFIXES, is_paths
from sknoisy.data.labels import some
from sknoisy.datasets.arrays import check_finite, read_array
from sknoisy.datasets.folders import images_below
from sknoisy.datasets.found import keep_readable
from sknoisy.datasets.tables import read_features
from sknoisy.estimators.base import TorchEstimator
from sknoisy.estimators.loading import NotAllowed, load

COLUMNS = ["label", "probability"]  # after the name of a file, or that of a row
TABLES = (".csv", ".tsv")
ARRAYS = (".npy", ".npz")


def run(args):
    """Predict, and write what was predicted."""
    try:
        model = load(args.model, allow=args.allow)
    except NotAllowed as error:
        flags = " ".join(f"--allow {name}" for name in error.needed)
        raise ValueError(
            f"{args.model!r} needs code of other packages. If you trust it, add {flags}"
        ) from error
    if not hasattr(model, "predict_proba"):
        raise ValueError(f"{args.model!r} holds no classifier")
    names, X = _samples(args, model)
    _check_kind(args.model, model, X)
    front = _front(model)
    with told_by_name() if isinstance(front, Columns) else nullcontext():
        probabilities = model.predict_proba(X)
    if isinstance(front, Columns) and (doubt := front.doubt_new(X)):
        say(args, f"Warning: {doubt}.")
    best = probabilities.argmax(axis=1)
    sure = [f"{share:.4f}" for share in probabilities.max(axis=1)]
    names = [name.encode("utf-8", "backslashreplace").decode() for name in names]
    rows = [*zip(names, model.classes_[best], sure, strict=True)]
    columns = ["file" if is_paths(X) else "row", *COLUMNS]
    if args.csv:
        write_rows(args.csv, columns, rows)
        say(args, f"Wrote {len(rows):,} predictions to {args.csv!r}.")
    else:
        csv.writer(Output(), lineterminator="\n").writerows([columns, *rows])
    return False


def _front(model):
    return model[0] if isinstance(model, Pipeline) else model


def _check_kind(path, model, X):
    """Raise ``ValueError`` for samples of another kind than a model needs."""
    front = _front(model)
    if isinstance(front, Columns) and not hasattr(X, "columns"):
        raise ValueError(
            f"{path!r} was trained on a table with the columns {front.needed_}: pass "
            "a CSV file that has them"
        )
    spec = front._known_spec() if isinstance(front, TorchEstimator) else None
    if getattr(spec, "layout", None) == "path" and not is_paths(X):
        raise ValueError(
            f"{path!r} was trained on images: pass image files or folders of images"
        )
    if getattr(spec, "kind", None) == "vector" and is_paths(X):
        raise ValueError(
            f"{path!r} was trained on features: pass a NumPy file of features"
        )


def _check_rows(path, X):
    """Raise ``ValueError`` for a table without rows."""
    if not len(X):
        raise ValueError(f"{path!r} has no rows")


def _samples(args, model):
    """Return the names of samples, and the samples, as models take them."""
    front, only = _front(model), args.files[0] if len(args.files) == 1 else ""
    if only.lower().endswith(ARRAYS):
        X = read_array(only)
        _check_rows(only, X)
        check_finite(only, X)
        return [str(i) for i in range(len(X))], X
    of_images = os.path.isdir(only) or only.lower().endswith(IMAGE_SUFFIXES)
    # For `check`, too, a table is a file of any name.
    of_columns = only and isinstance(front, Columns) and not of_images
    if of_columns or only.lower().endswith(TABLES):
        X = read_features(only, texts=getattr(front, "texts_", ()))
        _check_rows(only, X)
        return [str(i) for i in range(len(X))], X
    paths = []
    for file in args.files:
        paths += images_below(file) if os.path.isdir(file) else [file]
    if not paths:
        raise ValueError(f"there are no images in {some(args.files)}")
    keep, skipped = keep_readable(paths, "skip", verify=True)
    for path, reason in skipped:
        print(printable(f"Left out {path}: {reason}"), file=sys.stderr)
    if not keep.any():
        raise ValueError(f"none of the {len(paths)} files can be read")
    paths = np.array(paths)[keep]
    return paths, paths
