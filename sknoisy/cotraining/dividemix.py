"""DivideMix: two networks split the samples for each other, and learn from all."""

import math
from collections import deque

import numpy as np
import torch

from sknoisy.cotraining.base import CONCENTRATED, CoTraining, EnsembleClassifier
from sknoisy.cotraining.mixing import mixup, refine, sharpen, uniform_penalty
from sknoisy.data.batches import Batches, stream
from sknoisy.parameters import check_choice, check_integer, check_real
from sknoisy.scores import gmm_clean_probability

EXTREME = 0.77  # noise rates above this have settings of their own: between 72 and 81%
LONGEST = 5  # epochs whose losses are averaged then
LEAST = 0.1  # share of the samples that is labelled whatever the threshold


def lambda_u_for(noise_rate, concentration, n_classes):
    """Return the weight of unlabelled samples, from the authors' for known noise.

    Theirs are, where 18, 45, 72 and 81% of labels are wrong, 0, 25, 25 and 50 on
    CIFAR-10 (20, 50, 80 and 90% of symmetric noise that may draw the true class again);
    25 and then 150 on CIFAR-100; and 0 for asymmetric noise on CIFAR-10, but 150 on
    CIFAR-100, by Contrast-to-Divide. Between these it is linear, in the logarithm of
    the number of classes, too, and below ten classes it goes on so, down to 0.

    Parameters
    ----------
    noise_rate : float
        Share of wrong labels.
    concentration : float
        See :func:`sknoisy.scores.noise_concentration`; above 0.22 noise is taken as
        asymmetric.
    n_classes : int
        Number of classes.

    Returns
    -------
    lambda_u : float
        The weight.

    Examples
    --------
    >>> from sknoisy.cotraining import lambda_u_for
    >>> lambda_u_for(0.5, concentration=0.0, n_classes=10)
    25.0
    >>> lambda_u_for(0.2, concentration=0.5, n_classes=10)
    0.0
    """
    asymmetric = concentration > CONCENTRATED
    ten = np.interp(noise_rate, [0.18, 0.45, 0.72, 0.81], [0, 25, 25, 50])
    ten = 0.0 if asymmetric else ten
    hundred = np.interp(noise_rate, [0.2, 0.5], [25, 150])
    share = min(math.log10(n_classes) - 1, 1.0)
    return max(0.0, float((1 - share) * ten + share * hundred))


def scaled(losses):
    """Scale each network's losses to [0, 1], so that epochs count alike in a mean.

    Parameters
    ----------
    losses : ndarray of shape (n_samples, n_networks)
        Losses of one epoch; where all are equal they become 0.
    """
    low, high = losses.min(axis=0), losses.max(axis=0)
    return (losses - low) / np.where(high > low, high - low, 1)


