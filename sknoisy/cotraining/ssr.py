"""SSR: labels by confidence, samples by their neighbours' votes."""

import math

import numpy as np
import torch
from scipy.special import softmax
from torch.nn.functional import one_hot

from sknoisy.checks import check_choice, check_integer, check_real
from sknoisy.cotraining.base import CoTraining, unknown
from sknoisy.cotraining.mixing import mixed_loss, mixup, weigh
from sknoisy.cotraining.neighbors import neighbors_on
from sknoisy.cotraining.selected_batches import SelectedBatches
from sknoisy.cotraining.ssr_heads import ConsistentEnsemble
from sknoisy.cotraining.strong_views import strong_views, views_of
from sknoisy.encoders.architecture import trains_encoder
from sknoisy.ranks import gathered, in_parts, of_part
from sknoisy.scores import relative_votes, votes_from
from sknoisy.views.automatic import check_views

N_NEIGHBORS = 200


def relabel(probs, target, threshold):
    """Replace labels by confident predictions.

    Parameters
    ----------
    probs : ndarray of shape (n_samples, n_classes)
        Predicted probabilities.
    target : ndarray of shape (n_samples,), int
        Codes of the given labels.
    threshold : float
        Predictions of a larger probability take the place of the label.

    Returns
    -------
    labels : ndarray of shape (n_samples,), int
        Codes of the labels to learn.

    Examples
    --------
    >>> import numpy as np
    >>> from sknoisy.cotraining.ssr import relabel
    >>> relabel(np.array([[0.95, 0.05], [0.8, 0.2]]), np.array([1, 1]), threshold=0.9)
    array([0, 1])
    """
    sure = probs.max(axis=1) > threshold
    return np.where(sure, probs.argmax(axis=1), target)


def votes_of_labelled(index, labels, n_classes):
    """Return the votes of neighbours that have a label, relative to the most voted.

    Parameters
    ----------
    index : ndarray of shape (n_samples, n_neighbors), int
        Row numbers of the neighbours.
    labels : ndarray of shape (n_samples,), int
        Codes of the labels; -1 without one.
    n_classes : int
        Number of classes.

    Returns
    -------
    votes : ndarray of shape (n_samples, n_classes)
        See :func:`sknoisy.scores.relative_votes`; 1 where no neighbour votes.
    """
    is_labelled = labels >= 0
    counts = np.bincount(labels[is_labelled], minlength=n_classes)
    if is_labelled.all():
        votes = votes_from(index, labels, n_classes)
    else:
        codes = np.where(is_labelled, labels, n_classes)
        votes = votes_from(index, codes, n_classes + 1)[:, :n_classes]
        votes[votes.sum(axis=1) == 0] = counts
    return relative_votes(votes, counts / counts.sum())


