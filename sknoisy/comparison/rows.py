"""The file of a comparison, to which each row is added at once."""

import inspect
import json
from functools import partial
from pathlib import Path

from sknoisy._version import __version__
from sknoisy.parameters import comparable
from sknoisy.training.identity import checked_hash, data_of, estimator_name, hash_of
from sknoisy.training.own_code import compiled, is_versioned, sources


class Rows:
    """The file of finished rows, by what they depend on.

    Lines that are no rows with numbers in all columns are passed over: the end of a
    run that was killed while it wrote, or what something else has written.
    """

    def __init__(self, path, X, y, test, scorers, columns):
        self.path, self.done = None if path is None else Path(path), {}
        if path is None:
            return
        lines = self.path.read_bytes().splitlines() if self.path.exists() else []
        for line in lines:
            try:
                row = json.loads(line)
                key = row.pop("key")
                if all(isinstance(row[column], (int, float)) for column in columns):
                    self.done[key] = row
            except (ValueError, LookupError, AttributeError, TypeError, RecursionError):
                continue
        self.path.parent.mkdir(parents=True, exist_ok=True)
        data = hash_of([data_of(part) for part in (X, y, *(test or ()))])
        keeper = f"path={str(self.path)!r}"
        named = {name: _named(scorer, keeper) for name, scorer in scorers.items()}
        self._common = __version__, data, named

    def key(self, method, rows, noisy=None):
        """Return what a row is known by; `noisy` are labels that are drawn for it."""
        if self.path is None:
            return None
        name = estimator_name(method, f"path={str(self.path)!r}")
        drawn = () if noisy is None else (data_of(noisy),)
        return hash_of((self._common, name, rows, *drawn))

    def add(self, key, row):
        """Add a row to the file at once."""
        if self.path is None:
            return
        with self.path.open("a+b") as file:
            file.seek(0, 2)
            if file.tell():
                file.seek(-1, 2)
                if file.read() != b"\n":  # of a run that was killed
                    file.write(b"\n")
            file.write(json.dumps({"key": key} | row).encode() + b"\n")


def _named(scorer, keeper):
    """Return what a scorer is known by, in any process: its values, and your code."""
    if hasattr(scorer, "get_params"):
        return type(scorer).__qualname__, comparable(scorer), sources(scorer)
    if isinstance(scorer, partial):
        settings = checked_hash("scoring", (scorer.args, scorer.keywords), keeper)
        return _named(scorer.func, keeper), settings
    if inspect.isfunction(scorer):
        name = f"{scorer.__module__}.{scorer.__qualname__}"
        if is_versioned(scorer):
            return name
        # What it was made with: two functions of one place may differ by that alone.
        inner = inspect.getclosurevars(scorer).nonlocals
        inner = inner, scorer.__defaults__, scorer.__kwdefaults__
        # Of several lambdas in one line, the source is that line.
        code = sources(scorer), compiled(scorer.__code__)
        return name, checked_hash("scoring", inner, keeper), code
    # Of scikit-learn's, the text has the name of a function, whose code may change.
    parts = getattr(scorer, "__dict__", {}).values()
    functions = [_named(part, keeper) for part in parts if inspect.isfunction(part)]
    return repr(scorer), sources(scorer), functions
