"""Labels of several annotators: what a table of them may be, and its codes."""

from collections import Counter
from dataclasses import dataclass, replace

import numpy as np
from sklearn.utils.validation import column_or_1d

from sknoisy.data.labels import counted, encode_labels, is_missing, some
from sknoisy.data.order import names_of, refuse_order
from sknoisy.warning import warn

LONG = ("sample", "annotator", "label")  # columns of a long table
FEW = 10  # labels, which may all be different by chance
GAPS = ("nan", "None", "NaT", "<NA>")  # what astype(str) makes of gaps
OTHER_NAMES = set(
    "sample annotator label item task example id image file worker rater user coder "
    "answer rating class annotation".split()
)


@dataclass(frozen=True, repr=False)
class Annotations:
    """Labels of several annotators, one element of the arrays for each label.

    Attributes
    ----------
    rows : ndarray of shape (n_annotations,), dtype int64
        The sample of each label, ascending.
    columns : ndarray of shape (n_annotations,), dtype int64
        The annotator who gave it, ascending for each sample.
    codes : ndarray of shape (n_annotations,), dtype int64
        Position of the label in `classes`.
    classes : ndarray of shape (n_classes,)
        The classes.
    annotators : ndarray of shape (n_annotators,)
        Names of the annotators.
    samples : ndarray of shape (n_samples,)
        Names of the samples.
    """

    rows: np.ndarray
    columns: np.ndarray
    codes: np.ndarray
    classes: np.ndarray
    annotators: np.ndarray
    samples: np.ndarray

    def __repr__(self):
        return (
            f"Annotations({len(self.codes):,} labels of {self.n_samples:,} samples, "
            f"classes: {some(self.classes)}, annotators: {some(self.annotators)})"
        )

    @property
    def n_samples(self):
        """Number of samples, with and without labels."""
        return len(self.samples)

    @property
    def n_labels(self):
        """Number of labels of each sample, int64 of shape (n_samples,)."""
        return np.bincount(self.rows, minlength=self.n_samples)

    @property
    def n_labels_of_annotators(self):
        """Number of labels of each annotator, int64 of shape (n_annotators,)."""
        return np.bincount(self.columns, minlength=len(self.annotators))

    @property
    def counts(self):
        """Number of labels of each class, int64 of shape (n_samples, n_classes)."""
        n_classes = len(self.classes)
        cells = self.rows * n_classes + self.codes
        counts = np.bincount(cells, minlength=self.n_samples * n_classes)
        return counts.reshape(-1, n_classes)

    def of_annotators(self, values, where=None):
        """Return the mean value of the labels of each annotator; NaN without labels.

        Parameters
        ----------
        values : ndarray of shape (n_annotations,)
            A value for each label.
        where : ndarray of shape (n_annotations,), dtype bool, default=None
            Which labels count; by default all.

        Returns
        -------
        means : ndarray of shape (n_annotators,), float64
            The means.
        """
        weights = np.ones(len(values)) if where is None else where.astype(np.float64)
        n = len(self.annotators)
        total = np.bincount(self.columns, values * weights, minlength=n)
        count = np.bincount(self.columns, weights, minlength=n)
        return np.where(count > 0, total / np.where(count > 0, count, 1), np.nan)

    def as_table(self, values):
        """Return values of labels as a table, NaN where there is no label.

        Parameters
        ----------
        values : ndarray of shape (n_annotations,)
            A value for each label.

        Returns
        -------
        table : ndarray of shape (n_samples, n_annotators), float64
            The table.
        """
        table = np.full((self.n_samples, len(self.annotators)), np.nan)
        table[self.rows, self.columns] = values
        return table


