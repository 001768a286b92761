"""Data frames as X: their columns must be numbers, or all of them sparse."""

import re

import numpy as np

from sknoisy.data.labels import is_missing

FRAME_HINT = (
    "Put a ColumnTransformer in front of the estimator, for example with OneHotEncoder "
    "for categories and SimpleImputer for missing values."
)


def is_sparse_frame(X):
    """Whether X is a data frame all of whose columns are sparse."""
    if not (hasattr(X, "columns") and hasattr(X, "dtypes")):
        return False
    return {str(dtype).startswith("Sparse") for dtype in X.dtypes} == {True}


def as_sparse(X):
    """Return a data frame of sparse columns as a CSR matrix; all else as it is."""
    if not is_sparse_frame(X):
        return X
    odd = [f"{n!r} ({d})" for n, d in X.dtypes.items() if d.fill_value != 0]
    if odd:
        raise ValueError(
            "X has sparse columns that are filled with other values than 0: "
            f"{', '.join(odd[:5])}. Pass X.sparse.to_dense()."
        )
    return X.sparse.to_coo().tocsr()


def check_frame(X):
    """Raise an error if a data frame has categories, dates or missing values."""
    if is_sparse_frame(X):
        raise TypeError(
            "X is a data frame of sparse columns, and sparse data is not supported: "
            "pass X.sparse.to_dense() if it fits in memory, or fewer columns, for "
            "example those of sklearn.decomposition.TruncatedSVD."
        )
    odd = [
        f"{name!r} ({dtype})"
        for i, (name, dtype) in enumerate(zip(X.columns, X.dtypes, strict=True))
        if not _is_numeric(dtype, X, i)
    ]
    if odd:
        more = "" if len(odd) <= 5 else f" and {len(odd) - 5} more"
        of_time = re.search("date|time|duration", "".join(map(str, X.dtypes)), re.I)
        days = " Make numbers of dates and times, such as days." if of_time else ""
        raise ValueError(
            f"X has columns that are not numeric: {', '.join(odd[:5])}{more}. "
            f"{FRAME_HINT}{days}"
        )
    if not hasattr(X, "isna"):
        return  # scikit-learn finds what polars misses
    missing = np.asarray(X.isna()).sum(axis=0)
    if missing.any():
        names = [f"{X.columns[j]!r} ({missing[j]})" for j in np.flatnonzero(missing)]
        more = "" if len(names) <= 5 else f" and {len(names) - 5} more"
        raise ValueError(
            f"X has missing values in the columns {', '.join(names[:5])}{more}. "
            f"{FRAME_HINT} Input X contains NaN."
        )


def _is_numeric(dtype, X, i):
    """Whether a column of a frame of pandas or polars holds numbers or booleans."""
    if hasattr(dtype, "is_numeric"):  # of polars
        return dtype.is_numeric() or str(dtype) in ("Boolean", "Null")
    if getattr(dtype, "kind", "O") != "O":
        return dtype.kind in "biufc"
    objects = str(dtype) == "object" or str(dtype).startswith("decimal")
    return objects and all(_is_number(value) for value in X.iloc[:, i])


def _is_number(value):
    """Whether an object, such as a Decimal, can become a float, or is missing."""
    if isinstance(value, (str, bytes)):
        return False
    try:
        float(value)
    except (TypeError, ValueError, OverflowError):
        return is_missing(value)
    return True
