"""Saving estimators to files that hold no code, and loading them."""

import inspect
import os
import platform
from functools import partial
from pkgutil import resolve_name

import numpy as np
import sklearn
import torch
from sklearn.base import BaseEstimator
from sklearn.pipeline import Pipeline
from torch import nn

from sknoisy import _version, files
from sknoisy._compat import CALLBACK_STATE
from sknoisy.data.spec import InputSpec
from sknoisy.encoders.architecture import Architecture
from sknoisy.encoders.blueprint import Blueprint
from sknoisy.encoders.features import TrainedEncoder
from sknoisy.encoders.modules import Template
from sknoisy.parameters import Method, with_defaults
from sknoisy.training.callbacks import without_networks
from sknoisy.warning import warn

KIND = "model"
LEFT_OUT = ("callbacks", "memory")  # parameters that only make sense where they are
# What scikit-learn keeps of its callbacks, which are not saved either.
CALLBACKS = ("_skl_callbacks", *CALLBACK_STATE)
PARTS = {cls.__name__: cls for cls in (Architecture, Blueprint, InputSpec)}
OF_MODULES = tuple(vars(nn.Module()))
TRUSTED_LAYERS = "torch.nn.modules."


class Saved(BaseEstimator):
    """Base class of estimators that can be saved, and know the version they are of."""

    _ephemeral = ()  # attributes that are not saved

    def save(self, path):
        """Save this estimator to a file that holds no code; see :func:`sknoisy.save`.

        Parameters
        ----------
        path : str or path-like
            The file. An existing one is replaced once the new one is complete.
        """
        save(self, path)

    def __getstate__(self):
        state = super().__getstate__()
        state = {k: v for k, v in state.items() if k not in self._ephemeral}
        if state.get("callbacks"):
            state["callbacks"] = without_networks(state["callbacks"])
        return state | {"_sknoisy_version": _version.__version__}

    def __setstate__(self, state):
        state = dict(state)
        saved = state.pop("_sknoisy_version", None)
        if saved is not None:
            files.check_not_newer(saved, f"this {type(self).__name__}")
        if saved != _version.__version__:
            warn(
                f"this {type(self).__name__} was saved by sknoisy {saved} and is "
                f"loaded by {_version.__version__}: its predictions may differ.",
            )
        super().__setstate__(with_defaults(type(self), state))


def save(estimator, path):
    """Save an estimator to a file that holds no code.

    The file has the safetensors format: weights and arrays as tensors, everything else
    as JSON, with the version and a checksum of the whole. It is first written beside
    `path`, so that an existing file is replaced only by a complete one.

    Parameters
    ----------
    estimator : estimator instance
        An estimator of this package, fitted or not; or one of scikit-learn around it,
        such as a Pipeline or a VotingClassifier.
    path : str or path-like
        The file.

    Raises
    ------
    ValueError
        If a part of the estimator cannot be saved; the message names it.

    See Also
    --------
    load : Loads the file.

    Notes
    -----
    The parameters `callbacks` and `memory` are not saved, nor are samples that were
    given as `validation`: they are None when the estimator is loaded. The optimiser's
    state is not saved either: ``partial_fit`` goes on with a new one.

    Functions and classes of your own, such as encoders, and estimators of other
    packages are saved by their import paths; ``load`` accepts these only if they are
    allowed. Those that cannot be imported, such as a lambda, cannot be saved.

    Examples
    --------
    >>> import tempfile
    >>> from sklearn.datasets import load_iris
    >>> import sknoisy
    >>> X, y = load_iris(return_X_y=True)
    >>> clf = sknoisy.NoisyRobustClassifier(random_state=0).fit(X, y)
    >>> path = tempfile.mkdtemp() + "/model.safetensors"
    >>> sknoisy.save(clf, path)
    >>> sknoisy.load(path).score(X, y) == clf.score(X, y)
    True
    """
    best = hasattr(estimator, "best_estimator_")
    if not isinstance(estimator, BaseEstimator) or best:
        raise ValueError(
            f"estimator={type(estimator).__name__} object is not valid: it must be an "
            "estimator" + (", such as its best_estimator_." if best else ".")
        )
    content = {
        "class": type(estimator).__name__,
        "versions": {
            "python": platform.python_version(),
            "numpy": np.__version__,
            "scikit-learn": sklearn.__version__,
            "torch": str(torch.__version__),
        },
        "estimator": estimator,
    }
    try:
        files.write(path, content, KIND, _describe)
    except TypeError as error:
        message = str(error).replace("estimator.", "", 1)
        if message.endswith("cannot hold"):
            message += ". joblib.dump may save it, in a file that can run code"
        raise ValueError(
            f"this {type(estimator).__name__} cannot be saved: {message}."
        ) from error


