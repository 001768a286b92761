"""What a reader found, and what it had to leave out."""

import os
from concurrent.futures import ThreadPoolExecutor
from typing import NamedTuple

import numpy as np

from sknoisy.bars import bar
from sknoisy.checks import check_choice
from sknoisy.data.images import missing_files, read_image

SMALL = (8, 8)  # pixels; a JPEG is decoded at an eighth of its size, but wholly
SHOWN = 5  # files in a message


class Skipped(NamedTuple):
    """A file or row that was left out.

    Attributes
    ----------
    path : str
        The file, or the row of a table.
    reason : str
        Why it was left out.
    """

    path: str
    reason: str


def keep_readable(paths, on_error, verify):
    """Return which files can be read, and what is wrong with the others.

    Parameters
    ----------
    paths : sequence of str
        Image files.
    on_error : {"raise", "skip"}
        What happens if a file cannot be read.
    verify : bool
        Whether each file is decoded. Otherwise it only has to be there.

    Returns
    -------
    keep : ndarray of shape (n_paths,), dtype bool
        Which files can be read.
    skipped : list of Skipped
        The others.
    """
    paths = np.array(paths, dtype=str)
    errors = dict.fromkeys(missing_files(paths), "does not exist")
    if verify:
        errors |= _undecodable(paths, {*range(len(paths))} - errors.keys())
    skipped = [Skipped(str(paths[i]), errors[i]) for i in sorted(errors)]
    report(skipped, on_error)
    keep = np.ones(len(paths), dtype=bool)
    keep[list(errors)] = False
    return keep, skipped


def check_on_error(on_error):
    """Raise ``ValueError`` unless a value says what to do with files that fail."""
    check_choice("on_error", on_error, ["raise", "skip"])


def report(skipped, on_error):
    """Raise ``ValueError`` if something is left out, unless that was asked for."""
    if not skipped or on_error == "skip":
        return
    listed = "; ".join(f"{path!r} {reason}" for path, reason in skipped[:SHOWN])
    more = f"; and {len(skipped) - SHOWN} more" if len(skipped) > SHOWN else ""
    raise ValueError(
        f"{len(skipped)} samples cannot be used: {listed}{more}. Pass on_error='skip' "
        "to leave them out."
    )


def _undecodable(paths, positions):
    """Return why image files cannot be decoded, by their positions."""

    def error_of(i):
        try:
            read_image(str(paths[i]), SMALL)
        except ValueError as error:
            return str(error).removeprefix(f"{str(paths[i])!r} ")
        return None

    positions = sorted(positions)
    # Pillow decodes without the interpreter lock, so threads run in parallel.
    with ThreadPoolExecutor(min(8, os.cpu_count() or 1)) as pool:
        found = pool.map(error_of, positions)
        shown = bar(
            found,
            desc="Reading files",
            total=len(positions),
            unit=" files",
            delay=2,
            leave=False,
            disable=None,
        )
        return {i: e for i, e in zip(positions, shown, strict=True) if e is not None}
