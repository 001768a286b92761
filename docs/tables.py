"""Tables of the guide: names, classes and defaults come from the registries.

    python docs/tables.py

A table that is filled follows a comment such as ``<!-- registry: losses -->``. Cells in
its columns "class" and "defaults" are made, the others are written by hand. A method
without a row gets one. Sphinx fills the tables anew when it reads a page, and links the
classes; the pages are filled, too, for those who read them elsewhere, and a test sees
that they are up to date.
"""

import inspect
import re
from functools import partial
from importlib import import_module
from pathlib import Path
from pkgutil import resolve_name

REGISTRIES = {
    "losses": "sknoisy.losses.LOSSES",
    "selfsup": "sknoisy.selfsup.METHODS",
    "regularizers": "sknoisy.regularizers.REGULARIZERS",
    "cotraining": "sknoisy.cotraining.COTRAINING_METHODS",
    "detection": "sknoisy.detection.DETECTION_METHODS",
}
# Parameters that many methods share, which the API pages explain.
SHARED = {
    "hidden_features",
    "n_hidden",
    "projection_features",
    "storage",
    "views",
    "warmup_epochs",
}
TABLE = re.compile(r"<!-- registry: (\w+) -->\n\n((?:\|.*\n)+)")
GUIDE = Path(__file__).parent / "guide"


def registry_of(room):
    """Return the registry of a room."""
    module, _, name = REGISTRIES[room].rpartition(".")
    return getattr(import_module(module), name)


def class_of(entry):
    """Return the class behind an entry of a registry."""
    return entry.func if isinstance(entry, partial) else entry


def defaults_of(entry):
    """Return the parameters of an entry that have numbers or words as defaults."""
    found = []
    for name, parameter in inspect.signature(entry).parameters.items():
        value = parameter.default
        if name in SHARED or value is None or value == "auto":
            continue
        is_number = isinstance(value, float)
        found.append(f"{name}={value:.3g}" if is_number else f"{name}={value!r}")
    return ", ".join(found)


def fill(text, link=None):
    """Return a page with its tables filled; `link` makes a link of a class."""
    return TABLE.sub(
        partial(_filled, link=link or (lambda cls: f"`{cls.__name__}`")), text
    )


def _filled(match, link):
    room, lines = match.group(1), match.group(2).splitlines()
    registry = registry_of(room)
    head, rule, *rows = [[c.strip() for c in line[1:-1].split("|")] for line in lines]
    named = {name for row in rows for name in names_of(row)}
    if named - registry.keys():
        raise ValueError(f"{named - registry.keys()} are not in {REGISTRIES[room]}.")
    for name in sorted(registry.keys() - named):
        rows.append([f"`{name}`", *[""] * (len(head) - 1)])
    for row in rows:
        entries = [registry[name] for name in names_of(row)]
        for column, make in (
            ("class", lambda entry: link(class_of(entry))),
            ("defaults", defaults_of),
        ):
            if column in head:
                (cell,) = {make(entry) for entry in entries}
                row[head.index(column)] = cell
    shown = "".join(f"| {' | '.join(row)} |\n" for row in [head, rule, *rows])
    return f"<!-- registry: {room} -->\n\n{shown}"


def names_of(row):
    """Return the names that a row is about."""
    return re.findall(r"`([^`]+)`", row[0])


def linked(api):
    """Return what makes a link to the page of a class, if the API page lists it."""
    names = re.findall(r"^   ([\w.]+)$", api.read_text(encoding="utf-8"), re.MULTILINE)
    pages = {resolve_name(f"sknoisy.{name}"): f"sknoisy.{name}" for name in names}
    return lambda cls: f"{{py:class}}`{cls.__name__} <{pages[cls]}>`"


if __name__ == "__main__":
    for page in sorted(GUIDE.glob("*.md")):
        text = page.read_text(encoding="utf-8")
        page.write_text(fill(text), encoding="utf-8")
