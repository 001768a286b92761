"""DivideMix: two networks split the samples for each other, and learn from all."""

import math
from collections import deque

import numpy as np
import torch

from sknoisy.checks import check_choice, check_integer, check_real
from sknoisy.cotraining.base import CONCENTRATED, CoTraining, unknown
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
    """Return the weight of unlabelled samples, interpolated between the authors'.

    On CIFAR-10, the authors take 0, 25, 25 and 50 if 18, 45, 72 and 81% of labels are
    wrong (20, 50, 80 and 90% symmetric noise that may draw the true class again). On
    CIFAR-100 they take 25 at 20% and 150 from 50% on. For asymmetric noise, the weight
    is 0 on CIFAR-10, and 150 on CIFAR-100, as in Contrast-to-Divide. Between these, it
    is linear in the noise rate and in the logarithm of the number of classes; below ten
    classes it goes on falling, down to 0.

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
    predictions, which weigh more the less probably a label is right. The other samples
    get the mean prediction of both networks. The networks are trained on all samples by
    MixMatch.

    Parameters
    ----------
    lambda_u : float or "auto", default="auto"
        Weight of the unlabelled samples. "auto": depends on the estimated rate and kind
        of the noise, between the values that the authors choose knowing the true noise:
        0, 25 and 50 on CIFAR-10, 25 and 150 on CIFAR-100.
    p_threshold : float or "auto", default="auto"
        Probability of being right from which a label is kept. "auto": 0.5, or 0.6 if
        more than 77% of labels are estimated to be wrong. The authors take 0.6 for 90%
        noise.
    loss_history : int or "auto", default="auto"
        Number of epochs whose losses are averaged for the mixture. "auto": 1, or 5 if
        more than 77% of labels are estimated to be wrong.
    confidence_penalty : bool or "auto", default="auto"
        Whether to add the negative entropy of the predictions to the loss in the
        warm-up. "auto": with two classes, and once the noise has been estimated to be
        asymmetric, which needs a warm-up of more than five epochs.
    mixture_steps : int, default=10
        Largest number of steps of expectation maximisation for the mixture; C2D takes
        200.
    temperature : float, default=0.5
        Temperature by which targets are sharpened; 1 leaves them unchanged.
    alpha : float, default=4.0
        Parameter of the beta distribution that mixup's weight is drawn from.
    rampup_epochs : int or "auto", default="auto"
        Epochs after the warm-up in which `lambda_u` rises from 0. "auto": 16, as in the
        authors' code, but at most a third of `max_epochs`.
    warmup_epochs : int or "auto", default="auto"
        Epochs of cross-entropy on all samples that come first, see
        :meth:`CoTraining.plan`. The authors take 10 of 300 on CIFAR-10, 30 on
        CIFAR-100.

    Notes
    -----
    After the warm-up, an epoch takes 10 forward and 4 backward passes for each labelled
    sample and network: there are as many unlabelled samples, two views of each sample,
    and guesses by the other network. Where views leave samples unchanged, as with
    vectors, there is only one view, and the other network guesses once in a turn, which
    takes less than half of the passes. Two networks are kept in memory. Half of a batch
    are labelled, half unlabelled samples; the authors' 64 of each make 128.

    This differs from the authors' code as follows:

    - At least a tenth of the samples, those whose labels are most probably right, count
      as labelled, even below the threshold.
    - The network that is trained gets labelled and unlabelled samples in one batch,
      also for its guesses.
    - Losses are scaled to [0, 1] in each epoch before they are averaged.
    - The learning rate falls by a cosine. Theirs falls to a tenth after half of the
      epochs; ``schedule="steps"`` is closer to that.
    - SGD has Nesterov momentum.
    - The prediction averages probabilities, not logits.
    - In the first epochs of the warm-up, each network trains on one half of the
      samples, so that the noise can be estimated on the other half.

    Contrast-to-Divide (C2D) trains this method after SimCLR, with a warm-up of five
    epochs for the whole networks: :func:`sknoisy.recipes.contrast_to_divide`. By
    default only the heads are trained, which takes seconds. C2D also clips gradients in
    the warm-up, and computes the losses of the first network again after its turn,
    before that of the second. It has settings of its own, such as a threshold of 0.03
    and a weight of 500 at 80% noise on CIFAR-100.

    The method learns from its own guesses, so the result depends on the warm-up. On
    10,000 images of CIFAR-10 with 80% wrong labels and an encoder pre-trained on these
    images, the guesses were right for about a third of the samples, and got worse with
    each epoch. On scikit-learn's digits, they were right for about two thirds at first
    and for nine tenths in the end. :class:`SSR` depends less on its guesses.

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
        self.state_["clean_proba"] = unknown((n_samples, 2), device)
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
