"""MoCo: contrastive learning with a queue of negative keys from earlier batches."""

import torch
from torch import nn
from torch.nn import functional as F

from sknoisy.checks import check_choice, check_integer, check_real
from sknoisy.data.devices import full_precision
from sknoisy.encoders.ema import ema_copy, ema_update
from sknoisy.ranks import gathered
from sknoisy.selfsup.base import SelfSupervised, check_widths
from sknoisy.selfsup.momentum import rising_momentum


def info_nce(query, key, negatives, temperature):
    """Return the contrastive loss of queries, their own keys and negative keys.

    Parameters
    ----------
    query, key : tensors of shape (n, d)
        Projections of two views of the same samples, by the trained network and by the
        key network. No gradient flows into `key`.
    negatives : tensor of shape (k, d)
        Keys of other samples, normalised.
    temperature : float
        Divisor of the cosine similarities.

    Returns
    -------
    loss : tensor of shape ()
        Mean over the queries of the cross-entropy of their own key among k + 1 keys.
    """
    with full_precision(query):
        query = F.normalize(query.float(), dim=1)
        key = F.normalize(key.detach().float(), dim=1)
        own = (query * key).sum(dim=1, keepdim=True)
        similarity = torch.cat([own, query @ negatives.mT], dim=1) / temperature
        return F.cross_entropy(similarity, similarity.new_zeros(len(query)).long())


class Queue(nn.Module):
    """First-in, first-out queue of the keys of recent samples.

    Parameters
    ----------
    size : int
        Number of keys.
    n_features : int
        Width of a key.
    generator : torch.Generator
        Source of the initial keys, random unit vectors.
    """

    def __init__(self, size, n_features, generator):
        super().__init__()
        keys = torch.randn(
            size, n_features, generator=generator, dtype=torch.float32, device="cpu"
        )
        self.register_buffer("keys", F.normalize(keys, dim=1))
        self.oldest = 0

    def get_extra_state(self):
        """Return the position of the oldest key, for ``state_dict``."""
        return {"oldest": self.oldest}

    def set_extra_state(self, state):
        """Restore what :meth:`get_extra_state` returned."""
        self.oldest = state["oldest"]

    @torch.no_grad()
    def push(self, keys):
        """Replace the oldest keys.

        Parameters
        ----------
        keys : tensor of shape (n, n_features)
            Keys of a batch. They are normalised here.
        """
        size = len(self.keys)
        keys = F.normalize(keys[-size:].float(), dim=1)
        end = self.oldest + len(keys)
        self.keys[torch.arange(self.oldest, end, device=keys.device) % size] = keys
        self.oldest = (self.oldest + len(keys)) % size


class MoCo(SelfSupervised):
    """Momentum contrast, version 2 with a symmetric loss ("v2+").

    Parameters
    ----------
    temperature : float, default=0.2
        Divisor of the cosine similarities.
    queue_size : int, default=32768
        Number of keys in the queue, but at most two thirds of the number of training
        samples, as with the default on CIFAR. In a longer queue, older keys of a sample
        would be among its own negatives.
    base_momentum : float, default=0.99
        Momentum of the key network, a moving average of the trained network, at the
        beginning of the training.
    final_momentum : float, default=0.999
        Momentum at the end of the training. In between, it rises along half a cosine.
        MoCo v2 takes 0.999 throughout.
    symmetric : bool, default=True
        True: each view is the query once and the key once, as in v2+. False: the first
        view is the query and the second the key, as in v2, which takes half the time.
    hidden_features : int, default=2048
        Width of the hidden layer of the projection head.
    projection_features : int, default=256
        Width of the output of the projection head.
    views : "auto", "none" or Views, default="auto"
        Augmentation; see :func:`sknoisy.views.resolve_views`.

    Notes
    -----
    The defaults are solo-learn's for CIFAR, which uses SGD with learning rate 0.3. As
    in solo-learn, each view has its own queue, and the projection head has no batch
    normalisation. The key network uses the batch statistics of its own view, without
    the shuffling across GPUs of the official code, and has its own running statistics.

    References
    ----------
    He et al., Momentum Contrast for Unsupervised Visual Representation Learning, CVPR
    2020. Chen, Fan, Girshick and He, Improved Baselines with Momentum Contrastive
    Learning, 2020. Symmetric: Chen and He, Exploring Simple Siamese Representation
    Learning, CVPR 2021, appendix.

    Examples
    --------
    The key equals the query, the queue holds its opposite, and the temperature is 1:

    >>> import torch
    >>> from sknoisy.selfsup.moco import info_nce
    >>> x = torch.tensor([[2.0, 0.0]])
    >>> info_nce(x, x, torch.tensor([[-1.0, 0.0]]), temperature=1.0)
    tensor(0.1269)
    """

    def __init__(
        self,
        temperature=0.2,
        queue_size=32768,
        base_momentum=0.99,
        final_momentum=0.999,
        symmetric=True,
        hidden_features=2048,
        projection_features=256,
        views="auto",
    ):
        self.temperature = temperature
        self.queue_size = queue_size
        self.base_momentum = base_momentum
        self.final_momentum = final_momentum
        self.symmetric = symmetric
        self.hidden_features = hidden_features
        self.projection_features = projection_features
        self.views = views

    def check(self):  # noqa: D102
        check_real("temperature", self.temperature, "(0, inf)")
        check_integer("queue_size", self.queue_size)
        check_real("base_momentum", self.base_momentum, "[0, 1]")
        check_real("final_momentum", self.final_momentum, "[0, 1]")
        check_choice("symmetric", self.symmetric, [True, False])
        check_widths(self, "hidden_features", "projection_features")

    def build(self, encoder):  # noqa: D102
        hidden = nn.Linear(encoder.n_features, self.hidden_features)
        out = nn.Linear(self.hidden_features, self.projection_features)
        return {"projector": nn.Sequential(hidden, nn.ReLU(inplace=True), out)}

    def start(self, networks, n_samples, generator):  # noqa: D102
        for name in ("encoder", "projector"):
            networks[f"key_{name}"] = ema_copy(networks[name])
        size = max(1, min(self.queue_size, 2 * n_samples // 3))
        for name in ("first_queue", "second_queue")[not self.symmetric :]:
            networks[name] = Queue(size, self.projection_features, generator)

    def loss(self, networks, first, second):  # noqa: D102
        loss = self._one_way(networks, first, second, networks["second_queue"])
        if not self.symmetric:
            return loss
        other = self._one_way(networks, second, first, networks["first_queue"])
        return (loss + other) / 2

    def _one_way(self, networks, query_view, key_view, queue):
        """Return the loss of one view's queries, and queue the other view's keys."""
        query = gathered(networks["projector"](networks["encoder"](query_view)))
        with torch.no_grad():
            key = networks["key_projector"](networks["key_encoder"](key_view))
            key = gathered(key)
        # The gradient needs the keys as they are before the queue changes.
        loss = info_nce(query, key, queue.keys.clone(), self.temperature)
        queue.push(key)
        return loss

    def after_step(self, networks, progress):  # noqa: D102
        momentum = rising_momentum(progress, self.base_momentum, self.final_momentum)
        for name in ("encoder", "projector"):
            ema_update(networks[f"key_{name}"], networks[name], momentum)
