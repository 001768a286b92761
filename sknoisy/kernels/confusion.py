"""How labels are confused with classes, and what trusted labels tell of it."""

import torch
from torch.nn.functional import one_hot

from sknoisy.encoders.heads import simplex
from sknoisy.kernels.trusted import lower
from sknoisy.scores import trusted_transition_matrix

SHARPEST = 0.02  # factor that posteriors are stretched by, at most 1 over this
STRETCHES = [2 ** (e / 4) for e in range(-4, 17)]  # 1/2 to 16
RIGHT = 0.999  # labels at most, as far as the surest predictions tell
UNSEEN = 1e-6  # least probability of a label, by trusted ones
ROUNDING = 1e-9  # of shares of agreement


def confusion(probs, shares, trusted, leverage):
    """Return the probability of each label (column) for each true class (row).

    Parameters
    ----------
    probs : tensor of shape (n, n_classes)
        Predictions of samples that were left out. They stand for the true classes.
    shares : tensor of shape (n, n_classes)
        Weighted labels.
    trusted : tensor of shape (n,), bool, or None
        Which labels are right; these say how predictions err, see
        :func:`sknoisy.scores.trusted_transition_matrix`.
    leverage : float or tensor of shape ()
        See :class:`~sknoisy.kernels.ridge.KernelRidge`. The more there is, the less the
        predictions of left-out samples tell of whether labels are right, and the more
        is concluded from the surest.
    """
    predicted = one_hot(probs.argmax(dim=1), shares.shape[1]).to(shares)
    some = trusted is not None and not trusted.all()
    if some:
        errors = shares[trusted].T @ predicted[trusted]
        predicted, shares = predicted[~trusted], shares[~trusted]
        T = _by_trusted(errors, predicted.T @ shares + 0.1)
    else:
        T = (predicted.T @ shares).double() + 0.1  # nearly 0 and 1 of many labels
        T = T / T.sum(dim=1, keepdim=True)
    if len(T) > 2:  # a single difference does not tell how much they vary
        sizes = _sizes(predicted, shares.sum(dim=1)).double().clamp(min=UNSEEN)
        target = mean = sizes @ T.diagonal() / sizes.sum()
        if not some:
            surer = surer_agreement(probs, shares).clamp(max=RIGHT).maximum(mean)
            target = mean + leverage * (surer - mean)
        T = evened(T, sizes, target)
    return T.to(shares)


def _by_trusted(errors, joint):
    """Return the confusion, given how often which errors are made, float64.

    Parameters
    ----------
    errors, joint : tensor of shape (n_classes, n_classes)
        Counts of trusted labels and predictions, and of predictions and other labels.
    """
    start = joint / joint.sum(dim=1, keepdim=True)
    T = trusted_transition_matrix(*(m.cpu().numpy() for m in (errors, joint, start)))
    T = torch.from_numpy(T).to(joint.device).clamp(min=UNSEEN)
    return T / T.sum(dim=1, keepdim=True)


def agrees_less_than_chance(probs, shares):
    """Whether predictions agree with labels less often than if independent of them.

    Parameters
    ----------
    probs : tensor of shape (n, n_classes)
        Predictions of samples that were left out.
    shares : tensor of shape (n, n_classes)
        Weighted labels.
    """
    predicted = one_hot(probs.argmax(dim=1), shares.shape[1]).to(shares).double()
    joint = predicted.T @ shares.double()
    joint = joint / joint.sum()
    independent = joint.sum(dim=1) @ joint.sum(dim=0)
    return bool(joint.trace() < independent - ROUNDING)


