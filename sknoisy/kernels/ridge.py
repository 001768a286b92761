"""Kernel ridge regression in closed form, with leave-one-out predictions."""

from bisect import bisect_left

import numpy as np
import torch

from sknoisy.encoders.heads import kernel

PENALTIES = [10 ** (e / 2) for e in range(-4, 7)]  # 0.01 to 1,000
JITTER = 1e-5  # on the kernel's diagonal, times the root of the landmarks' number
LEAST_SCALE = 1e-12  # below it, eigenvectors in float32 may be NaN
PART = 2**11  # rows that are computed at once
CENTRE_ROUNDS = 3
CENTRE_SAMPLES = 25  # for each centre, at most
COLUMNS = 256  # columns that are multiplied at once
CELLS = 2**20  # predictions that are computed at once
MANY = 128  # classes, above which sums of squares over them are estimated
COMBINATIONS = 64  # of many classes
LARGEST = 2**28  # numbers of the samples' kernel features: 1 GiB; fewer landmarks above


class KernelRidge:
    """Nystroem approximation of kernel ridge regression on some landmarks.

    The landmarks of a Gaussian kernel are centres of clusters, which cover the samples
    better than as many random ones. Those of a Laplacian kernel are random samples: it
    is sharp where columns agree, and means agree with no sample.

    All is computed in the basis in which the features of the kernel are orthogonal, so
    that the solution for every penalty is a division, and the predictions for each
    sample without that sample are known at once.

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
        predicted, and no part of the regression.

    Attributes
    ----------
    landmarks : tensor of shape (n_landmarks, d)
        The landmarks.
    gamma : float
        The kernel's decay.
    error, penalty : float
        Leave-one-out squared error of the last fit, and its penalty. With more than 128
        classes the error is that of random combinations of them, an estimate of it.
    coefficients : tensor of shape (n_landmarks, n_classes)
        Weights of the kernel values.
    intercept : tensor of shape (n_classes,)
        What is added to them.

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

    def __init__(self, X, power, width, n_landmarks, generator, weights=None):
        n_landmarks = max(1, min(n_landmarks, len(X), LARGEST // len(X)))
        n_rounds = CENTRE_ROUNDS if power == 2 else 0
        self.landmarks = centres_of_clusters(X, n_landmarks, generator, n_rounds)
        self.power = power
        self.gamma = width / self._median_distance() ** power
        K = kernel(self.landmarks, self.landmarks, self.gamma, power).double()
        K.diagonal().add_(JITTER * len(K) ** 0.5)
        lower = torch.linalg.cholesky(K)
        one = torch.eye(len(K), dtype=K.dtype, device=K.device)
        whiten = torch.linalg.solve_triangular(lower, one, upper=False).T.float()
        # Half the work of features @ whiten; parts stay in a processor's cache.
        upper = lower.T.float()
        features = X.new_empty(len(X), n_landmarks)
        for rows, part in zip(X.split(PART), features.split(PART), strict=True):
            values = kernel(rows, self.landmarks, self.gamma, power)
            part.copy_(
                torch.linalg.solve_triangular(upper, values, upper=True, left=False)
            )
        self._weights = None if weights is None else weights[:, None]
        centre = self._mean(features)
        features -= centre
        gram = _lower_product(features, self._weights)
        scale = gram.diagonal().max()  # of equal samples it is near 0
        scale = scale.clamp(min=LEAST_SCALE)
        spectrum, basis = torch.linalg.eigh(gram / scale)  # reads the lower triangle
        self._spectrum = spectrum.clamp(min=0) * scale
        for part in features.split(PART):
            part.copy_(part @ basis)
        self._features = features
        self._projection, self._offset = whiten @ basis, centre @ basis
        self._inverses = 1 / (self._spectrum[:, None] + X.new_tensor(PENALTIES))
        self._leverages = self._leverage()

    def fit(self, targets, least_penalty=0.0):
        """Regress targets, with the penalty of least leave-one-out squared error.

        Parameters
        ----------
        targets : tensor of shape (n_samples, n_classes), float32
            What to regress.
        least_penalty : float, default=0.0
            The penalty is at least this.

        Returns
        -------
        left_out : tensor of shape (n_samples, n_classes)
            The prediction for each sample by the others.
        """
        mean = self._mean(targets)
        rest = targets - mean
        # Thin factors come first: a transposed large one is read column by column.
        products = (self._weighted(rest).T @ self._features).T
        first = bisect_left(PENALTIES[:-1], least_penalty)
        tried = slice(first, None)
        errors = self._errors(combined(rest), combined(products), tried)
        best = first + int(np.argmin(errors))
        self.error = errors[best - first] / targets.shape[1]
        self.penalty = PENALTIES[best]
        tried = slice(best, best + 1)
        solution = self._inverses[:, tried] * products
        self.coefficients = self._projection @ solution
        self.intercept = mean - self._offset @ solution
        every = slice(None)
        return targets + self._residuals(every, rest, products, tried)[:, 0]

    def _errors(self, rest, products, tried):
        """Return leave-one-out squared errors, summed over targets, by penalty."""
        n_rows = max(1, CELLS // products[0].numel() // len(PENALTIES))
        squares = []
        for start in range(0, len(rest), n_rows):
            rows = slice(start, start + n_rows)
            residuals = self._residuals(rows, rest, products, tried)
            squares.append(residuals.square_().sum(dim=2))
        return self._mean(torch.cat(squares)).tolist()

    def _residuals(self, rows, rest, products, tried):
        """Return what predictions of left-out samples are off by, for some penalties.

        All penalties share one pass over the features.

        Parameters
        ----------
        rows : slice
            Which samples.
        rest : tensor of shape (n_samples, n_classes)
            Centred targets.
        products : tensor of shape (n_landmarks, n_classes)
            Products of the features and these.
        tried : slice
            Which penalties.

        Returns
        -------
        residuals : tensor of shape (n, n_penalties, n_classes)
            Predictions less targets.
        """
        solutions = self._inverses[:, tried, None] * products[:, None]
        fitted = self._features[rows] @ solutions.flatten(start_dim=1)
        fitted = fitted.view(-1, *solutions.shape[1:])
        leverages = self._leverages[rows, tried, None]
        return fitted.sub_(rest[rows, None]).div_(1 - leverages)

    def _leverage(self):
        """Return how far each sample's prediction follows its target, by penalty."""
        own = [part.square() @ self._inverses for part in self._features.split(PART)]
        own = torch.cat(own)
        total = len(own) if self._weights is None else self._weights.sum()
        return self._weighted(own + 1 / total).clamp(max=0.999)

    def _weighted(self, rows):
        return rows if self._weights is None else rows * self._weights

    def _mean(self, rows):
        if self._weights is None:
            return rows.mean(dim=0)
        return self._weighted(rows).sum(dim=0) / self._weights.sum()

    def _median_distance(self):
        distances = torch.pdist(self.landmarks[:500], p=float(self.power))
        distances = distances[distances > 0]
        return float(distances.median()) if len(distances) else 1.0


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


def _lower_product(X, weights=None):
    """Return the lower triangle of X.T @ X, for half of the work.

    Parameters
    ----------
    X : tensor of shape (n, d)
        Factor.
    weights : tensor of shape (n, 1), default=None
        Weights of the rows.

    Returns
    -------
    product : tensor of shape (d, d)
        Above the diagonal some of it is 0.
    """
    product = X.new_zeros(X.shape[1], X.shape[1])
    for start in range(0, len(product), COLUMNS):
        stop = start + COLUMNS
        columns = X[:, start:stop]
        if weights is not None:
            columns = columns * weights
        product[start:stop, :stop] = columns.T @ X[:, :stop]
    return product
