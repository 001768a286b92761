"""Synthetic label noise, each published protocol under a name of its own.

Every function takes clean labels and returns :class:`NoisyLabels`: the noisy ones,
which of them are wrong, the realised rate and the realised transition matrix.
"""

from dataclasses import dataclass, field

import numpy as np
from scipy.special import softmax
from scipy.stats import truncnorm
from sklearn.utils import check_random_state

from sknoisy.data.labels import encode_labels
from sknoisy.parameters import check_real, unknown

CIFAR10_CONFUSIONS = {9: 1, 2: 0, 3: 5, 5: 3, 4: 7}  # truck, bird, cat and dog, deer

# The superclass of each of CIFAR-100's classes, both in alphabetical order.
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
    """Labels of which some are wrong.

    Attributes
    ----------
    y : ndarray of shape (n_samples,)
        The noisy labels, in the dtype of the clean ones.
    is_wrong : ndarray of shape (n_samples,), dtype bool
        Which of them differ from the clean ones.
    transition_matrix : ndarray of shape (n_classes, n_classes)
        Realised share of each clean class (row) that has each label (column).
    classes : ndarray of shape (n_classes,)
        The classes, in the order of rows and columns.
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
    """Give a share of each class another label, uniformly among the other classes.

    "Symmetric noise" of the active passive losses, MOIT, JoCoR and of robust feature
    learning: `rate` is the share of wrong labels.

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
        The noisy labels and what is known of them.

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
    """Redraw a share of each class's labels uniformly from all classes.

    "Symmetric noise" of ELR, DivideMix, C2D, PENCIL, Joint Optimization and SOP: a
    redrawn label may be right by chance, so at 10 classes and rate 0.8 the share of
    wrong labels is 0.72.

    Parameters
    ----------
    y : array-like of shape (n_samples,)
        Clean labels.
    rate : float
        Share of each class's labels that are redrawn, in [0, 1).
    random_state : int, RandomState or None, default=None
        Source of randomness.

    Returns
    -------
    noisy : NoisyLabels
        The noisy labels and what is known of them.

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
    """Give a share of each class the label of the next class.

    "Pair flip" of co-teaching; "asymmetric noise" of robust feature learning. The
    last class becomes the first.

    Parameters
    ----------
    y : array-like of shape (n_samples,)
        Clean labels.
    rate : float
        Share of each class's labels that become wrong, in [0, 1).
    random_state : int, RandomState or None, default=None
        Source of randomness.

    Returns
    -------
    noisy : NoisyLabels
        The noisy labels and what is known of them.

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
    """Confuse similar classes of CIFAR-10.

    Truck becomes automobile, bird airplane, deer horse, cat and dog each other: what
    all official codes do. The other five classes stay clean, so that the share of
    wrong labels is half the rate.

    Parameters
    ----------
    y : array-like of shape (n_samples,)
        Clean labels of CIFAR-10: numbers 0 to 9 or names, ten classes in their usual,
        alphabetical order.
    rate : float
        Share of the labels of a confused class that become wrong, in [0, 1).
    random_state : int, RandomState or None, default=None
        Source of randomness.

    Returns
    -------
    noisy : NoisyLabels
        The noisy labels and what is known of them.

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
    """Give classes of CIFAR-100 the next of five consecutive classes' label.

    "Asymmetric noise" in the official codes of the active passive losses, ELR, JoCoR
    and UNICON: class ids 5i to 5i + 4 are a circle. In alphabetical order these are
    not superclasses: apple becomes aquarium fish.

    Parameters
    ----------
    y : array-like of shape (n_samples,)
        Clean labels of CIFAR-100: its hundred classes in their usual order.
    rate : float
        Share of each class's labels that become wrong, in [0, 1).
    random_state : int, RandomState or None, default=None
        Source of randomness.

    Returns
    -------
    noisy : NoisyLabels
        The noisy labels and what is known of them.

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
    """Give classes of CIFAR-100 the label of the next class of their superclass.

    "Asymmetric noise" of MOIT: the five classes of each true superclass are a circle.

    Parameters
    ----------
    y : array-like of shape (n_samples,)
        Clean labels of CIFAR-100: its hundred classes in their usual order.
    rate : float
        Share of each class's labels that become wrong, in [0, 1).
    random_state : int, RandomState or None, default=None
        Source of randomness.

    Returns
    -------
    noisy : NoisyLabels
        The noisy labels and what is known of them.

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
    """Give classes of CIFAR-100 the label of a random class of their superclass.

    "Asymmetric noise" of C2D: one of the four others of the true superclass.

    Parameters
    ----------
    y : array-like of shape (n_samples,)
        Clean labels of CIFAR-100: its hundred classes in their usual order.
    rate : float
        Share of each class's labels that become wrong, in [0, 1).
    random_state : int, RandomState or None, default=None
        Source of randomness.

    Returns
    -------
    noisy : NoisyLabels
        The noisy labels and what is known of them.

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
    """Draw each label from its class's row of a transition matrix.

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
        The noisy labels and what is known of them; the realised transition matrix
        scatters around the given one.

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
            f"must be of shape ({n}, {n}), without negative numbers, its rows summing "
            "to 1."
        )
    return _noisy_labels(classes, codes, _draw(T[codes], rng))


def instance_dependent(y, rate, X, random_state=None):
    """Let each sample's features decide how likely and into what its label changes.

    Part-dependent noise of Xia et al.: a sample's flip rate is drawn from a normal
    distribution around `rate` with deviation 0.1, cut to [0, 1]; the label that it
    flips to is drawn by the softmax of its features times a random matrix that
    belongs to its class.

    Parameters
    ----------
    y : array-like of shape (n_samples,)
        Clean labels.
    rate : float
        Mean of that distribution before it is cut, in [0, 1): about the share of wrong
        labels, but for rates near 0, which the cut raises (0.08 for 0, 0.13 for 0.1).
    X : array-like of shape (n_samples, ...)
        What the noise depends on. The authors' code passes raw pixels, 0 to 255, so
        that the softmax is all but a maximum and similar images get the same wrong
        label; pixels in [0, 1] make it softer.
    random_state : int, RandomState or None, default=None
        Source of randomness.

    Returns
    -------
    noisy : NoisyLabels
        The noisy labels and what is known of them.

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
    """Add label noise by the name of its protocol.

    Parameters
    ----------
    y : array-like of shape (n_samples,)
        Clean labels.
    noise : str
        A key of ``NOISES``, which are the functions of this module.
    rate : float
        The protocol's rate, in [0, 1).
    X : array-like of shape (n_samples, ...), default=None
        What instance-dependent noise depends on.
    random_state : int, RandomState or None, default=None
        Source of randomness.

    Returns
    -------
    noisy : NoisyLabels
        The noisy labels and what is known of them.

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
        raise ValueError("X=None is not valid: instance_dependent noise needs it.")
    return instance_dependent(y, rate, X, random_state=random_state)


def _prepare(y, rate, random_state):
    check_real("rate", rate, "[0, 1)")
    classes, codes = encode_labels(y)
    if len(classes) < 2:
        raise ValueError("y holds only one class: there is no wrong label to give.")
    return classes, codes, check_random_state(random_state)


def _choose(codes, rate, rng):
    """Return the positions of a share of each class, rounded to whole samples."""
    chosen = []
    for c in np.unique(codes):
        rows = np.flatnonzero(codes == c)
        chosen.append(rng.permutation(rows)[: round(rate * len(rows))])
    return np.concatenate(chosen)


def _within_groups(y, rate, random_state, groups, next_one):
    """Give labels of another class of their group: the next one, or any."""
    classes, codes, rng = _prepare(y, rate, random_state)
    if len(classes) != len(groups):
        raise ValueError(f"y holds {len(classes)} classes, but CIFAR-100 has 100.")
    noisy = codes.copy()
    chosen = _choose(codes, rate, rng)
    steps = 1 if next_one else rng.randint(1, 5, size=len(chosen))
    members = np.argsort(groups, kind="stable")  # five of a group after each other
    place = np.argsort(members)[codes[chosen]]
    noisy[chosen] = members[place // 5 * 5 + (place + steps) % 5]
    return _noisy_labels(classes, codes, noisy)


def _draw(probs, rng):
    """Draw a column of each row of probabilities."""
    draws = rng.random_sample((len(probs), 1)) * probs.sum(axis=1, keepdims=True)
    # The last column with a probability, where rounding leaves a draw beyond all.
    last = probs.shape[1] - 1 - (probs[:, ::-1] > 0).argmax(axis=1)
    return np.minimum((probs.cumsum(axis=1) <= draws).sum(axis=1), last)


def _noisy_labels(classes, codes, noisy):
    counts = np.zeros((len(classes), len(classes)))
    np.add.at(counts, (codes, noisy), 1)
    transition = counts / counts.sum(axis=1, keepdims=True)
    return NoisyLabels(classes[noisy], noisy != codes, transition, classes)
