"""Tables of labels: of image files, or of features."""

import csv
import os
import re
from contextlib import suppress
from difflib import get_close_matches
from typing import NamedTuple

import numpy as np
from sklearn.utils import Bunch

from sknoisy.checks import as_path
from sknoisy.datasets.found import Skipped, check_on_error, keep_readable, report
from sknoisy.warning import warn

PATHS = "path file filename file_name filepath file_path image image_path".split()
LABELS = "label labels class target y category".split()
ENCODING = "utf-8-sig"  # spreadsheets put a mark in front
OLDER = "cp1252"  # what they write on Windows unless they are asked for UTF-8
OTHERS = {  # by what these files begin with
    b"PAR1": "a Parquet file",
    b"\x1f\x8b": "compressed (gzip)",
    b"PK\x03\x04": "a spreadsheet of Excel, or another archive",
    b"\xd0\xcf\x11\xe0": "an old spreadsheet of Excel",
}
MISSING = "? - -- . na n.a. n/a nan none null missing unknown".split()  # in any case
SEPARATOR = r"(?i)sep=(.)\r?\n"  # a first line that spreadsheets read
THOUSANDS = r"[+-]?\d{1,3}(,\d{3})+"  # numbers whose commas are no decimal ones


def load_table(
    path, root=None, *, label="auto", file="auto", on_error="raise", verify=True
):
    r"""Read the labels of image files, or features with labels, from a CSV file.

    Parameters
    ----------
    path : str or path-like
        Table with a header, in UTF-8, or else, with a warning, in Windows' encoding of
        Western languages (cp1252). Columns are separated by commas, semicolons, tabs or
        pipes, whichever divides the header into the most columns, or by what a first
        line such as "sep=;" names. Between semicolons, tabs and pipes, features may
        have decimal commas; between tabs and pipes, 1,500 alone is taken for text. In
        columns of numbers, marks such as "?", "-" and "unknown" are missing values.
    root : str or path-like, default=None
        Folder that the image files are in; by default that of the table.
    label : str, default="auto"
        Column of the labels. "auto": the first that is called "label", "labels",
        "class", "target", "y" or "category", in capitals or not.
    file : str or None, default="auto"
        Column of the image files. "auto": the first that is called "path", "file",
        "filename", "file_name", "filepath", "file_path", "image" or "image_path"; if
        there is none, all columns but the labels are features. None: they always are.
    on_error : {"raise", "skip"}, default="raise"
        Whether rows without a label or a file name, and files that cannot be read, are
        an error, which lists them, or are left out.
    verify : bool, default=True
        Whether each image file is decoded once to see that it can be.

    Returns
    -------
    found : Bunch
        "X": ndarray of str of shape (n_samples,) with paths, or a pandas.DataFrame of
        features. "y", ndarray of str of shape (n_samples,): labels, as they are
        written. "names", ndarray of str of shape (n_samples,): files as they are
        written, or positions of the rows. "rows", ndarray of int64 of shape
        (n_samples,): positions of the rows in the table, from 0 on. "classes", list of
        str. "n_rows", int: rows of the table, used or not. "label" and "file", str or
        None: the columns. "skipped", list of
        :class:`~sknoisy.datasets.Skipped`: what was left out, and why.

    Raises
    ------
    ValueError
        If the table lacks a column, is empty or damaged; or if a row has no label or no
        file name, or a file cannot be read.
    ImportError
        If the columns are features, and pandas is not installed.

    Examples
    --------
    >>> import tempfile
    >>> from sknoisy.datasets import load_table
    >>> path = tempfile.mkdtemp() + "/plants.csv"
    >>> with open(path, "w") as file:
    ...     _ = file.write("height,colour,label\n12,red,rose\n31,green,fern\n")
    >>> found = load_table(path)
    >>> found.X.shape, found.y
    ((2, 2), array(['rose', 'fern'], dtype='<U4'))
    """
    check_on_error(on_error)
    path = as_path("path", path)
    table = read_rows(path)
    columns, rows = table.columns, table.rows
    label = find_column(path, columns, "label", label, LABELS)
    file = None if file is None else find_column(path, columns, "file", file, PATHS)
    if label is None:
        raise ValueError(
            f"label='auto' is not valid: {path!r} has the columns {columns}, none of "
            f"them called one of {LABELS}. Pass the name of the column of labels "
            "(--label)."
        )
    if not rows:
        raise ValueError(f"path={path!r} is not valid: the table has no rows.")
    y = np.array([row[label].strip() for row in rows])
    names = np.array([row[file] if file else str(i) for i, row in enumerate(rows)])
    paths, places = None, np.array([f"row {i}" for i in range(len(rows))])
    nameless = np.zeros(len(rows), dtype=bool)
    if file:
        root = os.path.dirname(path) if root is None else as_path("root", root)
        paths = np.array([os.path.join(root, name) for name in names])
        nameless = np.char.strip(names) == ""
        places = np.where(nameless, places, paths)
    incomplete = (y == "") | nameless
    skipped = [
        Skipped(str(places[i]), "has no label" if y[i] == "" else "has no file name")
        for i in np.flatnonzero(incomplete)
    ]
    report(skipped, on_error)
    kept = np.flatnonzero(~incomplete)
    if file:
        keep, unreadable = keep_readable(paths[kept], "skip", verify)
        if keep.any():  # else the folder may be wrong, as said below
            report(unreadable, on_error)
        kept, skipped = kept[keep], skipped + unreadable
    if not len(kept):
        where = (
            " If files are elsewhere, pass root (--root): the folder they begin in. If "
            f"{file!r} holds no files, pass file=None (--ignore {file!r})."
        )
        raise ValueError(
            f"path={path!r} is not valid: no row can be used. The first one: "
            f"{' '.join(skipped[0])}." + (where if file else "")
        )
    return Bunch(
        X=paths[kept] if file else read_features(path, table, label).iloc[kept],
        y=y[kept],
        names=names[kept],
        rows=kept,
        classes=np.unique(y[kept]).tolist(),
        n_rows=len(rows),
        label=label,
        file=file,
        skipped=skipped,
    )


