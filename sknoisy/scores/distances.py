"""Near-duplicates and outliers, from the distances of each sample's neighbours."""

import numpy as np
from scipy.sparse import coo_array
from scipy.sparse.csgraph import connected_components

from sknoisy.checks import as_numbers, check_integer
from sknoisy.scores.neighbors import TREE_FEATURES, fill_nearest, safe_scale
from sknoisy.scores.reading import check_features, check_positions, chunks

BY_CHANCE = 0.5  # pairs that are expected to be called near-duplicates, and are not
NEAREST = 0.65  # pairs that are further apart, in distances of neighbours, never are
CENTRED = 1e-3  # largest mean, in root mean squares, that nothing is subtracted for
EXACT = 1e-6  # of the median distance of neighbours: rounding
LOOKED_AT, RARE = 300, 1e-3  # samples; how rarely chance makes them near-copies
COPIED, ALIKE = 0.3, 0.98  # shares: near-copies of samples, with their labels of them
FENCE = 1.5  # ranges between the quartiles that outliers are above the upper one


def neighbor_distances(features, n_neighbors=10):
    """Find the nearest neighbours of each sample, and how far away they are.

    Parameters
    ----------
    features : array-like of shape (n_samples, n_features)
        Features, compared by Euclidean distance. Columns of tables should be scaled,
        and features of networks normalised to length 1.
    n_neighbors : int, default=10
        Number of neighbours.

    Returns
    -------
    index : ndarray of shape (n_samples, n_neighbors), int32
        Row numbers of the neighbours, nearest first.
    distances : ndarray of shape (n_samples, n_neighbors), float32
        Their distances.

    Raises
    ------
    ValueError
        If features are not finite, or there are not more samples than neighbours.

    See Also
    --------
    neighbor_index : Nearest neighbours by the angle between features.

    Notes
    -----
    Above 15 features, neighbours are found by products in float32, for a few rows at a
    time; their distances are then computed from the differences, so that copies have a
    distance of 0.

    Examples
    --------
    >>> from sknoisy.scores import neighbor_distances
    >>> index, distances = neighbor_distances([[0.0], [1.0], [3.0]], n_neighbors=1)
    >>> index.ravel(), distances.ravel()
    (array([1, 0, 1], dtype=int32), array([1., 1., 2.], dtype=float32))
    """
    check_integer("n_neighbors", n_neighbors)
    features = check_features(features, dtype=np.float32)
    scale = safe_scale(features)
    if scale != 1:
        features = features / scale
    n_samples, n_features = features.shape
    if n_neighbors >= n_samples:
        raise ValueError(
            f"n_neighbors={n_neighbors!r} is not valid: it must be less than the "
            f"{n_samples} samples."
        )
    index = np.empty((n_samples, n_neighbors), dtype=np.int32)
    centre, squares = features.mean(axis=0), np.vdot(features, features)
    if np.abs(centre).max() > CENTRED * np.sqrt(squares / features.size):
        features = features - centre  # else rounding grows with the mean
    if n_features <= TREE_FEATURES:
        from sklearn.neighbors import NearestNeighbors  # slow to import

        search = NearestNeighbors(n_neighbors=n_neighbors).fit(features)
        index[:] = search.kneighbors(return_distance=False)
    else:
        half = np.einsum("ij,ij->i", features, features) / 2
        fill_nearest(features, index, half)
    distances = np.empty(index.shape, dtype=np.float32)
    for rows in chunks(n_samples, n_neighbors * n_features, n_chunks=16):
        difference = features[index[rows]] - features[rows, None]
        distances[rows] = np.sqrt(np.einsum("ijk,ijk->ij", difference, difference))
    order = np.argsort(distances, axis=1, kind="stable")
    distances *= scale
    return tuple(np.take_along_axis(part, order, axis=1) for part in (index, distances))


