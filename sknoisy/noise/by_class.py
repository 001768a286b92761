"""Noise that depends on the class alone."""

import numpy as np

from sknoisy.checks import check_transition_matrix
from sknoisy.noise.base import choose, noisy_labels, pick, prepare

PART = 2**12  # labels that are drawn at a time: each takes a row of the matrix


def symmetric_exclusive(y, rate, random_state=None):
    """Replace a share of each class's labels by random labels of other classes.

    This is the "symmetric noise" of the active passive losses, MOIT, JoCoR and robust
    feature learning. `rate` is the share of wrong labels.

    Parameters
    ----------
    y : array-like of shape (n_samples,)
        Clean labels.
    rate : float
        Share of each class's labels that become wrong, in [0, 1); rounded to whole
        samples.
    random_state : int, RandomState or None, default=None
        Source of randomness.

    Returns
    -------
    noisy : NoisyLabels
        The noisy labels, and how they differ from the clean ones.

    Examples
    --------
    >>> import numpy as np
    >>> from sknoisy.noise import symmetric_exclusive
    >>> y = np.repeat(["cat", "dog", "eel"], 100)
    >>> symmetric_exclusive(y, rate=0.6, random_state=0).rate
    0.6
    """
    classes, codes, rng = prepare(y, rate, random_state)
    noisy = codes.copy()
    chosen = choose(codes, rate, rng)
    noisy[chosen] += rng.randint(1, len(classes), size=len(chosen))
    return noisy_labels(classes, codes, noisy % len(classes))


def symmetric_inclusive(y, rate, random_state=None):
    """Replace a share of each class's labels by random labels of all classes.

    This is the "symmetric noise" of ELR, DivideMix, C2D, PENCIL, Joint Optimization and
    SOP. A redrawn label may be right by chance, so with 10 classes and rate 0.8 the
    share of wrong labels is 0.72.

    Parameters
    ----------
    y : array-like of shape (n_samples,)
        Clean labels.
    rate : float
        Share of each class's labels that are redrawn, in [0, 1); rounded to whole
        samples.
    random_state : int, RandomState or None, default=None
        Source of randomness.

    Returns
    -------
    noisy : NoisyLabels
        The noisy labels, and how they differ from the clean ones.

    Examples
    --------
    >>> import numpy as np
    >>> from sknoisy.noise import symmetric_inclusive
    >>> y = np.arange(10_000) % 10
    >>> round(symmetric_inclusive(y, rate=0.8, random_state=0).rate, 1)
    0.7
    """
    classes, codes, rng = prepare(y, rate, random_state)
    noisy = codes.copy()
    chosen = choose(codes, rate, rng)
    noisy[chosen] = rng.randint(len(classes), size=len(chosen))
    return noisy_labels(classes, codes, noisy)


def pair_flip(y, rate, random_state=None):
    """Replace a share of each class's labels by the next class.

    This is the "pair flip" of co-teaching and the "asymmetric noise" of robust feature
    learning. The last class is followed by the first.

    Parameters
    ----------
    y : array-like of shape (n_samples,)
        Clean labels.
    rate : float
        Share of each class's labels that become wrong, in [0, 1); rounded to whole
        samples.
    random_state : int, RandomState or None, default=None
        Source of randomness.

    Returns
    -------
    noisy : NoisyLabels
        The noisy labels, and how they differ from the clean ones.

    Examples
    --------
    >>> import numpy as np
    >>> from sknoisy.noise import pair_flip
    >>> pair_flip(np.repeat([0, 1], 10), rate=0.2, random_state=0).transition_matrix
    array([[0.8, 0.2], [0.2, 0.8]])
    """
    classes, codes, rng = prepare(y, rate, random_state)
    noisy = codes.copy()
    noisy[choose(codes, rate, rng)] += 1
    return noisy_labels(classes, codes, noisy % len(classes))


def class_conditional(y, transition_matrix, random_state=None):
    """Draw each label from the row of a transition matrix for its class.

    Parameters
    ----------
    y : array-like of shape (n_samples,)
        Clean labels.
    transition_matrix : array-like of shape (n_classes, n_classes)
        Probability of each label (column) for each clean class (row), in the sorted
        order of the classes.
    random_state : int, RandomState or None, default=None
        Source of randomness.

    Returns
    -------
    noisy : NoisyLabels
        The noisy labels. The realised transition matrix is close to the given one, not
        equal.

    Examples
    --------
    >>> import numpy as np
    >>> from sknoisy.noise import class_conditional
    >>> T = [[1.0, 0.0], [0.5, 0.5]]
    >>> class_conditional(np.repeat([0, 1], 50), T, random_state=0).transition_matrix[0]
    array([1., 0.])
    """
    classes, codes, rng = prepare(y, 0.0, random_state)
    T = check_transition_matrix(transition_matrix, len(classes))
    draws, noisy = rng.random_sample(len(codes)), np.empty_like(codes)
    for start in range(0, len(codes), PART):
        part = slice(start, start + PART)
        noisy[part] = pick(T[codes[part]], draws[part])
    return noisy_labels(classes, codes, noisy)