class Rows(NamedTuple):
    """The rows of a CSV file, each a dict, and how they are written there.

    In the dicts, a column with the name of an earlier one has a name of its own.
    """

    columns: list
    rows: list
    lines: list  # where each row ends, from 1 on
    separator: str
    encoding: str


def read_rows(path):
    """Return the :class:`Rows` of a CSV file; warn if it is in no UTF-8."""
    _refuse_others(path)
    try:
        table = _rows_in(path, ENCODING)
    except UnicodeDecodeError as error:
        try:
            table = _rows_in(path, OLDER)
        except UnicodeDecodeError:
            table = None
        if table is None or any("\0" in cell for cell in table.columns):
            raise ValueError(
                f"path={path!r} is not a CSV file in UTF-8: {error}. Export the table "
                'as CSV in UTF-8, which spreadsheets call "CSV UTF-8".'
            ) from error
        warn(
            f"{path!r} is not a CSV file in UTF-8. It is read as {OLDER}, which "
            "spreadsheets on Windows write in Western languages. If letters come out "
            'wrong, export the table as "CSV UTF-8".',
        )
    for i, row in enumerate(table.rows):
        if None in row or None in row.values():
            raise ValueError(
                f"path={path!r} is damaged: row {i} (counted from 0, without the "
                f"header) does not have the {len(table.columns)} fields of the header "
                f"{table.columns}."
            )
    return table


def _refuse_others(path):
    """Raise ``ValueError`` for a file of another format, which has no lines."""
    with suppress(OSError), open(path, "rb") as file:
        begins = file.read(8)
        for begin, kind in OTHERS.items():
            if begins.startswith(begin):
                raise ValueError(
                    f"path={path!r} is {kind}, not a CSV file: export the table as CSV."
                )


def _rows_in(path, encoding):
    try:
        with open(path, newline="", encoding=encoding) as file:
            skipped = bool(re.fullmatch(SEPARATOR, file.readline()))
            file.seek(0)
            separator = separator_of(file)
            reader = csv.DictReader(file, delimiter=separator, strict=True)
            columns = list(reader.fieldnames or [])
            reader.fieldnames = _distinct(columns)
            rows = [(row, reader.line_num) for row in reader]
    except OSError as error:
        raise ValueError(
            f"path={path!r} is not valid: the file cannot be opened ({error.strerror})."
        ) from error
    except csv.Error as error:
        raise ValueError(f"path={path!r} is not a CSV file: {error}.") from error
    lines = [line + skipped for _, line in rows]
    return Rows(columns, [row for row, _ in rows], lines, separator, encoding)


def _distinct(columns):
    """Return a name for each column: its own, or another if it is taken.

    Those are the names that pandas gives: "note.1", "Unnamed: 2".
    """
    known, found = set(columns), {}  # whose order is that of the columns
    for i, column in enumerate(columns):
        name, n = column, 0
        while name in found or (n and name in known):
            n += 1
            name = f"{column}.{n}" if column else f"Unnamed: {i}" + "_" * (n - 1)
        found[name] = i
    return [*found]


