"""Methods as the parameters of estimators.

A method (a loss, a self-supervised method, a set of views) is a small object
with ``get_params``, as Gaussian-process kernels are in scikit-learn: it clones,
prints, pickles and is searched by ``GridSearchCV`` like any estimator, and a
string is short for the object with its defaults.
"""

import inspect
from functools import total_ordering
from inspect import signature
from numbers import Real

import numpy as np
import torch
from sklearn.base import BaseEstimator, clone

from sknoisy.checks import unknown


@total_ordering
class Method(BaseEstimator):
    """A named method with hyper-parameters and, while it trains, state.

    Subclasses only assign in ``__init__`` and validate in :meth:`check`.
    Estimators work on a clone, so an object given by the user never changes.

    Methods of one class with equal parameters are equal, and methods and short names
    can be sorted together, by class and then by parameters: what a search returns can
    be grouped and pivoted by them. As with all keys, do not change a method that is a
    key of a dict.

    Attributes
    ----------
    transient : tuple of str
        Attributes that a checkpoint leaves out, since the training makes them anew
        when it goes on; of the class.
    """

    transient = ()

    def __eq__(self, other):
        if type(self) is not type(other):
            return NotImplemented
        return self is other or _sort_key(self) == _sort_key(other)

    def __hash__(self):
        return hash(_sort_key(self))

    def __lt__(self, other):
        if not isinstance(other, (Method, str)):
            return NotImplemented
        return _sort_key(self) < _sort_key(other)

    def __str__(self):
        """Return class and changed parameters on one line, arrays by their shapes."""
        parameters = signature(type(self).__init__).parameters.values()
        defaults = {p.name: p.default for p in parameters}
        changed = [
            f"{name}={_short(value)}"
            for name, value in self.get_params(deep=False).items()
            if _plain(value) != _plain(defaults.get(name))
        ]
        return f"{type(self).__name__}({', '.join(changed)})"

    def check(self):
        """Raise ``ValueError`` if a hyper-parameter is out of its range."""

    def checkpoint(self):
        """Return what a file must hold for the training to go on.

        Returns
        -------
        kept : dict of str to object
            By default all attributes but parameters and those named in `transient`.
            They must be tensors, arrays, numbers, strings or None, or containers of
            these: a file holds nothing that runs code when it is read.
        """
        left_out = {*self.get_params(deep=False), *self.transient}
        return {k: v for k, v in vars(self).items() if k not in left_out}

    def resume(self, kept):
        """Take over what :meth:`checkpoint` returned.

        Parameters
        ----------
        kept : dict of str to object
            The same, after a training of equal data and parameters has begun.
        """
        kept = dict(kept)
        if "state_" in kept:  # the dict itself stays: tables read and write it
            self.state_.clear()
            self.state_.update(kept.pop("state_"))
        vars(self).update(kept)

    def __setstate__(self, state):
        super().__setstate__(with_defaults(type(self), state))


def with_defaults(cls, state):
    """Return the state of a pickle, with defaults of parameters that it lacks.

    Parameters
    ----------
    cls : type
        Class of what was pickled, perhaps by an older version.
    state : dict of str to object
        Its attributes.
    """
    parameters = signature(cls.__init__).parameters.values()
    defaults = {p.name: p.default for p in parameters if p.default is not p.empty}
    return {**defaults, **state}


def resolve(name, value, registry, kind, optional=False):
    """Return a fresh, checked method for a parameter's value.

    Parameters
    ----------
    name : str
        Name of the parameter, for the error message.
    value : str or Method
        A key of `registry`, or an instance of `kind`.
    registry : dict of str to type
        Classes by their short names.
    kind : type
        Base class that an object must have.
    optional : bool, default=False
        Whether the parameter may be None, too, for the error message.

    Returns
    -------
    method : Method
        A clone of `value`, or a new object of the class it names.
    """
    if isinstance(value, str):
        if value not in registry:
            raise ValueError(unknown(name, value, registry, optional))
        value = registry[value]()
    if isinstance(value, type) or not isinstance(value, kind):
        none = "None, " if optional else ""
        raise ValueError(
            f"{name}={value!r} is not valid: it must be {none}one of "
            f"{sorted(registry)} or an instance of {kind.__name__}"
            + (", not a class." if isinstance(value, type) else ".")
        )
    method = clone(value)
    method.check()
    return method


