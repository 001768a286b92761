"""ELR+: early-learning regularisation by the other network's average."""

import torch

from sknoisy.checks import check_real
from sknoisy.cotraining.base import CONCENTRATED, CoTraining
from sknoisy.cotraining.mixing import mixed_loss, mixup, weigh
from sknoisy.cotraining.rampup import sigmoid_rampup
from sknoisy.encoders.ema import ema_copy, ema_update
from sknoisy.encoders.weights import load_tensors
from sknoisy.losses.elr import CLAMP, early_learning_regularizer
from sknoisy.losses.expected import as_distributions, weighted_mean
from sknoisy.losses.table import Table, check_storage
from sknoisy.ranks import in_parts

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
    return decay * sigmoid_rampup(progress / RISE)


class ELRPlus(CoTraining):
    """Two networks trained by mixup, each regularised by the other's average.

    As in :class:`~sknoisy.ELR`, predictions are kept near a running average of earlier
    ones; here these are the predictions of the other network, whose weights are
    averaged over the steps.

    Parameters
    ----------
    lam : float or "auto", default="auto"
        Weight of the regulariser. "auto": 3; but 1 if the noise is estimated to be
        asymmetric, and with 50 or more classes 7, to which it rises over half of the
        training. These are the authors' values for CIFAR-10, its asymmetric noise, and
        CIFAR-100.
    beta : float or "auto", default="auto"
        Momentum of the targets, in [0, 1). "auto": 0.7, but 0.9 if the noise is
        estimated to be asymmetric or there are 50 or more classes.
    alpha : float, default=1.0
        Parameter of the beta distribution that mixup's weight is drawn from; 0 is
        without mixup.
    decay : float, default=0.997
        Decay of the averages of the weights, in [0, 1); it rises to this value over
        half of the training.
    storage : {"float32", "float16"} or int, default="float32"
        Number format of the targets, see :class:`~sknoisy.ELR`. There are two targets
        for each sample.
    warmup_epochs : int or "auto", default="auto"
        Epochs of cross-entropy on all samples that come first, see
        :meth:`CoTraining.plan`. The authors have none on CIFAR.

    Notes
    -----
    A step takes two forward and two backward passes of the networks, and two forward
    passes of the averages. Both networks learn from the same views of a batch, mixed
    differently. Four networks and two targets for each sample are kept in memory. The
    networks make the predictions; the averages make those recorded for each sample.

    The decay of the averages, and `lam` with many classes (epoch by epoch), rise over
    half of the training; in the official code, they rise over 40,000 of 78,200 steps.
    The averages start again when a model is loaded from a file. For 100 classes, the
    official code multiplies labels by targets; neither the paper nor this class does.

    References
    ----------
    Liu et al., Early-Learning Regularization Prevents Memorization of Noisy Labels,
    NeurIPS 2020.
    """

    soft_labels = True
    transient = (*CoTraining.transient, "_targets", "_averages")
    _averages = _averages_then = None  # other samples do not change them

    def __init__(
        self,
        lam="auto",
        beta="auto",
        alpha=1.0,
        decay=0.997,
        storage="float32",
        warmup_epochs="auto",
    ):
        self.lam = lam
        self.beta = beta
        self.alpha = alpha
        self.decay = decay
        self.storage = storage
        self.warmup_epochs = warmup_epochs

    def check(self):  # noqa: D102
        super().check()
        check_real("lam", self.lam, "[0, inf)", other="auto")
        for name in ("lam", "beta"):
            self.check_estimated(name)
        check_real("beta", self.beta, "[0, 1)", other="auto")
        check_real("alpha", self.alpha, "[0, inf)")
        check_real("decay", self.decay, "[0, 1)")
        check_storage(self.storage)

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
        if self.lam == "auto" and self.n_classes >= MANY_CLASSES:
            self.weight *= sigmoid_rampup(self.epoch / self.n_epochs / RISE)
        if not self.is_warmup:
            self._average(net.module_)

    def checkpoint(self):  # noqa: D102
        kept = super().checkpoint()
        if self._averages is not None:
            kept["_averages_then"] = self._averages.state_dict()
        return kept

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
        target = net.targets(index)
        with torch.no_grad():
            averages = in_parts(self._averages, view).float()
        net.observe(averages, target, index)
        weights, trusted = net.weights(index), net.trusted(index)
        given = weigh(as_distributions(target, self.n_classes), weights)
        total = 0.0
        for k, network in enumerate(net.module_.networks):
            kept = self._update(k, averages[:, 1 - k], index)
            lam = self.rng.beta(self.alpha, self.alpha) if self.alpha else 1.0
            order = net.permutation(len(view))
            mixed, pair = mixup(view, torch.cat([given, kept], dim=1), lam, order)
            labels, kept = pair.chunk(2, dim=1)
            log_p = in_parts(network, mixed).float().log_softmax(dim=1)
            probs = log_p.exp().clamp(CLAMP, 1 - CLAMP)
            regularizer = early_learning_regularizer(probs, kept)
            if trusted is not None:
                regularizer = regularizer.masked_fill(trusted, 0)
            penalty = weighted_mean(regularizer, labels.sum(dim=1))
            total = total + mixed_loss(log_p, labels) + self.weight * penalty
        return total

    def after_step(self, net, progress):  # noqa: D102
        if self.is_warmup:
            return
        decay = averaging_decay(self.decay, progress)
        ema_update(self._averages, net.module_, decay)

    def _average(self, module):
        """Begin to average what trains now; averages of the heads alone go on."""
        then = self._averages_then
        if self._averages is not None:
            then = self._averages.state_dict()
            if then.keys() == module.state_dict().keys():
                return
        averages = ema_copy(module).train()
        if then is not None:
            whole = then.keys() == averages.state_dict().keys()
            load_tensors(averages if whole else averages.head, then)
        self._averages, self._averages_then = averages, None

    @torch.no_grad()
    def _update(self, k, logits, index):
        """Return a network's targets of some samples, with the other's prediction."""
        probs = logits.softmax(dim=1)
        average = probs.lerp(self._targets[k][index].to(probs), self.momentum)
        self._targets[k][index] = average
        return average
