"""Draws samples, labels and what is given beside them, most of it valid."""

import enum
import tempfile
from pathlib import Path

import numpy as np
import pandas as pd
import torch
from PIL import Image

Colour = enum.Enum("Colour", {name: name for name in "abcde"}, type=str)


def pick(rng, values):
    """Return one of some values."""
    return values[rng.integers(len(values))]


def strided(X):
    """Return an equal array whose samples are not next to each other in memory."""
    return np.repeat(X, 2, axis=0)[::2]


def read_only(X):
    X = X.copy()
    X.flags.writeable = False
    return X


def mapped(X):
    """Return an equal array of a file, read-only."""
    with tempfile.TemporaryFile() as file:
        np.save(file, X)
        file.seek(0)
        version = np.lib.format.read_magic(file)
        assert version == (1, 0)
        np.lib.format.read_array_header_1_0(file)
        return np.memmap(file, X.dtype, "r", file.tell(), X.shape)


def column_of_arrays(X):
    column = np.empty(len(X), dtype=object)
    column[:] = [*X]
    return pd.Series(column)


ANY_FORM = [
    lambda X: X, lambda X: X.astype(np.float32), lambda X: X.astype(np.float16),
    lambda X: X.tolist(), lambda X: [*X], torch.from_numpy, np.asfortranarray,
    strided, read_only, mapped, column_of_arrays, lambda X: X.astype(">f4"),
    lambda X: np.ma.masked_array(X), lambda X: X.astype(object),
]  # fmt: skip
OF_VECTORS = [
    *ANY_FORM, lambda X: np.round(X).clip(-9e3, 9e3).astype(int), lambda X: X > 0,
    pd.DataFrame, lambda X: pd.DataFrame(X).add_prefix("x"),
    lambda X: pd.DataFrame(X, index=np.arange(len(X))[::-1]),
]  # fmt: skip
OF_IMAGES = [
    *ANY_FORM, lambda X: X, lambda X: X / 255, lambda X: X / np.float32(255),
    lambda X: X.astype(np.int16) - 128, lambda X: X.astype(np.uint16) * 16,
    lambda X: X // 255, lambda X: X > 128, lambda X: np.zeros_like(X),
    lambda X: X[:, ::-1],
]  # fmt: skip


