"""What a co-training method is: networks that choose and correct their samples."""

import math

import numpy as np
import torch
from scipy.special import softmax

from sknoisy.checks import check_integer
from sknoisy.cotraining.ensembles import given_losses, held_out, own_half_loss
from sknoisy.data.batches import Batches
from sknoisy.losses.expected import weighted_mean
from sknoisy.losses.learner import Learner
from sknoisy.scores import gmm_clean_probability, noise_concentration
from sknoisy.scores.posterior import rate_of_votes, surest_votes

FEW, MANY = 0.05, 0.2  # share of samples that vote on the noise's rate, on its kind
CONCENTRATED = 0.22  # noise above this counts as asymmetric
MOST = 0.8  # share of labels that are left out at most: the highest noise of the papers
LOOK = 5  # epochs after which the noise is estimated, or all of a shorter warm-up


class CoTraining(Learner):
    """Base class of co-training methods: how an ensemble of networks is trained.

    A subclass defines ``loss``, and overrides other methods if it does more. No
    registration is needed: pass an instance as ``method`` of a
    :class:`~sknoisy.CoTrainingClassifier`.

    A training begins with a warm-up, cross-entropy on the given labels. In its first
    epochs each network trains on one half of the samples, so that the noise can be
    estimated from its predictions for the other half, which it has not memorised.
    Without a warm-up there is no estimate.

    Methods get the net that is trained, a
    :class:`~sknoisy.training.cotraining.CoTrainingNet`, as an argument. The attributes
    from `n_networks` to `lasting` are class attributes.

    Parameters
    ----------
    warmup_epochs : int or "auto", default="auto"
        Epochs of cross-entropy that come first; see :meth:`plan`.

    Attributes
    ----------
    n_networks : int
        Number of networks that the method trains.
    heads : tuple of str or None
        Head of each network; None, the default: the classifier's `head`.
    vector_encoder : str or None
        Encoder that the classifier's ``encoder="auto"`` means for vectors; None, the
        default: the same as for other methods.
    soft_labels : bool
        Whether ``net.targets`` may return soft labels.
    unlabelled : bool
        Whether samples without a label are part of the training, with weight 0, or are
        left out.
    estimates_noise : bool
        Whether the noise is estimated in the warm-up.
    predicting : tuple of int or None
        Networks whose mean probability is the prediction; None, the default: all.
    lasting : tuple of str
        Keys of ``state_`` that stay valid when the training set changes.
    state_ : dict of str to tensor
        State that is kept between batches. ``"noise"`` holds the estimated rate and
        concentration of the noise, NaN before the estimate; ``"half"`` the half to
        which each sample belongs, all 0 before the halves are drawn. A method that
        knows how probably each label is right stores this as ``"clean_proba"``, of
        shape (n_samples,) or (n_samples, n_networks), NaN before it is known.
    warmup_epochs_ : int
        Number of epochs of the warm-up.
    epoch, n_epochs : int
        Number of completed and of planned epochs.
    noise_rate, noise_concentration : float
        The estimates in ``state_["noise"]``.
    rng : numpy.random.Generator
        Source of random numbers, seeded anew in each epoch.

    Examples
    --------
    Each network learns only where the other one agrees with the label:

    >>> from sknoisy.cotraining import CoTraining, given_losses
    >>> class Agreement(CoTraining):
    ...     def loss(self, net, index, batch):
    ...         logits = net.observed_logits(index, batch)
    ...         target = net.targets(index)
    ...         agrees = logits.argmax(dim=2).flip(1) == target[:, None]
    ...         losses = given_losses(logits, target) * agrees
    ...         return losses.sum() / agrees.sum().clamp(min=1)
    >>> from sklearn.datasets import load_iris
    >>> from sknoisy import CoTrainingClassifier
    >>> X, y = load_iris(return_X_y=True)
    >>> clf = CoTrainingClassifier(Agreement(), max_epochs=20, random_state=0)
    >>> clf.fit(X, y).score(X, y) > 0.9
    True
    """

    n_networks = 2
    warmup_epochs = "auto"  # of a subclass whose __init__ does not take it
    estimates_noise = True
    lasting = ("noise",)  # networks that memorised some samples cannot judge others
    transient = ("rng",)
    head_epochs_ = None  # of a plan of its own, which need not call this class's

    def __init__(self, warmup_epochs="auto"):
        self.warmup_epochs = warmup_epochs

    def check(self):
        """Raise ``ValueError`` if a hyper-parameter is out of its range."""
        check_integer("warmup_epochs", self.warmup_epochs, low=0, other="auto")

    def check_estimated(self, name):
        """Raise ``ValueError`` if a parameter is "auto", but no noise is estimated."""
        if self.warmup_epochs == 0 and getattr(self, name) == "auto":
            raise ValueError(
                f"{name}='auto' is not valid with warmup_epochs=0: it is estimated in "
                "the warm-up. Set it, or pass one epoch or more."
            )

    def plan(self, n_epochs, head_epochs):
        """Resolve what depends on the length of the training.

        Called before the training, and again in the warm-up if the time does not
        suffice for all epochs.

        Parameters
        ----------
        n_epochs : int
            Number of epochs in which the whole networks are trained.
        head_epochs : int
            Number of epochs before these, in which only their heads are trained. If
            there are any, they are the warm-up that "auto" means; else it is a tenth of
            `n_epochs`, but at least three epochs.
        """
        self.head_epochs_, self.n_epochs = head_epochs, head_epochs + n_epochs
        self.warmup_epochs_ = self.warmup_epochs
        if self.warmup_epochs == "auto":
            self.warmup_epochs_ = head_epochs or max(min(3, n_epochs), n_epochs // 10)

    def defaults(self, n_samples):
        """Return the values that the classifier's parameters have if they are "auto".

        Parameters
        ----------
        n_samples : int
            Size of the training set.

        Returns
        -------
        defaults : dict of str to object
            "max_epochs", "batch_size", "lr", "weight_decay" and "optimizer".
        """
        return {
            "max_epochs": 100,
            "batch_size": min(128, n_samples),
            "lr": 0.02,
            "weight_decay": 5e-4,
            "optimizer": "sgd",
        }

    def start(self, n_samples, n_classes, device):
        """Create ``state_``; called when a training begins, or its samples change.

        Parameters
        ----------
        n_samples, n_classes : int
            Number of training samples and of classes.
        device : torch.device
            Device of the logits.
        """
        self.n_classes = n_classes
        self.noise_rate = self.noise_concentration = math.nan
        half = torch.zeros(n_samples, dtype=torch.int64, device=device)
        self.state_ = {"noise": unknown((2,), device), "half": half}

    def check_started(self):  # noqa: D102
        estimates = self.estimates_noise and self.warmup_epochs_ > 0
        if estimates and not {"noise", "half"} <= self.state_.keys():
            name = type(self).__name__
            raise ValueError(
                f'{name}.start left out state_["noise"] or state_["half"]: it must '
                "call super().start(n_samples, n_classes, device) first, and add to "
                "state_."
            )

    def on_epoch(self, epoch, n_epochs):
        """Prepare for an epoch; called at its beginning, before ``before_epoch``.

        In the warm-up, this calls ``plan`` again if fewer epochs fit into a limited
        time.
        """
        self.epoch, head_epochs = epoch, self.head_epochs_
        if head_epochs is not None and n_epochs != self.n_epochs and self.is_warmup:
            self.plan(n_epochs - head_epochs, head_epochs)
            # What begins after the warm-up begins now, and not midway.
            self.warmup_epochs_ = max(self.warmup_epochs_, epoch)
        self.n_epochs = n_epochs

    @property
    def is_warmup(self):
        """Whether this epoch trains with cross-entropy."""
        return self.epoch < self.warmup_epochs_

    @property
    def epochs_after_warmup(self):
        """Number of epochs done since the warm-up."""
        return self.epoch - self.warmup_epochs_

    @property
    def rate_to_leave_out(self):
        """Share of labels that a selection by loss leaves out, if it is not set.

        The estimated noise rate, or 0 before there is an estimate; at most 0.8, because
        networks that find more labels wrong know too little to choose.
        """
        return 0.0 if math.isnan(self.noise_rate) else min(self.noise_rate, MOST)

    def draw(self, net):
        """Seed ``rng``, the random numbers of an epoch that are not PyTorch's."""
        seed = torch.randint(2**62, (), generator=net.generator, device="cpu").item()
        self.rng = np.random.default_rng(seed)

    def before_epoch(self, net):
        """Prepare for an epoch: by default, estimate the noise when that is due."""
        self.draw(net)
        self.in_halves = False
        if self.estimates_noise and self.warmup_epochs_ > 0:
            self._judge_noise(net)

    def _judge_noise(self, net):
        """Let each network train on its half; estimate the noise when that is done."""
        half = self.state_["half"]
        if not half.any().item():
            half.copy_(net.permutation(len(half)) % 2)
        unknown = self.state_["noise"].isnan().any().item()
        if unknown and self.epoch >= min(LOOK, self.warmup_epochs_):
            self.state_["noise"].copy_(
                self.state_["noise"].new_tensor(self._estimate(net))
            )
            unknown = False
        self.in_halves = unknown and self.is_warmup
        # Read back here, once, not in every step.
        self.noise_rate, self.noise_concentration = self.state_["noise"].tolist()

    def _estimate(self, net):
        """Return the rate and the concentration of the noise, by out-of-half votes."""
        half = self.state_["half"].cpu().numpy()
        logits, rows = held_out(net.predict_logits(), half)
        codes, trusted = net.data_.codes.cpu().numpy(), net.data_.labels.trusted
        rows = rows & (codes >= 0)
        if trusted is not None and not trusted.all().item():
            rows &= ~trusted.cpu().numpy()
        codes, pred_probs = codes[rows], softmax(logits[rows], axis=1)
        votes = surest_votes(codes, pred_probs, FEW)
        rate, _ = rate_of_votes(votes, pred_probs.argmax(axis=1))
        return rate, noise_concentration(surest_votes(codes, pred_probs, MANY))

    def batches(self, net, store):
        """Return the batches of an epoch; called after ``before_epoch``.

        Parameters
        ----------
        net : CoTrainingNet
            Net that is trained.
        store : ArrayStore, PathStore or Subset
            The samples.

        Returns
        -------
        batches : iterable of tuple
            Positions of the samples, the samples, and further arguments of ``loss``, if
            any. The iterable also has ``len``, ``store`` and ``n_samples``.
        """
        return Batches(store, net.batch_size, net.generator, net.device)

    def batch_loss(self, net, index, batch, *others):
        """Return the loss of a batch, the sum over the networks."""
        if not self.is_warmup:
            return self.loss(net, index, batch, *others)
        logits = net.logits(batch)
        target, weights = net.targets(index), net.weights(index)
        losses = self.warmup_losses(logits, target)
        if not self.in_halves:
            net.observe(logits, target, index)
            return weighted_mean(losses.sum(dim=1), weights)
        half = self.state_["half"][index]
        logits, _ = held_out(logits, half)
        net.observe(logits[:, None], target, index)
        return own_half_loss(losses, half, weights)

    def warmup_losses(self, logits, target):
        """Return the losses of a batch in the warm-up.

        Parameters
        ----------
        logits : tensor of shape (n, n_networks, n_classes), float32
            Logits of all networks.
        target : tensor of shape (n,), int64, or (n, n_classes)
            Codes of the given labels, or soft labels.

        Returns
        -------
        losses : tensor of shape (n, n_networks)
            Losses of each network.
        """
        return given_losses(logits, target)

    def loss(self, net, index, batch):
        """Return the loss of a batch after the warm-up.

        Parameters
        ----------
        net : CoTrainingNet
            Net that is trained.
        index : tensor of shape (n,), int64
            Positions of the samples in the training set.
        batch : tensor of shape (n, ...), float32
            The samples, without views; in distributed training, this process's part of
            them. ``net.view(batch)`` and ``net.observed_logits(index, batch)`` return
            the results for all samples.

        Returns
        -------
        loss : tensor of shape ()
            The sum over the networks.
        """
        raise NotImplementedError(f"{type(self).__name__} must define loss.")

    def after_step(self, net, progress):
        """Do nothing; called after each step with the share of all steps done."""

    def resolved(self):
        """Return the values of the parameters that may be "auto", by name."""
        return {}

    def estimated_rate(self, clean_probability):
        """Return the estimated share of wrong labels, a float."""
        if self.estimates_noise and self.warmup_epochs_ > 0:
            return float(self.state_["noise"][0])
        return float(1 - clean_probability.mean())

    def clean_probability(self, dynamics, labelled):
        """Return how probably each label is right.

        Parameters
        ----------
        dynamics : Dynamics
            What the training recorded for each sample.
        labelled : ndarray of shape (n_samples,), bool
            Which samples have a label.

        Returns
        -------
        clean : ndarray of shape (n_samples,), float64
            In [0, 1]; NaN where nothing is known. Values of samples without a label
            have no meaning.
        """
        clean = self.state_.get("clean_proba")
        if clean is not None:
            clean = clean.cpu().double().numpy()
            clean = clean if clean.ndim == 1 else clean.mean(axis=1)
            if not np.isnan(clean[labelled]).any():
                return clean
        # The others have losses, too, but of labels that nobody gave.
        clean = np.full(len(labelled), np.nan)
        known = labelled & dynamics.seen
        if known.any():
            clean[known] = gmm_clean_probability(dynamics.mean_loss[known])
        return clean


def unknown(shape, device):
    """Return a tensor of NaN, float32, for what is not known yet."""
    return torch.full(shape, torch.nan, dtype=torch.float32, device=device)


def check_networks(method):
    """Raise ``ValueError`` unless what a class says of its networks fits together."""
    name, n = type(method).__name__, method.n_networks
    check_integer(f"{name}.n_networks", n)
    if method.heads is not None and len(method.heads) != n:
        raise ValueError(
            f"{name}.heads={method.heads!r} is not valid: it must have one head for "
            f"each of the n_networks={n} networks."
        )
    predicting = range(n) if method.predicting is None else method.predicting
    if len(predicting) == 0 or not set(predicting) <= set(range(n)):
        raise ValueError(
            f"{name}.predicting={predicting!r} is not valid: it must hold positions "
            f"of networks, and n_networks={n}."
        )
