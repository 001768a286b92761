"""Asymmetric noise of CIFAR-10 and CIFAR-100, each published kind by its name."""

import numpy as np

from sknoisy.noise.base import choose, noisy_labels, prepare

CIFAR10_CONFUSIONS = {9: 1, 2: 0, 3: 5, 5: 3, 4: 7}  # truck, bird, cat and dog, deer

# Superclass of each class of CIFAR-100, both in alphabetical order.
CIFAR100_SUPERCLASSES = np.array(
    """
    4 1 14 8 0 6 7 7 18 3 3 14 9 18 7 11 3 9 7 11 6 11 5 10 7 6 13 15 3 15 0 11 1 10 12
    14 16 9 11 5 5 19 8 8 15 13 14 17 18 10 16 4 17 4 2 0 17 4 18 17 10 3 2 12 12 16 12
    1 9 19 2 10 0 1 16 12 9 13 15 13 16 19 2 4 6 19 5 5 8 19 18 1 2 15 6 0 17 8 14 13
    """.split(),
    dtype=int,
)


def asymmetric_cifar10(y, rate, random_state=None):
    """Replace labels of CIFAR-10 by similar classes.

    Truck becomes automobile, bird becomes airplane, deer becomes horse, and cat and dog
    become each other, as in all official code. The other five classes stay clean, so
    the share of wrong labels is half the rate.

    Parameters
    ----------
    y : array-like of shape (n_samples,)
        Clean labels of CIFAR-10, as numbers from 0 to 9 or as names, whose alphabetical
        order is the usual order of the classes.
    rate : float
        Share of wrong labels in each of the five classes, in [0, 1); rounded to whole
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
    >>> from sknoisy.noise import asymmetric_cifar10
    >>> asymmetric_cifar10(np.arange(1000) % 10, rate=0.4, random_state=0).rate
    0.2
    """
    classes, codes, rng = prepare(y, rate, random_state)
    if len(classes) != 10:
        raise ValueError(f"y holds {len(classes)} classes, but CIFAR-10 has 10.")
    noisy = codes.copy()
    for chosen in choose(codes, rate, rng):
        noisy[chosen] = CIFAR10_CONFUSIONS.get(codes[chosen], codes[chosen])
    return noisy_labels(classes, codes, noisy)


def asymmetric_cifar100_consecutive(y, rate, random_state=None):
    """Replace labels of CIFAR-100 by the next of five consecutive classes.

    This is the "asymmetric noise" of the official code of the active passive losses,
    ELR, JoCoR and UNICON. Each class i becomes i + 1 within a group of five (5k to
    5k + 4), and the last class of the group becomes the first. In alphabetical order
    these groups are not superclasses: apple becomes aquarium fish.

    Parameters
    ----------
    y : array-like of shape (n_samples,)
        Clean labels of CIFAR-100: its hundred classes in their usual order.
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
    >>> from sknoisy.noise import asymmetric_cifar100_consecutive
    >>> noisy = asymmetric_cifar100_consecutive(np.arange(1000) % 100, 0.4, 0)
    >>> noisy.transition_matrix[4, [4, 0]]
    array([0.6, 0.4])
    """
    return _within_groups(y, rate, random_state, np.arange(100) // 5, next_one=True)


def asymmetric_cifar100_circular(y, rate, random_state=None):
    """Replace labels of CIFAR-100 by the next class of the superclass.

    This is the "asymmetric noise" of MOIT. The last class of a superclass becomes the
    first.

    Parameters
    ----------
    y : array-like of shape (n_samples,)
        Clean labels of CIFAR-100: its hundred classes in their usual order.
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
    >>> from sknoisy.noise import asymmetric_cifar100_circular
    >>> noisy = asymmetric_cifar100_circular(np.arange(1000) % 100, 0.4, 0)
    >>> noisy.transition_matrix[0, [0, 51]]  # apple becomes mushroom
    array([0.6, 0.4])
    """
    groups = CIFAR100_SUPERCLASSES
    return _within_groups(y, rate, random_state, groups, next_one=True)


def asymmetric_cifar100_sibling(y, rate, random_state=None):
    """Replace labels of CIFAR-100 by a random other class of the superclass.

    This is the "asymmetric noise" of C2D.

    Parameters
    ----------
    y : array-like of shape (n_samples,)
        Clean labels of CIFAR-100: its hundred classes in their usual order.
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
    >>> from sknoisy.noise import asymmetric_cifar100_sibling
    >>> asymmetric_cifar100_sibling(np.arange(1000) % 100, 0.4, 0).rate
    0.4
    """
    groups = CIFAR100_SUPERCLASSES
    return _within_groups(y, rate, random_state, groups, next_one=False)


def _within_groups(y, rate, random_state, groups, next_one):
    """Replace labels by another class of their group: the next one or a random one."""
    classes, codes, rng = prepare(y, rate, random_state)
    if len(classes) != len(groups):
        raise ValueError(f"y holds {len(classes)} classes, but CIFAR-100 has 100.")
    noisy = codes.copy()
    chosen = choose(codes, rate, rng)
    steps = 1 if next_one else rng.randint(1, 5, size=len(chosen))
    members = np.argsort(groups, kind="stable")  # the five of a group are consecutive
    place = np.argsort(members)[codes[chosen]]
    noisy[chosen] = members[place // 5 * 5 + (place + steps) % 5]
    return noisy_labels(classes, codes, noisy)
