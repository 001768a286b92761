"""What tells trainings apart: data, parameters, versions and code, as one name."""

import os

import torch
from joblib.hashing import NumpyHasher

from sknoisy import _version
from sknoisy.data.inputs import by_value, file_stamps
from sknoisy.encoders.features import LazyFeatures
from sknoisy.training.own_code import sources

# Parameters that are not compared: what callbacks do to a training cannot be known.
REPORTING = ("callbacks", "memory", "output", "verbose")


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


def data_of(data):
    """Return what tells data apart, lazy features by what they are made of."""
    if isinstance(data, LazyFeatures):
        return by_value(data.inputs), data.encoder.blueprint, data.encoder.state
    return by_value(data)
