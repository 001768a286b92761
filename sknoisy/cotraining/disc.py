"""DISC: labels by two views' confidence, compared with each sample's own thresholds."""

import torch

from sknoisy.checks import check_real
from sknoisy.cotraining.base import CONCENTRATED, CoTraining
from sknoisy.cotraining.ensembles import given_losses, own_half_loss
from sknoisy.cotraining.mixing import mixed_loss, mixup, weigh
from sknoisy.cotraining.strong_views import strong_views, views_of
from sknoisy.losses.expected import as_distributions, weighted_mean
from sknoisy.losses.gce import generalized_cross_entropy
from sknoisy.ranks import in_parts
from sknoisy.views.automatic import check_views
from sknoisy.views.randaugment import RandAugment

SETS = "clean", "hard", "purified"
Q = 0.7  # exponent of the generalised cross-entropy
MOST = 0.9  # a prediction that is surer than this is sure enough for any sample
AUTO = {"of_images": RandAugment(cutout=0.15), "of_vectors": "auto"}  # views
EPOCHS = 200  # for which the official code sets the momentum
MUCH = 0.54  # wrong labels at 60% of noise that may draw the true one of ten classes


def split(probs, codes, thresholds, sigma):
    """Return which samples are clean, hard and purified.

    Parameters
    ----------
    probs : tensor of shape (n, 2, n_classes)
        Predictions from the weak and the strong view.
    codes : tensor of shape (n,), int64
        Codes of the given labels; -1 without one.
    thresholds : tensor of shape (n, 2)
        What each sample's predictions are compared with.
    sigma : float
        By how much the mean prediction must exceed the mean threshold to be a
        correction; 0.9 is always enough.

    Returns
    -------
    clean, hard, purified : tensors of shape (n,), bool
        Clean: both views give the label a probability above their threshold; hard: one
        of them does; purified: neither does, and the mean prediction is sure. All other
        samples are in no set.

    Examples
    --------
    >>> import torch
    >>> from sknoisy.cotraining.disc import split
    >>> weak, strong = torch.tensor([[0.9, 0.1], [0.4, 0.6]])
    >>> probs = torch.stack([weak, strong])[None]
    >>> split(probs, torch.tensor([0]), torch.full((1, 2), 0.5), sigma=0.3)
    (tensor([False]), tensor([True]), tensor([False]))
    """
    of_label = probs.gather(2, codes.clamp(min=0)[:, None, None].expand(-1, 2, 1))
    above = (of_label[:, :, 0] > thresholds) & (codes >= 0)[:, None]
    clean, selected = above.all(dim=1), above.any(dim=1)
    bound = (thresholds.mean(dim=1) + sigma).clamp(max=MOST)
    sure = probs.mean(dim=1).amax(dim=1) > bound
    return clean, selected & ~clean, sure & ~selected


def trusting(clean, hard, purified, trusted):
    """Return these sets with all trusted labels in the first; None: there are none."""
    if trusted is None:
        return clean, hard, purified
    return clean | trusted, hard & ~trusted, purified & ~trusted


def set_losses(logits, target, clean, hard, lambda_h):
    """Return what clean and hard samples lose, sum over both views.

    Parameters
    ----------
    logits : tensor of shape (n, 2, n_classes)
        Logits of the weak and the strong view.
    target : tensor of shape (n,), int64, or (n, n_classes)
        Codes of the given labels, or soft labels.
    clean, hard : tensors of shape (n,), bool
        In which set each sample is.
    lambda_h : float
        Weight of hard samples.

    Returns
    -------
    losses : tensor of shape (n,)
        Cross-entropy of clean samples, generalised cross-entropy of hard ones, and 0 of
        all others.
    """
    cross_entropy = given_losses(logits, target).sum(dim=1)
    robust = sum(
        generalized_cross_entropy(view, target, Q) for view in logits.unbind(dim=1)
    )
    return clean * cross_entropy + lambda_h * hard * robust


