"""What a user sees of a training while it runs."""

import logging
import sys
import time
from contextlib import contextmanager, suppress

from sknoisy import ranks
from sknoisy._compat import (
    callback_context,
    has_callbacks,
    search_position,
    within_search,
)
from sknoisy.bars import bar

LOGGER = logging.getLogger("sknoisy")
LONG = 120  # seconds from which on a user is told how long a training will take
WATCHED = 5  # seconds of it that must have passed to tell


class Progress:
    """A progress bar, lines of a log, and scikit-learn's callbacks where they are set.

    Parameters
    ----------
    estimator : estimator instance
        What is trained.
        Its `verbose` asks for a bar (True), none (False), or one once ten seconds have
        passed, in a terminal or a notebook, and not within a search (None). Elsewhere
        than in a terminal or a notebook, True prints a line for each epoch.
    n_samples, n_epochs : int
        Size of the training.
    n_done : int, default=0
        Epochs that were done before.
    X, y : object or callable, default=None
        What scikit-learn's callbacks are told that it is trained on.
    learned : callable, default=None
        Returns the fitted attributes of the estimator, if it stopped now.
    limit : TimeLimit, default=None
        When the training has to end.
    spec : InputSpec, default=None
        What its samples are.
    """

    def __init__(
        self,
        estimator,
        n_samples,
        n_epochs,
        n_done=0,
        X=None,
        y=None,
        learned=None,
        limit=None,
        spec=None,
    ):
        self._context, self._data = None, {"estimator": estimator, "X": X, "y": y}
        self._learned = learned
        is_heard = has_callbacks(estimator)
        if is_heard:
            self._context = callback_context(estimator, n_epochs - n_done)
            self._context.call_on_fit_task_begin(**self._data)
        verbose = estimator.verbose if ranks.rank() == 0 else False
        quiet = verbose is None and (is_heard or within_search())
        shown = bar(
            desc=type(estimator).__name__,
            total=n_samples * n_epochs,
            initial=n_samples * n_done,
            unit=" samples",
            unit_scale=True,
            delay=0 if verbose else 10,
            leave=bool(verbose),
            disable=True if quiet or verbose is False else None,  # None: no terminal
        )
        # Python swallows a Ctrl-C that comes while a bar is collected as garbage, which
        # a bar that is not shown would be at any time.
        self._bar = None if shown.disable else shown
        self._prints = bool(verbose) and self._bar is None
        self._name = type(estimator).__name__ + search_position()
        self._advice = advice(estimator, spec)
        self._epoch = None
        self._n_epochs, self._n_left = n_epochs, n_samples * (n_epochs - n_done)
        self._limit = limit
        self._tells_time = limit is None and not quiet and verbose is not False
        self.pace_changes()

    def __enter__(self):
        return self

    def __exit__(self, *error):
        if self._bar is not None:
            self._bar.close()
        if self._context is not None:
            self._task_end(self._context, None if any(error) else self._learned)

    def pace_changes(self):
        """Called when what follows takes more or less time than what was before."""
        self._since, self._n_since = None, 0

    def epoch_begin(self):
        """Called when an epoch begins."""
        if self._context is not None:
            self._epoch = self._context.subcontext(task_name="epoch")
            self._epoch.call_on_fit_task_begin(**self._data)

    def advance(self, n_samples):
        """Called when a batch is done."""
        self._n_left -= n_samples
        if self._bar is not None:
            self._bar.update(n_samples)
        if self._since is None:  # the first batch also pays for what is done once
            self._since = time.perf_counter()
            return
        self._n_since += n_samples
        if self._tells_time and time.perf_counter() - self._since > WATCHED:
            self._tells_time = False
            self._tell_time()

    def epoch_end(self, row, is_solved=False):
        """Called with the history's row of an epoch; return whether to stop.

        What is solved in closed form has no epochs to tell of, but within a search it
        has a place.
        """
        names = [n for n in ("train_loss", "valid_loss", "valid_acc") if n in row]
        shown = {name: f"{row[name]:.4f}" for name in names}
        if self._bar is not None:
            self._bar.set_postfix(epoch=row["epoch"], **shown, refresh=False)
        if self._prints or not is_solved or search_position():
            self._log_epoch(row, shown)
        if self._epoch is None:
            return False
        return self._task_end(self._epoch, self._learned)

    def _log_epoch(self, row, shown):
        if not self._prints and not LOGGER.isEnabledFor(logging.INFO):
            return
        shown = shown | {"lr": f"{row['lr']:.3g}"} if "lr" in row else shown
        parts = [f"{name} {value}" for name, value in shown.items()]
        if "dur" in row:
            parts.append(duration(row["dur"]))
        left = self._seconds_left()
        if left is not None and self._n_left > 0 and left > 0:
            parts.append(f"{duration(left)} left")
        line = f"{self._name}: epoch {row['epoch']}/{self._n_epochs}, "
        line += ", ".join(parts)
        if self._prints and not LOGGER.isEnabledFor(logging.INFO):
            _print(line)
        LOGGER.info(line)

    def _seconds_left(self):
        if not self._n_since:
            return None
        left = self._n_left * (time.perf_counter() - self._since) / self._n_since
        return left if self._limit is None else min(left, self._limit.seconds_left())

    def _tell_time(self):
        left = self._seconds_left()
        if left < LONG:
            return
        epochs = "1 epoch" if self._n_epochs == 1 else f"{self._n_epochs} epochs"
        line = f"{self._name}: {duration(left)} left for {epochs}. {self._advice}"
        if self._bar is not None:
            self._bar.write(line)
        else:
            LOGGER.warning(line)

    def _task_end(self, context, learned):
        return bool(
            context.call_on_fit_task_end(
                **self._data, reconstruction_attributes=learned
            )
        )


