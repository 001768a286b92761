"""Features of a kernel: kept, or computed anew by parts where they are too many."""

from typing import NamedTuple

import torch

from sknoisy.encoders.heads import distances, kernel

JITTER = 1e-5  # on the kernel's diagonal, times the root of the landmarks' number
LEAST_SCALE = 1e-12  # below it, eigenvectors in float32 may be NaN
PART = 2**11  # rows that are computed at once
COLUMNS = 256  # columns that are multiplied at once
LARGEST = 2**28  # numbers that are kept: 1 GiB


class Compared(NamedTuple):
    """Samples compared with landmarks, for kernels of several widths.

    Distances take most of the time where there are many columns.

    Attributes
    ----------
    landmarks : tensor of shape (n_landmarks, d)
        The landmarks.
    samples : tensor of shape (n_samples, n_landmarks)
        Distances of the samples from them, to the power of the kernel.
    among : tensor of shape (n_landmarks, n_landmarks), float64
        The same of the landmarks.
    """

    landmarks: torch.Tensor
    samples: torch.Tensor
    among: torch.Tensor

    @classmethod
    def of(cls, X, landmarks, power):
        """Compare samples (n_samples, d) with landmarks."""
        exact = landmarks.double()
        parts = [distances(part, landmarks, power) for part in X.split(PART)]
        return cls(landmarks, torch.cat(parts), distances(exact, exact, power))


def features_of(X, landmarks, gamma, power, weights=None, compared=None):
    """Return the features of a kernel, kept if they are not too many.

    Parameters
    ----------
    X : tensor of shape (n_samples, d), float32
        Scaled samples.
    landmarks : tensor of shape (n_landmarks, d)
        What the kernel compares them with.
    gamma, power : float, {1, 2}
        See :func:`sknoisy.encoders.heads.kernel`.
    weights : tensor of shape (n_samples, 1), default=None
        Weights of the samples.
    compared : Compared, default=None
        The samples compared with the landmarks, if they have been.

    Returns
    -------
    features : KernelFeatures
        The features.
    """
    are_few = len(X) * len(landmarks) <= LARGEST
    kind = KeptFeatures if are_few else RecomputedFeatures
    return kind(X, landmarks, gamma, power, weights, compared)


class KernelFeatures:
    """Features whose inner products are Nystroem's approximation of a kernel.

    They are centred, and in the basis in which they are uncorrelated.

    Parameters
    ----------
    X, landmarks, gamma, power, weights, compared
        See :func:`features_of`.

    Attributes
    ----------
    spectrum : tensor of shape (n_landmarks,)
        Weighted sum of squares of each feature, in ascending order.
    """

    def __init__(self, X, landmarks, gamma, power, weights=None, compared=None):
        self._X = X if compared is None else compared.samples
        self._weights, self._is_compared = weights, compared is not None
        self._kernel = landmarks, gamma, power
        # In float32 the kernel of far landmarks need not be definite, and less so where
        # a GPU rounds the factors of products.
        if compared is None:
            exact = landmarks.double()
            K = kernel(exact, exact, gamma, power)
        else:
            K = (-gamma * compared.among).exp()
        K.diagonal().add_(JITTER * len(K) ** 0.5)
        self._lower = torch.linalg.cholesky(K)
        self._upper = self._lower.T.float()
        self._centre, scatter = self._moments()
        scale = scatter.diagonal().max()  # of equal samples it is near 0
        scale = scale.clamp(min=LEAST_SCALE)
        # eigh reads the lower triangle.
        spectrum, self._basis = torch.linalg.eigh(scatter / scale)
        self.spectrum = spectrum.clamp(min=0) * scale

    def coefficients(self, solutions):
        """Return what is predicted from the features as a sum of kernel values.

        Parameters
        ----------
        solutions : tensor of shape (n_landmarks, n)
            Coefficients of the features.

        Returns
        -------
        coefficients : tensor of shape (n_landmarks, n)
            What kernel values are multiplied with.
        constant : tensor of shape (n,)
            What is taken off then.
        """
        whitened = self._basis @ solutions
        # For a few columns, this is much less work than the inverse of the factor.
        coefficients = torch.linalg.solve_triangular(
            self._lower.T, whitened.double(), upper=True
        )
        return coefficients.float().contiguous(), self._centre @ whitened

    def leverages(self, inverses):
        """Return the squared features' products with some weights.

        Parameters
        ----------
        inverses : tensor of shape (n_landmarks, n)
            The weights.

        Returns
        -------
        leverages : tensor of shape (n_samples, n)
            The products.
        """
        return torch.cat([part.square() @ inverses for part in self._parts()])

    def products(self, targets):
        """Return the features' products with targets, (n_landmarks, n_targets)."""
        raise NotImplementedError

    def predictor(self, solutions):
        """Return the function that predicts some of the samples.

        Parameters
        ----------
        solutions
            See :meth:`coefficients`.

        Returns
        -------
        predict : callable
            Its argument is the slice of the samples' rows; it returns what is predicted
            for them, (n_rows, n).
        """
        raise NotImplementedError

    def _moments(self):
        """Return the mean of whitened kernel values, and their scatter matrix."""
        raise NotImplementedError

    def _parts(self):
        """Yield the features of all samples, some rows at a time."""
        raise NotImplementedError

    def _values(self, X):
        landmarks, gamma, power = self._kernel
        if self._is_compared:
            return (-gamma * X).exp()
        return kernel(X, landmarks, gamma, power)

    def _whitened(self, values):
        # Half the work of a product with the inverse.
        return torch.linalg.solve_triangular(
            self._upper, values, upper=True, left=False
        )


