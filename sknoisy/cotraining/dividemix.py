"""DivideMix: two networks split the samples for each other, and learn from all."""

import math
from collections import deque

import numpy as np
import torch

from sknoisy.checks import check_choice, check_integer, check_real
from sknoisy.cotraining.base import CONCENTRATED, CoTraining
from sknoisy.cotraining.mixing import (
    mixup,
    predicted,
    refined_and_guessed,
    sharpen,
    uniform_penalty,
    weigh,
)
from sknoisy.cotraining.split_batches import SplitBatches
from sknoisy.losses.expected import weighted_mean
from sknoisy.ranks import in_parts
from sknoisy.scores import gmm_clean_probability

EXTREME = 0.77  # noise rates above this have settings of their own: between 72 and 81%
LONGEST = 5  # epochs whose losses are averaged then
LEAST_SHARE = 0.1  # share of the samples that is labelled whatever the threshold


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
    >>> from sknoisy.cotraining.dividemix import lambda_u_for
    >>> lambda_u_for(0.5, concentration=0.0, n_classes=10)
    25.0
    >>> lambda_u_for(0.2, concentration=0.5, n_classes=10)
    0.0
    """
    asymmetric = concentration > CONCENTRATED
    ten = np.interp(noise_rate, [0.18, 0.45, 0.72, 0.81], [0, 25, 25, 50])
    ten = 0.0 if asymmetric else ten
    hundred = 150.0 if asymmetric else np.interp(noise_rate, [0.2, 0.5], [25, 150])
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
    """Two networks that tell each other which labels to trust, and learn from all.

    Before each epoch, a mixture of two Gaussians, fitted to the losses of a network,
    gives the probability that each label is right. It decides which samples count as
    labelled for the other network. Their labels are mixed with that network's
    predictions, which weigh more the less a label is trusted. The other samples get
    the mean prediction of both networks. On all of these, the networks are trained by
    MixMatch.

    Parameters
    ----------
    lambda_u : float or "auto", default="auto"
        Weight of the samples without a label. "auto": by the estimated rate and kind of
        the noise, between the values that the authors choose by the true noise: 0, 25
        and 50 on CIFAR-10, 25 and 150 on CIFAR-100.
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
    mixture_steps : int, default=10
        Steps of expectation maximisation that fit the mixture, at most; C2D takes 200.
    temperature : float, default=0.5
        Temperature of the sharpening.
    alpha : float, default=4.0
        Parameter of the beta distribution that mixup's weight is drawn from.
    rampup_epochs : int or "auto", default="auto"
        Epochs after the warm-up in which `lambda_u` rises from 0. "auto": 16, as the
        authors have it, or a third of fewer than 48 `max_epochs`.
    warmup_epochs : int or "auto", default="auto"
        Epochs of cross-entropy on all samples that come first, see
        :meth:`CoTraining.plan`. The authors take 10 of 300 on CIFAR-10, 30 on
        CIFAR-100.

    Notes
    -----
    After the warm-up, an epoch takes 10 forward and 4 backward passes for each labelled
    sample and network: there are as many unlabelled ones, two views of both, and the
    other network guesses, too. Where views leave samples as they are, as with vectors,
    there is one of each, for less than half of the passes, and the other network's
    guesses are made once in a turn. Memory is two networks'. A batch is
    half labelled, half unlabelled samples; the authors' 64 of either make 128.

    Where this differs from the authors' code: at least a tenth of the samples are
    labelled, the most probably right ones, whatever the threshold; the network that
    takes its turn sees labelled and unlabelled samples in one batch, also for its
    guesses; losses are scaled to [0, 1] in each epoch before they are averaged; the
    learning rate falls by a cosine (``schedule="steps"`` is nearer to theirs, a tenth
    from half of the epochs on); SGD's momentum is Nesterov's; probabilities are
    averaged for prediction, not logits; and in the first epochs of the warm-up each
    network trains on a half of the samples, so that the noise can be estimated on the
    other.

    Contrast-to-Divide (C2D) puts this after SimCLR, and trains all of the networks in
    the warm-up, for five epochs: :func:`sknoisy.recipes.contrast_to_divide`. By default
    the heads are trained, which takes seconds. C2D also clips gradients in the warm-up,
    measures the losses of the first network again when it has trained, before the
    second takes its turn, and has settings of its own: a threshold of 0.03 and a weight
    of 500 at 80% of noise on CIFAR-100.

    It learns from its own guesses, so that the warm-up decides. On 10,000 images of
    CIFAR-10, 80% of whose labels were wrong, and an encoder that was pre-trained on
    these, the guesses were right about a third of the samples, and got worse with each
    epoch; on scikit-learn's digits, where they were right about two thirds, they rose
    to nine tenths. :class:`SSR` asks less of them.

    References
    ----------
    Li, Socher and Hoi, DivideMix: Learning with Noisy Labels as Semi-supervised
    Learning, ICLR 2020. Zheltonozhskii et al., Contrast to Divide: Self-Supervised
    Pre-Training for Learning with Noisy Labels, WACV 2022.
    """

    soft_labels = True
    unlabelled = True
    transient = (*CoTraining.transient, "splits", "settings", "_logits", "_of_other")

    def __init__(
        self,
        lambda_u="auto",
        p_threshold="auto",
        loss_history="auto",
        confidence_penalty="auto",
        mixture_steps=10,
        temperature=0.5,
        alpha=4.0,
        rampup_epochs="auto",
        warmup_epochs="auto",
    ):
        self.lambda_u = lambda_u
        self.p_threshold = p_threshold
        self.loss_history = loss_history
        self.confidence_penalty = confidence_penalty
        self.mixture_steps = mixture_steps
        self.temperature = temperature
        self.alpha = alpha
        self.rampup_epochs = rampup_epochs
        self.warmup_epochs = warmup_epochs

    def check(self):  # noqa: D102
        super().check()
        check_real("lambda_u", self.lambda_u, "[0, inf)", other="auto")
        for name in ("lambda_u", "p_threshold", "loss_history", "confidence_penalty"):
            self.check_estimated(name)
        check_real("p_threshold", self.p_threshold, "[0, 1)", other="auto")
        check_integer("loss_history", self.loss_history, other="auto")
        check_choice(
            "confidence_penalty", self.confidence_penalty, ["auto", True, False]
        )
        check_integer("mixture_steps", self.mixture_steps)
        check_real("temperature", self.temperature, "(0, inf)")
        check_real("alpha", self.alpha, "(0, inf)")
        check_integer("rampup_epochs", self.rampup_epochs, other="auto")

    def plan(self, n_epochs, head_epochs):  # noqa: D102
        super().plan(n_epochs, head_epochs)
        self.rampup_epochs_ = self.rampup_epochs
        if self.rampup_epochs == "auto":
            self.rampup_epochs_ = max(1, min(16, n_epochs // 3))

    def start(self, n_samples, n_classes, device):  # noqa: D102
        super().start(n_samples, n_classes, device)
        self.state_["clean_proba"] = torch.full(
            (n_samples, 2), torch.nan, dtype=torch.float32, device=device
        )
        n_kept = LONGEST if self.loss_history == "auto" else self.loss_history
        self._losses = deque(maxlen=n_kept)

    def before_epoch(self, net):  # noqa: D102
        super().before_epoch(net)
        self.settings = self.resolved()
        if self.is_warmup:
            return
        labels = net.data_.labels
        known = labels.codes.cpu().numpy() >= 0
        self._logits = torch.from_numpy(net.predict_logits()).to(net.device)
        losses = net.losses_of(self._logits)
        losses[known] = scaled(losses[known])
        self._losses.append(losses)
        history = list(self._losses)[-self.settings["loss_history"] :]
        clean = np.zeros(losses.shape)
        for k, mean in enumerate(np.mean(history, axis=0).T):
            clean[known, k] = gmm_clean_probability(mean[known], self.mixture_steps)
        if labels.trusted is not None:
            clean[labels.trusted.cpu().numpy()] = 1
        self.state_["clean_proba"].copy_(torch.from_numpy(clean).float())
        clean[~known] = -1
        of_others = clean[:, ::-1].T  # a network's samples are split by the other one
        self.splits = [self._split(one, net.generator) for one in of_others]

    def batches(self, net, store):  # noqa: D102
        whole = super().batches(net, store)
        if self.is_warmup:
            return whole
        return SplitBatches(self.splits, net.module_.networks, whole, net.batch_size)

    def warmup_losses(self, logits, target):  # noqa: D102
        losses = super().warmup_losses(logits, target)
        if not self.settings["confidence_penalty"]:
            return losses
        log_p = logits.log_softmax(dim=2)
        return losses + (log_p.exp() * log_p).sum(dim=2)

    def loss(self, net, index, batch, turn):
        """Return the loss of the network whose turn it is, a tensor of shape ()."""
        n_labelled, own = turn.n_labelled, net.module_.networks[turn.network]
        # Two views that are the same would only be computed twice.
        n_views = 2 if net.has_views else 1
        views = [net.view(batch) for _ in range(n_views)]
        weights = net.sample_weights(index)
        targets = weigh(self._targets(net, index, views, turn), weights)
        lam = self.rng.beta(self.alpha, self.alpha)
        order = net.permutation(n_views * len(index))
        views, targets = mixup(torch.cat(views), targets.repeat(n_views, 1), lam, order)
        if weights is not None:
            weights = targets.sum(dim=1)
            targets, weights = targets / weights[:, None], weights.view(n_views, -1)

        def mean(values, part):
            # (n_views, n): views of the labelled samples, then of the others.
            values = values.view(n_views, -1)[:, part]
            return weighted_mean(values, None if weights is None else weights[:, part])

        logits = in_parts(own, views).float()
        log_p = logits.log_softmax(dim=1)
        cross_entropy = -(targets * log_p).sum(dim=1)
        loss = mean(cross_entropy, slice(n_labelled)) + uniform_penalty(logits)
        weight = self.settings["lambda_u"] * self._rampup(turn.done)
        if weight and n_labelled < len(index):
            square = (log_p.exp() - targets).square().mean(dim=1)
            loss = loss + weight * mean(square, slice(n_labelled, None))
        return loss

    def _targets(self, net, index, views, turn):
        """Return what a batch is to be learned as, (n, n_classes): sharpened."""
        k, n_labelled, _ = turn
        of_own = predicted(net.module_.networks[k], views)
        labelled, unlabelled = index[:n_labelled], index[n_labelled:]
        clean = self.state_["clean_proba"][labelled, 1 - k]
        of_other = None
        if len(unlabelled):
            unseen = [view[n_labelled:] for view in views]
            of_other = self._guesses(net, turn, unseen, unlabelled)
        target = net.targets(labelled)
        targets = refined_and_guessed(of_own, target, clean, of_other)
        return sharpen(targets, self.temperature)

    def _guesses(self, net, turn, views, index):
        """Return what the other network predicts of unlabelled samples.

        In this turn it is not trained: without views it always predicts the same, and
        the second network still what it predicted before the epoch.
        """
        k, _, done = turn
        other = net.module_.networks[1 - k]
        if net.has_views:
            return predicted(other, views)
        if done == 0:
            logits = self._logits[:, 1]
            if k == 1:
                logits = torch.from_numpy(net.predict_with(other)).to(index.device)
            self._of_other = logits.softmax(dim=1)
        return self._of_other[index]

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
        return min(1.0, (self.epochs_after_warmup + done) / self.rampup_epochs_)

    def _split(self, clean, generator):
        """Return the labelled and the unlabelled samples, in a random order.

        What has no label has the probability -1 that it is right.
        """
        order = torch.randperm(len(clean), generator=generator, device="cpu")
        least = max(1, int(LEAST_SHARE * np.count_nonzero(clean >= 0)))
        clean = torch.from_numpy(clean.copy())[order]
        threshold = self.settings["p_threshold"]
        threshold = min(threshold, clean.topk(least).values[-1].item())
        labelled = clean >= threshold
        return order[labelled], order[~labelled]
