"""Synthetic label noise: one function for each published protocol.

All functions take clean labels and return :class:`NoisyLabels`: the noisy labels, which
of them are wrong, the realised noise rate and the realised transition matrix.
"""

from dataclasses import dataclass, field

import numpy as np
from scipy.special import softmax
from scipy.stats import truncnorm
from sklearn.utils import check_random_state

from sknoisy.data.labels import encode_labels
from sknoisy.parameters import check_real, unknown

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


@dataclass(frozen=True)
class NoisyLabels:
    """Noisy labels, and how they differ from the clean labels.

    Attributes
    ----------
    y : ndarray of shape (n_samples,)
        The noisy labels, in the dtype of the clean labels.
    is_wrong : ndarray of shape (n_samples,), dtype bool
        Whether each label differs from the clean label.
    transition_matrix : ndarray of shape (n_classes, n_classes)
        Realised share of each noisy label (column) in each clean class (row).
    classes : ndarray of shape (n_classes,)
        The classes, in the order of rows and columns.
    rate : float
        Realised share of wrong labels.
    """

    y: np.ndarray
    is_wrong: np.ndarray = field(repr=False)
    transition_matrix: np.ndarray = field(repr=False)
    classes: np.ndarray = field(repr=False)

    @property
    def rate(self):
        """Realised share of wrong labels."""
        return float(self.is_wrong.mean())


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
    classes, codes, rng = _prepare(y, rate, random_state)
    noisy = codes.copy()
    chosen = _choose(codes, rate, rng)
    noisy[chosen] += rng.randint(1, len(classes), size=len(chosen))
    return _noisy_labels(classes, codes, noisy % len(classes))


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
    classes, codes, rng = _prepare(y, rate, random_state)
    noisy = codes.copy()
    chosen = _choose(codes, rate, rng)
    noisy[chosen] = rng.randint(len(classes), size=len(chosen))
    return _noisy_labels(classes, codes, noisy)


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
    classes, codes, rng = _prepare(y, rate, random_state)
    noisy = codes.copy()
    noisy[_choose(codes, rate, rng)] += 1
    return _noisy_labels(classes, codes, noisy % len(classes))


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
    classes, codes, rng = _prepare(y, rate, random_state)
    if len(classes) != 10:
        raise ValueError(f"y holds {len(classes)} classes, but CIFAR-10 has 10.")
    noisy = codes.copy()
    for chosen in _choose(codes, rate, rng):
        noisy[chosen] = CIFAR10_CONFUSIONS.get(codes[chosen], codes[chosen])
    return _noisy_labels(classes, codes, noisy)


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
    classes, codes, rng = _prepare(y, 0.0, random_state)
    T = np.asarray(transition_matrix, dtype=float)
    n = len(classes)
    if T.shape != (n, n) or not np.allclose(T.sum(axis=1), 1) or T.min() < 0:
        raise ValueError(
            f"transition_matrix of shape {T.shape} is not valid: for {n} classes it "
            f"must have shape ({n}, {n}), no negative numbers, and rows that sum to 1."
        )
    return _noisy_labels(classes, codes, _draw(T[codes], rng))


def instance_dependent(y, rate, X, random_state=None):
    """Replace labels by other classes that depend on the features of the sample.

    This is the part-dependent noise of Xia et al. The flip rate of each sample is drawn
    from a normal distribution with mean `rate` and standard deviation 0.1, truncated to
    [0, 1]. A flipped label is drawn from the softmax of the features times a random
    matrix, one for each class.

    Parameters
    ----------
    y : array-like of shape (n_samples,)
        Clean labels.
    rate : float
        Mean of the normal distribution, in [0, 1). It is about the share of wrong
        labels. Truncation raises small rates: 0 to 0.08, and 0.1 to 0.13.
    X : array-like of shape (n_samples, ...)
        Features. The code of the authors uses pixels from 0 to 255. The softmax of such
        large numbers is nearly a maximum, so that similar images get the same wrong
        label. With pixels in [0, 1], wrong labels are more random.
    random_state : int, RandomState or None, default=None
        Source of randomness.

    Returns
    -------
    noisy : NoisyLabels
        The noisy labels, and how they differ from the clean ones.

    References
    ----------
    Xia et al., Part-dependent Label Noise: Towards Instance-dependent Label Noise,
    NeurIPS 2020.

    Examples
    --------
    >>> from sklearn.datasets import load_digits
    >>> from sknoisy.noise import instance_dependent
    >>> X, y = load_digits(return_X_y=True)
    >>> round(instance_dependent(y, rate=0.4, X=X, random_state=0).rate, 1)
    0.4
    """
    classes, codes, rng = _prepare(y, rate, random_state)
    X = np.asarray(X)
    if len(X) != len(codes):
        raise ValueError(f"X has {len(X)} samples, but y has {len(codes)}.")
    X = X.reshape(len(X), -1)
    ends = -rate / 0.1, (1 - rate) / 0.1
    rates = truncnorm(*ends, loc=rate, scale=0.1).rvs(len(codes), random_state=rng)
    n_classes, noisy = len(classes), codes.copy()
    for c in range(n_classes):
        rows = np.flatnonzero(codes == c)
        scores = X[rows].astype(np.float64) @ rng.standard_normal(
            (X.shape[1], n_classes)
        )
        scores[:, c] = -np.inf
        probs = rates[rows, None] * softmax(scores, axis=1)
        probs[:, c] = 1 - rates[rows]
        noisy[rows] = _draw(probs, rng)
    return _noisy_labels(classes, codes, noisy)


