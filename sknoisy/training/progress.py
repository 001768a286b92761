"""What a user sees of a training while it runs."""

from contextlib import contextmanager

from sknoisy import ranks
from sknoisy._compat import callback_context, has_callbacks, within_search


class Progress:
    """A progress bar, and scikit-learn's callbacks where they are set.

    Parameters
    ----------
    estimator : estimator instance
        What is trained.
        Its `verbose` asks for a bar (True), none (False), or one once ten seconds have
        passed, in a terminal or a notebook, and not within a search (None).
    n_samples, n_epochs : int
        Size of the training.
    n_done : int, default=0
        Epochs that were done before.
    X, y : object or callable, default=None
        What scikit-learn's callbacks are told that it is trained on.
    learned : callable, default=None
        Returns the fitted attributes of the estimator, if it stopped now.
    """

    def __init__(
        self, estimator, n_samples, n_epochs, n_done=0, X=None, y=None, learned=None
    ):
        from tqdm.auto import tqdm

        self._context, self._data = None, {"estimator": estimator, "X": X, "y": y}
        self._learned = learned
        is_heard = has_callbacks(estimator)
        if is_heard:
            self._context = callback_context(estimator, n_epochs - n_done)
            self._context.call_on_fit_task_begin(**self._data)
        verbose = estimator.verbose
        quiet = verbose is None and (is_heard or within_search())
        quiet = quiet or ranks.rank() > 0
        bar = tqdm(
            desc=type(estimator).__name__,
            total=n_samples * n_epochs,
            initial=n_samples * n_done,
            unit=" samples",
            unit_scale=True,
            delay=0 if verbose else 10,
            leave=bool(verbose),
            disable=True if quiet or verbose is False else (False if verbose else None),
        )
        # Python swallows a Ctrl-C that comes while a bar is collected as garbage, which
        # a bar that is not shown would be at any time.
        self._bar = None if bar.disable else bar
        self._epoch = None

    def __enter__(self):
        return self

    def __exit__(self, *error):
        if self._bar is not None:
            self._bar.close()
        if self._context is not None:
            self._task_end(self._context, None if any(error) else self._learned)

    def epoch_begin(self):
        """Called when an epoch begins."""
        if self._context is not None:
            self._epoch = self._context.subcontext(task_name="epoch")
            self._epoch.call_on_fit_task_begin(**self._data)

    def advance(self, n_samples):
        """Called when a batch is done."""
        if self._bar is not None:
            self._bar.update(n_samples)

    def epoch_end(self, row):
        """Called with the history's row of an epoch; return whether to stop."""
        if self._bar is not None:
            names = [name for name in ("train_loss", "valid_loss") if name in row]
            shown = {name: f"{row[name]:.4f}" for name in names}
            self._bar.set_postfix(epoch=row["epoch"], **shown, refresh=False)
        if self._epoch is None:
            return False
        return self._task_end(self._epoch, self._learned)

    def _task_end(self, context, learned):
        return bool(
            context.call_on_fit_task_end(
                **self._data, reconstruction_attributes=learned
            )
        )


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
