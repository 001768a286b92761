"""ELR+: early-learning regularisation by the other network's average."""

import copy
import math

import torch
from torch.nn.functional import one_hot

from sknoisy.cotraining.base import CONCENTRATED, CoTraining, EnsembleClassifier
from sknoisy.cotraining.mixing import mixup
from sknoisy.losses.elr import CLAMP, early_learning_regularizer
from sknoisy.losses.table import Table, check_storage
from sknoisy.parameters import check_real

RISE = 0.5  # share of the training in which the averages' decay rises
MANY_CLASSES = 50  # from so many on, settings are those for CIFAR-100


def averaging_decay(decay, progress):
    """Return the decay of the weights' averages, which rises at first.

    Parameters
    ----------
    decay : float
        From half of the training on.
    progress : float
        Share of the training that is done.

    Returns
    -------
    decay : float
        Times exp(-5 (1 - 2 progress)^2) until then.
    """
    return decay * math.exp(-5 * (1 - min(1.0, progress / RISE)) ** 2)


class ELRPlus(CoTraining):
    """Trains two networks by mixup, each regularised by the other's average.

    Parameters
    ----------
    warmup_epochs : int
        Epochs of cross-entropy on all samples.
    lam, beta, alpha, decay, storage
        As in :class:`ELRPlusClassifier`.
    """

    def __init__(self, warmup_epochs, lam, beta, alpha, decay, storage):
        super().__init__(warmup_epochs)
        self.lam = lam
        self.beta = beta
        self.alpha = alpha
        self.decay = decay
        self.storage = storage
        self._averages = None

    def start(self, n_samples, n_classes, device):  # noqa: D102
        super().start(n_samples, n_classes, device)
        shape = n_samples, n_classes
        self._targets = [
            Table(self.state_, f"target_{k}", shape, self.storage, device)
            for k in (0, 1)
        ]

    def before_epoch(self, net):  # noqa: D102
        super().before_epoch(net)
        settings = self.resolved()
        self.weight, self.momentum = settings["lam"], settings["beta"]
        if not self.is_warmup and self._averages is None:
            self._averages = copy.deepcopy(net.module_).train().requires_grad_(False)

    def resolved(self):  # noqa: D102
        many = self.n_classes >= MANY_CLASSES
        asymmetric = self.noise_concentration > CONCENTRATED
        lam, beta = self.lam, self.beta
        if lam == "auto":
            lam = 7.0 if many else 1.0 if asymmetric else 3.0
        if beta == "auto":
            beta = 0.9 if many or asymmetric else 0.7
        return {"lam": lam, "beta": beta}

    def loss(self, net, index, batch):  # noqa: D102
        view = net.view(batch)
        target = net.data.codes[index]
        with torch.no_grad():
            averages = self._averages(view).float()
        net.observe(averages, target, index)
        given = one_hot(target, self.n_classes).float()
        total = 0.0
        for k, network in enumerate(net.module_.networks):
            kept = self._update(k, averages[:, 1 - k], index)
            lam = self.rng.beta(self.alpha, self.alpha) if self.alpha else 1.0
            order = net.permutation(len(view))
            mixed, pair = mixup(view, torch.cat([given, kept], dim=1), lam, order)
            labels, kept = pair.chunk(2, dim=1)
            log_p = network(mixed).float().log_softmax(dim=1)
            probs = log_p.exp().clamp(CLAMP, 1 - CLAMP)
            regularizer = early_learning_regularizer(probs, kept)
            cross_entropy = -(labels * log_p).sum(dim=1)
            total = total + (cross_entropy + self.weight * regularizer).mean()
        return total

    @torch.no_grad()
    def after_step(self, net, progress):  # noqa: D102
        if self.is_warmup:
            return
        decay = averaging_decay(self.decay, progress)
        averages = list(self._averages.parameters())
        torch._foreach_lerp_(averages, list(net.module_.parameters()), 1 - decay)

    @torch.no_grad()
    def _update(self, k, logits, index):
        """Return a network's targets of some samples, with the other's prediction."""
        probs = logits.softmax(dim=1)
        average = probs.lerp(self._targets[k][index].to(probs), self.momentum)
        self._targets[k][index] = average
        return average