NOISES = {
    "asymmetric_cifar10": asymmetric_cifar10,
    "asymmetric_cifar100_circular": asymmetric_cifar100_circular,
    "asymmetric_cifar100_consecutive": asymmetric_cifar100_consecutive,
    "asymmetric_cifar100_sibling": asymmetric_cifar100_sibling,
    "instance_dependent": instance_dependent,
    "pair_flip": pair_flip,
    "symmetric_exclusive": symmetric_exclusive,
    "symmetric_inclusive": symmetric_inclusive,
}


def add_noise(y, noise, rate, X=None, random_state=None):
    """Add label noise by the name of a protocol.

    Parameters
    ----------
    y : array-like of shape (n_samples,)
        Clean labels.
    noise : str
        Key of ``NOISES``: the name of a function of this module.
    rate : float
        Rate of the protocol, in [0, 1).
    X : array-like of shape (n_samples, ...), default=None
        Features, needed for "instance_dependent" only.
    random_state : int, RandomState or None, default=None
        Source of randomness.

    Returns
    -------
    noisy : NoisyLabels
        The noisy labels, and how they differ from the clean ones.

    Examples
    --------
    >>> from sknoisy.noise import add_noise
    >>> add_noise([0, 0, 1, 1], "pair_flip", rate=0.5, random_state=0).rate
    0.5
    """
    if noise not in NOISES:
        raise ValueError(unknown("noise", noise, NOISES))
    if noise != "instance_dependent":
        return NOISES[noise](y, rate, random_state=random_state)
    if X is None:
        raise ValueError("X=None is not valid: instance_dependent noise needs X.")
    return instance_dependent(y, rate, X, random_state=random_state)


def _prepare(y, rate, random_state):
    """Validate the parameters; return classes, codes of the labels, and a generator."""
    check_real("rate", rate, "[0, 1)")
    classes, codes = encode_labels(y)
    if len(classes) < 2:
        raise ValueError("y holds only one class, so no label can be wrong.")
    return classes, codes, check_random_state(random_state)


def _choose(codes, rate, rng):
    """Draw a share of each class, rounded to whole samples; return the positions."""
    chosen = []
    for c in np.unique(codes):
        rows = np.flatnonzero(codes == c)
        chosen.append(rng.permutation(rows)[: round(rate * len(rows))])
    return np.concatenate(chosen)


def _within_groups(y, rate, random_state, groups, next_one):
    """Replace labels by another class of their group: the next one or a random one."""
    classes, codes, rng = _prepare(y, rate, random_state)
    if len(classes) != len(groups):
        raise ValueError(f"y holds {len(classes)} classes, but CIFAR-100 has 100.")
    noisy = codes.copy()
    chosen = _choose(codes, rate, rng)
    steps = 1 if next_one else rng.randint(1, 5, size=len(chosen))
    members = np.argsort(groups, kind="stable")  # the five of a group are consecutive
    place = np.argsort(members)[codes[chosen]]
    noisy[chosen] = members[place // 5 * 5 + (place + steps) % 5]
    return _noisy_labels(classes, codes, noisy)


def _draw(probs, rng):
    """Draw a column for each row of probabilities."""
    draws = rng.random_sample((len(probs), 1)) * probs.sum(axis=1, keepdims=True)
    # Rounding may leave a draw beyond all columns: the last possible one is taken.
    last = probs.shape[1] - 1 - (probs[:, ::-1] > 0).argmax(axis=1)
    return np.minimum((probs.cumsum(axis=1) <= draws).sum(axis=1), last)


def _noisy_labels(classes, codes, noisy):
    """Return the result for the codes of clean and of noisy labels."""
    counts = np.zeros((len(classes), len(classes)))
    np.add.at(counts, (codes, noisy), 1)
    transition = counts / counts.sum(axis=1, keepdims=True)
    return NoisyLabels(classes[noisy], noisy != codes, transition, classes)
