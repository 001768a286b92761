"""Files from which a training that was killed goes on."""

import logging
import os
from contextlib import contextmanager, suppress
from pathlib import Path

from skorch.callbacks import Callback

from sknoisy import files, ranks
from sknoisy.checks import check_integer
from sknoisy.data.inputs import as_inputs
from sknoisy.encoders.features import LazyFeatures
from sknoisy.training.callbacks import unnamed
from sknoisy.training.identity import training_name
from sknoisy.training.run import DivergenceError
from sknoisy.warning import warn

KIND = "checkpoint"


class Checkpoint(Callback):
    """Save a training to a file, so that ``fit`` resumes it after it was killed.

    Pass it in the `callbacks` of an estimator. After an epoch, the whole state of the
    training is written: weights, optimiser, the state of the loss and of random
    numbers. When ``fit`` is called again with the same data and parameters, for example
    in another process, it continues after the last epoch that was written. On a CPU, it
    ends with the same weights as if it had never been stopped. The file is removed when
    the training is done. In distributed training, the first process keeps the file; the
    training may continue with another number of processes.

    Parameters
    ----------
    folder : str or path-like
        Folder of the files; it is created if it does not exist. File names depend on
        data, parameters and version, so many trainings, such as the candidates of a
        search, can share a folder, and none resumes from another's file. Trainings that
        differ only in their other callbacks count as equal: give each its own folder.
    every : int, default=1
        Number of epochs from one file to the next.

    Warns
    -----
    UserWarning
        If a file cannot be written, for example on a full disk; the training goes on.
        If a file is damaged; then the previous file is used, or none. If an equal
        training is running; then no file is kept of this one.

    Notes
    -----
    The last two files are kept, each as large as the weights, the optimiser's state and
    what the loss stores for each sample. A file replaces an older one only when it has
    been written completely.

    Trainings without a `random_state` are equal if their data and parameters are. A
    loss, an encoder or views of your own are identified by the source code of the class
    with its bases, or of the function, and of what these call in modules that are not
    installed. The files of a training that diverged are removed, too.

    Before a pre-trained encoder is trained, there is a short training of the head,
    which is not saved. Other callbacks start again when a training is resumed.
    ``partial_fit`` writes nothing, nor does :class:`~sknoisy.PseudoLabelRefiner`, which
    uses it: save the estimator itself.

    Files hold tensors and numbers, with a checksum, and loading them runs no code. For
    a loss or a co-training method of your own, they hold its attributes, which must be
    tensors, arrays, numbers, strings, or containers of these. Name other attributes in
    its ``transient`` if ``start`` or ``on_epoch`` creates them again, or define
    ``checkpoint`` and ``resume``.

    Examples
    --------
    >>> import tempfile
    >>> from sklearn.datasets import load_iris
    >>> from sknoisy import Checkpoint, NoisyRobustClassifier
    >>> X, y = load_iris(return_X_y=True)
    >>> checkpoint = Checkpoint(tempfile.mkdtemp())
    >>> clf = NoisyRobustClassifier("ce", max_epochs=5, callbacks=[checkpoint])
    >>> clf = clf.fit(X, y)
    >>> len(clf.history_)
    5
    """

    def __init__(self, folder, every=1):
        self.folder = folder
        self.every = every
        self.training_ = self.lock_ = None  # but while it runs

    def __getstate__(self):
        return self.get_params() | {"training_": None, "lock_": None}

    def on_epoch_end(self, net, **kwargs):  # noqa: D102
        if self.training_ is not None and net.epochs_done % self.every == 0:
            self._write()

    def check(self):
        """Raise ``ValueError`` if a parameter is not valid."""
        if not isinstance(self.folder, (str, os.PathLike)):
            raise ValueError(
                f"folder={self.folder!r} of Checkpoint is not valid: it must be a path."
            )
        check_integer("every", self.every)

    def begin(self, training, name):
        """Register a training, and resume it if an equal one was killed.

        Parameters
        ----------
        training : Net or ClassifierTraining
            Has ``state`` and ``load_state``.
        name : str
            Name of its files; equal trainings have equal names.
        """
        self.check()
        _check_method(training)
        self.last_ = Path(self.folder) / f"{name}.checkpoint"
        self.previous_ = self.last_.with_suffix(".previous")
        taken = ranks.rank() == 0 and self._take()
        if not ranks.any_rank(taken):
            return
        self.training_ = training
        path, state = self._found()
        try:
            if state is not None:
                training.load_state(state)
                logging.getLogger("sknoisy").info(
                    "goes on from the checkpoint %s", path
                )
        except (
            AttributeError,
            LookupError,
            RuntimeError,
            TypeError,
            ValueError,
        ) as error:
            raise ValueError(
                f"the checkpoint {path} does not fit this training ({error}). If code "
                "that it depends on has changed, delete it."
            ) from error

    def _take(self):
        """Lock the files; return whether that was possible."""
        from filelock import FileLock, Timeout  # for those who keep files only

        lock = FileLock(self.last_.with_suffix(".lock"), timeout=0)
        try:
            self.last_.parent.mkdir(parents=True, exist_ok=True)
            lock.acquire()
        except Timeout:
            warn(
                f"the checkpoint {self.last_} belongs to an identical training that "
                "is still running, so this one saves none. To save both, pass another "
                "random_state or another folder.",
            )
            return False
        except (OSError, NotImplementedError) as error:  # a file system without locks
            self._warn(error)
            return False
        self.lock_ = lock
        return True

    def _found(self):
        """Return a file and the state in it, None if there is none to be used."""
        device = self.training_.settings.device
        for path in (self.last_, self.previous_):
            state = _read(path, device)
            if state is not None:
                return path, state
        return self.last_, None

    def end(self, done):
        """Let go of the training; remove its files if it is done."""
        if self.training_ is None:
            return
        if self.lock_ is None:  # another rank has the files
            self.training_ = None
            return
        if done:
            _remove(self.last_)
            _remove(self.previous_)
        _remove(self.lock_.lock_file)
        self.lock_.release()
        self.training_ = self.lock_ = None

    def _write(self):
        part = self.last_.with_suffix(".part")
        try:
            state = self.training_.state()
            if self.lock_ is not None:
                files.write(self.last_, state, KIND, part=part, keep=self.previous_)
        except Exception as error:  # whatever it is: it is not worth the training
            self._warn(error)

    def _warn(self, error):
        warn(
            f"the checkpoint {self.last_} could not be written ({error}): the "
            "training goes on, but cannot be resumed from this epoch.",
        )