def read_annotations(y, classes=None, samples=None):
    """Read a table of labels by several annotators.

    Parameters
    ----------
    y : array-like or DataFrame
        One of

        - a table of shape (n_samples, n_annotators), in which NaN, None or pandas.NA
          stand where an annotator gave no label, or which is masked there; the columns
          of a DataFrame name the annotators, and its index the samples;
        - a DataFrame with the columns "sample", "annotator" and "label", one row for
          each label;
        - labels of one annotator, of shape (n_samples,);
        - annotations that were read already.
    classes : array-like of shape (n_classes,), default=None
        The classes; by default the sorted distinct labels.
    samples : array-like of shape (n_samples,), default=None
        The names of the samples of a long table, in order; by default those that are
        in it, sorted.

    Returns
    -------
    annotations : Annotations
        The labels as codes.

    Raises
    ------
    ValueError
        If the table has no label, or if labels are of mixed types or not among
        `classes`; or if a long table has gaps, an annotator who labels a sample twice,
        or a sample that is missing in `samples` or there several times.

    Examples
    --------
    >>> import numpy as np
    >>> from sknoisy.annotators import read_annotations
    >>> read = read_annotations([["cat", "dog"], [None, "dog"]])
    >>> read.rows, read.columns, read.classes[read.codes].tolist()
    (array([0, 0, 1]), array([0, 1, 1]), ['cat', 'dog', 'dog'])
    """
    if isinstance(y, Annotations):
        if classes is None:
            return y
        classes, codes = encode_labels(y.classes[y.codes], classes)
        return replace(y, classes=classes, codes=codes)
    if is_long(y):
        return _read_long(y, classes, samples)
    annotators = getattr(y, "columns", None)
    index = getattr(y, "index", None)
    table = _as_array(y)
    if table.ndim == 2 and table.shape[1] == 1 and annotators is None:
        table = column_or_1d(table, warn=True)
    if table.ndim not in (1, 2):
        raise ValueError(
            f"y of shape {table.shape} is not valid: it must be of shape (n_samples, "
            "n_annotators), or (n_samples,) for one annotator."
        )
    table = table[:, None] if table.ndim == 1 else table
    rows, columns = np.nonzero(~_gaps(table))
    classes, codes = _encode(table[rows, columns], classes, len(rows) < table.size)
    names = np.arange(table.shape[1]) if annotators is None else np.array(annotators)
    samples = np.arange(len(table)) if index is None or callable(index) else index
    _warn_of_names(table, names)
    return Annotations(rows, columns, codes, classes, names, np.array(samples))


def check_samples(frame, called, y, annotations):
    """Refuse a frame or series in which the samples of `y` have another order.

    Parameters
    ----------
    frame : object
        What is given of each sample; only a frame or series of pandas names them.
    called : str
        Its name, for messages.
    y : array-like, DataFrame or Annotations
        Labels; an array does not name the samples.
    annotations : Annotations
        The same, read.

    Raises
    ------
    ValueError
        If `frame` has the names of the samples in another order.
    """
    is_named = hasattr(y, "iloc") or isinstance(y, Annotations)
    if is_named and hasattr(frame, "iloc"):
        samples = np.array([str(name) for name in annotations.samples.tolist()])
        what = (
            f"{called} has the samples of y in another order: the rows of y, or the "
            "sorted names of a long table, as in read_annotations(y).samples. Pass "
            f"{called} in that order, or {called}.to_numpy() if it is."
        )
        refuse_order(names_of(frame), samples, what)


def _as_array(y):
    """Return a table as an array, in which masked labels are None."""
    if isinstance(y, np.ma.MaskedArray):
        table = y.data.astype(object)
        table[np.ma.getmaskarray(y)] = None
        return table
    if not isinstance(y, (list, tuple)):
        return y.to_numpy() if hasattr(y, "to_numpy") else np.asarray(y)
    try:
        table = np.array(y)
    except ValueError as error:
        raise ValueError(
            "y is not valid: its rows must be equally long, one label or None for each "
            f"annotator ({error})."
        ) from error
    # Else NumPy makes strings of the gaps that stand among strings.
    return np.array(y, dtype=object) if table.dtype.kind in "OUS" else table


def _warn_of_names(table, annotators):
    """Warn of a column of different values without gaps: it names samples."""
    n_samples, n_annotators = table.shape
    if n_samples <= FEW or n_annotators == 1:
        return
    for name, column in zip(annotators.tolist(), table.T, strict=True):
        if (
            len(set(column[: FEW + 1].tolist())) > FEW
            and len(set(column.tolist())) == n_samples
            and not _gaps(column).any()
        ):
            warn(
                f"annotator {name!r} gives each sample a class of its own: does the "
                "column hold the names of the samples? Make it the index of y.",
            )
            return


def is_long(y):
    """Whether it is a DataFrame with one row for each label.

    Raises
    ------
    ValueError
        If it has some of the columns of such a table, but not all.
    """
    columns = set(getattr(y, "columns", ()))
    lacking = [name for name in LONG if name not in columns]
    usual = {str(name).lower() for name in columns} & OTHER_NAMES
    if len(lacking) > 1 and len(columns) == len(LONG) and len(usual) > 1:
        raise ValueError(
            f"y is not valid: it has the columns {sorted(map(str, columns))}. A table "
            f"with one row for each label must have the columns {some(LONG)}: rename "
            "them. In a table with one row for each sample, each column is an "
            "annotator."
        )
    if len(lacking) == 1:
        raise ValueError(
            f"y is not valid: it has no column {lacking[0]!r}. A table with one row "
            f"for each label has the columns {some(np.array(LONG))}; a table with one "
            "column for each annotator has none of these."
        )
    return not lacking