def vectors(rng, n):
    """Return a table, in any form."""
    d = int(pick(rng, [1, 2, 5, 30]))
    X = rng.normal(size=(n, d)) * pick(rng, [1, 1, 1e-6, 1e6]) + pick(rng, [0, 0, 1e4])
    change = rng.integers(12)
    if change == 0:
        X[:, 0] = X[0, 0]
    if change == 1:
        X[:] = 0
    if change == 2:
        X[rng.integers(n), 0] = pick(rng, [1e30, -1e300, 1e7])
    if change == 3:
        X = X[rng.integers(0, max(n // 4, 1), n)]  # duplicates
    with np.errstate(all="ignore"):
        return pick(rng, OF_VECTORS)(X)


def images(rng, n):
    """Return small images, in any form."""
    shape = [(8, 8), (8, 8, 3), (3, 8, 8), (9, 7, 1), (5, 5, 3)][rng.integers(5)]
    X = rng.integers(0, 256, (n, *shape), dtype=np.uint8)
    return pick(rng, OF_IMAGES)(X)


def image_files(rng, n, folder):
    """Return paths of small images, in any form."""
    forms = [np.array, list, pd.Series, lambda paths: [Path(p) for p in paths]]
    modes = ["RGB", "L", "RGBA", "P"]
    paths = []
    for i in range(n):
        paths.append(str(Path(folder) / f"{i}.{pick(rng, ['png', 'png', 'bmp'])}"))
        pixels = rng.integers(0, 256, (*rng.integers(1, 12, 2), 3), dtype=np.uint8)
        mode = pick(rng, modes) if paths[-1].endswith("png") else "RGB"
        Image.fromarray(pixels).convert(mode).save(paths[-1])
    change = rng.integers(20)
    if change == 0:
        Path(pick(rng, paths)).write_bytes(pick(rng, [b"", b"\x89PNG", b"no image"]))
    if change == 1:
        Path(pick(rng, paths)).unlink()
    return pick(rng, forms)(paths)


def stacked(X):
    """Return samples as one array, also those of a column of arrays."""
    X = np.asarray(X)
    return np.stack(X) if X.ndim == 1 else X


def samples(rng, n):
    """Return samples in memory; some of them are not valid."""
    X = (vectors if rng.random() < 0.6 else images)(rng, n)
    change = rng.integers(80)
    if change in (0, 1) and getattr(X, "dtype", None) in (np.float32, np.float64):
        X = np.array(X)
        X[rng.integers(n)] = pick(rng, [np.nan, np.inf])
    if change == 2:
        X = X[: rng.integers(4)]
    if change == 3:
        X = stacked(X).astype(complex)
    if change == 4:
        X = np.asarray(X)[0]
    if change == 5:
        X = pick(rng, [None, "x", 3, [], [[1], [2, 3]], {"a": [1]}, np.zeros((n, 0))])
    if change == 6:
        X = stacked(X).astype(str)
    return X


LABELS = [
    lambda y: y, lambda y: y.astype(float), lambda y: y.tolist(), lambda y: y > 0,
    lambda y: np.array(list("abcde"))[y], lambda y: y - 1, lambda y: 10 * y,
    lambda y: np.array(["a", "bb", "ccc", "d", "e"], dtype=object)[y],
    torch.from_numpy, lambda y: y.astype(np.uint8), lambda y: y[:, None],
    lambda y: (np.arange(len(y)) == 0).astype(int), lambda y: (y > 0).astype(object),
    lambda y: pd.Series(y, index=np.arange(len(y))[::-1]), lambda y: [*y],
    lambda y: pd.Series(np.array(list("abcde"))[y], dtype="category"),
    lambda y: pd.Series(y, dtype="Int64"), lambda y: pd.DataFrame({"label": y}),
    lambda y: np.array([Colour("abcde"[i]) for i in y], dtype=object),
    lambda y: np.array(list("abcde"), dtype=bytes)[y], read_only, strided,
    lambda y: y.astype(object), lambda y: np.ma.masked_array(y),
]  # fmt: skip


def classes_of_each(rng, n):
    """Return classes of each sample, int64; some do not occur."""
    return rng.integers(0, int(pick(rng, [2, 2, 3, 5])), n)


def labels(rng, n):
    """Return labels; some of them are not valid."""
    y = pick(rng, LABELS)(classes_of_each(rng, n))
    change = rng.integers(40)
    if change == 0:
        soft = np.eye(3)[np.zeros(n, int)]
        y = pick(rng, [None, "x", 3, [], np.zeros(n), rng.random(n), soft])
    if change == 1:
        y = y[:-1]
    if change == 2:
        y = np.asarray(y).astype(object).ravel()
        y[rng.integers(n)] = pick(rng, [None, np.nan, "z", (1, 2)])
    return y


def soft_labels(rng, n):
    """Return probabilities of classes and the names of the columns; some are wrong."""
    k = int(pick(rng, [2, 3, 5]))
    names = pick(rng, [np.arange(k), [*"abcde"[:k]], [*"edcba"[:k]]])
    table = rng.dirichlet(np.full(k, pick(rng, [0.01, 0.3, 3.0])), n)
    change = rng.integers(12)
    if change < 4:
        table[rng.random(n) < 0.3] = np.nan  # without a label
    if change == 4:
        table = np.eye(k)[table.argmax(axis=1)]
    if change == 5:
        table = table * 1.003
    if change == 6:
        table[rng.integers(n), 0] = pick(rng, [np.nan, -0.5, np.inf, 2.0])
    forms = [lambda t: t, lambda t: t.astype(np.float32), lambda t: t.tolist(),
             torch.from_numpy, lambda t: pd.DataFrame(t, columns=names)]  # fmt: skip
    return pick(rng, forms)(table), names


def annotations(rng, n):
    """Return labels of several annotators; some are not valid."""
    y = classes_of_each(rng, n)
    n_annotators = int(pick(rng, [1, 2, 4]))
    table = np.where(rng.random((n, n_annotators)) < 0.7, y[:, None], 0).astype(float)
    table[rng.random(table.shape) < pick(rng, [0, 0.3, 0.9])] = np.nan
    frame = pd.DataFrame(table).add_prefix("annotator ")
    forms = [lambda t: t, lambda t: frame, lambda t: frame.astype("Int64"),
             lambda t: np.where(np.isnan(t), -1, t).astype(int),
             lambda t: t.astype(object), lambda t: t.tolist()]  # fmt: skip
    return pick(rng, forms)(table)


def given_beside(rng, n):
    """Return weights and trust of the samples; some are not valid."""
    weights = [
        lambda: rng.random(n), lambda: rng.integers(0, 3, n), lambda: np.ones(n),
        lambda: rng.random(n).tolist(), lambda: rng.random(n).astype(np.float32),
        lambda: pd.Series(rng.random(n)), lambda: 1e30 * rng.random(n),
        lambda: 1e-30 * rng.random(n), lambda: (np.arange(n) < n / 2).astype(float),
        lambda: pick(rng, [-np.ones(n), np.full(n, np.nan), np.ones(n - 1), "x"]),
    ]  # fmt: skip
    trusted = [
        lambda: rng.random(n) < 0.3, lambda: np.ones(n, bool),
        lambda: (rng.random(n) < 0.5).tolist(), lambda: rng.integers(0, 2, n),
        lambda: np.zeros(n), lambda: pd.Series(rng.random(n) < 0.3),
        lambda: pick(rng, [np.full(n, 2), np.ones(n - 1, bool), rng.random(n), "x"]),
    ]  # fmt: skip
    chosen = {}
    if rng.random() < 0.2:
        chosen["sample_weight"] = pick(rng, weights)()
    if rng.random() < 0.2:
        chosen["trusted"] = pick(rng, trusted)()
    return chosen
