"""SupCon: samples with the same label attract each other."""

import torch
from torch.nn import functional as F

from sknoisy.checks import check_choice, check_real
from sknoisy.data.devices import full_precision
from sknoisy.ranks import gathered
from sknoisy.selfsup.base import (
    SelfSupervised,
    check_widths,
    projector,
)

FORMS = ["mean_of_log", "log_of_mean"]
WEIGHTINGS = ["anchor", "positive"]


def pair_weights(target, weight, weighting="anchor"):
    """Return how strongly each view (row) is attracted by each other view (column).

    Parameters
    ----------
    target : tensor of shape (n,), int64
        Labels.
    weight : tensor of shape (n,), float32
        Probability that each label is right.
    weighting : {"anchor", "positive"}, default="anchor"
        Whether the weight of a pair is that of its row or of its column.

    Returns
    -------
    pairs : tensor of shape (2n, 2n), float32
        1 for the two views of a sample, the weight for views of different samples with
        the same label, and 0 otherwise, also for a view and itself.
    """
    n = len(target)
    target, weight = target.repeat(2), weight.repeat(2)
    weight = weight[:, None] if weighting == "anchor" else weight
    pairs = (target[:, None] == target) * weight
    views = torch.arange(2 * n, device=target.device)
    pairs[views, views.roll(n)] = 1.0
    return pairs.fill_diagonal_(0.0)


def supervised_contrastive(
    first, second, target, weight, temperature, form="mean_of_log", weighting="anchor"
):
    """Return the weighted supervised contrastive loss of a batch.

    Parameters
    ----------
    first, second : tensors of shape (n, d)
        Projections of two views of the same samples.
    target : tensor of shape (n,), int64
        Labels.
    weight : tensor of shape (n,), float32
        Probability that each label is right, in [0, 1].
    temperature : float
        Divisor of the cosine similarities.
    form : {"mean_of_log", "log_of_mean"}, default="mean_of_log"
        Whether the mean over the positives is outside or inside the logarithm.
    weighting : {"anchor", "positive"}, default="anchor"
        See :func:`pair_weights`.

    Returns
    -------
    loss : tensor of shape ()
        Mean over the 2n views.
    """
    with full_precision(first):
        z = F.normalize(torch.cat([first, second]).float(), dim=1)
        similarity = (z @ z.mT / temperature).fill_diagonal_(-torch.inf)
        log_p = similarity.log_softmax(dim=1)
        pairs = pair_weights(target, weight, weighting)
        total = pairs.sum(dim=1)  # at least 1, for the sample's other view
        if form == "log_of_mean":
            return (total.log() - (pairs.log() + log_p).logsumexp(dim=1)).mean()
        log_p = log_p.masked_fill(pairs == 0, 0.0)  # 0 times -inf is not 0
        return -((pairs * log_p).sum(dim=1) / total).mean()


class SupCon(SelfSupervised):
    """Supervised contrastive learning, with optional weights of the labels.

    This method needs y: ``fit(X, y)``. With ``fit(X, y, sample_weight=w)``, w in [0, 1]
    is the probability that each label is right. With weight 0, a sample is attracted by
    its own other view only, as in SimCLR; with weight 1, by all samples with the same
    label.

    Parameters
    ----------
    temperature : float, default=0.1
        Divisor of the cosine similarities.
    form : {"mean_of_log", "log_of_mean"}, default="mean_of_log"
        Whether the mean over the positives is outside the logarithm, as published
        ("L_out"), or inside it, as printed by Ciortan et al. ("L_in").
    weighting : {"anchor", "positive"}, default="anchor"
        Which sample's weight a pair with the same label has: that of the anchor, w_i in
        equation 8 of Ciortan et al., or that of the positive, w_p in their text.
    hidden_features : int, default=512
        Width of the hidden layer of the projection head.
    projection_features : int, default=128
        Width of the output of the projection head.
    views : "auto", "none" or Views, default="auto"
        Augmentation; see :func:`sknoisy.views.resolve_views`.

    Notes
    -----
    The weights of the positives are divided by their sum, not by their number as in
    equation 8, because only then is the loss that of SimCLR if all weights are 0. With
    "log_of_mean" the difference is a constant, which has no gradient.

    The temperature is the authors' for CIFAR. Their code also multiplies the loss by
    temperature / 0.07, which acts on the learning rate only.

    References
    ----------
    Khosla et al., Supervised Contrastive Learning, NeurIPS 2020. Weighted: Ciortan,
    Dupuis and Peel, A Framework using Contrastive Learning for Classification with
    Noisy Labels, 2021, equations 7 and 8.

    Examples
    --------
    >>> from sklearn.datasets import load_iris
    >>> from sknoisy import SSLPretrainer
    >>> X, y = load_iris(return_X_y=True)
    >>> ssl = SSLPretrainer("supcon", max_epochs=2, random_state=0)
    >>> ssl.fit_transform(X, y).shape
    (150, 256)
    """

    uses_labels = True

    def __init__(
        self,
        temperature=0.1,
        form="mean_of_log",
        weighting="anchor",
        hidden_features=512,
        projection_features=128,
        views="auto",
    ):
        self.temperature = temperature
        self.form = form
        self.weighting = weighting
        self.hidden_features = hidden_features
        self.projection_features = projection_features
        self.views = views

    def check(self):  # noqa: D102
        check_real("temperature", self.temperature, "(0, inf)")
        check_choice("form", self.form, FORMS)
        check_choice("weighting", self.weighting, WEIGHTINGS)
        check_widths(self, "hidden_features", "projection_features")

    def build(self, encoder):  # noqa: D102
        widths = self.hidden_features, self.projection_features
        return {"projector": projector(encoder.n_features, *widths)}

    def loss(self, networks, first, second, target, weight):  # noqa: D102
        features = networks["encoder"](torch.cat([first, second]))
        projections = map(gathered, networks["projector"](features).chunk(2))
        return supervised_contrastive(
            *projections, target, weight, self.temperature, self.form, self.weighting
        )
