"""MOIT: contrastive learning and classification of interpolated samples."""

import numpy as np
import torch
from torch.nn.functional import one_hot

from sknoisy.checks import check_integer, check_real
from sknoisy.cotraining.base import CoTraining, unknown
from sknoisy.cotraining.mixing import mixed_loss, mixup, weigh
from sknoisy.cotraining.moit_heads import (
    NOTHING,
    InterpolatedEnsemble,
    Projecting,
)
from sknoisy.cotraining.neighbors import neighbors_on
from sknoisy.cotraining.strong_views import strong_views, views_of
from sknoisy.data.devices import full_precision
from sknoisy.losses.expected import weighted_mean
from sknoisy.ranks import in_parts
from sknoisy.scores import votes_from
from sknoisy.views.automatic import check_views
from sknoisy.views.base import NoViews

N_NEIGHBORS = 250
MEMORY_BEGINS = 3  # epochs before the memory is compared with
LEAST, MOST = 0.01, 0.99  # shares of votes that a disagreement is computed of


def corrected_votes(index, labels, n_classes):
    """Return votes of neighbours whose own labels their neighbours have corrected.

    Parameters
    ----------
    index : ndarray of shape (n_samples, n_neighbors), int
        Row numbers of the neighbours.
    labels : ndarray of shape (n_samples,), int
        Codes of the given labels.
    n_classes : int
        Number of classes.

    Returns
    -------
    votes : ndarray of shape (n_samples, n_classes)
        Shares of the neighbours, each counted by the class that most of its own
        neighbours are labelled as.

    Examples
    --------
    >>> import numpy as np
    >>> from sknoisy.cotraining.moit import corrected_votes
    >>> index = np.array([[1, 2], [0, 2], [0, 1], [4, 5], [3, 5], [3, 4]])
    >>> corrected_votes(index, np.array([0, 0, 0, 1, 1, 1]), 2)[3]
    array([0., 1.], dtype=float32)
    """
    once = votes_from(index, labels, n_classes).argmax(axis=1)
    return votes_from(index, once, n_classes)


