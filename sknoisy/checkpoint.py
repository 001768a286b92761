"""Files from which a training that was killed goes on."""

import hashlib
import io
import os
import warnings
from contextlib import contextmanager, suppress
from pathlib import Path

import joblib
import numpy as np
import torch
from skorch.callbacks import Callback

from sknoisy import _version
from sknoisy.inputs import file_stamps, is_paths
from sknoisy.parameters import check_integer

# Parameters that say nothing of what a training computes.
REPORTING = ("callbacks", "memory", "output", "verbose")


class Checkpoint(Callback):
    """Keeps a training in a file, so that ``fit`` goes on where it was killed.

    Give it among the `callbacks` of an estimator. After an epoch, all that the training
    consists of is written: weights, optimiser, the state of the loss and of random
    numbers. When ``fit`` is called again, in another process, say, with the same data
    and parameters, it goes on after the last epoch that was written, and on a CPU ends
    with the same weights as if it had never stopped. The file is removed when the
    training is done.

    Parameters
    ----------
    folder : str or path-like
        Where the files are; it is made if it does not exist. Their names are made
        of data, parameters and version, so that many trainings can share a folder, the
        candidates of a search, too, and no training goes on with another's file.
    every : int, default=1
        Epochs from one file to the next.

    Warns
    -----
    UserWarning
        If a file cannot be written, on a full disk, say; the training goes on. If a
        file is damaged; then the one before it is used, or none.

    Notes
    -----
    Two files are kept, the last and the one before it, each as large as the weights,
    the optimiser's state and what the loss keeps for each sample. A file replaces
    another only once it is whole on the disk.

    The short training of the head that comes before that of a pre-trained encoder is
    not written. Other callbacks begin anew when a training goes on. ``partial_fit``,
    and what is built on it, the :class:`~sknoisy.PseudoLabelRefiner`, write nothing:
    keep the estimator itself with joblib.

    Load no file that you do not trust: like a model's, it may hold code.

    Examples
    --------
    >>> import tempfile
    >>> from sklearn.datasets import load_iris
    >>> from sknoisy import Checkpoint, NoisyRobustClassifier
    >>> X, y = load_iris(return_X_y=True)
    >>> checkpoint = Checkpoint(tempfile.mkdtemp())
    >>> clf = NoisyRobustClassifier(max_epochs=5, callbacks=[checkpoint]).fit(X, y)
    >>> len(clf.history_)
    5
    """

    def __init__(self, folder, every=1):
        self.folder = folder
        self.every = every
        self.training_ = None  # while it runs

    def on_epoch_end(self, net, **kwargs):  # noqa: D102
        if self.training_ is not None and net.epochs_done % self.every == 0:
            self._write()

    def begin(self, training, identity):
        """Take up a training, and let it go on where the last one was killed.

        Parameters
        ----------
        training : Net or FineTuning
            Has ``state`` and ``load_state``.
        identity : object
            What another training has to be equal in to go on with this one's file.
        """
        check_integer("every", self.every)
        name = joblib.hash([_version.__version__, identity])
        self.last_ = Path(self.folder) / f"{name}.checkpoint"
        self.previous_ = self.last_.with_suffix(".previous")
        for path in (self.last_, self.previous_):
            state = _read(path, training.settings.device)
            if state is not None:
                training.load_state(state)
                break
        self.training_ = training

    def end(self, done):
        """Let go of the training; remove its files if it is done."""
        self.training_ = None
        if done:
            _remove(self.last_)
            _remove(self.previous_)

    def _write(self):
        content = io.BytesIO()
        torch.save(self.training_.state(), content)
        content = content.getvalue()
        part = self.last_.with_suffix(f".{os.getpid()}.part")
        try:
            self.last_.parent.mkdir(parents=True, exist_ok=True)
            with part.open("wb") as file:
                file.write(hashlib.sha256(content).digest() + content)
                file.flush()
                os.fsync(file.fileno())
            if self.last_.exists():
                os.replace(self.last_, self.previous_)
            os.replace(part, self.last_)
        except OSError as error:
            _remove(part)
            warnings.warn(
                f"the checkpoint {self.last_} could not be written ({error}): the "
                "training goes on, but could not be resumed after this epoch.",
                UserWarning,
                stacklevel=2,
            )


def _remove(path):
    with suppress(OSError):
        path.unlink()


def _read(path, device):
    """Return the state in a file, or None, with a warning if it is damaged."""
    try:
        content = path.read_bytes()
    except (FileNotFoundError, NotADirectoryError):
        return None
    digest, content = content[:32], content[32:]
    if hashlib.sha256(content).digest() == digest:
        return torch.load(io.BytesIO(content), map_location=device, weights_only=False)
    warnings.warn(
        f"the checkpoint {path} is damaged and is not used.", UserWarning, stacklevel=2
    )
    return None


@contextmanager
def resumable(estimator, training, *data):
    """Let an estimator's checkpoints, if it has any, keep a training while it runs.

    Parameters
    ----------
    estimator : estimator instance
        With the parameter `callbacks`.
    training : Net or FineTuning
        Has data already. It may have done some epochs once this is entered.
    *data : objects
        What it learns from.
    """
    checkpoints = [
        callback
        for callback in map(_without_name, estimator.callbacks or ())
        if isinstance(callback, Checkpoint)
    ]
    if checkpoints:
        parameters = estimator.get_params(deep=False)
        parameters = {k: v for k, v in parameters.items() if k not in REPORTING}
        device = str(training.settings.device)
        identity = [type(estimator), parameters, device, *map(_by_value, data)]
        for checkpoint in checkpoints:
            checkpoint.begin(training, identity)
    done = False
    try:
        yield
        done = True
    finally:
        for checkpoint in checkpoints:
            checkpoint.end(done)


def _without_name(callback):
    return callback[1] if isinstance(callback, tuple) else callback


def _by_value(data):
    """Return what tells data apart, in a form that hashes by value."""
    if isinstance(data, torch.Tensor):
        return data.cpu().numpy()
    if isinstance(data, np.memmap) and data.filename is not None:
        where = str(data.filename), data.offset, data.shape, data.strides, data.dtype
        return where, file_stamps([data.filename])
    if is_paths(data):
        return data, file_stamps(data)
    return data
