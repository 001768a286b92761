"""The classifier's net: a view of each sample, and a loss that may know it."""

import torch
from torch.nn import functional as F

from sknoisy.data.devices import full_precision, to_channels_last
from sknoisy.encoders.inference import forward_all
from sknoisy.regularizers.base import Regularized
from sknoisy.training.nets import Net


class ClassifierNet(Net):
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
        self.criterion_.on_epoch(self.epochs_done, self.run.planned_epochs)

    def batch_loss(self, index, batch):  # noqa: D102
        logits, penalty = self._forward(self.view(batch))
        target = self.data_.codes.index_select(0, index)
        self.run.dynamics.update(logits, target, index)
        with full_precision(logits):
            losses = self.criterion_(logits, target, index)
        if losses.shape != target.shape:
            raise ValueError(
                f"{type(self.criterion_).__name__} returned a loss of shape "
                f"{tuple(losses.shape)} for a batch of {len(target)} samples: it must "
                f"return one for each sample, of shape ({len(target)},)."
            )
        if self.data_.class_weights is None:
            loss = losses.mean()
        else:
            weights = self.data_.class_weights[target]
            loss = (weights * losses).sum() / weights.sum()
        return loss if penalty is None else loss + penalty

    def view(self, batch, views=None):
        """Return a random view of a batch, in float32; by default, by its own views."""
        views = self.views if views is None else views
        with full_precision(batch):
            return to_channels_last(views(batch, self.view_generator))

    def validation_scores(self):
        """Return cross-entropy and accuracy of the given labels, without views."""
        data = self.data_.validation
        logits = self.log_probabilities(data.store)
        target = data.codes.cpu()
        predicted = logits.argmax(dim=1)
        return {
            "valid_loss": float(F.cross_entropy(logits, target)),
            "valid_acc": float((predicted == target).float().mean()),
        }

    def log_probabilities(self, store):
        """Return logits of all samples of a store, tensor (n, n_classes) on the CPU."""
        precision = self.settings.precision
        return torch.from_numpy(
            forward_all(self.module_, store, self.device, precision)
        )

    def _labelled(self, index, batch):
        return batch, self.data_.codes[index]

    def _forward(self, batch):
        """Return the logits, and what regularisers add to the loss, or None."""
        if not isinstance(self.module_, Regularized):
            return self.module_(batch).float(), None
        logits, penalty = self.module_.regularized(batch, self.view_generator)
        return logits.float(), penalty
