"""The classifier's net: a view of each sample, and a loss that may know it."""

import re

import numpy as np
import torch
from sklearn.base import ClassifierMixin

from sknoisy import ranks
from sknoisy.checks import described
from sknoisy.data.devices import full_precision
from sknoisy.losses.cross_entropy import cross_entropy
from sknoisy.losses.expected import weighted_mean
from sknoisy.regularizers.base import Regularized
from sknoisy.training.nets import Net
from sknoisy.views.base import random_view


class ClassifierNet(ClassifierMixin, Net):
    """Trains a classifier with a loss that may know its samples.

    Parameters
    ----------
    module : torch.nn.Module
        From samples to logits; a Regularized adds its loss.
    criterion : Loss
        The loss.
    settings, run, generator, view_generator
        As in :class:`~sknoisy.training.nets.Net`.
    views : Views
        Augmentation.
    phase : str
        Name of the phase, for the history.
    """

    def __init__(
        self, module, criterion, settings, run, generator, view_generator, views, phase
    ):
        super().__init__(module, criterion, settings, run, generator, view_generator)
        self.views = views
        self.phase = phase

    def on_epoch_begin(self, net, **kwargs):  # noqa: D102
        super().on_epoch_begin(net, **kwargs)
        self.criterion_.on_epoch(self.epochs_done, self._expected_epochs())

    def on_epoch_end(self, net, **kwargs):  # noqa: D102
        shares = self.run.dynamics.end_epoch()
        for name, share in shares.items():
            self.history.record(name, share)
        super().on_epoch_end(net, **kwargs)
        stopping = self.run.stopping
        if stopping is not None and "prediction_changes" in shares:
            states = self.module_.state_dict(), self._of_samples
            if stopping.after_epoch(self.epochs_done, shares, *states):
                self._stop_asked = True

    def _expected_epochs(self):
        """Return how many epochs the whole training has, if time allows for them."""
        planned, limit = self.run.planned_epochs, self.run.limit
        if limit is None:
            return planned
        return int(ranks.number_from_first(limit.epochs(self.epochs_done, planned)))

    def batch_loss(self, index, batch):  # noqa: D102
        logits, penalty = self._forward(self.view(batch))
        logits = ranks.gathered(logits)
        if self.heard_:
            self.logits_ = logits.detach()
        labelled = self.data_.labels.labelled
        if labelled is None:
            loss = self._labels_loss(logits, index)
        else:
            known = labelled[index]
            loss = self._labels_loss(logits[known], index[known])
        return loss if penalty is None else loss + penalty

    def _labels_loss(self, logits, index):
        """Return the mean loss of labelled samples, by their weights."""
        labels, n = self.data_.labels, len(index)
        if n == 0:
            return logits.sum()
        target, codes = labels.targets(index), labels.codes.index_select(0, index)
        self.run.dynamics.update(logits, codes, index)
        with full_precision(logits):
            losses = self.criterion_(logits, target, index)
        if not isinstance(losses, torch.Tensor) or losses.shape != (n,):
            raise ValueError(
                f"{type(self.criterion_).__name__} returned {described(losses)} as the "
                f"loss of a batch of {n} samples: it must return one for each sample, "
                f"a tensor of shape ({n},)."
            )
        if labels.trusted is not None:
            plain = cross_entropy(logits, target)
            losses = torch.where(labels.trusted[index], plain, losses)
        weights = self.data_.loss_weights
        return weighted_mean(losses, None if weights is None else weights[index])

    def view(self, batch, views=None):
        """Return a random view of a batch, in float32; by default, by its own views."""
        views = self.views if views is None else views
        return random_view(views, batch, self.view_generator)

    def training_outputs(self, batch):  # noqa: D102
        return self.logits_

    def scores(self, outputs, labels):
        """Return cross-entropy and accuracy of the given labels, without views.

        That of soft labels is how often their most probable class is predicted.
        """
        target = labels.codes if labels.soft is None else labels.soft
        right = (outputs.argmax(dim=1) == labels.codes).float()
        losses = cross_entropy(outputs, target)
        return {
            "valid_loss": float(weighted_mean(losses, labels.weights)),
            "valid_acc": float(weighted_mean(right, labels.weights)),
        }

    @property
    def classes_(self):
        """Codes of the classes, which callbacks know the labels by."""
        return np.arange(self.run.n_classes)

    def predict_proba(self, X):  # noqa: D102
        logits = torch.cat([*self.forward_iter(X)])
        return logits.softmax(dim=1).numpy()

    def predict(self, X):  # noqa: D102
        return self.predict_proba(X).argmax(axis=1)

    def get_all_learnable_params(self):
        """Yield parameters by their names in the whole network, such as "head.bias"."""
        is_head = not hasattr(getattr(self.module_, "network", self.module_), "encoder")
        for name, parameter in super().get_all_learnable_params():
            name = name.removeprefix("network.")
            if is_head:
                name = re.sub(r"^(networks\.\d+\.)?", r"\1head.", name, count=1)
            yield name, parameter

    def _of_samples(self):
        """Return what is kept of each sample, by the loss and the dynamics."""
        kept = {"loss": self.criterion_.checkpoint()}
        return kept | {"dynamics": self.run.dynamics.numpy()}

    def _labelled(self, index, batch):
        return batch, self.data_.codes[index]

    def _forward(self, batch):
        """Return the logits, and what regularisers add to the loss, or None."""
        if not isinstance(self.module_, Regularized):
            return self.module_(batch).float(), None
        logits, penalty = self.module_.regularized(batch, self.view_generator)
        return logits.float(), penalty
