"""What methods of several networks share: the net, the method and the classifier."""

import math

import numpy as np
import torch
from scipy.special import log_softmax, logsumexp, softmax
from torch.nn.functional import cross_entropy

from sknoisy.data.batches import Batches
from sknoisy.data.devices import full_precision, to_channels_last
from sknoisy.encoders.inference import forward_all, forward_batches
from sknoisy.estimators.base_classifier import TorchClassifier
from sknoisy.scores import gmm_clean_probability, label_votes, noise_concentration
from sknoisy.scores.estimates import transition_of
from sknoisy.training.phases import ClassifierTraining
from sknoisy.training.supervised import ClassifierNet

FEW, MANY = 0.05, 0.2  # share of samples that vote on the noise's rate, on its kind
CONCENTRATED = 0.22  # noise above this counts as asymmetric
MOST = 0.8  # share of labels that are left out at most: the highest noise of the papers
LOOK = 5  # epochs after which the noise is estimated, or all of a shorter warm-up


class CoTraining:
    """How an ensemble is trained; takes the place of a loss in a ClassifierNet.

    A subclass defines ``loss``, and overrides the other methods where it does more.
    Cross-entropy on the given labels comes first. In its first epochs a network has
    one half of the samples, so that the noise can be estimated by its predictions for
    the other half, which it has not memorised; a second network has that other half.

    Parameters
    ----------
    warmup_epochs : int
        Epochs of cross-entropy.

    Attributes
    ----------
    state_ : dict of str to tensor
        What is kept of the training set, among it ``"noise"``: the estimates of the
        noise's rate and concentration, NaN before there are any; and ``"half"``: in
        which half a sample is, all 0 before they are drawn.
    epoch, n_epochs : int
        Epochs done, and planned.
    noise_rate, noise_concentration : float
        The estimates, as numbers.
    rng : numpy.random.Generator
        Source of random numbers in an epoch.
    """

    lasting = ("noise",)

    def __init__(self, warmup_epochs):
        self.warmup_epochs = warmup_epochs

    def start(self, n_samples, n_classes, device):
        """Begin a training: create the state."""
        self.n_classes = n_classes
        if not hasattr(self, "state_"):
            noise = torch.full((2,), torch.nan, device=device)
            self.noise_rate = self.noise_concentration = math.nan
        else:  # other samples: networks that memorised them cannot judge these
            noise = self.state_["noise"]
        half = torch.zeros(n_samples, dtype=torch.int64, device=device)
        self.state_ = {"noise": noise, "half": half}

    def restart(self, n_epochs):
        """Return `n_epochs`: the networks never start anew."""
        return n_epochs

    def on_epoch(self, epoch, n_epochs):
        """Hear that an epoch begins."""
        self.epoch, self.n_epochs = epoch, n_epochs

    @property
    def is_warmup(self):
        """Whether this epoch trains with cross-entropy."""
        return self.epoch < self.warmup_epochs

    @property
    def rate_to_leave_out(self):
        """Share of labels that a selection by loss leaves out, if it is not told.

        The estimated noise, within bounds: 0 before there is an estimate, and at most
        ``MOST``, for networks that find more labels wrong know too little to choose.
        """
        return 0.0 if math.isnan(self.noise_rate) else min(self.noise_rate, MOST)

    @property
    def epochs_after_warmup(self):
        """Number of epochs done since the warm-up."""
        return self.epoch - self.warmup_epochs

    def draw(self, net):
        """Seed the random numbers of an epoch that PyTorch has no generator for."""
        seed = torch.randint(2**62, (), generator=net.generator, device="cpu").item()
        self.rng = np.random.default_rng(seed)

    def before_epoch(self, net):
        """Prepare an epoch: estimate the noise, if that is due."""
        self.draw(net)
        half = self.state_["half"]
        if not half.any().item():
            half.copy_(net.permutation(len(half)) % 2)
        unknown = self.state_["noise"].isnan().any().item()
        if unknown and self.epoch >= max(1, min(LOOK, self.warmup_epochs)):
            logits, rows = held_out(net.predict(), half.cpu().numpy())
            probs = softmax(logits[rows], axis=1)
            labels = net.data.codes.cpu().numpy()[rows], probs, range(self.n_classes)
            rate = 1 - transition_of(label_votes(*labels, share=FEW)).diagonal().mean()
            estimates = rate, noise_concentration(label_votes(*labels, share=MANY))
            self.state_["noise"].copy_(torch.tensor(estimates))
            unknown = False
        self.in_halves = unknown and self.is_warmup
        # Read back here, once, not in every step.
        self.noise_rate, self.noise_concentration = self.state_["noise"].tolist()

    def batches(self, net, dataset):
        """Return what yields the batches of an epoch."""
        return Batches(dataset.store, net.batch_size, net.generator, net.device)

    def batch_loss(self, net, index, batch):
        """Return the loss of a batch, the sum over the networks."""
        if not self.is_warmup:
            return self.loss(net, index, batch)
        logits = net.module_(net.view(batch)).float()
        target = net.data.codes[index]
        losses = self.warmup_losses(logits, target)
        if not self.in_halves:
            net.observe(logits, target, index)
            return losses.sum(dim=1).mean()
        half = self.state_["half"][index]
        logits, _ = held_out(logits, half)
        net.observe(logits[:, None], target, index)
        return own_half_loss(losses, half)

    def warmup_losses(self, logits, target):
        """Return the losses of a batch in the warm-up.

        Parameters
        ----------
        logits : tensor of shape (n, n_networks, n_classes), float32
            Of all networks.
        target : tensor of shape (n,), int64
            Codes of the given labels.

        Returns
        -------
        losses : tensor of shape (n, n_networks)
            Of each network.
        """
        return given_losses(logits, target)

    def loss(self, net, index, batch):
        """Return the loss of a batch after the warm-up."""
        raise NotImplementedError

    def after_step(self, net, progress):
        """Hear that a step is done; `progress` is the share of steps done."""

    def resolved(self):
        """Return parameters that may be "auto", by name, as what they stand for."""
        return {}

    def estimated_rate(self, clean_probability):
        """Return the estimated share of wrong labels, a float."""
        return float(self.state_["noise"][0])

    def clean_probability(self, dynamics):
        """Return how probably each label is right, ndarray of shape (n_samples,)."""
        return gmm_clean_probability(dynamics.mean_loss)


