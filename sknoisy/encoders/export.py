"""A trained network as one PyTorch module, from raw samples to what it is for."""

import torch
from torch import nn

from sknoisy.encoders.architecture import Ensemble


class RawInput(nn.Module):
    """Brings raw samples to the form that networks take: the first layer.

    Parameters
    ----------
    spec : InputSpec
        What the samples are.
    """

    def __init__(self, spec):
        super().__init__()
        self.spec = spec.for_any()
        shift = None if spec.shift is None else torch.from_numpy(spec.shift.copy())
        unit = None if spec.unit is None else torch.from_numpy(spec.unit.copy())
        self.register_buffer("shift", shift)
        self.register_buffer("unit", unit)

    def forward(self, samples):
        """Return float32 samples of shape (n, d) or (n, C, H, W)."""
        if self.shift is not None:
            samples = samples.double() - self.shift
            if self.unit is not None:
                samples = samples / self.unit
            samples = samples.float()
        return self.spec.prepare(samples.clone())  # which may work in place


class ProbabilityModule(nn.Module):
    """A classifier as one module, from raw samples to probabilities.

    Parameters
    ----------
    spec : InputSpec
        What the samples are.
    network : torch.nn.Module
        From prepared samples to logits, or an Ensemble.

    Attributes
    ----------
    input : RawInput
        Scaling and layout.
    network : torch.nn.Module
        With submodules ``encoder`` and ``head``, or ``networks`` of these.
    """

    def __init__(self, spec, network):
        super().__init__()
        self.input = RawInput(spec)
        self.network = network

    def forward(self, samples):
        """Return the probabilities of the classes, (n, n_classes), float32."""
        logits = self.network(self.input(samples))
        if not isinstance(self.network, Ensemble):
            return logits.softmax(dim=1)
        return self.network.of_prediction(logits).softmax(dim=2).mean(dim=1)
