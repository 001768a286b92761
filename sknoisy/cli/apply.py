"""``sknoisy apply``: a table of labels with what people decided."""

import codecs
import math
import os
import re
from collections import Counter
from difflib import get_close_matches

from sknoisy.cli.messages import say
from sknoisy.cli.results import COLUMNS, write_rows
from sknoisy.data.labels import counted
from sknoisy.datasets.tables import (
    ENCODING,
    LABELS,
    PATHS,
    SEPARATOR,
    find_column,
    read_rows,
)
from sknoisy.detection.decisions import decided_label, read_decisions

MISSING = ("", "nan", "None", "NaT", "<NA>")  # what is shown of a cell without a value


def run(args):
    """Merge decisions into labels, and write them."""
    table = read_rows(args.labels)
    columns, rows = table.columns, table.rows
    label = find_column(args.labels, columns, "label", args.label, LABELS)
    if label is None:
        raise ValueError(
            f"{args.labels!r} has no column of labels among {columns}: pass --label"
        )
    file = find_column(args.labels, columns, "file", args.file, PATHS, args.ignore)
    names = [row[file] if file else str(i) for i, row in enumerate(rows)]
    twice = [name for name, count in Counter(names).items() if count > 1]
    at = {name: i for i, name in enumerate(names)}
    done = {}
    known = {row[label].strip() for row in rows}
    for name, given, decided, shown in _decisions(args.reviewed):
        if name not in at or name in twice:
            why = "several rows" if name in twice else "no row"
            raise ValueError(f"{args.labels!r} has {why} of {name!r}")
        if done.setdefault(name, (given, decided)) != (given, decided):
            raise ValueError(
                f"{args.reviewed!r} has {name!r} twice, with different labels"
            )
        held = rows[at[name]][label]
        if held.strip() != given:
            raise ValueError(
                f"{name!r} has the label {held!r} in {args.labels!r}, but was "
                f"reviewed with {given!r}: the review was made of other labels"
            )
        if file is None:  # rows are known by their places alone
            _check_same(name, shown, rows[at[name]], args)
        if not args.new_classes:
            _refuse_new(name, decided, known)
    for name, (_, decided) in done.items():
        rows[at[name]][label] = decided
    out = args.out or "{}-reviewed{}".format(*os.path.splitext(args.labels))
    values = (row.values() for row in rows)
    how = _format_of(args.labels, table.encoding, [label for _, label in done.values()])
    write_rows(out, columns, values, table.separator, *how)
    changed = sum(given != decided for given, decided in done.values())
    without = sum(not row[label].strip() for row in rows)
    told = [
        f"{counted(changed, 'label')} changed",
        f"{len(done) - changed:,} confirmed",
        f"{len(rows) - len(done) - without:,} not reviewed",
        f"{without:,} without a label" if without else "",
    ]
    say(args, f"{', '.join(filter(None, told))}. Wrote {out!r}.")
    return False


def _format_of(path, encoding, decided):
    """Return line end, encoding and line of the separator, which stay as they are.

    Unless labels that were decided on cannot be written so.
    """
    with open(path, "rb") as file:
        first = file.readline()
    if encoding == ENCODING and not first.startswith(codecs.BOM_UTF8):
        encoding = "utf-8"
    try:
        "".join(decided).encode(encoding)
    except UnicodeEncodeError:
        encoding = ENCODING
    line = first.decode(encoding, "replace")
    line = line if re.fullmatch(SEPARATOR, line) else ""
    return "\r\n" if first.endswith(b"\r\n") else "\n", encoding, line


def _check_same(name, shown, row, args):
    """Raise ``ValueError`` if a row holds other values than what was reviewed."""
    for column in (name for name in row if name not in COLUMNS):
        if not _are_same(shown.get(column, ""), row[column]):
            raise ValueError(
                f"Row {name} has {row[column]!r} as {column!r} in {args.labels!r}, but "
                f"had {shown[column]!r} when it was reviewed: were the rows sorted, or "
                "changed, in between? Apply the review to the table that was checked"
            )


def _are_same(shown, cell):
    """Whether a cell may be what was shown, perhaps rounded or shortened."""
    shown, cell = shown.strip(), cell.strip()
    if shown in MISSING or shown == cell:
        return True
    if shown.endswith("…"):
        return cell.startswith(shown[:-1].rstrip())
    try:
        return math.isclose(float(shown), float(cell), rel_tol=1e-3)
    except ValueError:
        return False


def _refuse_new(name, decided, known):
    """Raise ``ValueError`` for a label that no sample has, which may be mistyped."""
    if decided not in known:
        close = get_close_matches(decided, known, n=1)
        hint = f" Did you mean {close[0]!r}?" if close else ""
        raise ValueError(
            f"{name!r} was given the label {decided!r}, which no sample had.{hint} If "
            "it is a class of its own, pass --new-classes"
        )


def _decisions(path):
    """Yield name, given and decided label of reviewed samples, and all their cells."""
    for place, row in read_decisions(path, ["name", "suggested"]):
        given, suggested = row["given"].strip(), row["suggested"].strip()
        try:
            yield row["name"], given, decided_label(row, given, suggested), row
        except ValueError as error:
            raise ValueError(f"{place}: {error}") from None
