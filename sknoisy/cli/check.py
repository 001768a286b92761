"""``sknoisy check``: from a folder or a table to what is wrong with its labels."""

import hashlib
import os
import time
from collections import Counter
from contextlib import nullcontext

import numpy as np
from sklearn.base import clone
from sklearn.pipeline import Pipeline

from sknoisy.cli.columns import Columns, told_by_name
from sknoisy.cli.encoding import make_encoder, refuse
from sknoisy.cli.messages import Output, say
from sknoisy.cli.results import BY_CHANCE, summarize, write_all
from sknoisy.data.labels import some
from sknoisy.data.leaks import columns_like_labels
from sknoisy.datasets import Skipped, load_image_folder, load_table
from sknoisy.datasets.arrays import check_finite, read_array
from sknoisy.datasets.tables import PATHS, find_column, read_rows
from sknoisy.detection import LabelErrorDetector
from sknoisy.encoders.features import LazyFeatures
from sknoisy.estimators.classifier import NoisyRobustClassifier
from sknoisy.training.progress import duration

MEASURED = 64  # samples, after which the time for all is estimated
LONG = 20  # seconds that are worth a word before
OF_IMAGES = ["encoder", "weights", "image-size", "epochs", "max-time"]
MANY = 20  # numbers that are more likely a quantity than classes


def run(args):
    """Check labels; return whether they are worse than was asked for."""
    start = time.monotonic()
    out = args.out or f"{_name_of(args.data)}-check"
    found = _without_singles(_read(args))
    X = _used(found, args)
    _make_folder(out)
    is_images = isinstance(X, np.ndarray)
    _say_what_was_read(found, X, args)
    encoder = None
    if args.features is None:
        encoder, about = make_encoder(X, args)
        say(args, f"Encoder: {about}.")
        features = _encoded(encoder, X, args)
    else:
        features = _given_features(found, args)
    clf = NoisyRobustClassifier(
        freeze_encoder=isinstance(features, LazyFeatures),
        device=args.device,
        random_state=args.seed,
    )
    detector = LabelErrorDetector(
        clf,
        method=args.method,
        cv="auto" if args.folds is None else args.folds,
        max_false_alarms=args.max_false_alarms,
        random_state=args.seed,
    )
    in_folds = "" if args.folds is None else f", in {args.folds} folds"
    say(args, f"Checking the labels{in_folds}.")
    copies = _copies(X) if is_images else _equal_rows(X if encoder else features)
    together = is_images and args.method != "knn_agreement"
    by_name = isinstance(encoder, Columns)
    with told_by_name() if by_name else nullcontext():
        detector.fit(features, found.y, groups=copies if together else None)
        model = detector.estimator_
        if model is None:
            say(args, "Training a model on all samples.")
            model = clone(clf).fit(features, found.y)
    if by_name:  # a classifier of images has its encoder inside
        model = Pipeline([("columns", encoder), ("clf", model)])
    written = write_all(out, detector, model, found, args)
    print(summarize(detector, found, copies), file=Output())
    seconds = time.monotonic() - start
    say(args, f"Wrote {', '.join(written)} to {out!r}, in {seconds:.0f} s.")
    return args.fail_under is not None and _fails(detector, args.fail_under)


def _say_what_was_read(found, X, args):
    """Say how much there is, and warn of labels that may be none."""
    n, k = len(found.y), len(found.classes)
    say(
        args,
        f"Read {n:,} samples of {k} classes ({some(found.classes)}), left out "
        f"{len(found.skipped):,}.",
    )
    if k > MANY and all(map(_is_number, found.classes)):
        say(args, f"Warning: the labels are {k} different numbers. Are these classes?")
    for names in _alike(found.classes):
        say(args, f"Warning: {some(names)} differ only in spelling. Are they one?")
    learns_from_table = args.features is None and not isinstance(X, np.ndarray)
    for j in columns_like_labels(X, found.y) if learns_from_table else []:
        name = X.columns[j]
        say(
            args,
            f"Warning: the column {name!r} has one value for each label. If it is the "
            f"label in other words, leave it out, or no wrong one is found: --ignore "
            f"{name!r}.",
        )


def _fails(detector, least):
    """Say whether the share of right labels is too low; or cannot be told."""
    if detector.by_chance_:
        print(f"Failed: it cannot be told how many are right: {BY_CHANCE}.")
        return True
    right = 1 - detector.noise_rate_
    if right < least:
        print(f"Failed: {right:.1%} are right, which is under {least:.1%}.")
    return right < least


def _make_folder(out):
    """Make the folder for the results, or raise ``ValueError`` before the work."""
    try:
        os.makedirs(out, exist_ok=True)
        writable = os.access(out, os.W_OK | os.X_OK)
    except OSError as error:
        raise ValueError(
            f"--out {out!r} is not valid: the folder cannot be made ({error.strerror})"
        ) from error
    if not writable:
        raise ValueError(f"--out {out!r} is not valid: nothing can be written there")


def _is_number(label):
    try:
        float(label)
    except ValueError:
        return False
    return True


def _alike(classes):
    """Return lists of classes whose names differ only in case, spaces or hyphens."""
    groups = {}
    for name in map(str, classes):
        key = name.casefold()
        letters = "".join(c for c in key if not (c.isspace() or c in "-_"))
        # Numbers such as 1 and -1 are no spellings of each other.
        groups.setdefault(key if _is_number(name) else letters or key, []).append(name)
    return [names for names in groups.values() if len(names) > 1]


