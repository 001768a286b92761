"""What a user sees of a training while it runs."""

from sknoisy._compat import callback_context, within_search


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
    """

    def __init__(self, estimator, n_samples, n_epochs, n_done=0):
        from tqdm.auto import tqdm

        self._estimator = estimator
        self._context = callback_context(estimator, n_epochs)
        has_callbacks = self._context is not None
        if has_callbacks:
            self._context.call_on_fit_task_begin(estimator=estimator)
        verbose = estimator.verbose
        quiet = verbose is None and (has_callbacks or within_search())
        self._bar = tqdm(
            desc=type(estimator).__name__,
            total=n_samples * n_epochs,
            initial=n_samples * n_done,
            unit=" samples",
            unit_scale=True,
            delay=0 if verbose else 10,
            leave=bool(verbose),
            disable=True if quiet or verbose is False else (False if verbose else None),
        )
        self._epoch = None

    def __enter__(self):
        return self

    def __exit__(self, *error):
        self.close()

    def epoch_begin(self):
        """Called when an epoch begins."""
        if self._context is not None:
            self._epoch = self._context.subcontext(task_name="epoch")
            self._epoch.call_on_fit_task_begin(estimator=self._estimator)

    def advance(self, n_samples):
        """Called when a batch is done."""
        self._bar.update(n_samples)

    def epoch_end(self, row):
        """Called with the history's row of an epoch; return whether to stop."""
        shown = {k: f"{row[k]:.4f}" for k in ("train_loss", "valid_loss") if k in row}
        self._bar.set_postfix(epoch=row["epoch"], **shown, refresh=False)
        if self._epoch is None:
            return False
        return bool(self._epoch.call_on_fit_task_end(estimator=self._estimator))

    def close(self):
        """Called when the training is over, or interrupted."""
        self._bar.close()
        if self._context is not None:
            self._context.call_on_fit_task_end(estimator=self._estimator)
            self._context = None
