"""skorch's callbacks: which ones work, and what they may ask of a training."""

from copy import copy
from fnmatch import fnmatch

import skorch.callbacks as skorch_callbacks
from skorch.callbacks import (
    BatchScoring,
    Callback,
    EarlyStopping,
    EpochScoring,
    GradientNormClipping,
    LRScheduler,
    WandbLogger,
)
from skorch.callbacks.training import ParamMapper

# Each of these is tested, for what it does to a training.
WORKING = (
    "BatchScoring",
    "Checkpoint",
    "EarlyStopping",
    "EpochScoring",
    "EpochTimer",
    "Freezer",
    "GradientNormClipping",
    "Initializer",
    "LRScheduler",
    "MlflowLogger",
    "ParamMapper",
    "PassthroughScoring",
    "PrintLog",
    "ProgressBar",
    "SacredLogger",
    "TensorBoard",
    "TrainEndCheckpoint",
    "Unfreezer",
    "WandbLogger",
)
REFUSED = {
    "InputShapeSetter": "the encoder takes the shape of the samples from X",
    "LoadInitState": "fit begins anew; sknoisy's Checkpoint lets it go on, and "
    "weights= gives it a start",
    "NeptuneLogger": "it was never tried; a callback of yours can log net.history[-1]",
}
# Of several ranks, the first alone has these: they print, or write files.
REPORTING = (
    "Checkpoint",
    "MlflowLogger",
    "PrintLog",
    "ProgressBar",
    "SacredLogger",
    "TensorBoard",
    "TrainEndCheckpoint",
    "WandbLogger",
)
VALIDATION_NAMES = ("valid_loss", "valid_acc")


class StopTraining(KeyboardInterrupt):
    """Raised by a skorch callback of your own to end the training after this epoch.

    A plain ``KeyboardInterrupt`` is the user's Ctrl-C, and is raised to the caller.

    Examples
    --------
    >>> from skorch.callbacks import Callback
    >>> from sknoisy.training import StopTraining
    >>> class StopAtLoss(Callback):
    ...     def on_epoch_end(self, net, **kwargs):
    ...         if net.history[-1, "train_loss"] < 0.1:
    ...             raise StopTraining
    """


def asks_to_stop(callback, interrupt):
    """Whether a callback ends the training, and not the user.

    skorch's EarlyStopping raises the same exception as Ctrl-C does, but only once its
    patience is used up.
    """
    if isinstance(interrupt, StopTraining):
        return True
    is_early_stopping = isinstance(callback, EarlyStopping)
    return is_early_stopping and callback.misses_ >= callback.patience


def without_networks(callbacks):
    """Return callbacks for a pickle: an LRScheduler keeps the optimiser.

    Its tensors are on the training's device, and as large as the network.
    """
    if not isinstance(callbacks, (list, tuple)):
        return callbacks
    return [
        (one[0], _light(one[1])) if isinstance(one, tuple) else _light(one)
        for one in callbacks
    ]


def _light(callback):
    if not isinstance(callback, LRScheduler):
        return callback
    light = copy(callback)
    vars(light).pop("lr_scheduler_", None)
    return light


def unnamed(callbacks):
    """Return skorch's callbacks without the names that they may be given with."""
    return [c[-1] if isinstance(c, tuple) and c else c for c in callbacks or ()]


def only_reports(callback):
    """Whether a callback, maybe with a name, is one that prints or writes files."""
    (callback,) = unnamed([callback])
    return isinstance(callback, tuple(getattr(skorch_callbacks, n) for n in REPORTING))


def check_callbacks(callbacks, schedule, rising_epochs, validates, knows_labels):
    """Raise ``ValueError`` for callbacks that could not do what they are for.

    Parameters
    ----------
    callbacks : object
        The parameter of an estimator.
    schedule : str
        The estimator's own schedule of the learning rate.
    rising_epochs : int
        Epochs in which the learning rate rises by that schedule.
    validates : bool
        Whether there are validation samples.
    knows_labels : bool
        Whether the training is one on labels.
    """
    is_list = callbacks is None or isinstance(callbacks, (list, tuple))
    given = unnamed(callbacks) if is_list else []
    if not is_list or not all(isinstance(callback, Callback) for callback in given):
        raise ValueError(
            f"callbacks={callbacks!r} is not valid: it must be a list of instances of "
            "skorch's callbacks, such as [Checkpoint('folder')], or None."
        )
    for callback in given:
        _check_known(callback)
        if isinstance(callback, LRScheduler):
            _check_rate(schedule, rising_epochs)
        if getattr(callback, "f_pickle", None) is not None:
            _refuse(
                callback,
                f"f_pickle={callback.f_pickle!r}: the net is a part of its estimator, "
                "which joblib can save. Pass f_params",
            )
        _check_scoring(callback, validates, knows_labels)
    if not validates:
        _check_monitors(given)