def _read_long(y, classes, samples):
    given, annotator, label = (y[name].to_numpy() for name in LONG)
    for name, values in zip(LONG, (given, annotator, label), strict=True):
        gaps = _gaps(values)
        if gaps.any():
            raise ValueError(
                f"the column {name!r} of y is not valid: {gaps.sum()} of its values "
                f"are missing, the first in row {gaps.argmax()}. Leave out rows "
                "without a label."
            )
    classes, codes = _encode(label, classes)
    annotators, columns = _distinct("annotator", annotator)
    if samples is None:
        samples, rows = _distinct("sample", given)
    else:
        samples = np.asarray(samples)
        position = {name: row for row, name in enumerate(samples.tolist())}
        if len(position) < len(samples):
            twice = [name for name, n in Counter(samples.tolist()).items() if n > 1]
            raise ValueError(
                "samples, the index of X, is not valid with a long table: "
                f"{some(twice)} occur in it several times, and the table does not say "
                "which is meant. Pass X.reset_index(drop=True), and positions in the "
                "table."
            )
        rows = np.array([position.get(name, -1) for name in given.tolist()], int)
        if (rows < 0).any():
            raise ValueError(
                "the column 'sample' of y is not valid: "
                f"{some(np.unique(given[rows < 0]))} are not among the "
                f"{len(samples)} samples, {some(samples)}."
            )
    order = np.lexsort((columns, rows))
    rows, columns, codes = rows[order], columns[order], codes[order]
    again = np.flatnonzero((np.diff(rows) == 0) & (np.diff(columns) == 0))
    if len(again):
        at = again[0]
        raise ValueError(
            f"y is not valid: annotator {some(annotators[columns[[at]]])} labels "
            f"sample {some(samples[rows[[at]]])} more than once."
        )
    return Annotations(rows, columns, codes, classes, annotators, samples)


def _distinct(name, values):
    """Return the sorted distinct names of a column, and the position of each."""
    try:
        return np.unique(values, return_inverse=True)
    except TypeError as error:
        raise ValueError(
            f"the column {name!r} of y is not valid: its names must be of one type, "
            f"for example y[{name!r}].astype(str) ({error})."
        ) from error


def _encode(labels, classes, has_gaps=False):
    if len(labels) == 0:
        raise ValueError("y holds no label: a table needs at least one.")
    if labels.dtype.kind in "OUT":
        n_empty = sum(isinstance(k, str) and not k.strip() for k in labels.tolist())
        if n_empty:
            raise ValueError(
                f"y holds {counted(n_empty, 'empty string')}: where there is no label, "
                "it must be NaN, None or pandas.NA."
            )
    if has_gaps and labels.dtype.kind == "f" and (labels == labels.astype(int)).all():
        labels = labels.astype(np.int64)  # NaN made floats of integers
    found, codes = encode_labels(labels, classes)
    if classes is None:
        _warn_of_gaps(found)
        if not has_gaps:
            _warn_of_minus_one(found)
    return found, codes


def _warn_of_gaps(classes):
    """Warn of classes that are called as a gap is, once it is a text."""
    gaps = [name for name in classes.tolist() if name in GAPS]
    if gaps:
        warn(
            f"y holds {some(gaps)} as a text, and it counts as a class. If it means "
            "that there is no label, put NaN there before the labels become texts, or "
            "leave the row out of a long table. If it is a class, pass `classes`, or "
            "call it otherwise."
        )


def _warn_of_minus_one(classes):
    """Warn of -1 beside 0, 1 and so on, which in some tables says: no label.

    It may be a class, as it may be for every classifier.
    """
    codes = [str(label) for label in classes.tolist()]
    others = {code.removesuffix(".0") for code in codes} - {"-1"}
    usual = {*map(str, range(len(others)))}
    if 1 < len(others) < len(codes) and others == usual:
        warn(
            f"y holds -1 besides 0 to {len(others) - 1}, and it counts as a class. If "
            "it means that there is no label, put NaN there, or leave the row out of "
            "a long table.",
        )


def _gaps(table):
    """Return where a table has no label."""
    if table.dtype.kind == "f":
        return np.isnan(table)
    if table.dtype.kind in "mM":
        return np.isnat(table)
    if table.dtype != object:
        return np.zeros(table.shape, dtype=bool)
    gaps = [is_missing(label) for label in table.ravel().tolist()]
    return np.array(gaps, dtype=bool).reshape(table.shape)