class DISC(CoTraining):
    """Dynamic instance-specific selection and correction, by two views of each sample.

    One network predicts a weak and a strong view of each sample. For each sample and
    view, a moving average of the largest probability is kept, and is a threshold: it
    rises as the network memorises the sample. If both views give the label a
    probability above their thresholds, the sample is clean, and learned by
    cross-entropy. If only one of them does, it is hard, and learned by generalised
    cross-entropy. If neither does, but the mean prediction is sure enough, it is
    purified: this prediction replaces the label. Clean, hard and purified samples are
    also mixed in pairs and learned by cross-entropy; all others are left out.

    Parameters
    ----------
    momentum : float or "auto", default="auto"
        Momentum of the thresholds, from epoch to epoch, in [0, 1]. "auto": 0.99 for 200
        epochs, but 0.95 if the noise is estimated to be asymmetric, or more than 54% of
        the labels to be wrong. These are the authors' values for CIFAR-10, its
        asymmetric noise, and 60% of symmetric noise and more. For n epochs, it is this
        number to the power of 200 / n, so that the thresholds rise over the same share
        of the training.
    sigma : float, default=0.5
        By how much the mean prediction of both views must exceed the mean threshold to
        replace the label. A probability above 0.9 always suffices.
    lambda_h : float or "auto", default="auto"
        Weight of the loss of hard samples. "auto": 1, but 0.2 if more than 54% of the
        labels are estimated to be wrong.
    alpha : float, default=5.0
        Parameter of the beta distribution that mixup's weight is drawn from; with 0,
        nothing is mixed.
    views : "auto", "none" or Views, default="auto"
        Strong augmentation, applied after the classifier's own views, which are the
        weak ones. "auto": :class:`~sknoisy.views.RandAugment` with a cutout of 15% of
        the sides for images of 16 pixels and more, and the strong views of
        :func:`sknoisy.views.resolve_views` for smaller images and vectors.
    warmup_epochs : int or "auto", default="auto"
        Epochs of cross-entropy that come first, see :meth:`CoTraining.plan`. The
        official code takes 20 of 200 epochs for CIFAR, and 15 for instance-dependent
        noise.

    Notes
    -----
    A step takes four forward and backward passes: two views, each mixed and unmixed.
    With ``views="none"`` and vectors, both views of a sample are the same, and none is
    hard.

    The predictions of an epoch decide about the next one. ``loss_state_`` of the
    classifier has "clean", "hard" and "purified", which say in which set each sample
    is; "labels", the codes of the given or corrected labels, -1 without one; and
    "thresholds", of the weak and the strong view. Trusted labels are always clean. A
    sample without a label can be purified.

    Formulas and settings are those of the official code, except for this:

    - Strong views of images are drawn by torchvision's operations, all equally
      strong; in the official code, the strength is random.
    - Views are mixed in one forward pass, so that they are normalised together.
    - In the first epochs of the warm-up, one half of the samples is learned, so that
      the noise can be estimated on the other.
    - After pre-training, the head is trained first, and that is the warm-up.

    The official code trains 200 epochs with SGD at 0.1 and weight decay 1e-3, divides
    the rate by 10 after 80 and 160 epochs, and takes Adam at 1e-3 for 80% of noise.

    References
    ----------
    Li, Han, Shan and Chen, DISC: Learning from Noisy Labels via Dynamic
    Instance-Specific Selection and Correction, CVPR 2023.
    """

    n_networks = 1
    soft_labels = True
    unlabelled = True

    def __init__(
        self,
        momentum="auto",
        sigma=0.5,
        lambda_h="auto",
        alpha=5.0,
        views="auto",
        warmup_epochs="auto",
    ):
        self.momentum = momentum
        self.sigma = sigma
        self.lambda_h = lambda_h
        self.alpha = alpha
        self.views = views
        self.warmup_epochs = warmup_epochs

    def check(self):  # noqa: D102
        super().check()
        check_real("momentum", self.momentum, "[0, 1]", other="auto")
        check_real("sigma", self.sigma, "[0, inf)")
        check_real("lambda_h", self.lambda_h, "[0, inf)", other="auto")
        for name in ("momentum", "lambda_h"):
            self.check_estimated(name)
        check_real("alpha", self.alpha, "[0, inf)")
        check_views(self.views)

    def check_samples(self, spec):  # noqa: D102
        views_of(spec, self.views, **AUTO)

    def start(self, n_samples, n_classes, device):  # noqa: D102
        super().start(n_samples, n_classes, device)
        none = torch.zeros(n_samples, dtype=torch.bool, device=device)
        unknown = torch.full((n_samples,), -1, dtype=torch.int64, device=device)
        lowest = torch.full(
            (n_samples, 2), 1 / n_samples, dtype=torch.float32, device=device
        )
        self.state_ |= {"thresholds": lowest, "labels": unknown}
        self.state_ |= {"clean": ~none, "hard": none, "purified": none.clone()}

    def before_epoch(self, net):  # noqa: D102
        super().before_epoch(net)
        self.settings = self.resolved()

    def resolved(self):  # noqa: D102
        much = self.noise_rate > MUCH
        asymmetric = self.noise_concentration > CONCENTRATED
        momentum, lambda_h = self.momentum, self.lambda_h
        if momentum == "auto":
            slow = 0.95 if much or asymmetric else 0.99
            momentum = slow ** (EPOCHS / self.n_epochs)
        if lambda_h == "auto":
            lambda_h = 0.2 if much else 1.0
        return {"momentum": momentum, "lambda_h": lambda_h}

    def batch_loss(self, net, index, batch):  # noqa: D102
        target, weights = net.targets(index), net.weights(index)
        strong = strong_views(self.views, net.data_, **AUTO)
        views = net.view(batch), net.view(net.own_view(batch), strong)
        logits = in_parts(net.module_, torch.cat(views))[:, 0].float()
        logits = torch.stack(logits.chunk(2), dim=1)
        net.observe(logits, target, index)
        clean, hard, purified, labels = self._of_last_epoch(net, index)
        self._record(net, index, logits.detach().softmax(dim=2))
        if self.is_warmup:
            losses = given_losses(logits, target).sum(dim=1)
            return self._warmup_loss(losses, index, weights)
        losses = set_losses(logits, target, clean, hard, self.settings["lambda_h"])
        labels = weigh(labels, net.sample_weights(index))
        rows = (clean | hard | purified).nonzero()[:, 0]
        mixed = self._mixed_loss(net, [view[rows] for view in views], labels[rows])
        return weighted_mean(losses, weights) + mixed

    def _warmup_loss(self, losses, index, weights):
        """Return the mean loss of all samples, or of the half that is learned."""
        if not self.in_halves:
            return weighted_mean(losses, weights)
        return own_half_loss(losses[:, None], self.state_["half"][index], weights)

    def _of_last_epoch(self, net, index):
        """Return in which set samples are, and the labels (n, n_classes) to mix."""
        sets = (self.state_[name][index] for name in SETS)
        # Labels may be trusted that were not when the sets were found.
        clean, hard, purified = trusting(*sets, net.trusted(index))
        labels = as_distributions(net.targets(index), self.n_classes)
        corrected = self.state_["labels"][index].clamp(min=0)
        corrected = as_distributions(corrected, self.n_classes)
        labels = torch.where(purified[:, None], corrected, labels)
        # Before the first predictions all are clean, also those without a label.
        return clean & (net.data_.codes[index] >= 0), hard, purified, labels

    def _mixed_loss(self, net, views, labels):
        """Return the loss of samples that are mixed in pairs, sum over the views."""
        if len(labels) == 0:
            return 0.0
        pairs = []
        for view in views:
            lam = self.rng.beta(self.alpha, self.alpha) if self.alpha else 1.0
            pairs.append(mixup(view, labels, lam, net.permutation(len(labels))))
        inputs, targets = (torch.cat(parts) for parts in zip(*pairs, strict=True))
        logits = in_parts(net.module_, inputs)[:, 0].float()
        return len(views) * mixed_loss(logits.log_softmax(dim=1), targets)

    def _record(self, net, index, probs):
        """Split some samples by their predictions, and then move their thresholds."""
        codes, thresholds = net.data_.codes[index], self.state_["thresholds"][index]
        sets = split(probs, codes, thresholds, self.sigma)
        clean, hard, purified = trusting(*sets, net.trusted(index))
        predicted = probs.mean(dim=1).argmax(dim=1)
        momentum = self.settings["momentum"]
        found = dict(zip(SETS, (clean, hard, purified), strict=True)) | {
            "labels": torch.where(purified, predicted, codes),
            "thresholds": probs.amax(dim=2).lerp(thresholds, momentum),
        }
        for name, values in found.items():
            self.state_[name][index] = values