class ELRPlusClassifier(EnsembleClassifier):
    """Two networks trained by mixup, with early-learning regularisation.

    As in :class:`~sknoisy.ELR`, predictions are kept near a running average of earlier
    ones; here these are the predictions of the other network, whose weights are
    averaged over the steps.

    Parameters
    ----------
    lam : float or "auto", default="auto"
        Weight of the regulariser. "auto": 3; 1 where the noise is estimated to be
        asymmetric; 7 for 50 classes and more. These are the authors' for CIFAR-10, its
        asymmetric noise, and CIFAR-100.
    beta : float or "auto", default="auto"
        Momentum of the targets, in [0, 1). "auto": 0.7, or 0.9 in the other two cases.
    alpha : float, default=1.0
        Of the beta distribution of mixup's weight; 0 is without mixup.
    decay : float, default=0.997
        Of the weights' averages, in [0, 1), from half of the training on.
    storage : {"float32", "float16"} or int, default="float32"
        How targets are kept: see :class:`~sknoisy.ELR`. There are two for each sample.
    warmup_epochs : int or "auto", default="auto"
        Epochs of cross-entropy on all samples that come first: of the heads alone and
        before `max_epochs` with a pre-trained encoder, else the first of these. "auto":
        a tenth of `max_epochs`, at least three. The authors have none on CIFAR.
    encoder, weights, head, freeze_encoder, views, max_epochs, batch_size, lr, \
momentum, weight_decay, optimizer, schedule, image_size, channels, device, precision, \
compile, callbacks, verbose, random_state
        As in :class:`~sknoisy.NoisyRobustClassifier`; `compile` is of use in the
        warm-up alone.

    Attributes
    ----------
    classes_ : ndarray of shape (n_classes,)
        The classes, in the dtype of y.
    clean_proba_ : ndarray of shape (n_samples,)
        For each training sample, how probably its label is right: by a mixture of two
        Gaussians of `training_loss_`.
    noise_rate_ : float
        Estimated share of wrong labels, by the networks' votes in the warm-up;
        NaN if the training ends in it.
    lam_, beta_ : float
        What `lam` and `beta` were, where they are "auto".
    label_quality_, training_loss_, loss_state_, history_, n_features_in_
        As in :class:`~sknoisy.NoisyRobustClassifier`, of the averaged networks' mean
        probabilities. `loss_state_` has the targets.

    See Also
    --------
    ELR : The loss, for one network.

    Notes
    -----
    A step takes two forward and backward passes, and two more forward ones of the
    averages: both networks learn from the same views of a batch, mixed differently.
    Memory is four networks' and two rows of targets for each sample. Predictions are of
    the networks, not of the averages.

    Where this differs from the official code: the decay of averages rises over half of
    the training whatever its length, which is 40,000 steps of 78,200 there; averages
    start anew after loading from a file. That code multiplies labels by targets for
    100 classes, which the paper does not, nor this.

    References
    ----------
    Liu et al., Early-Learning Regularization Prevents Memorization of Noisy Labels,
    NeurIPS 2020.

    Examples
    --------
    >>> from sklearn.datasets import load_iris
    >>> from sknoisy import ELRPlusClassifier
    >>> X, y = load_iris(return_X_y=True)
    >>> clf = ELRPlusClassifier(max_epochs=60, random_state=0).fit(X, y)
    >>> clf.score(X, y) > 0.9
    True
    """

    def __init__(
        self,
        lam="auto",
        beta="auto",
        alpha=1.0,
        decay=0.997,
        storage="float32",
        encoder="auto",
        weights=None,
        head="linear",
        freeze_encoder=False,
        views="auto",
        max_epochs=100,
        warmup_epochs="auto",
        batch_size="auto",
        lr=0.02,
        momentum=0.9,
        weight_decay=5e-4,
        optimizer="sgd",
        schedule="cosine",
        image_size=None,
        channels="auto",
        device="auto",
        precision="auto",
        compile=False,
        callbacks=None,
        verbose=None,
        random_state=None,
    ):
        self.lam = lam
        self.beta = beta
        self.alpha = alpha
        self.decay = decay
        self.storage = storage
        self.encoder = encoder
        self.weights = weights
        self.head = head
        self.freeze_encoder = freeze_encoder
        self.views = views
        self.max_epochs = max_epochs
        self.warmup_epochs = warmup_epochs
        self.batch_size = batch_size
        self.lr = lr
        self.momentum = momentum
        self.weight_decay = weight_decay
        self.optimizer = optimizer
        self.schedule = schedule
        self.image_size = image_size
        self.channels = channels
        self.device = device
        self.precision = precision
        self.compile = compile
        self.callbacks = callbacks
        self.verbose = verbose
        self.random_state = random_state

    def _check_parameters(self):
        super()._check_parameters()
        check_real("lam", self.lam, "[0, inf)", other="auto")
        check_real("beta", self.beta, "[0, 1)", other="auto")
        check_real("alpha", self.alpha, "[0, inf)")
        check_real("decay", self.decay, "[0, 1)")
        check_storage(self.storage)

    def _make_method(self, warmup_epochs):
        return ELRPlus(
            warmup_epochs, self.lam, self.beta, self.alpha, self.decay, self.storage
        )
