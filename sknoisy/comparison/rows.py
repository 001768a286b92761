"""The file of a comparison, to which each row is added at once."""

import json
from pathlib import Path

import joblib
import numpy as np
import torch

from sknoisy._version import __version__
from sknoisy.data.inputs import file_stamps, is_paths
from sknoisy.parameters import comparable


class Rows:
    """The file of finished rows, by what they depend on."""

    def __init__(self, path, X, y, test, scorers):
        self.path, self.done = None if path is None else Path(path), {}
        if path is None:
            return
        lines = self.path.read_text().splitlines() if self.path.exists() else []
        for line in lines:
            try:
                row = json.loads(line)
                self.done[row.pop("key")] = row
            except (ValueError, KeyError, AttributeError):
                continue  # the end of a run that was killed while it wrote
        self.path.parent.mkdir(parents=True, exist_ok=True)
        data = [_digest(part) for part in (X, y, *(test or ()))]
        named = {name: _named(scorer) for name, scorer in scorers.items()}
        self._common = __version__, data, named

    def key(self, method, rows):
        """Return what a row is known by."""
        if self.path is None:
            return None
        kind = f"{type(method).__module__}.{type(method).__qualname__}"
        return joblib.hash((self._common, kind, comparable(method), rows))

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


def _digest(values):
    if isinstance(values, torch.Tensor):
        values = values.cpu().numpy()  # tensors do not hash by value
    if is_paths(values):
        return joblib.hash((np.asarray(values, dtype=str), file_stamps(values)))
    return joblib.hash((values, []))


def _named(scorer):
    """Return what a scorer is known by, in any process."""
    if hasattr(scorer, "get_params"):
        return type(scorer).__qualname__, comparable(scorer)
    if hasattr(scorer, "__qualname__"):
        return f"{scorer.__module__}.{scorer.__qualname__}"
    return repr(scorer)
