"""Dynamic bootstrapping: labels give way to predictions, as their losses say."""

import torch
from torch.nn.functional import one_hot

from sknoisy.checks import check_choice, check_real
from sknoisy.cotraining.base import CoTraining, unknown
from sknoisy.cotraining.mixing import (
    mixed_loss,
    mixup,
    refine,
    uniform_penalty,
    weigh,
)
from sknoisy.losses.expected import as_distributions
from sknoisy.ranks import in_parts
from sknoisy.scores import bmm_clean_probability, gmm_clean_probability

MIXTURES = {"bmm": bmm_clean_probability, "gmm": gmm_clean_probability}
BEGIN = 0.35  # share of the training before labels are corrected: 105 of 300 epochs


class DynamicBootstrap(CoTraining):
    """Trains one network on mixed labels that give way to predictions.

    Before each epoch, a mixture of two distributions of the losses gives the
    probability that each label is right. A sample's target is its label with this
    weight, and the network's prediction with the rest; samples and targets are mixed in
    pairs.

    Parameters
    ----------
    bootstrap : {"hard", "soft"}, default="hard"
        Whether the prediction is the most probable class, or the probabilities.
    mixture : {"bmm", "gmm"}, default="bmm"
        Two beta distributions, or two Gaussians: see
        :func:`sknoisy.scores.bmm_clean_probability` and
        :func:`sknoisy.scores.gmm_clean_probability`.
    alpha : float, default=32.0
        Parameter of the beta distribution that mixup's weight is drawn from; with 0,
        nothing is mixed.
    penalty : float, default=1.0
        Weight of the divergence of a batch's mean prediction from uniform, after the
        warm-up.
    warmup_epochs : int or "auto", default="auto"
        Epochs of mixup on the given labels that come first. "auto": all epochs in which
        only the head is trained, if there are any; else 35% of `max_epochs`, like the
        authors' 105 of 300.

    Notes
    -----
    This is the paper's M-correction. The paper takes a weight decay of 1e-4 and a
    learning rate of 0.1, which falls to a tenth after 100 and after 250 of 300 epochs.
    Here the probabilities that labels are right are computed once per epoch, from
    samples without augmentation; the authors' code computes them for each batch, from
    its augmented views.

    References
    ----------
    Arazo et al., Unsupervised Label Noise Modeling and Loss Correction, ICML 2019.
    """

    n_networks = 1
    estimates_noise = False
    soft_labels = True

    def __init__(
        self,
        bootstrap="hard",
        mixture="bmm",
        alpha=32.0,
        penalty=1.0,
        warmup_epochs="auto",
    ):
        self.bootstrap = bootstrap
        self.mixture = mixture
        self.alpha = alpha
        self.penalty = penalty
        self.warmup_epochs = warmup_epochs

    def check(self):  # noqa: D102
        super().check()
        check_choice("bootstrap", self.bootstrap, ["hard", "soft"])
        check_choice("mixture", self.mixture, list(MIXTURES))
        check_real("alpha", self.alpha, "[0, inf)")
        check_real("penalty", self.penalty, "[0, inf)")

    def plan(self, n_epochs, head_epochs):  # noqa: D102
        super().plan(n_epochs, head_epochs)
        if self.warmup_epochs == "auto" and not head_epochs:
            self.warmup_epochs_ = max(1, round(BEGIN * n_epochs))

    def start(self, n_samples, n_classes, device):  # noqa: D102
        super().start(n_samples, n_classes, device)
        self.state_["clean_proba"] = unknown((n_samples,), device)

    def before_epoch(self, net):  # noqa: D102
        super().before_epoch(net)
        if self.is_warmup:
            return
        losses = net.losses()[:, 0]
        if len(losses) >= 4:  # no mixture can be fitted to fewer
            clean = torch.from_numpy(MIXTURES[self.mixture](losses)).float()
            self.state_["clean_proba"].copy_(clean)
            trusted = net.data_.labels.trusted
            if trusted is not None:
                self.state_["clean_proba"][trusted] = 1

    def batch_loss(self, net, index, batch):  # noqa: D102
        view = net.view(batch)
        target = net.targets(index)
        labels = as_distributions(target, self.n_classes)
        network = net.module_.networks[0]
        if not self.is_warmup:
            with torch.no_grad():
                probs = in_parts(network, view).float().softmax(dim=1)
            if self.bootstrap == "hard":
                probs = one_hot(probs.argmax(dim=1), self.n_classes).float()
            # Of too few samples it is not known: their labels are kept.
            clean = self.state_["clean_proba"][index].nan_to_num(1.0)
            labels = refine(probs, target, clean)
        lam = self.rng.beta(self.alpha, self.alpha) if self.alpha else 1.0
        order = net.permutation(len(view))
        labels = weigh(labels, net.weights(index))
        mixed, labels = mixup(view, labels, lam, order)
        logits = in_parts(network, mixed).float()
        loss = mixed_loss(logits.log_softmax(dim=1), labels)
        if self.is_warmup:
            return loss
        return loss + self.penalty * uniform_penalty(logits)