def near_duplicates(index, distances):
    """Group the samples that are much nearer to each other than neighbours are.

    Parameters
    ----------
    index : ndarray of shape (n_samples, n_neighbors), int
        Row numbers of the neighbours, nearest first.
    distances : ndarray of shape (n_samples, n_neighbors)
        Their distances, as from :func:`neighbor_distances`.

    Returns
    -------
    groups : ndarray of shape (n_samples,), dtype int64
        Number of each sample's group, from 0; -1 for samples without a near-duplicate.
    closeness : ndarray of shape (n_samples,), float64
        1 minus the distance to the nearest sample of the group, divided by the distance
        of the last neighbour: 1 for copies; 0 outside of groups.

    Notes
    -----
    Two samples are near-duplicates if their distance is below r times the distance of
    the last neighbour of either. Where samples are spread evenly in D dimensions, a
    neighbour is that near by chance with probability r^D. r is chosen so that half a
    pair in all is expected by chance, but at most 0.65. D is the median over samples of
    Levina and Bickel's estimate, from the farther half of the neighbours alone. In few
    dimensions, where everything has close neighbours, only near copies are found. Of
    groups larger than `n_neighbors`, only copies are found.

    References
    ----------
    Levina and Bickel, Maximum Likelihood Estimation of Intrinsic Dimension, NIPS 2004.

    Examples
    --------
    >>> import numpy as np
    >>> from sknoisy.scores import near_duplicates, neighbor_distances
    >>> X = np.random.default_rng(0).normal(size=(100, 20))
    >>> X[7] = X[3] + 0.01
    >>> groups, closeness = near_duplicates(*neighbor_distances(X))
    >>> np.flatnonzero(groups == 0), closeness[[3, 7]].round(2)
    (array([3, 7]), array([0.99, 0.99]))
    """
    index, distances = _matrix("index", index), _distances(distances)
    if index.shape != distances.shape:
        raise ValueError(
            f"distances of shape {distances.shape} is not valid with index of shape "
            f"{index.shape}: they must be of one shape."
        )
    n_samples = len(index)
    check_positions("index", index, n_samples)
    last = distances[:, -1]
    ratio = _largest_ratio(distances)
    pair_scale = np.minimum(last[:, None], last[index])
    near = distances <= np.maximum(ratio * pair_scale, EXACT * np.median(last))
    rows, columns = np.nonzero(near)[0], index[near]
    graph = coo_array((np.ones(len(rows)), (rows, columns)), (n_samples, n_samples))
    _, component = connected_components(graph, directed=False)
    several = np.bincount(component)[component] > 1
    groups = np.full(n_samples, -1)
    groups[several] = np.unique(component[several], return_inverse=True)[1]
    part = np.where(pair_scale > 0, pair_scale, 1)
    apart = np.where(near, distances / part, 1).astype(np.float64)
    closeness = 1 - apart.min(axis=1)
    return groups, np.where(several, closeness.clip(0, 1), 0.0)


def far_samples(distances):
    """Find the samples that are far from their neighbours.

    Parameters
    ----------
    distances : ndarray of shape (n_samples, n_neighbors)
        Distances of the neighbours, as from :func:`neighbor_distances`.

    Returns
    -------
    severity : ndarray of shape (n_samples,), float64
        0 for samples that are not far; else 1 - limit / distance, below 1.

    Notes
    -----
    The distance is the mean over the neighbours. The limit is Tukey's upper fence of
    its logarithm: the upper quartile plus 1.5 times the range between the quartiles. In
    a normal distribution, 0.35% of the values are above it.

    References
    ----------
    Ramaswamy, Rastogi and Shim, Efficient Algorithms for Mining Outliers from Large
    Data Sets, SIGMOD 2000; Tukey, Exploratory Data Analysis, 1977.

    Examples
    --------
    >>> import numpy as np
    >>> from sknoisy.scores import far_samples, neighbor_distances
    >>> X = np.random.default_rng(0).normal(size=(100, 20))
    >>> X[5] *= 10
    >>> severity = far_samples(neighbor_distances(X)[1])
    >>> np.flatnonzero(severity > 0.5)
    array([5])
    """
    distance = _distances(distances).mean(axis=1, dtype=np.float64)
    positive = distance[distance > 0]
    if len(positive) == 0:
        return np.zeros(len(distance))
    low, high = np.quantile(np.log(positive), [0.25, 0.75])
    limit = np.exp(high + FENCE * (high - low))
    return np.where(distance > limit, 1 - limit / np.maximum(distance, limit), 0.0)


