"""The classifier's net: a view of each sample, and a loss that may know it."""

from sknoisy.data.devices import full_precision, to_channels_last
from sknoisy.regularizers.base import Regularized
from sknoisy.training.nets import Net


class ClassifierNet(Net):
    """Trains a classifier with a loss that may know its samples.

    Parameters
    ----------
    module : torch.nn.Module
        From samples to logits; a Regularized adds its loss.
    loss : Loss
        skorch's criterion.
    views : Views
        Augmentation.
    phase : str
        Name of the phase, for the history.

    Attributes
    ----------
    data : TrainingData
        The samples and labels, while it trains.
    dynamics : Dynamics
        Told of every batch; set before training.
    epochs_before, planned_epochs : int
        Epochs done in the phases before, and planned in all; set before training.
    """

    def __init__(self, module, *, loss, views, phase, **kwargs):
        super().__init__(module, criterion=loss, **kwargs)
        self.loss = loss
        self.views = views
        self.phase = phase
        self.data = None
        self.dynamics = None
        self.planned_epochs = 0

    def on_epoch_begin(self, net, **kwargs):  # noqa: D102
        super().on_epoch_begin(net, **kwargs)
        self.history.record("phase", self.phase)
        self.criterion_.on_epoch(self.epochs_done, self.planned_epochs)

    def fit_loop(self, X, y=None, epochs=None, **fit_params):  # noqa: D102
        self.data = X
        return super().fit_loop(X, y, epochs, **fit_params)

    def batch_loss(self, index, batch):  # noqa: D102
        with full_precision(batch):
            batch = to_channels_last(self.views(batch, self.view_generator))
        logits, penalty = self._forward(batch)
        target = self.data.codes.index_select(0, index)
        self.dynamics.update(logits, target, index)
        with full_precision(logits):
            losses = self.criterion_(logits, target, index)
        if losses.shape != target.shape:
            raise ValueError(
                f"{type(self.criterion_).__name__} returned a loss of shape "
                f"{tuple(losses.shape)} for a batch of {len(target)} samples: it must "
                f"return one for each sample, of shape ({len(target)},)."
            )
        if self.data.class_weights is None:
            loss = losses.mean()
        else:
            weights = self.data.class_weights[target]
            loss = (weights * losses).sum() / weights.sum()
        return loss if penalty is None else loss + penalty

    def _forward(self, batch):
        """Return the logits, and what regularisers add to the loss, or None."""
        if not isinstance(self.module_, Regularized):
            return self.module_(batch).float(), None
        logits, penalty = self.module_.regularized(batch, self.view_generator)
        return logits.float(), penalty
