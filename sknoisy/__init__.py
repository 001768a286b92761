"""Train good classifiers from labels that are partly wrong.

The main job, with no clean labels at all::

    Pipeline([
        ("ssl", SSLPretrainer()),             # learns from X alone
        ("clf", NoisyRobustClassifier()),     # fine-tunes on the noisy labels
    ]).fit(X, y_noisy)
"""

import ast
from importlib import import_module
from importlib.util import find_spec
from pkgutil import get_data, iter_modules

from sknoisy._version import __version__

# Imports take seconds, most of them PyTorch's: they wait until a name is asked for, so
# that `sknoisy --help` answers at once. ``__init__.pyi`` says where the names are.
_HOMES = {
    alias.name: statement.module
    for statement in ast.parse(get_data(__name__, "__init__.pyi")).body
    if isinstance(statement, ast.ImportFrom)
    for alias in statement.names
}
__all__ = [*_HOMES, "__version__"]


def __getattr__(name):
    if name in _HOMES:
        value = getattr(import_module(_HOMES[name]), name)
        globals()[name] = value
        return value
    if not name.startswith("_") and find_spec(f"{__name__}.{name}"):
        return import_module(f"{__name__}.{name}")
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")


def __dir__():
    rooms = [module.name for module in iter_modules(__path__) if module.name[0] != "_"]
    return sorted({*globals(), *__all__, *rooms})
