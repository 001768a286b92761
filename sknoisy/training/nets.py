"""The skorch net that all trainings share: the only training loop.

An iterator gives the positions of a batch's samples and the batch, a tensor that was
fetched from a store on the device. The net takes random views of it there, and reads
the loss back once an epoch; no sample passes through Python on its own.
"""

import copy
import math
import operator
import time
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field

import torch
from skorch import NeuralNet
from skorch.callbacks import LRScheduler
from skorch.dataset import Dataset

from sknoisy.data.batches import Batches
from sknoisy.data.devices import to_channels_last
from sknoisy.encoders.inference import in_order, inference_batch
from sknoisy.encoders.weights import load_tensors
from sknoisy.training.callbacks import StopTraining, asks_to_stop, listens
from sknoisy.training.optim import OPTIMIZERS, SCHEDULES

# Recorded for skorch's callbacks, as skorch's own nets do, but not for users.
BEST = ("train_loss_best", "valid_loss_best", "valid_acc_best")


class DivergenceError(RuntimeError):
    """The training loss or the network's weights are no longer finite."""


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
    verbose: bool  # whether callbacks that print may print


@dataclass
class TrainingData(Dataset):
    """What a net learns from; a data set of skorch, as its callbacks ask for.

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

    @property
    def X(self):
        """The samples, which the net's ``predict`` takes."""
        return self.store

    @property
    def y(self):
        """The codes of the labels, or None."""
        return self.codes

    def __len__(self):
        return len(self.store)

    def __getitem__(self, i):
        """Return a sample and the code of its label, or None."""
        if not 0 <= i < len(self):
            raise IndexError(i)
        (sample,) = self.store.fetch(torch.tensor([i]), "cpu")
        return sample, None if self.codes is None else self.codes[i]


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
    n_classes : int or None
        Number of classes.
    """

    planned_epochs: int
    history: list = field(default_factory=list)
    progress: object = None
    dynamics: object = None
    n_classes: int = None


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
    heard_ : bool
        Whether callbacks listen to every batch.
    """

    phase = None  # name of the part of the training, for the history
    use_caching = "auto"  # whether callbacks that score keep predictions of batches
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
            use_caching=self.use_caching,
            verbose=int(settings.verbose),
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
        self._best, self._schedulers = {}, {}
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

    def outputs(self, batch):
        """Return what the module makes of a batch of samples, without views."""
        return self.module_(batch)

    def training_outputs(self, batch):
        """Return the outputs of the batch that was trained, for callbacks, or None."""
        return None

    def scores(self, outputs, target):
        """Return scores of validation samples.

        Parameters
        ----------
        outputs : tensor of shape (n, ...)
            What ``outputs`` returned.
        target : tensor of shape (n,), int64
            Codes of their labels.

        Returns
        -------
        scores : dict of str to float
            "valid_loss" and others.
        """
        raise NotImplementedError

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
        if not loss.requires_grad:
            raise ValueError(
                "callbacks have frozen all of the network's weights: nothing is left "
                "to train."
            )
        loss.backward()
        if listens(self.callbacks_, "on_grad_computed"):
            named = list(self.get_all_learnable_params())
            pair = self._labelled(index, batch)
            self.notify(
                "on_grad_computed", named_parameters=named, batch=pair, training=True
            )
        self.optimizer_.step()
        return loss.detach()

    def run_single_epoch(self, iterator, training, prefix, step_fn, **fit_params):
        """Run one epoch; skorch's, but for the loss, which is read back once."""
        if training:
            self._train_epoch(iterator, step_fn)
        elif iterator is not None:
            self._validate(iterator)

    def _train_epoch(self, iterator, step_fn):
        settings, started = self.settings, time.perf_counter()
        schedule = SCHEDULES[settings.schedule]
        # An epoch is an equal share of the schedule, however many samples it has.
        share = 1 / (len(iterator) * settings.max_epochs)
        # A constant rate is left to callbacks such as skorch's LRScheduler.
        scheduled = settings.schedule != "constant" or settings.lr_warmup > 0
        progress = self.run.progress
        self.module_.train()
        losses, sizes = [], []
        for i, (index, batch, *others) in enumerate(iterator):
            done = self.epochs_ / settings.max_epochs + i * share
            if scheduled:
                factor = schedule(done, settings.lr_warmup)
                for group in self.optimizer_.param_groups:
                    group["lr"] = factor * settings.lr
            if self.heard_:
                pair = self._labelled(index, batch)
                self.notify("on_batch_begin", batch=pair, training=True)
            rate = self.optimizer_.param_groups[0]["lr"]
            loss = step_fn(index, batch, *others)
            self.after_step(done + share)
            losses.append(loss)
            sizes.append(len(index))
            if self.heard_:
                self._batch_end("train", pair, loss, self.training_outputs(batch))
            if progress is not None:
                # An epoch is all samples, however often it takes some of them.
                progress.advance(len(iterator.store) * len(index) / iterator.n_samples)
        # One wait for the device in an epoch.
        losses = torch.stack(losses).tolist()
        loss = sum(map(operator.mul, losses, sizes)) / iterator.n_samples
        self._record("train_loss", loss, loss)
        self.history.record("lr", rate)
        self.history.record("dur", time.perf_counter() - started)
        if not math.isfinite(loss):
            epoch = self.epochs_done + 1
            self._diverged(f"the training loss is {loss}", epoch, rate)
        if self.callbacks_ and not self.heard_:
            # They may look at the batches once the epoch is over.
            for loss, size in zip(losses, sizes, strict=True):
                self.history.new_batch()
                self.history.record_batch("train_loss", loss)
                self.history.record_batch("train_batch_size", size)

    def _validate(self, data):
        outputs = []
        for index, batch in in_order(data.store, self.device):
            pair = batch, data.codes[index]
            if self.heard_:
                self.notify("on_batch_begin", batch=pair, training=False)
            outputs.append(self.evaluation_step(pair))
            if self.heard_:
                scores = self.scores(outputs[-1], pair[1])
                loss = torch.tensor(scores["valid_loss"])
                self._batch_end("valid", pair, loss, outputs[-1])
        scores = self.scores(torch.cat(outputs), data.codes)
        for name, score in scores.items():
            self._record(name, score, score if name == "valid_loss" else -score)

    def _batch_end(self, prefix, pair, loss, outputs):
        self.history.record_batch(f"{prefix}_loss", loss.item())
        self.history.record_batch(f"{prefix}_batch_size", len(pair[0]))
        training = prefix == "train"
        self.notify(
            "on_batch_end", batch=pair, training=training, loss=loss, y_pred=outputs
        )

    def _record(self, name, value, badness):
        """Record a value of an epoch, and whether it is the best so far."""
        is_best = badness < self._best.get(name, math.inf)
        if is_best:
            self._best[name] = badness
        self.history.record(name, value)
        self.history.record(f"{name}_best", is_best)

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
        self.stopped_ = self._stop_asked = out_of_memory = False
        events = "on_batch_begin", "on_batch_end"
        self.heard_ = any(listens(self.callbacks_, event) for event in events)
        if data.validation is not None:  # skorch's ProgressBar counts its batches
            step = inference_batch(data.validation.store.spec.shape, self.device)
            self.iterator_valid__batch_size = step
        try:
            self._begin()
            self.fit_loop(data, epochs=epochs)
        except StopTraining:
            self._end()
            self.stopped_ = True
        except torch.OutOfMemoryError:
            self._end()
            out_of_memory = True
        except BaseException:
            with suppress(Exception):  # what went wrong first is what is to be told
                self._end()
            raise
        else:
            self._end()
        finally:
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

    def _begin(self):
        """Let the callbacks begin; those that set the rate go on where they ended."""
        groups = self.optimizer_.param_groups
        before = [{k: v for k, v in g.items() if k != "params"} for g in groups]
        self.notify("on_train_begin", X=self.data_, y=None)
        for name, callback in self.callbacks_:
            if isinstance(callback, LRScheduler) and name in self._schedulers:
                # A new scheduler steps when it is made, and counts batches as epochs.
                callback.lr_scheduler_.load_state_dict(self._schedulers[name])
                for group, settings in zip(groups, before, strict=True):
                    group.update(settings)

    def _end(self):
        self._keep_schedulers()
        self.optimizer_.zero_grad(set_to_none=True)  # as large as the network
        self.notify("on_train_end", X=self.data_, y=None)

    def _keep_schedulers(self):
        self._schedulers = {
            name: copy.deepcopy(callback.lr_scheduler_.state_dict())
            for name, callback in self.callbacks_
            if isinstance(callback, LRScheduler) and callback.lr_scheduler_ is not None
        }

    def evaluation_step(self, batch, training=False):
        """Return the outputs of a batch of samples and labels, without views."""
        precision, device = self.settings.precision, self.settings.device.type
        samples = to_channels_last(batch[0])
        with (
            evaluating(self.module_),
            torch.no_grad(),
            torch.autocast(device, precision, enabled=precision is not None),
        ):
            return self.outputs(samples).float()

    def forward_iter(self, X, training=False, device="cpu"):
        """Yield outputs, batch by batch.

        Parameters
        ----------
        X : TrainingData, store, tensor or array-like of shape (n, ...)
            What callbacks are given: all samples, or a batch of them as the network
            takes it; or samples like those that the net is trained on.
        """
        if isinstance(X, torch.Tensor):
            yield self.evaluation_step((X.to(self.device), None)).to(device)
            return
        store = X.store if isinstance(X, TrainingData) else X
        if not hasattr(store, "fetch"):
            store = self.data_.store.spec.open(store)
        for _, batch in in_order(store, self.device):
            yield self.evaluation_step((batch, None)).to(device)

    def load_params(self, *args, **kwargs):
        """Load what ``save_params`` has saved; skorch's, for which a device is text."""
        device, self.device = self.device, str(self.device)
        try:
            super().load_params(*args, **kwargs)
        finally:
            self.device = device

    def _get_module(self, name, msg):
        if name == "criterion_":
            return _CriterionState(self.criterion_)
        return super()._get_module(name, msg)

    def notify(self, method_name, **cb_kwargs):
        """Call the callbacks, all of them, also where one asks to stop.

        Whenever it asks, the training ends with the epoch.
        """
        getattr(self, method_name)(self, **cb_kwargs)
        for _, callback in self.callbacks_:
            try:
                getattr(callback, method_name)(self, **cb_kwargs)
            except KeyboardInterrupt as interrupt:
                if not asks_to_stop(callback, interrupt):
                    raise
                self._stop_asked = True
        if method_name == "on_epoch_end":
            self._update_row()  # with what callbacks recorded
            progress = self.run.progress
            asked = progress is not None and progress.epoch_end(self.run.history[-1])
            if asked or self._stop_asked:
                raise StopTraining

    def state(self):
        """Return all that the next epochs depend on, but for the data."""
        self._keep_schedulers()
        # The last batch of each epoch is what callbacks may look for.
        rows = [{**row, "batches": row["batches"][-1:]} for row in self.history]
        return {
            "module": self.module_.state_dict(),
            "optimizer": self.optimizer_.state_dict(),
            "history": self.run.history,
            "skorch_history": rows,
            "best": dict(self._best),
            "schedulers": self._schedulers,
            "epochs": self.epochs_,
            "order": self.generator.get_state(),
            "views": self.view_generator.get_state(),
        }

    def load_state(self, state):
        """Take over what :meth:`state` returned."""
        load_tensors(self.module_, state["module"])
        self.optimizer_.load_state_dict(state["optimizer"])
        for kept in self.optimizer_.state.values():
            if "step" in kept:  # Adam reads it on the host, in every step
                kept["step"] = kept["step"].cpu()
        self.run.history[:] = state["history"]
        self.history[:] = state["skorch_history"]
        self._best, self._schedulers = state["best"], state["schedulers"]
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
        unseen = ("batches", "epoch", *BEST)
        others = {k: v for k, v in recorded if k not in unseen}
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


def all_finite(tensors):
    """Whether all numbers of some tensors are finite; waits for the device once."""
    sums = [t.detach().sum() for t in tensors if t.numel()]
    return not sums or bool(torch.stack([s.float() for s in sums]).isfinite().all())


class _CriterionState:
    """What a loss or a method keeps for each sample, as skorch saves and loads it."""

    def __init__(self, criterion):
        self.kept = getattr(criterion, "state_", {})

    def state_dict(self):
        """Return its tensors by name."""
        return self.kept

    def load_state_dict(self, state):
        """Take over what ``state_dict`` returned."""
        for name, tensor in state.items():
            self.kept[name].copy_(tensor)


@contextmanager
def evaluating(module):
    """In this context a module is in evaluation mode; then each part is as it was.

    Parameters
    ----------
    module : torch.nn.Module
        Whose parts may be in different modes.
    """
    modes = [(part, part.training) for part in module.modules()]
    module.eval()
    try:
        yield
    finally:
        for part, mode in modes:
            part.training = mode
