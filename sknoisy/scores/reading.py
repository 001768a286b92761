"""What scores are given: probabilities in chunks of rows, features, positions."""

import mmap

import numpy as np
from scipy.sparse import issparse
from sklearn.utils import check_array

from sknoisy.checks import as_numbers

CHUNK = 2**17  # probabilities in a chunk: they stay in the cache
ROWS = 2**12  # in a chunk, so that what is kept of each takes little memory
FEW = 30  # classes that are worked on one by one
ROUNDING = 1e-6  # negative probabilities of at most this size are set to 0
EXACT = 1e-3  # rows whose sum differs from 1 by less are not changed
CLOSE = 1e-2  # rows whose sum differs from 1 by less, as with float16, are normalised


class Probabilities:
    """Probabilities that are neither copied as a whole nor changed.

    They are checked when they are first read, see :meth:`checked`. What is read is
    contiguous and without rounding errors; it may be a view, which is to be left as
    it is.

    Parameters
    ----------
    values : ndarray of shape (n_samples, n_classes)
        The probabilities, of any real type. Of a memory-mapped file, no more than a
        chunk stays in the memory of the process.
    """

    def __init__(self, values):
        self.values = values
        self.shape = values.shape
        short = values.dtype in (np.float16, np.float32)
        self.dtype = np.dtype(np.float32 if short else np.float64)
        self._is_exact = False  # whether no row needs correction
        self._file = _file_of(values)

    def checked(self):
        """Yield slices of rows and their probabilities.

        Raises
        ------
        ValueError
            If a probability is negative, or a row does not sum to 1.
        """
        is_exact = True
        for rows in chunks(*self.shape):
            probs = self._uncorrected(rows)
            low, error = probs.min(), np.abs(np.einsum("ij->i", probs) - 1).max()
            if not (low >= 0 and error <= EXACT):  # also if there is NaN
                if not (low >= -ROUNDING and error <= CLOSE):
                    self._refuse()
                probs, is_exact = _corrected(probs), False
            yield rows, probs
        self._is_exact = is_exact

    def read(self):
        """Yield slices of rows and their probabilities, after all were checked."""
        for rows in chunks(*self.shape):
            yield rows, self[rows]

    def __getitem__(self, rows):
        """Return the probabilities of a slice or an array of rows, after the checks."""
        probs = self._uncorrected(rows)
        return probs if self._is_exact else _corrected(probs)

    def map(self, function, codes, dtype=None):
        """Check all, and return what a function makes of them.

        Parameters
        ----------
        function : callable
            Takes the codes and the probabilities of some rows, and returns a number for
            each row.
        codes : ndarray of shape (n_samples,), int
            Column of each label.
        dtype : dtype, default=None
            Number format of the result; by default that of the probabilities.
        """
        found = np.empty(len(codes), dtype=dtype or self.dtype)
        for rows, probs in self.checked():
            found[rows] = function(codes[rows], probs)
        return found

    def as_array(self):
        """Check all, and return the array itself if there is nothing to correct."""
        for _ in self.checked():
            pass
        if self._is_exact and self.values.dtype == self.dtype:
            return self.values
        array = np.empty(self.shape, dtype=self.dtype)
        for rows, probs in self.read():
            array[rows] = probs
        return array

    def _uncorrected(self, rows):
        if self._file is not None:  # what was read before is dropped
            self._file.madvise(mmap.MADV_DONTNEED)
        some = self.values[rows]
        some = _widened(some) if some.dtype == np.float16 else some
        return np.ascontiguousarray(some, dtype=self.dtype)

    def _refuse(self):
        """Raise ``ValueError`` with what is wrong, of all rows."""
        sums, low = np.empty(len(self.values), dtype=self.dtype), np.inf
        for rows in chunks(*self.shape):
            probs = self._uncorrected(rows)
            sums[rows], low = probs.sum(axis=1), min(low, probs.min())
        if not np.isfinite(sums).all():
            raise ValueError("pred_probs holds NaN or infinity.")
        which = (
            f"the lowest is {low:.6g}"
            if low < -ROUNDING
            else f"they sum to {sums.min():.6g} to {sums.max():.6g}; see row "
            f"{np.abs(sums - 1).argmax()}"
        )
        raise ValueError(
            "pred_probs is not valid: its rows must be probabilities that sum to 1, "
            f"but {which}. Logits become probabilities by "
            "scipy.special.softmax(logits, axis=1)."
        )


