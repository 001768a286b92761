"""Label posteriors by a kernel machine, from which a small network learns."""

import math

import numpy as np
import torch
from torch import nn
from torch.nn.functional import one_hot

from sknoisy.cotraining.base import CoTraining
from sknoisy.cotraining.kernel_ridge import KernelRidge
from sknoisy.cotraining.mixing import mixup
from sknoisy.encoders.architecture import trains_encoder
from sknoisy.encoders.heads import UNLIMITED, PiecewiseMLP, Rescale, simplex
from sknoisy.encoders.inference import forward_all
from sknoisy.encoders.initialization import build
from sknoisy.parameters import check_integer, check_real
from sknoisy.ranks import gathered, in_parts

# Whether each column has a scale of its own, and the kernel's power and width.
# Laplacian kernels, of power 1, are rough and follow the axes, as trees do.
CANDIDATES = [
    (False, 2, 1.0),
    (False, 2, 0.25),
    (True, 2, 1.0),
    (True, 2, 0.25),
    (True, 1, 0.5),
    (True, 1, 1.5),
]
TRIAL_ROWS, TRIAL_LANDMARKS = 4000, 500  # what the candidates are compared on
STEPS = 800  # of the network, by default
CLIP = 10.0  # deviations that a column is clipped to, where columns have own scales
SHARPEST = 0.02  # factor that posteriors are stretched by, at most 1 over this
QUANTILE_ROWS = 10_000  # samples that bins are made from


def posterior(probs, transition_matrix, codes):
    """Return the probability of each true class, given a sample and its label.

    Parameters
    ----------
    probs : tensor of shape (n, n_classes)
        Probability of each true class, given the sample.
    transition_matrix : tensor of shape (n_classes, n_classes)
        Probability of each label (column), given the true class (row).
    codes : tensor of shape (n,), int64
        Codes of the labels.

    Returns
    -------
    posterior : tensor of shape (n, n_classes)
        Rows sum to 1.

    Examples
    --------
    >>> import torch
    >>> from sknoisy.cotraining import posterior
    >>> T = torch.tensor([[0.6, 0.4], [0.0, 1.0]])
    >>> posterior(torch.tensor([[0.5, 0.5]]), T, torch.tensor([1]))
    tensor([[0.2857, 0.7143]])
    """
    joint = probs * transition_matrix[:, codes].T
    return joint / joint.sum(dim=1, keepdim=True)


def sharpened(probs):
    """Stretch probabilities away from uniform, until the median sample is sure.

    Regression on labels of which most are wrong gives probabilities near uniform; which
    class is the largest is kept.

    Parameters
    ----------
    probs : tensor of shape (n, n_classes)
        Regressed probabilities, which need not be positive.
    """
    even = 1 / probs.shape[1]
    sure = (probs.amax(dim=1).median() - even) / (1 - even)
    return even + (probs - even) / sure.clamp(SHARPEST, 1)


