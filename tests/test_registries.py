"""Every method of a registry is exported and documented."""

import re
from pathlib import Path

import pytest

import sknoisy
import sknoisy.losses
import sknoisy.regularizers
import sknoisy.selfsup
import sknoisy.views
from sknoisy.losses import LOSSES
from sknoisy.regularizers import REGULARIZERS
from sknoisy.selfsup import METHODS

DOCS = Path(__file__).parents[1] / "docs"

if not DOCS.exists():
    pytest.skip("the source distribution has no docs", allow_module_level=True)

# Registry, its package, and the heading of its table in the guide.
REGISTRIES = {
    "losses": (LOSSES, sknoisy.losses, "Losses"),
    "regularizers": (REGULARIZERS, sknoisy.regularizers, "Regularisers"),
    "selfsup": (METHODS, sknoisy.selfsup, "Self-supervised methods"),
}
KEYS = [(name, key) for name, (keys, _, _) in REGISTRIES.items() for key in keys]


def class_of(make):
    """Return the name of a registered class, or of a partial of one."""
    return getattr(make, "func", make).__name__


def table(heading):
    """Return the names and the class of each row of the table below a heading."""
    guide = (DOCS / "guide.md").read_text()
    section = guide.split(f"\n## {heading}\n")[1].split("\n## ")[0]
    rows = [line.split("|")[1:3] for line in section.splitlines() if line[:3] == "| `"]
    return [[re.findall(r"`([\w+]+)`", cell) for cell in row] for row in rows]


def documented():
    """Return the last part of every name in the API's lists."""
    lines = (DOCS / "api.md").read_text().splitlines()
    names = (re.fullmatch(r"   ([\w.]+)", line) for line in lines)
    return {name[1].rsplit(".")[-1] for name in names if name}


@pytest.mark.parametrize("registry, key", KEYS)
def test_every_method_has_a_row_in_the_guide(registry, key):
    methods, _, heading = REGISTRIES[registry]
    classes = [row[1] for row in table(heading) if key in row[0]]
    assert classes == [[class_of(methods[key])]]


@pytest.mark.parametrize("registry", REGISTRIES)
def test_the_guide_names_nothing_else(registry):
    methods, _, heading = REGISTRIES[registry]
    named = [key for keys, _ in table(heading) for key in keys]
    assert sorted(named) == sorted(methods)


@pytest.mark.parametrize("registry, key", KEYS)
def test_every_method_is_exported_and_in_the_api(registry, key):
    methods, package, _ = REGISTRIES[registry]
    name = class_of(methods[key])
    assert name in package.__all__
    assert name in documented()


@pytest.mark.parametrize("name", sknoisy.views.__all__)
def test_views_are_in_the_api(name):
    assert f"   views.{name}\n" in (DOCS / "api.md").read_text()


@pytest.mark.parametrize(
    "package", [sknoisy, sknoisy.losses, sknoisy.regularizers, sknoisy.selfsup]
)
def test_registries_and_exports_are_in_alphabetical_order(package):
    for registry in ("LOSSES", "METHODS", "REGULARIZERS"):
        names = list(getattr(package, registry, ()))
        assert names == sorted(names)
    assert len(set(package.__all__)) == len(package.__all__)
    assert all(hasattr(package, name) for name in package.__all__)
