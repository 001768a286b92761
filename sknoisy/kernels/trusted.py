"""What trusted labels say of the predictions of all samples."""

from math import inf

import torch

from sknoisy.encoders.heads import simplex
from sknoisy.kernels.ridge import KernelRidge

SURE = 2.0  # standard errors that an error must fall by


def corrected_by_trusted(
    X,
    probs,
    given,
    trusted,
    power,
    width,
    n_landmarks,
    generator,
    weights=None,
    originals=None,
):
    """Return probabilities, less the errors that trusted labels show.

    A regression of its own learns how far predictions of left-out samples are off the
    trusted labels.

    Parameters
    ----------
    X : tensor of shape (n_samples, d), float32
        Scaled samples.
    probs : tensor of shape (n_samples, n_classes)
        Probabilities of the classes of samples that were left out.
    given : tensor of shape (n_samples, n_classes)
        The labels.
    trusted : tensor of shape (n_samples,), bool
        Which labels are right.
    power, width, n_landmarks, generator, weights, originals
        See :class:`~sknoisy.kernels.ridge.KernelRidge`. Without weight a trusted label
        has no say.

    Returns
    -------
    probs : tensor of shape (n_samples, n_classes)
        Those of trusted samples are without their own labels.
    penalty : float
        That of the regression; infinite if no trusted label has a say.
    """
    if weights is not None:
        trusted = trusted & (weights > 0)
        weights = weights[trusted]
    if not trusted.any():
        return probs, inf
    if originals is not None:
        originals = originals[trusted].unique(return_inverse=True)[1]
    ridge = KernelRidge(
        X[trusted],
        power,
        width,
        n_landmarks,
        generator,
        weights=weights,
        originals=originals,
    )
    left_out = ridge.fit((given - probs)[trusted])
    off = ridge.predict(X)
    off[trusted] = left_out
    return simplex(probs + off), ridge.penalty


def lower(before, after, sure=SURE):
    """Whether errors of trusted samples are lower, by more than chance explains.

    One sample more is taken to speak against it, for a few may all happen to agree.

    Parameters
    ----------
    before, after : tensor of shape (n_trusted,)
        Errors of the same samples.
    sure : float, default=2.0
        How many standard errors they must be lower by.
    """
    gains = torch.cat([before - after, before.new_tensor([-1.0])])
    error = gains.std(correction=0) / len(gains) ** 0.5
    return bool(gains.mean() > sure * error)
