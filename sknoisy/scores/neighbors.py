"""Votes of each sample's nearest neighbours on its label."""

import itertools
import math

import numpy as np
from sklearn.preprocessing import normalize
from sklearn.utils import check_consistent_length

from sknoisy.data.given import check_sample_weight
from sknoisy.data.labels import encode_labels
from sknoisy.parameters import as_numbers, check_integer
from sknoisy.scores.reading import check_features, chunks, of_labels

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


def votes_from(index, codes, n_classes, sample_weight=None):
    """Return the shares of each class among the neighbours of each sample.

    Parameters
    ----------
    index : ndarray of shape (n_samples, n_neighbors), int
        Row numbers of the neighbours, as from :func:`neighbor_index`.
    codes : ndarray of shape (n_samples,), int
        Class of each sample, 0 to ``n_classes - 1``: given, or predicted.
    n_classes : int
        Number of classes.
    sample_weight : ndarray of shape (n_samples,), default=None
        Weight of each sample's vote; by default all are equal.

    Returns
    -------
    votes : ndarray of shape (n_samples, n_classes), dtype float32
        Rows sum to 1. Where all neighbours have weight 0, all classes have as many.

    Examples
    --------
    >>> import numpy as np
    >>> from sknoisy.scores import votes_from
    >>> index = np.array([[1, 2], [0, 2], [0, 1]])
    >>> votes_from(index, np.array([0, 1, 1]), n_classes=2)
    array([[0. , 1. ], [0.5, 0.5], [0.5, 0.5]], dtype=float32)
    """
    index, codes = as_numbers("index", index), as_numbers("codes", codes)
    check_integer("n_classes", n_classes)
    if index.ndim != 2 or codes.ndim != 1:
        raise ValueError(
            f"index of shape {index.shape} is not valid with codes of shape "
            f"{codes.shape}: they must be of shapes (n_samples, n_neighbors) and "
            "(n_samples,)."
        )
    check_positions("index", index, len(codes))
    check_positions("codes", codes, n_classes)
    if sample_weight is not None:
        sample_weight = as_numbers("sample_weight", sample_weight)
        if sample_weight.shape != codes.shape or not (sample_weight >= 0).all():
            raise ValueError(
                f"sample_weight of shape {sample_weight.shape} is not valid: it must "
                f"be of shape {codes.shape}, and not negative."
            )
    n_samples, n_neighbors = index.shape
    votes, even = np.empty((n_samples, n_classes), dtype=np.float32), 1 / n_classes
    for rows in chunks(n_samples, n_classes + n_neighbors):
        some = codes[index[rows]]
        cells = some + n_classes * np.arange(len(some))[:, None]
        weights = None if sample_weight is None else sample_weight[index[rows]].ravel()
        counts = np.bincount(cells.ravel(), weights, minlength=len(some) * n_classes)
        counts = counts.reshape(-1, n_classes)
        total = n_neighbors if weights is None else counts.sum(axis=1, keepdims=True)
        votes[rows] = np.where(total > 0, counts / np.where(total > 0, total, 1), even)
    return votes


def check_positions(name, values, n):
    """Raise ``ValueError`` unless all of an array are integers from 0 to n - 1.

    Parameters
    ----------
    name : str
        Name of the argument.
    values : ndarray of numbers
        Its value.
    n : int
        Number of positions.
    """
    whole = values.dtype.kind in "iu"
    if not whole or values.size and not 0 <= values.min() <= values.max() < n:
        raise ValueError(
            f"{name} is not valid: it must hold integers from 0 to {n - 1}"
            + (f", but it is of {values.dtype}." if not whole else ".")
        )


