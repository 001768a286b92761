"""A kernel machine that corrects the labels that it learns."""

import torch
from torch import nn

from sknoisy.checks import check_integer
from sknoisy.cotraining.advice import warn_of_near_copies
from sknoisy.cotraining.base import CoTraining, unknown
from sknoisy.data.batches import Batches
from sknoisy.data.copies import copies_of
from sknoisy.encoders.architecture import trains_encoder
from sknoisy.encoders.heads import simplex
from sknoisy.encoders.inference import forward_all
from sknoisy.kernels.balance import balanced, evenness, evenness_of_means
from sknoisy.kernels.choice import choose_kernel, set_scale
from sknoisy.kernels.confusion import (
    agrees_less_than_chance,
    best_stretch,
    confusion,
    sharpened,
    stretched,
)
from sknoisy.kernels.nystroem import LARGEST
from sknoisy.kernels.ridge import KernelRidge
from sknoisy.kernels.trusted import corrected_by_trusted
from sknoisy.warning import advises

LANDMARKS = 1000, 4000  # by default at least and at most
SHARE = 4  # one landmark for as many samples, between these
AT_ANY_SIZE = 2000  # landmarks, even if features have to be computed more than once
# Least penalty for posteriors, over that of the given labels: of those that are tried,
# which are half decades apart, a tenth of it.
SMOOTHEST = 1 / 30


def posterior(probs, transition_matrix, codes):
    """Return the probability of each true class, given a sample and its label.

    Parameters
    ----------
    probs : tensor of shape (n, n_classes)
        Probability of each true class, given the sample.
    transition_matrix : tensor of shape (n_classes, n_classes)
        Probability of each label (column), given the true class (row).
    codes : tensor of shape (n,), int64, or (n, n_classes)
        Codes of the labels; or soft labels, over whose classes the probability of the
        label is averaged. Without a label a row holds ones.

    Returns
    -------
    posterior : tensor of shape (n, n_classes)
        Rows sum to 1.

    Examples
    --------
    >>> import torch
    >>> from sknoisy.cotraining.kernel_posterior import posterior
    >>> T = torch.tensor([[0.6, 0.4], [0.0, 1.0]])
    >>> posterior(torch.tensor([[0.5, 0.5]]), T, torch.tensor([1]))
    tensor([[0.2857, 0.7143]])
    """
    if codes.is_floating_point():
        joint = probs * (codes @ transition_matrix.T)
    else:
        joint = probs * transition_matrix[:, codes].T
    return joint / joint.sum(dim=1, keepdim=True)


def alone(given):
    """Return which labels no other sample has, even in part, tensor of bool, (n,).

    Parameters
    ----------
    given : tensor of shape (n, n_classes)
        Probabilities of classes.
    """
    single = (given > 0).sum(dim=0) == 1
    return (given[:, single] == 1).any(dim=1)


