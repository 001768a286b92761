"""What a net is given: its settings, its data, and what it shares with others."""

from dataclasses import dataclass, field
from functools import cached_property

import numpy as np
import torch
from skorch.dataset import Dataset

from sknoisy.data.given import Labels


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
    head_precision: torch.dtype  # the same, where a head learns on frozen features
    callbacks: tuple
    verbose: bool  # whether callbacks that print may print
    max_norm: float = None  # that gradients are clipped to; None: they are not


@dataclass
class TrainingData(Dataset):
    """What a net learns from; a data set of skorch, as its callbacks ask for.

    Attributes
    ----------
    store : ArrayStore, PathStore or Subset
        The samples.
    labels : Labels or None
        In classification, what is given of the samples' classes.
    class_weights : tensor of shape (n_classes,) or None
        Weights of the classes; None: all are equal.
    validation : TrainingData or None
        Samples that are scored after each epoch and never trained on.
    features : LazyFeatures or None
        The samples as features of the encoder, where these were asked for before: a
        frozen encoder then need not compute them again.
    rows : ndarray of shape (n_samples,), int64, or None
        Positions of the samples among all that were given; None: these are all.
    frozen : bool
        Whether the store holds features of the samples, by an encoder that is frozen.
    """

    store: object
    labels: Labels = None
    class_weights: torch.Tensor = None
    validation: "TrainingData" = None
    features: object = None
    rows: np.ndarray = None
    frozen: bool = False

    @property
    def X(self):
        """The samples, which the net's ``predict`` takes."""
        return self.store

    @property
    def y(self):
        """The codes of the labels, or None."""
        return self.codes

    @property
    def codes(self):
        """The codes of the labels, tensor of shape (n_samples,), int64, or None."""
        return None if self.labels is None else self.labels.codes

    @cached_property
    def loss_weights(self):
        """Weights of the samples' losses, by sample and class; None: all are equal."""
        labels, of_classes = self.labels, self.class_weights
        if of_classes is None:
            return labels.weights
        if labels.soft is None:
            of_labels = of_classes[labels.codes.clamp(min=0)]
        else:
            of_labels = labels.soft @ of_classes
        return of_labels if labels.weights is None else of_labels * labels.weights

    def __len__(self):
        return len(self.store)

    def __getitem__(self, i):
        """Return a sample and the code of its label, or None."""
        if not 0 <= i < len(self):
            raise IndexError(i)
        (sample,) = self.store.fetch(torch.tensor([i], device="cpu"), "cpu")
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
    stopping : LabelWave or None
        May end the training early, in its last phase.
    limit : TimeLimit or None
        When the training has to end, in its last phase.
    """

    planned_epochs: int
    history: list = field(default_factory=list)
    progress: object = None
    dynamics: object = None
    n_classes: int = None
    stopping: object = None
    limit: object = None
