"""The snippets of the pages: what they import is there, and takes what they pass."""

import ast
import importlib
import inspect
import re
from pathlib import Path

import pytest

import sknoisy

ROOT = Path(__file__).parents[1]
PAGES = [ROOT / "README.md", *sorted((ROOT / "docs").rglob("*.md"))]
BLOCK = re.compile(r"^```python\n(.*?)^```", re.DOTALL | re.MULTILINE)
PUBLIC = {name: getattr(sknoisy, name) for name in sknoisy.__all__}


def snippets(page):
    return [ast.parse(block) for block in BLOCK.findall(page.read_text())]


def names_of(tree):
    """Return what a snippet imports of this package, by the name that it gets."""
    names = {}
    for node in ast.walk(tree):
        if isinstance(node, ast.ImportFrom) and node.module.startswith("sknoisy"):
            module = importlib.import_module(node.module)
            for alias in node.names:
                if not hasattr(module, alias.name):
                    importlib.import_module(f"{node.module}.{alias.name}")
                names[alias.asname or alias.name] = getattr(module, alias.name)
        elif isinstance(node, ast.Import):
            for alias in node.names:
                if alias.name.split(".")[0] == "sknoisy":
                    importlib.import_module(alias.name)
                    names["sknoisy"] = sknoisy
    return names


def found(node, names):
    """Return what an expression of dotted names stands for, or None."""
    if isinstance(node, ast.Name):
        return names.get(node.id)
    if isinstance(node, ast.Attribute):
        owner = found(node.value, names)
        if inspect.ismodule(owner) or inspect.isclass(owner):
            return getattr(owner, node.attr)
    return None


def literal(nodes):
    """Return the values of expressions, or None if one of them is computed."""
    try:
        return [ast.literal_eval(node) for node in nodes]
    except ValueError:
        return None


def check_call(call, target):
    """Raise an error if a call passes what its target does not take."""
    starred = any(isinstance(arg, ast.Starred) for arg in call.args)
    if starred or any(keyword.arg is None for keyword in call.keywords):
        return
    given = {keyword.arg: keyword.value for keyword in call.keywords}
    inspect.signature(target).bind(*call.args, **given)
    args, kwargs = literal(call.args), literal(given.values())
    if args is not None and kwargs is not None and hasattr(target, "_check_parameters"):
        target(*args, **dict(zip(given, kwargs, strict=True)))._check_parameters()


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_snippets_call_what_there_is(page):
    names = dict(PUBLIC)  # pages say once where these are from
    for tree in snippets(page):
        names |= names_of(tree)
        for node in ast.walk(tree):
            if isinstance(node, ast.Call):
                target = found(node.func, names)
                if target is not None:
                    check_call(node, target)


@pytest.mark.parametrize(
    "code",
    [
        "from sknoisy import Detector",
        "NoisyRobustClassifier(los='gce')",
        "NoisyRobustClassifier('gcee')",
        "sknoisy.losses.GCE(power=0.7)",
        "import sknoisy.estimation",
    ],
)
def test_a_snippet_that_is_wrong_is_noticed(code):
    with pytest.raises((ImportError, TypeError, ValueError)):
        tree = ast.parse(code)
        names = PUBLIC | {"sknoisy": sknoisy} | names_of(tree)
        for node in ast.walk(tree):
            if isinstance(node, ast.Call):
                check_call(node, found(node.func, names))
