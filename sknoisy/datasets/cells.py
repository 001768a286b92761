"""Cells of tables for people, whose spreadsheets run what begins as a formula."""

import re

FORMULA = re.compile(r"'*[=+\-@\t\r]")  # page.js has the same two patterns
NUMBER = re.compile(r"[+-]?(\d+\.?\d*|\.\d+)([eE][+-]?\d+)?")


def as_text(value):
    """Return a value as a cell that no spreadsheet takes for a formula.

    Parameters
    ----------
    value : object
        Such as a label, or the name of a file, which others may have chosen.

    Returns
    -------
    cell : str
        The value, after an apostrophe if it begins as formulas do, and is no number.
    """
    text = str(value)
    is_formula = FORMULA.match(text) and not NUMBER.fullmatch(text)
    return f"'{text}" if is_formula else text


def from_text(cell):
    """Return what :func:`as_text` made a cell of, as a string.

    Parameters
    ----------
    cell : str
        The cell.
    """
    return cell[1:] if cell.startswith("'") and FORMULA.match(cell) else cell
