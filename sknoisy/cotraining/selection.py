"""Two networks that choose samples by their loss: co-teaching, co-teaching+, JoCoR."""

import torch

from sknoisy.cotraining.base import CoTraining, EnsembleClassifier, given_losses
from sknoisy.parameters import check_choice, check_integer, check_real

VARIANTS = ("coteaching", "coteaching+", "jocor")


def small_losses(losses, share, among=None):
    """Return which samples of a batch have the smallest losses.

    Parameters
    ----------
    losses : tensor of shape (n,)
        Loss of each sample.
    share : float
        Share of the samples to choose, in [0, 1]: rounded down, but at least one.
    among : tensor of shape (n,), bool, default=None
        The samples to choose from; by default all.

    Returns
    -------
    chosen : tensor of shape (n,), bool
        None, if there are none to choose from.

    Examples
    --------
    >>> import torch
    >>> from sknoisy.cotraining import small_losses
    >>> small_losses(torch.tensor([0.3, 2.0, 0.1, 0.9]), share=0.5)
    tensor([ True, False,  True, False])
    """
    losses = losses.detach()
    if among is None:
        among = torch.ones_like(losses, dtype=torch.bool)
    # The count stays a tensor, so that a GPU is not waited for.
    count = (share * among.sum()).floor().clamp(min=1)
    rank = losses.masked_fill(~among, torch.inf).argsort().argsort()
    return (rank < count) & among


def exchange_loss(logits, target, share, disagreeing=False):
    """Return the loss of two networks that choose the samples for each other.

    Parameters
    ----------
    logits : tensor of shape (n, 2, n_classes)
        Of both networks.
    target : tensor of shape (n,), int64
        Codes of the given labels.
    share : float
        Share of the samples, those of smallest loss, that a network chooses.
    disagreeing : bool, default=False
        Whether they choose among samples on which their predictions differ: the
        difference of co-teaching+ from co-teaching.

    Returns
    -------
    loss : tensor of shape ()
        Mean cross-entropy of the samples chosen by the other, sum over the networks.
    """
    among = None
    if disagreeing:
        first, second = logits.detach().argmax(dim=2).unbind(dim=1)
        among = first != second
    first, second = given_losses(logits, target).unbind(dim=1)
    by_first, by_second = (small_losses(one, share, among) for one in (first, second))
    return _mean(first, by_second) + _mean(second, by_first)


def joint_loss(logits, target, lam):
    """Return JoCoR's loss: both networks' cross-entropy and their disagreement.

    Parameters
    ----------
    logits : tensor of shape (n, 2, n_classes)
        Of both networks.
    target : tensor of shape (n,), int64
        Codes of the given labels.
    lam : float
        Weight of the disagreement; the cross-entropies have 1 - lam.

    Returns
    -------
    loss : tensor of shape (n,)
        In nats; the disagreement is the divergence of either from the other.
    """
    log_p, log_q = logits.log_softmax(dim=2).unbind(dim=1)
    divergence = ((log_p.exp() - log_q.exp()) * (log_p - log_q)).sum(dim=1)
    return (1 - lam) * given_losses(logits, target).sum(dim=1) + lam * divergence


class Selection(CoTraining):
    """Each network, or both, train on the samples of small loss in a batch.

    Parameters
    ----------
    warmup_epochs : int
        Epochs of cross-entropy on all samples.
    variant : str
        One of ``VARIANTS``.
    forget_rate : float or "auto"
        Share of a batch that is left out in the end.
    ramp_epochs : int
        Epochs after the warm-up in which that share rises.
    lam : float or "auto"
        JoCoR's weight of the networks' disagreement.
    """

    def __init__(self, warmup_epochs, variant, forget_rate, ramp_epochs, lam):
        super().__init__(warmup_epochs)
        self.variant = variant
        self.forget_rate = forget_rate
        self.ramp_epochs = ramp_epochs
        self.lam = lam

    @property
    def remembered(self):
        """Share of a batch that is trained on, in this epoch."""
        rate = self.resolved()["forget_rate"]
        return 1 - rate * min(1.0, (self.epochs_after_warmup + 1) / self.ramp_epochs)

    def resolved(self):  # noqa: D102
        rate, lam = self.forget_rate, self.lam
        if rate == "auto":
            rate = self.rate_to_leave_out
        if lam == "auto":
            lam = 0.65 if self.noise_rate > 0.65 else 0.9
        return {"forget_rate": rate, "lam": lam}

    def loss(self, net, index, batch):  # noqa: D102
        logits = net.module_(net.view(batch)).float()
        target = net.data.codes[index]
        net.observe(logits, target, index)
        if self.variant == "jocor":
            losses = joint_loss(logits, target, self.resolved()["lam"])
            return _mean(losses, small_losses(losses, self.remembered))
        disagreeing = self.variant == "coteaching+"
        return exchange_loss(logits, target, self.remembered, disagreeing)


def _mean(losses, chosen):
    return (losses * chosen).sum() / chosen.sum().clamp(min=1)


