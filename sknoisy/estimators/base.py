"""What the estimators share: parameters of training and inputs."""

import os
from contextlib import contextmanager

import numpy as np
import torch
from sklearn.base import is_classifier
from sklearn.utils.validation import check_array, validate_data

from sknoisy import ranks
from sknoisy._compat import CALLBACK_STATE, CallbackSupportMixin
from sknoisy.checks import check_choice, check_integer, check_real, random_numbers
from sknoisy.data.devices import (
    check_memory,
    own_modes,
    resolve_device,
    resolve_precision,
)
from sknoisy.data.inputs import (
    as_inputs,
    check_image_size,
    check_unused,
    is_paths,
    paths_of,
)
from sknoisy.data.spec import InputSpec
from sknoisy.data.stores import sharing_decoded
from sknoisy.data.threads import free_threads
from sknoisy.encoders.blueprint import Blueprint
from sknoisy.encoders.features import LazyFeatures
from sknoisy.encoders.named import check_encoder
from sknoisy.estimators.saving import Saved
from sknoisy.parameters import NamedMethods
from sknoisy.training.callbacks import check_callbacks, only_reports, unnamed
from sknoisy.training.checkpoint import Checkpoint
from sknoisy.training.distributed import together
from sknoisy.training.interrupts import heeding_interrupts, raise_lost_interrupt
from sknoisy.training.optim import OPTIMIZERS, SCHEDULES
from sknoisy.training.pace import TimeLimit
from sknoisy.training.run import Settings
from sknoisy.warning import warn