@contextmanager
def resumable(estimator, training, X, *labels):
    """Let an estimator's checkpoints, if it has any, keep a training while it runs.

    Parameters
    ----------
    estimator : estimator instance
        With the parameter `callbacks`.
    training : Net or ClassifierTraining
        Has data already. It may have done some epochs once this is entered.
    X : array-like, tensor, array of paths or LazyFeatures
        What it learns from.
    *labels : objects
        What else it does.

    Yields
    ------
    interrupts : list
        Whoever catches what ends the training early, and may be gone on from later,
        appends it here.
    """
    callbacks = unnamed(estimator.callbacks)
    checkpoints = [c for c in callbacks if isinstance(c, Checkpoint)]
    done = False
    try:
        if checkpoints:
            X = X if isinstance(X, LazyFeatures) else as_inputs(X)
            name = training_name(estimator, training.settings, (X, *labels))
            for checkpoint in checkpoints:
                checkpoint.begin(training, name)
        interrupts = []
        yield interrupts
        done = not interrupts
    except DivergenceError:
        done = True  # to go on would end in the same
        raise
    finally:
        for checkpoint in checkpoints:
            checkpoint.end(done)


def _read(path, device):
    """Return the state in a file, or None, with a warning if it cannot be used."""
    raw = None
    try:
        # The file is the first rank's; the others may be on other machines.
        if ranks.rank() == 0 and path.exists():
            raw = path.read_bytes()
    except OSError as error:  # the other ranks must hear of it, too: raw is None
        warn(f"a checkpoint is not used: {error}")
    raw = ranks.bytes_from_first(raw)
    if raw is None:
        return None
    try:
        return files.parse(raw, path, KIND, device=device)
    except ValueError as error:
        warn(f"a checkpoint is not used: {error}")
        return None


def _check_method(training):
    """Raise ``ValueError`` if a method keeps what a file cannot hold."""
    method = getattr(training, "loss", None)
    if method is None:
        return
    try:
        kept = method.checkpoint()
        for name, value in (*kept.items(), *kept.get("state_", {}).items()):
            if hasattr(value, "__missing__"):  # which would be a plain dict then
                raise TypeError(f"{name} is a {type(value).__name__}")
        files.pack(kept)
    except TypeError as error:
        raise ValueError(
            f"{type(method).__name__} is not valid with a Checkpoint: its attribute "
            f"{error}. Name it in {type(method).__name__}.transient if start or "
            "on_epoch makes it anew; or define checkpoint and resume."
        ) from error


def _remove(path):
    with suppress(OSError):
        os.unlink(path)