class KernelPosterior(CoTraining):
    """A kernel machine that corrects the labels that it learns, on vectors.

    Kernel ridge regression of the given labels predicts each sample from the others.
    The predictions, and how they are confused with the labels, give the posterior
    probabilities of each sample's true class. The regression is fitted to these again,
    a few times. This is the expectation maximisation of a classifier under label noise.

    It is what :class:`~sknoisy.NoisyRobustClassifier` does by default with embeddings
    and tables; it needs neither the noise rate nor clean labels.

    Parameters
    ----------
    n_landmarks : int or "auto", default="auto"
        Number of landmarks, which the kernel compares samples with: centres of clusters
        for the Gaussian kernel, samples for the Laplacian kernel. "auto": a quarter of
        the number of samples, but at least 1,000 and at most 4,000; with more than
        67,000 samples, as many as fit into 1 GiB, but at least 2,000. Above 1 GiB,
        kernel values are computed several times instead of once. With 2,000 instead of
        4,000, a fit took a third of the time, and on average over kinds of noise its
        accuracy was 0.4 points lower on 20,000 embeddings and 1.3 on 50,000.
    n_rounds : int, default=3
        Number of times that the posteriors are computed again.
    warmup_epochs : int, default=0
        Has no effect: this method has no warm-up.

    Notes
    -----
    Everything is solved in closed form before the first epoch. One epoch is enough;
    more have no effect, and neither have `lr`, `batch_size` and the like.

    The kernel, the penalty and the scaling of the columns are chosen by the
    leave-one-out error on the given labels. Labels that are wrong at random raise the
    error of all candidates alike. Either each column is scaled by its own deviation,
    which suits tables, or all are scaled by one number, which suits embeddings.

    Where each column has its own scale, columns with long tails (a kurtosis above 10)
    are transformed by an inverse hyperbolic sine, unless three quarters of their values
    are equal. Otherwise a few large values would determine the deviation and make all
    others look alike. Columns are also multiplied by how much the regression changes
    along them: the root mean square of its derivatives. Columns that do not matter thus
    count for little, as with trees. Each half of the samples is judged with the factors
    from the other half, up to four times, as long as the leave-one-out error falls by
    two standard errors.

    With up to 1,024 columns, and at most half as many columns as samples, principal
    axes of deviation 1 replace the columns if this lowers the error by three standard
    errors. In spectra, and with columns that are nearly equal, classes may differ in
    directions of little variance.

    Posteriors are partly the regression's own predictions, so their leave-one-out error
    favours ever smaller penalties. Their penalty is therefore at least a thirtieth of
    the penalty for the given labels, or the penalty for the errors that trusted labels
    show, if that is less: labels that tell nothing have a large one.

    At high noise, classes that happen to be labelled a little more often would take
    over the posteriors. The posteriors are therefore balanced, to the extent that
    chance explains the differences between the frequencies of the labels. With three or
    more classes, so are the means that the regression shrinks its predictions to: of
    few samples, one class would otherwise take over those of all others.

    The confusion is counted between leave-one-out predictions and labels, so the
    classifier's own errors count as noise, too. Without trusted labels it stays the
    same over the rounds. With three or more classes, the classes' shares of right
    labels are moved towards a common one, to the extent that chance explains their
    differences: among few samples some class happens to agree with its labels, and
    would otherwise take over the samples of others. With trusted labels the common
    share is the mean. Without, it is between that of all predictions and, if it is
    more, that of the surer half of each class's predictions, by how far predictions
    follow their own labels (the mean leverage): with few samples of many classes most
    predictions of left-out samples are wrong, and right labels would be taken for
    noise. The posterior of a sample without a label is its prediction. Such samples
    take part in all rounds.

    Copies (equal samples with equal labels) are left out together, because the copy of
    a wrong label would confirm it. If more than 1% of equal samples have different
    labels, or columns have so few values that samples are equal by chance, equal
    samples are evidence for each other, and each is left out alone.

    A label that no other sample has is kept, with a certain posterior: the other
    samples could never predict it, which says nothing against it.

    All labels are kept if the first leave-one-out predictions agree with them less
    often than independent ones would. Among about ten samples or fewer they often do,
    as leaving out a sample makes its class rarer, and labels would be exchanged.
    With class weights, which multiply the posteriors, labels are not kept for this.

    Trusted labels have certain posteriors, too. They show how the first predictions
    err: a regression of its own learns by how much predictions of left-out samples are
    off the trusted labels, and the first probabilities of the true classes are the
    predictions less these errors. So classes are told apart of which more than half of
    the labels are wrong. The kernel is chosen by the trusted labels alone if these
    probabilities are then nearer to them by three standard errors. The confusion is
    improved likewise, and counted again in each round; see
    :func:`sknoisy.scores.trusted_transition_matrix`. Trusted labels also show how sure
    predictions should be: these are stretched away from uniform by the factor with the
    least leave-one-out log loss. Therefore the trusted labels should be a random
    choice.

    ``training_loss_`` and ``label_quality_`` of the classifier belong to leave-one-out
    predictions, as the detection of wrong labels needs them. Their probabilities are
    ``loss_state_["left_out"]``: the mean of the first prediction, which learned the
    given labels (less the errors that trusted labels show), and the last, which learned
    the posteriors. The mean ranks wrong labels better than either. ``clean_proba_`` is
    the posterior of the given label, and ``loss_state_["posterior"]`` holds those of
    all classes. ``train_loss`` in ``history_`` is the cross-entropy of the last
    leave-one-out predictions with the posteriors.

    References
    ----------
    Bootkrajang and Kaban, Label-Noise Robust Logistic Regression and Its Applications,
    ECML PKDD 2012, for the posterior of labels. DerSimonian and Laird, Meta-Analysis in
    Clinical Trials, Controlled Clinical Trials 1986, for variances between classes.
    Berthelot et al., ReMixMatch, ICLR 2020, for balancing by frequencies (of true
    labels, in the paper). Patrini et al., Making Deep Neural Networks Robust to Label
    Noise, CVPR 2017, for noise as the surest predictions show it (of each class one, in
    the paper). Radhakrishnan, Beaglehole, Pandit and Belkin, Mechanism for
    Feature Learning in Neural Networks and Backpropagation-Free Machine Learning
    Models, Science 2024, for factors of columns from derivatives (in the paper, a
    matrix for all pairs of columns).
    """

    n_networks = 1
    estimates_noise = False
    soft_labels = True
    unlabelled = True
    heads = ("kernel",)
    closed_form = True
    leaves_out = True
    vector_encoder = "identity"
    needs_float64 = True
    transient = (*CoTraining.transient, "_generator", "_kernel")

    def __init__(self, n_landmarks="auto", n_rounds=3, warmup_epochs=0):
        self.n_landmarks = n_landmarks
        self.n_rounds = n_rounds
        self.warmup_epochs = warmup_epochs

    def check(self):  # noqa: D102
        super().check()
        check_integer("n_landmarks", self.n_landmarks, other="auto")
        check_integer("n_rounds", self.n_rounds, low=0)
        if self.warmup_epochs != 0:
            raise ValueError(
                f"warmup_epochs={self.warmup_epochs!r} is not valid: this method has "
                "no warm-up, pass 0."
            )

    def defaults(self, n_samples):  # noqa: D102
        return {
            "max_epochs": 1,
            "batch_size": n_samples,
            "lr": 1.0,
            "weight_decay": 0.0,
            "optimizer": "sgd",
        }

    def start(self, n_samples, n_classes, device):  # noqa: D102
        super().start(n_samples, n_classes, device)
        for name in ("posterior", "left_out"):
            self.state_[name] = unknown((n_samples, n_classes), device)
        self._given, self._n_samples = None, n_samples

    @torch.no_grad()
    def extend(self, module, data, generator):
        """Choose the scaling and the kernel."""
        if trains_encoder(module.networks[0]):
            raise ValueError(
                f"{self} is not valid with an encoder that is trained: pass vectors "
                "and encoder='auto', or freeze_encoder=True with a pre-trained encoder."
            )
        self._generator = generator
        features = _features(module, data.store)
        if advises():
            warn_of_near_copies(features, data.labels)
        chosen = choose_kernel(features, data.labels, self.n_classes, generator)
        self._kernel = chosen.power, chosen.width
        set_scale(_head(module).rescale, features, chosen)
        return module

    def before_epoch(self, net):  # noqa: D102
        super().before_epoch(net)
        given = net.data_.labels.parts()
        if self._given is None or not _equal(self._given, given):
            self._correct(net)
            self._given = {name: part.clone() for name, part in given.items()}

    @torch.no_grad()
    def _correct(self, net):
        """Compute the posteriors, and the kernel machine that learned them."""
        data, head = net.data_, _head(net.module_)
        features = _features(net.module_, data.store)
        every = torch.arange(len(features), device=features.device)
        weights = net.weights(every)
        given = data.labels.distributions(self.n_classes)
        trusted = data.labels.trusted
        originals, features = copies_of(features, given), head.rescale(features)
        ridge = self._ridge(features, weights, originals)
        shares = given if weights is None else given * weights[:, None]
        strength, of_means = evenness(shares), evenness_of_means(shares)
        probs = ridge.fit(given, evenness=of_means)
        least, first = SMOOTHEST * ridge.penalty, simplex(probs)
        guess, some = sharpened(probs), trusted is not None and not trusted.all()
        if some:
            n_landmarks = min(self.resolved()["n_landmarks"], LANDMARKS[0])
            settings = *self._kernel, n_landmarks, self._generator, weights, originals
            guess, penalty = corrected_by_trusted(
                features, first, given, trusted, *settings
            )
            probs, first, least = guess, guess, min(least, penalty)
        T = confusion(probs, shares, trusted, ridge.leverage)
        target = data.codes
        if data.labels.soft is not None or data.labels.labelled is not None:
            target = torch.where(given.sum(dim=1, keepdim=True) > 0, given, 1.0)

        kept = alone(given)
        if trusted is not None:
            kept |= trusted
        elif data.class_weights is None and agrees_less_than_chance(probs, shares):
            kept |= (given > 0).any(dim=1)

        def corrected(probs, T):
            labels = balanced(posterior(simplex(probs), T, target), strength)
            return labels.where(~kept[:, None], given)

        labels = corrected(guess, T)
        if data.labels.labelled is not None:  # from here on, all have a posterior
            del ridge  # it is as large as the next one
            weights = net.sample_weights(every)
            ridge = self._ridge(features, weights, originals)
        for _ in range(self.n_rounds):
            probs = ridge.fit(labels, least, of_means)
            if some:
                T = confusion(probs, shares, trusted, ridge.leverage)
            labels = corrected(probs, T)
        self.state_["posterior"].copy_(labels)
        left_out = (first + simplex(probs)) / 2
        self.state_["left_out"].copy_(left_out)
        net.observe(left_out.log()[:, None], data.codes, every)
        self._loss = -(labels * simplex(probs).log()).sum(dim=1).mean()
        if data.class_weights is not None:
            labels = labels * data.class_weights
            probs = ridge.fit(labels / labels.sum(dim=1, keepdim=True), least)
        _set(head, ridge)
        if trusted is not None:
            factor = best_stretch(probs[trusted], given[trusted])
            head.coefficients = factor * head.coefficients
            head.intercept = stretched(head.intercept, factor)

    def _ridge(self, features, weights, originals):
        """Return the regression, to be fitted, with landmarks of its own."""
        power, width = self._kernel
        return KernelRidge(
            features,
            power,
            width,
            n_landmarks=self.resolved()["n_landmarks"],
            generator=self._generator,
            weights=weights,
            originals=originals,
        )

    def batches(self, net, store):  # noqa: D102
        return Batches(store, len(store), net.generator, net.device)

    def loss(self, net, index, batch):  # noqa: D102
        return self._loss.clone().requires_grad_()  # of a step that moves nothing

    def resolved(self):  # noqa: D102
        n_landmarks = self.n_landmarks
        if n_landmarks == "auto":
            least, most = LANDMARKS
            wanted = self._n_samples // SHARE
            n_landmarks = min(max(least, wanted), most, self._n_samples)
            kept = LARGEST // self._n_samples
            n_landmarks = min(n_landmarks, max(kept, AT_ANY_SIZE))
        return {"n_landmarks": n_landmarks}

    def clean_probability(self, dynamics, labelled):  # noqa: D102
        posteriors = self.state_["posterior"]
        given = posteriors.gather(1, self._given["codes"].clamp(min=0)[:, None])
        return given[:, 0].cpu().double().numpy()


def _set(head, ridge):
    """Give a head what was regressed."""
    head.landmarks, head.intercept = ridge.landmarks, ridge.intercept
    head.coefficients = ridge.coefficients
    head.gamma = ridge.intercept.new_tensor(ridge.gamma)
    head.laplacian = ridge.intercept.new_zeros(int(ridge.power == 1))


def _equal(given, others):
    """Whether two dicts hold equal tensors."""
    same = given.keys() == others.keys()
    return same and all(given[name].equal(others[name]) for name in given)


def _features(module, store):
    """Return what the heads get of all samples, without the normalisation before."""
    network = module.networks[0]
    encoder = getattr(network, "encoder", nn.Identity())
    device = _head(module).intercept.device
    return torch.from_numpy(forward_all(encoder, store, device)).to(device)


def _head(module):
    """Return the kernel machine, whatever is before it."""
    (network,) = module.networks
    return getattr(network, "head", network)