def _matrix(name, value):
    """Return a matrix of numbers; raise ``ValueError`` if it is none, or empty."""
    value = as_numbers(name, value)
    if value.ndim != 2 or value.size == 0:
        raise ValueError(
            f"{name} of shape {value.shape} is not valid: it must be of shape "
            "(n_samples, n_neighbors)."
        )
    return value


def _distances(value):
    """Return distances; raise ``ValueError`` if they are none."""
    value = _matrix("distances", value)
    if not (np.isfinite(value) & (value >= 0)).all():
        raise ValueError(
            "distances is not valid: they must be finite and not negative."
        )
    return value


def _largest_ratio(distances):
    """Return the ratio of distances below which hardly any pair is by chance."""
    n_samples, n_neighbors = distances.shape
    valid = distances[:, 0] > 0
    if n_neighbors < 2 or not valid.any():
        return 0.0
    by_chance = BY_CHANCE / (n_samples * (n_neighbors - 1))
    return min(by_chance ** _inverse_dimension(distances[valid]), NEAREST)


def _inverse_dimension(distances):
    """Return the inverse of the dimension, in the median of samples.

    Near-duplicates tell nothing of how samples are spread: the farther half of the
    neighbours does.
    """
    n_neighbors = distances.shape[1]
    distances = distances.astype(np.float64)
    first = n_neighbors // 2 - 1
    logs = np.log(distances[:, -1:] / distances[:, first:-1]).sum(axis=1)
    expected = (1 / np.arange(1, n_neighbors))[::-1].cumsum()[::-1]
    return np.median(logs) / expected[first:].sum()


def near_copies(X, codes):
    """Return how many samples are near-copies, if they are many, with equal labels.

    Parameters
    ----------
    X : ndarray of shape (n_samples, n_features), float
        The samples, of which some hundreds are looked at.
    codes : ndarray of shape (n_samples,), int
        Codes of their labels.

    Returns
    -------
    share : float
        Share of samples whose nearest neighbour is as near, measured by their tenth, as
        chance makes it of 1 in 1,000. Equal samples do not count, nor do classes of up
        to ten samples: the tenth neighbour is of another class, and farther for that
        alone. 0 if the share is at most 30%, or if more than 2% of these neighbours
        have another label.
    """
    n_neighbors = 10
    if len(X) <= 5 * n_neighbors or X.shape[1] == 0:
        return 0.0
    from sklearn.neighbors import NearestNeighbors  # slow to import

    X = X / safe_scale(X)
    rows = np.random.default_rng(0).permutation(len(X))[:LOOKED_AT]
    search = NearestNeighbors(n_neighbors=n_neighbors + 1, algorithm="brute").fit(X)
    distances, index = search.kneighbors(X[rows])
    distances, index = distances[:, 1:], index[:, 1]
    apart = distances[:, 0] > EXACT * np.median(distances[:, -1])
    apart &= np.bincount(codes)[codes[rows]] > n_neighbors
    if np.count_nonzero(apart) < n_neighbors:
        return 0.0
    inverse = _inverse_dimension(distances[apart])
    if inverse <= 0:  # columns have few values, so that distances are equal
        return 0.0
    ratio = distances[:, 0] / distances[:, -1].clip(min=np.finfo(np.float32).tiny)
    near = apart & (ratio < RARE**inverse)
    same = codes[rows[near]] == codes[index[near]]
    many = near.mean() > COPIED and same.mean() > ALIKE
    return float(near.mean()) if many else 0.0
