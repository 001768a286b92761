"""The net of co-training: an ensemble of networks, and the method that trains it."""

import numpy as np
import torch

from sknoisy import ranks
from sknoisy.cotraining.ensembles import given_losses
from sknoisy.data.devices import to_channels_last
from sknoisy.encoders.architecture import features_and_logits
from sknoisy.encoders.inference import forward_all, forward_batches
from sknoisy.training.callbacks import scores_training
from sknoisy.training.supervised import ClassifierNet
from sknoisy.views.base import NoViews

PART = 2**12  # samples whose losses are computed at a time


class CoTrainingNet(ClassifierNet):
    """A net whose module is an Ensemble and whose loss is a CoTraining.

    The public methods and these attributes are what a method may use: ``module_``, the
    Ensemble; ``data_.codes``, the given labels; ``generator``, ``device`` and
    ``batch_size``.
    """

    def on_epoch_begin(self, net, **kwargs):  # noqa: D102
        super().on_epoch_begin(net, **kwargs)
        self.criterion_.before_epoch(self)

    def epoch_batches(self, store):  # noqa: D102
        return self.criterion_.batches(self, store)

    def batch_loss(self, index, batch, *others):  # noqa: D102
        return self.criterion_.batch_loss(self, index, batch, *others)

    def after_step(self, progress):  # noqa: D102
        self.criterion_.after_step(self, progress)

    def targets(self, index):
        """Return the codes of the given labels of some samples, or soft labels.

        They are soft, (n, n_classes), if any label is soft and the method accepts soft
        labels. A sample without a label gets the first class, with weight 0.
        """
        labels = self.data_.labels
        if labels.soft is not None:
            return labels.soft[index]
        codes = labels.codes[index]
        return codes if labels.labelled is None else codes.clamp(min=0)

    def sample_weights(self, index):
        """Return the weights of some samples, labelled or not; None: all are 1."""
        weights = self.data_.labels.weights
        return None if weights is None else weights[index]

    def weights(self, index):
        """Return the weights of some samples, 0 without a label; None: all are 1."""
        labels, weights = self.data_.labels, self.sample_weights(index)
        if labels.labelled is None:
            return weights
        known = labels.labelled[index].float()
        return known if weights is None else known * weights

    def trusted(self, index):
        """Return which samples' labels are known to be right; None: none is."""
        trusted = self.data_.labels.trusted
        return None if trusted is None else trusted[index]

    def view(self, batch, views=None):
        """Return a random view of a batch, in float32, also of other ranks' samples.

        It is for methods that mix samples. If only the networks need the view, call
        :meth:`logits`, which does with less.
        """
        return to_channels_last(ranks.gathered(self.own_view(batch, views)))

    @property
    def has_views(self):
        """Whether views may differ from the samples."""
        return not isinstance(self.views, NoViews)

    def own_view(self, batch, views=None):
        """Return a random view of this rank's part of a batch."""
        return super().view(batch, views)

    def logits(self, batch):
        """Return the logits of a random view of a batch.

        Parameters
        ----------
        batch : tensor of shape (n, ...), float32
            The samples.

        Returns
        -------
        logits : tensor of shape (n, n_networks, n_classes), float32
            Logits of all networks for the samples of all ranks.
        """
        return ranks.gathered(self.module_(self.own_view(batch)).float())

    def observed_logits(self, index, batch):
        """Return the logits of a random view of a batch; the dynamics record them.

        Parameters
        ----------
        index : tensor of shape (n,), int64
            Positions of the samples.
        batch : tensor of shape (n, ...), float32
            The samples.

        Returns
        -------
        logits : tensor of shape (n, n_networks, n_classes), float32
            Logits of all networks.
        """
        logits = self.logits(batch)
        self.observe(logits, self.targets(index), index)
        return logits

    def observe(self, logits, target, index):
        """Let the dynamics record the networks' mean prediction of what has a label."""
        labelled = self.data_.labels.labelled
        if labelled is not None:
            known = labelled[index]
            logits, target, index = logits[known], target[known], index[known]
        mean = logits.detach().log_softmax(dim=2).logsumexp(dim=1)
        if target.is_floating_point():
            target = target.argmax(dim=1)
        self.run.dynamics.update(mean, target, index)

    def predict_features(self):
        """Return features and logits of all training samples, by the first network.

        Returns
        -------
        features : ndarray of shape (n_samples, n_features), float32
            Input of the head, in evaluation mode, without views.
        logits : ndarray of shape (n_samples, n_classes), float32
            Output of the head.
        """
        both = self.predict_with(_FeaturesAndLogits(self.module_.networks[0]))
        n_classes = self.criterion_.n_classes
        return both[:, :-n_classes], both[:, -n_classes:]

    def predict_with(self, module):
        """Return the outputs of a module for all training samples, without views.

        Parameters
        ----------
        module : torch.nn.Module
            On the device; it is left in evaluation mode.

        Returns
        -------
        outputs : ndarray of shape (n_samples, ...), float32
            One row for each sample.
        """
        _, *where = self._all_samples()
        outputs = forward_all(module, *where)
        self._check_outputs(outputs)
        return outputs

    def predict_logits(self):
        """Return the logits of all training samples, without views.

        Returns
        -------
        logits : ndarray of shape (n_samples, n_networks, n_classes), float32
            In evaluation mode.
        """
        logits = forward_all(*self._all_samples())
        self._check_outputs(logits)
        return logits

    def losses(self):
        """Return each network's loss of the given labels, without views.

        The dynamics record the predictions.

        Returns
        -------
        losses : ndarray of shape (n_samples, n_networks), float32
            In nats, see :func:`~sknoisy.cotraining.given_losses`.
        """
        return self._losses(forward_batches(*self._all_samples()))

    def losses_of(self, logits):
        """Return the same as :meth:`losses`, from given logits.

        Parameters
        ----------
        logits : tensor of shape (n_samples, n_networks, n_classes), float32
            Result of :meth:`predict_logits`, on the device.
        """
        every = torch.arange(len(logits), device=logits.device)
        return self._losses(zip(every.split(PART), logits.split(PART), strict=True))

    def permutation(self, n):
        """Return a random order of n things, on the device, without waiting for it."""
        order = torch.randperm(n, generator=self.generator, device="cpu")
        if self.device.type == "cuda":
            order = order.pin_memory()
        return order.to(self.device, non_blocking=True)

    def outputs(self, batch):
        """Return the logarithm of the networks' mean probability, up to a constant."""
        logits = self.module_.of_prediction(self.module_(batch).float())
        return logits.log_softmax(dim=2).logsumexp(dim=1)

    def training_outputs(self, batch):
        """Return the outputs of a batch, without views, where callbacks score them.

        Methods mix samples, or train networks in turn: none has a prediction of them.
        """
        if not scores_training(self.callbacks_):
            return None
        return self.evaluation_step((batch, None))

    def _check_outputs(self, outputs):
        """Raise ``DivergenceError`` unless all numbers are finite."""
        if not np.isfinite(outputs).all():
            rate = self.optimizer_.param_groups[0]["lr"]
            epoch = max(1, self.epochs_done)
            self._diverged("the network's predictions are not finite", epoch, rate)

    def _losses(self, batches):
        """Return the losses of batches of positions and logits, and record these."""
        parts = []
        for index, logits in batches:
            target = self.targets(index)
            self.observe(logits, target, index)
            parts.append(given_losses(logits, target))
        losses = torch.cat(parts).cpu().numpy()
        self._check_outputs(losses)
        return losses

    def _all_samples(self):
        """Return what the functions of :mod:`sknoisy.encoders.inference` take."""
        return self.module_, self.data_.store, self.device, self.settings.precision


class _FeaturesAndLogits(torch.nn.Module):
    """A network's features and logits, side by side."""

    def __init__(self, network):
        super().__init__()
        self.network = network

    def forward(self, batch):
        return torch.cat(features_and_logits(self.network, batch), dim=1)
