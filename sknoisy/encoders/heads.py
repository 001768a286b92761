"""Heads: from features to logits."""

import torch
from torch import nn

from sknoisy.data.devices import full_precision

LEAST_PROBABILITY = 1e-3  # of a class, by a kernel machine
LEAST_IN_ALL = 1e-2  # of all classes: with 1,000 of 0.001, none could be above 0.5
UNLIMITED = 1e30  # what scaled features are clipped to, where they are not


class _ShapedByState(nn.Module):
    """A module whose tensors take the shapes of the state that is loaded."""

    def _load_from_state_dict(self, state_dict, prefix, *args):
        for tensors in (self._buffers, self._parameters):
            for name, old in tensors.items():
                new = state_dict.get(prefix + name)
                if new is not None and new.shape != old.shape:
                    empty = torch.empty(new.shape, dtype=old.dtype, device=old.device)
                    is_parameter = isinstance(old, nn.Parameter)
                    tensors[name] = nn.Parameter(empty) if is_parameter else empty
        super()._load_from_state_dict(state_dict, prefix, *args)


class Rescale(_ShapedByState):
    """Centres features and divides them by scales, clipped to what was common.

    Before that, columns that have a unit, because of their long tails, are transformed
    by the inverse hyperbolic sine, which is linear below one unit and a logarithm far
    above. At the end, the features may be turned to other axes.

    Parameters
    ----------
    n_features : int
        Number of features.
    """

    def __init__(self, n_features):
        super().__init__()
        self.register_buffer("centre", torch.zeros(n_features))
        self.register_buffer("scale", torch.ones(n_features))
        self.register_buffer("limit", torch.zeros(()))
        self.register_buffer("unit", torch.zeros(0))  # for each column, or for none
        self.register_buffer("axes", torch.zeros(0))  # (n_features, n_axes), or none
        self.reset_state()

    def reset_state(self):
        """Leave features as they are."""
        self.centre.zero_()
        self.scale.fill_(1)
        self.limit.fill_(UNLIMITED)
        self.unit = self.unit.new_zeros(0)
        self.axes = self.axes.new_zeros(0)

    def _load_from_state_dict(self, state_dict, prefix, *args):
        for name in ("unit", "axes"):  # which older files lack
            state_dict.setdefault(prefix + name, torch.zeros(0))
        super()._load_from_state_dict(state_dict, prefix, *args)

    def forward(self, features):  # noqa: D102
        centred = features - self.centre
        if len(self.unit):
            has_unit = self.unit > 0
            drawn_in = (centred / torch.where(has_unit, self.unit, 1.0)).asinh()
            centred = torch.where(has_unit, drawn_in, centred)
        scaled = centred / self.scale
        scaled = scaled.maximum(-self.limit).minimum(self.limit)
        return scaled @ self.axes if len(self.axes) else scaled


class KernelHead(_ShapedByState):
    """A kernel machine with fixed landmarks: log-probabilities of classes.

    Its tensors are set, not trained. Before they are, all classes are equally probable.

    Parameters
    ----------
    n_features, n_classes : int
        Numbers of inputs and outputs.
    """

    def __init__(self, n_features, n_classes):
        super().__init__()
        self.rescale = Rescale(n_features)
        self.register_buffer("landmarks", torch.zeros(1, n_features))
        # Whether there is an element says which kernel: shapes are known without
        # waiting for a device, and to compilers.
        self.register_buffer("laplacian", torch.zeros(0))
        self.register_buffer("gamma", torch.zeros(()))
        self.register_buffer("coefficients", torch.zeros(1, n_classes))
        self.register_buffer("intercept", torch.zeros(n_classes))

    def reset_state(self):
        """Make all classes equally probable."""
        for tensor in self.buffers(recurse=False):
            tensor.zero_()

    def forward(self, features):
        """Return log-probabilities, (n, n_classes), float32."""
        with full_precision(features):
            scaled = self.rescale(features.float())
            power = 1 if len(self.laplacian) else 2
            values = kernel(scaled, self.landmarks, self.gamma, power)
            return simplex(values @ self.coefficients + self.intercept).log()


def kernel(samples, landmarks, gamma, power):
    """Return kernel values, exp(-gamma |x - z|^power).

    Parameters
    ----------
    samples : tensor of shape (n, d)
        Samples.
    landmarks : tensor of shape (m, d)
        What they are compared with.
    gamma : float or tensor of shape ()
        How fast the kernel falls.
    power : {1, 2}
        2: the Gaussian kernel, by Euclidean distances; 1: the Laplacian one, by the sum
        of absolute differences.

    Returns
    -------
    values : tensor of shape (n, m)
        In (0, 1].
    """
    return (-gamma * distances(samples, landmarks, power)).exp()


def distances(samples, landmarks, power):
    """Return |x - z|^power, (n, m); the parameters are those of :func:`kernel`."""
    if power == 1:
        return torch.cdist(samples, landmarks, p=1.0)
    squares = samples.square().sum(dim=1)[:, None] + landmarks.square().sum(dim=1)
    return (squares - 2 * samples @ landmarks.T).clamp(min=0)


def simplex(values):
    """Return probabilities from regressed ones, of the sum 1 and none of them 0.

    Values below 0.001 are raised to it; with more than ten classes, those below a
    hundredth of an equal share.
    """
    values = values.clamp(min=min(LEAST_PROBABILITY, LEAST_IN_ALL / values.shape[1]))
    return values / values.sum(dim=1, keepdim=True)


def mlp_head(n_features, n_classes):
    """Return a head with one hidden, normalised layer."""
    return nn.Sequential(
        nn.Linear(n_features, n_features, bias=False),
        nn.BatchNorm1d(n_features),
        nn.ReLU(inplace=True),
        nn.Linear(n_features, n_classes),
    )


# What a user may choose; methods bring others.
HEADS = {"linear": nn.Linear, "mlp": mlp_head}
METHOD_HEADS = HEADS | {"kernel": KernelHead}
