"""The kernel that fits some samples and their labels: its form, and its scales."""

from itertools import groupby
from typing import NamedTuple

import torch

from sknoisy.data.copies import copies_of
from sknoisy.encoders.heads import UNLIMITED, Rescale, kernel, simplex
from sknoisy.encoders.initialization import build
from sknoisy.kernels.balance import evenness_of_means
from sknoisy.kernels.nystroem import PART
from sknoisy.kernels.ridge import KernelRidge, combined, compare
from sknoisy.kernels.trusted import corrected_by_trusted, lower

TRIAL_ROWS, TRIAL_LANDMARKS = 4000, 500  # what the candidates are compared on
CLIP = 10.0  # deviations that a column is clipped to, where columns have own scales
LONG_TAILED = 10.0  # kurtosis, which is 3 of a normal distribution
LEAST_UNIT = 1e-9  # deviations: closer values are as good as equal
RELEVANCE_ROUNDS = 4
SURE = 2.0  # standard errors that a round must lower the error by
SURER = 3.0  # the same of turning to principal axes, or to another kernel by few labels
LEAST_RELEVANCE = 0.02  # a column that did not matter may matter in the next round
GRADIENTS = 2**28  # products that gradients are computed of, at most


class Kernel(NamedTuple):
    """A kernel on scaled samples.

    Attributes
    ----------
    column : bool
        Whether each column has a scale of its own.
    power : {1, 2}
        See :func:`sknoisy.encoders.heads.kernel`.
    width : float
        See :class:`~sknoisy.kernels.ridge.KernelRidge`.
    relevance : tensor of shape (d,) or None
        Factors of the scaled columns, or of their principal axes; None: all are 1.
    whitened : bool
        Whether the scaled columns are turned to their principal axes, each of which
        gets a deviation of 1.
    """

    column: bool
    power: int
    width: float
    relevance: torch.Tensor = None
    whitened: bool = False


# Laplacian kernels, of power 1, are rough and follow the axes, as trees do.
CANDIDATES = [
    Kernel(False, 2, 1.0),
    Kernel(False, 2, 0.25),
    Kernel(True, 2, 1.0),
    Kernel(True, 2, 0.25),
    Kernel(True, 1, 0.5),
    Kernel(True, 1, 1.5),
]
# Distances of few columns that matter vary more, so the kernel may have to be narrower.
RELEVANT = [*(kernel for kernel in CANDIDATES if kernel.column), Kernel(True, 1, 4.5)]
# Where columns are nearly combinations of others, as those of spectra and differences
# are, what tells classes apart may lie in axes of which the others see nothing.
WHITENED = [Kernel(True, 2, 0.05, None, True), Kernel(True, 2, 0.25, None, True)]
WIDEST = 1024  # columns that principal axes are computed of, at most
LEAST_VARIANCE = 1e-9  # of the largest one, of axes that are more than rounding


def choose_kernel(features, labels, n_classes, generator):
    """Return the kernel of least leave-one-out error on the given labels.

    Where columns may have scales of their own, they are then multiplied by their
    relevance, as long as this lowers the error by more than chance explains. Each half
    of the samples is judged with the relevance from the other half, because relevance
    learned from the same labels would always seem to help.

    With trusted labels, it is the kernel of least error on these alone instead, if
    predictions by all labels, less the errors that trusted labels show, are surely
    nearer to the trusted labels with it: where half of the labels are wrong, they
    hardly tell which kernel fits.

    Parameters
    ----------
    features : tensor of shape (n_samples, d), float32
        The samples. The kernels are compared on some of them.
    labels : Labels
        Their labels.
    n_classes : int
        Number of classes.
    generator : torch.Generator
        Source of randomness, on the CPU.
    """
    chosen = _chosen(features, labels, n_classes, generator)
    if labels.trusted is None or labels.trusted.all():
        return chosen
    known = labels.trusted.nonzero()[:, 0]
    other = _chosen(features[known], labels.take(known), n_classes, generator)
    rows = _judges(features, labels, n_classes, generator)
    order = labels.trusted[rows].float().argsort(descending=True, stable=True)
    rows = rows[order][:TRIAL_ROWS]
    trial = _Trial(features[rows], labels.take(rows), n_classes, generator)
    before, after = (trial.known_errors(kernel) for kernel in (chosen, other))
    return other if lower(before, after, SURER) else chosen


def _judges(features, labels, n_classes, generator):
    """Return positions of labelled samples, in any order, none a copy of another."""
    rows = torch.randperm(len(features), generator=generator, device="cpu")
    rows = rows.to(features.device)
    if labels.labelled is not None:
        rows = rows[labels.labelled[rows]]
    originals = copies_of(features, labels.distributions(n_classes))
    if originals is not None:  # halves must not share what they are judged by
        rows = rows[originals[rows] == rows]
    return rows