class KernelPosterior(CoTraining):
    """A kernel machine corrects the labels that a small network learns, on vectors.

    Kernel ridge regression of the given labels predicts each sample by the others. The
    predictions, and how they are confused with the labels, give the posterior of each
    sample's true class, to which the regression is fitted again, a few times: the
    expectation maximisation of a classifier under label noise. A network of one hidden
    layer learns the posteriors, by mixup. The prediction is the mean of the kernel
    machine's and the network's probabilities.

    It is what :class:`~sknoisy.NoisyRobustClassifier` does by default with embeddings
    and tables; it needs neither the noise rate nor clean labels.

    Parameters
    ----------
    n_landmarks : int, default=1000
        Samples that the kernel compares others with; fewer where their number times
        that of samples is above 2^28.
    n_rounds : int, default=4
        How often the posteriors are computed anew.
    alpha : float, default=4.0
        Parameter of the beta distribution that mixup's weight is drawn from.
    warmup_epochs : int, default=0
        It has no warm-up.

    Notes
    -----
    Whether columns are scaled each by its own deviation, as tables need it, or all by
    one number, as the components of embeddings do, is chosen with the kernel, by the
    leave-one-out error on the given labels, and so is the penalty: labels that are
    wrong at random raise the error of all candidates alike. Where columns have
    scales of their own, the network also gets each column's position between its 16
    quantiles.

    The confusion is that of leave-one-out predictions with labels, so what the
    classifier confuses itself counts as noise, too. It stays the same over the rounds.

    ``training_loss_`` and ``label_quality_`` of the classifier are of the leave-one-out
    predictions, which is what detection of wrong labels wants; ``clean_proba_`` is the
    posterior of the given label, and ``loss_state_["posterior"]`` that of all classes.

    References
    ----------
    Bootkrajang and Kaban, Label-Noise Robust Logistic Regression and Its Applications,
    ECML PKDD 2012, for the posterior of labels; Zhang et al., mixup: Beyond Empirical
    Risk Minimization, ICLR 2018.
    """

    n_networks = 2
    heads = ("kernel", "piecewise_mlp")
    vector_encoder = "identity"
    transient = (*CoTraining.transient, "_generator", "_kernel")

    def __init__(self, n_landmarks=1000, n_rounds=4, alpha=4.0, warmup_epochs=0):
        self.n_landmarks = n_landmarks
        self.n_rounds = n_rounds
        self.alpha = alpha
        self.warmup_epochs = warmup_epochs

    def check(self):  # noqa: D102
        super().check()
        check_integer("n_landmarks", self.n_landmarks)
        check_integer("n_rounds", self.n_rounds, low=0)
        check_real("alpha", self.alpha, "(0, inf)")
        if self.warmup_epochs != 0:
            raise ValueError(
                f"warmup_epochs={self.warmup_epochs!r} is not valid: this method has "
                "no warm-up, pass 0."
            )

    def defaults(self, n_samples):  # noqa: D102
        batch_size = max(2, min(256, max(16, n_samples // 8), n_samples))
        return {
            "max_epochs": math.ceil(STEPS * batch_size / n_samples),
            "batch_size": batch_size,
            "lr": 2e-3,
            "weight_decay": 1.0,
            "optimizer": "adamw",
        }

    def start(self, n_samples, n_classes, device):  # noqa: D102
        super().start(n_samples, n_classes, device)
        shape = n_samples, n_classes
        self.state_["posterior"] = torch.full(
            shape, torch.nan, dtype=torch.float32, device=device
        )
        self._codes = None

    @torch.no_grad()
    def extend(self, module, data, generator):
        """Choose the scaling, and bring the network to its input's size."""
        if trains_encoder(module.networks[0]):
            raise ValueError(
                "method='kernel_posterior' is not valid with an encoder that is "
                "trained: pass vectors and encoder='auto', or freeze_encoder=True with "
                "a pre-trained encoder."
            )
        self._generator = generator
        features = _features(module, data.store)
        column, power, width = self._choose(features, data.codes, generator)
        self._kernel = power, width
        head, mlp = _heads(module)
        _set_scale(head.rescale, features, column)
        if isinstance(mlp, PiecewiseMLP) and len(mlp.column) == 0:
            mlp.rescale.load_state_dict(head.rescale.state_dict())
            if column:
                _set_bins(mlp, features, generator)
        return module

    def before_epoch(self, net):  # noqa: D102
        self.draw(net)
        self.in_halves = False
        data = net.data_
        if self._codes is None or not self._codes.equal(data.codes):
            self._correct(net)
            self._codes = data.codes.clone()

    @torch.no_grad()
    def _correct(self, net):
        """Fit the kernel machine, and set the posteriors that the network learns."""
        data, (head, _) = net.data_, _heads(net.module_)
        features = head.rescale(_features(net.module_, data.store))
        ridge = KernelRidge(features, *self._kernel, self.n_landmarks, self._generator)
        given = one_hot(data.codes, self.n_classes).float()
        probs = ridge.fit(given)
        rows = torch.arange(len(given), device=given.device)
        net.observe(simplex(probs).log()[:, None], data.codes, rows)
        predicted = one_hot(probs.argmax(dim=1), self.n_classes).float()
        T = predicted.T @ given + 0.1
        T /= T.sum(dim=1, keepdim=True)
        labels = posterior(simplex(sharpened(probs)), T, data.codes)
        for _ in range(self.n_rounds):
            labels = posterior(simplex(ridge.fit(labels)), T, data.codes)
        self.state_["posterior"].copy_(labels)
        if data.class_weights is not None:
            labels = labels * data.class_weights
            labels = labels / labels.sum(dim=1, keepdim=True)
            ridge.fit(labels)
        self._labels = labels
        head.landmarks, head.gamma = ridge.landmarks, T.new_tensor(ridge.gamma)
        head.laplacian = T.new_zeros(int(ridge.power == 1))
        head.coefficients, head.intercept = ridge.coefficients, ridge.intercept

    def loss(self, net, index, batch):  # noqa: D102
        network = net.module_.networks[1]
        mlp = getattr(network, "head", network)
        if hasattr(network, "encoder"):
            batch = network.encoder(batch)
        lam = self.rng.beta(self.alpha, self.alpha)
        encoded, labels = gathered(mlp.encode(batch)), self._labels[index]
        order = net.permutation(len(index))
        mixed, labels = mixup(encoded, labels, lam, order)
        log_p = in_parts(mlp.logits, mixed).log_softmax(dim=1)
        return -(labels * log_p).sum(dim=1).mean()

    def estimated_rate(self, clean_probability):  # noqa: D102
        return float(1 - np.mean(clean_probability))

    def clean_probability(self, dynamics):  # noqa: D102
        posteriors = self.state_["posterior"]
        given = posteriors.gather(1, self._codes[:, None])
        return given[:, 0].cpu().double().numpy()

    def _choose(self, features, codes, generator):
        """Return the scaling and the kernel of least leave-one-out error."""
        rows = torch.randperm(len(features), generator=generator, device="cpu")
        rows = rows[:TRIAL_ROWS].to(features.device)
        some, errors = features[rows], []
        given = one_hot(codes[rows], self.n_classes).float()
        for column, power, width in CANDIDATES:
            rescale = build(Rescale, some.shape[1]).to(some.device)
            _set_scale(rescale, some, column)
            scaled = rescale(some)
            ridge = KernelRidge(scaled, power, width, TRIAL_LANDMARKS, generator)
            ridge.fit(given)
            errors.append(ridge.error)
        return CANDIDATES[int(np.argmin(errors))]


def _features(module, store):
    """Return what the heads get of all samples, without the normalisation before."""
    network = module.networks[0]
    encoder = getattr(network, "encoder", nn.Identity())
    device = next(module.parameters()).device
    return torch.from_numpy(forward_all(encoder, store, device)).to(device)


def _heads(module):
    """Return the kernel machine and the network, whatever is before them."""
    return [getattr(network, "head", network) for network in module.networks]


def _set_scale(rescale, features, column):
    """Set the moments of a Rescale: by column, or one scale for all of them."""
    std, mean = torch.std_mean(features, dim=0, correction=0)
    if column:
        scale = torch.where(std > 0, std, 1.0)
    else:
        overall = std.square().mean().sqrt().clamp(min=1e-12)
        scale = overall.expand_as(std).clone()
    rescale.centre.copy_(mean)
    rescale.scale.copy_(scale)
    rescale.limit.fill_(CLIP if column else UNLIMITED)


def _set_bins(mlp, features, generator, n_bins=16):
    """Set the bins of a PiecewiseMLP to quantiles, and widen its first layer."""
    some = mlp.rescale(features[:: max(1, len(features) // QUANTILE_ROWS)])
    shares = torch.linspace(0, 1, n_bins + 1, dtype=some.dtype, device=some.device)
    columns, lower, width = [], [], []
    for j, values in enumerate(some.T):
        edges = values.contiguous().quantile(shares).unique()
        if len(edges) > 2:
            columns += [j] * (len(edges) - 1)
            lower.append(edges[:-1])
            width.append(edges[1:] - edges[:-1])
    if not columns:
        return
    mlp.column = torch.tensor(columns, device=some.device)
    mlp.lower, mlp.width = torch.cat(lower), torch.cat(width)
    n_inputs = some.shape[1] + len(columns)
    hidden = build(nn.Linear, n_inputs, len(mlp.hidden.weight), generator=generator)
    mlp.hidden.weight = nn.Parameter(hidden.weight.to(some.device))
    mlp.hidden.bias = nn.Parameter(hidden.bias.to(some.device))
