"""IDO: labels are learned as far as they are rarely missed, views must agree."""

import numpy as np
import torch

from sknoisy.cotraining.base import CoTraining, unknown
from sknoisy.cotraining.ensembles import given_losses
from sknoisy.cotraining.strong_views import strong_views, views_of
from sknoisy.encoders.weights import load_tensors
from sknoisy.losses.expected import weighted_mean
from sknoisy.ranks import gathered
from sknoisy.scores.betas import event_mixtures
from sknoisy.views.automatic import check_views
from sknoisy.views.base import NoViews

WARMUP = 1 / 3  # of the epochs in which all is trained: 5 of 15 in the paper
LEAST_PROBABILITY = 1e-4  # probability that the entropy counts
FEWEST = 4  # samples that a mixture can be fitted to
PER_EPOCH = 2  # wrong events of a sample at most: one for each view


def dynamic_losses(weak, strong, target, clean, consistency):
    """Return the losses of samples, by how probably their labels are right.

    Parameters
    ----------
    weak, strong : tensor of shape (n, n_classes)
        Logits of a weak and a strong view of each sample.
    target : tensor of shape (n,), int64, or (n, n_classes)
        Codes of the given labels, or soft labels.
    clean : tensor of shape (n,)
        Probability that the label is right: weight of the cross-entropy of both views.
        The rest is the weight of the entropy of their mean prediction.
    consistency : tensor of shape (n,)
        Weight of the mean squared difference of the logits.

    Returns
    -------
    losses : tensor of shape (n,)
        The sum of the three.

    Examples
    --------
    >>> import torch
    >>> from sknoisy.cotraining.ido import dynamic_losses
    >>> even = torch.zeros(2, 2)
    >>> labels, clean = torch.tensor([0, 1]), torch.tensor([1.0, 0.0])
    >>> dynamic_losses(even, even, labels, clean, clean)  # 2 log 2, and log 2
    tensor([1.3863, 0.6931])
    """
    learned = given_losses(torch.stack([weak, strong], dim=1), target).sum(dim=1)
    difference = (weak - strong).square().mean(dim=1)
    probs = torch.stack([weak, strong]).softmax(dim=2)
    mean = probs.clamp(LEAST_PROBABILITY, 1 - LEAST_PROBABILITY).mean(dim=0)
    entropy = torch.special.entr(mean).sum(dim=1)
    return clean * learned + consistency * difference + (1 - clean) * entropy