def _chosen(features, labels, n_classes, generator):
    """Return the kernel of least leave-one-out error; see :func:`choose_kernel`."""
    rows = _judges(features, labels, n_classes, generator)[:TRIAL_ROWS]

    def trial(rows):
        return _Trial(features[rows], labels.take(rows), n_classes, generator)

    whole, candidates = trial(rows), RELEVANT
    fits = [[fit] for fit in whole.fits(CANDIDATES)]
    best = _best(fits)
    by_column = _best(fit for fit in fits if fit[0].kernel.column)
    if features.shape[1] <= min(WIDEST, len(rows) / 2):
        whitened = _best([fit] for fit in whole.fits(WHITENED))
        if _gain(best, whitened) >= SURER:
            best = by_column = whitened
            candidates = WHITENED
    if len(rows) < 2 or _gain(by_column, best) >= SURE:
        return best[0].kernel
    halves = trial(rows[::2]), trial(rows[1::2])

    def of_halves(kernels, relevance=(None, None)):
        fits = []
        for half, factors in zip(halves, relevance, strict=True):
            of_half = [kernel._replace(relevance=factors) for kernel in kernels]
            fits.append(half.fits(of_half))
        return zip(*fits, strict=True)

    (before,) = of_halves([best[0].kernel])
    (weighed,), relevance = of_halves([by_column[0].kernel]), None
    for _ in range(RELEVANCE_ROUNDS):
        others = [_relevance(fit) for fit in reversed(weighed)]
        found = _best(of_halves(candidates, others))
        if _gain(weighed, found) < SURE:
            break
        weighed, relevance = found, torch.stack(others).square().mean(dim=0).sqrt()
    if relevance is None or _gain(before, weighed) < SURE:
        return best[0].kernel
    return weighed[0].kernel._replace(relevance=relevance)


def set_scale(rescale, features, kernel):
    """Set the moments of a Rescale: by column, or one scale for all of them.

    Where columns have scales of their own, long tails are drawn in: if a few large
    values determined the deviation of a column, all others would look alike.
    """
    std, mean = torch.std_mean(features, dim=0, correction=0)
    rescale.reset_state()
    if kernel.column:
        scale = torch.where(std > 0, std, 1.0)
        limit = torch.full_like(std, CLIP)
        centre, unit = _middles(features, mean, scale)
        if unit.any():
            rescale.centre, rescale.unit, mean = centre, unit, centre
            parts = [rescale(part)[:, unit > 0] for part in features.split(PART)]
            scale[unit > 0] = torch.cat(parts).std(dim=0, correction=0)
    else:
        overall = std.square().mean().sqrt().clamp(min=1e-12)
        scale, limit = overall.expand_as(std).clone(), std.new_tensor(UNLIMITED)
    if kernel.relevance is not None and not kernel.whitened:
        scale, limit = scale / kernel.relevance, limit * kernel.relevance
    rescale.centre, rescale.scale, rescale.limit = mean, scale, limit
    if kernel.whitened:
        axes = _principal_axes(rescale, features)
        rescale.axes = axes if kernel.relevance is None else axes * kernel.relevance


def _principal_axes(rescale, features):
    """Return the axes (d, d) along which scaled samples have a deviation of 1.

    Axes along which they hardly differ at all are 0.
    """
    parts = features.split(PART)
    mean = sum(rescale(part).double().sum(dim=0) for part in parts) / len(features)
    scatter = torch.zeros(len(mean), len(mean), dtype=mean.dtype, device=mean.device)
    for part in parts:
        centred = rescale(part).double() - mean
        scatter += centred.T @ centred
    variances, axes = torch.linalg.eigh(scatter / len(features))
    kept = variances > LEAST_VARIANCE * variances[-1]
    factors = torch.where(kept, variances.clamp(min=1e-300).rsqrt(), 0.0)
    return (axes * factors).float().contiguous()


def _middles(features, mean, deviation):
    """Return what is subtracted of each column, and units of those with long tails.

    Parameters
    ----------
    features : tensor of shape (n_samples, d)
        The samples.
    mean, deviation : tensor of shape (d,)
        Of the columns.

    Returns
    -------
    centre, unit : tensor of shape (d,)
        For columns with long tails the median, and the distance from it that a quarter
        of the values exceeds. For other columns, and where three quarters of the values
        are equal, the mean and 0.
    """
    parts = features.split(PART)
    fourth = sum(((part - mean) / deviation).pow(4).sum(dim=0) for part in parts)
    long = fourth > LONG_TAILED * len(features)
    centre, unit = mean.clone(), torch.zeros_like(mean)
    if long.any():
        tails = features[:, long]
        middle = tails.median(dim=0).values
        distances, rank = (tails - middle).abs(), int(0.75 * len(tails)) + 1
        quarter = distances.kthvalue(rank, dim=0).values
        spread = quarter > LEAST_UNIT * deviation[long]
        unit[long] = torch.where(spread, quarter, 0.0)
        centre[long] = torch.where(spread, middle, mean[long])
    return centre, unit