def balanced_clean(votes, labels):
    """Return which labels are taken as right, in each class about as many.

    Parameters
    ----------
    votes : ndarray of shape (n_samples, n_classes)
        See :func:`corrected_votes`.
    labels : ndarray of shape (n_samples,), int
        Codes of the given labels.

    Returns
    -------
    clean : ndarray of shape (n_samples,), bool
        In each class those labels that most votes are for; as many as the median over
        the classes of how often the most voted class is the label.

    Examples
    --------
    >>> import numpy as np
    >>> from sknoisy.cotraining.moit import balanced_clean
    >>> votes = np.array([[0.9, 0.1], [0.8, 0.2], [0.6, 0.4], [0.4, 0.6], [0.7, 0.3]])
    >>> balanced_clean(votes, np.array([0, 0, 0, 1, 1]))
    array([ True, False, False,  True, False])
    """
    n_classes = votes.shape[1]
    agree = votes.argmax(axis=1) == labels
    counts = np.bincount(labels[agree], minlength=n_classes)
    chosen = int(np.sort(counts)[(n_classes - 1) // 2])  # the lower of two medians
    shares = votes[np.arange(len(labels)), labels].clip(LEAST, MOST)
    clean = np.zeros(len(labels), bool)
    for label in range(n_classes):
        members = np.flatnonzero(labels == label)
        order = np.argsort(-shares[members], kind="stable")
        clean[members[order[:chosen]]] = True
    return clean


def interpolated_contrastive(similarity, own, major, minor, lam):
    """Return the contrastive loss of mixed samples, each of a major and a minor part.

    Parameters
    ----------
    similarity : tensor of shape (n, m), float32
        Similarity of n mixed samples to m others, divided by the temperature.
    own : tensor of shape (n, m), bool
        What does not count: the sample itself, and empty places.
    major, minor : tensors of shape (n, m), float32
        Weights of the others as positives of either part.
    lam : tensor of shape (n,)
        Weight of the major part.

    Returns
    -------
    losses : tensor of shape (n,)
        Weighted sum of the mean negative log-likelihoods of both parts' positives.
    """
    others = similarity.masked_fill(own, -torch.inf)
    log_p = similarity - others.logsumexp(dim=1, keepdim=True)

    def mean(weights):
        weights = weights.masked_fill(own, 0)
        return (weights * log_p).sum(dim=1) / weights.sum(dim=1)

    return -lam * mean(major) - (1 - lam) * mean(minor)


class MOIT(CoTraining):
    """Multi-objective interpolation training of one network.

    Samples are mixed, and two losses are mixed in the same way: cross-entropy, and a
    supervised contrastive loss of a projection, which compares each sample with the
    batch and a memory. In the second half of the training, the network's predictions
    replace labels that the neighbours in the projection do not favour, but only in the
    cross-entropy.

    Parameters
    ----------
    n_neighbors : int or "auto", default="auto"
        Number of neighbours that vote, without the sample itself. "auto": 250, as in
        the paper, but at most half of the mean class size, which is 250 for CIFAR-100.
    correction : float, default=0.52
        Share of the epochs after which predictions replace labels. The authors take 130
        of 250 epochs.
    temperature : float, default=0.1
        Divisor of the cosine similarities in the contrastive loss.
    alpha : float, default=1.0
        Parameter of the beta distribution that mixup's weight is drawn from.
    memory : int, default=100
        Size of the memory, in samples per class, with two views of each. The memory is
        not used before the fourth epoch, nor if it is smaller than a batch.
    views : "auto", "none" or Views, default="auto"
        Augmentation of the samples that are mixed. "auto": the strong views of
        :func:`sknoisy.views.resolve_views` for images, and none for vectors.
    warmup_epochs : int or "auto", default=0
        Epochs of cross-entropy on all samples that come first; the paper has none.

    Notes
    -----
    A step takes three forward passes and two backward passes. ``loss_state_`` of the
    classifier has "clean", 1 where the label was taken as right, and "clean_proba", the
    share of the neighbours' votes for it.

    Unlike in the official code, the label or prediction of each sample is mixed by its
    own rule; in that code, the sample with the larger weight decides whether the label
    of the other one counts. The memory is a ring, and stays full. By default, the
    learning rate is 0.02 and falls by a cosine. The authors train 250 epochs at 0.1
    with weight decay 1e-4, and divide the rate by 10 after 125 and 200 epochs. MOIT+,
    which trains a new classifier on the samples whose labels are taken as right, is not
    offered.

    References
    ----------
    Ortego, Arazo, Albert, O'Connor and McGuinness, Multi-Objective Interpolation
    Training for Robustness to Label Noise, CVPR 2021.
    """

    n_networks = 1
    estimates_noise = False

    def __init__(
        self,
        n_neighbors="auto",
        correction=0.52,
        temperature=0.1,
        alpha=1.0,
        memory=100,
        views="auto",
        warmup_epochs=0,
    ):
        self.n_neighbors = n_neighbors
        self.correction = correction
        self.temperature = temperature
        self.alpha = alpha
        self.memory = memory
        self.views = views
        self.warmup_epochs = warmup_epochs

    def check(self):  # noqa: D102
        super().check()
        check_integer("n_neighbors", self.n_neighbors, other="auto")
        check_real("correction", self.correction, "[0, 1]")
        check_real("temperature", self.temperature, "(0, inf)")
        check_real("alpha", self.alpha, "(0, inf)")
        check_integer("memory", self.memory, low=0)
        check_views(self.views)

    def check_samples(self, spec):  # noqa: D102
        views_of(spec, self.views, of_images="auto")

    def start(self, n_samples, n_classes, device):  # noqa: D102
        super().start(n_samples, n_classes, device)
        for name in ("clean", "clean_proba"):
            self.state_[name] = unknown((n_samples,), device)

    def extend(self, module, data, generator):
        """Return the module with a projection and a memory."""
        network = module.networks[0]
        encoder = getattr(network, "encoder", None)
        width = data.store.spec.shape[0] if encoder is None else encoder.n_features
        size = 2 * self.memory * self.n_classes
        return InterpolatedEnsemble(module.networks, width, size, generator)

    def before_epoch(self, net):  # noqa: D102
        super().before_epoch(net)
        if self.corrects and not self.is_warmup:
            self._look(net)

    @property
    def corrects(self):
        """Whether predictions take the place of labels in this epoch."""
        return self.epoch >= max(1, round(self.correction * self.n_epochs))

    def loss(self, net, index, batch):  # noqa: D102
        module, n = net.module_, len(index)
        views = strong_views(self.views, net.data_, of_images="auto")
        codes, weights = net.targets(index), net.sample_weights(index)
        labels = one_hot(codes, self.n_classes).float()
        plain = net.view(batch, NoViews())
        with torch.no_grad():
            logits, _ = self._both(module, plain)
        net.observe(logits[:, None], codes, index)
        if self.corrects:
            clean = self.state_["clean"][index, None]
            labels = clean * labels + (1 - clean) * logits.softmax(dim=1)
        mixed, targets, orders, lams = [], [], [], []
        for _ in range(2):
            lam = self.rng.beta(self.alpha, self.alpha)
            order = net.permutation(n)
            pair = mixup(net.view(batch, views), weigh(labels, weights), lam, order)
            for kept, value in zip((mixed, targets), pair, strict=True):
                kept.append(value)
            orders.append(order)
            lams.append(labels.new_full((n,), max(lam, 1 - lam)))
        logits, projections = self._both(module, torch.cat(mixed))
        loss = mixed_loss(logits.log_softmax(dim=1), torch.cat(targets))
        with full_precision(projections):
            losses = self._contrast(
                module, projections, codes, orders, lam=torch.cat(lams)
            )
        weights = None if weights is None else weights.repeat(2)
        return loss + weighted_mean(losses, weights)

    def estimated_rate(self, clean_probability):  # noqa: D102
        clean = self.state_["clean"]
        if clean.isnan().any():
            return float((clean_probability < 0.5).mean())
        return float(1 - clean.mean())

    def _both(self, module, batch):
        """Return logits and projections of samples that all ranks have."""
        both = in_parts(module.both, batch)
        return both[:, : self.n_classes], both[:, self.n_classes :]

    def _contrast(self, module, projections, codes, orders, lam):
        """Return the contrastive losses of two mixed views of a batch, (2 n,)."""
        n, minor = len(codes), torch.cat(orders)
        # The minor sample itself counts twice: by its label, and as itself.
        itself = (
            (minor[:, None] == torch.arange(n, device=minor.device))
            .float()
            .repeat(1, 2)
        )
        own = torch.eye(2 * n, dtype=torch.bool, device=codes.device)

        def losses(others, labels, own, itself):
            similarity = projections @ others.T / self.temperature
            pair = codes.repeat(2), codes[minor]
            major, also = (part[:, None] == labels for part in pair)
            weights = major.float(), also.float() + itself
            return interpolated_contrastive(similarity, own, *weights, lam)

        total = losses(projections, codes.repeat(2), own, itself)
        if len(module.memory) < 2 * n:
            return total
        places = module.keep(projections.detach(), codes.repeat(2))
        if self.epoch < MEMORY_BEGINS:
            return total
        known = module.memory_labels
        left_out = places[:, None] == torch.arange(len(known), device=places.device)
        left_out |= known == NOTHING
        in_memory = torch.zeros_like(left_out, dtype=torch.float32)
        in_memory[:, places] = itself
        return total + losses(module.memory.clone(), known, left_out, in_memory)

    @torch.no_grad()
    def _look(self, net):
        """Find out which labels are right, by the neighbours in the projection."""
        rows = net.predict_with(Projecting(net.module_))
        codes = net.data_.codes.cpu().numpy()
        n_neighbors = self.n_neighbors
        if n_neighbors == "auto":
            n_neighbors = max(1, min(N_NEIGHBORS, len(codes) // (2 * self.n_classes)))
        index = neighbors_on(net.device, rows, min(n_neighbors, len(codes) - 1))
        votes = corrected_votes(index, codes, self.n_classes)
        clean = balanced_clean(votes, codes).astype(np.float32)
        if not clean.any():  # most classes have no label that neighbours favour
            clean[:] = 1
        right = votes[np.arange(len(codes)), codes]
        trusted = net.data_.labels.trusted
        if trusted is not None:
            clean[trusted.cpu().numpy()] = right[trusted.cpu().numpy()] = 1
        self.state_["clean"].copy_(torch.from_numpy(clean))
        self.state_["clean_proba"].copy_(torch.from_numpy(right))
