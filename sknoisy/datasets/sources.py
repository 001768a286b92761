"""Where a public data set comes from, and what a folder must hold to be it."""

import os
from dataclasses import dataclass


@dataclass(frozen=True)
class Source:
    """A public data set.

    Attributes
    ----------
    name : str
        Its name.
    url : str
        Page of its authors, where it can be obtained.
    license : str
        What its authors allow.
    noise : str
        What is known about its wrong labels.
    paper : str
        Where it was published.
    """

    name: str
    url: str
    license: str
    noise: str
    paper: str


def check_layout(folder, wanted, source):
    """Raise ``ValueError`` if a folder lacks files or folders.

    Parameters
    ----------
    folder : str
        Where the user has a data set.
    wanted : list of str
        Paths from there on.
    source : Source
        The data set.
    """
    missing = [
        name for name in wanted if not os.path.exists(os.path.join(folder, name))
    ]
    if missing:
        raise wrong_layout(
            folder, ", ".join(wanted), f"no {', '.join(missing)}", source
        )


def wrong_layout(folder, expected, found, source):
    """Return a ``ValueError`` about a folder that is not laid out as expected."""
    try:
        listed = sorted(os.listdir(folder))
        held = f"the folder holds {listed[:8]}" + (" and more" if listed[8:] else "")
    except OSError:
        held = "there is no such folder"
    return ValueError(
        f"path={folder!r} is not {source.name} as its authors ship it: expected "
        f"{expected}; found {found} ({held}). Get it from {source.url}."
    )


def read_lines(path):
    """Return the lines of a text file that are not empty."""
    with open(path, encoding="utf-8") as file:
        return [line.strip() for line in file if line.strip()]


def read_pairs(path):
    """Return the keys and codes of a file whose lines hold a path and a number.

    Parameters
    ----------
    path : str
        The file.

    Returns
    -------
    keys : list of str
        Paths.
    codes : list of int
        Numbers of classes.
    """
    keys, codes = [], []
    for number, line in enumerate(read_lines(path), start=1):
        key, _, code = line.rpartition(" ")
        if not key or not code.isdigit():
            raise ValueError(
                f"{path!r}, line {number}: expected a path and a number, found "
                f"{line!r}."
            )
        keys.append(key.strip())
        codes.append(int(code))
    return keys, codes
