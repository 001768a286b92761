"""Kernel ridge regression in closed form, with leave-one-out predictions."""

import math

import torch

from sknoisy.encoders.heads import kernel

PENALTIES = [10 ** (e / 2) for e in range(-4, 7)]  # 0.01 to 1,000
JITTER = 1e-5  # on the kernel's diagonal, times the root of the landmarks' number
LARGEST = 2**28  # numbers of the samples' kernel features: 1 GiB; fewer landmarks above


class KernelRidge:
    """Nystroem approximation of kernel ridge regression on some landmarks.

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
        Number of samples that serve as landmarks.
    generator : torch.Generator
        Chooses the landmarks; on the CPU.

    Attributes
    ----------
    landmarks : tensor of shape (n_landmarks, d)
        The landmarks.
    gamma : float
        The kernel's decay.
    error : float
        Leave-one-out squared error of the last fit.
    coefficients : tensor of shape (n_landmarks, n_classes)
        Weights of the kernel values.
    intercept : tensor of shape (n_classes,)
        What is added to them.

    References
    ----------
    Williams and Seeger, Using the Nystroem Method to Speed Up Kernel Machines, NIPS
    2000. The leave-one-out predictions are those of PRESS: Allen, The Relationship
    between Variable Selection and Data Augmentation and a Method for Prediction,
    Technometrics 1974.

    Examples
    --------
    >>> import torch
    >>> from sknoisy.cotraining.kernel_ridge import KernelRidge
    >>> generator = torch.Generator().manual_seed(0)
    >>> X = torch.linspace(-1, 1, 50)[:, None]
    >>> ridge = KernelRidge(X, power=2, width=1.0, n_landmarks=20, generator=generator)
    >>> left_out = ridge.fit(X.sin())
    >>> bool((left_out - X.sin()).abs().mean() < 0.01)
    True
    """

    def __init__(self, X, power, width, n_landmarks, generator):
        n_landmarks = max(1, min(n_landmarks, len(X), LARGEST // len(X)))
        chosen = torch.randperm(len(X), generator=generator, device="cpu")[:n_landmarks]
        self.landmarks = X[chosen.to(X.device)]
        self.power = power
        self.gamma = width / self._median_distance() ** power
        K = kernel(self.landmarks, self.landmarks, self.gamma, power).double()
        K.diagonal().add_(JITTER * len(K) ** 0.5)
        lower, one = (
            torch.linalg.cholesky(K),
            torch.eye(len(K), dtype=K.dtype, device=K.device),
        )
        whiten = torch.linalg.solve_triangular(lower, one, upper=False).T.float()
        features = kernel(X, self.landmarks, self.gamma, power) @ whiten
        centre = features.mean(dim=0)
        features -= centre
        gram = (features.T @ features).double()
        spectrum, basis = torch.linalg.eigh(gram)
        self._spectrum, basis = spectrum.clamp(min=0).float(), basis.float()
        self._features = features @ basis
        self._projection, self._offset = whiten @ basis, centre @ basis

    def fit(self, targets):
        """Regress targets, with the penalty of least leave-one-out squared error.

        Parameters
        ----------
        targets : tensor of shape (n_samples, n_classes), float32
            What to regress.

        Returns
        -------
        left_out : tensor of shape (n_samples, n_classes)
            The prediction for each sample by the others.
        """
        mean = targets.mean(dim=0)
        rest = targets - mean
        products = self._features.T @ rest
        self.error = math.inf
        for penalty in PENALTIES:
            weights = 1 / (self._spectrum + penalty)
            solution = weights[:, None] * products
            leverage = self._leverage(weights)[:, None]
            fitted = self._features @ solution
            predicted = mean + (fitted - leverage * rest) / (1 - leverage)
            error = (predicted - targets).square().mean().item()
            if error < self.error:
                self.error, best, left_out = error, solution, predicted
        self.coefficients = self._projection @ best
        self.intercept = mean - self._offset @ best
        return left_out

    def _leverage(self, weights):
        """Return how far each sample's prediction follows its own target."""
        parts = self._features.split(2**14)
        own = torch.cat([part.square() @ weights for part in parts])
        return (own + 1 / len(own)).clamp(max=0.999)

    def _median_distance(self):
        distances = torch.pdist(self.landmarks[:500], p=float(self.power))
        distances = distances[distances > 0]
        return float(distances.median()) if len(distances) else 1.0
