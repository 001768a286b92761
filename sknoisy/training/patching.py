"""Layers that compute in another way for a while."""

from contextlib import contextmanager
from functools import partial


@contextmanager
def computing_by(function, layers):
    """In this context ``function(layer, ...)`` stands for the layers' ``forward``.

    Copies that are made in this context keep it. A layer that has a ``forward`` of its
    own, rather than of its class, is left alone.

    Parameters
    ----------
    function : callable
        Takes the layer, and what its ``forward`` takes.
    layers : iterable of torch.nn.Module
        The layers.
    """
    layers = [layer for layer in layers if "forward" not in vars(layer)]
    for layer in layers:
        layer.forward = partial(function, layer)
    try:
        yield
    finally:
        for layer in layers:
            vars(layer).pop("forward", None)
