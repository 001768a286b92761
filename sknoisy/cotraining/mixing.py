"""Mixed samples, and targets that are mixed, refined and sharpened."""

import torch

from sknoisy.losses.expected import LEAST_WEIGHT, as_distributions
from sknoisy.ranks import in_parts


def mixup(inputs, targets, lam, order):
    """Mix each sample with another.

    Parameters
    ----------
    inputs : tensor of shape (n, ...)
        Samples.
    targets : tensor of shape (n, n_classes)
        Their probabilities of the classes.
    lam : float
        Weight of the sample itself, for which the larger of lam and 1 - lam is taken.
    order : tensor of shape (n,), int64
        Positions of the other samples in the batch.

    Returns
    -------
    inputs, targets : tensors
        Mixed inputs and targets, of the same shapes.

    References
    ----------
    Zhang et al., mixup: Beyond Empirical Risk Minimization, ICLR 2018. Taking the
    larger weight is due to MixMatch.

    Examples
    --------
    >>> import torch
    >>> from sknoisy.cotraining import mixup
    >>> mixup(torch.tensor([[0.0], [4.0]]), torch.eye(2), 0.25, torch.tensor([1, 0]))
    (tensor([[1.],
            [3.]]), tensor([[0.7500, 0.2500],
            [0.2500, 0.7500]]))
    """
    lam = max(lam, 1 - lam)
    return inputs.lerp(inputs[order], 1 - lam), targets.lerp(targets[order], 1 - lam)


def refine(probs, target, clean):
    """Return targets of labelled samples: label and prediction, by the label's trust.

    Parameters
    ----------
    probs : tensor of shape (n, n_classes)
        The network's predictions, mean over views.
    target : tensor of shape (n,), int64, or (n, n_classes)
        Codes of the given labels, or soft labels.
    clean : tensor of shape (n,)
        How probably each label is right.

    Returns
    -------
    refined : tensor of shape (n, n_classes)
        Before sharpening.
    """
    given = as_distributions(target, probs.shape[1], probs.dtype)
    return probs.lerp(given, clean[:, None])


@torch.no_grad()
def predicted(network, views):
    """Return a network's predictions, means over views of the same samples.

    Parameters
    ----------
    network : callable
        Returns logits.
    views : list of tensor of shape (n, ...)
        All of the samples.

    Returns
    -------
    probs : tensor of shape (n, n_classes), float32
        Without gradients.
    """
    probs = in_parts(network, torch.cat(views)).float().softmax(dim=1)
    return probs.view(len(views), len(views[0]), -1).mean(dim=0)


def refined_and_guessed(probs, target, clean, of_other):
    """Return targets: co-refined of labelled samples, co-guessed of the others.

    Parameters
    ----------
    probs : tensor of shape (n, n_classes)
        Predictions of the network that is trained; labelled samples come first.
    target : tensor of shape (n_labelled,), int64, or (n_labelled, n_classes)
        Codes of the given labels, or soft labels.
    clean : tensor of shape (n_labelled,)
        How probably each label is right.
    of_other : tensor of shape (n - n_labelled, n_classes), or None if all are labelled
        Predictions of the other network.

    Returns
    -------
    targets : tensor of shape (n, n_classes)
        Before sharpening.
    """
    n_labelled = len(target)
    targets = refine(probs[:n_labelled], target, clean)
    if of_other is None:
        return targets
    return torch.cat([targets, (probs[n_labelled:] + of_other) / 2])


def mixed_loss(log_p, targets):
    """Return the cross-entropy of mixed samples, by their weights.

    Parameters
    ----------
    log_p : tensor of shape (n, n_classes)
        Logarithm of the probabilities.
    targets : tensor of shape (n, n_classes)
        What they should be. Where samples have weights, rows were multiplied by these
        before they were mixed, and sum to them.

    Returns
    -------
    loss : tensor of shape ()
        The mean.
    """
    losses = -(targets * log_p).sum(dim=1)
    return losses.sum() / targets.sum().clamp(min=LEAST_WEIGHT)


def weigh(targets, weights):
    """Return targets times the weights of their samples; None: they stay."""
    return targets if weights is None else targets * weights[:, None]


def sharpen(probs, temperature):
    """Raise probabilities to the power 1 / temperature, and normalise them.

    Parameters
    ----------
    probs : tensor of shape (n, n_classes)
        Probabilities.
    temperature : float
        1 leaves them unchanged; towards 0 the largest becomes 1.

    Returns
    -------
    probs : tensor of shape (n, n_classes)
        Sharpened.

    Examples
    --------
    >>> import torch
    >>> from sknoisy.cotraining import sharpen
    >>> sharpen(torch.tensor([[0.75, 0.25]]), temperature=0.5)
    tensor([[0.9000, 0.1000]])
    """
    # By logarithms: a high power of small numbers would be 0 of 0.
    log_probs = probs.clamp(min=torch.finfo(probs.dtype).tiny).log()
    return (log_probs / temperature).softmax(dim=1)


def uniform_penalty(logits):
    """Return how far the mean prediction of a batch is from uniform.

    Parameters
    ----------
    logits : tensor of shape (n, n_classes)
        Logits of a network.

    Returns
    -------
    penalty : tensor of shape ()
        Divergence of the uniform distribution from the mean prediction, in nats.
    """
    n_classes = logits.shape[1]
    mean = logits.softmax(dim=1).mean(dim=0)
    tiny = torch.finfo(mean.dtype).tiny
    return -(mean * n_classes).clamp(min=tiny).log().mean()
