"""The docstrings of what docs/api.md lists follow numpydoc."""

import inspect
import re
from pathlib import Path
from pkgutil import resolve_name

import pytest
from numpydoc.docscrape import get_doc_object
from numpydoc.validate import validate

import sknoisy

API = Path(__file__).parents[1] / "docs" / "api.md"
NAMES = re.findall(r"^   ([\w.]+)$", API.read_text(), re.MULTILINE)

NOT_ASKED = {
    "GL01": "The summary begins in the line of the quotes, as PEP 257 allows.",
    "ES01": "A summary in one line is enough where it says all.",
    "SA01": "Related names are linked in the text.",
    "EX01": "Classes have examples; methods and displays need none of their own.",
    "RT02": "Returned values have names, as arguments have.",
    "PR04": "`a, b` that are as in another class have no type here.",
    "PR08": "A description may begin with a value or a name.",
    "RT04": "The same.",
}


def documented(name):
    """Return an object of the API by name, and the names of its public members."""
    thing = resolve_name(f"sknoisy.{name}")
    if not inspect.isclass(thing):
        return thing, []
    inherited = {key for base in thing.__mro__[1:] for key in vars(base)}
    kinds = (property, classmethod, staticmethod)
    return thing, [
        key
        for key, value in vars(thing).items()
        if key[0] != "_"
        and key not in inherited  # an override's docstring is that of what it overrides
        and (inspect.isfunction(value) or isinstance(value, kinds))
    ]


def faults(name, exempt=()):
    return [
        f"{name}: {code} {message}"
        for code, message in validate(f"sknoisy.{name}")["errors"]
        if code not in NOT_ASKED and code not in exempt
    ]


@pytest.mark.parametrize("name", NAMES)
def test_numpydoc(name):
    thing, members = documented(name)
    lists_fields = hasattr(thing, "__dataclass_fields__") or hasattr(thing, "_fields")
    # A record lists its fields as attributes.
    found = faults(name, {"PR01"} if lists_fields else ())
    for member in members:
        one_line = "\n" not in inspect.getdoc(getattr(thing, member)).strip()
        # What fits on one line names its arguments and its result there.
        found += faults(f"{name}.{member}", {"PR01", "RT01"} if one_line else ())
    assert not found, "\n".join(found)


@pytest.mark.parametrize("name", NAMES)
def test_defaults_are_those_that_docstrings_name(name):
    thing, members = documented(name)
    functions = [getattr(thing, member) for member in members]
    for one in filter(callable, [thing, *functions]):
        for names, kind, _ in get_doc_object(one)["Parameters"]:
            _, found, default = kind.partition("default=")
            for parameter in names.split(", ") if found else ():
                given = inspect.signature(one).parameters[parameter].default
                assert given == eval(default, {}), f"{one}: {parameter}"


def test_names_in_docstrings_exist():
    gone = [
        f"{path}: {name}"
        for path in Path(sknoisy.__file__).parent.rglob("*.py")
        for name in re.findall(r":[a-z]+:`~?(sknoisy[\w.]*)`", path.read_text())
        if not exists(name)
    ]
    assert not gone, "\n".join(gone)


def exists(name):
    try:
        resolve_name(name)
    except (AttributeError, ImportError):
        return False
    return True