def surer_agreement(probs, shares):
    """Return how often the surer half of predictions agrees with the labels, (,).

    These are the surer ones of each predicted class, so that all classes count as they
    do among all predictions.

    Parameters
    ----------
    probs : tensor of shape (n, n_classes)
        Predictions of samples that were left out.
    shares : tensor of shape (n, n_classes)
        Weighted labels.
    """
    (sureness, predicted), shares = probs.max(dim=1), shares.double()
    order = sureness.argsort(descending=True)
    order = order[predicted[order].argsort(stable=True)]
    classes, counted = predicted[order], shares.sum(dim=1)[order]
    sizes = shares.new_zeros(probs.shape[1]).index_add(0, classes, counted)
    before = (counted.cumsum(dim=0) - counted) - (sizes.cumsum(dim=0) - sizes)[classes]
    half = order[before < sizes[classes] / 2]
    least = torch.full_like(sizes, torch.inf).to(sureness)
    least = least.scatter_reduce(0, predicted[half], sureness[half], "amin")
    surer = sureness >= least[predicted]  # with all that are as sure
    agreeing = shares[surer].gather(1, predicted[surer, None])
    return agreeing.sum() / shares[surer].sum().clamp(min=1e-12)


def evened(transition_matrix, sizes, target):
    """Make classes equally often right, as far as chance explains the differences.

    Of few samples some class happens to have labels that agree with the predictions. It
    would be believed more than the others, and take over their samples.

    Parameters
    ----------
    transition_matrix : tensor of shape (n_classes, n_classes), float64
        Counted shares of the labels (columns) of each class (row), all above 0.
    sizes : tensor of shape (n_classes,), float64
        How many samples were counted of each class.
    target : tensor of shape (), float64
        How often labels of all classes are right.

    Returns
    -------
    transition_matrix : tensor of shape (n_classes, n_classes)
        Each diagonal element is moved towards the target, by the share of its variance
        that is chance; the rest of the row keeps its proportions. The variance between
        classes is estimated by moments, as DerSimonian and Laird do.
    """
    right, total = transition_matrix.diagonal(), sizes.sum()
    mean = sizes @ right / total
    chance = mean * (1 - mean)  # variance of one sample; of a class, by its size
    excess = sizes @ (right - mean).square() - (len(sizes) - 1) * chance
    between = excess.clamp(min=0) / (total - sizes.square().sum() / total).clamp(min=1)
    moved = right + chance / (chance + sizes * between) * (target - right)
    rest = transition_matrix * ((1 - moved) / (1 - right))[:, None]
    return rest.diagonal_scatter(moved)


def _sizes(predicted, counted):
    """Return how many samples were predicted of each class, (n_classes,).

    As many labels of equal weight tell as much: Kish's effective sample size.
    """
    squares = predicted.T @ counted.square()
    return (predicted.T @ counted).square() / squares.clamp(min=1e-12)


def sharpened(probs):
    """Stretch probabilities away from uniform, until the median sample is sure.

    Regression on labels of which most are wrong gives probabilities near uniform; which
    class is the largest is kept.

    Parameters
    ----------
    probs : tensor of shape (n, n_classes)
        Regressed probabilities, which need not be positive.
    """
    even = 1 / probs.shape[1]
    sure = (probs.amax(dim=1).median() - even) / (1 - even)
    return stretched(probs, 1 / sure.clamp(SHARPEST, 1))


def stretched(values, factor):
    """Move regressed probabilities away from uniform, by a factor of the distance."""
    even = 1 / values.shape[-1]
    return even + (values - even) * factor


def best_stretch(values, labels):
    """Return the factor that makes regressed probabilities fit right labels best.

    Parameters
    ----------
    values : tensor of shape (n, n_classes)
        Regressed probabilities of samples that were left out.
    labels : tensor of shape (n, n_classes)
        Their labels.

    Returns
    -------
    factor : float
        That of least log loss after :func:`stretched`; 1 if it is better than none by
        less than chance explains, as with few samples.
    """

    def errors(factor):
        return -(labels * simplex(stretched(values, factor)).log()).sum(dim=1)

    factor = min(STRETCHES, key=lambda factor: float(errors(factor).mean()))
    return factor if lower(errors(1.0), errors(factor)) else 1.0