class TorchEstimator(NamedMethods, CallbackSupportMixin, Saved):
    """Base class: parameters are scikit-learn's, the training is a private net."""

    _min_samples = 1
    _auto = None  # "auto" where max_epochs, lr, weight_decay, optimizer may be that
    validation = max_time = None  # of those that lack these parameters

    def _check_parameters(self):
        """Check what all estimators have; before any array or device is touched."""
        auto = self._auto
        check_integer("max_epochs", self.max_epochs, other=auto)
        check_integer("batch_size", self.batch_size, low=2, other="auto")
        check_real("lr", self.lr, "(0, inf)", other=auto)
        check_real("momentum", self.momentum, "[0, 1)")
        check_real("weight_decay", self.weight_decay, "[0, inf)", other=auto)
        optimizers = [*OPTIMIZERS] if auto is None else [auto, *OPTIMIZERS]
        check_choice("optimizer", self.optimizer, optimizers)
        check_choice("schedule", self.schedule, list(SCHEDULES))
        check_choice("channels", self.channels, ["auto", "first", "last"])
        check_choice("precision", self.precision, ["auto", "float32", "bfloat16"])
        check_choice("verbose", self.verbose, [None, True, False])
        check_choice("compile", self.compile, [True, False])
        check_callbacks(
            self.callbacks,
            self.schedule,
            self._rising_epochs(),
            self.validation is not None,
            knows_labels=is_classifier(self),
        )
        for callback in filter(_is_checkpoint, self.callbacks or ()):
            unnamed([callback])[0].check()
        if self.image_size is not None:
            check_image_size(self.image_size)
        random_numbers(self.random_state)
        resolve_device(self.device)

    def _time_limit(self):
        """Return the limit that begins now, or None."""
        if self.max_time is None:
            return None
        check_real("max_time", self.max_time, "(0, inf)")
        return TimeLimit(self.max_time)

    def _rising_epochs(self):
        """Return in how many epochs the rate rises at first."""
        return 0

    def _read(self, X, reset, spec=None):
        """Check X; return raw inputs, and the encoder of lazy features or None.

        Without `reset`, X must be like the training X, of which `spec` is known.
        """
        is_fitted = not reset and spec is None
        if is_fitted:
            spec = self._known_spec()
        if is_fitted and hasattr(X, "columns") and spec.kind == "vector":
            validate_data(self, X, reset=False, skip_check_array=True)  # names first
        trained = X.encoder if isinstance(X, LazyFeatures) else None
        inputs = as_inputs(X if trained is None else X.inputs)
        min_samples = self._min_samples if reset else 1
        if is_paths(inputs) or isinstance(inputs, torch.Tensor):
            # What scikit-learn cannot check: files, and tensors on a GPU, which stay.
            _check_samples(inputs, min_samples)
            if reset:
                take_features_in(self)
            if reset and inputs.ndim > 1:
                self.n_features_in_ = inputs.shape[1]
            return inputs, trained
        settings = {"allow_nd": True, "ensure_min_samples": min_samples}
        try:
            if not reset and spec.kind == "image":
                # Images have no features to count; their spec compares all axes.
                checked = check_array(inputs, **settings, estimator=self)
            else:
                checked = validate_data(self, inputs, reset=reset, **settings)
        except ValueError as error:
            hint = self._features_hint(inputs) if is_fitted else ""
            if not hint:
                raise
            raise ValueError(f"{error} {hint}") from error
        if checked.dtype == object:  # of decimals in a frame, which it leaves alone
            checked = checked.astype(np.float64)
        # scikit-learn returns a memmap as an array, which would not be streamed.
        as_it_was = isinstance(inputs, np.memmap) and inputs.dtype == checked.dtype
        return inputs if as_it_was else checked, trained

    def _features_hint(self, X):
        """Return what to add to an error if X seems to hold features, or ""."""
        return ""

    def _known_spec(self):
        """Return the spec of the samples that this was fitted on."""
        raise NotImplementedError

    def _blueprint(self, inputs, trained):
        """Return the blueprint of the encoder, from lazy features or parameters."""
        _check_weights_file(self.weights)
        if trained is None:
            spec = InputSpec.learn(inputs, self.channels, self.image_size)
            encoder = check_encoder(self.encoder, spec)
            return Blueprint(encoder, spec, self.weights)
        encoder = trained.blueprint.encoder
        if self.encoder != "auto" and self.encoder != encoder:
            raise ValueError(
                f"encoder={self.encoder!r} is not valid: X holds lazy features of the "
                f"encoder {str(trained.blueprint)!r}, which this estimator trains on. "
                'Pass encoder="auto", or give that encoder to the pre-trainer.'
            )
        given, size = self.image_size, trained.blueprint.spec.shape[1:]
        check_unused(inputs, given)
        if given is not None and check_image_size(given) != size:
            raise ValueError(
                f"image_size={given!r} is not valid: X holds lazy features "
                f"of images that are read at {size}. Pass image_size to the "
                "pre-trainer, and None or the same to this estimator."
            )
        if self.weights is not None:
            raise ValueError(
                f"weights={self.weights!r} is not valid: X holds lazy features, whose "
                "encoder has weights. Pass weights to the pre-trainer."
            )
        return trained.blueprint

    def _settings(self, n_samples, spec, defaults, lr_warmup=0.0):
        """Return how a network is trained.

        Parameters
        ----------
        defaults : dict of str to object
            What parameters are that are "auto".
        """
        if self.compile and ranks.size() > 1:
            raise ValueError(
                "compile=True is not valid where several ranks train together: pass "
                "False."
            )
        device = resolve_device(self.device)
        names = ("max_epochs", "batch_size", "lr", "weight_decay", "optimizer")
        given = {name: getattr(self, name) for name in names}
        given = {k: defaults[k] if v == "auto" else v for k, v in given.items()}
        batch_size = given["batch_size"]
        if batch_size > n_samples:
            warn(
                f"batch_size={batch_size} is more than the {n_samples} samples and is "
                f"clipped to {n_samples}.",
            )
            batch_size = n_samples
        check_memory(spec.shape, batch_size, device)
        return Settings(
            # PyTorch takes Python's numbers, not all of NumPy's.
            max_epochs=int(given["max_epochs"]),
            batch_size=int(batch_size),
            lr=float(given["lr"]),
            momentum=float(self.momentum),
            weight_decay=float(given["weight_decay"]),
            optimizer=given["optimizer"],
            schedule=self.schedule,
            lr_warmup=float(lr_warmup),
            device=device,
            precision=resolve_precision(self.precision, device, spec.kind),
            head_precision=resolve_precision(self.precision, device, "vector"),
            **self._reporting(),
        )

    def _reporting(self):
        """Return the settings that only say what is told of the training."""
        # A checkpoint is written when all others have heard of the epoch.
        callbacks = tuple(sorted(self.callbacks or (), key=_is_checkpoint))
        first = ranks.rank() == 0
        if not first:
            callbacks = tuple(c for c in callbacks if not only_reports(c))
        return {"callbacks": callbacks, "verbose": first and self.verbose is not False}

    def _seeds(self, n):
        """Return n seeds by `random_state`."""
        return drawn_seeds(self.random_state, n)


