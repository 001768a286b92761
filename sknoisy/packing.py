"""Nested objects as JSON and tensors, and back: nothing in them is ever run."""

import math
from collections import deque

import numpy as np
import torch

DTYPES = {
    "BOOL": "bool",
    "U8": "uint8",
    "I8": "int8",
    "U16": "uint16",
    "I16": "int16",
    "U32": "uint32",
    "I32": "int32",
    "U64": "uint64",
    "I64": "int64",
    "F16": "float16",
    "F32": "float32",
    "F64": "float64",
}

CODES = {np.dtype(name): code for code, name in DTYPES.items()}

AS_BYTES = "cSMm"  # kinds of dtypes that the format lacks
KINDS = "biufUO" + AS_BYTES  # that have a name
WIDE = 2**24  # bytes of texts from which on their dtype is no wider than they are


def pack(content, describe=None):
    """Return JSON and tensors that stand for a value.

    Parameters
    ----------
    content : object
        Made of tensors, arrays, numbers, strings, None, and dicts, lists, tuples and
        deques of these.
    describe : callable, default=None
        Gets any other object; returns its name and a value that it is built from, or
        None if it does not know it.

    Returns
    -------
    described : object
        What JSON can hold.
    tensors : list of (str, tuple of int, memoryview)
        Dtype, shape and bytes of each.

    Raises
    ------
    TypeError
        If a part cannot be stored; says which.
    """
    packer = _Packer(describe or (lambda value: None))
    return packer.pack(content, ""), packer.tensors


class _Packer:
    def __init__(self, describe):
        self.describe = describe
        self.tensors = []

    def pack(self, value, where):
        if value is None or type(value) in (bool, int, str):
            return value
        if type(value) is float:
            return value if math.isfinite(value) else {"float": str(value)}
        if isinstance(value, torch.Tensor):
            return self._tensor(value, where)
        if isinstance(value, np.generic):
            return {"scalar": self._array(np.asarray(value), where)}
        if type(value) in (np.ndarray, np.memmap):
            return self._array(np.asarray(value), where)
        if type(value) in (slice, range):
            ends = [value.start, value.stop, value.step]
            return {type(value).__name__: self._several(ends, where)}
        if isinstance(value, bytes):
            return {"binary": self._add(np.frombuffer(value, np.uint8), "U8")}
        if isinstance(value, np.dtype):
            if value.kind not in KINDS:
                raise TypeError(f"{where} is the dtype {value}")
            return {"dtype": value.str}
        if isinstance(value, torch.dtype):
            return {"torch dtype": str(value).removeprefix("torch.")}
        if isinstance(value, torch.device):
            return {"device": str(value)}
        described = self.describe(value)
        if described is not None:
            name, state = described
            return {"object": name, "state": self.pack(state, where)}
        if isinstance(value, dict):
            if all(type(key) is str for key in value):
                parts = {k: self.pack(v, _at(where, k)) for k, v in value.items()}
                return {"dict": parts}
            return {"items": [self._several(pair, where) for pair in value.items()]}
        if isinstance(value, tuple):
            return {"tuple": self._several(value, where)}
        if isinstance(value, list):
            return self._several(value, where)
        if isinstance(value, deque):
            return {"deque": self._several(value, where), "maxlen": value.maxlen}
        raise TypeError(
            f"{where.lstrip('.') or 'it'} is an object of {type(value).__module__}."
            f"{type(value).__qualname__}, which a file cannot hold"
        )

    def _several(self, values, where):
        return [self.pack(value, _at(where, i)) for i, value in enumerate(values)]

    def _tensor(self, value, where):
        if value.layout != torch.strided or value.is_meta:
            raise TypeError(f"{where} is a sparse or meta tensor")
        value = value.detach().cpu()
        described = {}
        if not value.is_contiguous() and value.ndim == 4:
            if value.is_contiguous(memory_format=torch.channels_last):
                described["channels_last"] = True
        value = value.contiguous()
        if value.dtype == torch.bfloat16:
            array, code = value.view(torch.int16).numpy(), "BF16"
        else:
            array = value.numpy()
            code = CODES.get(array.dtype)
            if code is None:
                raise TypeError(f"{where} is a tensor of {value.dtype}")
        return {"tensor": self._add(array, code), **described}

    def _array(self, value, where):
        kind, shape = value.dtype.kind, list(value.shape)
        if kind in "OT":
            parts = self._several(value.ravel().tolist(), where)
            return {"objects": parts, "shape": shape, "dtype": kind}
        if kind == "U":
            parts = value.ravel().tolist()
            return {"objects": parts, "shape": shape, "dtype": value.dtype.str}
        native = value.astype(value.dtype.newbyteorder("="), copy=False)
        code = CODES.get(native.dtype)
        if code is not None:
            described = {"array": self._add(native, code)}
            if native.dtype.str != value.dtype.str:
                described["dtype"] = value.dtype.str
            if value.flags.fnc:  # products round by the order in memory
                described["order"] = "F"
            return described
        if kind not in AS_BYTES or value.dtype.hasobject:
            raise TypeError(f"{where} is an array of {value.dtype}")
        data = np.frombuffer(np.ascontiguousarray(value).tobytes(), np.uint8)
        return {
            "bytes": self._add(data, "U8"),
            "shape": shape,
            "dtype": value.dtype.str,
        }

    def _add(self, array, code):
        array = np.ascontiguousarray(array).reshape(array.shape)  # 0-d stays 0-d
        data = array.reshape(-1).view(np.uint8).data if array.size else b""
        self.tensors.append((code, array.shape, data))
        return len(self.tensors) - 1


