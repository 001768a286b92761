"""Modules in evaluation mode, for a while."""

from contextlib import contextmanager


@contextmanager
def evaluating(module):
    """In this context a module is in evaluation mode; then each part is as it was.

    Parameters
    ----------
    module : torch.nn.Module
        Whose parts may be in different modes.
    """
    modes = [(part, part.training) for part in module.modules()]
    module.eval()
    try:
        yield
    finally:
        for part, mode in modes:
            part.training = mode