class KeptFeatures(KernelFeatures):
    """Features that are computed once: the fastest where memory holds them."""

    def __init__(self, *samples_and_kernel):
        super().__init__(*samples_and_kernel)
        for part in self._features.split(PART):
            part.copy_(part @ self._basis)

    def products(self, targets):  # noqa: D102
        # Thin factors come first: a transposed large one is read column by column.
        return (targets.T @ self._features).T

    def predictor(self, solutions):  # noqa: D102
        return lambda rows: self._features[rows] @ solutions

    def _moments(self):
        features = self._X.new_empty(len(self._X), len(self._upper))
        # Parts stay in a processor's cache.
        for rows, part in zip(self._X.split(PART), features.split(PART), strict=True):
            part.copy_(self._whitened(self._values(rows)))
        centre = column_means(features, self._weights)
        features -= centre
        self._features = features  # in their basis once this is known
        return centre, lower_product(features, self._weights)

    def _parts(self):
        return self._features.split(PART)


class RecomputedFeatures(KernelFeatures):
    """Features of which some rows are in memory at a time.

    What is linear in the features costs no more than kernel values do, as the basis is
    that of the few coefficients then.
    """

    def products(self, targets):  # noqa: D102
        parts = zip(self._X.split(PART), targets.split(PART), strict=True)
        total = sum(self._values(rows).T @ part for rows, part in parts)
        whitened = torch.linalg.solve_triangular(
            self._lower, total.double(), upper=False
        )
        centred = whitened.float() - self._centre[:, None] * targets.sum(dim=0)
        return self._basis.T @ centred

    def predictor(self, solutions):  # noqa: D102
        coefficients, constant = self.coefficients(solutions)

        def predict(rows):
            parts = self._X[rows].split(PART)
            return torch.cat([self._values(X) @ coefficients - constant for X in parts])

        return predict

    def _moments(self):
        weights = self._weights
        if weights is None:
            weights = self._X.new_ones(len(self._X), 1)
        parts = [*zip(self._X.split(PART), weights.split(PART), strict=True)]
        total = sum((self._values(rows) * part).sum(dim=0) for rows, part in parts)
        centre = self._whitened(total[None] / weights.sum())[0]
        scatter = 0
        for rows, part in parts:
            features = self._whitened(self._values(rows)) - centre
            scatter = scatter + lower_product(features, part)
        return centre, scatter

    def _parts(self):
        for rows in self._X.split(PART):
            yield (self._whitened(self._values(rows)) - self._centre) @ self._basis


def column_means(rows, weights=None):
    """Return the mean of rows, (d,), with weights of shape (n, 1)."""
    if weights is None:
        return rows.mean(dim=0)
    return (rows * weights).sum(dim=0) / weights.sum()


def lower_product(X, weights=None):
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
