"""Estimators from files: what is built is ours, or was allowed."""

import inspect
from functools import partial
from pathlib import Path
from pkgutil import resolve_name

import numpy as np
import sklearn
import torch
from sklearn.base import BaseEstimator
from sklearn.pipeline import Pipeline
from torch import nn

from sknoisy import files
from sknoisy.encoders.features import TrainedEncoder
from sknoisy.encoders.modules import Template
from sknoisy.estimators.saving import (
    CALLBACKS,
    KIND,
    LEFT_OUT,
    OF_MODULES,
    PARTS,
    TRUSTED_LAYERS,
    Saved,
    import_path,
    without,
    without_caches,
)
from sknoisy.parameters import Method
from sknoisy.warning import warn


class NotAllowed(ValueError):
    """Raised for a file that needs code which was not allowed."""

    def __init__(self, path, needed):
        super().__init__(
            f"the file {str(path)!r} is not loaded: it needs code of other packages. "
            f"If you trust the file with it, pass allow={needed}."
        )
        self.needed = needed


def load(path, allow=()):
    """Load an estimator that was saved by :func:`save`; no code in the file is run.

    Parameters
    ----------
    path : str or path-like
        The file.
    allow : iterable of str, class or function, default=()
        What the model may contain besides this package and PyTorch's layers: import
        paths such as "mymodule.MyEncoder", whole packages such as "sklearn.*", or
        classes and functions themselves. Allow only what you know: a model may call it.

    Returns
    -------
    estimator : estimator instance
        The estimator, which predicts as the saved one did.

    Raises
    ------
    ValueError
        If the file is damaged, not a model of this package, or of a newer version; or
        if it needs something that is not allowed, which the message names.

    Warns
    -----
    UserWarning
        If it holds estimators of another version of scikit-learn.

    See Also
    --------
    save : Saves the file, and has an example.
    """
    if isinstance(allow, (str, bool)):
        raise ValueError(
            f"allow={allow!r} is not valid: pass a list of what the file may hold; "
            "without it, the error names what is needed."
        )
    builder = _Builder(allow)
    try:
        content = files.read(path, KIND, builder.build)
    except ValueError:
        if not builder.refused:
            raise
    if builder.refused:
        raise NotAllowed(path, sorted(builder.refused))
    estimator = content.get("estimator") if isinstance(content, dict) else None
    if not isinstance(estimator, BaseEstimator):
        raise ValueError(f"the file {str(path)!r} cannot be read: it has no estimator.")
    saved = content.get("versions", {}).get("scikit-learn")
    if builder.of_sklearn and saved != sklearn.__version__:
        names = ", ".join(sorted(builder.of_sklearn))
        warn(
            f"the file {str(path)!r} holds {names} of scikit-learn {saved} and is "
            f"loaded by {sklearn.__version__}: its predictions may differ, or fail.",
        )
    return estimator


# Kinds of numbers, such as the dtype of scikit-learn's transformers.
NUMBERS = {
    import_path(kind): kind
    for kind in (*set(np.sctypeDict.values()), bool, int, float, complex, str, object)
}


