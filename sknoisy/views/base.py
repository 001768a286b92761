"""Base class of random views."""

import numpy as np
import torch

from sknoisy.checks import check_real, described
from sknoisy.data.devices import full_precision, to_channels_last
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
            The augmented samples, float32. `batch` must not be changed in place.
        """
        raise NotImplementedError(f"{type(self).__name__} must define __call__.")


class NoViews(Views):
    """Views that leave the samples unchanged; "none" for short."""

    def __call__(self, batch, generator):  # noqa: D102
        return batch


def random_view(views, batch, generator):
    """Return a random view of each sample, in the memory format of convolutions.

    Parameters
    ----------
    views : Views
        The augmentation.
    batch : tensor of shape (n, ...), float32
        Samples.
    generator : torch.Generator
        Source of randomness, on the device of `batch`.

    Returns
    -------
    view : tensor of shape (n, ...), float32
        The augmented samples.

    Raises
    ------
    ValueError
        If the views changed `batch`, or returned anything but as many samples of the
        same shape and dtype.
    """
    version = None if batch.is_inference() else batch._version
    with full_precision(batch):
        view = views(batch, generator)
    if version is not None and batch._version != version:
        raise ValueError(
            f"{views!r} changed the batch that it was given, from which other views "
            "are made too: change a copy, batch.clone()."
        )
    is_alike = isinstance(view, torch.Tensor) and view.shape == batch.shape
    if not is_alike or view.dtype != batch.dtype:
        raise ValueError(
            f"{views!r} returned {described(view)} for a batch of shape "
            f"{tuple(batch.shape)}: it must return a tensor of the same shape, "
            f"{batch.dtype}."
        )
    return to_channels_last(view)


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
