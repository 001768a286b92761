"""Nothing public is missing from the pages, and nothing on them is missing here."""

import re
from functools import partial
from importlib import import_module
from importlib.util import module_from_spec, spec_from_file_location
from inspect import isclass, isfunction
from pathlib import Path
from pkgutil import resolve_name

import pytest

import sknoisy
from sknoisy import recipes
from sknoisy.cotraining import COTRAINING_METHODS
from sknoisy.detection import DETECTION_METHODS
from sknoisy.encoders.named import ENCODERS
from sknoisy.losses import LOSSES
from sknoisy.parameters import Method
from sknoisy.regularizers import REGULARIZERS
from sknoisy.selfsup import METHODS

DOCS = Path(__file__).parents[1] / "docs"
REGISTRIES = {
    "losses": LOSSES,
    "selfsup": METHODS,
    "regularizers": REGULARIZERS,
    "cotraining": COTRAINING_METHODS,
    "detection": DETECTION_METHODS,
    "encoders": ENCODERS,
}
ENTRIES = [
    (room, key, value.func if isinstance(value, partial) else value)
    for room, registry in REGISTRIES.items()
    for key, value in registry.items()
]
LISTED = re.findall(r"^   ([\w.]+)$", (DOCS / "api.md").read_text(), re.MULTILINE)
# Rooms whose public names, ``__all__``, are for users.
ROOMS = (
    "annotators cotraining datasets detection losses metrics noise plotting "
    "regularizers scores selfsup training views"
)
# Files that define all that is public in them.
FILES = "recipes"


def public_names():
    """Yield the dotted name of everything that is public."""
    for name in sknoisy.__all__:
        if name != "__version__":
            yield f"sknoisy.{name}"
    for room in ROOMS.split():
        for name in import_module(f"sknoisy.{room}").__all__:
            if not name.isupper() or isclass(resolve_name(f"sknoisy.{room}.{name}")):
                yield f"sknoisy.{room}.{name}"
    for file in FILES.split():
        module = import_module(f"sknoisy.{file}")
        for name, value in vars(module).items():
            own = getattr(value, "__module__", None) == module.__name__
            if own and name[0] != "_" and (isclass(value) or isfunction(value)):
                yield f"{module.__name__}.{name}"


def guide_rows():
    """Return the rows of the guide's tables by the names in their first cells."""
    rows = {}
    pages = sorted((DOCS / "guide").glob("*.md"))
    for line in "\n".join(page.read_text() for page in pages).splitlines():
        if line.startswith("| `"):
            for name in re.findall(r"`([^`]+)`", line.split("|")[1]):
                rows.setdefault(name, []).append(line)
    return rows


@pytest.fixture(scope="module")
def api():
    return {id(resolve_name(f"sknoisy.{name}")) for name in LISTED}


@pytest.fixture(scope="module")
def rows():
    return guide_rows()


@pytest.mark.parametrize("name", LISTED)
def test_what_the_pages_list_is_there(name):
    thing = resolve_name(f"sknoisy.{name}")
    assert callable(thing)
    assert thing.__doc__


def test_the_pages_list_nothing_twice():
    assert len(LISTED) == len({id(resolve_name(f"sknoisy.{name}")) for name in LISTED})


@pytest.mark.parametrize("name", sorted(set(public_names())))
def test_what_is_public_is_on_the_pages(name, api):
    assert id(resolve_name(name)) in api, f"{name} is missing in docs/api.md"


@pytest.mark.parametrize(("room", "key", "value"), ENTRIES)
def test_a_registered_name_is_on_the_pages(room, key, value, api, rows):
    if isclass(value):
        assert id(value) in api, f"{value.__name__} is missing in docs/api.md"
    assert key in rows, f"`{key}` has no row in a table of docs/guide/"
    if room != "encoders":
        named = f"| `{value.__name__}` |"
        assert any(named in row for row in rows[key]), f"no {named} in `{key}`'s row"


def test_tables_of_the_guide_are_up_to_date():
    path = DOCS / "tables.py"
    spec = spec_from_file_location("tables", path)
    tables = module_from_spec(spec)
    spec.loader.exec_module(tables)
    filled = set()
    for page in sorted(tables.GUIDE.glob("*.md")):
        text = page.read_text(encoding="utf-8")
        assert tables.fill(text) == text, f"{page.name}: run python docs/tables.py"
        filled |= {match.group(1) for match in tables.TABLE.finditer(text)}
    assert filled == REGISTRIES.keys() - {"encoders"}


@pytest.mark.parametrize("room", [room for room in REGISTRIES if room != "encoders"])
def test_every_method_of_a_room_is_registered(room):
    registered = {value for where, _, value in ENTRIES if where == room}
    module = import_module(f"sknoisy.{room}")
    methods = {
        value
        for value in map(partial(getattr, module), module.__all__)
        if isclass(value) and issubclass(value, Method)
    }
    bases = {cls for cls in methods if any(issubclass(c, cls) for c in methods - {cls})}
    assert methods - bases <= registered
    assert registered <= methods


def test_displays_readers_and_recipes_have_rows_in_the_guide(rows):
    displays = import_module("sknoisy.plotting").__all__
    readers = [
        name for name in import_module("sknoisy.datasets").__all__ if "_" in name
    ]
    made = [name for name in public_names() if name.startswith(recipes.__name__)]
    for name in [*displays, *readers, *(name.rpartition(".")[2] for name in made)]:
        assert name in rows, f"`{name}` has no row in a table of docs/guide/"