class DivideMix(CoTraining):
    """Splits the samples by the other network's losses; trains on all by MixMatch.

    Parameters
    ----------
    warmup_epochs : int
        Epochs of cross-entropy on all samples.
    lambda_u, p_threshold, loss_history, confidence_penalty, temperature, alpha, \
rampup_epochs
        As in :class:`DivideMixClassifier`, `rampup_epochs` as a number.
    """

    def __init__(
        self,
        warmup_epochs,
        lambda_u,
        p_threshold,
        loss_history,
        confidence_penalty,
        temperature,
        alpha,
        rampup_epochs,
    ):
        super().__init__(warmup_epochs)
        self.lambda_u = lambda_u
        self.p_threshold = p_threshold
        self.loss_history = loss_history
        self.confidence_penalty = confidence_penalty
        self.temperature = temperature
        self.alpha = alpha
        self.rampup_epochs = rampup_epochs

    def start(self, n_samples, n_classes, device):  # noqa: D102
        super().start(n_samples, n_classes, device)
        self.state_["clean_proba"] = torch.full((n_samples, 2), torch.nan).to(device)
        n_kept = LONGEST if self.loss_history == "auto" else self.loss_history
        self._losses = deque(maxlen=n_kept)

    def before_epoch(self, net):  # noqa: D102
        super().before_epoch(net)
        self.settings = self.resolved()
        if self.is_warmup:
            return
        self._losses.append(scaled(net.losses()))
        history = list(self._losses)[-self.settings["loss_history"] :]
        clean = [gmm_clean_probability(one) for one in np.mean(history, axis=0).T]
        self.state_["clean_proba"].copy_(
            torch.from_numpy(np.stack(clean, axis=1)).float()
        )
        self.splits = [self._split(clean[1 - k], net.generator) for k in (0, 1)]

    def batches(self, net, dataset):  # noqa: D102
        whole = Batches(dataset.store, net.batch_size, net.generator, net.device)
        return SplitBatches(self, net.module_.networks, whole, net.batch_size)

    def warmup_losses(self, logits, target):  # noqa: D102
        losses = super().warmup_losses(logits, target)
        if not self.settings["confidence_penalty"]:
            return losses
        log_p = logits.log_softmax(dim=2)
        return losses + (log_p.exp() * log_p).sum(dim=2)

    def loss(self, net, index, batch):  # noqa: D102
        k, n_labelled, done = self.turn
        own, other = net.module_.networks[k], net.module_.networks[1 - k]
        views = torch.cat([net.view(batch), net.view(batch)])
        target = net.data.codes[index[:n_labelled]]
        clean = self.state_["clean_proba"][index[:n_labelled], 1 - k]
        targets = self._targets(own, other, views, target, clean)
        lam = self.rng.beta(self.alpha, self.alpha)
        order = net.permutation(len(views))
        views, targets = mixup(views, targets.repeat(2, 1), lam, order)
        logits = own(views).float()
        log_p = logits.log_softmax(dim=1)
        # (2, n): two views of the labelled samples, then of the others.
        cross_entropy = -(targets * log_p).sum(dim=1).view(2, -1)
        loss = cross_entropy[:, :n_labelled].mean() + uniform_penalty(logits)
        weight = self.settings["lambda_u"] * self._rampup(done)
        if weight and n_labelled < len(batch):
            square = (log_p.exp() - targets).square().mean(dim=1).view(2, -1)
            loss = loss + weight * square[:, n_labelled:].mean()
        return loss

    def clean_probability(self, dynamics):  # noqa: D102
        clean = self.state_["clean_proba"]
        if clean.isnan().any():
            return super().clean_probability(dynamics)
        return clean.cpu().double().mean(dim=1).numpy()

    @torch.no_grad()
    def _targets(self, own, other, views, target, clean):
        """Co-refine the labelled samples, co-guess the others, and sharpen."""
        n, n_labelled = len(views) // 2, len(target)
        first, second = own(views).float().softmax(dim=1).split(n)
        probs = (first + second) / 2
        targets = [refine(probs[:n_labelled], target, clean)]
        if n_labelled < n:
            unlabelled = torch.cat([views[n_labelled:n], views[n + n_labelled :]])
            first, second = other(unlabelled).float().softmax(dim=1).chunk(2)
            targets.append((2 * probs[n_labelled:] + first + second) / 4)
        return sharpen(torch.cat(targets), self.temperature)

    def resolved(self):  # noqa: D102
        known = not math.isnan(self.noise_rate)
        rate = self.noise_rate if known else 0.0
        concentration = self.noise_concentration if known else 0.0
        extreme, asymmetric = rate > EXTREME, concentration > CONCENTRATED
        automatic = {
            "lambda_u": lambda_u_for(rate, concentration, self.n_classes),
            "p_threshold": 0.6 if extreme else 0.5,
            "loss_history": LONGEST if extreme else 1,
            "confidence_penalty": asymmetric or self.n_classes == 2,
        }
        given = {name: getattr(self, name) for name in automatic}
        return {k: automatic[k] if v == "auto" else v for k, v in given.items()}

    def _rampup(self, done):
        """Return the share of lambda_u that holds when a share of an epoch is done."""
        return min(1.0, (self.epochs_after_warmup + done) / self.rampup_epochs)

    def _split(self, clean, generator):
        """Return the labelled and the unlabelled samples, in a random order."""
        order = torch.randperm(len(clean), generator=generator, device="cpu")
        clean = torch.from_numpy(clean)[order]
        least = max(1, int(LEAST * len(clean)))
        threshold = self.settings["p_threshold"]
        threshold = min(threshold, clean.topk(least).values[-1].item())
        labelled = clean >= threshold
        return order[labelled], order[~labelled]