class CoTrainingNet(ClassifierNet):
    """A net whose module is an Ensemble and whose loss is a CoTraining."""

    def on_epoch_begin(self, net, **kwargs):  # noqa: D102
        super().on_epoch_begin(net, **kwargs)
        self.criterion_.before_epoch(self)

    def get_iterator(self, dataset, training=False):  # noqa: D102
        return self.criterion_.batches(self, dataset)

    def batch_loss(self, index, batch):  # noqa: D102
        return self.criterion_.batch_loss(self, index, batch)

    def after_step(self, progress):  # noqa: D102
        self.criterion_.after_step(self, progress)

    def view(self, batch):
        """Return a random view of a batch, in float32."""
        with full_precision(batch):
            return to_channels_last(self.views(batch, self.view_generator))

    def observe(self, logits, target, index):
        """Let the dynamics hear of a batch; they are of the mean prediction."""
        mean = logits.detach().log_softmax(dim=2).logsumexp(dim=1)
        self.dynamics.update(mean, target, index)

    def predict(self):
        """Return the logits of all samples as they are, without views.

        Returns
        -------
        logits : ndarray of shape (n_samples, n_networks, n_classes), float32
            In evaluation mode.
        """
        return forward_all(*self._all_samples())

    def _all_samples(self):
        """Return what :func:`sknoisy.devices.forward_all` takes."""
        return self.module_, self.data.store, self.device, self.settings.precision

    def losses(self):
        """Return each network's cross-entropy of the given labels, without views.

        The dynamics hear of it, too.

        Returns
        -------
        losses : ndarray of shape (n_samples, n_networks), float32
            In nats.
        """
        parts = []
        for index, logits in forward_batches(*self._all_samples()):
            target = self.data.codes[index]
            self.observe(logits, target, index)
            parts.append(given_losses(logits, target))
        return torch.cat(parts).cpu().numpy()

    def permutation(self, n):
        """Return a random order of n things, on the device, without waiting for it."""
        order = torch.randperm(n, generator=self.generator, device="cpu")
        if self.device.type == "cuda":
            order = order.pin_memory()
        return order.to(self.device, non_blocking=True)