class _Fit(NamedTuple):
    kernel: Kernel
    ridge: KernelRidge
    scaled: torch.Tensor  # (n, d)
    predicted: torch.Tensor  # (n, n_classes), of each sample left out
    errors: torch.Tensor  # (n,), of each sample left out, weighted


class _Trial:
    """Some samples, on which kernels are compared with the same landmarks."""

    def __init__(self, samples, labels, n_classes, generator):
        self.samples = samples
        self.rescale = build(Rescale, samples.shape[1]).to(samples.device)
        self.weights = labels.weights
        self.given, self.trusted = labels.distributions(n_classes), labels.trusted
        weights = 1 if self.weights is None else self.weights[:, None]
        self.evenness = evenness_of_means(self.given * weights)
        self.seed = int(torch.randint(2**31, (), generator=generator, device="cpu"))

    def fits(self, kernels):
        """Return a fit of each kernel; all have the same relevance."""
        by_scale = groupby(kernels, lambda k: (k.column, k.power, k.whitened))
        return [fit for _, widths in by_scale for fit in self._of_widths([*widths])]

    def known_errors(self, kernel):
        """Return the errors on trusted labels, of predictions that they correct."""
        (fit,) = self.fits([kernel])
        probs = simplex(fit.predicted)
        settings = kernel.power, kernel.width, TRIAL_LANDMARKS, self._generator()
        known = self.given, self.trusted
        probs, _ = corrected_by_trusted(
            fit.scaled, probs, *known, *settings, weights=self.weights
        )
        return (probs - self.given)[self.trusted].square().sum(dim=1)

    def _generator(self):
        return torch.Generator("cpu").manual_seed(self.seed)

    def _of_widths(self, kernels):
        """Return fits of kernels that differ in width alone, and share distances."""
        set_scale(self.rescale, self.samples, kernels[0])
        scaled = self.rescale(self.samples)
        settings = {
            "n_landmarks": TRIAL_LANDMARKS,
            "generator": self._generator(),
        }
        compared = compare(scaled, kernels[0].power, **settings)
        for candidate in kernels:
            ridge = KernelRidge(
                scaled,
                candidate.power,
                candidate.width,
                weights=self.weights,
                compared=compared,
                **settings,
            )
            predicted = ridge.fit(self.given, evenness=self.evenness)
            errors = (predicted - self.given).square().mean(dim=1)
            if self.weights is not None:
                errors = errors * self.weights / self.weights.mean().clamp(min=1e-12)
            yield _Fit(candidate, ridge, scaled, predicted, errors)


def _errors(fits):
    """Return the errors of all samples, of one fit or of those of both halves."""
    return torch.cat([fit.errors for fit in fits])


def _best(candidates):
    """Return the candidate, a list of fits, of least error."""
    return min(candidates, key=lambda fits: float(_errors(fits).mean()))


def _gain(before, after):
    """Return by how many standard errors the error is lower."""
    gains = _errors(before) - _errors(after)
    error = gains.std(correction=0) / len(gains) ** 0.5
    return float(gains.mean() / error.clamp(min=1e-12))


def _relevance(fit):
    """Return how much each column matters, with a mean square of 1.

    It is the root mean square of the derivative along the column, in deviations.
    """
    rows = fit.scaled[: max(1, GRADIENTS // fit.ridge.landmarks.numel())]
    slopes = mean_square_slopes(fit.ridge, rows).sqrt()
    if fit.kernel.relevance is not None:
        slopes = slopes * fit.kernel.relevance
    relevance = (slopes / slopes.max().clamp(min=1e-12)).clamp(min=LEAST_RELEVANCE)
    return relevance / relevance.square().mean().sqrt()


def mean_square_slopes(ridge, X):
    """Return the mean squared derivatives of a regression along each column, (d,).

    Parameters
    ----------
    ridge : KernelRidge
        After its fit.
    X : tensor of shape (n, d)
        Where the derivatives are taken. Targets are summed over.
    """
    values = kernel(X, ridge.landmarks, ridge.gamma, ridge.power)
    coefficients = combined(ridge.coefficients)
    if ridge.power == 2:  # products of matrices take a fraction of the time
        total = X.new_zeros(X.shape[1])
        for c in coefficients.T:
            fitted = values @ c
            slopes = X * fitted[:, None] - values @ (c[:, None] * ridge.landmarks)
            total += slopes.square().mean(dim=0)
        return (2 * ridge.gamma) ** 2 * total
    slopes = []
    for x, z in zip(X.T, ridge.landmarks.T, strict=True):
        slopes.append((values * (x[:, None] - z).sign()) @ coefficients)
    slopes = ridge.gamma * torch.stack(slopes)  # the sign is lost in the square
    return slopes.square().sum(dim=2).mean(dim=1)
