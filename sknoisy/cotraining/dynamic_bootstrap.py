"""Dynamic bootstrapping: labels give way to predictions, as their losses say."""

import torch
from torch.nn.functional import one_hot

from sknoisy.cotraining.base import CoTraining, EnsembleClassifier
from sknoisy.cotraining.mixing import mixup, refine, uniform_penalty
from sknoisy.parameters import check_choice, check_real
from sknoisy.scores import bmm_clean_probability, gmm_clean_probability

MIXTURES = {"bmm": bmm_clean_probability, "gmm": gmm_clean_probability}
BEGIN = 0.35  # share of the training before labels are corrected: 105 of 300 epochs


class DynamicBootstrap(CoTraining):
    """Trains by mixup on labels that are corrected by how probably they are right.

    Parameters
    ----------
    warmup_epochs : int
        Epochs of mixup on the given labels.
    bootstrap, mixture, alpha, penalty
        As in :class:`DynamicBootstrapClassifier`.
    """

    def __init__(self, warmup_epochs, bootstrap, mixture, alpha, penalty):
        super().__init__(warmup_epochs)
        self.bootstrap = bootstrap
        self.mixture = mixture
        self.alpha = alpha
        self.penalty = penalty

    def start(self, n_samples, n_classes, device):  # noqa: D102
        super().start(n_samples, n_classes, device)
        self.state_["clean_proba"] = torch.ones(n_samples, device=device)

    def before_epoch(self, net):  # noqa: D102
        self.draw(net)
        if self.is_warmup:
            return
        losses = net.losses()[:, 0]
        if len(losses) >= 4:  # no mixture can be fitted to fewer
            clean = torch.from_numpy(MIXTURES[self.mixture](losses)).float()
            self.state_["clean_proba"].copy_(clean)

    def batch_loss(self, net, index, batch):  # noqa: D102
        view = net.view(batch)
        target = net.data.codes[index]
        labels = one_hot(target, self.n_classes).float()
        network = net.module_.networks[0]
        if not self.is_warmup:
            with torch.no_grad():
                probs = network(view).float().softmax(dim=1)
            if self.bootstrap == "hard":
                probs = one_hot(probs.argmax(dim=1), self.n_classes).float()
            labels = refine(probs, target, self.state_["clean_proba"][index])
        lam = self.rng.beta(self.alpha, self.alpha) if self.alpha else 1.0
        order = net.permutation(len(view))
        mixed, labels = mixup(view, labels, lam, order)
        logits = network(mixed).float()
        loss = -(labels * logits.log_softmax(dim=1)).sum(dim=1).mean()
        if self.is_warmup:
            return loss
        return loss + self.penalty * uniform_penalty(logits)

    def estimated_rate(self, clean_probability):  # noqa: D102
        return float(1 - clean_probability.mean())

    def clean_probability(self, dynamics):  # noqa: D102
        return self.state_["clean_proba"].cpu().double().numpy()


class DynamicBootstrapClassifier(EnsembleClassifier):
    """Train by mixup on labels that give way to predictions where losses are large.

    Before each epoch, a mixture of two distributions of the losses says how probably
    each label is right. A sample's target is its label with this weight, and the
    network's prediction with the rest. It trains a single network.

    Parameters
    ----------
    bootstrap : {"hard", "soft"}, default="hard"
        Whether the prediction is the most probable class, or the probabilities.
    mixture : {"bmm", "gmm"}, default="bmm"
        Two beta distributions, or two Gaussians: see
        :func:`sknoisy.scores.bmm_clean_probability` and
        :func:`sknoisy.scores.gmm_clean_probability`.
    alpha : float, default=32.0
        Of the beta distribution of mixup's weight; 0 is without mixup.
    penalty : float, default=1.0
        Weight of the divergence of a batch's mean prediction from uniform, after the
        warm-up.
    warmup_epochs : int or "auto", default="auto"
        Epochs of mixup on the given labels that come first: of the head alone and
        before `max_epochs` with a pre-trained encoder, else the first of these. "auto":
        a tenth of `max_epochs`, at least three, of the head; else 35% of `max_epochs`,
        as the authors' 105 of 300.
    encoder, weights, head, freeze_encoder, views, max_epochs, batch_size, lr, \
momentum, weight_decay, optimizer, schedule, image_size, channels, device, precision, \
compile, callbacks, verbose, random_state
        As in :class:`~sknoisy.NoisyRobustClassifier`; `compile` is of no use.

    Attributes
    ----------
    classes_ : ndarray of shape (n_classes,)
        The classes, in the dtype of y.
    clean_proba_ : ndarray of shape (n_samples,)
        For each training sample, how probably its label is right: by the mixture before
        the last epoch; 1 for all if there was no epoch after the warm-up.
    noise_rate_ : float
        Estimated share of wrong labels: 1 minus the mean of `clean_proba_`.
    label_quality_, training_loss_, loss_state_, history_, n_features_in_
        As in :class:`~sknoisy.NoisyRobustClassifier`, of predictions before each epoch
        after the warm-up.

    See Also
    --------
    DivideMixClassifier : Two networks, and samples without a label.
    sknoisy.HardBootstrap, sknoisy.SoftBootstrap : With a fixed weight of the label.

    Notes
    -----
    This is the paper's M-correction. Its weight decay is 1e-4 and its learning rate
    0.1, which falls to a tenth after 100 and after 250 of 300 epochs. How probably a
    label is right is asked once an epoch, of samples as they are, where the authors'
    code asks for each batch, of its augmented views.

    References
    ----------
    Arazo et al., Unsupervised Label Noise Modeling and Loss Correction, ICML 2019.

    Examples
    --------
    >>> from sklearn.datasets import load_digits
    >>> from sknoisy import DynamicBootstrapClassifier
    >>> X, y = load_digits(return_X_y=True)
    >>> clf = DynamicBootstrapClassifier(max_epochs=20, random_state=0).fit(X, y)
    >>> clf.score(X, y) > 0.9
    True
    """

    _n_networks = 1

    def __init__(
        self,
        bootstrap="hard",
        mixture="bmm",
        alpha=32.0,
        penalty=1.0,
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
        weight_decay=5e-4,
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
        self.bootstrap = bootstrap
        self.mixture = mixture
        self.alpha = alpha
        self.penalty = penalty
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
        check_choice("bootstrap", self.bootstrap, ["hard", "soft"])
        check_choice("mixture", self.mixture, list(MIXTURES))
        check_real("alpha", self.alpha, "[0, inf)")
        check_real("penalty", self.penalty, "[0, inf)")

    def _warmup(self, of_heads):
        if self.warmup_epochs == "auto" and not of_heads:
            return max(1, round(BEGIN * self.max_epochs))
        return super()._warmup(of_heads)

    def _make_method(self, warmup_epochs):
        return DynamicBootstrap(
            warmup_epochs, self.bootstrap, self.mixture, self.alpha, self.penalty
        )
