"""The skorch net that all trainings share: the only training loop.

An iterator gives the positions of a batch's samples and the batch, a tensor that was
fetched from a store on the device. The net takes random views of it there, and reads
the loss back once an epoch; no sample passes through Python on its own.
"""

import math
import operator
import time
from dataclasses import dataclass, field

import torch
from skorch import NeuralNet
from skorch.callbacks import Callback, EarlyStopping

from sknoisy.data.batches import Batches
from sknoisy.training.optim import OPTIMIZERS, SCHEDULES


class DivergenceError(RuntimeError):
    """The training loss or the network's weights are no longer finite."""


class StopTraining(KeyboardInterrupt):
    """Raised by a skorch callback of yours to end the training after this epoch.

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


@dataclass(frozen=True)
class Settings:
    """How a network is trained; estimators fill it from their parameters."""

    max_epochs: int
    batch_size: int
    lr: float
    momentum: float
    weight_decay: float
    optimizer: str
    schedule: str
    lr_warmup: float  # share of the epochs in which the learning rate rises
    device: torch.device
    precision: torch.dtype  # of autocast; None is float32
    callbacks: tuple


@dataclass
class TrainingData:
    """What a net learns from.

    Attributes
    ----------
    store : ArrayStore, PathStore or Subset
        The samples.
    codes : tensor of shape (n_samples,), int64, or None
        In classification, the class of each label.
    class_weights : tensor of shape (n_classes,) or None
        Weights of the classes; None: all are equal.
    validation : TrainingData or None
        Samples that are scored after each epoch and never trained on.
    """

    store: object
    codes: torch.Tensor = None
    class_weights: torch.Tensor = None
    validation: "TrainingData" = None

    def __len__(self):
        return len(self.store)


@dataclass
class Run:
    """What the nets of a training share.

    Attributes
    ----------
    planned_epochs : int
        Epochs of the whole training.
    history : list of dict
        A row for each finished epoch, of all nets.
    progress : Progress or None
        Shows the user how far the training is.
    dynamics : Dynamics or None
        Records what the network predicts of each sample.
    """

    planned_epochs: int
    history: list = field(default_factory=list)
    progress: object = None
    dynamics: object = None


class Net(NeuralNet):
    """A skorch net whose loop runs over batches of positions and samples.

    Subclasses define ``batch_loss``. The module, optimiser, callbacks and history
    are skorch's; batches, step and epoch are replaced.

    Parameters
    ----------
    module : torch.nn.Module
        The network.
    criterion : object
        What computes the loss: a method or a loss of this package.
    settings : Settings
        How the network is trained.
    run : Run
        What this net shares with others.
    generator : torch.Generator
        Source of the order of samples, on the CPU.
    view_generator : torch.Generator
        Source of the views' parameters, on the device.

    Attributes
    ----------
    epochs_ : int
        Epochs that this net has done.
    data_ : TrainingData
        The samples, while it trains.
    stopped_ : bool
        Whether a callback ended the last call of ``train_epochs``.
    """

    phase = None  # name of the part of the training, for the history
    _default_callbacks = []

    def __init__(self, module, criterion, settings, run, generator, view_generator):
        super().__init__(
            module,
            criterion=criterion,
            optimizer=OPTIMIZERS[settings.optimizer],
            optimizer__momentum=settings.momentum,
            optimizer__weight_decay=settings.weight_decay,
            lr=settings.lr,
            max_epochs=settings.max_epochs,
            batch_size=settings.batch_size,
            train_split=None,
            callbacks=list(settings.callbacks),
            device=settings.device,
            verbose=0,
        )
        self.settings = settings
        self.run = run
        self.generator = generator
        self.view_generator = view_generator

    def initialize_criterion(self):  # noqa: D102
        self.criterion_ = self.criterion
        return self

    def initialize_module(self):  # noqa: D102
        self.module_ = self.module
        return self

    def initialize_history(self):  # noqa: D102
        super().initialize_history()
        self.epochs_ = 0
        return self

    def batch_loss(self, index, batch):
        """Return the loss of a batch, to be minimised.

        Parameters
        ----------
        index : tensor of shape (n,), int64
            Positions of the samples in the training set.
        batch : tensor of shape (n, ...), float32
            The samples, before any view.
        """
        raise NotImplementedError

    def validation_scores(self):
        """Return scores of the validation samples, dict of str to float."""
        return {}

    def after_step(self, progress):
        """Called after each step; `progress` is the share of all steps done."""

    def get_split_datasets(self, X, y=None, **fit_params):  # noqa: D102
        return X, X.validation

    def get_iterator(self, dataset, training=False):  # noqa: D102
        if not training:
            return dataset
        return Batches(dataset.store, self.batch_size, self.generator, self.device)

    def check_data(self, X, y=None):
        """Nothing is left to check: estimators have done it."""

    def train_step(self, index, batch, *others):
        """Take one step; return the loss, on the device."""
        self.optimizer_.zero_grad(set_to_none=True)
        precision = self.settings.precision
        device = self.settings.device.type
        with torch.autocast(device, precision, enabled=precision is not None):
            loss = self.batch_loss(index, batch, *others)
        loss.backward()
        if self._listens("on_grad_computed"):
            named = self.get_all_learnable_params()
            batch = self._labelled(index, batch)
            self.notify("on_grad_computed", named_parameters=named, batch=batch)
        self.optimizer_.step()
        return loss.detach()

    def run_single_epoch(self, iterator, training, prefix, step_fn, **fit_params):
        """Run one epoch; skorch's, but for the loss, which is read back once."""
        if training:
            self._train_epoch(iterator, step_fn)
        elif iterator is not None:
            for name, score in self.validation_scores().items():
                self.history.record(name, score)

    def _train_epoch(self, iterator, step_fn):
        settings, started = self.settings, time.perf_counter()
        schedule = SCHEDULES[settings.schedule]
        # An epoch is an equal share of the schedule, however many samples it has.
        share = 1 / (len(iterator) * settings.max_epochs)
        # A constant rate is left to callbacks such as skorch's LRScheduler.
        scheduled = settings.schedule != "constant" or settings.lr_warmup > 0
        each_batch = self._listens("on_batch_begin") or self._listens("on_batch_end")
        progress = self.run.progress
        self.module_.train()
        losses, sizes = [], []
        for i, (index, batch, *others) in enumerate(iterator):
            done = self.epochs_ / settings.max_epochs + i * share
            if scheduled:
                factor = schedule(done, settings.lr_warmup)
                for group in self.optimizer_.param_groups:
                    group["lr"] = factor * settings.lr
            if each_batch:
                pair = self._labelled(index, batch)
                self.notify("on_batch_begin", batch=pair, training=True)
            rate = self.optimizer_.param_groups[0]["lr"]
            loss = step_fn(index, batch, *others)
            self.after_step(done + share)
            losses.append(loss)
            sizes.append(len(index))
            if each_batch:
                self.history.record_batch("train_loss", loss.item())
                self.history.record_batch("train_batch_size", len(index))
                self.notify("on_batch_end", batch=pair, training=True, loss=loss)
            if progress is not None:
                # An epoch is all samples, however often it takes some of them.
                progress.advance(len(iterator.store) * len(index) / iterator.n_samples)
        # One wait for the device in an epoch.
        losses = torch.stack(losses).tolist()
        loss = sum(map(operator.mul, losses, sizes)) / iterator.n_samples
        self.history.record("train_loss", loss)
        self.history.record("lr", rate)
        self.history.record("dur", time.perf_counter() - started)
        if not math.isfinite(loss):
            epoch = self.epochs_done + 1
            self._diverged(f"the training loss is {loss}", epoch, rate)

    def train_epochs(self, data, epochs):
        """Train for a number of epochs from the current state.

        Parameters
        ----------
        data : TrainingData
            The samples.
        epochs : int
            Number of epochs.

        Raises
        ------
        DivergenceError
            If the loss, or the network after the last step, is not finite.
        torch.OutOfMemoryError
            Names `batch_size`; what the step had allocated is free again.
        """
        self.data_ = data
        self.stopped_ = out_of_memory = False
        try:
            self.notify("on_train_begin", X=data, y=None)
            self.fit_loop(data, epochs=epochs)
        except StopTraining:
            self.stopped_ = True
        except torch.OutOfMemoryError:
            out_of_memory = True
        finally:
            self.optimizer_.zero_grad(set_to_none=True)  # as large as the network
            self.notify("on_train_end", X=data, y=None)
            self.data_ = None
        if out_of_memory:
            # Raised anew, as the error held what the step had allocated.
            torch.cuda.empty_cache()
            raise torch.OutOfMemoryError(
                f"batch_size={self.batch_size} is too large: {self.device} ran out of "
                f"memory in epoch {self.epochs_done + 1}. Pass a smaller "
                "batch_size."
            )
        self._check_finite()
        return self

    def notify(self, method_name, **cb_kwargs):
        """Call the callbacks, all of them, also where one asks to stop."""
        getattr(self, method_name)(self, **cb_kwargs)
        stop = False
        for _, callback in self.callbacks_:
            try:
                getattr(callback, method_name)(self, **cb_kwargs)
            except KeyboardInterrupt as interrupt:
                if not _asks_to_stop(callback, interrupt):
                    raise
                stop = True
        if method_name == "on_epoch_end":
            self._update_row()  # with what callbacks recorded
            progress = self.run.progress
            asked = progress is not None and progress.epoch_end(self.run.history[-1])
            stop = stop or asked
        if stop:
            raise StopTraining

    def state(self):
        """Return all that the next epochs depend on, but for the data."""
        return {
            "module": self.module_.state_dict(),
            "optimizer": self.optimizer_.state_dict(),
            "history": self.run.history,
            "skorch_history": list(self.history),
            "epochs": self.epochs_,
            "order": self.generator.get_state(),
            "views": self.view_generator.get_state(),
        }

    def load_state(self, state):
        """Take over what :meth:`state` returned."""
        self.module_.load_state_dict(state["module"])
        self.optimizer_.load_state_dict(state["optimizer"])
        for kept in self.optimizer_.state.values():
            if "step" in kept:  # Adam reads it on the host, in every step
                kept["step"] = kept["step"].cpu()
        self.run.history[:] = state["history"]
        self.history[:] = state["skorch_history"]
        self.epochs_ = state["epochs"]
        self.generator.set_state(state["order"].cpu())
        self.view_generator.set_state(state["views"].cpu())

    def on_epoch_begin(self, net, **kwargs):  # noqa: D102
        super().on_epoch_begin(net, **kwargs)
        if self.run.progress is not None:
            self.run.progress.epoch_begin()

    def on_epoch_end(self, net, **kwargs):  # noqa: D102
        super().on_epoch_end(net, **kwargs)
        self.epochs_ += 1
        row = {"epoch": self.epochs_done + 1}
        if self.phase is not None:
            row["phase"] = self.phase
        self.run.history.append(row)
        self._update_row()

    def _update_row(self):
        """Copy what was recorded in this epoch to its row of the history."""
        recorded = self.history[-1].items()
        others = {k: v for k, v in recorded if k not in ("batches", "epoch")}
        self.run.history[-1].update(others)

    @property
    def epochs_done(self):
        """Number of epochs done, those of earlier nets included."""
        return len(self.run.history)

    def _check_finite(self):
        """Check what the last step made of the network: no loss has seen it."""
        tensors = [*self.module_.parameters(), *self.module_.buffers()]
        if not all_finite([t for t in tensors if t.is_floating_point()]):
            rate = self.optimizer_.param_groups[0]["lr"]
            epoch = max(1, self.epochs_done)
            self._diverged("the network's weights are not finite", epoch, rate)

    def _diverged(self, what, epoch, rate):
        raise DivergenceError(
            f"{what} in epoch {epoch} at learning rate {rate:.3g}. Pass a smaller lr."
        )

    def _labelled(self, index, batch):
        """Return a batch as skorch's callbacks know it: samples and targets."""
        return batch, index

    def _listens(self, event):
        """Whether any callback listens to an event of every batch."""
        return any(
            getattr(type(callback), event, None) is not getattr(Callback, event, None)
            for _, callback in self.callbacks_
        )


def all_finite(tensors):
    """Whether all numbers of some tensors are finite; waits for the device once."""
    sums = [t.detach().sum() for t in tensors if t.numel()]
    return not sums or bool(torch.stack([s.float() for s in sums]).isfinite().all())


def _asks_to_stop(callback, interrupt):
    """Whether a callback ends the training, and not the user.

    skorch's EarlyStopping raises the same exception as Ctrl-C does, but only once its
    patience is used up.
    """
    if isinstance(interrupt, StopTraining):
        return True
    is_early_stopping = isinstance(callback, EarlyStopping)
    return is_early_stopping and callback.misses_ >= callback.patience
