"""The phases of training a classifier: its head alone, then all of it."""

from dataclasses import dataclass, replace

import torch

from sknoisy.data.spec import InputSpec
from sknoisy.data.stores import ArrayStore
from sknoisy.encoders.blueprint import load_numpy_state, numpy_state
from sknoisy.encoders.inference import forward_all
from sknoisy.regularizers.base import Regularized
from sknoisy.training.dynamics import Dynamics
from sknoisy.training.nets import TrainingData
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
    warmup : bool
        Whether the rate is constant, and callbacks are not called.
    anew : bool
        Whether the network starts again from its first weights.
    """

    name: str
    begin: int
    end: int
    head_only: bool = False
    warmup: bool = False
    anew: bool = False


class ClassifierTraining:
    """Head-only warm-up with the encoder frozen, then training of the whole network.

    The frozen encoder's features are computed once, so that a warm-up epoch costs
    what its head costs. A loss may ask for another phase, in which the network starts
    anew. Runs any number of epochs at a time, on data that may change its labels in
    between.

    Parameters
    ----------
    network : torch.nn.Module
        With submodules ``encoder`` and ``head``, on the device.
    loss : Loss
        Shared by both phases.
    views : Views
        Augmentation of the second phase.
    settings : Settings
        Of the second phase; the first has the same, but for a constant rate.
    warmup_epochs : int
        Epochs of the first phase.
    freeze : bool
        Whether all epochs train the head only.
    seed : int
        Source of all randomness.
    history : list of dict
        Epochs that were done before, where a training goes on from a file.
    regularizers : list of Regularizer
        Whose losses are added in the second phase. Their heads live as long as this.
    first_weights : dict of str to ndarray, default=None
        What `first_weights` was then.
    net_class : type, default=ClassifierNet
        The kind of net that trains.

    Attributes
    ----------
    first_weights : dict of str to ndarray or None
        The network's weights after the warm-up, as long as they will be needed.
    """

    def __init__(
        self,
        network,
        loss,
        views,
        settings,
        warmup_epochs,
        freeze,
        seed,
        history=(),
        regularizers=(),
        first_weights=None,
        net_class=ClassifierNet,
    ):
        self.network = network
        self.net_class = net_class
        self.loss = loss
        self.views = views
        self.settings = settings
        self.regularizers = regularizers
        self.seed = seed
        self.planned_epochs = warmup_epochs + settings.max_epochs
        self.phases = self._plan(warmup_epochs, freeze)
        self.first_weights = first_weights
        self.order = torch.Generator().manual_seed(seed)
        self.view_generator = torch.Generator(settings.device).manual_seed(seed + 1)
        self.data = None
        self._before = list(history)
        self._frozen = None  # the encoder's features of the data, while they serve
        self._nets = {}

    @property
    def epochs(self):
        """Number of epochs done, of both phases."""
        return len(self.history)

    @property
    def history(self):
        """One dict for each finished epoch."""
        rows = [row for net in self._nets.values() for row in net.rows()]
        return [
            {**row, "epoch": i} for i, row in enumerate(self._before + rows, start=1)
        ]

    def loss_state(self):
        """Return what the loss keeps for each sample, as NumPy arrays."""
        return {k: v.cpu().numpy().copy() for k, v in self.loss.state_.items()}

    def restore(self, loss_state, dynamics):
        """Take over what was kept for each sample, if it is of the same shapes."""
        for name in self.loss.lasting:
            self.loss.state_[name].copy_(torch.from_numpy(loss_state[name]))
        if len(dynamics) != len(self.data):
            return
        self.dynamics.load(dynamics)
        shapes, kept = (
            {name: tuple(values.shape) for name, values in state.items()}
            for state in (self.loss.state_, loss_state)
        )
        if shapes == kept:  # all of it or nothing: numbers and classes go together
            for name, tensor in self.loss.state_.items():
                tensor.copy_(torch.from_numpy(loss_state[name]))

    def state(self):
        """Return all that the next epochs depend on, but for the data."""
        return {
            "nets": {phase.name: net.state() for phase, net in self._nets.items()},
            "loss": vars(self.loss),
            "dynamics": self.dynamics.numpy(),
            "first_weights": self.first_weights,
        }

    def load_state(self, state):
        """Take over what :meth:`state` returned, once data of these are attached."""
        for phase in self.phases:
            if phase.name in state["nets"]:
                self._net(phase).load_state(state["nets"][phase.name])
        vars(self.loss).update(state["loss"])
        self.dynamics.load(state["dynamics"])
        self.first_weights = state["first_weights"]

    def attach(self, store, codes, n_classes, class_weights=None):
        """Give the data of the next epochs; state of samples is kept if it fits."""
        device = self.settings.device
        self.n_classes = n_classes
        if self.data is None or len(self.data) != len(store):
            self.loss.start(len(store), n_classes, device)
            self.dynamics = Dynamics(len(store), device)
        codes = torch.from_numpy(codes).to(device)
        if class_weights is not None:
            class_weights = torch.from_numpy(class_weights).to(device)
        self.data = TrainingData(store.resident(device), codes, class_weights)
        self._forget_frozen()

    def detach(self):
        """Forget the data, but not how many samples there were."""
        self.data = range(len(self.data))
        self._forget_frozen()
        for net in self._nets.values():
            net.data = net.progress = net.dynamics = None

    def forget_momentum(self):
        """Free what optimisers keep, which is as large as the network."""
        for net in self._nets.values():
            net.optimizer_.state.clear()

    def run(self, epochs, progress=None):
        """Train for a number of epochs from the current state."""
        end = self.epochs + epochs
        while self.epochs < end:
            phase = [p for p in self.phases if p.begin <= self.epochs][-1]
            until = end if phase is self.phases[-1] else min(end, phase.end)
            self._begin(phase)
            if not phase.head_only:
                self._forget_frozen()
            net = self._net(phase)
            net.progress, net.dynamics = progress, self.dynamics
            net.epochs_before = self.epochs - net.epochs_
            net.planned_epochs = self.planned_epochs
            data = self._frozen_features() if phase.head_only else self.data
            net.partial_fit(data, epochs=until - self.epochs)
            if phase is not self.phases[-1] and self.epochs >= phase.end:
                net.optimizer_.state.clear()  # momentum, as large as the network
            if net.stopped_:
                break

    def _plan(self, warmup, freeze):
        """Return the phases that have epochs, in their order."""
        end = self.planned_epochs
        restart = max(warmup, self.loss.restart(end))
        phases = [
            Phase("head", 0, warmup, head_only=True, warmup=True),
            Phase("head" if freeze else "all", warmup, restart, head_only=freeze),
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
        elif self.phases[-1].anew and self.epochs == phase.begin and not phase.warmup:
            self.first_weights = numpy_state(self.network)

    def _net(self, phase):
        if phase in self._nets:
            return self._nets[phase]
        module = self.network.head if phase.head_only else self.network
        views = NoViews() if phase.head_only else self.views
        settings = replace(self.settings, max_epochs=phase.end - phase.begin)
        if phase.warmup:
            settings = replace(settings, schedule="constant", callbacks=())
        if self.regularizers and not phase.head_only:
            generator = torch.Generator().manual_seed(self.seed + 2)
            spec = self.data.store.spec
            module = Regularized(
                module, self.regularizers, spec, self.n_classes, generator
            )
        net = self.net_class(
            module,
            loss=self.loss,
            views=views,
            view_generator=self.view_generator,
            phase=phase.name,
            settings=settings,
            generator=self.order,
        )
        self._nets[phase] = net.initialize()
        net.epochs_ = sum(row["phase"] == phase.name for row in self._before)
        return net

    def _forget_frozen(self):
        """Free the frozen features, which may be larger than the data."""
        self._frozen = None
        for phase, net in self._nets.items():
            if phase.head_only:
                net.data = None

    def _frozen_features(self):
        if self._frozen is None:
            store, device = self.data.store, self.settings.device
            features = forward_all(self.network.encoder, store, device)
            spec = InputSpec("vector", features.shape[1:], "vector")
            features = ArrayStore(features, spec).resident(device)
            self._frozen = replace(self.data, store=features)
        return self._frozen
