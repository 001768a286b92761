"""What skorch's callbacks see of a net: events, history, scores and predictions."""

import copy
import math

import torch
from skorch import NeuralNet
from skorch.callbacks import LRScheduler

from sknoisy import ranks
from sknoisy.data.devices import lower_precision, to_channels_last
from sknoisy.encoders.inference import in_order
from sknoisy.encoders.modes import evaluating
from sknoisy.training.callbacks import StopTraining, asks_to_stop
from sknoisy.training.interrupts import raise_lost_interrupt
from sknoisy.training.optim import OPTIMIZERS, Idle
from sknoisy.training.run import TrainingData

# Recorded for skorch's callbacks, as skorch's own nets do, but not for users.
BEST = ("train_loss_best", "valid_loss_best", "valid_acc_best")


class ObservedNet(NeuralNet):
    """A skorch net, as far as skorch's callbacks look at it.

    The module, optimiser, callbacks and history are skorch's; a subclass has the loop.

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

    def initialize_optimizer(self, *args, **kwargs):  # noqa: D102
        if any(True for _ in self.module_.parameters()):
            return super().initialize_optimizer(*args, **kwargs)
        self.optimizer_ = Idle(self.lr)  # of a kernel machine
        return self

    def initialize_history(self):  # noqa: D102
        super().initialize_history()
        self.epochs_ = 0
        self._best, self._schedulers = {}, {}
        return self

    def outputs(self, batch):
        """Return what the module makes of a batch of samples, without views."""
        return self.module_(batch)

    def training_outputs(self, batch):
        """Return the outputs of the batch that was trained, for callbacks, or None."""
        return None

    def scores(self, outputs, labels):
        """Return scores of validation samples.

        Parameters
        ----------
        outputs : tensor of shape (n, ...)
            What ``outputs`` returned.
        labels : Labels
            What is given of their classes.

        Returns
        -------
        scores : dict of str to float
            "valid_loss" and others.
        """
        raise NotImplementedError

    def get_split_datasets(self, X, y=None, **fit_params):  # noqa: D102
        return X, X.validation

    def check_data(self, X, y=None):
        """Nothing is left to check: estimators have done it."""

    def evaluation_step(self, batch, training=False):
        """Return the outputs of a batch of samples and labels, without views."""
        samples = to_channels_last(batch[0])
        with (
            evaluating(self.module_),
            torch.no_grad(),
            lower_precision(self.settings.device, self.settings.precision),
        ):
            return self.outputs(samples).float()

    def forward_iter(self, X, training=False, device="cpu"):
        """Yield outputs, batch by batch.

        Parameters
        ----------
        X : TrainingData, store, tensor or array-like of shape (n, ...)
            What callbacks pass on: all samples of the training; a batch, as the
            network takes it; or other samples, as ``fit`` takes them.
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
            raise_lost_interrupt()
            progress, row = self.run.progress, self.run.history[-1]
            is_solved = getattr(self.criterion_, "closed_form", False)
            asked = progress is not None and progress.epoch_end(row, is_solved)
            limit = self.run.limit
            late = limit is not None and limit.is_over(self.history[-1, "dur"])
            if ranks.any_rank(asked or late or self._stop_asked):
                raise StopTraining

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

    def _record(self, name, value, badness):
        """Record a value of an epoch, and whether it is the best so far."""
        is_best = badness < self._best.get(name, math.inf)
        if is_best:
            self._best[name] = badness
        self.history.record(name, value)
        self.history.record(f"{name}_best", is_best)

    def _batch_end(self, prefix, pair, loss, outputs):
        self.history.record_batch(f"{prefix}_loss", loss.item())
        self.history.record_batch(f"{prefix}_batch_size", len(pair[0]))
        training = prefix == "train"
        self.notify(
            "on_batch_end", batch=pair, training=training, loss=loss, y_pred=outputs
        )

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

    def _labelled(self, index, batch):
        """Return a batch as skorch's callbacks know it: samples and targets."""
        return batch, index


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
