"""Loading weights from files: state dicts of PyTorch, and safetensors."""

import os
import pickle
import re
import zipfile
from collections import OrderedDict
from collections.abc import Mapping
from functools import lru_cache

import torch

SHOWN = 3  # names in a message; files hold hundreds


def load_weights(module, path, head=None):
    """Load a file's weights into an encoder.

    Files of training scripts may keep the state dict in another dict, or put prefixes
    such as "module." before its names. The first part of the file that has all weights
    of the module, in the right shapes, is loaded. Weights of heads are left out.

    Parameters
    ----------
    module : torch.nn.Module
        Encoder on the CPU, without its head.
    path : str or path
        File written by ``torch.save`` or safetensors.
    head : str, default=None
        Name of the head that was removed, such as "fc".

    Raises
    ------
    ValueError
        If the file cannot be read, or if its weights do not fit the module; names
        those that are missing, unexpected or of another shape.
    """
    wanted = module.state_dict()
    if not wanted.keys() - _counters(wanted):
        raise ValueError(
            f"weights={str(path)!r} is not valid: the encoder has no weights."
        )
    found = [Match(wanted, names, head) for names in _candidates(read(path), wanted)]
    if not found:
        raise ValueError(_no_state_dict(path))
    best = min(found, key=Match.n_differences)
    if best.n_differences():
        raise ValueError(
            f"weights={str(path)!r} is not valid: its weights do not fit the encoder: "
            f"{best}. Pass the encoder that it was saved from."
        )
    infinite = [k for k, v in best.weights.items() if not v.isfinite().all()]
    if infinite:
        raise ValueError(
            f"weights={str(path)!r} is not valid: the file holds NaN or infinity, in "
            f"{_listed(infinite)}."
        )
    load_tensors(module, {**_counters(wanted), **best.weights})


def load_tensors(module, tensors):
    """Load a state dict, with the module's own versions of its layers."""
    state = OrderedDict(tensors)
    state._metadata = module.state_dict()._metadata
    module.load_state_dict(state)


def check_file(path):
    """Raise ``ValueError`` unless a file can be read and holds a state dict.

    A file that was checked is not read again, unless it has changed.
    """
    if os.path.isfile(path):
        status = os.stat(path)
        _check_contents(os.path.abspath(path), status.st_size, status.st_mtime_ns)
    else:
        read(path)  # says what is wrong


@lru_cache(maxsize=16)
def _check_contents(path, size, modified):
    if next(_state_dicts(read(path)), None) is None:
        raise ValueError(_no_state_dict(path))


def read(path):
    """Return the contents of a file: tensors and containers, never code.

    Parameters
    ----------
    path : str or path
        File written by ``torch.save`` or safetensors.
    """
    name = f"weights={str(path)!r} is not valid"
    if not os.path.isfile(path):
        raise ValueError(f"{name}: there is no such file.")
    try:
        with open(path, "rb") as file:
            start = file.read(9)
        # Eight bytes of length, then JSON.
        if start[8:] == b"{":
            return _read_safetensors(path)
        _check_sums(path)
        return torch.load(path, map_location="cpu", weights_only=True)
    except pickle.UnpicklingError as error:
        # PyTorch's own message advises to load the file without this protection.
        code = re.search(r"GLOBAL ([\w.]+)", str(error))
        if code is None:
            raise ValueError(
                f"{name}: the file is damaged, or holds no state dict."
            ) from None
        raise ValueError(
            f"{name}: the file holds Python objects other than tensors ({code[1]}), "
            "which may run code when they are loaded. Save the state dict alone: "
            "torch.save(module.state_dict(), path)."
        ) from None
    except ImportError:
        raise
    except Exception as error:
        raise ValueError(
            f"{name}: the file is damaged, or holds no state dict "
            f"({type(error).__name__})."
        ) from None


def _check_sums(path):
    """Raise ``BadZipFile`` if a checksum differs, which PyTorch does not look at."""
    if not zipfile.is_zipfile(path):  # a file of PyTorch before 1.6
        return
    with zipfile.ZipFile(path) as file:
        sums = [part.CRC for part in file.infolist()]
        damaged = file.testzip()
    if damaged is not None and any(sums):  # PyTorch can be told to write zeros
        raise zipfile.BadZipFile(damaged)


def _read_safetensors(path):
    try:
        from safetensors.torch import load_file
    except ImportError as error:
        raise ImportError(
            f"weights={str(path)!r} is a safetensors file: install the package "
            "safetensors to read it."
        ) from error
    return load_file(path)


class Match:
    """A comparison of the weights of a module with those of a file.

    Parameters
    ----------
    wanted, found : dict of str to tensor
        Weights of the module and of the file.
    head : str or None
        Name of the head that was removed from the module.

    Attributes
    ----------
    weights : dict of str to tensor
        Weights of the file that the module has, too.
    missing, unexpected, misshapen : list of str
        Names of the weights that differ.
    """

    def __init__(self, wanted, found, head):
        self.weights = {k: v for k, v in found.items() if k in wanted}
        counters = _counters(wanted)
        self.missing = [k for k in wanted if k not in found and k not in counters]
        self.misshapen = [
            f"{k} {tuple(v.shape)} for {tuple(wanted[k].shape)}"
            for k, v in self.weights.items()
            if v.shape != wanted[k].shape
        ]
        # Other modules beside the encoder are heads; other layers in it are an error.
        parts = {k.partition(".")[0] for k in wanted}
        self.unexpected = [
            k
            for k in found
            if k not in wanted
            and not (head and k.startswith(f"{head}."))
            and (k.partition(".")[0] in parts or k[0].isdigit())
        ]

    def n_differences(self):
        """Return the number of weights that differ."""
        return len(self.missing) + len(self.misshapen) + len(self.unexpected)

    def __str__(self):
        kinds = {
            "missing": self.missing,
            "unexpected": self.unexpected,
            "of another shape": self.misshapen,
        }
        return "; ".join(
            f"{len(names)} are {kind} ({_listed(names)})"
            for kind, names in kinds.items()
            if names
        )


def _candidates(content, wanted):
    """Yield the parts of a file that may be the weights, with prefixes removed."""
    anchor = max(wanted.keys() - _counters(wanted), key=lambda k: (k.count("."), k))
    for names in _state_dicts(content):
        prefixes = [
            name[: -len(anchor)]
            for name in names
            if name == anchor or name.endswith(f".{anchor}")
        ]
        for prefix in prefixes or [""]:
            yield {
                name[len(prefix) :]: tensor
                for name, tensor in names.items()
                if name.startswith(prefix)
            }


def _state_dicts(content, depth=3):
    """Yield the state dicts in the contents of a file."""
    if not isinstance(content, Mapping):
        return
    tensors = {
        name: value
        for name, value in content.items()
        if isinstance(name, str) and name and isinstance(value, torch.Tensor)
    }
    if tensors:
        yield tensors
    if depth:
        for value in content.values():
            yield from _state_dicts(value, depth - 1)


def _counters(wanted):
    """Return the batch counters of normalisation layers, which old files lack."""
    return {k: v for k, v in wanted.items() if k.endswith("num_batches_tracked")}


def _no_state_dict(path):
    return (
        f"weights={str(path)!r} is not valid: the file holds no state dict, which "
        "maps names to tensors."
    )


def _listed(names):
    more = "" if len(names) <= SHOWN else ", ..."
    return ", ".join(names[:SHOWN]) + more