def _print(line):
    """Print a line to the standard error, unless it is missing, closed or full.

    A training of hours does not end for a line of its log.
    """
    with suppress(AttributeError, OSError, ValueError):
        sys.stderr.write(f"{line}\n")
        sys.stderr.flush()


def advice(estimator, spec=None):
    """Return what makes a training by this estimator faster, a sentence.

    Parameters
    ----------
    estimator : estimator instance
        Parameters that it does not have are not named.
    spec : InputSpec, default=None
        What its samples are.

    Examples
    --------
    >>> from sknoisy import SSLPretrainer
    >>> advice(SSLPretrainer())
    'Faster: max_time, or fewer max_epochs.'
    """
    known = estimator.get_params(deep=False)
    is_image = spec is not None and spec.kind == "image"
    smaller = "smaller images"
    if is_image and spec.layout == "path":
        smaller += " (image_size)"  # arrays stay as large as they are
    published = "a PretrainedEncoder in front with freeze_encoder=True"
    ways = {
        "max_time": "max_time" in known,
        "fewer max_epochs": True,
        smaller: is_image,
        published: is_image and "freeze_encoder" in known,
    }
    *others, last = (way for way, counts in ways.items() if counts)
    return f"Faster: {', '.join([*others, f'or {last}'] if others else [last])}."


def duration(seconds):
    """Return a time as people say it.

    Examples
    --------
    >>> duration(0.03), duration(42), duration(90), duration(20000)
    ('0.03 s', '42 s', '1 min 30 s', '5 h 33 min')
    """
    if seconds < 10:
        return f"{seconds:.2g} s"
    seconds = round(seconds)
    if seconds < 60:
        return f"{seconds} s"
    minutes, seconds = divmod(seconds, 60)
    if minutes < 60:
        return f"{minutes} min {seconds} s"
    hours, minutes = divmod(minutes, 60)
    return f"{hours} h {minutes} min"


class Tasks:
    """The parts of a meta-estimator's fit, of which scikit-learn's callbacks hear.

    Parameters
    ----------
    estimator : estimator instance
        The meta-estimator.
    X, y : array-like
        What it is fitted on.
    n_tasks : int
        Number of parts.
    """

    def __init__(self, estimator, X, y, n_tasks):
        self._data = {"estimator": estimator, "X": X, "y": y}
        # Also without callbacks of its own: those of its parts ask where they stand.
        self._context = callback_context(estimator, n_tasks)
        if self._context is not None:
            self._context.call_on_fit_task_begin(**self._data)

    @contextmanager
    def part(self, name, estimator=None, learned=None):
        """A part of the fit.

        Parameters
        ----------
        name : str
            Its name.
        estimator : estimator instance, default=None
            What is fitted in it, which hears of the callbacks, too.
        learned : callable, default=None
            Returns the fitted attributes of the meta-estimator after this part.
        """
        if self._context is None:
            yield
            return
        context = self._context.subcontext(task_name=name)
        if estimator is None:
            context.call_on_fit_task_begin(**self._data)
            yield
        else:
            with context.propagate_callback_context(estimator):
                context.call_on_fit_task_begin(**self._data)
                yield
        context.call_on_fit_task_end(**self._data, reconstruction_attributes=learned)

    def end(self):
        """Called when all is fitted."""
        if self._context is not None:
            self._context.call_on_fit_task_end(
                **self._data, reconstruction_attributes={}
            )
