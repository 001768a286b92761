"""Reading the pickles that authors ship, without running any code."""

import io
import pickle

import numpy as np
import torch

# What pickles of arrays call; NumPy had another name for it before version 2.
_RECONSTRUCT = np.empty(0).__reduce__()[0]
ALLOWED = {
    ("numpy.core.multiarray", "_reconstruct"): _RECONSTRUCT,
    ("numpy._core.multiarray", "_reconstruct"): _RECONSTRUCT,
    ("numpy", "ndarray"): np.ndarray,
    ("numpy", "dtype"): np.dtype,
}


def _encoded(text, encoding):
    """Return bytes, which Python 3 writes as text to pickles of protocol 2."""
    if encoding != "latin1":
        raise pickle.UnpicklingError(f"it asks for the encoding {encoding}")
    return text.encode("latin1")


class _ArraysOnly(pickle.Unpickler):
    """Builds arrays and plain containers; anything else is an error."""

    def find_class(self, module, name):
        if (module, name) == ("_codecs", "encode"):
            return _encoded
        if (module, name) not in ALLOWED:
            raise pickle.UnpicklingError(f"it asks for {module}.{name}")
        return ALLOWED[module, name]


def read_arrays(path):
    """Return what a pickle holds, if that is arrays, numbers, bytes and containers.

    Parameters
    ----------
    path : str
        File written by ``pickle.dump``, of Python 2 or 3.

    Returns
    -------
    content : object
        Strings of Python 2 are bytes.
    """
    with open(path, "rb") as file:
        content = file.read()
    try:
        return _ArraysOnly(io.BytesIO(content), encoding="bytes").load()
    except Exception as error:  # a damaged pickle may raise anything
        raise ValueError(
            f"{path!r} is damaged, or is no pickle of arrays ({error})."
        ) from error


def read_torch(path):
    """Return the arrays of a file that was written by ``torch.save``.

    Parameters
    ----------
    path : str
        The file. Nothing but tensors, NumPy arrays and containers is built.

    Returns
    -------
    content : object
        What was saved.
    """
    kinds = [np.dtype(kind) for kind in (np.int64, np.int32, np.uint8, np.float64)]
    allowed = [(thing, ".".join(name)) for name, thing in ALLOWED.items()]
    try:
        # The list of what is allowed is as it was before when the file is read.
        with torch.serialization.safe_globals([*allowed, *map(type, kinds)]):
            return torch.load(path, map_location="cpu", weights_only=True)
    except OSError:
        raise
    except Exception as error:  # a damaged file may raise anything
        first = (str(error).strip() or type(error).__name__).splitlines()[0]
        raise ValueError(
            f"{path!r} is damaged, or holds more than arrays ({first})."
        ) from None
