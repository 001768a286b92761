"""The net of self-supervised learning: pairs of views, and the method's loss."""

from sknoisy.training.nets import Net
from sknoisy.views.base import random_view


class SelfSupervisedNet(Net):
    """Trains an encoder and its heads on pairs of views.

    Parameters
    ----------
    module : torch.nn.ModuleDict
        The encoder and the heads.
    criterion : SelfSupervised
        The method.
    settings, run, generator, view_generator
        As in :class:`~sknoisy.training.nets.Net`.
    views : pair of Views
        Makes the two views.
    labels : sequence of tensors of shape (n_samples,), default=()
        What the loss is told of each sample beside its views; on the device.

    Attributes
    ----------
    monitor : EncoderMonitor or None
        Scores the encoder after some epochs, for the history.
    """

    monitor = None
    use_caching = False  # there are no predictions of batches

    def __init__(
        self,
        module,
        criterion,
        settings,
        run,
        generator,
        view_generator,
        views,
        labels=(),
    ):
        super().__init__(module, criterion, settings, run, generator, view_generator)
        self.views = views
        self.labels = labels

    def _train_epoch(self, iterator, step_fn):
        super()._train_epoch(iterator, step_fn)
        epoch, n_epochs = self.epochs_ + 1, self.settings.max_epochs
        if self.monitor is not None and self.monitor.is_due(epoch, n_epochs):
            scores = self.monitor(self.module_["encoder"], epoch)
            for name, value in scores.items():
                self.history.record(name, value)

    def batch_loss(self, index, batch):  # noqa: D102
        first, second = (
            random_view(views, batch, self.view_generator) for views in self.views
        )
        labels = (values[index] for values in self.labels)
        return self.criterion_.loss(self.module_, first, second, *labels)

    def outputs(self, batch):
        """Return the encoder's features of a batch."""
        return self.module_["encoder"](batch)

    def after_step(self, progress):  # noqa: D102
        self.criterion_.after_step(self.module_, progress)
