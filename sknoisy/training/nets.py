"""The skorch nets: the only training loops.

Batches are tensors of indices. A net fetches the samples at these indices from a
store on the device, takes random views of them there, and reads the loss back once
an epoch; no sample passes through Python on its own.
"""

import math
import operator
import time
from dataclasses import dataclass

import torch
from skorch import NeuralNet
from skorch.callbacks import Callback

from sknoisy.data.batches import Batches
from sknoisy.training.optim import OPTIMIZERS, SCHEDULES


class DivergenceError(RuntimeError):
    """The training loss is no longer finite."""


class _StopTraining(Exception):
    """A callback asks to stop after this epoch."""


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
    lr_warmup: float
    device: torch.device
    precision: torch.dtype
    callbacks: tuple


@dataclass
class TrainingData:
    """A store and, in classification, the codes of its labels, and classes' weights."""

    store: object
    codes: torch.Tensor = None
    class_weights: torch.Tensor = None

    def __len__(self):
        return len(self.store)


class Net(NeuralNet):
    """A skorch net whose loop runs over batches of indices.

    Subclasses define ``batch_loss``. The module, optimiser, callbacks and history
    are skorch's; batches, step and epoch are replaced.

    Parameters
    ----------
    module : torch.nn.Module
        What is trained.
    settings : Settings
        How.
    generator : torch.Generator
        Source of the order of samples, on the CPU.
    view_generator : torch.Generator
        Source of the views' parameters, on the device.

    Attributes
    ----------
    progress : Progress or None
        Hears of batches and epochs; set before training.
    """

    def __init__(self, module, settings, generator, view_generator, **kwargs):
        super().__init__(
            module,
            criterion=kwargs.pop("criterion", None),
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
            **kwargs,
        )
        self.settings = settings
        self.generator = generator
        self.view_generator = view_generator
        self.progress = None
        self.epochs_before = 0

    _default_callbacks = []

    def rows(self):
        """Return the history's finished epochs, as dicts of plain numbers."""
        names = ("phase", "train_loss", "lr", "dur")
        done = (row for row in self.history if "train_loss" in row)
        return [{k: row[k] for k in names if k in row} for row in done]

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

    def after_step(self, progress):
        """Hear that a step is done; `progress` is the share of steps done."""

    def get_dataset(self, X, y=None):  # noqa: D102
        return X

    def get_iterator(self, dataset, training=False):  # noqa: D102
        return Batches(dataset.store, self.batch_size, self.generator, self.device)

    def train_step(self, batch, **fit_params):
        """Take one step; return the loss, on the device."""
        self.optimizer_.zero_grad(set_to_none=True)
        precision = self.settings.precision
        device = self.settings.device.type
        with torch.autocast(device, precision, enabled=precision is not None):
            loss = self.batch_loss(*batch)
        loss.backward()
        if self._heard("on_grad_computed"):
            named = self.get_all_learnable_params()
            self.notify("on_grad_computed", named_parameters=named, batch=batch)
        self.optimizer_.step()
        return loss.detach()

    def run_single_epoch(self, iterator, training, prefix, step_fn, **fit_params):
        """Run one epoch; skorch's, but for the loss, which is read back once."""
        if iterator is None:
            return
        settings, started = self.settings, time.perf_counter()
        schedule = SCHEDULES[settings.schedule]
        # An epoch is an equal share of the schedule, however many samples it has.
        share = 1 / (len(iterator) * settings.max_epochs)
        # A constant rate is left to callbacks such as skorch's LRScheduler.
        scheduled = settings.schedule != "constant" or settings.lr_warmup > 0
        each_batch = self._heard("on_batch_begin") or self._heard("on_batch_end")
        self.module_.train()
        losses, sizes = [], []
        for i, batch in enumerate(iterator):
            done = self.epochs_ / settings.max_epochs + i * share
            if scheduled:
                factor = schedule(done, settings.lr_warmup)
                for group in self.optimizer_.param_groups:
                    group["lr"] = factor * settings.lr
            if each_batch:
                self.notify("on_batch_begin", batch=batch, training=True)
            loss = step_fn(batch)
            self.after_step(done + share)
            n = len(batch[0])
            losses.append(loss)
            sizes.append(n)
            if each_batch:
                self.history.record_batch("train_loss", loss.item())
                self.notify("on_batch_end", batch=batch, training=True, loss=loss)
            if self.progress is not None:
                # An epoch is all samples, however often it takes some of them.
                self.progress.advance(len(iterator.store) * n / iterator.n_samples)
        # One wait for the device in an epoch.
        losses = torch.stack(losses).tolist()
        loss = sum(map(operator.mul, losses, sizes)) / iterator.n_samples
        rate = self.optimizer_.param_groups[0]["lr"]
        self.history.record("train_loss", loss)
        self.history.record("lr", rate)
        self.history.record("dur", time.perf_counter() - started)
        if not math.isfinite(loss):
            raise DivergenceError(
                f"the training loss is {loss} in epoch {self.epochs_done + 1} at "
                f"learning rate {rate:.3g}. Pass a smaller lr."
            )

    def partial_fit(self, X, y=None, classes=None, **fit_params):
        """Train on; unlike skorch's, an interruption is raised."""
        if not self.initialized_:
            self.initialize()
        self.stopped_ = out_of_memory = False
        try:
            self.notify("on_train_begin", X=X, y=y)
            self.fit_loop(X, y, **fit_params)
        except _StopTraining:
            self.stopped_ = True
        except torch.OutOfMemoryError:
            out_of_memory = True
        finally:
            self.optimizer_.zero_grad(set_to_none=True)  # as large as the network
            self.notify("on_train_end", X=X, y=y)
        if out_of_memory:
            # Raised anew, as the error held what the step had allocated.
            torch.cuda.empty_cache()
            raise torch.OutOfMemoryError(
                f"batch_size={self.batch_size} is too large: {self.device} ran out of "
                f"memory in epoch {self.epochs_done + 1}. Pass a smaller batch_size."
            )
        return self

    def notify(self, method_name, **cb_kwargs):
        """Call the callbacks; skorch's stop by raising KeyboardInterrupt."""
        try:
            super().notify(method_name, **cb_kwargs)
        except KeyboardInterrupt as interrupt:
            if _raised_by_skorch(interrupt):
                raise _StopTraining from interrupt
            raise

    @property
    def epochs_done(self):
        """Number of epochs done, those of earlier phases included."""
        return self.epochs_before + self.epochs_

    def state(self):
        """Return all that the next epochs depend on, but for the data."""
        return {
            "module": self.module_.state_dict(),
            "optimizer": self.optimizer_.state_dict(),
            "history": list(self.history),
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
        self.history[:] = state["history"]
        self.epochs_ = state["epochs"]
        self.generator.set_state(state["order"].cpu())
        self.view_generator.set_state(state["views"].cpu())

    def on_epoch_begin(self, net, **kwargs):  # noqa: D102
        super().on_epoch_begin(net, **kwargs)
        if self.progress is not None:
            self.progress.epoch_begin()

    def on_epoch_end(self, net, **kwargs):  # noqa: D102
        super().on_epoch_end(net, **kwargs)
        self.epochs_ += 1
        if self.progress is not None:
            loss = self.history[-1, "train_loss"]
            if self.progress.epoch_end(self.epochs_done, loss):
                raise _StopTraining

    def _heard(self, event):
        """Whether any callback listens to an event of every batch."""
        return any(
            getattr(type(callback), event, None) is not getattr(Callback, event, None)
            for _, callback in self.callbacks_
        )


def _raised_by_skorch(interrupt):
    """Whether a KeyboardInterrupt comes from a callback of skorch, not from a user."""
    trace = interrupt.__traceback__
    while trace.tb_next is not None:
        trace = trace.tb_next
    return trace.tb_frame.f_globals.get("__name__", "").startswith("skorch.callbacks")