def unpack(described, tensors, build=None, device="cpu"):
    """Return the value that :func:`pack` described.

    Parameters
    ----------
    described : object
        What JSON can hold.
    tensors : list of Stored
        The file's tensors.
    build : callable, default=None
        Gets the name of an object and what it is built from; returns the object.
    device : torch.device or str, default="cpu"
        Where tensors go.
    """
    left = [*tensors]

    def take(place):
        stored, left[place] = left[place], None
        if stored is None:  # each use of it would be a copy
            raise ValueError("it names a tensor twice")
        return stored

    def value_of(d):
        if isinstance(d, list):
            return [value_of(part) for part in d]
        if not isinstance(d, dict):
            return d
        if "dict" in d:
            return {key: value_of(part) for key, part in d["dict"].items()}
        if "items" in d:
            return dict(value_of(pair) for pair in _listed(d["items"]))
        if "tuple" in d:
            return tuple(value_of(_listed(d["tuple"])))
        if "deque" in d:
            return deque(value_of(_listed(d["deque"])), d["maxlen"])
        if "float" in d:
            return float(d["float"])
        if "scalar" in d:
            return value_of(d["scalar"])[()]
        if "tensor" in d:
            tensor = take(d["tensor"]).tensor()
            if d.get("channels_last"):
                tensor = tensor.contiguous(memory_format=torch.channels_last)
            return tensor.to(device)
        if "array" in d:
            array = take(d["array"]).array()
            if d.get("order") == "F":
                array = np.asfortranarray(array)
            return _swapped(array, _dtype(d["dtype"])) if "dtype" in d else array
        if "bytes" in d:
            dtype = _dtype(d["dtype"])
            data = take(d["bytes"]).array().tobytes()
            return np.frombuffer(data, dtype).reshape(d["shape"]).copy()
        if "objects" in d:
            parts = value_of(_listed(d["objects"]))
            return _of_objects(parts, d["shape"], d["dtype"])
        if "slice" in d:
            return slice(*value_of(_listed(d["slice"])))
        if "range" in d:
            return range(*value_of(_listed(d["range"])))
        if "binary" in d:
            return take(d["binary"]).array().tobytes()
        if [*d] == ["dtype"]:
            return _dtype(d["dtype"])
        if "torch dtype" in d:
            dtype = getattr(torch, d["torch dtype"])
            if not isinstance(dtype, torch.dtype):
                raise ValueError(f"{d['torch dtype']!r} is no dtype")
            return dtype
        if "device" in d:
            return torch.device(d["device"])
        if "object" in d and build is not None:
            return build(d["object"], value_of(d["state"]))
        raise ValueError(f"it holds values of a kind that is not known: {[*d]}")

    return value_of(described)


def _listed(parts):
    """Return a list of JSON; what is none, a range, say, may be far larger than it."""
    if not isinstance(parts, list):
        raise TypeError("a container has no list of parts")
    return parts


def _swapped(array, dtype):
    """Return an array in another byte order."""
    if dtype.newbyteorder("=") != array.dtype:
        raise ValueError(f"an array of {array.dtype} is none of {dtype}")
    return array.astype(dtype)


def _of_objects(values, shape, dtype):
    if dtype == "T":
        return np.array(values, np.dtypes.StringDType()).reshape(shape)
    if dtype != "O":
        dtype = _dtype(dtype)
        longest = np.array(max(values, key=len, default="")).dtype
        if dtype.itemsize > longest.itemsize and dtype.itemsize * len(values) > WIDE:
            dtype = longest
        return np.array(values, dtype).reshape(shape)
    array = np.empty(len(values), object)
    array[:] = values
    return array.reshape(shape)


class Stored:
    """A tensor of a file, checked against the file's size."""

    def __init__(self, entry, raw, start):
        self.code, self.shape = entry["dtype"], tuple(entry["shape"])
        begin, end = entry["data_offsets"]
        name = "int16" if self.code == "BF16" else DTYPES[self.code]
        self.dtype = np.dtype(name)
        size = math.prod(self.shape) * self.dtype.itemsize
        if end - begin != size or min(begin, *self.shape, 0) < 0:
            raise ValueError("a tensor has another size than its shape says")
        self.data = memoryview(raw)[start + begin : start + end]

    def array(self):
        """Return the entry as an array of its own."""
        # A copy: for the bytes of a file nothing is aligned, or may be written.
        return np.frombuffer(self.data, self.dtype).reshape(self.shape).copy()

    def tensor(self):
        """Return the entry as a tensor of its own."""
        tensor = torch.from_numpy(self.array())
        return tensor.view(torch.bfloat16) if self.code == "BF16" else tensor


def _at(where, part):
    return f"{where}.{part}"


def _dtype(name):
    dtype = np.dtype(name)
    if dtype.kind not in KINDS or not isinstance(name, str):
        raise ValueError(f"{name!r} is no dtype of a file")
    return dtype