class IDO(CoTraining):
    """Instance-level difficulty and dynamic optimisation, of one network.

    A wrong event of a sample is a prediction that is not its label. Right labels have
    few of them, also those of hard samples, which are learned late but then kept. For
    each class, a mixture of two beta distributions of the numbers of wrong events gives
    the probability that a label is right. With this weight, a weak and a strong view of
    the sample learn the label; with the rest, the entropy of their mean prediction is
    lowered. In addition, differences between the logits of both views are penalised,
    most where the label is probably right but the sample is hard.

    Parameters
    ----------
    views : "auto", "none" or Views, default="auto"
        Strong augmentation, applied after the classifier's own views. "auto":
        :class:`~sknoisy.views.RandAugment` for images of 16 pixels and more, the strong
        views of :func:`sknoisy.views.resolve_views` for smaller images, and none for
        vectors.
    warmup_epochs : int or "auto", default="auto"
        Epochs of cross-entropy that come first, in which wrong events are counted.
        "auto": a third of `max_epochs`, like the authors' 5 of 15, and before these all
        epochs in which only the head is trained. If the network has learned little by
        then, nearly all labels look wrong, and it ends up predicting few classes.

    Notes
    -----
    While the network learns, fewer predictions change from epoch to epoch. As in the
    paper, the training continues after the warm-up from the weights before the first of
    its epochs in which this number did not fall. If it always fell, the weights stay.
    Epochs in which only the head is trained do not count for this.

    ``loss_state_`` of the classifier has "wrong_events", the numbers of wrong events,
    and "clean_proba", the probabilities by which the labels were learned last.

    This differs from the official code as follows:

    - The mixtures are fitted anew before each epoch, in 20 steps. The official code
      takes the parameters of the epoch before, and one or two steps more. It has one
      mixture for each class in one version and one for all samples in the other; the
      authors' ablation favours the former.
    - The probability that a label is right never rises with the number of its wrong
      events, as in :func:`sknoisy.scores.wrong_event_clean_probability`.
    - The official code means to keep the weights before predictions change more, as the
      paper has it, but what it saves are the weights after that epoch.
    - Strong views are made by another selection of operations.
    - One optimiser and one schedule serve the whole training. The official code begins
      with both anew after the warm-up, whose learning rate is constant.

    The official code fine-tunes networks that were pre-trained on ImageNet: a ResNet-50
    by AdamW with a weight decay of 1e-5 and a learning rate of 1e-3, which falls along
    a cosine to 1e-4, and a ViT-B/16 by SGD at 0.01. With a small network that was
    pre-trained by SimCLR, and with networks from scratch, IDO was less accurate than
    cross-entropy in our benchmarks.

    References
    ----------
    Zhang et al., Handling Label Noise via Instance-Level Difficulty Modeling and
    Dynamic Optimization, NeurIPS 2025, arXiv:2505.00812.
    """

    n_networks = 1
    estimates_noise = False
    soft_labels = True
    vector_encoder = "identity"
    transient = (*CoTraining.transient, "_weights")

    def __init__(self, views="auto", warmup_epochs="auto"):
        self.views = views
        self.warmup_epochs = warmup_epochs

    def check(self):  # noqa: D102
        super().check()
        check_views(self.views)

    def check_samples(self, spec):  # noqa: D102
        views_of(spec, self.views)

    def plan(self, n_epochs, head_epochs):  # noqa: D102
        super().plan(n_epochs, head_epochs)
        if self.warmup_epochs == "auto":
            self.warmup_epochs_ = head_epochs + max(1, round(WARMUP * n_epochs))

    def start(self, n_samples, n_classes, device):  # noqa: D102
        super().start(n_samples, n_classes, device)
        self.state_["wrong_events"] = torch.zeros(
            n_samples, dtype=torch.int64, device=device
        )
        self.state_["clean_proba"] = unknown((n_samples,), device)
        self._predicted = torch.full((n_samples,), -1, device=device)
        self._earlier = self._predicted.clone()
        self._changes, self._base, self._has_risen = n_samples, None, False

    def before_epoch(self, net):  # noqa: D102
        super().before_epoch(net)
        begin = self.head_epochs_ or 0
        if self.epoch == begin:
            self._predicted.fill_(-1)  # by the head alone
        if begin < self.epoch <= self.warmup_epochs_:
            self._keep_base(net.module_)
        self._earlier.copy_(self._predicted)
        if self.epoch == self.warmup_epochs_ and self._base is not None:
            if self._has_risen:
                load_tensors(net.module_, self._base)
            self._base = None
        if not self.is_warmup:
            self._weights = self._fit(net)

    def _keep_base(self, module):
        """Keep the weights until as many predictions change as in the epoch before."""
        changes, comparable = len(self._earlier), bool((self._earlier >= 0).all())
        if comparable:  # two epochs of the same samples were seen
            changes = int((self._predicted != self._earlier).sum())
        self._has_risen |= comparable and changes >= self._changes
        if not self._has_risen:
            state = module.state_dict()
            self._base = {name: tensor.clone() for name, tensor in state.items()}
            self._changes = changes

    def _fit(self, net):
        """Return the factors of the weights of samples, (2, n_classes, n_counts).

        They are the probability that the label is right, and the difficulty, which is
        largest where there are more wrong events than right labels have, and fewer than
        wrong ones have. There is one of each for each class and each number of wrong
        events that is possible in this epoch.
        """
        codes = net.data_.codes.cpu().numpy()
        events = self.state_["wrong_events"].cpu().numpy()
        counts = np.arange(events.max() + PER_EPOCH + 1)
        weights = np.ones((2, self.n_classes, len(counts)), np.float32)
        if len(events) >= FEWEST:
            mixtures = event_mixtures(codes, events, self.n_classes)
            for of_class, mixture in zip(weights.swapaxes(0, 1), mixtures, strict=True):
                clean = mixture.clean_probability(counts)
                few, many = mixture.distributions(counts)
                of_class[:] = clean, few + 1 - many
        return torch.from_numpy(weights).to(net.device)

    def batch_loss(self, net, index, batch):  # noqa: D102
        if not self.is_warmup:
            return self.loss(net, index, batch)
        logits, target = net.observed_logits(index, batch), net.targets(index)
        predicted = self._count(net, index, logits[:, 0])
        self._predicted[index] = predicted
        return weighted_mean(given_losses(logits, target)[:, 0], net.weights(index))

    def loss(self, net, index, batch):  # noqa: D102
        weak = net.observed_logits(index, batch)[:, 0]
        views, strong = strong_views(self.views, net.data_), weak
        if net.has_views or not isinstance(views, NoViews):
            view = net.own_view(net.own_view(batch), views)
            strong = gathered(net.module_(view).float())[:, 0]
        for logits in (weak, strong):
            self._count(net, index, logits)
        codes, events = net.data_.codes[index], self.state_["wrong_events"][index]
        clean, difficulty = self._weights[:, codes, events]
        trusted = net.trusted(index)
        if trusted is not None:
            clean = clean.where(~trusted, 1.0)
        self.state_["clean_proba"][index] = clean
        target = net.targets(index)
        losses = dynamic_losses(weak, strong, target, clean, clean * difficulty)
        return weighted_mean(losses, net.weights(index))

    def _count(self, net, index, logits):
        """Count wrong events; return the predicted classes, (n,)."""
        predicted = logits.detach().argmax(dim=1)
        wrong = predicted != net.data_.codes[index]
        self.state_["wrong_events"][index] += wrong
        return predicted