def _describe(value):
    """Return the name of a kind of object, and what it is built from."""
    if type(value) is Pipeline:
        steps = [list(step) for step in value.steps]
        others = without(("steps", *LEFT_OUT), value.get_params(deep=False))
        return "Pipeline", {"steps": steps, "others": others}
    if isinstance(value, Saved):
        params = value.get_params(deep=False)
        samples = isinstance(params.get("validation"), (tuple, list))
        left_out = (*LEFT_OUT, "validation") if samples else LEFT_OUT
        state = {
            "class": import_path(type(value)),
            "params": without(left_out, params),
            "fitted": without({*value._ephemeral, *CALLBACKS, *params}, vars(value)),
        }
        return "estimator", state
    if isinstance(value, Method):
        params = value.get_params(deep=False)
        return "method", {"class": import_path(type(value)), "params": params}
    if type(value) in PARTS.values():
        return type(value).__name__, dict(vars(value))
    if isinstance(value, TrainedEncoder):
        return "TrainedEncoder", {k: v for k, v in vars(value).items() if k[0] != "_"}
    if isinstance(value, Template):
        constants = [[*key, array] for key, array in value._constants.items()]
        state = {"name": value.name, "module": value.module, "constants": constants}
        return "Template", state
    if isinstance(value, nn.Module):
        return "module", _describe_module(value)
    if isinstance(value, np.random.RandomState):
        return "RandomState", value.get_state(legacy=True)
    if isinstance(value, os.PathLike):
        return "path", os.fspath(value)
    if isinstance(value, partial):
        return "partial", [value.func, list(value.args), dict(value.keywords)]
    if isinstance(value, np.ufunc) and getattr(np, value.__name__, None) is value:
        return "ufunc", value.__name__
    if isinstance(value, tuple) and hasattr(value, "_fields"):
        return "namedtuple", {"class": import_path(type(value)), "values": [*value]}
    if isinstance(value, (set, frozenset)):
        return "set", list(value)
    if inspect.isclass(value) or inspect.isroutine(value):
        return "import", import_path(value)
    return _describe_instance(value)


def without_caches(attributes):
    """Return attributes in which the parameters that are left out are None."""
    return {k: None if k in LEFT_OUT else v for k, v in attributes.items()}


def without(names, values):
    """Return a dict without some names."""
    return {k: v for k, v in values.items() if k not in names}


def _describe_instance(value):
    """Return an object of another package: its class, and its attributes."""
    cls = type(value)
    plain = cls.__reduce__ is object.__reduce__ and hasattr(value, "__dict__")
    own = (object.__getstate__, BaseEstimator.__getstate__)
    if (
        not plain
        or cls.__getstate__ not in own
        or isinstance(value, (dict, list, tuple))
        or any(vars(base).get("__slots__") for base in cls.__mro__)
    ):
        return None
    attributes = without_caches(without(CALLBACKS, vars(value)))
    return "instance", {"class": import_path(cls), "attributes": attributes}


def _describe_module(module):
    """Return the layers of a module, whose tensors may be shared, or have no values."""
    places, tensors = {}, []

    def place_of(tensor):
        if tensor is None:
            return None
        if id(tensor) not in places:
            places[id(tensor)] = len(tensors)
            tensors.append(
                {
                    "shape": list(tensor.shape),
                    "dtype": tensor.dtype,
                    "is_parameter": isinstance(tensor, nn.Parameter),
                    "requires_grad": tensor.requires_grad,
                    "values": None if tensor.is_meta else tensor,
                }
            )
        return places[id(tensor)]

    def described(layer):
        if layer is None:
            return None
        own = {k: v for k, v in vars(layer).items() if k not in OF_MODULES}
        if any(v for k, v in vars(layer).items() if "_hooks" in k and k in OF_MODULES):
            raise TypeError(f"a {type(layer).__name__} has hooks, which are code")
        constants = {k: place_of(v) for k, v in own.items() if torch.is_tensor(v)}
        return {
            "class": import_path(type(layer)),
            "training": layer.training,
            "attributes": {k: v for k, v in own.items() if k not in constants},
            "constants": constants,
            "parameters": {k: place_of(v) for k, v in layer._parameters.items()},
            "buffers": {k: place_of(v) for k, v in layer._buffers.items()},
            "not_kept": sorted(layer._non_persistent_buffers_set),
            "layers": {k: described(v) for k, v in layer._modules.items()},
        }

    return {"root": described(module), "tensors": tensors}


def import_path(value):
    """Return the import path of a class or function; TypeError if there is none."""
    name = f"{value.__module__}:{value.__qualname__}"
    try:
        found = resolve_name(name)
    except (ImportError, AttributeError, ValueError):
        found = None
    if found is not value:
        raise TypeError(
            f"{name.replace(':', '.')} cannot be imported: define it at the top level "
            "of a module"
        )
    return name
