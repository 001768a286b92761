"""Soft labels: tables of the probabilities of the classes."""

import numpy as np
import torch

from sknoisy.data.labels import check_listed, encode_labels, some

ROUNDING = 0.01  # by which probabilities may miss the sum of 1
NOTHING = -1e-6  # rounding errors below 0


def soft_table(y, columns=None):
    """Return soft labels and the names of their columns; None and None if y is none.

    Parameters
    ----------
    y : object
        What an estimator is given.
    columns : ndarray of shape (n_classes,), default=None
        The names, if they are known. An array without names is no table.
    """
    shape = getattr(y, "shape", None)
    if shape is None and isinstance(y, (list, tuple)) and len(y):
        has_rows = isinstance(y[0], (list, tuple, np.ndarray))
        shape = _shape_of_rows(y) if has_rows else None
    if shape is None or len(shape) != 2 or shape[1] < 2:
        return None, None
    names = columns
    if hasattr(y, "columns"):
        names = np.asarray(list(y.columns))
        if columns is not None and set(names.tolist()) != set(columns.tolist()):
            raise ValueError(
                f"classes={columns.tolist()} is not valid: the columns of y are "
                f"{some(names, 20)}."
            )
    if names is None:
        return None, None
    return _as_floats(y), names


def _shape_of_rows(rows):
    try:
        return np.shape(rows)
    except ValueError as error:
        raise ValueError(
            f"y is not valid: its rows must be equally long ({error})."
        ) from error


def check_classes(classes):
    """Return the parameter `classes` as an ndarray; its labels must be distinct."""
    check_listed(classes)
    try:
        known, codes = encode_labels(classes)
    except (TypeError, ValueError) as error:
        raise ValueError(
            f"classes={classes!r} is not valid: it must be None or the classes, each "
            f"once. {error}"
        ) from error
    if len(known) != len(codes) or len(known) < 2:
        raise ValueError(
            f"classes={classes!r} is not valid: it must be None or the classes, two or "
            "more, each once."
        )
    return known[codes]


def _as_floats(y):
    """Return a table as float64, or raise."""
    if isinstance(y, torch.Tensor):
        y = y.detach().cpu()
    try:
        if isinstance(y, np.ma.MaskedArray):
            return y.astype(np.float64).filled(np.nan)
        if hasattr(y, "iloc"):  # of pandas, whose missing values may be NA
            return y.to_numpy(dtype=np.float64, na_value=np.nan)
        return np.array(y, dtype=np.float64)
    except (TypeError, ValueError) as error:
        raise ValueError(
            f"y of shape {np.shape(y)} is not valid: soft labels must be numbers, "
            f"the probability of each class ({error})."
        ) from error


def read_table(table, names, classes):
    """Check a table of probabilities.

    Parameters
    ----------
    table : ndarray of shape (n_samples, n_columns), float64
        Rows of NaN are without a label.
    names : ndarray of shape (n_columns,)
        The class of each column.
    classes : ndarray of shape (n_classes,) or None
        All classes; None: those of the columns.

    Returns
    -------
    classes : ndarray of shape (n_classes,)
        The classes, sorted.
    codes : ndarray of shape (n_samples,), int64
        Position of the most probable class, -1 without a label.
    soft : ndarray of shape (n_samples, n_classes), float32, or None
        The probabilities, all 0 without a label; None: all labels are hard.
    labelled : ndarray of shape (n_samples,), bool, or None
        Which samples have a label; None: all.
    """
    if len(names) != table.shape[1]:
        raise ValueError(
            f"y of shape {table.shape} is not valid: it must have a column for each of "
            f"the {len(names)} classes."
        )
    names = check_classes(names)
    known, codes = encode_labels(names, classes)
    if len(known) != len(names) or (codes != np.arange(len(codes))).any():
        ordered = np.zeros((len(table), len(known)))
        ordered[:, codes] = table
        table = ordered
    missing = np.isnan(table)
    labelled = ~missing.all(axis=1)
    _check_rows(table, labelled, missing)
    rows = table[labelled]
    is_hard = ((rows == 0) | (rows == 1)).all()
    rows = rows.clip(min=0)
    rows /= rows.sum(axis=1, keepdims=True)
    codes = np.full(len(table), -1)
    codes[labelled] = rows.argmax(axis=1)
    soft = None
    if not is_hard:
        soft = np.zeros(table.shape, dtype=np.float32)
        soft[labelled] = rows
    return known, codes, soft, None if labelled.all() else labelled


def _check_rows(table, labelled, missing):
    """Raise ``ValueError`` unless each row is a distribution, or all of it is NaN."""
    if not labelled.any():
        raise ValueError("y holds no label: all of its rows are NaN.")

    def refuse(wrong, what):
        if wrong.any():
            at = int(wrong.argmax())
            raise ValueError(
                f"y holds {table[at].tolist()} at index {at}, {what}: each row of soft "
                "labels must hold the probabilities of all classes, which sum to 1, "
                "or, without a label, NaN only."
            )

    refuse(labelled & missing.any(axis=1), "of which a part is NaN")
    filled = np.where(missing, 0, table)
    refuse(
        np.isinf(filled).any(axis=1) | (filled < NOTHING).any(axis=1), "not in [0, 1]"
    )
    sums = filled.sum(axis=1)
    wrong = labelled & (abs(sums - 1) > ROUNDING + 1e-9)
    refuse(wrong, f"which sums to {sums[wrong.argmax()]:.4g}")
