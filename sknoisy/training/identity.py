"""What tells trainings apart: data, parameters, versions and code, as one name."""

import inspect
import os
from functools import partial

import torch
from joblib.hashing import NumpyHasher

from sknoisy import _version
from sknoisy.data.inputs import by_value, file_stamps
from sknoisy.encoders.features import LazyFeatures

# Parameters that are not compared: what callbacks do to a training cannot be known.
REPORTING = ("callbacks", "memory", "output", "verbose")
# Packages whose code the versions stand for.
VERSIONED = ("builtins", "numpy", "sklearn", "sknoisy", "torch", "torchvision")


def training_name(estimator, settings, data):
    """Return a name that is the same for equal trainings only.

    Parameters
    ----------
    estimator : estimator instance
        With its parameters.
    settings : Settings
        What they were resolved to on this machine.
    data : tuple of object
        What is learned from.
    """
    # Not its number: the first rank's is another than that of a single process.
    parts = [_version.__version__, settings.device.type, str(settings.precision)]
    parts.append(estimator_name(estimator, "a Checkpoint", left_out=REPORTING))
    weights = getattr(estimator, "weights", None)
    files = file_stamps([weights]) if isinstance(weights, (str, os.PathLike)) else []
    return hash_of([parts, files, *map(data_of, data)])


def estimator_name(estimator, keeper, left_out=()):
    """Return a name that is the same for equal estimators only, in any process.

    Parameters
    ----------
    estimator : estimator instance
        With its parameters.
    keeper : str
        What tells trainings apart by it, for the message.
    left_out : iterable of str, default=()
        Parameters that do not matter.

    Raises
    ------
    ValueError
        If a parameter has no name, such as a lambda; names it.
    """
    kind = type(estimator)
    parts = [kind.__module__, kind.__qualname__, sources(kind)]
    for name, value in estimator.get_params(deep=False).items():
        if name not in left_out:
            parts.append((name, checked_hash(name, value, keeper), sources(value)))
    return hash_of(parts)


def checked_hash(name, value, keeper):
    """Return the hash of a parameter's value.

    Parameters
    ----------
    name : str
        Name of the parameter.
    value : object
        Its value.
    keeper : str
        What tells trainings apart by it, for the message.

    Raises
    ------
    ValueError
        If it has none, such as a lambda; names the parameter.
    """
    try:
        return hash_of(value)
    except Exception as error:
        # joblib's message holds all that it hashes, PyTorch's may be long, too.
        why = str(error.args[0] if error.args else error)[:200]
        raise ValueError(
            f"{name}={value!r} is not valid with {keeper}, which tells trainings apart "
            f"by it: it cannot be pickled ({why}). Define it at the top level of a "
            "module."
        ) from None


class _Hasher(NumpyHasher):
    """joblib's, but that equal tensors are equal."""

    def save(self, obj):
        if isinstance(obj, torch.Tensor):
            obj = obj.detach().cpu()
            obj = (obj.float() if obj.dtype == torch.bfloat16 else obj).numpy()
        super().save(obj)


def hash_of(value):
    """Return the hash of a value, also of tensors by what they hold."""
    return _Hasher(hash_name="md5").hash(value)


def sources(value):
    """Return the code of what a user wrote: with other code it is another training.

    Parameters
    ----------
    value : object
        A parameter of an estimator, or an estimator.

    Returns
    -------
    sources : list
        Source texts of its class or function, of those it is derived from, and of its
        parameters.
    """
    if isinstance(value, partial):
        value = [value.func, value.args, value.keywords]
    if isinstance(value, dict):
        value = [*value.items()]
    if isinstance(value, (list, tuple)):
        return [sources(one) for one in value]
    is_code = inspect.isclass(value) or inspect.isfunction(value)
    code = value if is_code else type(value)
    if not inspect.isclass(code):
        return [_source(code)]
    bases = [base for base in code.__mro__ if not is_versioned(base)]
    # In a notebook there is no source of a class, but of its methods.
    found = [
        _source(base) or [_source(f) for f in vars(base).values() if callable(f)]
        for base in bases
    ]
    if is_code or not hasattr(value, "get_params"):
        return found
    parts = value.get_params(deep=False).items()
    return found + [(name, sources(part)) for name, part in parts]


def is_versioned(code):
    """Whether a class or function is of a package whose version stands for its code."""
    module = getattr(code, "__module__", None) or ""
    return module.partition(".")[0] in VERSIONED


def _source(code):
    if is_versioned(code):
        return None
    try:
        return inspect.getsource(code)
    except (OSError, TypeError):  # typed into an interpreter, or made by exec
        return compiled(code.__code__) if inspect.isfunction(code) else None


def compiled(code):
    """Return what a function's code does, without where it was written."""
    consts = []
    for one in code.co_consts:
        if inspect.iscode(one):
            consts.append(compiled(one))
        else:  # of a set, the order is another in each process
            is_set = isinstance(one, frozenset)
            consts.append(sorted(map(repr, one)) if is_set else repr(one))
    return code.co_code, code.co_names, consts


def data_of(data):
    """Return what tells data apart, lazy features by what they are made of."""
    if isinstance(data, LazyFeatures):
        return by_value(data.inputs), data.encoder.blueprint, data.encoder.state
    return by_value(data)