class CoTeachingClassifier(EnsembleClassifier):
    """Two networks teach each other the samples of a batch that they find easy.

    Samples of small loss are probably labelled right. In co-teaching each network
    learns from those that the other chooses; in co-teaching+ they choose among the
    samples on which they disagree, so that they stay different; in JoCoR both learn
    from the same ones, which have a small loss of both and on which they agree.

    Parameters
    ----------
    variant : {"coteaching", "coteaching+", "jocor"}, default="coteaching"
        The method.
    forget_rate : float or "auto", default="auto"
        Share of a batch that is left out in the end, in [0, 1). "auto": the noise's
        rate, which is estimated in the warm-up, but at most 0.8. The papers take its
        true value.
    ramp_epochs : int or "auto", default="auto"
        Epochs after the warm-up in which that share rises from 0. "auto": 10, as in
        the papers, or a fifth of fewer than 50 `max_epochs`.
    lam : float or "auto", default="auto"
        JoCoR's weight of the networks' disagreement, in [0, 1]; cross-entropy has the
        rest. "auto": 0.9, or 0.65 if more than 65% of labels are estimated to be
        wrong, which are the paper's values for CIFAR-10; it takes 0.85 for CIFAR-100.
    warmup_epochs : int or "auto", default="auto"
        Epochs of cross-entropy on all samples that come first: of the heads alone and
        before `max_epochs` with a pre-trained encoder, else the first of these. "auto":
        a tenth of `max_epochs`, at least three.
    encoder, weights, head, freeze_encoder, views, max_epochs, batch_size, lr, \
momentum, weight_decay, optimizer, schedule, image_size, channels, device, precision, \
compile, callbacks, verbose, random_state
        As in :class:`~sknoisy.NoisyRobustClassifier`.

    Attributes
    ----------
    classes_ : ndarray of shape (n_classes,)
        The classes, in the dtype of y.
    clean_proba_ : ndarray of shape (n_samples,)
        For each training sample, how probably its label is right: by a mixture of two
        Gaussians of `training_loss_`.
    noise_rate_ : float
        Estimated share of wrong labels, by the networks' votes in the warm-up;
        NaN if the training ends in it.
    forget_rate_, lam_ : float
        What `forget_rate` and `lam` were, where they are "auto".
    label_quality_, training_loss_, loss_state_, history_, n_features_in_
        As in :class:`~sknoisy.NoisyRobustClassifier`, of the networks' mean
        probabilities.

    See Also
    --------
    DivideMixClassifier : Also learns from the samples that are left out.
    sknoisy.scores.estimate_noise_rate : The estimate, by "votes".

    Notes
    -----
    Both networks see the same views of the same batches. They have two networks' cost
    and memory. Probabilities are the mean of both; the papers report each network's
    accuracy.

    Where the official code differs from the paper, this is the paper: that of
    co-teaching divides a mean by the number of samples once more; that of co-teaching+
    takes the cross-entropy of probabilities as if they were logits, and never trains
    on the first sample of the data. From a batch without any disagreement, co-teaching+
    learns nothing.

    The papers train with Adam at 1e-3 for 200 epochs, co-teaching+ after 20 epochs of
    co-teaching on CIFAR-10 (5 on CIFAR-100), for which the warm-up stands here.

    References
    ----------
    Han et al., Co-teaching: Robust Training of Deep Neural Networks with Extremely
    Noisy Labels, NeurIPS 2018. Yu et al., How does Disagreement Help Generalization
    against Label Corruption?, ICML 2019. Wei et al., Combating Noisy Labels by
    Agreement: A Joint Training Method with Co-Regularization, CVPR 2020.

    Examples
    --------
    >>> from sklearn.datasets import load_iris
    >>> from sknoisy import CoTeachingClassifier
    >>> X, y = load_iris(return_X_y=True)
    >>> clf = CoTeachingClassifier(max_epochs=30, random_state=0).fit(X, y)
    >>> clf.score(X, y) > 0.9
    True
    """

    def __init__(
        self,
        variant="coteaching",
        forget_rate="auto",
        ramp_epochs="auto",
        lam="auto",
        encoder="auto",
        weights=None,
        head="linear",
        freeze_encoder=False,
        views="auto",
        max_epochs=100,
        warmup_epochs="auto",
        batch_size="auto",
        lr=0.02,
        momentum=0.9,
        weight_decay=1e-3,
        optimizer="sgd",
        schedule="cosine",
        image_size=None,
        channels="auto",
        device="auto",
        precision="auto",
        compile=False,
        callbacks=None,
        verbose=None,
        random_state=None,
    ):
        self.variant = variant
        self.forget_rate = forget_rate
        self.ramp_epochs = ramp_epochs
        self.lam = lam
        self.encoder = encoder
        self.weights = weights
        self.head = head
        self.freeze_encoder = freeze_encoder
        self.views = views
        self.max_epochs = max_epochs
        self.warmup_epochs = warmup_epochs
        self.batch_size = batch_size
        self.lr = lr
        self.momentum = momentum
        self.weight_decay = weight_decay
        self.optimizer = optimizer
        self.schedule = schedule
        self.image_size = image_size
        self.channels = channels
        self.device = device
        self.precision = precision
        self.compile = compile
        self.callbacks = callbacks
        self.verbose = verbose
        self.random_state = random_state

    def _check_parameters(self):
        super()._check_parameters()
        check_choice("variant", self.variant, VARIANTS)
        check_real("forget_rate", self.forget_rate, "[0, 1)", other="auto")
        check_integer("ramp_epochs", self.ramp_epochs, other="auto")
        check_real("lam", self.lam, "[0, 1]", other="auto")

    def _make_method(self, warmup_epochs):
        ramp = self.ramp_epochs
        if ramp == "auto":
            ramp = max(1, min(10, self.max_epochs // 5))
        return Selection(warmup_epochs, self.variant, self.forget_rate, ramp, self.lam)