def _name_of(data):
    """Return the name of a folder, or that of a file without its ending."""
    name = os.path.basename(os.path.abspath(data))
    return name if os.path.isdir(data) else os.path.splitext(name)[0]


def _read(args):
    if os.path.isdir(args.data):
        why = f"is for a CSV file, and {args.data!r} is a folder"
        refuse(args, ["label", "file", "root", "features", "ignore"], why)
        return load_image_folder(args.data, on_error="skip")
    if args.features is not None:
        refuse(args, OF_IMAGES, "is not valid with --features")
        if not any(name.strip().lower() in PATHS for name in args.ignore):
            refuse(args, ["ignore"], "is not valid with --features, but for files")
    file = args.file
    if file == "auto" and args.ignore:  # a column of features may be called like files
        columns = read_rows(args.data).columns
        file = find_column(args.data, columns, "file", file, PATHS, args.ignore)
    columns = {"label": args.label, "file": file}
    found = load_table(args.data, args.root, on_error="skip", **columns)
    if found.file is None:
        why = f"is for images, and {args.data!r} is a table of features"
        refuse(args, [*OF_IMAGES, "root"], why)
    return found


def _used(found, args):
    """Return samples without the columns that are to be ignored."""
    X = found.X
    if isinstance(X, np.ndarray):
        if args.ignore:
            raise ValueError("--ignore is for columns of features, not for images")
        return X
    for name in args.ignore:
        if name not in X.columns:
            raise ValueError(
                f"--ignore {name!r} is not valid: the features are {list(X.columns)}"
            )
    X = X.drop(columns=args.ignore)
    if args.features is None and X.columns.empty:
        beside = [found.label, *args.ignore]
        raise ValueError(
            f"{args.data!r} has no column to learn from besides {some(beside)}: pass "
            "features for its rows in a NumPy file (--features)"
        )
    return X


def _given_features(found, args):
    """Return the features in a file of NumPy, of the rows that are used."""
    path = args.features
    features = read_array(path)
    if len(features) != found.n_rows:
        raise ValueError(
            f"{path!r} has {len(features):,} rows, and {args.data!r} has "
            f"{found.n_rows:,}: each row of the table needs its features"
        )
    say(args, f"Features: {features.shape[1]:,} numbers of each row, from {path!r}.")
    features = features[found.rows]
    check_finite(path, features, found.rows)
    return features


def _without_singles(found):
    """Leave out samples that are alone in their class, which no fold can judge.

    Raises ``ValueError`` if two classes are not left.
    """
    counts = Counter(found.y.tolist())
    keep = np.array([counts[label] > 1 for label in found.y.tolist()])
    left = sorted({*found.y[keep].tolist()})
    if len(left) < 2:
        raise ValueError(
            f"the {len(keep):,} samples have {len(counts):,} classes "
            f"({some(sorted(counts))}), of which {len(left)} have several samples: a "
            "check needs two such classes"
        )
    if keep.all():
        return found
    if isinstance(found.X, np.ndarray):  # of paths
        places = found.X[~keep].tolist()
    else:
        places = [f"row {name}" for name in found.names[~keep]]
    found.skipped += [
        Skipped(place, f"is the only sample of its class, {label!r}")
        for place, label in zip(places, found.y[~keep].tolist(), strict=True)
    ]
    for key in ("y", "names", "rows"):
        if key in found:
            found[key] = found[key][keep]
    found.X = found.X[keep]
    found.classes = np.unique(found.y).tolist()
    return found


def _encoded(encoder, X, args):
    """Return lazy features that are computed already, or an array of columns."""
    features = encoder.fit_transform(X)
    if isinstance(encoder, Columns):
        say(args, encoder.describe())
        if doubt := encoder.doubt():
            say(args, f"Warning: {doubt}")
    if len(X) > 4 * MEASURED and not isinstance(features, np.ndarray):
        start = time.monotonic()
        np.asarray(features[:MEASURED])
        seconds = (time.monotonic() - start) * len(X) / MEASURED
        if seconds > LONG:
            say(
                args,
                f"Computing the features of {len(X):,} images, which takes about "
                f"{duration(seconds)}; a smaller --image-size is faster.",
            )
    np.asarray(features)  # they are kept
    return features


def _equal_rows(X):
    """Return a group for each row, the same for equal ones; None without any.

    They are no groups: tables of few values have equal rows by chance, and the kernel
    machine tells these from copies itself.
    """
    import pandas as pd

    hashes = pd.util.hash_pandas_object(pd.DataFrame(X), index=False).to_numpy()
    return hashes if len(np.unique(hashes)) < len(hashes) else None


def _copies(paths):
    """Return a group for each file, the same for equal contents; None without any."""
    sizes = [os.path.getsize(path) for path in paths]
    counts, contents = Counter(sizes), {}
    groups = np.arange(len(paths))
    for i, size in enumerate(sizes):
        if counts[size] > 1:
            with open(paths[i], "rb") as file:
                digest = hashlib.file_digest(file, "sha256").digest()
            groups[i] = contents.setdefault(digest, i)
    return groups if len(np.unique(groups)) < len(groups) else None
