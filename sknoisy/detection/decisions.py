"""Tables of reviewed labels: which samples people decided on, and what."""

from sknoisy.datasets.cells import from_text
from sknoisy.datasets.tables import read_rows

DECISIONS = ("keep", "take", "other", "skip")


def read_decisions(path, needed):
    """Return the rows of a table of reviewed labels that people decided on.

    These are rows with a decision other than "skip", or with a label, which then is
    the decision "other".

    Parameters
    ----------
    path : str
        A CSV file.
    needed : sequence of str
        Columns that it must have, beside "given", "decision" and "label".

    Returns
    -------
    rows : list of (str, dict of str to str)
        Where each row is, for messages, and its cells as they were before they were
        written for spreadsheets.

    Raises
    ------
    ValueError
        If it is no such table, or has other decisions.
    """
    needed = [*needed, "given", "decision", "label"]
    table = read_rows(path)
    lacking = [name for name in needed if name not in table.columns]
    if lacking:
        raise ValueError(
            f"{path!r} is not a table of reviewed labels: it lacks the columns "
            f"{lacking}."
        )
    found = []
    for line, row in zip(table.lines, table.rows, strict=True):
        place = f"{path!r}, line {line}"
        row = {name: from_text(cell) for name, cell in row.items()}
        decision = row["decision"].strip().lower()
        if decision not in ("", *DECISIONS):
            raise ValueError(
                f"{place}: decision={decision!r} is not valid: it must be one of "
                f"{DECISIONS}, or empty where nobody has decided."
            )
        if decision != "skip" and (decision or row["label"].strip()):
            found.append((place, row | {"decision": decision or "other"}))
    return found


def decided_label(row, given, suggested, classes=None):
    """Return the label that people decided on in a row of :func:`read_decisions`.

    Parameters
    ----------
    row : dict of str to str
        The row.
    given, suggested : str
        The labels to keep or to take.
    classes : collection of str, default=None
        What other labels may be; None: anything.

    Raises
    ------
    ValueError
        If there is no such label, or it is another than to keep or to take.
    """
    decision, written = row["decision"], row["label"]
    fixed = {"keep": given, "take": suggested}.get(decision)
    chosen = named_label(written, classes) if written.strip() or not fixed else fixed
    if chosen is None or (fixed is not None and chosen != fixed):
        allowed = classes if fixed is None else [fixed]
        must = f": it must be one of {[*allowed]}" if allowed and any(allowed) else ""
        raise ValueError(
            f"label={written!r} is not valid for the decision {decision!r}{must}."
        )
    return chosen


def named_label(text, classes=None):
    """Return the class that a cell names, or None.

    Spaces around it do not count, unless classes differ in nothing else.
    """
    if classes is None:
        return text.strip() or None
    by_name = {name.strip(): name for name in classes}
    return text if text in classes else by_name.get(text.strip())