def take_features_in(estimator, part=None):
    """Set what scikit-learn keeps of the columns of X as a fitted part has it.

    Parameters
    ----------
    estimator : estimator instance
        What keeps it; that of an earlier fit is forgotten.
    part : estimator instance, default=None
        What was fitted to the same X; None: there are no columns.
    """
    for name in ("n_features_in_", "feature_names_in_"):
        vars(estimator).pop(name, None)
        if hasattr(part, name):
            setattr(estimator, name, getattr(part, name))


def drawn_seeds(random_state, n):
    """Return n seeds by the parameter `random_state`, the same on all ranks."""
    seeds = random_numbers(random_state).randint(2**31 - 1, size=n)
    # Without a random_state, ranks would draw each their own.
    return ranks.from_first(torch.from_numpy(seeds)).tolist()


@contextmanager
def fitting(estimator):
    """A fit that fails leaves the estimator as it was.

    The modes that the caller has set for PyTorch and NumPy do not count, and PyTorch
    uses free cores only. Where torchrun started several ranks, they compute together.

    Parameters
    ----------
    estimator : estimator instance
        What is fitted in this context.
    """
    before = dict(vars(estimator))
    try:
        with heeding_interrupts(), own_modes(), together(), free_threads():
            yield
    except BaseException:
        # scikit-learn's callbacks are told of the end of this fit, too.
        now = vars(estimator)
        before |= {name: now[name] for name in CALLBACK_STATE if name in now}
        now.clear()
        now.update(before)
        raise
    raise_lost_interrupt()


@contextmanager
def fitting_often(estimator, X):
    """The same for who fits and asks classifiers on X, or parts of it, many times.

    Image files are then decoded once for all of them, as far as they are kept.

    Parameters
    ----------
    estimator : estimator instance
        What is fitted in this context.
    X : array-like of shape (n_samples, ...)
        What it is given.
    """
    inputs = X.inputs if isinstance(X, LazyFeatures) else X
    with fitting(estimator), sharing_decoded(paths_of(inputs)):
        yield


def _is_checkpoint(callback):
    return isinstance(unnamed([callback])[0], Checkpoint)


def _check_weights_file(weights):
    if weights is None or isinstance(weights, str) and weights == "imagenet":
        return
    if isinstance(weights, (str, os.PathLike)) and os.path.isfile(weights):
        return
    raise ValueError(
        f"weights={weights!r} is not valid: it must be 'imagenet', the path of a file "
        "that exists, or None."
    )


def _check_samples(X, min_samples):
    """Check paths and tensors as scikit-learn checks arrays."""
    if len(X) < min_samples:
        raise ValueError(
            f"Found array with {len(X)} sample(s) (shape={tuple(X.shape)}) while a "
            f"minimum of {min_samples} is required."
        )
    if isinstance(X, torch.Tensor) and (X.is_complex() or not X.isfinite().all()):
        raise ValueError("Input X contains NaN, infinity or complex values.")