def separator_of(table):
    """Return what separates the columns of an open table: that which makes most.

    Or what its first line says, if that says nothing else, which is then read.
    """
    if told := re.fullmatch(SEPARATOR, table.readline()):
        return told[1]

    def n_columns(separator):
        table.seek(0)
        return len(next(csv.reader(table, delimiter=separator), ()))

    separator = max(",;\t|", key=n_columns)
    table.seek(0)
    return separator


def find_column(path, columns, parameter, wanted, usual, ignored=()):
    """Return a column by its name, or the first with a usual one, or None.

    Those that are ignored are no usual ones.
    """
    if wanted != "auto":
        _refuse_several(path, columns, wanted)
        if wanted not in columns:
            close = get_close_matches(str(wanted), columns, n=1)
            hint = f" Did you mean {close[0]!r}?" if close else ""
            raise ValueError(
                f"{parameter}={wanted!r} is not valid: {path!r} has the columns "
                f"{columns}.{hint}"
            )
        return wanted
    left = [column for column in reversed(columns) if column not in ignored]
    by_name = {column.strip().lower(): column for column in left}
    found = next((by_name[name] for name in usual if name in by_name), None)
    _refuse_several(path, columns, found)
    return found


def _refuse_several(path, columns, name):
    """Raise ``ValueError`` if several columns have the name that is meant."""
    if columns.count(name) > 1:
        raise ValueError(
            f"path={path!r} is not valid: {columns.count(name)} of its columns are "
            f"called {name!r}."
        )


def read_features(path, table=None, label=None, texts=()):
    """Return the columns of a CSV file as a DataFrame.

    Parameters
    ----------
    path : str
        The file.
    table : Rows, default=None
        The same by :func:`read_rows`, if it was read already.
    label : str, default=None
        Column that is left out: that of the labels.
    texts : collection of str, default=()
        Columns that are texts, even if this file has nothing but numbers there.
    """
    table = read_rows(path) if table is None else table
    separator = table.separator
    try:
        import pandas  # noqa: F401
    except ImportError as error:
        raise ImportError(
            f"{path!r} holds features, not files: install pandas to read them."
        ) from error
    how = {"sep": separator, "dtype": dict.fromkeys(texts, str)}
    how["encoding"] = table.encoding
    frame = _read_frame(path, **how)
    if frame.shape[1] == 1:  # a blank line between others is a row without a value
        whole = _read_frame(path, **how, skip_blank_lines=False)
        whole = whole.loc[: whole.last_valid_index()]
        frame = whole if len(whole) > len(frame) else frame
    if label is not None:
        frame = frame.drop(columns=label)
    frame = _with_numbers(frame, texts)
    return frame if separator == "," else _with_decimal_commas(frame, separator, texts)


def _read_frame(path, encoding, **how):
    import pandas as pd

    with open(path, newline="", encoding=encoding) as table:
        separator_of(table)  # its line is no row
        return pd.read_csv(table, **how)


def without_marks(column, least=2):
    """Return the texts of a column, of which marks of missing values are missing.

    If fewer than `least` different ones are left, all stay: a mark beside a single
    value tells all that such a column does.
    """
    texts = column.astype("string").str.strip()
    rest = texts.mask(texts.str.lower().isin(MISSING))
    return rest if rest.nunique() >= least else texts


def _are_numbers(frame):
    import pandas as pd

    return np.array([*map(pd.api.types.is_numeric_dtype, frame.dtypes)], dtype=bool)


def _with_numbers(frame, texts):
    """Return a table in which columns of numbers, beside marks, hold numbers."""
    import pandas as pd

    numbers = {}
    for name in frame.columns[~_are_numbers(frame)].difference([*texts], sort=False):
        given = without_marks(frame[name])
        values = pd.to_numeric(given, errors="coerce")
        if (values.notna() == given.notna()).all():
            numbers[name] = values.astype(float)
    return frame.assign(**numbers)


def _with_decimal_commas(frame, separator, texts):
    """Return a table in which columns of numbers such as "1,5" hold numbers.

    Between tabs and pipes, a comma may stand between thousands. There, it is a decimal
    one if one of the numbers could not be written so, and none has a decimal point.
    """
    import pandas as pd

    is_number = _are_numbers(frame)
    rests = frame.loc[:, is_number].astype(float) % 1
    has_points = bool((rests.fillna(0) != 0).any(axis=None))
    numbers, is_sure = {}, separator == ";"
    for name in frame.columns[~is_number].difference([*texts], sort=False):
        given = without_marks(frame[name])
        values = pd.to_numeric(given.str.replace(",", "."), errors="coerce")
        if (values.notna() == given.notna()).all():
            numbers[name] = values.astype(float)
            is_sure |= not given.dropna().str.fullmatch(THOUSANDS).all()
    is_sure = is_sure and (separator == ";" or not has_points)
    return frame.assign(**numbers) if is_sure else frame