class NamedMethods:
    """Mixin: a method that is given by name is searchable like its object.

    ``set_params(loss__lam=3)`` works on ``loss="elr"`` as it does on
    ``loss=ELR()``: the name is replaced by the object that it stands for.
    `_registries` maps parameter names to their registries.
    """

    _registries = {}

    def get_params(self, deep=True):
        """Return the parameters of this estimator.

        Parameters
        ----------
        deep : bool, default=True
            Whether to return those of nested objects, too.

        Returns
        -------
        params : dict of str to object
            Values by name.
        """
        parameters = inspect.signature(type(self).__init__).parameters.values()
        if any(p.kind is p.VAR_KEYWORD for p in parameters):
            # scikit-learn would leave them out, and a clone would have the defaults.
            raise RuntimeError(
                f"{type(self).__name__} must name all of its parameters in the "
                "signature of its __init__ (no varargs, no **kwargs), as scikit-learn "
                "asks for, or clones would lose them."
            )
        return super().get_params(deep)

    def set_params(self, **params):
        """Set the parameters of this estimator and of its methods.

        Parameters
        ----------
        **params : dict
            Parameter values; ``method__parameter`` reaches into a method.

        Returns
        -------
        self : estimator instance
            This estimator.
        """
        for key in params:
            name, nested, _ = key.partition("__")
            value = params.get(name, getattr(self, name, None))
            registry = self._registries.get(name, {})
            if nested and isinstance(value, str) and registry:
                if value not in registry:
                    raise ValueError(
                        f"{key} is not valid with {name}={value!r}: {name} must be one "
                        f"of {sorted(registry)}, or an object with parameters."
                    )
                params = {**params, name: registry[value]()}
        return super().set_params(**params)


def seed_parts(estimator, rng):
    """Seed an estimator and its parts where they have no seed of their own.

    Parameters
    ----------
    estimator : estimator
        What may have parts.
    rng : numpy.random.RandomState
        Source of the seeds, one a part.
    """
    params = sorted(estimator.get_params().items())
    unset = [k for k, v in params if k.endswith("random_state") and v is None]
    estimator.set_params(**{key: int(rng.randint(2**31 - 1)) for key in unset})


def comparable(estimator):
    """Return an estimator's parameters in a form that compares: by value, arrays, too.

    Parameters
    ----------
    estimator : estimator or Method
        What has them.

    Returns
    -------
    parameters : dict of str to object
        Of nested objects, too.
    """
    return {name: _plain(value) for name, value in estimator.get_params().items()}


def _plain(value):
    if isinstance(value, torch.Tensor):
        value = value.detach().cpu().numpy()
    if isinstance(value, np.ndarray):  # whose repr is abbreviated
        return value.shape, value.dtype, value.tobytes()
    return repr(value)


def _sort_key(value):
    """Return what a method or a short name is sorted by."""
    if isinstance(value, str):
        return (value.lower(),)
    cls, params = type(value), value.get_params(deep=False)
    values = tuple((name, _rank(params[name])) for name in sorted(params))
    return cls.__name__.lower(), f"{cls.__module__}.{cls.__qualname__}", values


def _rank(value):
    """Return a value as a tuple that compares with that of any other value."""
    if isinstance(value, Real) and value == value:  # not NaN
        return 0, float(value)
    if isinstance(value, Method):
        return 1, _sort_key(value)
    return 2, str(_plain(value))


def _short(value):
    if isinstance(value, (np.ndarray, torch.Tensor)):
        return f"array of shape {tuple(value.shape)}"
    return str(value) if isinstance(value, Method) else " ".join(repr(value).split())
