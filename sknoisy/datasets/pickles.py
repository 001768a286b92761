"""Reading the pickles that authors ship, without running any code."""

import io
import pickle

import numpy as np
import torch

KINDS = "biufSU"  # of dtypes that hold nothing but values


class _Dtype:
    """Stands for a dtype while a pickle is read.

    NumPy's own takes from a pickle that a field of objects holds none; the bytes of an
    array then become addresses of objects.
    """

    def __init__(self, name, align=False, copy=False):
        name = name.decode("ascii") if isinstance(name, bytes) else name
        dtype = np.dtype(name) if isinstance(name, str) else None
        if dtype is None or dtype.kind not in KINDS:
            raise pickle.UnpicklingError(f"it asks for an array of {name!r}")
        self.dtype = dtype

    def __setstate__(self, state):
        order = state[1].decode("ascii") if isinstance(state[1], bytes) else state[1]
        self.dtype = self.dtype.newbyteorder(order)


class _Array:
    """Stands for an array while a pickle is read: NumPy's own may have any dtype."""

    array = None

    def __setstate__(self, state):
        _, shape, dtype, by_columns, content = state
        if not isinstance(content, bytes):
            raise pickle.UnpicklingError("it holds an array without bytes")
        array = np.frombuffer(content, dtype.dtype)
        self.array = array.reshape(shape, order="F" if by_columns else "C").copy("K")


def _reconstruct(subtype, shape, typecode):
    return _Array()


def _encoded(text, encoding):
    """Return bytes, which Python 3 writes as text to pickles of protocol 2."""
    if encoding != "latin1":
        raise pickle.UnpicklingError(f"it asks for the encoding {encoding}")
    return text.encode("latin1")


# What pickles of arrays call; NumPy had another name for it before version 2.
ALLOWED = {
    ("numpy.core.multiarray", "_reconstruct"): _reconstruct,
    ("numpy._core.multiarray", "_reconstruct"): _reconstruct,
    ("numpy", "ndarray"): _Array,
    ("numpy", "dtype"): _Dtype,
}


class _ArraysOnly(pickle.Unpickler):
    """Builds arrays and plain containers; anything else is an error."""

    def find_class(self, module, name):
        if (module, name) == ("_codecs", "encode"):
            return _encoded
        if (module, name) not in ALLOWED:
            raise pickle.UnpicklingError(f"it asks for {module}.{name}")
        return ALLOWED[module, name]


def _with_arrays(content):
    """Return containers with the arrays that were stood for."""
    if isinstance(content, _Array):
        return content.array
    if isinstance(content, dict):
        return {key: _with_arrays(value) for key, value in content.items()}
    if isinstance(content, (list, tuple)) and any(
        isinstance(value, (_Array, dict, list, tuple)) for value in content
    ):
        return type(content)(map(_with_arrays, content))
    return content


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
        return _with_arrays(_ArraysOnly(io.BytesIO(content), encoding="bytes").load())
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
    allowed = [(thing, ".".join(name)) for name, thing in ALLOWED.items()]
    try:
        # The list of what is allowed is as it was before when the file is read.
        with torch.serialization.safe_globals(allowed):
            loaded = torch.load(path, map_location="cpu", weights_only=True)
        return _with_arrays(loaded)
    except OSError:
        raise
    except Exception as error:  # a damaged file may raise anything
        first = (str(error).strip() or type(error).__name__).splitlines()[0]
        raise ValueError(
            f"{path!r} is damaged, or holds more than arrays ({first})."
        ) from None
