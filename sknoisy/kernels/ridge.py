"""Kernel ridge regression in closed form, with leave-one-out predictions."""

from bisect import bisect_left

import numpy as np
import torch

from sknoisy.data.copies import totals
from sknoisy.encoders.heads import kernel
from sknoisy.kernels.nystroem import PART, Compared, column_means, features_of

PENALTIES = [10 ** (e / 2) for e in range(-4, 7)]  # 0.01 to 1,000
NEARLY_ALL = 0.999  # most that a sample has of the weight, or of its prediction
CENTRE_ROUNDS = 3
CENTRE_SAMPLES = 25  # for each centre, at most
CELLS = 2**20  # predictions that are computed at once
MANY = 128  # classes, above which sums of squares over them are estimated
COMBINATIONS = 64  # of many classes


class KernelRidge:
    """Nystroem approximation of kernel ridge regression on some landmarks.

    The landmarks of a Gaussian kernel are centres of clusters, which cover the samples
    better than as many random samples. Those of a Laplacian kernel are random samples,
    because this kernel is sharp where columns agree, and means agree with no sample.

    Everything is computed in the basis in which the features of the kernel are
    orthogonal. There, the solution for each penalty is a division, and the predictions
    for each sample without that sample, and without its copies, follow directly.

    Parameters
    ----------
    X : tensor of shape (n_samples, d), float32
        Scaled samples.
    power : {1, 2}
        The Laplacian or the Gaussian kernel, see :func:`sknoisy.encoders.heads.kernel`.
    width : float
        Factor of the kernel's decay, in units of the median distance of landmarks to
        the power of `power`.
    n_landmarks : int
        Number of landmarks.
    generator : torch.Generator
        Source of randomness, on the CPU.
    weights : tensor of shape (n_samples,), default=None
        Weights of the squared errors; by default all are 1. A sample of weight 0 is
        predicted, but has no influence on the regression.
    originals : tensor of shape (n_samples,), int64, default=None
        What each sample is a copy of, see :func:`sknoisy.data.copies.copies_of`;
        copies are left out together. By default there are none.
    compared : Compared, default=None
        What :func:`compare` returns for the samples; then the landmarks are its own.

    Attributes
    ----------
    landmarks : tensor of shape (n_landmarks, d)
        The landmarks.
    gamma : float
        The kernel's decay.
    error, penalty : float
        Leave-one-out squared error of the last fit, and its penalty. With more than 128
        classes the error is that of random combinations of them, an estimate of it.
    leverage : tensor of shape ()
        How far predictions of samples follow their own targets, on average, in (0, 1):
        near 1 if samples are too few to learn from each other.
    coefficients : tensor of shape (n_landmarks, n_classes)
        Weights of the kernel values.
    intercept : tensor of shape (n_classes,)
        Added to the weighted kernel values.

    References
    ----------
    Williams and Seeger, Using the Nystroem Method to Speed Up Kernel Machines, NIPS
    2000, and for the landmarks Zhang, Tsang and Kwok, Improved Nystroem Low-Rank
    Approximation and Error Analysis, ICML 2008. The leave-one-out predictions are those
    of PRESS: Allen, The Relationship between Variable Selection and Data Augmentation
    and a Method for Prediction, Technometrics 1974.

    Examples
    --------
    >>> import torch
    >>> from sknoisy.kernels.ridge import KernelRidge
    >>> generator = torch.Generator().manual_seed(0)
    >>> X = torch.linspace(-1, 1, 50)[:, None]
    >>> ridge = KernelRidge(X, power=2, width=1.0, n_landmarks=20, generator=generator)
    >>> left_out = ridge.fit(X.sin())
    >>> bool((left_out - X.sin()).abs().mean() < 0.01)
    True
    """

    def __init__(
        self,
        X,
        power,
        width,
        n_landmarks,
        generator,
        weights=None,
        originals=None,
        compared=None,
    ):
        if compared is None:
            self.landmarks = landmarks_of(X, power, n_landmarks, generator)
        else:
            self.landmarks = compared.landmarks
        self.power = power
        self.gamma = width / self._median_distance() ** power
        self._weights = None if weights is None else weights[:, None]
        self._originals = originals
        self._features = features_of(
            X, self.landmarks, self.gamma, power, self._weights, compared
        )
        spectrum = self._features.spectrum[:, None]
        self._inverses = 1 / (spectrum + X.new_tensor(PENALTIES))
        total = len(X) if weights is None else self._weights.sum()
        share = (self._summed(X.new_ones(len(X), 1)) / total).clamp(max=NEARLY_ALL)
        self._odds = share / (1 - share)  # weight of a sample and its copies to others'
        self._leverages = self._leverage(total)

    def fit(self, targets, least_penalty=0.0, evenness=0.0):
        """Regress targets, with the penalty of least leave-one-out squared error.

        Parameters
        ----------
        targets : tensor of shape (n_samples, n_classes), float32
            What to regress.
        least_penalty : float, default=0.0
            The penalty is at least this.
        evenness : float or tensor of shape (), default=0.0
            How far the means of the targets, which large penalties shrink predictions
            to, are then moved towards 1 / n_classes, in [0, 1].

        Returns
        -------
        left_out : tensor of shape (n_samples, n_classes)
            The prediction for each sample by the others.
        """
        mean = column_means(targets, self._weights)
        rest = targets - mean
        products = self._features.products(self._weighted(rest))
        first = bisect_left(PENALTIES[:-1], least_penalty)
        tried = slice(first, None)
        own, moved = self._of_copies(rest), evenness * (1 / len(mean) - mean)
        # Without a sample and its copies, the mean is that of the others.
        added = own - rest + moved + evenness * self._odds * own
        few = combined(own), combined(added), combined(products)
        errors = self._errors(*few, tried)
        best = first + int(np.argmin(errors))
        self.error = errors[best - first] / targets.shape[1]
        self.penalty = PENALTIES[best]
        tried = slice(best, best + 1)
        (self.leverage,) = column_means(self._leverages[:, tried], self._weights)
        solution = self._inverses[:, tried] * products
        self.coefficients, constant = self._features.coefficients(solution)
        self.intercept = mean + moved - constant
        residuals_of = self._residuals(own, added, products, tried)
        return targets + residuals_of(slice(None))[:, 0]

    def predict(self, X):
        """Return predictions of samples (n, d) by the last fit, (n, n_targets)."""
        about = self.landmarks, self.gamma, self.power
        parts = [kernel(part, *about) @ self.coefficients for part in X.split(PART)]
        return torch.cat(parts) + self.intercept

    def _errors(self, own, added, products, tried):
        """Return leave-one-out squared errors, summed over targets, by penalty."""
        n_rows = max(1, CELLS // products[0].numel() // len(PENALTIES))
        residuals_of, squares = self._residuals(own, added, products, tried), []
        for start in range(0, len(own), n_rows):
            residuals = residuals_of(slice(start, start + n_rows))
            squares.append(residuals.square_().sum(dim=2))
        return column_means(torch.cat(squares), self._weights).tolist()

    def _residuals(self, own, added, products, tried):
        """Return the function that computes errors of predictions of left-out samples.

        All penalties share one pass over the features.

        Parameters
        ----------
        own, added : tensor of shape (n_samples, n_classes)
            Means of centred targets over the copies of each sample, and what is added
            to what these are off by.
        products : tensor of shape (n_landmarks, n_classes)
            Products of the features and these.
        tried : slice
            Which penalties.

        Returns
        -------
        residuals_of : callable
            Its argument is a slice of the samples' rows; it returns their predictions
            less their targets, (n_rows, n_penalties, n_classes).
        """
        solutions = self._inverses[:, tried, None] * products[:, None]
        predict = self._features.predictor(solutions.flatten(start_dim=1))

        def residuals_of(rows):
            fitted = predict(rows).view(-1, *solutions.shape[1:])
            leverages = self._leverages[rows, tried, None]
            residuals = fitted.sub_(own[rows, None]).div_(1 - leverages)
            return residuals.add_(added[rows, None])

        return residuals_of

    def _of_copies(self, rest):
        """Return weighted means of targets over the copies of each sample."""
        if self._originals is None:
            return rest
        counts = self._summed(torch.ones_like(rest[:, :1]))
        return torch.where(counts > 0, self._summed(rest) / counts, rest)

    def _leverage(self, total):
        """Return how far predictions follow targets, of copies together, by penalty."""
        own = self._features.leverages(self._inverses)
        return self._summed(own + 1 / total).clamp(max=NEARLY_ALL)

    def _summed(self, rows):
        """Return weighted sums of rows over the copies of each sample."""
        rows = self._weighted(rows)
        return rows if self._originals is None else totals(rows, self._originals)

    def _weighted(self, rows):
        return rows if self._weights is None else rows * self._weights

    def _median_distance(self):
        distances = torch.pdist(self.landmarks[:500], p=float(self.power))
        distances = distances[distances > 0]
        return float(distances.median()) if len(distances) else 1.0


def compare(X, power, n_landmarks, generator):
    """Compare samples with landmarks, once for regressions of several widths.

    Parameters
    ----------
    X, power, n_landmarks, generator
        See :class:`KernelRidge`.

    Returns
    -------
    compared : Compared
        Landmarks and distances.
    """
    return Compared.of(X, landmarks_of(X, power, n_landmarks, generator), power)


def landmarks_of(X, power, n_landmarks, generator):
    """Return landmarks of samples, (n_landmarks, d); see :class:`KernelRidge`."""
    n_landmarks = max(1, min(n_landmarks, len(X)))
    n_rounds = CENTRE_ROUNDS if power == 2 else 0
    return centres_of_clusters(X, n_landmarks, generator, n_rounds)


def centres_of_clusters(X, n_centres, generator, n_rounds):
    """Return centres of clusters, by k-means from random samples.

    Parameters
    ----------
    X : tensor of shape (n_samples, d)
        The samples. Some of them are clustered where they are many.
    n_centres : int
        Number of centres; if it is that of the samples, these are the centres.
    generator : torch.Generator
        Source of randomness, on the CPU.
    n_rounds : int
        Rounds of k-means; 0: the random samples.

    Returns
    -------
    centres : tensor of shape (n_centres, d)
        A centre that lost its samples stays where it was.
    """
    if n_centres == len(X):
        n_rounds = 0
    n_samples = n_centres if n_rounds == 0 else CENTRE_SAMPLES * n_centres
    rows = torch.randperm(len(X), generator=generator, device="cpu")[:n_samples]
    X = X[rows.to(X.device)]
    centres = X[:n_centres]
    for _ in range(n_rounds):
        half = centres.square().sum(dim=1) / 2
        near = [(part @ centres.T - half).argmax(dim=1) for part in X.split(PART)]
        nearest, order = torch.cat(near).sort(stable=True)
        sizes = nearest.bincount(minlength=n_centres)
        means = torch.segment_reduce(X[order], "mean", lengths=sizes, axis=0)
        centres = torch.where(sizes[:, None] > 0, means, centres)
    return centres


def combined(columns):
    """Return columns, or random combinations of many, of the same squares in all.

    Many classes would be most of the work wherever only the sum of squares over them
    matters. With combinations by random signs (Achlioptas, Database-friendly Random
    Projections, 2003) the mean of squares over rows hardly changes.

    Parameters
    ----------
    columns : tensor of shape (n, n_classes)
        What is linear in the targets.

    Returns
    -------
    combined : tensor of shape (n, n_combinations)
        The same combinations, whichever the rows are. Up to 128 columns are returned as
        they are.
    """
    n_columns = columns.shape[1]
    if n_columns <= MANY:
        return columns
    shape, generator = (n_columns, COMBINATIONS), torch.Generator("cpu").manual_seed(0)
    signs = 2 * torch.randint(2, shape, generator=generator, device="cpu") - 1
    return columns @ (signs.to(columns) / COMBINATIONS**0.5)