def _widened(half):
    """Return float16 as float32, ten times as fast as NumPy if none is negative."""
    bits = half.view(np.uint16)
    if bits.max(initial=0) >= 0x7C00:  # negative, infinite or NaN
        return half.astype(np.float32)
    single = np.left_shift(bits, 13, dtype=np.uint32).view(np.float32)
    single *= np.float32(2.0**112)  # exponents are counted from -15 and from -127
    return single


def _corrected(probs):
    """Return probabilities without rounding errors."""
    probs = probs.clip(0, 1) if probs.min(initial=0) < 0 else probs
    sums = probs.sum(axis=1)
    off = np.abs(sums - 1) > EXACT
    if off.any():
        probs = probs / np.where(off, sums, 1)[:, None].astype(probs.dtype, copy=False)
    return probs


def _file_of(values):
    """Return the mapped file of an array, if dropping its pages loses no changes."""
    of_numpy = False  # other mappings may be private
    while isinstance(values, np.ndarray):
        if isinstance(values, np.memmap):
            of_numpy = values.mode != "c"  # whose changes are private
        values = values.base
    return values if of_numpy and hasattr(values, "madvise") else None


def chunks(n_rows, n_columns, n_chunks=1):
    """Yield slices of rows with at most ``n_chunks * CHUNK`` numbers each."""
    step = min(max(CHUNK // max(n_columns, 1), 1), ROWS) * n_chunks
    for start in range(0, n_rows, step):
        yield slice(start, min(start + step, n_rows))


def row_maxima(values):
    """Return the maximum of each row of a contiguous array, shape (n_rows,)."""
    # Both are faster than values.max(axis=1), unless there are thousands of columns.
    if values.shape[1] <= FEW:
        return values.T.copy().max(axis=0)
    starts = np.arange(0, values.size, values.shape[1])
    return np.maximum.reduceat(values.ravel(), starts)


def of_labels(codes, pred_probs):
    """Return the probability of each label, shape (n_samples,)."""
    return pred_probs[np.arange(len(codes)), codes]


def rows_of_classes(codes, n_classes, least=1):
    """Yield each class of at least so many samples, and their rows in order."""
    if n_classes > FEW:
        order = np.argsort(codes, kind="stable")  # of short integers in linear time
        rows_of = np.split(order, np.bincount(codes, minlength=n_classes).cumsum()[:-1])
    else:  # an order would take as much memory as the probabilities
        rows_of = (np.flatnonzero(codes == k) for k in range(n_classes))
    for k, rows in enumerate(rows_of):
        if len(rows) >= least:
            yield k, rows


def check_features(features, **settings):
    """Return features as scikit-learn's ``check_array`` does, or raise by their name.

    Parameters
    ----------
    features : array-like or sparse matrix of shape (n_samples, ...)
        Numbers.
    **settings : dict
        Parameters of ``check_array``.
    """
    if not issparse(features):
        features = as_numbers("features", features)
    return check_array(features, input_name="features", **settings)


def check_positions(name, values, n):
    """Raise ``ValueError`` unless all of an array are integers from 0 to n - 1.

    Parameters
    ----------
    name : str
        Name of the argument.
    values : ndarray of numbers
        Its value.
    n : int
        Number of positions.
    """
    whole = values.dtype.kind in "iu"
    if not whole or values.size and not 0 <= values.min() <= values.max() < n:
        raise ValueError(
            f"{name} is not valid: it must hold integers from 0 to {n - 1}"
            + (f", but it is of {values.dtype}." if not whole else ".")
        )


def square_matrix(name, value):
    """Return a square matrix, float64, whose numbers are finite and not negative."""
    value = as_numbers(name, value).astype(np.float64)
    square = value.ndim == 2 and 0 < len(value) == value.shape[1]
    if not square or not (np.isfinite(value) & (value >= 0)).all():
        raise ValueError(
            f"{name} of shape {value.shape} is not valid: it must be of shape "
            "(n_classes, n_classes), and its numbers finite and not negative."
        )
    return value
