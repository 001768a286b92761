"""SupCon: samples of one label attract each other, as far as labels are trusted."""

import torch
from torch.nn import functional as F

from sknoisy.data.devices import full_precision
from sknoisy.parameters import check_choice, check_real
from sknoisy.selfsup.base import (
    SelfSupervised,
    check_widths,
    projector,
)

FORMS = ["mean_of_log", "log_of_mean"]
WEIGHTINGS = ["anchor", "positive"]


def pair_weights(target, weight, weighting="anchor"):
    """Return how strongly each view (row) is attracted by each other one (column).

    Parameters
    ----------
    target : tensor of shape (n,), int64
        Labels.
    weight : tensor of shape (n,), float32
        Probability that each label is right.
    weighting : {"anchor", "positive"}, default="anchor"
        Whose weight counts.

    Returns
    -------
    pairs : tensor of shape (2n, 2n), float32
        1 for the two views of a sample, the weight for views of samples with the same
        label, 0 for all others and for a view and itself.
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
        What cosine similarities are divided by.
    form : {"mean_of_log", "log_of_mean"}, default="mean_of_log"
        Whether the mean over the positives is taken of the logarithms or inside one.
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
        total = pairs.sum(dim=1)  # at least 1, the sample's other view
        if form == "log_of_mean":
            return (total.log() - (pairs.log() + log_p).logsumexp(dim=1)).mean()
        log_p = log_p.masked_fill(pairs == 0, 0.0)  # 0 times -inf is not 0
        return -((pairs * log_p).sum(dim=1) / total).mean()


class SupCon(SelfSupervised):
    """Supervised contrastive learning, with or without weights of the labels.

    Needs ``fit(X, y)``. ``fit(X, y, sample_weight=w)`` trusts each label as far as w
    says, in [0, 1]: with 0 a sample is attracted by its own other view only, as in
    SimCLR, with 1 by all that have its label.

    Parameters
    ----------
    temperature : float, default=0.1
        Divides the cosine similarities.
    form : {"mean_of_log", "log_of_mean"}, default="mean_of_log"
        The mean over a view's positives: of the logarithms, as published ("L_out"), or
        inside the logarithm, as Ciortan et al. print it ("L_in").
    weighting : {"anchor", "positive"}, default="anchor"
        Whose weight a pair of the same label has: the anchor's, w_i in equation 8 of
        Ciortan et al., or the other's, w_p, which their text speaks of.
    hidden_features : int, default=512
        Width of the projection head's hidden layer.
    projection_features : int, default=128
        Width of its output.
    views : "auto", "none" or Views, default="auto"
        Random views; see :func:`sknoisy.views.resolve_views`.

    Notes
    -----
    Weights of a view's positives are divided by their sum, not by their number as in
    equation 8: only then the loss is SimCLR's if all weights are 0. In the form
    "log_of_mean" this adds a constant and changes no gradient. The temperature is the
    authors' for CIFAR; their code also multiplies the loss by temperature / 0.07,
    which is left to the learning rate here.

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
        projections = networks["projector"](features).chunk(2)
        return supervised_contrastive(
            *projections, target, weight, self.temperature, self.form, self.weighting
        )
