"""``sknoisy apply``: a table of labels with what people decided."""

import codecs
import os
import re
from collections import Counter
from difflib import get_close_matches

from sknoisy.cli.messages import say
from sknoisy.cli.results import write_rows
from sknoisy.datasets.cells import from_text
from sknoisy.datasets.tables import LABELS, PATHS, SEPARATOR, find_column, read_rows

NEEDED = ("name", "given", "suggested", "decision", "label")
DECISIONS = ("", "skip", "keep", "take", "other")


def run(args):
    """Merge decisions into labels, and write them."""
    columns, rows, separator = read_rows(args.labels)
    label = find_column(args.labels, columns, "label", args.label, LABELS)
    if label is None:
        raise ValueError(
            f"{args.labels!r} has no column of labels among {columns}: pass --label"
        )
    file = find_column(args.labels, columns, "file", args.file, PATHS, args.ignore)
    several = [name for name, count in Counter(columns).items() if count > 1]
    if several:  # they would be written as if they were one
        raise ValueError(f"{args.labels!r} has several columns called {several}")
    names = [row[file] if file else str(i) for i, row in enumerate(rows)]
    twice = [name for name, count in Counter(names).items() if count > 1]
    at = {name: i for i, name in enumerate(names)}
    changed = confirmed = 0
    known = {row[label].strip() for row in rows}
    for name, given, decided in _decisions(args.reviewed):
        if name not in at or name in twice:
            why = "several rows" if name in twice else "no row"
            raise ValueError(f"{args.labels!r} has {why} of {name!r}")
        row = rows[at[name]]
        if row[label].strip() != given:
            raise ValueError(
                f"{name!r} has the label {row[label]!r} in {args.labels!r}, but was "
                f"reviewed with {given!r}: these are other labels"
            )
        if not args.new_classes:
            _refuse_new(name, decided, known)
        changed += decided != given
        confirmed += decided == given
        row[label] = decided
    out = args.out or "{}-reviewed{}".format(*os.path.splitext(args.labels))
    values = ([row[column] for column in columns] for row in rows)
    write_rows(out, columns, values, separator, *_format_of(args.labels))
    say(
        args,
        f"{changed:,} labels changed, {confirmed:,} confirmed, "
        f"{len(rows) - changed - confirmed:,} not reviewed. Wrote {out!r}.",
    )
    return False


def _format_of(path):
    """Return line end, encoding and line of the separator, which stay as they are."""
    with open(path, "rb") as file:
        first = file.readline()
    encoding = "utf-8-sig" if first.startswith(codecs.BOM_UTF8) else "utf-8"
    line = first.decode(encoding, "replace")
    line = line if re.fullmatch(SEPARATOR, line) else ""
    return "\r\n" if first.endswith(b"\r\n") else "\n", encoding, line


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
    """Yield the name, the given label and the decided one of each reviewed sample."""
    columns, rows, _ = read_rows(path)
    lacking = [name for name in NEEDED if name not in columns]
    if lacking:
        raise ValueError(
            f"{path!r} is no table of reviewed labels: it lacks the columns {lacking}"
        )
    for line, row in enumerate(rows, start=2):
        row = {name: from_text(row[name]) for name in NEEDED}
        # Labels are compared without spaces around them, as load_table reads them.
        row |= {name: row[name].strip() for name in NEEDED if name != "name"}
        decision, chosen = row["decision"].lower(), row["label"]
        if decision not in DECISIONS:
            raise ValueError(
                f"{path!r}, row {line}: decision={row['decision']!r} is not valid: it "
                f"must be one of {DECISIONS}"
            )
        if decision == "skip" or not (decision or chosen):
            continue
        usual = {"keep": row["given"], "take": row["suggested"]}.get(decision, chosen)
        if not usual or (chosen and chosen != usual):
            raise ValueError(
                f"{path!r}, row {line}: label={chosen!r} is not valid for the decision "
                f"{decision!r}" + (f": it must be {usual!r}" if usual else "")
            )
        yield row["name"], row["given"], usual