class _Builder:
    """Builds the objects of a file, of classes that are known or allowed."""

    def __init__(self, allow):
        self.refused = set()
        self.of_sklearn = set()  # names of estimators, which fit their own version
        self.allowed, self.packages = {}, ()
        for one in allow:
            if isinstance(one, str) and one.endswith(".*"):
                self.packages += (one[:-1],)
                continue
            try:
                found = resolve_name(one) if isinstance(one, str) else one
                self.allowed[f"{found.__module__}.{found.__qualname__}"] = found
            except (ImportError, AttributeError, ValueError) as error:
                raise ValueError(
                    f"allow={allow!r} is not valid: {one!r} is no import path of a "
                    f"class or function, and no class or function ({error})."
                ) from error

    def build(self, name, state):
        if name in PARTS:
            return PARTS[name](**state)
        if name in PLAIN:
            return PLAIN[name](state)
        return BUILT[name](self, state)

    def _estimator(self, state):
        cls = self._resolve(state["class"], Saved)
        if cls is None:
            return None
        # A cache that the file names would be read with pickle, at the next fit.
        estimator = _called(cls, without(LEFT_OUT, state["params"]))
        names = {*estimator.get_params(deep=False), *cls._ephemeral, *CALLBACKS}
        vars(estimator).update(without(names, state["fitted"]))
        return estimator

    def _method(self, state):
        cls = self._resolve(state["class"], Method)
        return None if cls is None else _called(cls, state["params"])

    def _pipeline(self, state):
        steps = [tuple(step) for step in state["steps"]]
        return Pipeline(steps, **without(LEFT_OUT, state["others"]))

    def _namedtuple(self, state):
        cls = self._resolve(state["class"], tuple)
        return None if cls is None else cls._make(state["values"])

    def _module(self, state):
        tensors = [_tensor(one) for one in state["tensors"]]

        def at(places):
            return {k: None if i is None else tensors[i] for k, i in places.items()}

        def built(described):
            if described is None:
                return None
            cls = self._resolve(described["class"], nn.Module)
            if cls is None:
                cls = nn.Identity  # the whole is refused in the end
            layer = cls.__new__(cls)
            nn.Module.__init__(layer)
            own = described["attributes"] | at(described["constants"])
            if {*own} & {*OF_MODULES}:
                raise ValueError(f"a {cls.__name__} has attributes that are no layer's")
            vars(layer).update(own, training=described["training"])
            layer._parameters.update(at(described["parameters"]))
            layer._buffers.update(at(described["buffers"]))
            layer._non_persistent_buffers_set.update(described["not_kept"])
            for name, sub in described["layers"].items():
                layer._modules[name] = built(sub)
            return layer

        return built(state["root"])

    def _import(self, state):
        if state in NUMBERS:
            return NUMBERS[state]
        return self._resolve(state, nn.Module)

    def _instance(self, state):
        cls = self._resolve(state["class"], None)
        if cls is None:
            return None
        value = cls.__new__(cls)
        if isinstance(value, BaseEstimator) and cls.__module__.startswith("sklearn."):
            self.of_sklearn.add(cls.__name__)
        vars(value).update(without_caches(state["attributes"]))
        return value

    def _resolve(self, path, kind):
        """Return what an import path names, or None if it is not allowed.

        Allowed are classes of a `kind`, of this package and of PyTorch's layers.
        """
        dotted = path.replace(":", ".")
        if dotted in self.allowed:
            return self.allowed[dotted]
        if dotted.startswith(self.packages):
            found = _found(path)
            # Not what a module of the package has imported.
            if import_path(found) == path and _room_of(found).startswith(self.packages):
                return found
        layer = kind is nn.Module and path.startswith(TRUSTED_LAYERS)
        if kind is not None and (layer or path.startswith("sknoisy.")):
            found = _found(path)
            is_kind = inspect.isclass(found) and issubclass(found, kind)
            if is_kind and found.__module__ == path.partition(":")[0]:
                return found
        self.refused.add(dotted)
        return None


def _template(state):
    template = Template.__new__(Template)
    template.name, template.module = state["name"], state["module"]
    template._constants = {(a, b): array for a, b, array in state["constants"]}
    return template


def _random_state(state):
    random_state = np.random.RandomState()
    random_state.set_state(state)
    return random_state


def _partial(state):
    function, args, keywords = state
    return None if function is None else partial(function, *args, **keywords)


def _trained_encoder(state):
    return TrainedEncoder(**state)


def _set(parts):
    if not isinstance(parts, list):
        raise TypeError("a set has no list of parts")
    return set(parts)


def _ufunc(name):
    found = getattr(np, name, None)
    if not isinstance(found, np.ufunc):
        raise ValueError(f"{name!r} is no function of NumPy")
    return found


# Builders by the names that saving.py gives: of what may need code, which must be
# allowed, and of what does not.
BUILT = {
    "Pipeline": _Builder._pipeline,
    "estimator": _Builder._estimator,
    "import": _Builder._import,
    "instance": _Builder._instance,
    "method": _Builder._method,
    "module": _Builder._module,
    "namedtuple": _Builder._namedtuple,
}
PLAIN = {
    "RandomState": _random_state,
    "Template": _template,
    "TrainedEncoder": _trained_encoder,
    "partial": _partial,
    "path": Path,
    "set": _set,
    "ufunc": _ufunc,
}


def _room_of(found):
    return f"{found.__module__}."


def _found(path):
    """Return the class or function that an import path names."""
    try:
        found = resolve_name(path)
    except (ImportError, AttributeError) as error:
        dotted = path.replace(":", ".")
        raise ValueError(f"there is no {dotted} in this version") from error
    if not (inspect.isclass(found) or inspect.isroutine(found)):
        raise ValueError(f"{path} is no class or function")
    return found


def _called(cls, params):
    try:
        return cls(**params)
    except TypeError as error:
        raise ValueError(f"{cls.__name__} has other parameters: {error}") from error


def _tensor(described):
    values = described["values"]
    if values is None:
        shape, dtype = described["shape"], described["dtype"]
        values = torch.empty(shape, dtype=dtype, device="meta")
    if described["is_parameter"]:
        return nn.Parameter(values, described["requires_grad"])
    return values