def relative_votes(votes, prior):
    """Return votes divided by the class sizes, relative to the largest vote.

    Parameters
    ----------
    votes : ndarray of shape (n_samples, n_classes)
        Shares of each class among neighbours, as from :func:`votes_from`.
    prior : array-like of shape (n_classes,)
        Share of each class among all samples.

    Returns
    -------
    relative : ndarray of shape (n_samples, n_classes), dtype of `votes`
        ``votes / prior``, divided by the maximum of each row: 1 for the class that is
        most over-represented among the neighbours, 0 for classes without samples.

    References
    ----------
    Feng, Tzimiropoulos and Patras, SSR: An Efficient and Robust Framework for Learning
    with Unknown Label Noise, BMVC 2022. A label is taken as right where its relative
    vote is 1.

    Examples
    --------
    >>> import numpy as np
    >>> from sknoisy.scores import relative_votes
    >>> relative_votes(np.array([[0.6, 0.4], [0.9, 0.1]]), prior=[0.8, 0.2]).round(2)
    array([[0.38, 1. ], [1. , 0.44]])
    """
    votes, prior = as_numbers("votes", votes), as_numbers("prior", prior)
    if prior.shape != votes.shape[1:]:
        raise ValueError(
            f"prior of shape {prior.shape} is not valid: it must be of shape "
            f"{votes.shape[1:]}, one share for each class."
        )
    scale = np.where(prior > 0, 1 / np.where(prior > 0, prior, 1), 0)
    relative = np.empty_like(votes)
    for rows in chunks(*votes.shape):
        lift = votes[rows] * scale
        relative[rows] = lift / lift.max(axis=1, keepdims=True)
    return relative


def knn_votes(
    y,
    features,
    n_neighbors=10,
    classes=None,
    include_self=False,
    sample_weight=None,
):
    """Return the shares of each label among the neighbours of each sample.

    Unless `include_self` is set, they can be used as out-of-sample probabilities.

    Parameters
    ----------
    y : array-like of shape (n_samples,)
        Given labels.
    features : array-like or sparse matrix of shape (n_samples, n_features)
        Features, such as a pre-trained encoder's; neighbours are found by the angle
        between features.
    n_neighbors : int, default=10
        Number of neighbours.
    classes : array-like of shape (n_classes,), default=None
        The classes; by default the sorted distinct labels.
    include_self : bool, default=False
        Whether each sample is one of its own neighbours.
    sample_weight : array-like of shape (n_samples,), default=None
        Weight of each sample's vote, at least 0; by default all are equal.

    Returns
    -------
    votes : ndarray of shape (n_samples, n_classes), dtype float32
        Rows sum to 1; columns are in the order of `classes`.

    Raises
    ------
    ValueError
        If lengths differ, features are not finite, or there are too few samples for
        so many neighbours.

    References
    ----------
    Zhu, Dong and Liu, Detecting Corrupted Labels Without Training a Model to Predict,
    ICML 2022, "SimiFeat-V", there with two samples for each image.

    Examples
    --------
    >>> from sknoisy.scores import knn_votes
    >>> features = [[1.0, 0.0], [1.0, 0.1], [1.0, 0.2], [0.0, 1.0], [0.1, 1.0]]
    >>> knn_votes([0, 0, 0, 1, 1], features, n_neighbors=1)[:, 0]
    array([1., 1., 1., 0., 0.], dtype=float32)
    """
    classes, codes = encode_labels(y, classes)
    check_consistent_length(features, codes)
    weights = check_sample_weight(sample_weight, len(codes))
    index = neighbor_index(features, n_neighbors, include_self)
    return votes_from(index, codes, len(classes), weights)


def knn_agreement(y, features, n_neighbors=10):
    """Return the share of each sample's neighbours that have its label.

    Parameters
    ----------
    y : array-like of shape (n_samples,)
        Given labels.
    features : array-like or sparse matrix of shape (n_samples, n_features)
        Features; neighbours are found by the angle between them.
    n_neighbors : int, default=10
        Number of neighbours.

    Returns
    -------
    quality : ndarray of shape (n_samples,), dtype float32
        In [0, 1]; low is bad.

    Raises
    ------
    ValueError
        If lengths differ, features are not finite, or there are not more samples than
        neighbours.

    References
    ----------
    Wilson, Asymptotic Properties of Nearest Neighbor Rules Using Edited Data, 1972.

    Examples
    --------
    >>> from sknoisy.scores import knn_agreement
    >>> features = [[1.0, 0.0], [1.0, 0.1], [1.0, 0.2], [0.0, 1.0], [0.1, 1.0]]
    >>> knn_agreement([0, 1, 0, 1, 1], features, n_neighbors=1)
    array([0., 0., 0., 1., 1.], dtype=float32)
    """
    _, codes = encode_labels(y)
    return of_labels(codes, knn_votes(y, features, n_neighbors))


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