class SplitBatches:
    """Batches of labelled and as many unlabelled samples, for one network at a time.

    In the warm-up, those of :class:`~sknoisy.training.Batches`.

    Parameters
    ----------
    method : DivideMix
        Has the splits, and is told whose turn it is.
    networks : list of torch.nn.Module
        Which take turns.
    whole : Batches
        Of all samples.
    batch_size : int
        Labelled and unlabelled samples together, at most.
    """

    def __init__(self, method, networks, whole, batch_size):
        self.method = method
        self.networks = networks
        self.whole = whole
        self.store = whole.store
        self.n_labelled = max(1, batch_size // 2)

    @property
    def n_samples(self):
        """Samples in an epoch, counted as often as they are trained on."""
        if self.method.is_warmup:
            return self.whole.n_samples
        counts = [
            len(labelled) * (2 if len(unlabelled) else 1)
            for labelled, unlabelled in self.method.splits
        ]
        return sum(counts)

    def __len__(self):
        if self.method.is_warmup:
            return len(self.whole)
        return sum(self._steps(labelled) for labelled, _ in self.method.splits)

    def __iter__(self):
        if self.method.is_warmup:
            yield from self.whole
            return
        for k, (labelled, unlabelled) in enumerate(self.method.splits):
            self.networks[k].train()
            self.networks[1 - k].eval()
            parts = labelled.tensor_split(self._steps(labelled))
            others = self._cycle(unlabelled, len(labelled))
            others = others.split([len(part) if len(others) else 0 for part in parts])
            index = [torch.cat(pair) for pair in zip(parts, others, strict=True)]
            sizes = [len(part) for part in index]
            batches = stream(self.store, torch.cat(index), sizes, self.whole.device)
            for done, (part, batch) in enumerate(zip(parts, batches, strict=True)):
                self.method.turn = k, len(part), done / len(parts)
                yield batch

    def _steps(self, labelled):
        return math.ceil(len(labelled) / self.n_labelled)

    def _cycle(self, index, n):
        """Return `n` of some samples, each as often as the others but for one."""
        if len(index) == 0:
            return index
        rounds = math.ceil(n / len(index))
        generator = self.whole.generator
        shuffled = [
            index[torch.randperm(len(index), generator=generator, device="cpu")]
            for _ in range(rounds)
        ]
        return torch.cat(shuffled)[:n]


class DivideMixClassifier(EnsembleClassifier):
    """Two networks that tell each other which labels to trust, and learn from all.

    Before each epoch, a mixture of two Gaussians on a network's losses says how
    probably each label is right. By that of the other network, a network's samples are
    labelled or not. Labels are mixed with the network's predictions, the more the less
    they are trusted; samples without one get the mean prediction of both networks. On
    all of these it trains by MixMatch.

    Parameters
    ----------
    lambda_u : float or "auto", default="auto"
        Weight of the samples without a label. "auto": by the estimated rate and kind of
        the noise, see :func:`sknoisy.cotraining.lambda_u_for`. The authors choose it
        by the true noise: 0, 25, 50 on CIFAR-10, 25, 150 on CIFAR-100.
    p_threshold : float or "auto", default="auto"
        Probability of being right above which a label is kept. "auto": 0.5, or 0.6 if
        more than 77% are estimated to be wrong: what the authors take for 90% of noise.
    loss_history : int or "auto", default="auto"
        Number of epochs whose losses are averaged for the mixture. "auto": 1, or 5 if
        more than 77% of labels are estimated to be wrong.
    confidence_penalty : bool or "auto", default="auto"
        Whether to add the predictions' negative entropy to the warm-up's loss. "auto":
        where the noise is estimated to be asymmetric, from that estimate on, which is
        after five epochs of a longer warm-up; and where there are two classes.
    temperature : float, default=0.5
        Of the sharpening.
    alpha : float, default=4.0
        Of the beta distribution of mixup's weight.
    rampup_epochs : int or "auto", default="auto"
        Epochs after the warm-up in which `lambda_u` rises from 0. "auto": 16, as the
        authors have it, or a third of fewer than 48 `max_epochs`.
    warmup_epochs : int or "auto", default="auto"
        Epochs of cross-entropy on all samples that come first: of the heads alone and
        before `max_epochs` with a pre-trained encoder, else the first of these. "auto":
        a tenth of `max_epochs`, at least three. The authors take 10 of 300 on
        CIFAR-10, 30 on CIFAR-100.
    batch_size : int or "auto", default="auto"
        Labelled and unlabelled samples of a batch together, half of each, of which two
        views are taken; "auto" is 128, as the authors have it.
    encoder, weights, head, freeze_encoder, views, max_epochs, lr, momentum, \
weight_decay, optimizer, schedule, image_size, channels, device, precision, compile, \
callbacks, verbose, random_state
        As in :class:`~sknoisy.NoisyRobustClassifier`; `compile` is of use in the
        warm-up alone.

    Attributes
    ----------
    classes_ : ndarray of shape (n_classes,)
        The classes, in the dtype of y.
    clean_proba_ : ndarray of shape (n_samples,)
        For each training sample, how probably its label is right: the mean of both
        networks' mixtures before the last epoch.
    noise_rate_ : float
        Estimated share of wrong labels, by the networks' votes in the warm-up;
        NaN if the training ends in it.
    lambda_u_, p_threshold_, loss_history_, confidence_penalty_
        What these parameters were, where they are "auto".
    label_quality_, training_loss_, loss_state_, history_, n_features_in_
        As in :class:`~sknoisy.NoisyRobustClassifier`, of the networks' mean
        probabilities before each epoch.

    See Also
    --------
    SSLPretrainer : Before this, in a Pipeline, as in Contrast-to-Divide.
    PseudoLabelRefiner : Can be put around this.

    Notes
    -----
    After the warm-up, an epoch takes 10 forward and 4 backward passes for each labelled
    sample and network: there are as many unlabelled ones, two views of both, and the
    other network guesses, too. Memory is two networks'.

    Where this differs from the authors' code: at least a tenth of the samples are
    labelled, the most probably right ones, whatever the threshold; the network that
    takes its turn sees labelled and unlabelled samples in one batch, also for its
    guesses; the learning rate falls by a cosine (``schedule="steps"`` is nearer to
    theirs, a tenth from half of the epochs on); probabilities are averaged for
    prediction, not logits; and in the first epochs of the warm-up each network trains
    on a half of the samples, so that the noise can be estimated on the other.

    Contrast-to-Divide (C2D) puts this after SimCLR. There the warm-up trains all of the
    networks, for five epochs; here it trains the heads. C2D also measures the losses of
    the first network again when it has trained, before the second takes its turn, and
    has settings of its own: a threshold of 0.03 and a weight of 500 at 80% of noise on
    CIFAR-100.

    References
    ----------
    Li, Socher and Hoi, DivideMix: Learning with Noisy Labels as Semi-supervised
    Learning, ICLR 2020. Zheltonozhskii et al., Contrast to Divide: Self-Supervised
    Pre-Training for Learning with Noisy Labels, WACV 2022.

    Examples
    --------
    >>> from sklearn.datasets import load_iris
    >>> from sknoisy import DivideMixClassifier
    >>> X, y = load_iris(return_X_y=True)
    >>> clf = DivideMixClassifier(max_epochs=20, random_state=0).fit(X, y)
    >>> clf.score(X, y) > 0.9
    True
    """

    def __init__(
        self,
        lambda_u="auto",
        p_threshold="auto",
        loss_history="auto",
        confidence_penalty="auto",
        temperature=0.5,
        alpha=4.0,
        rampup_epochs="auto",
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
        self.lambda_u = lambda_u
        self.p_threshold = p_threshold
        self.loss_history = loss_history
        self.confidence_penalty = confidence_penalty
        self.temperature = temperature
        self.alpha = alpha
        self.rampup_epochs = rampup_epochs
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
        check_real("lambda_u", self.lambda_u, "[0, inf)", other="auto")
        check_real("p_threshold", self.p_threshold, "[0, 1)", other="auto")
        check_integer("loss_history", self.loss_history, other="auto")
        check_choice(
            "confidence_penalty", self.confidence_penalty, ["auto", True, False]
        )
        check_real("temperature", self.temperature, "(0, inf)")
        check_real("alpha", self.alpha, "(0, inf)")
        check_integer("rampup_epochs", self.rampup_epochs, other="auto")

    def _make_method(self, warmup_epochs):
        rampup = self.rampup_epochs
        if rampup == "auto":
            rampup = max(1, min(16, self.max_epochs // 3))
        return DivideMix(
            warmup_epochs,
            self.lambda_u,
            self.p_threshold,
            self.loss_history,
            self.confidence_penalty,
            self.temperature,
            self.alpha,
            rampup,
        )
