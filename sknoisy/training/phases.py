"""The phases of training a classifier: its head alone, then all of it."""

from dataclasses import dataclass, replace

import numpy as np
import torch

from sknoisy import ranks
from sknoisy.data.devices import generator
from sknoisy.data.spec import InputSpec
from sknoisy.data.stores import ArrayStore
from sknoisy.encoders.blueprint import load_numpy_state, numpy_state
from sknoisy.encoders.inference import forward_all
from sknoisy.encoders.weights import load_tensors
from sknoisy.regularizers.base import Regularized
from sknoisy.training.dynamics import Dynamics
from sknoisy.training.run import Run
from sknoisy.training.supervised import ClassifierNet
from sknoisy.views.base import NoViews


@dataclass(frozen=True)
class Phase:
    """A part of the training that has an optimiser and a schedule of its own.

    Attributes
    ----------
    name : str
        Its name in the history.
    begin, end : int
        Its epochs, counted from 0; the last phase has no end.
    head_only : bool
        Whether the encoder stays as it is.
    before_all : bool
        Whether it is of the head before all else: callbacks are not called.
    anew : bool
        Whether the network starts again from its first weights.
    """

    name: str
    begin: int
    end: int
    head_only: bool = False
    before_all: bool = False
    anew: bool = False


class ClassifierTraining:
    """Training of a classifier in phases: its head alone, then all of it.

    The frozen encoder's features are computed once, so that an epoch of the head costs
    what the head costs. A loss may ask for another phase, in which the network starts
    anew. Runs any number of epochs at a time, on data that may change its labels in
    between.

    Parameters
    ----------
    network : torch.nn.Module
        With submodules ``encoder`` and ``head``, on the device.
    loss : Loss or CoTraining
        What is minimised, in all phases.
    views : Views
        Augmentation where the encoder is trained.
    settings : Settings
        Settings of the phases after the first, which has the same, but for its
        learning rate.
    head_epochs : int
        Epochs of the first phase, in which the head alone is trained.
    freeze : bool
        Whether all epochs train the head only.
    head_lr, head_schedule : float, str
        Learning rate of the first phase, and its schedule.
    seed : int
        Source of all randomness.
    regularizers : list of Regularizer, default=()
        Whose losses are added where the encoder is trained. Their heads live as long
        as this.
    net_class : type, default=ClassifierNet
        The kind of net that trains.
    history : list of dict, default=()
        Epochs that were done before, where a training goes on from a file.
    first_weights : dict of str to ndarray, default=None
        What `first_weights` was then.

    Attributes
    ----------
    stopping : LabelWave or None
        What may end the last phase early.
    limit : TimeLimit or None
        When the training has to end.
    stopped_epoch : int or None
        The epoch that it went back to, from 1.
    first_weights : dict of str to ndarray or None
        The network's weights after the first phase, as long as they will be needed.
    run : Run
        The history, the dynamics, and what else the phases share.
    first : tensor or None
        The first sample of a closed form, by which forgotten ones are noticed.
    parameters : object or None
        Those of the estimator when it made this, by which changes are noticed.
    """

    def __init__(
        self,
        network,
        loss,
        views,
        settings,
        head_epochs,
        freeze,
        head_lr,
        head_schedule,
        seed,
        regularizers=(),
        net_class=ClassifierNet,
        history=(),
        first_weights=None,
    ):
        self.network = network
        self.net_class = net_class
        self.loss = loss
        self.views = views
        self.settings = settings
        self.regularizers = regularizers
        self.head_lr, self.head_schedule = head_lr, head_schedule
        self.seed = seed
        self.first_weights = first_weights
        self.stopping = self.stopped_epoch = self.limit = None
        self.first = self.parameters = None
        self.order = generator(seed)
        self.view_generator = generator(ranks.own_seed(seed + 1), settings.device)
        self.data = self._samples = None
        self.run = Run(head_epochs + settings.max_epochs, list(history))
        self.phases = self._plan(head_epochs, freeze)
        self._done_before = [row["phase"] for row in history]
        self._frozen = None  # the encoder's features of the data, while they serve
        self._nets = {}

    @property
    def epochs(self):
        """Number of epochs done, in all phases."""
        return len(self.run.history)

    @property
    def planned_epochs(self):
        """Number of epochs planned, in all phases."""
        return self.run.planned_epochs

    @property
    def dynamics(self):
        """What the training recorded of each sample."""
        return self.run.dynamics

    def loss_state(self):
        """Return what the loss keeps for each sample, as NumPy arrays."""
        return {k: v.cpu().numpy().copy() for k, v in self.loss.state_.items()}

    def restore(self, loss_state, dynamics, rows):
        """Take over what was kept for each sample, if these are the same.

        Parameters
        ----------
        loss_state : dict of str to ndarray
            What :meth:`loss_state` returned.
        dynamics : ndarray
            What the dynamics' ``numpy`` returned.
        rows : ndarray or None
            Positions of the samples, see :class:`~sknoisy.training.run.TrainingData`.
        """
        # They are read-only where a pickle was mapped, which from_numpy warns of.
        loss_state = {k: torch.tensor(v, device="cpu") for k, v in loss_state.items()}
        self._carry_over(loss_state)
        if not _are_same((len(dynamics), rows), self._samples):
            return
        self.dynamics.load(dynamics)
        shapes, kept = (
            {name: tuple(values.shape) for name, values in state.items()}
            for state in (self.loss.state_, loss_state)
        )
        if shapes == kept:  # all of it or nothing: numbers and classes go together
            for name, tensor in self.loss.state_.items():
                tensor.copy_(loss_state[name])

    def state(self):
        """Return all that the next epochs depend on, but for the data."""
        return {
            "nets": {phase.name: net.state() for phase, net in self._nets.items()},
            "loss": self.loss.checkpoint(),
            "dynamics": self.dynamics.numpy(),
            "first_weights": self.first_weights,
            "stopping": self.stopping and self.stopping.checkpoint(),
        }

    def load_state(self, state):
        """Take over what :meth:`state` returned, once data of these are attached."""
        # Phases before the last are over: features for a head would be of no use.
        phase = [p for p in self.phases if p.name in state["nets"]][-1]
        data = self._frozen_features() if phase.head_only else self.data
        self._net(phase, data).load_state(state["nets"][phase.name])
        self.loss.resume(state["loss"])
        self.dynamics.load(state["dynamics"])
        self.first_weights = state["first_weights"]
        if self.stopping is not None:
            self.stopping.resume(state["stopping"])

    def attach(self, data, n_classes):
        """Give the data of the next epochs; state of samples is kept for the same ones.

        Parameters
        ----------
        data : TrainingData
            With labels; its store becomes resident on the device.
        n_classes : int
            Number of classes.
        """
        device = self.settings.device
        self.n_classes = self.run.n_classes = n_classes
        samples = len(data), data.rows
        if not _are_same(samples, self._samples):
            before = getattr(self.loss, "state_", {})
            self.loss.state_ = {}
            rows = np.arange(len(data)) if data.rows is None else data.rows
            self.loss.positions_ = torch.from_numpy(rows).to(device)
            self.loss.start(len(data), n_classes, device)
            self.loss.check_started()
            self._carry_over(before)
            self.run.dynamics = Dynamics(len(data), device)
        self._samples = samples
        self.data = _on_device(data, device)
        self.loss.trust(self.data.labels.trusted)
        self._forget_frozen()

    def _carry_over(self, state):
        """Take over what the loss has learned that holds of any samples."""
        for name in self.loss.lasting:
            if name in state:
                self.loss.state_[name].copy_(state[name])

    def detach(self):
        """Forget the data, but not which samples these were."""
        self.data = None
        self.run.progress = None
        self._forget_frozen()

    def settle(self):
        """Go back to the epoch that was chosen, if any; later epochs have no limits."""
        stopping, self.stopping, self.run.stopping = self.stopping, None, None
        self.limit = self.run.limit = None
        if stopping is None or not stopping.stopped_:
            return
        kept = stopping.kept_
        load_tensors(self._nets[self.phases[-1]].module_, kept["weights"])
        self.loss.resume(kept["others"]["loss"])
        self.dynamics.load(kept["others"]["dynamics"])
        self.stopped_epoch = stopping.epoch_

    def forget_momentum(self):
        """Free what optimisers keep, which is as large as the network."""
        for net in self._nets.values():
            net.optimizer_.state.clear()

    def train_epochs(self, epochs, progress=None):
        """Train for a number of epochs from the current state."""
        self.run.progress, self.stopped_epoch = progress, None
        end = self.epochs + epochs
        while self.epochs < end and not (self.stopping and self.stopping.stopped_):
            phase = [p for p in self.phases if p.begin <= self.epochs][-1]
            self.run.stopping = self.stopping if phase is self.phases[-1] else None
            self.run.limit = self.limit if phase is self.phases[-1] else None
            if self.run.limit is not None:
                self.run.limit.begin_phase(self.epochs)
            until = end if phase is self.phases[-1] else min(end, phase.end)
            self._begin(phase)
            if not phase.head_only:
                self._forget_frozen()
            data = self._frozen_features() if phase.head_only else self.data
            net = self._net(phase, data)
            if progress is not None:
                progress.pace_changes()
            net.train_epochs(data, until - self.epochs)
            if phase is not self.phases[-1] and self.epochs >= phase.end:
                net.optimizer_.state.clear()  # momentum, as large as the network
            if net.stopped_:
                break

    def _plan(self, head_epochs, freeze):
        """Return the phases that have epochs, in their order."""
        end = self.planned_epochs
        restart = max(head_epochs, self.loss.restart(end))
        phases = [
            Phase("head", 0, head_epochs, head_only=True, before_all=True),
            Phase("head" if freeze else "all", head_epochs, restart, head_only=freeze),
            Phase("anew", restart, end, head_only=freeze, anew=True),
        ]
        return [phase for phase in phases if phase.begin < phase.end]

    def _begin(self, phase):
        """Keep the first weights, or go back to them, where a phase begins."""
        if phase.anew:
            # Also later than at its first epoch, where fewer epochs are planned now.
            if self.first_weights is not None:
                load_numpy_state(self.network, self.first_weights)
                self.first_weights = None
        elif (
            self.phases[-1].anew and self.epochs == phase.begin and not phase.before_all
        ):
            self.first_weights = numpy_state(self.network)

    def _net(self, phase, data):
        """Return the net of a phase, made when it is first needed."""
        if phase in self._nets:
            return self._nets[phase]
        module = self.network.head if phase.head_only else self.network
        settings = replace(self.settings, max_epochs=phase.end - phase.begin)
        if phase.head_only:
            settings = replace(settings, precision=settings.head_precision)
        if phase.before_all:
            settings = replace(
                settings,
                lr=self.head_lr,
                schedule=self.head_schedule,
                callbacks=(),
                max_norm=None,
            )
        if self.regularizers and not phase.head_only:
            source, spec = generator(self.seed + 2), self.data.store.spec
            module = Regularized(
                module, self.regularizers, spec, self.n_classes, source
            )
        before, names = module, [*module.state_dict()]
        module = self.loss.extend(module, data, generator(self.seed + 2))
        if [*before.state_dict()] != names:  # it is kept, and read back without these
            raise ValueError(
                f"extend of {type(self.loss).__name__} changed the network that it "
                "was given: return a new module that contains it."
            )
        net = self.net_class(
            module,
            self.loss,
            settings,
            self.run,
            generator=self.order,
            view_generator=self.view_generator,
            views=NoViews() if phase.head_only else self.views,
            phase=phase.name,
        )
        self._nets[phase] = net.initialize()
        net.epochs_ = self._done_before.count(phase.name)
        return net

    def _forget_frozen(self):
        """Free the frozen features, which may be larger than the data."""
        self._frozen = None

    def _frozen_features(self):
        """Return the data, and its validation samples, as the encoder's features."""
        if self._frozen is None:
            self._frozen = self._encoded(self.data)
        return self._frozen

    def _encoded(self, data):
        if data is None:
            return None
        device = self.settings.device
        if data.features is None:
            features = forward_all(self.network.encoder, data.store, device)
        else:
            features = np.asarray(data.features.computed())
        spec = InputSpec("vector", features.shape[1:], "vector")
        store = ArrayStore(features, spec).resident(device)
        validation = self._encoded(data.validation)
        return replace(data, store=store, validation=validation, frozen=True)


def _are_same(samples, others):
    """Whether two numbers of samples, with their positions or None, are the same."""
    return (
        others is not None
        and samples[0] == others[0]
        and np.array_equal(samples[1], others[1])
    )


def _on_device(data, device):
    """Return data whose store, labels and weights are on a device, if they fit."""
    if data is None:
        return None
    weights = data.class_weights
    return replace(
        data,
        store=data.store.resident(device),
        labels=data.labels.to(device),
        class_weights=None if weights is None else weights.to(device),
        validation=_on_device(data.validation, device),
    )