def check_patterns(callbacks, names):
    """Raise ``ValueError`` for patterns of parameters that match none.

    Parameters
    ----------
    callbacks : list of skorch callbacks or None
        Checked already.
    names : iterable of str
        Names of the network's parameters.
    """
    names = list(names)
    for callback in unnamed(callbacks):
        if not isinstance(callback, ParamMapper):
            continue
        patterns = callback.patterns
        patterns = patterns if isinstance(patterns, (list, tuple)) else [patterns]
        for pattern in patterns:
            # A function is asked later, as it may depend on what it is asked.
            if isinstance(pattern, str) and not any(fnmatch(n, pattern) for n in names):
                shown = names if len(names) < 5 else [*names[:3], "...", names[-1]]
                _refuse(
                    callback,
                    f"the pattern {pattern!r}, which matches none of the network's "
                    f"parameters: {', '.join(shown) or 'it has none'}",
                )


def changing(callbacks):
    """Return names and parameters of skorch's callbacks that change what is learned.

    Parameters
    ----------
    callbacks : list of skorch callbacks or None
        All of them; those that only report, and the user's own, are left out.
    """
    kinds = EarlyStopping, GradientNormClipping, LRScheduler, ParamMapper
    return [
        (type(callback).__name__, callback.get_params())
        for callback in unnamed(callbacks)
        if isinstance(callback, kinds)
    ]


def listens(callbacks, event):
    """Whether any callback listens to an event, such as "on_batch_end"."""
    return any(
        getattr(type(callback), event, None) is not getattr(Callback, event, None)
        for _, callback in callbacks
    )


def scores_training(callbacks):
    """Whether any callback scores the predictions of the batches that are trained."""
    return any(getattr(callback, "on_train", False) for _, callback in callbacks)


def _check_known(callback):
    """Refuse what skorch has, or may have in later versions, and was not tested."""
    for name, reason in REFUSED.items():
        if isinstance(callback, getattr(skorch_callbacks, name)):
            raise ValueError(f"callbacks=[{name}] is not valid: {reason}.")
    kind = type(callback)
    if kind.__module__.startswith("skorch.") and kind.__name__ not in WORKING:
        raise ValueError(
            f"callbacks=[{kind.__name__}] is not valid: the callbacks of skorch that "
            f"work here are {', '.join(WORKING)}."
        )


def _check_rate(schedule, warmup):
    if schedule != "constant":
        raise ValueError(
            f"schedule={schedule!r} is not valid with callbacks=[LRScheduler]: both "
            "set the learning rate. Pass schedule='constant', or no LRScheduler."
        )
    if warmup:
        raise ValueError(
            f"lr_warmup_epochs={warmup} is not valid with callbacks=[LRScheduler]: "
            "both set the learning rate. Pass lr_warmup_epochs=0, or no LRScheduler."
        )


def _check_scoring(callback, validates, knows_labels):
    if not isinstance(callback, (BatchScoring, EpochScoring)):
        return
    if not callback.on_train and not validates:
        validation = "validation=0.1, or " if knows_labels else ""
        _refuse(
            callback,
            "on_train=False where there are no validation samples. Pass "
            f"{validation}on_train=True to it",
        )
    if not knows_labels and not callable(callback.scoring):
        _refuse(
            callback,
            f"scoring={callback.scoring!r}: no label is known in this training. Pass a "
            "function of (net, X, y), in which net.predict(X) gives features",
        )


def _check_monitors(callbacks):
    """Refuse what waits for scores of validation samples where there are none."""
    scored = {getattr(callback, "name", None) for callback in callbacks}
    unknown = {*VALIDATION_NAMES, *(f"{name}_best" for name in VALIDATION_NAMES)}
    unknown -= scored | {f"{name}_best" for name in scored}
    for callback in callbacks:
        monitor = getattr(callback, "monitor", None)
        if isinstance(callback, LRScheduler) and "Plateau" not in str(callback.policy):
            continue  # it has a monitor, but looks at none
        if isinstance(callback, WandbLogger) and callback.save_model:
            monitor = "valid_loss_best"
        if isinstance(monitor, str) and monitor in unknown:
            _refuse(
                callback,
                f"{monitor!r}, which it asks for, where there are no validation "
                "samples. Pass validation=0.1 to a classifier, or let it ask for "
                "another value, such as 'train_loss'",
            )


def _refuse(callback, reason):
    name = type(callback).__name__
    raise ValueError(f"callbacks=[{name}] is not valid with {reason}.")