def balanced_order(labels, generator, size=None):
    """Return samples in a random order in which all classes are equally frequent.

    Parameters
    ----------
    labels : tensor of shape (n,), int64
        Class of each sample.
    generator : torch.Generator
        Source of randomness, on the CPU.
    size : int, default=None
        Length of the order; None: n.

    Returns
    -------
    order : tensor of shape (size,), int64
        Positions in `labels`. In a class that has fewer samples than its share, they
        repeat, each about as often as the others.
    """
    classes = labels.unique()
    size = len(labels) if size is None else size
    shares = torch.full_like(classes, size // len(classes))
    shares[: size - int(shares.sum())] += 1
    chosen = []
    for label, n in zip(classes, shares.tolist(), strict=True):
        members = (labels == label).nonzero()[:, 0]
        rounds = [
            members[torch.randperm(len(members), generator=generator, device="cpu")]
            for _ in range(math.ceil(n / len(members)))
        ]
        chosen.append(torch.cat(rounds)[:n] if rounds else members[:0])
    chosen = torch.cat(chosen)
    return chosen[torch.randperm(len(chosen), generator=generator, device="cpu")]


class SSR(CoTraining):
    """Sample selection and relabelling by one network, without the noise rate.

    Before each epoch, predictions that are confident enough replace the given labels.
    A sample is then selected if its nearest neighbours in feature space favour its
    label, relative to the sizes of the classes. The network learns the labels of the
    selected samples only, with mixup, all classes equally often. With images, it also
    learns to predict the features of one view of a sample, selected or not, from the
    features of another view (SSR+).

    Parameters
    ----------
    relabel_threshold : float, default=0.9
        Probability above which a prediction replaces the label. The paper takes 0.9 for
        CIFAR-10, 0.8 for CIFAR-100 with much noise, 0.95 for ANIMAL-10N and WebVision,
        and 0.99 for Clothing1M.
    select_threshold : float, default=1.0
        A sample is selected if its label has at least this share of the votes of the
        most voted class, in (0, 1]. With 1, the label must be that class.
    n_neighbors : int or "auto", default="auto"
        Number of neighbours that vote, the sample itself included, but at most the
        number of samples. "auto": 200, as in the paper, but at most two fifths of the
        mean class size, which is 200 for CIFAR-100.
    consistency : float or "auto", default="auto"
        Weight of the feature consistency. "auto": 1, as in the paper, if an encoder of
        images is trained, and 0 otherwise.
    alpha : float, default=4.0
        Parameter of the beta distribution that mixup's weight is drawn from.
    views : "auto", "none" or Views, default="auto"
        Strong augmentation, applied to the samples that are learned after the
        classifier's own views. "auto": :class:`~sknoisy.views.RandAugment` for images
        of 16 pixels and more, the strong views of :func:`sknoisy.views.resolve_views`
        for smaller images, and none for vectors.
    epoch_size : {"all", "selected"}, default="all"
        "all": an epoch has as many samples as the training set, and repeats the
        selected samples until then, as in the official code. "selected": each selected
        sample occurs about once, which is faster, but trains little while few are
        selected.
    warmup_epochs : int or "auto", default=0
        Epochs of cross-entropy on all samples that come first; the paper has none.

    Notes
    -----
    Two strong views of each selected sample are learned. The consistency predicts the
    features of a weak view, one of the classifier's `views`, from those of a strong
    view. If the encoder is frozen, neighbours are searched only once. ``loss_state_``
    of the classifier has "labels", the codes of the labels that were learned last, and
    "clean_proba", the votes for the given labels relative to the most voted class.

    This differs from the official code as follows:

    - Labels are replaced and samples are selected by predictions and features of
      samples without augmentation; the official code takes a weak view.
    - Strong views are made by RandAugment; the official code takes AutoAugment for
      CIFAR-10.
    - After pre-training, the head is trained first, with the same selection.
    - SGD has Nesterov momentum.

    The paper trains for 300 epochs with SGD at 0.02, weight decay 5e-4 and a cosine
    schedule, in batches of 128.

    References
    ----------
    Feng, Tzimiropoulos and Patras, SSR: An Efficient and Robust Framework for Learning
    with Unknown Label Noise, BMVC 2022.
    """

    n_networks = 1
    estimates_noise = False
    unlabelled = True
    vector_encoder = "identity"
    transient = (*CoTraining.transient, "_index", "order")

    def __init__(
        self,
        relabel_threshold=0.9,
        select_threshold=1.0,
        n_neighbors="auto",
        consistency="auto",
        alpha=4.0,
        views="auto",
        epoch_size="all",
        warmup_epochs=0,
    ):
        self.relabel_threshold = relabel_threshold
        self.select_threshold = select_threshold
        self.n_neighbors = n_neighbors
        self.consistency = consistency
        self.alpha = alpha
        self.views = views
        self.epoch_size = epoch_size
        self.warmup_epochs = warmup_epochs

    def check(self):  # noqa: D102
        super().check()
        check_real("relabel_threshold", self.relabel_threshold, "[0, 1]")
        check_real("select_threshold", self.select_threshold, "(0, 1]")
        check_integer("n_neighbors", self.n_neighbors, other="auto")
        check_real("consistency", self.consistency, "[0, inf)", other="auto")
        check_real("alpha", self.alpha, "(0, inf)")
        check_choice("epoch_size", self.epoch_size, ["all", "selected"])
        check_views(self.views)

    def check_samples(self, spec):  # noqa: D102
        views_of(spec, self.views)

    def start(self, n_samples, n_classes, device):  # noqa: D102
        super().start(n_samples, n_classes, device)
        self.state_["labels"] = torch.full((n_samples,), -1, device=device)
        self.state_["clean_proba"] = unknown((n_samples,), device)
        self._index = None

    def extend(self, module, data, generator):
        """Return the module with the heads of feature consistency, if there is any."""
        weight, is_trained = self.consistency, trains_encoder(module.networks[0])
        if weight == "auto":
            is_image = data.store.spec.kind == "image"
            weight = float(is_image and is_trained)
        if not (weight and is_trained):
            return module
        return ConsistentEnsemble(module.networks, weight, generator)

    def before_epoch(self, net):  # noqa: D102
        super().before_epoch(net)
        if self.is_warmup:
            return
        features, logits = net.predict_features()
        predicted = torch.from_numpy(logits)[:, None].to(net.device)
        every = torch.arange(len(logits), device=net.device)
        net.observe(predicted, net.data_.codes, every)
        given, trusted = net.data_.codes.cpu().numpy(), net.data_.labels.trusted
        is_trusted = np.zeros(len(given), bool)
        if trusted is not None:
            is_trusted = trusted.cpu().numpy()
        labels = relabel(softmax(logits, axis=1), given, self.relabel_threshold)
        labels[is_trusted] = given[is_trusted]
        neighbors = self._neighbors(net, features)
        votes = votes_of_labelled(neighbors, labels, self.n_classes)
        rows = np.arange(len(labels))
        clean = np.where(given >= 0, votes[rows, given], 0)
        clean[is_trusted] = 1
        self.state_["labels"].copy_(torch.from_numpy(labels))
        self.state_["clean_proba"].copy_(torch.from_numpy(clean))
        favoured = votes[rows, labels] >= self.select_threshold
        selected = (favoured & (labels >= 0)) | is_trusted
        self._order(net, labels, selected if selected.any() else labels >= 0)

    def _neighbors(self, net, features):
        """Return the neighbours of all samples, searched once if features stay."""
        if self._index is not None:
            return self._index
        n_neighbors = self.n_neighbors
        if n_neighbors == "auto":
            of_class = 2 * len(features) // (5 * self.n_classes)
            n_neighbors = max(1, min(N_NEIGHBORS, of_class))
        n_neighbors = min(n_neighbors, len(features))
        index = neighbors_on(net.device, features, n_neighbors, include_self=True)
        if not trains_encoder(net.module_.networks[0]):
            self._index = index
        return index

    def _order(self, net, labels, selected):
        """Draw the order of the selected samples, all classes equally often."""
        chosen = torch.from_numpy(np.flatnonzero(selected))
        size = len(labels) if self.epoch_size == "all" else None
        order = balanced_order(torch.from_numpy(labels)[chosen], net.generator, size)
        self.order = chosen[order]

    def batches(self, net, store):  # noqa: D102
        whole = super().batches(net, store)
        if self.is_warmup:
            return whole
        with_others = isinstance(net.module_, ConsistentEnsemble)
        return SelectedBatches(self.order, whole, net.batch_size, with_others)

    def loss(self, net, index, batch, others=None):
        """Return the loss of a batch of selected samples.

        Parameters
        ----------
        net : CoTrainingNet
            Net that is trained.
        index : tensor of shape (n,), int64
            Positions of the samples.
        batch : tensor of shape (n, ...), float32
            The samples.
        others : tensor of shape (m, ...), float32, default=None
            Any samples, for the feature consistency.
        """
        # Views are many small operations: all of a step are drawn together.
        n, pair = len(batch), [] if others is None else [others, others]
        weak = net.own_view(torch.cat([batch, batch, *pair]))
        n_strong = len(weak) if others is None else len(weak) - len(others)
        views = strong_views(self.views, net.data_)
        strong = net.own_view(weak[:n_strong], views)
        first, second = (gathered(part) for part in (strong[:n], strong[n : 2 * n]))
        labels = one_hot(self.state_["labels"][index], self.n_classes).float()
        inputs, labels = torch.cat([first, second]), labels.repeat(2, 1)
        weights = net.sample_weights(index)
        labels = weigh(labels, None if weights is None else weights.repeat(2))
        lam = self.rng.beta(self.alpha, self.alpha)
        mixed, labels = mixup(inputs, labels, lam, net.permutation(len(inputs)))
        logits = in_parts(net.module_, mixed)[:, 0].float()
        loss = mixed_loss(logits.log_softmax(dim=1), labels)
        if others is None:
            return loss
        consistency = net.module_.consistency(weak[n_strong:], strong[2 * n :])
        consistency = of_part(consistency, len(others))
        return loss + net.module_.weight * consistency

    def estimated_rate(self, clean_probability):  # noqa: D102
        return float((clean_probability < self.select_threshold).mean())
