"""Base class of random views."""

import numpy as np

from sknoisy.checks import check_real
from sknoisy.parameters import Method


class Views(Method):
    """Base class of random views, which augment each sample of a batch.

    A subclass assigns its parameters in ``__init__``, validates them in ``check`` and
    returns augmented samples from ``__call__``.

    Examples
    --------
    >>> import torch
    >>> from sknoisy.views import Views
    >>> class Scaled(Views):
    ...     def __call__(self, batch, generator):
    ...         factor = torch.rand(len(batch), 1, generator=generator)
    ...         return factor * batch
    >>> Scaled()(torch.zeros(1, 2), torch.Generator())
    tensor([[0., 0.]])
    """

    def __call__(self, batch, generator):
        """Return one random view of each sample.

        Parameters
        ----------
        batch : tensor of shape (n, d) or (n, C, H, W), float32
            Samples; images in [0, 1].
        generator : torch.Generator
            Source of randomness, on the device of `batch`.

        Returns
        -------
        view : tensor of the same shape as `batch`
            The augmented samples. `batch` itself must not be changed.
        """
        raise NotImplementedError(f"{type(self).__name__} must define __call__.")


class NoViews(Views):
    """Views that leave the samples unchanged; "none" for short."""

    def __call__(self, batch, generator):  # noqa: D102
        return batch


def check_numbers(name, values, n, interval):
    """Raise ``ValueError`` unless a parameter is n numbers in an interval."""
    is_list = isinstance(values, (tuple, list, np.ndarray))
    if not is_list or getattr(values, "ndim", 1) == 0 or len(values) != n:
        raise ValueError(
            f"{name}={values!r} is not valid: it must be {n} numbers in {interval}."
        )
    for value in values:
        check_real(name, value, interval)


def check_range(name, ends, interval):
    """Raise ``ValueError`` unless two bounds lie in an interval, in ascending order.

    Parameters
    ----------
    name : str
        Name of the parameter.
    ends : (float, float)
        Its value.
    interval : str
        Interval of both bounds; see :func:`sknoisy.checks.check_real`.
    """
    check_numbers(name, ends, 2, interval)
    if ends[0] > ends[1]:
        raise ValueError(
            f"{name}={ends!r} is not valid: the first number must not be larger than "
            "the second."
        )
