"""RIM: features fall into clusters, sure of each sample and evenly over all."""

from torch import nn

from sknoisy.data.devices import full_precision
from sknoisy.parameters import check_integer, check_real
from sknoisy.regularizers.base import Regularizer


def mutual_information(logits):
    """Return I(x; c) = H(c) - H(c|x) of samples and their clusters, in nats.

    Parameters
    ----------
    logits : tensor of shape (n, n_clusters)
        Of the clusters. H(c) is the entropy of the batch's mean assignment.
    """
    log_p = logits.log_softmax(dim=1)
    mean = log_p.exp().mean(dim=0)
    of_mean = -(mean * mean.clamp(min=1e-12).log()).sum()
    return of_mean + (log_p.exp() * log_p).sum(dim=1).mean()


def consistency(logits, augmented):
    """Return the mean cross-entropy of assignments of augmented views.

    Parameters
    ----------
    logits, augmented : tensors of shape (n, n_clusters)
        Of the clusters of samples and of their augmented views; no gradient flows into
        `logits`, for the loss would fall most easily by one cluster for all.
    """
    p = logits.softmax(dim=1).detach()
    return -(p * augmented.log_softmax(dim=1)).sum(dim=1).mean()


class ClusteringRegularizer(Regularizer):
    """Regularised information maximisation: loss R - lambd I(x; c).

    A linear head assigns features to clusters. Their mutual information with the
    samples is maximised, and an augmented view must fall into its sample's cluster.

    Parameters
    ----------
    n_clusters : int, default=None
        Number of clusters; None: as many as classes.
    lambd : float, default=4.0
        Weight of the mutual information.
    weight : float, default=0.1
        Weight of the whole.
    views : "auto", "none" or Views, default="auto"
        Augmentation; see :func:`sknoisy.views.resolve_views`.

    Notes
    -----
    The paper gives neither the number of clusters nor lambd; these are choices: with
    lambd=1 clusters of digits hardly formed. It adds this loss with weight 1, which at
    lambd=4 kept a small network from learning 10,000 images of CIFAR-10 in 15 epochs
    (22% after cross-entropy with it, 42% without). Its
    equation 10 writes H(c) for one sample, which would undo H(c|x); as in the work that
    it builds on, H(c) is of the batch's mean here. It is the entropy itself, which
    differs from -KL to the uniform distribution by a constant. Views are RandAugment
    with a cutout, as those of :class:`RestorationRegularizer`.

    References
    ----------
    Robust Feature Learning Against Noisy Labels, equations 5 to 11. Krause, Perona and
    Gomes, Discriminative Clustering by Regularized Information Maximization, NeurIPS
    2010.

    Examples
    --------
    Two samples, surely in two clusters, share log 2 with them:

    >>> import torch
    >>> from sknoisy.regularizers.clustering import mutual_information
    >>> mutual_information(100 * torch.eye(2))
    tensor(0.6931)
    """

    def __init__(self, n_clusters=None, lambd=4.0, weight=0.1, views="auto"):
        self.n_clusters = n_clusters
        self.lambd = lambd
        self.weight = weight
        self.views = views

    def check(self):  # noqa: D102
        if self.n_clusters is not None:
            check_integer("n_clusters", self.n_clusters, low=2)
        check_real("lambd", self.lambd, "[0, inf)")
        check_real("weight", self.weight, "[0, inf)")

    def build(self, example, n_classes):  # noqa: D102
        width = example.features.shape[1]
        return {"clusters": nn.Linear(width, self.n_clusters or n_classes)}

    def loss(self, heads, original, augmented):  # noqa: D102
        logits, others = (
            heads["clusters"](encoded.features).float()
            for encoded in (original, augmented)
        )
        with full_precision(logits):
            information = mutual_information(logits)
            return self.weight * (
                consistency(logits, others) - self.lambd * information
            )
