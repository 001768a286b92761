"""The nearest neighbours of each sample."""

import itertools
import math

import numpy as np
from sklearn.preprocessing import normalize

from sknoisy.checks import check_choice, check_integer
from sknoisy.scores.reading import check_features

TREE_FEATURES = 15  # with at most so many features, a tree is faster
SIMILARITIES = 2**20  # held at a time: 4 MB, which stay in the cache of a processor
SIGNLESS, COLUMN = 2**31 - 1, 2**32 - 1  # bits of a number without its sign, of keys


def neighbor_index(features, n_neighbors=10, include_self=False):
    """Find the nearest neighbours of each sample, by the angle between features.

    Parameters
    ----------
    features : array-like or sparse matrix of shape (n_samples, n_features)
        Features, such as a pre-trained encoder's.
    n_neighbors : int, default=10
        Number of neighbours.
    include_self : bool, default=False
        Whether each sample counts as its own first neighbour.

    Returns
    -------
    index : ndarray of shape (n_samples, n_neighbors), int32
        Row numbers of the neighbours, nearest first.

    Raises
    ------
    ValueError
        If features are not finite, or there are too few samples for so many
        neighbours.

    See Also
    --------
    votes_from : Shares of each class among these neighbours, for labels that change.

    Notes
    -----
    Above 15 features, similarities are computed in float32, for a few rows at a time:
    20,000 samples of 384 features take about 5 seconds on one core.

    Examples
    --------
    >>> from sknoisy.scores import neighbor_index
    >>> features = [[1.0, 0.0], [1.0, 0.2], [0.0, 1.0], [0.1, 1.0]]
    >>> neighbor_index(features, n_neighbors=1).ravel()
    array([1, 0, 3, 2], dtype=int32)
    >>> neighbor_index(features, n_neighbors=2, include_self=True)[1]
    array([1, 0], dtype=int32)
    """
    check_integer("n_neighbors", n_neighbors)
    check_choice("include_self", include_self, [True, False])
    features = check_features(features, accept_sparse="csr")
    n_samples, n_features = features.shape
    n_others = n_neighbors - bool(include_self)
    if n_others >= n_samples:
        limit = "at most" if include_self else "less than"
        raise ValueError(
            f"n_neighbors={n_neighbors!r} is not valid: it must be {limit} the "
            f"{n_samples} samples."
        )
    index = np.empty((n_samples, n_neighbors), dtype=np.int32)
    index[:, 0] = np.arange(n_samples)
    if n_others:
        others = index[:, n_neighbors - n_others :]
        rows = directions(features)
        if n_features <= TREE_FEATURES and isinstance(rows, np.ndarray):
            from sklearn.neighbors import NearestNeighbors  # slow to import

            search = NearestNeighbors(n_neighbors=n_others).fit(rows)
            # Without an argument, no sample is its own neighbour.
            others[:] = search.kneighbors(return_distance=False)
        else:
            fill_nearest(rows.astype(np.float32, copy=False), others)
    return index


def directions(features):
    """Return the rows of features at the length 1; those of zeros stay.

    Parameters
    ----------
    features : ndarray or sparse matrix of shape (n_samples, n_features)
        Finite numbers.
    """
    scale = safe_scale(features)
    return normalize(features if scale == 1 else features / scale)


def safe_scale(features):
    """Return what to divide features by, so that their squares are numbers above 0.

    Parameters
    ----------
    features : ndarray or sparse matrix of shape (n_samples, n_features)
        Finite numbers.

    Returns
    -------
    scale : float
        A power of 2, which rounds nothing, next to the largest of the numbers; 1 unless
        that is beyond 2^30 or below 2^-30.
    """
    largest = float(max(features.max(), -features.min()))
    exponent = int(np.frexp(largest)[1]) - 1
    return 2.0**exponent if abs(exponent) > 30 else 1.0


def fill_nearest(features, index, penalty=None):
    """Fill an index with the row numbers of the samples of largest products.

    Parameters
    ----------
    features : ndarray or sparse matrix of shape (n_samples, n_features), float32
        Features, such as directions.
    index : ndarray of shape (n_samples, n_neighbors), int32
        What is written to; no sample is its own neighbour.
    penalty : ndarray of shape (n_samples,), float32, default=None
        Subtracted from the products with each sample: with half of the squared length
        the nearest samples are found.
    """
    n, k = index.shape
    n_blocks = -(-n // max(1, math.isqrt(SIMILARITIES)))
    bounds = np.linspace(0, n, n_blocks + 1).astype(np.intp)
    blocks = [slice(*ends) for ends in itertools.pairwise(bounds)]
    limits = np.full(n, -np.inf, dtype=np.float32)  # least values that are kept
    keys = np.full((n, k), _keys(limits[:1], n))

    def offer(rows, columns, values):
        if penalty is not None:
            values = values - penalty[columns]
        row, column = _nonzero(values >= limits[rows, None])
        more = _keys(values[row, column], columns.start + column)
        _keep_smallest(keys[rows], row, more)
        limits[rows] = _values(keys[rows, -1])

    # First each block itself: in sorted data its own samples are near.
    for rows, columns in sorted(
        itertools.combinations_with_replacement(blocks, 2),
        key=lambda pair: pair[0] != pair[1],
    ):
        products = features[rows] @ features[columns].T
        if not isinstance(products, np.ndarray):
            products = products.toarray()
        if rows == columns:
            np.fill_diagonal(products, -np.inf)
        else:  # each pair of samples is multiplied once
            offer(columns, rows, products.T)
        offer(rows, columns, products)
    keys.sort(axis=1)
    index[:] = keys & COLUMN


def _keys(values, columns):
    """Return int64 that rise as float32 values fall or, of equal ones, columns rise."""
    bits = (values + np.float32(0)).view(np.int32)  # there are no negative zeros
    ordered = np.where(bits < 0, bits ^ SIGNLESS, bits)
    return (-ordered.astype(np.int64) << 32) | columns


def _values(keys):
    """Return the values of keys, float32."""
    ordered = (-(keys >> 32)).astype(np.int32)
    return np.where(ordered < 0, ordered ^ SIGNLESS, ordered).view(np.float32)


def _keep_smallest(keys, row, more):
    """Keep the smallest keys of each row, when more come.

    Parameters
    ----------
    keys : ndarray of shape (n_rows, k), int64
        The last of each row is the largest; written to.
    row : ndarray of shape (n_more,), int
        Rows of the others, ascending.
    more : ndarray of shape (n_more,), int64
        These.
    """
    k, counts = keys.shape[1], np.bincount(row, minlength=len(keys))
    some = np.flatnonzero(counts)
    if len(some) == 0:
        return
    width = k + counts[some].max()
    added = np.arange(width) < k + counts[some, None]
    added[:, :k] = False
    found = np.full(added.shape, np.iinfo(np.int64).max)
    found[:, :k], found[added] = keys[some], more
    keys[some] = np.partition(found, k - 1, axis=1)[:, :k]


def _nonzero(mask):
    """Return np.nonzero of a matrix or its transpose, in less time."""
    if mask.flags.c_contiguous:
        return np.divmod(np.flatnonzero(mask), mask.shape[1])
    column, row = np.divmod(np.flatnonzero(mask.T), len(mask))
    order = np.argsort(row, kind="stable")
    return row[order], column[order]