class EnsembleClassifier(TorchClassifier):
    """Base class of classifiers of several networks that are trained together.

    A subclass defines ``_make_method``, which returns a CoTraining.
    """

    _n_networks = 2

    def _make_method(self, warmup_epochs):
        raise NotImplementedError

    def _make_training(self, network, architecture, settings, views, **kwargs):
        # Of the heads alone, before the other epochs; else the first of these.
        of_heads = architecture.pretrained and not self.freeze_encoder
        warmup = self._warmup(of_heads)
        return ClassifierTraining(
            network,
            self._make_method(warmup),
            views,
            settings,
            warmup_epochs=warmup if of_heads else 0,
            freeze=self.freeze_encoder,
            net_class=CoTrainingNet,
            **kwargs,
        )

    def _warmup(self, of_heads):
        """Return the number of epochs of the warm-up."""
        if self.warmup_epochs == "auto":
            return max(min(3, self.max_epochs), self.max_epochs // 10)
        return self.warmup_epochs

    def _finish(self, training, classes, architecture):
        super()._finish(training, classes, architecture)
        self.clean_proba_ = training.loss.clean_probability(training.dynamics)
        self.noise_rate_ = training.loss.estimated_rate(self.clean_proba_)
        for name, value in training.loss.resolved().items():
            setattr(self, f"{name}_", value)
        return self

    def _logits(self, X):
        """Return the logarithm of the networks' mean probability."""
        return mean_log_proba(super()._logits(X))


def held_out(logits, half):
    """Return the predictions of networks for samples that they do not train on.

    Parameters
    ----------
    logits : tensor or ndarray of shape (n, n_networks, n_classes)
        Of one or two networks.
    half : tensor or ndarray of shape (n,), int64
        0 or 1: the half that a sample is in, and the network that trains on it.

    Returns
    -------
    logits : tensor or ndarray of shape (n, n_classes)
        By the other network; of a single one, its own.
    rows : tensor or ndarray of shape (n,), bool
        Which of these are predictions for samples that it does not train on.
    """
    first = half == 1
    if logits.shape[1] == 1:
        return logits[:, 0], first
    where = torch.where if isinstance(logits, torch.Tensor) else np.where
    return where(first[:, None], logits[:, 0], logits[:, 1]), first | True


def own_half_loss(losses, half):
    """Return the mean loss of each network's half of a batch, sum over the networks.

    Parameters
    ----------
    losses : tensor of shape (n, n_networks)
        Of all samples.
    half : tensor of shape (n,), int64
        The network that trains on a sample, 0 or 1.

    Returns
    -------
    loss : tensor of shape ()
        A half that no sample of the batch is in adds nothing.
    """
    own = half[:, None] == torch.arange(losses.shape[1], device=half.device)
    return ((losses * own).sum(dim=0) / own.sum(dim=0).clamp(min=1)).sum()


def mean_log_proba(logits):
    """Return the logarithm of networks' mean probability.

    Parameters
    ----------
    logits : ndarray of shape (n_samples, n_networks, n_classes)
        Of each network.

    Returns
    -------
    log_probabilities : ndarray of shape (n_samples, n_classes)
        In the dtype of `logits`, but for a constant.
    """
    return logsumexp(log_softmax(logits, axis=2), axis=1)


def given_losses(logits, target):
    """Return each network's cross-entropy of the given labels.

    Parameters
    ----------
    logits : tensor of shape (n, n_networks, n_classes)
        Of each network.
    target : tensor of shape (n,), int64
        Codes of the labels.

    Returns
    -------
    losses : tensor of shape (n, n_networks)
        In nats.
    """
    n_networks = logits.shape[1]
    targets = target[:, None].expand(-1, n_networks)
    return cross_entropy(logits.transpose(1, 2), targets, reduction="none")
